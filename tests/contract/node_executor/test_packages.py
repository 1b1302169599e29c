"""Packages of the Node.js executor: real npm, a registry on this machine, a stand-in for the host.

    CF_PLUGINS=<build>/executors python3 -m unittest test_packages      (in this folder)
"""
import json
import os
import shutil
import tempfile
import unittest

from npm_registry import Registry, silence
from plugin_host import FAILED, INVALID, UNAVAILABLE, Plugin, Refused

PLUGINS = os.environ.get('CF_PLUGINS', '')
HAS_ESBUILD = shutil.which('esbuild') is not None
TOKEN = 'npm_secret0123456789'


def manifest(**dependencies):
    return json.dumps({'dependencies': {name.replace('_', '-'): r for name, r in dependencies.items()}}, indent=2)


@unittest.skipUnless(os.path.exists(os.path.join(PLUGINS, 'node.so')), 'CF_PLUGINS names no folder with node.so')
@unittest.skipUnless(shutil.which('node'), 'there is no node on PATH')
@unittest.skipUnless(shutil.which('npm'), 'there is no npm on PATH')
class PackagesTest(unittest.TestCase):
    token = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='node-packages-')
        self.addCleanup(shutil.rmtree, self.folder)
        self.registry = Registry(self.token)
        self.addCleanup(self.registry.close)
        self.registry.add('left', '1.0.0', 'module.exports = "left 1";')
        self.registry.add('left', '2.0.0', 'module.exports = "left 2";')
        self.registry.add('right', '1.0.0', 'module.exports = "right, " + require("left");',
                          dependencies={'left': '^1.0.0'})
        self.registry.add('@scope/es', '1.2.3', 'export default "es"; export const named = 3;', type='module')
        self.environ({'npm_config_registry': self.registry.url})
        self.plugin = self.start()

    def environ(self, values):
        for name, value in values.items():
            old = os.environ.get(name)
            os.environ[name] = value
            self.addCleanup(os.environ.pop if old is None else os.environ.__setitem__, name,
                            *([None] if old is None else [old]))

    def start(self, properties=None):
        plugin = Plugin(PLUGINS, 'node', properties)
        self.addCleanup(plugin.close)
        return plugin

    def build(self, files, handler='handler', runtime='node'):
        artifact = tempfile.mkdtemp(dir=self.folder)
        self.plugin.prepare(files, artifact, handler, runtime)
        return artifact

    def run_artifact(self, artifact, event=b'{}', handler='handler'):
        worker = self.plugin.start()
        self.addCleanup(worker.close)
        answer = worker.load(artifact, handler)
        self.assertTrue(answer.ok, answer)
        return worker.invoke(event)

    def result(self, files, handler='handler', runtime='node'):
        answer = self.run_artifact(self.build(files, handler, runtime), handler=handler)
        self.assertTrue(answer.ok, answer)
        return answer.value

    def refused(self, files, status=INVALID):
        with self.assertRaises(Refused) as caught:
            self.build(files)
        self.assertEqual(status, caught.exception.status, (str(caught.exception), self.plugin.log))
        return caught.exception

    def uses(self, name='left', **more):
        return {'index.js': f'const it = require("{name}");\nfunction handler() {{ return it; }}\n', **more}

    def lock(self, packages):
        """A lock as npm makes it for these, with addresses of the registry."""
        self.build(self.uses(**{'package.json': packages}))
        return next(iter(self.plugin.locks.values())).decode()


