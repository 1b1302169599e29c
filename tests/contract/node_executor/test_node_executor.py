"""The Node.js executor, driven through its shared library as the platform drives it.

    CF_PLUGINS=<build>/executors python3 -m unittest test_node_executor      (in this folder)
"""
import os
import shutil
import stat
import subprocess
import tempfile
import unittest

from plugin_host import INVALID, NOT_PREWARMED, UNAVAILABLE, Plugin, Refused

PLUGINS = os.environ.get('CF_PLUGINS', '')
HAS_ESBUILD = shutil.which('esbuild') is not None
HELLO = 'function handler(event, context) {\n    return { hello: event };\n}\n'


@unittest.skipUnless(os.path.exists(os.path.join(PLUGINS, 'node.so')), 'CF_PLUGINS names no folder with node.so')
@unittest.skipUnless(shutil.which('node'), 'there is no node on PATH')
class NodeExecutor(unittest.TestCase):
    properties = {}

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='node-executor-')
        self.addCleanup(shutil.rmtree, self.folder)
        self.plugin = Plugin(PLUGINS, 'node', self.properties)
        self.addCleanup(self.plugin.close)

    def build(self, files, handler='handler', runtime='node'):
        if isinstance(files, str):
            files = {'index.ts' if runtime == 'typescript' else 'index.js': files}
        artifact = tempfile.mkdtemp(dir=self.folder)
        self.plugin.prepare(files, artifact, handler, runtime)
        return artifact

    def result(self, files, event=b'{}', handler='handler', runtime='node'):
        """What a built function answers."""
        artifact = self.build(files, handler, runtime)
        worker = self.plugin.start()
        self.addCleanup(worker.close)
        answer = worker.load(artifact, handler)
        self.assertTrue(answer.ok, answer)
        answer = worker.invoke(event)
        self.assertTrue(answer.ok, answer)
        return answer.value

    def refused(self, files, handler='handler', runtime='node'):
        with self.assertRaises(Refused) as caught:
            self.build(files, handler, runtime)
        self.assertEqual(INVALID, caught.exception.status, caught.exception)
        return [d for d in self.plugin.diagnostics if d[3] == 'error']


class Probe(NodeExecutor):
    def program(self, text):
        path = os.path.join(tempfile.mkdtemp(dir=self.folder), 'program')
        with open(path, 'w') as file:
            file.write('#!/bin/sh\n' + text)
        os.chmod(path, 0o755)
        return path

    def test_finds_what_node_says_of_itself(self):
        path, version = subprocess.check_output(
            ['node', '-p', 'process.execPath + " " + process.versions.node'], text=True).split()
        self.assertEqual((path, version), (self.plugin.found['path'], self.plugin.found['version']))
        self.assertEqual(HAS_ESBUILD, bool(self.plugin.found['esbuild']))
        self.assertRegex(self.plugin.found['compatibility'], r'^\d+ linux \w+$')

    def test_a_shell_shim_in_front_of_node(self):
        plugin = Plugin(PLUGINS, 'node', {'path': self.program('exec %s "$@"' % shutil.which('node'))})
        self.addCleanup(plugin.close)
        self.assertEqual(self.plugin.found['path'], plugin.found['path'])

    def test_what_is_too_old_missing_or_broken(self):
        for path, word in ((self.program('printf "/x/node\\n12.22.9\\n"'), '14'),
                           ('/nonexistent/node', '/nonexistent/node'), (self.program('exit 1'), 'does not run')):
            with self.assertRaises(Refused) as caught:
                Plugin(PLUGINS, 'node', {'path': path})
            self.assertEqual(UNAVAILABLE, caught.exception.status)
            self.assertIn(word, str(caught.exception))
            self.assertIn('apt install nodejs', caught.exception.hint)

    def test_a_node_that_workers_may_not_run(self):
        copy = os.path.join(self.folder, 'node')
        shutil.copy(os.path.realpath(shutil.which('node')), copy)
        os.chmod(copy, stat.S_IRWXU)
        with self.assertRaises(Refused) as caught:
            Plugin(PLUGINS, 'node', {'path': copy})
        self.assertIn('chmod', caught.exception.hint)

    def test_javascript_works_without_esbuild(self):
        plugin = Plugin(PLUGINS, 'node', {'esbuild': '/nonexistent/esbuild'})
        self.addCleanup(plugin.close)
        self.assertEqual('', plugin.found['esbuild'])
        plugin.prepare({'index.js': HELLO}, tempfile.mkdtemp(dir=self.folder))
        with self.assertRaises(Refused) as caught:
            plugin.prepare({'index.ts': HELLO}, tempfile.mkdtemp(dir=self.folder))
        self.assertEqual(UNAVAILABLE, caught.exception.status)
        self.assertIn('apt install esbuild', caught.exception.hint)

    def test_manifest_needs_no_toolchain(self):
        plugin = Plugin(PLUGINS, 'node', probe=False)
        self.addCleanup(plugin.close)
        manifest = plugin.describe()
        runtime = manifest['runtimes'][0]
        self.assertEqual('node', runtime['name'])
        aliases = {alias['name']: alias.get('source_file') for alias in runtime['aliases']}
        self.assertEqual({'nodejs': None, 'javascript': None, 'js': None, 'typescript': 'index.ts', 'ts': 'index.ts'},
                         aliases)
        self.assertGreaterEqual(len(runtime['templates']), 5)
        self.assertIn('NODE_OPTIONS', manifest['start_environment'])


