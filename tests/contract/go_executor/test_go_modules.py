"""Modules of the Go executor: the real library and toolchain, a module proxy on this machine, a stand-in for a host of ABI 1.1.

    CF_PLUGINS=<build>/executors python3 -m unittest test_go_modules      (in this folder)
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'node_executor'), os.path.join(HERE, '..', '..', 'system')]
from go_proxy import GoProxy  # noqa: E402
from plugin_host import INVALID, OK, Plugin, Refused, Run, View  # noqa: E402

PLUGINS = os.environ.get('CF_PLUGINS', '')
OVERLAY = 2
SECRET = 'secret0123456789'
CODE = 'package main\n\nimport "example.com/greeting"\n\nfunc handler() string { return greeting.Hello() }\n'
MANIFEST = 'module function\n\ngo 1.16\n\nrequire example.com/greeting latest\n'


class GoPlugin(Plugin):
    """Its tools run outside of any sandbox, so the places that they would see are the places themselves."""

    def _tool_mount(self, job, source, target, flags):
        super()._tool_mount(job, source, target, flags)
        place = source.text()
        if flags & 0xff == OVERLAY:
            # What is written is thrown away: the files are links, and this one is written in its place.
            place = os.path.join(self.scratch, 'overlay')
            subprocess.run(['cp', '-al', source.text(), place], check=True)
            if os.path.exists(place + '/trim.txt'):
                os.unlink(place + '/trim.txt')
        self.places[target.text()] = place

    def _run_tool(self, _job, tool, result, error):
        tool = tool.contents
        argv = [self.translated(tool.argv[i].text()) for i in range(tool.argc)]
        environment = {tool.environment[i].name.text(): tool.environment[i].value.text()
                       for i in range(tool.environment_count)}
        given = tool.input.bytes()
        self.runs.append(Run(argv, environment, bool(tool.network), set(self.writable), given))
        if tool.network and not self.network:
            environment['GOPROXY'] = 'http://127.0.0.1:1/'
        done = subprocess.run(argv, env=environment, input=given, capture_output=True, cwd=self.translated(tool.directory.text()))
        for stream, said in ((tool.output, done.stdout), (tool.errors, done.stderr)):
            stream.contents.write(stream.contents.context, View.of(said))
        result.contents.exit_code = done.returncode
        return OK

    def translated(self, path):
        for target, place in self.places.items():
            if path == target or path.startswith(target + '/'):
                return place + path[len(target):]
        return path

    def prepare(self, *arguments, **named):
        self.places = {}
        super().prepare(*arguments, runtime='go', **named)

    def steps(self):
        """[(command, with network)] of the runs of the builder."""
        return [(run.argv[1], run.network) for run in self.runs if run.argv[0].endswith('cf-go-build')]


@unittest.skipUnless(os.path.exists(os.path.join(PLUGINS, 'go.so')), 'CF_PLUGINS names no folder with go.so')
@unittest.skipUnless(shutil.which('go'), 'there is no go on PATH')
class ModulesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='go-modules-')
        self.addCleanup(shutil.rmtree, self.folder)
        self.proxy = GoProxy()
        self.addCleanup(self.proxy.close)
        self.proxy.add('example.com/greeting', 'v1.0.0', {'greeting.go': 'package greeting\n\nfunc Hello() string { return "one" }\n'})
        with open(self.folder + '/.netrc', 'w') as file:
            file.write(f'machine nowhere.invalid login somebody password {SECRET}\n')
        values = {'HOME': self.folder, 'GOPROXY': self.proxy.url, 'GONOSUMDB': '*', 'NO_PROXY': '127.0.0.1', 'GOFLAGS': ''}
        old = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        self.addCleanup(lambda: [os.environ.pop(n) if v is None else os.environ.update({n: v}) for n, v in old.items()])
        self.plugin = GoPlugin(PLUGINS, 'go')
        self.addCleanup(self.plugin.close)
        if not os.path.exists(f'{PLUGINS}/go/toolsets/go{self.plugin.found["version"]}/cf-go-build'):
            self.skipTest('the tools of this Go were not built')

    def build(self, files):
        artifact = tempfile.mkdtemp(dir=self.folder)
        self.plugin.prepare(files, artifact)
        self.assertEqual(['main'], os.listdir(artifact))
        return os.path.join(artifact, 'main')

    def test_steps_network_and_secrets(self):
        files = {'main.go': CODE, 'go.mod': MANIFEST}
        self.build(files)
        self.assertEqual([('inspect', False), ('resolve', True), ('download', True), ('precompile', False), ('build', False)],
                         self.plugin.steps())
        for run in self.plugin.runs:
            told = SECRET in str(run.argv) + str(run.environment) + str(run.scratch)
            self.assertEqual(run.network, told, run.argv)
            self.assertEqual(run.network, 'GOPROXY' in run.environment, run.argv)
        self.assertNotIn(SECRET, str(self.plugin.log))
        self.assertEqual(2, self.plugin.layers_made)
        ((name, made_from), lock), = self.plugin.locks.items()
        self.assertEqual('go.lock', name)
        self.assertIn(b'require example.com/greeting latest', made_from)
        self.assertIn(b'example.com/greeting v1.0.0 h1:', lock)
        self.assertNotIn(b'127.0.0.1', lock)
        # Code alone: the lock and both layers are there.
        self.proxy.add('example.com/greeting', 'v1.1.0', {'greeting.go': 'package greeting\n\nfunc Hello() string { return "two" }\n'})
        asked = len(self.proxy.asked)
        self.build({**files, 'main.go': CODE + '// changed\n'})
        self.assertEqual([('inspect', False), ('build', False)], self.plugin.steps())
        self.assertEqual((2, asked), (self.plugin.layers_made, len(self.proxy.asked)))
        self.assertEqual(lock, self.plugin.locks[name, made_from])

    def test_layers_are_written_while_they_are_filled_only(self):
        self.build({'main.go': CODE, 'go.mod': MANIFEST})
        for run in self.plugin.runs:
            layers = [path for path in run.writable if '/layers/' in path]
            self.assertEqual(run.argv[1] in ('download', 'precompile'), bool(layers), run.argv)

    def test_an_old_lock_when_no_proxy_answers(self):
        files = {'main.go': CODE, 'go.mod': MANIFEST}
        self.build(files)
        self.plugin.old_locks, self.plugin.network = True, False
        self.build({**files, 'main.go': CODE + '// changed\n'})
        self.assertEqual(['inspect', 'resolve', 'build'], [step for step, _ in self.plugin.steps()])
        self.assertIn('No module proxy answers: the versions of an earlier build are used.', self.plugin.log)

    def test_nothing_is_kept_of_what_failed(self):
        with self.assertRaises(Refused) as refused:
            self.build({'main.go': CODE.replace('greeting"', 'missing"').replace('greeting.', 'missing.'),
                        'go.mod': MANIFEST.replace('greeting', 'missing')})
        self.assertEqual(INVALID, refused.exception.status)
        self.assertEqual(('go.mod', 5), self.plugin.diagnostics[0][:2])
        self.assertEqual(({}, 0), (self.plugin.locks, self.plugin.layers_made))

    def test_without_modules_no_service_is_asked(self):
        self.build({'main.go': 'func handler() int { return 1 }\n'})
        self.assertEqual([('build', False)], self.plugin.steps())
        self.assertEqual(({}, 0), (self.plugin.locks, self.plugin.layers_made))


if __name__ == '__main__':
    unittest.main()
