"""How functions in JavaScript and TypeScript are loaded, and what a check of their sources finds."""
import json
import os
import shutil
import subprocess
import unittest

from harness import Frame, encode_items
from node_shim import CONTRACT, FLAGS, Base, every_node, version_of


class Contract(Base):
    """The examples of the function contract, as written."""

    def test_hello(self):
        shim = self.loaded(CONTRACT)
        self.assertEqual({'message': 'Hello from Node.js', 'event': {'a': [1, 'ü']}},
                         shim.invoke({'a': [1, 'ü']}).value)

    def test_fetch_data_without_axios(self):
        answer = self.loaded(CONTRACT, 'fetchData').invoke({})
        self.assertEqual('ModuleNotFound', answer.error)
        self.assertIn("'axios'", answer.document['message'])
        self.assertIn('files', answer.document['hint'])
        self.assertEqual(6, answer.document['line'])

    def test_fetch_data_with_axios_under_files(self):
        files = {'index.js': CONTRACT, 'node_modules/axios/package.json': '{"main": "lib/a.js"}',
                 'node_modules/axios/lib/a.js': 'exports.get = async (url) => ({ data: { url } });'}
        answer = self.loaded(files, 'fetchData').invoke({})
        self.assertEqual({'success': True, 'data': {'url': 'https://api.example.com/data'}}, answer.value)

    def test_fetch_data_catches_its_own_errors(self):
        files = {'index.js': CONTRACT,
                 'node_modules/axios/index.js': 'exports.get = async () => { throw new Error("no route"); };'}
        answer = self.loaded(files, 'fetchData').invoke({})
        self.assertEqual({'success': False, 'error': 'no route'}, answer.value)