class Install(PackagesTest):
    def test_a_package_and_what_it_needs(self):
        self.assertEqual('right, left 1', self.result(self.uses('right', **{'package.json': manifest(right='1')})))
        self.assertEqual([['install', '--package-lock-only'], ['ci', '--prefer-offline']],
                         [tool[3:5] for tool in self.plugin.tools])
        self.assertTrue(any('right' in line for line in self.plugin.log), self.plugin.log)

    def test_modules_and_scopes(self):
        self.assertEqual(['es', 3], self.result({
            'index.mjs': 'import es, { named } from "@scope/es";\nexport const handler = () => [es, named];\n',
            'package.json': manifest(**{'@scope/es': '^1'})}))

    def test_versions_side_by_side(self):
        one = self.build(self.uses(**{'package.json': manifest(left='1')}))
        two = self.build(self.uses(**{'package.json': manifest(left='2')}))
        self.assertEqual(['left 1', 'left 2'], [self.run_artifact(a).value for a in (one, two)])

    def test_the_same_again_starts_nothing(self):
        files = self.uses(**{'package.json': manifest(left='1')})
        self.build(files)
        self.registry.close()
        self.assertEqual('left 1', self.result({**files, 'index.js': files['index.js'] + '// changed\n'}))
        self.assertEqual([], self.plugin.tools)
        other = json.dumps({'name': 'other', 'version': '7.0.0', 'dependencies': {'left': '1'}})
        self.assertEqual('left 1', self.result({**files, 'package.json': other}))
        self.assertEqual(([], 1), (self.plugin.tools, self.plugin.layers_made))

    def test_a_new_manifest_is_resolved_anew(self):
        self.build(self.uses(**{'package.json': manifest(left='1')}))
        self.assertEqual('left 2', self.result(self.uses(**{'package.json': manifest(left='2')})))

    def test_the_lock_names_no_registry(self):
        lock = self.lock(manifest(right='1'))
        self.assertNotIn('127.0.0.1', lock)
        self.assertIn('sha512-', lock)

    def test_a_lock_of_the_users(self):
        lock = json.loads(self.lock(manifest(left='*')))
        self.assertEqual('2.0.0', lock['packages']['node_modules/left']['version'])
        old = self.registry.packages['left']['1.0.0']['dist']
        lock['packages']['node_modules/left'] = {'version': '1.0.0', 'resolved': old['tarball'],
                                                 'integrity': old['integrity']}
        for name in ('package-lock.json', 'npm-shrinkwrap.json'):
            self.plugin.locks = {}
            self.assertEqual('left 1', self.result(self.uses(**{'package.json': manifest(left='*'),
                                                                name: json.dumps(lock)})))
            self.assertEqual({}, self.plugin.locks, 'it is a source; nobody has to keep it')

    def test_a_lock_of_something_else(self):
        refused = self.refused(self.uses(**{'package.json': manifest(left='1', right='1'),
                                            'package-lock.json': self.lock(manifest(left='1'))}))
        self.assertIn('right', str(refused))
        self.assertIn('lock', refused.hint)
        self.assertIn(('package.json', 4), [d[:2] for d in self.plugin.diagnostics])

    def test_the_layer_is_node_modules_and_no_more(self):
        artifact = self.build(self.uses(**{'package.json': manifest(right='1')}))
        link = os.path.join(artifact, 'node_modules')
        self.assertTrue(os.path.islink(link))
        layer = os.path.realpath(os.path.join(link, '..'))
        self.assertEqual(['node_modules'], os.listdir(layer))
        self.assertEqual(['left', 'right'], sorted(n for n in os.listdir(link) if not n.startswith('.bin')))

    def test_packages_under_files_lack_one_that_is_asked_for(self):
        files = self.uses(**{'package.json': manifest(left='1', right='1'), 'node_modules/left/index.js': ''})
        refused = self.refused(files)
        self.assertIn('it lacks right', str(refused))
        self.assertIn('node_modules/', refused.hint)
        self.assertEqual([('package.json', 4, 'right is asked for, and is not in node_modules/')],
                         [(d[0], d[1], d[4]) for d in self.plugin.diagnostics])
        # What may be missing may be missing.
        package = json.dumps({'dependencies': {'left': '1'}, 'optionalDependencies': {'right': '1'},
                              'peerDependencies': {'right': '1'}, 'devDependencies': {'right': '1'}})
        self.build({**files, 'package.json': package})
        self.assertEqual([], self.plugin.tools)

    def test_packages_under_files_need_no_npm(self):
        files = self.uses(**{'package.json': manifest(left='1'), 'node_modules/left/index.js': 'module.exports = 7;'})
        self.assertEqual(7, self.result(files))
        self.assertEqual(([], []), (self.plugin.tools, self.registry.requests))

    def test_nothing_asked_for(self):
        for package in ('{}', '{"name": "x", "dependencies": {}}', '{"devDependencies": {"left": "1"}}'):
            artifact = self.build({'index.js': 'function handler() { return 1; }', 'package.json': package})
            self.assertEqual([], self.plugin.tools)
            self.assertFalse(os.path.lexists(os.path.join(artifact, 'node_modules')))

    def test_developers_packages_stay_away(self):
        package = json.dumps({'dependencies': {'left': '1'}, 'devDependencies': {'@scope/es': '1'}})
        artifact = self.build(self.uses(**{'package.json': package}))
        self.assertTrue(os.path.exists(artifact + '/node_modules/left'))
        self.assertFalse(os.path.exists(artifact + '/node_modules/@scope/es'))

    def test_mistakes_in_the_code_come_before_npm(self):
        self.refused({'index.js': 'function handler( {', 'package.json': manifest(left='1')})
        self.assertEqual([], self.plugin.tools)

    def test_without_npm(self):
        self.plugin = self.start({'npm': '/nonexistent/npm-cli.js'})
        refused = self.refused(self.uses(**{'package.json': manifest(left='1')}), UNAVAILABLE)
        self.assertIn('apt install npm', refused.hint)
        self.assertEqual(7, self.result({'index.js': 'function handler() { return 7; }', 'package.json': '{}'}))