class Validate(NodeExecutor):
    def test_sound_handlers(self):
        for files, handler in (({'index.js': ''}, 'handler'), ({'index.ts': ''}, 'handler'),
                               ({'only.js': '', 'a.json': ''}, 'handler'), ({'a/b.mjs': '', 'c.js': ''}, 'a/b.main'),
                               ({'index.js': ''}, 'index.$x_1'), ({'index.js': ''}, 'größe'),
                               ({'lib/x.js': '', 'y.js': '', 'package.json': '{"main": "./lib/x"}'}, 'handler')):
            with self.subTest(handler):
                self.assertEqual([], self.plugin.validate(files, handler))

    def test_handlers_that_cannot_be(self):
        for files, handler in (({'index.js': ''}, '1x'), ({'index.js': ''}, 'a-b'), ({'index.js': ''}, ''),
                               ({'index.js': ''}, 'class'), ({'index.js': ''}, '.x'), ({'index.js': ''}, 'index.'),
                               ({'index.js': ''}, 'other.handler'), ({'a.js': '', 'b.js': ''}, 'handler'),
                               ({'readme.txt': ''}, 'handler'), ({'index.js': ''}, 'a;b')):
            with self.subTest(handler):
                self.assertEqual(1, len(self.plugin.validate(files, handler)))


class Prepare(NodeExecutor):
    def test_javascript_starts_no_process(self):
        self.assertEqual({'hello': {'a': 1}}, self.result(HELLO, b'{"a":1}'))
        self.assertEqual([], self.plugin.tools)

    def test_syntax_errors_have_their_place(self):
        self.assertEqual([('index.js', 2, 19, 'error', "SyntaxError: Unexpected token ';'")],
                         self.refused('function handler(event) {\n    return event +;\n}\n'))
        errors = self.refused({'index.js': HELLO, 'lib/a.js': '}', 'lib/b.mjs': 'export let;'})
        self.assertEqual([('lib/a.js', 1, 1), ('lib/b.mjs', 1, 8)], [e[:3] for e in errors])

    def test_packages_are_taken_as_they_are(self):
        files = {'index.js': 'const x = require("x");\nfunction handler() { return x.y; }',
                 'node_modules/x/index.js': 'exports.y = 7;', 'node_modules/x/broken.js': '}', 'node_modules/x/t.ts': '}'}
        self.assertEqual(7, self.result(files))
        self.assertEqual([], self.plugin.tools)

    def test_modules(self):
        for source in ('export function handler() { return 7; }', 'export default () => 7;',
                       'import fs from "fs";\nfunction handler() { return fs ? 7 : 0; }',
                       'import fs from "fs";\nconst handler = async () => 7; // end',
                       'import fs from "fs";\nconst f = () => 7;\nexport { f as handler };',
                       'const seven = await 7;\nfunction handler() { return seven; }'):
            if 'await 7' in source and int(self.plugin.found['version'].split('.')[0]) < 16:
                continue
            with self.subTest(source):
                self.assertEqual(7, self.result(source))
                self.assertEqual(7, self.result({'index.mjs': source}))
        self.assertEqual([], self.plugin.tools)

    def test_modules_of_several_files(self):
        module = 'import { seven } from "./lib/seven.js";\nfunction handler() { return seven; }'
        self.assertEqual(7, self.result({'index.js': module, 'lib/seven.js': 'export const seven = 7;'}))
        self.assertEqual(7, self.result({'index.js': module, 'lib/seven.js': 'exports.seven = 7;'}))
        self.assertEqual(7, self.result({'index.js': module, 'lib/seven.js': 'export const seven = 7;',
                                         'package.json': '{"name": "x"}'}))
        self.assertEqual(7, self.result({'index.js': module, 'lib/seven.js': 'export const seven = 7;',
                                         'package.json': '{}'}))
        self.assertEqual(7, self.result({'index.js': 'function handler() { return 7; }',
                                         'package.json': '{"type": "module"}'}))

    def test_handler_in_another_file(self):
        files = {'src/util.js': 'function main() { return 7; }', 'index.js': HELLO}
        self.assertEqual(7, self.result(files, handler='src/util.main'))

    def test_other_files_come_along(self):
        files = {'index.js': 'function handler() { return require("fs").readFileSync("a/b.txt", "latin1"); }',
                 'a/b.txt': b'\x00\xff'}
        self.assertEqual('\x00\xff', self.result(files))

    def test_missing_handler_file(self):
        self.refused({'a.js': '', 'b.js': ''})