class Loading(Base):
    def test_hello_names_the_language_and_its_version(self):
        hello = self.shim().hello()
        self.assertEqual(2, hello['VERSION'])
        self.assertEqual(version_of(self.node), tuple(map(int, hello['LANGUAGE'].split('.'))))
        self.assertGreaterEqual(hello['CONCURRENCY'], 100)

    def test_handler_forms(self):
        for source in ('function handler() { return 7; }', 'const handler = () => 7;', 'let handler = async () => 7',
                       'module.exports.handler = () => 7;', 'exports.handler = function () { return 7; };',
                       'module.exports = { handler() { return 7; } };', 'module.exports = () => 7;',
                       'exports.default = () => 7;', 'exports.default = { handler: () => 7 };',
                       'function handler() { return 7; } // the end', '#!/usr/bin/env node\nvar handler = () => 7',
                       '\ufefffunction handler() { return 7; }', '"use strict"; const handler = () => 7; handler'):
            with self.subTest(source):
                self.assertEqual(7, self.loaded(source).invoke().value)

    def test_export_wins_over_a_private_function_of_the_same_name(self):
        self.assertEqual(2, self.loaded('function handler() { return 1; }\nexports.handler = () => 2;').invoke().value)

    def test_module_forms(self):
        for source in ('export function handler() { return 7; }', 'export const handler = async () => 7;',
                       'export default () => 7;', 'export default { handler: () => 7 };',
                       'import fs from "fs";\nfunction handler() { return fs ? 7 : 0; }\n'
                       'export { handler as __cloudfunction_handler };'):
            with self.subTest(source):
                self.assertEqual(7, self.loaded({'index.mjs': source}).invoke().value)

    def test_module_by_package_type_and_manifest(self):
        files = {'index.js': 'import { two } from "./two.js";\nexport const handler = () => two + 5;',
                 'two.js': 'export const two = 2;', 'package.json': '{"type": "module"}',
                 '.cloudfunction.json': '{"entry": "index.js", "name": "handler", "module": true}'}
        self.assertEqual(7, self.loaded(files).invoke().value)

    def test_handler_in_a_file_of_its_own(self):
        files = {'src/util.js': 'exports.main = () => require("../data.json").seven + require("./other").zero;',
                 'src/other.js': 'exports.zero = 0;', 'data.json': '{"seven": 7}'}
        self.assertEqual(7, self.loaded(files, 'src/util.main').invoke().value)

    def test_files_are_found_relative_to_the_function(self):
        files = {'index.js': 'const handler = () => require("fs").readFileSync("a.txt", "utf8") + __filename;',
                 'a.txt': 'text '}
        self.assertEqual('text ' + os.path.join(self.folder, 'index.js'), self.loaded(files).invoke().value)

    def test_dynamic_import(self):
        files = {'index.js': 'const handler = async () => (await import("./m.mjs")).seven;',
                 'm.mjs': 'export const seven = 7;'}
        self.assertEqual(7, self.loaded(files).invoke().value)

    def test_environment(self):
        shim = self.loaded('const atLoad = process.env.A; function handler() {'
                           ' return [atLoad, process.env.GREETING, process.env.NOPE, new Date(0).getHours()]; }',
                           environment={'A': 'b=c', 'GREETING': 'grüß', 'TZ': 'Asia/Tokyo'})
        self.assertEqual(['b=c', 'grüß', None, 9], shim.invoke().value)

    def test_handler_not_found(self):
        document = self.failure('exports.main = () => 1;')
        self.assertEqual('HandlerNotFound', document['type'])
        self.assertIn('main', document['hint'])
        self.assertEqual('HandlerNotFound', self.failure('const handler = 5;')['type'])

    def test_handler_not_found_lists_what_is_there(self):
        source = ('function first() {}\nasync function* second() {}\nconst third = async (a) => 1, x = 5;\n'
                  'var fourth = function () {};\nlet y = 1;\nclass Z {\n  inner() {}\n}\nexports.fifth = () => 1;\n')
        for files in ({'index.js': source}, {'index.mjs': source.replace('exports.fifth', 'export const fifth')}):
            document = self.failure(files)
            names = document['hint'].partition(': ')[2].split(', ')
            self.assertEqual({'first', 'second', 'third', 'fourth', 'fifth'}, set(names), document)

    def test_handler_that_is_no_function(self):
        for name, source in (('index.js', '\nexports.handler = 5;\nfunction other() {}'), ('index.js', '\n  const x = 1,\nhandler = 5;'),
                             ('index.js', '\nconst handler = 5;'), ('index.mjs', '\nexport const handler = 5;')):
            document = self.failure({name: source})
            self.assertEqual('HandlerNotFound', document['type'])
            self.assertIn('of type number, not a function', document['message'])
            if 'x =' not in source:
                self.assertEqual((name, 2, source.index('handler')), (document['file'], document['line'], document['column']))
            os.remove(os.path.join(self.folder, name))

    def test_callbacks_are_refused(self):
        for source in ('\nexports.handler = (event, context, callback) => setTimeout(() => callback(null, "done"));',
                       '\nasync function handler(event, context, callback) {}', '\nmodule.exports = { handler(a, b, c, d) {} };'):
            document = self.failure(source)
            self.assertEqual(('HandlerSignature', 'index.js', 2), (document['type'], document['file'], document['line']))
            self.assertIn('callback', document['message'])
            self.assertIn('promise', document['hint'])
        self.assertEqual(1, self.loaded('exports.handler = (event, context, more = 1) => more;').invoke().value)

    def test_handler_that_is_no_name(self):
        for handler in ('a b', '1x', 'x;process.exit()', 'index.', '../../etc/passwd.x', ''):
            with self.subTest(handler):
                self.assertEqual('HandlerNotFound', self.failure('function x() {}', handler)['type'])

    def test_missing_file(self):
        self.assertEqual('HandlerNotFound', self.failure({'other.js': ''}, 'util.handler')['type'])

    def test_syntax_error_has_its_place(self):
        document = self.failure('function handler() {\n  let x y;\n}')
        self.assertEqual(('SyntaxError', 'index.js', 2, 9),
                         (document['type'], document['file'], document['line'], document['column']))

    def test_syntax_error_in_another_file(self):
        document = self.failure({'index.js': 'require("./lib/a");\nfunction handler() {}', 'lib/a.js': '\n\n}'})
        self.assertEqual(('SyntaxError', 'lib/a.js', 3), (document['type'], document['file'], document['line']))

    def test_error_while_loading(self):
        document = self.failure('const x = 1;\nnull.field;\nfunction handler() {}')
        self.assertEqual(('TypeError', 'index.js', 2), (document['type'], document['file'], document['line']))
        self.assertTrue(all('worker.js' not in line and 'node:' not in line for line in document['stack']), document)

    def test_missing_module_while_loading(self):
        document = self.failure('const left = require("left-pad");\nfunction handler() {}')
        self.assertEqual('ModuleNotFound', document['type'])
        self.assertIn('left-pad', document['message'])
        self.assertIn('files', document['hint'])

    def test_missing_package_and_file_in_a_module(self):
        document = self.failure({'index.mjs': 'import x from "left-pad";\nexport const handler = 1;'})
        self.assertEqual(('ModuleNotFound', True), (document['type'], 'left-pad' in document['message']), document)
        document = self.failure({'index.mjs': 'import x from "./nope.mjs";\nexport const handler = 1;'})
        self.assertEqual('ModuleNotFound', document['type'])
        self.assertNotIn(self.folder, json.dumps(document))

    def test_a_missing_import_has_its_place_and_its_own_name(self):
        for request in ('./nope.mjs', './lib/../nope.mjs', 'left-pad', 'left-pad/sub.js', '@a/b'):
            module = f'// "{request}"\n\nimport x from "{request}";\nexport const handler = 1;'
            later = f'\nexport async function handler() {{\n  await import("{request}");\n}}\n'
            for name, source, column in (('index.mjs', module, 15), ('index.mjs', later, 16),
                                         ('index.js', later.replace('export ', ''), 16)):
                with self.subTest(request, name=name, source=source):
                    self.write({name: source})
                    shim = self.shim()
                    answer = shim.load(self.folder, 'handler')
                    document = (shim.invoke() if answer.ok else answer).document
                    os.remove(os.path.join(self.folder, name))
                    self.assertEqual(('ModuleNotFound', f"Cannot find module '{request}'", name, 3, column),
                                     tuple(document.get(key) for key in ('type', 'message', 'file', 'line', 'column')), document)

    def test_exit_while_loading(self):
        document = self.failure('process.exit(3);')
        self.assertEqual('ExitedWhileLoading', document['type'])
        self.assertIn('3', document['message'])

    def test_uncaught_error_while_loading_a_module(self):
        document = self.failure({'index.mjs': 'setTimeout(() => { throw new Error("late"); });\n'
                                 'await new Promise(() => {}, 0);\nexport const handler = 1;'}
                                if version_of(self.node) >= (16,) else
                                {'index.js': 'throw new Error("late");'})
        self.assertEqual('late', document['message'])

    def test_a_file_that_is_also_a_script_is_loaded_as_none(self):
        leave = '{ console.log("script"); process.exit(0); }\n'
        for files in ({'index.mjs': 'import { fileURLToPath, pathToFileURL } from "url"; import { resolve } from "path";'
                                    'import { createRequire } from "module";'
                                    'if (process.argv[1] === fileURLToPath(import.meta.url)'
                                    ' || import.meta.url === pathToFileURL(resolve(process.argv[1])).href'
                                    ' || createRequire(import.meta.url).resolve(process.argv[1])'
                                    ' === fileURLToPath(import.meta.url)) %sexport const handler = () => 7;' % leave},
                      {'index.js': 'if (require.main === module || process.argv[1] === __filename) %s'
                                   'const handler = () => 7;' % leave}):
            with self.subTest(files):
                self.assertEqual(7, self.loaded(files).invoke().value)

    def test_output_while_loading(self):
        self.write({'index.js': 'console.log("loading"); function handler() {}'})
        answer = self.shim().load(self.folder, 'handler')
        self.assertEqual([(1, b'loading\n')], answer.logs)

    def test_large_source_and_load_in_pieces(self):
        self.write({'index.js': '// ' + 'x' * 300000 + '\nfunction handler() { return 7; }'})
        shim = self.shim()
        shim.hello()
        frame = Frame('LOAD', 0, encode_items(
            [('ARTIFACT', self.folder), ('HANDLER', 'handler'), ('CONCURRENCY', 1)])).encode()
        for byte in frame:
            shim.send_raw(bytes([byte]))
        self.assertTrue(shim.answer(id=0, types=('READY', 'LOAD_FAILED')).ok)
        self.assertEqual(7, shim.invoke().value)