class Failures(PackagesTest):
    def test_no_such_package(self):
        refused = self.refused(self.uses('nosuch', **{'package.json': manifest(left='1', nosuch='1')}))
        self.assertIn('nosuch', str(refused))
        self.assertNotIn('127.0.0.1', str(refused))
        self.assertEqual([('package.json', 4)], [d[:2] for d in self.plugin.diagnostics])

    def test_no_such_version(self):
        refused = self.refused(self.uses(**{'package.json': manifest(left='^99.1')}))
        self.assertIn('no version of left is ^99.1', str(refused))
        self.assertEqual([('package.json', 3)], [d[:2] for d in self.plugin.diagnostics])

    def test_another_archive_than_locked(self):
        packages = manifest(left='2')
        lock = self.lock(packages)
        self.registry.corrupt('left', '2.0.0')
        self.plugin = self.start()
        refused = self.refused(self.uses(**{'package.json': packages, 'package-lock.json': lock}))
        self.assertIn('left is not what the lock file says', str(refused))
        self.assertEqual(0, self.plugin.layers_made)

    def test_nobody_answers(self):
        self.plugin.network = False
        files = self.uses(**{'package.json': manifest(left='1')})
        refused = self.refused(files, INVALID)
        self.assertIn('cannot be reached', str(refused))
        self.assertIn('build.network', refused.hint)

    def test_a_registry_that_stays_silent(self):
        with silence() as url:
            login = url.replace('//', '//somebody:secret0123456789@')
            self.environ({'npm_config_registry': login})
            self.plugin = self.start({'registry_timeout': '1'})
            refused = self.refused(self.uses(**{'package.json': manifest(left='1')}))
        self.assertIn(f'the package registry {url[7:-1]} does not answer', str(refused))
        self.assertIn('registry_timeout', refused.hint)
        self.assertNotIn('secret0123456789', str(refused) + refused.hint + '\n'.join(self.plugin.log))
        # It was not asked for ever.
        self.assertEqual(1, len(self.plugin.tools))

    def test_a_registry_that_stays_silent_and_an_old_lock(self):
        files = self.uses(**{'package.json': manifest(left='1')})
        self.build(files)
        locks, work = self.plugin.locks, self.plugin.work
        with silence() as url:
            self.environ({'npm_config_registry': url})
            self.plugin = self.start({'registry_timeout': '1'})
            self.plugin.locks, self.plugin.old_locks = locks, True
            refused = self.refused(files)
            self.assertIn('does not answer', str(refused))
            self.assertEqual([['install', '--package-lock-only']], [tool[3:5] for tool in self.plugin.tools],
                             'without the layer the silence is not waited for again')
            shutil.copytree(os.path.join(work, 'layers'), os.path.join(self.plugin.work, 'layers'), symlinks=True,
                            dirs_exist_ok=True)
            self.assertEqual('left 1', self.result(files))
            self.assertIn('does not answer', self.plugin.diagnostics[0][4])

    def test_a_timeout_that_is_no_number(self):
        with self.assertRaises(Refused) as caught:
            self.start({'registry_timeout': '20s'})
        self.assertEqual(UNAVAILABLE, caught.exception.status)
        self.assertIn('executor.node.registry_timeout is "20s"', str(caught.exception))

    def test_nobody_answers_and_there_is_an_old_lock(self):
        files = self.uses(**{'package.json': manifest(left='1')})
        self.build(files)
        self.plugin.network, self.plugin.old_locks = False, True
        self.assertEqual('left 1', self.result(files))
        self.assertEqual('warning', self.plugin.diagnostics[0][3])
        self.assertTrue([line for line in self.plugin.log if line.startswith('warning: ')])

    def test_what_is_not_from_a_registry(self):
        for spec, word in (('file:../x', 'folder'), ('./lib', 'folder'), ('git+https://x.org/y.git', 'git'),
                           ('user/repo', 'git'), ('github:user/repo', 'git'), ('https://x.org/y.git#v1', 'git'),
                           ('git@x.org:y/z.git', 'git'), ('workspace:*', 'folder')):
            with self.subTest(spec):
                refused = self.refused(self.uses('x', **{'package.json': manifest(x=spec)}))
                self.assertIn(word, str(refused))
                self.assertEqual([('package.json', 3)], [d[:2] for d in self.plugin.diagnostics])
        self.assertEqual([], self.plugin.tools)

    def test_git_behind_the_first_package(self):
        self.registry.add('sly', '1.0.0', '', dependencies={'x': 'git+file:///etc'})
        refused = self.refused(self.uses('sly', **{'package.json': manifest(sly='1')}))
        self.assertIn('git', str(refused))

    def test_a_manifest_that_is_no_json(self):
        self.assertIn('package.json', str(self.refused(self.uses(**{'package.json': '{"a": 1,}'}))))
        self.assertEqual('package.json', self.plugin.diagnostics[0][0])

    def test_versions_that_exclude_each_other(self):
        self.registry.add('picky', '1.0.0', '', peerDependencies={'left': '1'})
        refused = self.refused(self.uses(**{'package.json': manifest(left='2', picky='1')}))
        self.assertRegex(str(refused), 'exclude.*left@"?2.*peer left@"?1"? from picky')
        self.assertNotIn('undefined', str(refused))
        self.assertEqual('left 2', self.result(self.uses(**{'package.json': manifest(left='2', picky='1'),
                                                            '.npmrc': 'legacy-peer-deps=true\n'})))


