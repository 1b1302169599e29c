"""The Go builder and the worker that it compiles into every program, against the worker protocol and the contract:
what test_go_*.py share.

    python3 -m unittest test_go_calls            (in this folder)

Builds with the `go` on PATH (or in /usr/local/go), and with every one that CLOUDFUNCTION_TEST_GOS lists, separated
by ':'. Without any, everything is skipped. What a toolset in the folder CLOUDFUNCTION_TEST_GO_TOOLSETS has compiled of
the standard library is not compiled again.
"""
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import threading
import unittest

from harness import Shim

HERE = os.path.dirname(os.path.abspath(__file__))
PLUGIN = os.path.join(HERE, '..', '..', '..', 'plugins', 'go')


class Worker(Shim):
    """A shim whose pipes are read as the kernel does: to their end before an answer counts, as text of its call."""

    def __init__(self, *arguments, **options):
        self.reading = threading.Lock()
        self._pipes, self._heard = {}, {}
        super().__init__(*arguments, **options)

    def _drain(self, fd, target):
        stream = 1 if target is self.stdout else 2
        os.set_blocking(fd, False)
        with self.reading:
            self._pipes[stream], self._heard[stream] = fd, 0
        while self._pipes[stream] is not None:
            select.select([fd], [], [])
            with self.reading:
                self._empty(stream, target)
        os.close(fd)

    def _empty(self, stream, target):
        try:
            while self._pipes.get(stream) is not None:
                data = os.read(self._pipes[stream], 65536)
                target.extend(data)
                if not data:
                    self._pipes[stream] = None
        except BlockingIOError:
            pass

    def answer(self, *arguments, **options):
        answer = super().answer(*arguments, **options)
        with self.reading:
            for stream, target in (1, self.stdout), (2, self.stderr):
                self._empty(stream, target)
                if len(target) > self._heard.get(stream, 0):
                    answer.logs.append((stream, bytes(target[self._heard[stream]:])))
                    self._heard[stream] = len(target)
        return answer