class Starting(Base):
    SCRIPT = "const vm = require('vm'); const source = (name) => `function ${name}() { return 1; } ${name}();`;\n"

    def test_what_is_compiled_already_is_used_while_loading(self):
        """V8 takes no cached code after one of its flags has changed, that of Node.js's own modules included. What it has
        compiled it keeps in memory, so a call looks at another source than the load."""
        self.write({'make.js': self.SCRIPT + (
            "for (const name of ['first', 'second']) {\n"
            "    require('fs').writeFileSync(__dirname + '/' + name, new vm.Script(source(name)).createCachedData());\n"
            '}\n')})
        subprocess.run([self.node] + FLAGS + [os.path.join(self.folder, 'make.js')], check=True, timeout=60)
        source = self.SCRIPT + (
            "const cachedData = (name) => require('fs').readFileSync(__dirname + '/' + name);\n"
            'const rejected = (name) => new vm.Script(source(name), { cachedData: cachedData(name) }).cachedDataRejected;\n'
            "const loading = rejected('first');\n"
            "exports.handler = () => [loading, rejected('second')];\n")
        self.assertEqual([False, True], self.loaded(source, memory_mb=128).invoke().value,
                         'with little memory the heap grows in small steps, but from the load on only')
        self.assertEqual([False, False], self.loaded(source, memory_mb=1024).invoke().value)