class Pinned(PackagesTest):
    """What functions share is decided by what they asked for, whoever of them came first."""

    def setUp(self):
        super().setUp()
        self.evil = Registry()
        self.addCleanup(self.evil.close)
        self.evil.add('left', '1.0.0', 'module.exports = "evil";')
        self.evil.add('right', '1.0.0', 'module.exports = "evil";', dependencies={'left': '^1.0.0'})

    def locked(self, entry, name='package-lock.json', **more):
        """A function with a lock that has `entry` for left."""
        lock = {'name': 'x', 'lockfileVersion': 3, 'requires': True,
                'packages': {'': {'dependencies': {'left': '1'}}, 'node_modules/left': entry, **more}}
        return self.uses(**{'package.json': manifest(left='1'), name: json.dumps(lock, indent=1)})

    def entry(self, registry=None, name='left', **more):
        dist = (registry or self.registry).packages[name]['1.0.0']['dist']
        return {'version': '1.0.0', 'resolved': dist['tarball'], 'integrity': dist['integrity'], **more}

    def test_a_lock_without_checksums(self):
        for integrity in None, '', 'none', 'sha512-', 'sha512-AAAA', 'md5-1B2M2Y8AsgTpgAmY7PhCfg==':
            for name in 'package-lock.json', 'npm-shrinkwrap.json':
                with self.subTest(integrity=integrity, name=name):
                    entry = self.entry()
                    del entry['integrity']
                    if integrity is not None:
                        entry['integrity'] = integrity
                    refused = self.refused(self.locked(entry, name))
                    self.assertIn(name + ': node_modules/left has no checksum', str(refused))
                    self.assertIn('npm install --package-lock-only', refused.hint)
                    self.assertEqual([(name, 11, 3)], [d[:3] for d in self.plugin.diagnostics])
        self.assertEqual([], self.plugin.tools)

    def test_all_of_them_are_named(self):
        refused = self.refused(self.locked({'version': '1.0.0'}, **{'node_modules/right': {'version': '1.0.0'}}))
        self.assertIn('(and 1 more)', str(refused))
        self.assertEqual(2, len(self.plugin.diagnostics))

    def test_the_form_of_npm_6(self):
        lock = {'name': 'x', 'lockfileVersion': 1, 'requires': True,
                'dependencies': {'left': {'version': '1.0.0', 'dependencies': {'right': {'version': '1.0.0'}}}}}
        files = self.uses(**{'package.json': manifest(left='1'), 'package-lock.json': json.dumps(lock)})
        self.refused(files)
        self.assertEqual(['node_modules/left', 'node_modules/left/node_modules/right'],
                         [d[4].split()[0] for d in self.plugin.diagnostics])
        lock['dependencies'] = {'left': self.entry()}
        self.assertEqual('left 1', self.result({**files, 'package-lock.json': json.dumps(lock)}))

    def test_what_needs_no_checksum(self):
        bundled = {'node_modules/left/node_modules/inner': {'version': '1.0.0', 'inBundle': True}}
        own = {'node_modules/mine': {'resolved': 'mine', 'link': True}, 'mine': {'version': '1.0.0'}}
        dev = {'node_modules/tool': {'version': '1.0.0', 'dev': True}}
        for more in bundled, own, dev:
            with self.subTest(more):
                try:
                    self.build(self.locked(self.entry(), **more))
                except Refused as refused:  # npm may have its own opinion
                    self.assertNotIn('checksum', str(refused))
                self.assertNotEqual([], self.plugin.tools)
        outside = {'node_modules/mine': {'resolved': '../mine', 'link': True}}
        self.assertIn('node_modules/mine has no checksum', str(self.refused(self.locked(self.entry(), **outside))))
        top = {'node_modules/inner': {'version': '1.0.0', 'inBundle': True}}
        self.assertIn('node_modules/inner has no checksum', str(self.refused(self.locked(self.entry(), **top))))

    def test_another_registry_is_another_layer(self):
        files = self.locked(self.entry())
        self.build(files)
        self.build({**files, '.npmrc': f'registry={self.evil.url}\n'})
        self.assertEqual(2, self.plugin.layers_made)
        self.build({**files, '.npmrc': 'color=always\n'})
        self.assertEqual(2, self.plugin.layers_made, 'what does not count does not count')

    def test_how_npm_reads_a_lock_is_part_of_what_it_says(self):
        files = self.locked(self.entry())
        for made, (old, new) in enumerate((('"x"', '"another name"'), ('"lockfileVersion": 3', '"lockfileVersion": 2'),
                                           ('"left": "1"', '"left": "*"')), 1):
            self.build(files)
            self.build({**files, 'package-lock.json': files['package-lock.json'].replace(old, new)})
            self.assertEqual(made, self.plugin.layers_made, new)

    def test_a_package_that_is_said_to_be_for_developers(self):
        """An entry that npm, having found the lock a little wrong, takes for one of the function's own."""
        sly = {'': {'dependencies': {'right': '1', 'gone': '1'}},
               'node_modules/right': self.entry(name='right', dependencies={'left': '^1.0.0'}),
               'node_modules/right/node_modules/left': self.entry(self.evil, dev=True)}
        honest = {'': {'dependencies': {'right': '1'}}, 'node_modules/right': sly['node_modules/right']}
        files = {name: self.uses('right', **{
            'package.json': manifest(right='1'), 'package-lock.json': json.dumps(
                {'lockfileVersion': 3, 'requires': True, 'packages': {**packages, 'node_modules/left': self.entry()}})})
            for name, packages in (('sly', sly), ('honest', honest))}
        try:
            self.build(files['sly'])
        except Refused:
            pass
        self.assertEqual('right, left 1', self.result(files['honest']))

    def test_members_that_stand_there_twice(self):
        good, bad = (json.dumps({'node_modules/left': self.entry(registry)}) for registry in (self.registry, self.evil))
        lock = '{"lockfileVersion": 3, "packages": %s, "packages": %s}' % (good, bad)
        refused = self.refused(self.uses(**{'package.json': manifest(left='1'), 'package-lock.json': lock}))
        self.assertIn('package-lock.json has "packages" twice', str(refused))
        package = '{"dependencies": {"left": "1"}, "dependencies": {"left": "npm:right@1"}}'
        self.assertIn('package.json has "dependencies" twice', str(self.refused(self.uses(**{'package.json': package}))))
        self.assertEqual([], self.plugin.tools)