@unittest.skipUnless(HAS_ESBUILD, 'esbuild is not installed')
class TypeScript(NodeExecutor):
    def test_bare_function(self):
        self.assertEqual(8, self.result('interface N { n: number }\nfunction handler(e: N): number { return e.n * 2; }',
                                        b'{"n":4}', runtime='typescript'))
        self.assertEqual(1, len(self.plugin.tools))

    def test_several_files_of_both_languages(self):
        files = {'main.ts': 'import { a } from "./a";\nimport { b } from "./lib/b.ts";\nimport { c } from "./c.js";\n'
                            'import d = require("./d");\nimport { e } from "./e.mjs";\n'
                            'export const handler = async (n: number): Promise<number> => n + a + b + c + d.d + e;',
                 'a.ts': 'export const a: number = 1;', 'lib/b.ts': 'import { a } from "../a";\nexport const b = a + 1;',
                 'c.ts': 'export enum C { X = 3 }\nexport const c = C.X;', 'd.js': 'exports.d = 4;',
                 'e.mjs': 'export const e = 5;', 'types.d.ts': 'declare const x: number;',
                 'package.json': '{"type": "module"}'}
        self.assertEqual(115, self.result(files, b'100', handler='main.handler'))

    IMPORTS = {
        'index.ts': 'interface N { n: string }\nasync function handler({ n }: N) {\n'
                    '  const names = [n, "nothing"]; let i = 0; const got = import(names[i++]); i = 1;\n'
                    '  const m = await got;\n  return [m.seven ?? m.default.seven, i];\n}\n',
        'util.ts': 'export const seven: number = 7;', 'lib/index.ts': 'export * from "../util";',
        'lib/other.js': 'exports.seven = 7;', 'mod.mjs': 'export { seven } from "./util";', 'seven.json': '{"seven": 7}',
        'script.js': 'exports.handler = () => import("./util");',
        'node_modules/modern/package.json': '{"type": "module", "exports": {"import": "./m.js"}}',
        'node_modules/modern/m.js': 'export const seven = await Promise.resolve(7);',
        'node_modules/classic/index.js': 'exports.seven = 7;', 'node_modules/classic/data.json': '{"seven": 7}',
    }

    def test_import_while_it_runs(self):
        names = ['./util', './util.js', './util.ts', './lib', './lib/other', './lib/other.js', './mod.mjs', './seven.json',
                 'modern', 'classic', 'classic/data.json', './node_modules/classic/index.js']
        for config in ({}, {'tsconfig.json': '{}'}):
            files = dict(self.IMPORTS, **config)
            if config:
                files['index.ts'] = 'export ' + files['index.ts'].split('\n', 1)[1]
            artifact = self.build(files, runtime='typescript')
            worker = self.plugin.start()
            self.addCleanup(worker.close)
            self.assertTrue(worker.load(artifact, 'handler').ok)
            for name in names + ['file://%s/util.ts' % artifact]:
                with self.subTest((name, config)):
                    answer = worker.invoke({'n': name})
                    self.assertTrue(answer.ok, answer)
                    self.assertEqual([7, 1], answer.value)
            for name in ('./nope', 'nope'):
                self.assertEqual('ModuleNotFound', worker.invoke({'n': name}).error)
            static = dict(files, **{'index.ts': 'export const handler = async () => [%s, (await import("./script")).handler()]'
                                                '.reduce(async (sum, m) => await sum + (await m).seven, 0);' % ', '.join(
                                                    'import("%s")' % name for name in names[:7] + ['modern', 'classic'])})
            self.assertEqual(70, self.result(static, runtime='typescript'))

    def test_stacks_point_at_the_users_files(self):
        files = {'index.ts': 'interface A {\n  b: 1;\n}\nexport const handler = async (n: string) => {\n'
                             '  const m = await import("./" + n); await import("./quiet"); return m.fail(n);\n};\n',
                 'quiet.ts': 'export {};', 'util.ts': 'type A =\n  | 1;\nexport const fail = () => {\n  throw new Error("no");\n};\n',
                 'loud.ts': 'type A =\n  | 1;\nthrow new Error("loud" as string);\n',
                 'mod.mjs': 'export const x = 1;\nexport function fail() {\n  throw new Error("no");\n}\n'}
        for config in ({}, {'tsconfig.json': '{}'}):
            artifact = self.build(dict(files, **config), runtime='typescript')
            worker = self.plugin.start()
            self.addCleanup(worker.close)
            worker.load(artifact, 'handler')
            for name, frames in (('util', ['util.ts:4:9', 'index.ts:5:']), ('mod.mjs', ['mod.mjs:3:9', 'index.ts:5:']),
                                 ('loud', ['loud.ts:3:7'])):
                with self.subTest((name, config)):
                    stack = worker.invoke(('"%s"' % name).encode()).document['stack']
                    for line, frame in zip(stack, frames):
                        self.assertIn(frame, line, stack)
                    self.assertNotIn('__importModule', ' '.join(stack))
                    self.assertGreaterEqual(len(stack), len(frames))

    def test_errors_have_their_place(self):
        self.assertEqual([('index.ts', 2, 19)],
                         [e[:3] for e in self.refused('function handler(event: string) {\n    return event +;\n}\n',
                                                      runtime='typescript')])
        errors = self.refused({'index.ts': 'const x: = 1;', 'b.ts': 'let y y;'})
        self.assertEqual(['b.ts', 'index.ts'], sorted(e[0] for e in errors))
        errors = self.refused('await 1;\nexport function handler() {}', runtime='typescript')
        self.assertIn('async', errors[0][4])

    BARE = 'function handler(n: number): string {\n  if (n < 0) throw new RangeError("no");\n  return "entry" + n;\n}\n'

    def test_bare_function_of_a_project(self):
        lib = 'export function handler(): string { return "lib"; }\nconsole.log(handler());\nexport const x: number = 1;\n'
        for entry, source in (('index.ts', 'interface A { a: 1 }\n' + self.BARE),
                              ('index.ts', 'import { x } from "./lib/other";\n' + self.BARE.replace('"entry"', '"entry".repeat(x)')),
                              ('index.ts', 'import * as other from "./lib/other";\nconst handler = async (n: number) => "entry" + n; other'),
                              ('index.ts', 'import other = require("./lib/other");\nlet handler = function (n: number) { return "entry" + n + '
                                           'other.handler().slice(3); }; // the end'),
                              ('src/app.ts', 'import { x } from "../lib/other";\n' + self.BARE + 'console.log(x)'),
                              ('index.js', 'const { x } = require("./lib/other");\nfunction handler(n) { return "entry" + n + "".repeat(x); }'),
                              ('index.ts', 'export { entry as handler } from "./entry";\nfunction handler2() { return 1; }'),
                              ('index.ts', 'import { entry as handler } from "./entry";'),
                              ('index.ts', 'function handler() { return 1; }\nexports.handler = (n: number) => "entry" + n;'),
                              ('index.ts', 'export default (n: number) => "entry" + n;')):
            files = {'tsconfig.json': '{"compilerOptions": {"baseUrl": "."}}', entry: source, 'lib/other.ts': lib,
                     'entry.ts': 'export function entry(n: number) { return "entry" + n; }'}
            with self.subTest(source):
                self.assertEqual('entry7', self.result(files, b'7', handler='src/app.handler' if '/' in entry else 'handler'))
                self.assertEqual([], [d for d in self.plugin.diagnostics])

    def test_places_in_a_bare_function_of_a_project(self):
        files = {'tsconfig.json': '{}', 'index.ts': 'import { x } from "./other";\ninterface A {\n  a: 1;\n}\n' + self.BARE + 'x();',
                 'other.ts': 'interface B {\n  b: 1;\n}\nfunction handler() {}\nexport const x = handler;\n'}
        artifact = self.build(files)
        worker = self.plugin.start()
        self.addCleanup(worker.close)
        self.assertTrue(worker.load(artifact, 'handler').ok)
        document = worker.invoke(b'-1').document
        self.assertEqual(('index.ts', 6, 20), (document['file'], document['line'], document['column']), document)

    def test_a_function_of_another_file_of_a_project_is_not_meant(self):
        artifact = self.build({'tsconfig.json': '{}', 'index.ts': 'import { main } from "./lib";\nexport { main };\n',
                               'lib.ts': 'function handler() { return 1; }\nexport const main = () => handler();\n'})
        worker = self.plugin.start()
        self.addCleanup(worker.close)
        document = worker.load(artifact, 'handler').document
        self.assertEqual('HandlerNotFound', document['type'])
        self.assertIn('main', document['hint'])

    def test_mistakes_in_a_project_are_told_as_without_one(self):
        for source in ('function handler() {\n  return 1;\n', 'function handler() { return f(1, 2\n', 'let handler = `a\n',
                       'const handler = () => 1;\nlet handler = 2;\n', 'function handler() {} /* no end', 'const handler ='):
            with self.subTest(source):
                alone, project = (self.refused(dict(config, **{'index.ts': source}))
                                  for config in ({}, {'tsconfig.json': '{}'}))
                self.assertEqual(alone, project)

    def test_a_broken_configuration_is_blamed_on_itself(self):
        with self.assertRaises(Refused) as caught:
            self.build({'tsconfig.json': '{"compilerOptions": {]}', 'index.ts': 'export const handler = () => 1;'})
        self.assertIn('tsconfig.json: ', str(caught.exception))
        self.assertNotIn('index.ts', str(caught.exception))

    def test_where_package_json_stops_being_json(self):
        for text, line, column, words in (
                ('{"dependencies":{"ms":"^2",}}', 1, 27, 'a comma with nothing behind it'),
                ('{\n  "ü": 1, "a": 2\n  "b": 3\n}', 3, 3, 'a comma is missing'), ('{"a" 1}', 1, 6, 'a colon is missing'),
                ('{"a": [1, 2,\n]}', 1, 12, 'a comma with nothing behind it'), ("{'a': 1}", 1, 2, 'double quotes'),
                ('{"a": 1} x', 1, 10, 'unexpected x'), ('{"a": }', 1, 7, 'a value is missing'), ('{\n"a": {"b": 1}\n', 3, 1, 'a { is never closed'),
                ('{"a": "b}\n', 1, 7, 'never closed'), ('{\n  // why\n  "a": 1}', 2, 3, 'a comment'), ('{"a": undefined}', 1, 7, 'unexpected undefined')):
            with self.subTest(text):
                error, = self.refused({'package.json': text, 'index.js': 'exports.handler = () => 1;'})
                self.assertEqual(('package.json', line, column), error[:3], error)
                self.assertIn(words, error[4])

    def test_a_source_that_is_nested_too_deep_has_no_line(self):
        with self.assertRaises(Refused) as caught:
            self.build({'index.js': 'let x;\n' + 'x=(' * 20000})
        self.assertIn('index.js: SyntaxError: the source is nested too deep', str(caught.exception))

    def test_jsx(self):
        files = {'index.tsx': 'const React = { createElement: (t: string, p: unknown, ...c: string[]) => [t, c] };\n'
                              'export const handler = () => <b>x</b>;'}
        self.assertEqual(['b', ['x']], self.result(files))

    def test_esbuild_elsewhere_is_mounted(self):
        copy = os.path.join(self.folder, 'esbuild')
        shutil.copy(os.path.realpath(shutil.which('esbuild')), copy)
        plugin = Plugin(PLUGINS, 'node', {'esbuild': copy})
        self.addCleanup(plugin.close)
        plugin.prepare({'index.ts': HELLO, 'b.ts': ''}, tempfile.mkdtemp(dir=self.folder))
        self.assertEqual([(copy, copy)], plugin.mounts)