class Checking(Base):
    def check(self, source, file='index.js'):
        remarks = self.shim().check(file, source)
        for remark in remarks:
            self.assertEqual(file, remark['file'])
        return remarks

    def errors(self, source, file='index.js'):
        return [(r['line'], r['column'], r['message']) for r in self.check(source, file) if r['severity'] == 'error']

    def test_sound_scripts(self):
        for source in (CONTRACT, '', '#!/usr/bin/env node\nreturn 5;', '\ufefflet a;', 'await => 1', 'with (a) {}',
                       'const a = async () => { await 1; };'):
            self.assertEqual([], self.check(source))

    def test_nothing_is_run(self):
        marker = os.path.join(self.folder, 'ran')
        shim = self.shim()
        code = 'require("fs").writeFileSync(%s, "");' % json.dumps(marker)
        for source in (code, '});' + code + '(function () {', 'import fs from "fs"; fs.writeFileSync(%s, "")' %
                       json.dumps(marker), 'export {' + code, code + '\nexport let b = ;'):
            shim.check('index.js', source)
        self.assertFalse(os.path.exists(marker))

    def test_place_of_errors(self):
        self.assertEqual([(3, 2, "SyntaxError: Unexpected token '}'")], self.errors('function f() {\n  return 1\n}}\n'))
        self.assertEqual([(2, 11)], [e[:2] for e in self.errors('"ü中";\nlet s = "é" x;\n'.replace('"é" x', '1 x'))])
        self.assertEqual([(1, 8)], [e[:2] for e in self.errors('\tlet x y')])
        self.assertEqual(1, len(self.errors('function f() {')))

    def test_what_is_nested_too_deep_for_the_parser(self):
        deep = 'const a = 1;\nlet x; ' + 'x=(' * 20000
        for source in (deep, 'import "fs";\n' + deep, 'export ' + deep):
            self.assertEqual([(0, 0, 'SyntaxError: the source is nested too deep')], self.errors(source))

    def test_modules(self):
        for source in ('import fs from "fs";', 'export const a = 1;', 'const a = 1;\nexport { a };', 'await 1;',
                       'console.log(import.meta.url)', 'export default async () => 1', 'import "fs"; function handler() {}'):
            with self.subTest(source):
                remarks = self.check(source)
                self.assertEqual([('esm', 'warning')], [(r['kind'], r['severity']) for r in remarks])
        self.assertEqual('esm', self.check('let a;', 'index.mjs')[0]['kind'])

    def test_place_of_errors_in_modules(self):
        head = ('import fs, { a,\n  b } from "fs"; import "x";\nexport const c = 1; export default async () => 1;\n'
                'export * from "y"; export { a as d }; export { e } from "z"; console.log(import.meta.url);\n')
        self.assertEqual([(5, 9, "SyntaxError: Unexpected token ';'")], self.errors(head + 'let f = ;'))
        self.assertEqual([(1, 23)], [e[:2] for e in self.errors('export const x = { a: };')])
        errors = self.errors('export { nope as x };')
        self.assertIn('nope', errors[0][2])

    def test_await_in_a_plain_function(self):
        errors = self.errors('function handler() {\n  await 1;\n}')
        self.assertEqual([(2, 3)], [e[:2] for e in errors])
        self.assertIn('async', errors[0][2])

    def test_handler_that_a_module_does_not_declare(self):
        alias = '\nexport { handler as __cloudfunction_handler };'
        self.assertEqual([], self.errors('import fs from "fs";\nfunction handler() {}' + alias))
        self.assertEqual([], self.errors('import fs from "fs";\nexport const handler = 1;' + alias))
        self.assertEqual(1, len(self.errors('import fs from "fs";\nexport default () => 1;' + alias)))

    def test_common_js_name_is_no_module(self):
        self.assertEqual(1, len(self.errors('import fs from "fs";', 'index.cjs')))

    def test_several_checks_in_one_worker_keep_silent(self):
        shim = self.shim()
        for _ in range(3):
            self.assertEqual([], shim.check('a.js', 'let a;'))
            self.assertEqual(1, len(shim.check('b.js', 'export let b;')))
        self.assertEqual([], shim.logs)
        self.assertEqual(0, shim.stop())