class Scripts(PackagesTest):
    def script(self, source, name='built', **more):
        self.registry.add(name, '1.0.0', 'module.exports = require("./made.json");', {'make.js': source},
                          scripts={'install': 'node make.js'}, **more)
        return self.uses(name, **{'package.json': manifest(**{name: '1'})})

    def test_they_run_after_everything_was_fetched(self):
        files = self.script('require("fs").writeFileSync("made.json", JSON.stringify(process.env));')
        seen = self.result(files)
        self.assertFalse([n for n in seen if 'registry' in n.lower() and '127.0.0.1' in seen[n]], seen)
        fetching, running = self.plugin.runs[:2], self.plugin.runs[2]
        self.assertEqual([True, True, False], [run.network for run in self.plugin.runs])
        self.assertIn('--ignore-scripts', fetching[0].argv)
        self.assertIn('--ignore-scripts', fetching[1].argv)
        self.assertEqual('rebuild', running.argv[2])
        self.assertEqual(['npm/nothing'], running.scratch)
        self.assertEqual(1, len(running.writable), running.writable)
        self.assertIn('/layers/', running.writable.pop())

    def test_one_that_fails(self):
        refused = self.refused(self.script('console.log("I cannot"); process.exit(3);'))
        self.assertIn('built', str(refused))
        self.assertIn('I cannot', str(refused))
        self.assertEqual(('package.json', 3), self.plugin.diagnostics[0][:2])
        self.assertEqual(0, self.plugin.layers_made)

    def test_one_that_needs_a_compiler(self):
        refused = self.refused(self.script(
            'console.error("gyp info it worked\\ngyp ERR! stack Error: not found: make\\ngyp ERR! not ok"); process.exit(1);'))
        self.assertTrue(str(refused).endswith(': not found: make'), refused)
        self.assertIn('no compiler', refused.hint)

    def test_one_that_wants_the_network(self):
        refused = self.refused(self.script(
            'throw Object.assign(new Error("getaddrinfo EAI_AGAIN example.org"), { code: "EAI_AGAIN" });'))
        self.assertIn('install_scripts_network', refused.hint)
        self.assertIn('EAI_AGAIN example.org', str(refused))

    def test_an_optional_one_may_fail(self):
        self.script('process.exit(3);')
        self.registry.add('user', '1.0.0', 'module.exports = "works";', optionalDependencies={'built': '1'})
        self.assertEqual('works', self.result(self.uses('user', **{'package.json': manifest(user='1')})))

    def test_they_can_be_forbidden(self):
        self.plugin = self.start({'install_scripts': 'false'})
        artifact = self.build(self.script('require("fs").writeFileSync("made.json", "1");'))
        self.assertEqual(2, len(self.plugin.tools))
        self.assertFalse(os.path.exists(artifact + '/node_modules/built/made.json'))
        self.assertIn('built', self.plugin.diagnostics[0][4])

    def test_they_can_have_the_network(self):
        self.plugin = self.start({'install_scripts_network': 'true'})
        self.result(self.script('require("fs").writeFileSync("made.json", "1");'))
        self.assertEqual([True, True, True], [run.network for run in self.plugin.runs])

    def test_the_log_names_what_was_fetched(self):
        self.build(self.uses(**{'package.json': manifest(right='1')}))
        self.assertEqual(['Resolving packages', 'Fetching packages'], [line for line in self.plugin.log if 'packages' in line][:2])
        self.assertIn('fetched left-1.0.0.tgz', self.plugin.log)
        self.assertNotIn('http', str(self.plugin.log))

    def test_packages_without_any_start_nothing(self):
        self.build(self.uses(**{'package.json': manifest(left='1')}))
        self.assertEqual(2, len(self.plugin.tools))