class Toolchain:
    """One Go, with the builder compiled by it and a cache that lasts for the tests."""

    def __init__(self, go):
        self.go = os.path.realpath(go)
        self.folder = tempfile.mkdtemp(prefix='go-shim-')
        plain = dict(os.environ, GOTOOLCHAIN='local', GOENV='off', GOWORK='off', GO111MODULE='on', CGO_ENABLED='0',
                     GOPROXY='off', GOFLAGS='-mod=mod')
        plain.setdefault('HOME', self.folder)
        plain.pop('GOROOT', None)
        say = lambda *names: subprocess.check_output([go, 'env', *names], text=True, env=plain).split('\n')[:-1]
        self.root, self.cache = say('GOROOT', 'GOCACHE')
        self.version = subprocess.check_output([go, 'version'], text=True, env=plain).split()[2][2:]
        self.builder = os.path.join(self.folder, 'cf-go-build')
        toolset = os.path.join(os.environ.get('CLOUDFUNCTION_TEST_GO_TOOLSETS', ''), 'go' + self.version)
        if os.access(os.path.join(toolset, 'cf-go-build'), os.X_OK):
            # A copy, as builds add to it; without the recipe, so that the go command builds here.
            self.cache = os.path.join(self.folder, 'cache')
            shutil.copytree(os.path.join(toolset, 'cache'), self.cache, ignore=shutil.ignore_patterns('recipe.json'))
            plain['GOCACHE'] = self.cache
        # The options are those of the toolset: its own builder is in its cache, too.
        subprocess.check_call([go, 'build', '-trimpath', '-ldflags=-s', '-o', self.builder, '.'],
                              cwd=os.path.join(PLUGIN, 'builder'), env=plain)
        self._programs = {}

    def build(self, files, handler='handler'):
        """Gives (exit code, program, remarks as (severity, file, line, column, message), standard error)."""
        key = json.dumps([files, handler])
        if key not in self._programs:
            work = tempfile.mkdtemp(dir=self.folder)
            for name, content in files.items():
                path = os.path.join(work, 'source', name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, 'w', encoding='utf-8') as file:
                    file.write(content)
            program = os.path.join(work, 'main')
            run = subprocess.run(
                [self.builder, 'build', '-source', os.path.join(work, 'source'), '-output', program,
                 '-handler', handler, '-goroot', self.root, '-home', PLUGIN, '-cache', self.cache,
                 '-scratch', os.path.join(work, '.build')],
                env={'PATH': '/usr/bin:/bin'}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            remarks = []
            for line in run.stdout.splitlines():
                severity, file, row, column, message = line.split('\t')
                remarks.append((severity, file, int(row), int(column), message))
            assert not os.path.exists(os.path.join(work, '.build')), 'the scratch folder is left'
            self._programs[key] = (run.returncode, program, remarks, run.stderr)
        return self._programs[key]


_toolchains = {}


def toolchain(go):
    if go not in _toolchains:
        _toolchains[go] = Toolchain(go)
    return _toolchains[go]


def tearDownModule():
    while _toolchains:
        shutil.rmtree(_toolchains.popitem()[1].folder, ignore_errors=True)


class Base:
    go = None
    TYPED = ('type Event struct {\n\tName string `json:"name"`\n\tAge int\n\tTags []string\n\tInner *struct{ N float64 }\n}\n'
             'type Reply struct {\n\tGreeting string `json:"greeting"`\n\tSkipped string `json:"-"`\n}\n\n')

    @classmethod
    def setUpClass(cls):
        cls.tools = toolchain(cls.go)

    def built(self, source, handler='handler', warnings=0):
        files = source if isinstance(source, dict) else {'main.go': source}
        code, program, remarks, errors = self.tools.build(files, handler)
        self.assertEqual((0, ''), (code, errors), remarks)
        self.assertEqual(warnings, len(remarks), remarks)
        return program

    def loaded(self, source, handler='handler', shim_environment=None, **options):
        shim = Worker([self.built(source, handler)], environment=shim_environment)
        self.addCleanup(shim.close)
        answer = shim.load('/function', handler, **options)
        self.assertTrue(answer.ok, answer)
        return shim

    def value(self, source, event=b'{}', context=b'{}', handler='handler', **metadata):
        answer = self.loaded(source, handler).invoke(event, context, **metadata)
        self.assertTrue(answer.ok, answer)
        return answer.value

    def error(self, source, event=b'{}', handler='handler'):
        """The error document; and the worker must go on."""
        shim = self.loaded(source, handler)
        answer = shim.invoke(event)
        self.assertEqual('ERROR', answer.type, answer)
        self.assertFalse(shim.invoke(event).ok)
        return answer.document

    def refused(self, source, handler='handler'):
        """The errors of a build that fails by the source's fault."""
        files = source if isinstance(source, dict) else {'main.go': source}
        code, program, remarks, errors = self.tools.build(files, handler)
        self.assertEqual(1, code, (remarks, errors))
        self.assertFalse(os.path.exists(program))
        return [remark for remark in remarks if remark[0] == 'error']


def cases(module):
    """Makes tests of the classes of a module, which are given by its globals(), with every Go."""
    found = []
    for go in (shutil.which('go'), '/usr/local/go/bin/go'):
        if go and os.access(go, os.X_OK):
            found.append(go)
            break
    found += [go for go in os.environ.get('CLOUDFUNCTION_TEST_GOS', '').split(':') if go]
    for go in found:
        suffix = re.sub(r'\W+', '_', go) if len(found) > 1 else ''
        for base in Base.__subclasses__():
            if base.__module__ == module['__name__']:
                name = base.__name__ + 'Test' + suffix
                module[name] = type(name, (base, unittest.TestCase), {'go': go, '__module__': base.__module__})
    if not found:
        class NoGo(unittest.TestCase):
            @unittest.skip('there is no Go on this machine')
            def test_nothing(self):
                pass
        module['NoGo'] = NoGo