class Transpiled(Base):
    """Artifacts as the executor makes them of TypeScript."""

    def setUp(self):
        super().setUp()
        if shutil.which('esbuild') is None:
            self.skipTest('esbuild is not installed')

    def artifact(self, files, entry='index.ts', name='handler'):
        target = 'node%d.%d' % version_of(self.node)[:2]
        outputs = {'.cloudfunction.json': json.dumps(
            {'entry': entry, 'name': name, 'module': False, 'transpiled': True})}
        for file, source in files.items():
            outputs[file] = subprocess.run(
                ['esbuild', '--loader=' + ('tsx' if file.endswith('x') else 'ts'), '--sourcefile=' + file,
                 '--format=cjs', '--target=' + target, '--sourcemap=inline', '--sources-content=false'],
                input=source, stdout=subprocess.PIPE, check=True, text=True).stdout
        return outputs

    def test_files_find_each_other(self):
        shim = self.loaded(self.artifact({
            'index.ts': 'import { a } from "./lib/a";\nimport { b } from "./lib/b.ts";\nimport c from "./lib/c.js";\n'
                        'interface Event { n: number }\n'
                        'export async function handler(event: Event): Promise<number> { return event.n + a + b + c; }',
            'lib/a.ts': 'export const a: number = 1;', 'lib/b.ts': 'import { a } from "./a";\nexport const b = a + 1;',
            'lib/c.ts': 'enum E { X = 3 }\nexport default E.X;'}))
        self.assertEqual(16, shim.invoke({'n': 10}).value)

    def test_bare_function(self):
        self.assertEqual(3, self.loaded(self.artifact(
            {'index.ts': 'type A = { n: number };\nfunction handler(e: A): number { return e.n; }'}))
            .invoke({'n': 3}).value)

    def test_stack_points_at_the_users_lines(self):
        shim = self.loaded(self.artifact({
            'index.ts': 'import { fail } from "./fail";\n\ninterface A {\n  b: string;\n}\n\n'
                        'export const handler = (event: A): never => {\n  return fail(event as A);\n};\n',
            'fail.ts': 'type B =\n  | 1\n  | 2;\nexport function fail(b: unknown): never {\n  throw new TypeError("no");\n}'}))
        document = shim.invoke().document
        self.assertEqual(['at fail (fail.ts:5:9)', 'at handler (index.ts:8:10)'],
                         [line.replace('at fail2', 'at fail') for line in document['stack']][:2])
        self.assertEqual(('fail.ts', 5), (document['file'], document['line']))

    def test_error_while_loading_points_at_the_users_lines(self):
        document = self.failure(self.artifact({'index.ts': 'type A = 1;\n\n\nconst x: any = null;\nx.y;\n'
                                               'export const handler = 1;'}))
        self.assertEqual(('TypeError', 'index.ts', 5), (document['type'], document['file'], document['line']))


load_tests = every_node(__name__)

if __name__ == '__main__':
    unittest.main()