class Operator(PackagesTest):
    token = TOKEN

    def setUp(self):
        super().setUp()
        self.home = tempfile.mkdtemp(dir=self.folder)
        self.environ({'HOME': self.home, 'MY_TOKEN': TOKEN, 'npm_config_registry': ''})
        self.authority = self.home + '/authority.pem'
        with open(self.authority, 'w') as file:
            file.write('')
        with open(self.home + '/.npmrc', 'w') as file:
            file.write(f'registry={self.registry.url}\n//{self.registry.host}/:_authToken=${{MY_TOKEN}}\n'
                       'script-shell=/bin/evil\nprefix=/elsewhere\n; a comment\n//x.org/:certfile=~/authority.pem\n')
        self.plugin = self.start()

    def test_the_token_is_used_and_not_told(self):
        files = self.uses(**{'package.json': manifest(left='1')})
        artifact = self.build(files)
        self.assertEqual('left 1', self.run_artifact(artifact).value)
        for run in self.plugin.runs:
            self.assertNotIn(TOKEN, str(run.argv))
        self.assertNotIn(TOKEN, str(self.plugin.log))
        self.assertNotIn(TOKEN, str(self.plugin.locks))
        self.assertIn((self.authority, self.authority), self.plugin.mounts)
        for folder in (artifact, self.plugin.work + '/layers'):
            for where, _, names in os.walk(folder):
                for name in names:
                    with open(os.path.join(where, name), 'rb') as file:
                        content = file.read()
                    self.assertNotIn(TOKEN.encode(), content, name)
                    self.assertNotIn(self.registry.host.encode(), content, name)

    def test_only_what_leads_to_packages_counts(self):
        config = self.plugin.found['config']['user']
        self.assertIn(TOKEN, config)
        self.assertNotIn('evil', config)
        self.assertNotIn('elsewhere', config)

    def test_scripts_do_not_see_it(self):
        self.registry.add('spy', '1.0.0', 'module.exports = require("./made.json");', {'make.js': '''
            const fs = require("fs"), seen = [process.env];
            const walk = (f) => { for (const e of fs.readdirSync(f, { withFileTypes: true })) {
                if (e.isDirectory()) walk(f + "/" + e.name); else seen.push(fs.readFileSync(f + "/" + e.name, "utf8")); } };
            walk(process.env.SCRATCH || "SCRATCH");
            fs.writeFileSync("made.json", JSON.stringify(seen));'''.replace('"SCRATCH"', json.dumps(self.folder))},
                          scripts={'install': 'node make.js'})
        self.build(self.uses('spy', **{'package.json': manifest(spy='1')}))
        scripts = self.plugin.runs[2]
        self.assertEqual('rebuild', scripts.argv[2])
        self.assertNotIn(self.registry.host, str(scripts.environment))
        self.assertEqual(['npm/nothing'], scripts.scratch)
        covered = [source for source, target in self.plugin.mounts if target == self.authority]
        self.assertTrue(covered[-1].endswith('/npm/nothing'), covered)

    def test_a_password_in_an_address_is_not_told(self):
        self.registry.token = None
        with open(self.home + '/.npmrc', 'w') as file:
            file.write('registry=http://me:pass4711@%s/\n' % self.registry.host)
        self.plugin = self.start()
        self.build(self.uses(**{'package.json': manifest(left='1')}))
        self.refused(self.uses(**{'package.json': manifest(nosuch='1')}))
        told = str((self.plugin.log, self.plugin.diagnostics, self.plugin.locks, [run.argv for run in self.plugin.runs]))
        self.assertNotIn('pass4711', told)

    def test_without_the_token(self):
        os.environ['MY_TOKEN'] = 'wrong'
        self.plugin = self.start()
        refused = self.refused(self.uses(**{'package.json': manifest(left='1')}), FAILED)
        self.assertIn('refused', str(refused))
        self.assertNotIn('wrong', str(self.plugin.log))

    def test_a_function_cannot_lead_the_token_elsewhere(self):
        other = Registry()
        self.addCleanup(other.close)
        other.add('left', '1.0.0', 'module.exports = "theirs";')
        seen = []
        handler = other.server.RequestHandlerClass
        answer = handler.do_GET
        handler.do_GET = lambda request: (seen.append(str(request.headers) + request.path), answer(request))[1]
        files = self.uses(**{'package.json': manifest(left='1'), '.npmrc':
                             f'registry={other.url}\n//{other.host}/:_authToken=${{MY_TOKEN}}\nproxy={other.url}\n'
                             f'git=/bin/sh\nscript-shell=/bin/sh\n'})
        self.assertEqual('theirs', self.result(files), 'a registry of its own is fine')
        self.assertTrue(seen)
        self.assertNotIn(TOKEN, ''.join(seen))