class Launch(NodeExecutor):
    def test_the_generic_worker(self):
        plan = self.plugin.plan()
        self.assertEqual(self.plugin.found['path'], plan.argv[0])
        self.assertNotIn(NOT_PREWARMED, plan.flags)
        self.assertGreaterEqual(plan.flags[2], 100)
        self.assertEqual(1, plan.flags[3])

    def test_what_can_be_prewarmed(self):
        for memory, environment, prewarmed in ((128, {}, True), (64, {'TZ': 'UTC', 'A': 'b'}, True), (1024, {}, True),
                                               (2048, {}, False), (128, {'NODE_OPTIONS': '--no-warnings'}, False),
                                               (128, {'LANG': 'de_DE.UTF-8'}, False)):
            function = self.plugin.function({'index.js': ''}, memory_mb=memory, environment=environment)
            plan = self.plugin.plan(function)
            with self.subTest((memory, environment)):
                self.assertEqual(prewarmed, NOT_PREWARMED not in plan.flags)
                self.assertEqual(prewarmed, plan.argv == self.plugin.plan().argv
                                 and plan.environment == self.plugin.plan().environment)
                for name in ('NODE_OPTIONS', 'LANG'):
                    if name in environment:
                        self.assertEqual(environment[name], plan.environment[name])
                self.assertNotIn('A', plan.environment)

    def test_start_environment_works(self):
        worker = self.plugin.start(self.plugin.function({}, environment={'NODE_OPTIONS': '--stack-trace-limit=1'}))
        self.addCleanup(worker.close)
        artifact = self.build('function handler() { return Error.stackTraceLimit; }')
        worker.load(artifact, 'handler')
        self.assertEqual(1, worker.invoke().value)

    def test_node_outside_of_usr_is_mounted(self):
        copy = os.path.join(self.folder, 'node')
        shutil.copy(os.path.realpath(shutil.which('node')), copy)
        plugin = Plugin(PLUGINS, 'node', {'path': copy})
        self.addCleanup(plugin.close)
        self.assertIn((copy, copy), plugin.plan().mounts)

    def test_ends_explained(self):
        message, hint = self.plugin.describe_exit(-1, 6, 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript'
                                                  ' heap out of memory\n', 2048)
        self.assertIn('2048', message)
        self.assertIn('memory', hint)
        message, hint = self.plugin.describe_exit(1, 0, 'noise\nUncaught TypeError: x is not a function\n    at f')
        self.assertIn('TypeError: x is not a function', message)
        self.assertNotIn('at f', message)
        self.assertIn('await', hint)
        message, _ = self.plugin.describe_exit(7, 0, '')
        self.assertIn('code 7', message)
        self.assertIsNone(self.plugin.describe_exit(-1, 9, ''))
        trace = '----- Native stack trace -----\n\n 1: 0xb8d0a3 node::Abort() [node]\n 2: 0xc5 [node]\n'
        for signal, errors in ((6, trace), (6, ''), (9, trace)):
            message, hint = self.plugin.describe_exit(-1, signal, errors)
            self.assertIn('aborted', message)
            self.assertNotIn('0x', message)
            self.assertIn('process.abort', hint)
        message, hint = self.plugin.describe_exit(-1, 11, '')
        self.assertIn('Segmentation fault', message)
        self.assertIn('native code', hint)


if __name__ == '__main__':
    unittest.main()