class Sugar(PackagesTest):
    def test_what_becomes_of_it(self):
        name, content = self.plugin.write_dependencies(['right@1', 'left', '@scope/es@^1.2 || 2', 'JSONStream@latest'])
        self.assertEqual('package.json', name)
        self.assertEqual({'right': '1', 'left': '*', '@scope/es': '^1.2 || 2', 'JSONStream': 'latest'},
                         json.loads(content)['dependencies'])
        self.assertEqual('right, left 1', self.result(self.uses('right', **{
            name: self.plugin.write_dependencies(['right@1'])[1]})))

    def test_what_makes_no_sense(self):
        for entry in ('', '@', 'a b', 'left@', 'left@;rm', 'https://x.org/y.tgz', 'file:../x', './x', '/x', 'user/repo',
                      'git@x.org:y/z', 'x@git+https://x.org/y', 'x@npm:y@1', '../x', '.x', '_x', '-x', 'x@../y',
                      'node_modules', 'a' * 215, '@scope', '@scope/', 'left\n@1', '--help', 'größe'):
            with self.subTest(entry):
                with self.assertRaises(Refused) as caught:
                    self.plugin.write_dependencies(['right', entry])
                self.assertEqual(INVALID, caught.exception.status)
                self.assertIn(json.dumps(entry[:100], ensure_ascii=False)[1:-1], str(caught.exception))
        with self.assertRaises(Refused) as caught:
            self.plugin.write_dependencies(['left@1', 'left@2'])
        self.assertIn('second time', str(caught.exception))


@unittest.skipUnless(HAS_ESBUILD, 'esbuild is not installed')
class TypeScriptProjects(PackagesTest):
    files = {'tsconfig.json': '{ // as people write it\n"compilerOptions": {"baseUrl": ".", "paths": {"@lib/*": ["lib/*"]}},}',
             'index.ts': 'import left from "left";\nimport { shout } from "@lib/shout";\nimport data from "./data.json";\n'
                         'export async function handler(event: { fail?: boolean }): Promise<unknown> {\n'
                         '    const later = await import("./" + "later");\n'
                         '    return [shout(left, event.fail), data.seven, later.default];\n}\n',
             'lib/shout.ts': 'interface Unused {\n    a: string;\n}\n\nexport function shout(s: string, fail = false): string {\n'
                             '    if (fail) throw new RangeError(s);\n    return s.toUpperCase();\n}\n',
             'later.ts': 'const later: string = "later";\nexport default later;\n', 'data.json': '{"seven": 7}',
             'package.json': manifest(left='1')}

    def test_paths_packages_and_data(self):
        artifact = self.build(self.files)
        self.assertEqual(['LEFT 1', 7, 'later'], self.run_artifact(artifact).value)

    def test_stacks_point_at_the_users_files(self):
        error = self.run_artifact(self.build(self.files), b'{"fail": true}').document
        self.assertIn('lib/shout.ts:6:', error['stack'][0])
        self.assertIn('index.ts:6:', error['stack'][1])

    def test_a_package_that_is_a_module_only(self):
        self.registry.add('pure', '1.0.0', '', {'index.mjs': 'export const four = 4;'}, exports='./index.mjs')
        source = 'export async function handler(): Promise<number> { return (await import("pure")).four; }\n'
        self.assertEqual(4, self.result({'index.ts': source, 'package.json': manifest(pure='1')}))
        answer = self.run_artifact(self.build({'index.ts': 'export async function handler() { return require("pure").four; }',
                                               'package.json': manifest(pure='1')}))
        if not answer.ok:  # Node.js until 20.18
            self.assertEqual('ModuleNotLoadable', answer.document['type'])
            self.assertIn('import(', answer.document['hint'])

    def test_a_package_that_nobody_asked_for(self):
        self.refused({**self.files, 'lib/shout.ts': 'import x from "right";\nexport const shout = x;\n'})
        error = self.plugin.diagnostics[0]
        self.assertEqual(('lib/shout.ts', 1), error[:2])
        self.assertIn('"dependencies": ["right"]', error[4])


if __name__ == '__main__':
    unittest.main()
