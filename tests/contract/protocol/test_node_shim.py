"""The Node.js worker against the worker protocol and the function contract.

    python3 -m unittest test_node_shim            (in this folder)

Runs with the `node` on PATH, and with every binary that CLOUDFUNCTION_TEST_NODES lists, separated by ':'.
"""
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import unittest

from harness import Frame, Shim, ShimError, encode_items, invoke_payload

HERE = os.path.dirname(os.path.abspath(__file__))
WORKER = os.path.join(HERE, '..', '..', '..', 'plugins', 'node', 'worker', 'worker.js')
FLAGS = ['--v8-pool-size=2', '--experimental-vm-modules']

CONTRACT = '''function handler(event, context) {
    return { message: "Hello from Node.js", event: event };
}

async function fetchData(event, context) {
    const axios = require('axios');
    try {
        const response = await axios.get('https://api.example.com/data');
        return { success: true, data: response.data };
    } catch (error) {
        return { success: false, error: error.message };
    }
}
'''


def version_of(node):
    return tuple(int(part) for part in
                 subprocess.check_output([node, '-p', 'process.versions.node'], text=True).strip().split('.'))


class Base:
    node = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='node-shim-')
        self.addCleanup(shutil.rmtree, self.folder)

    def shim(self, **options):
        shim = Shim([self.node] + FLAGS + [WORKER], **options)
        self.addCleanup(shim.close)
        return shim

    def write(self, files):
        for name, content in files.items():
            path = os.path.join(self.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(content)

    def loaded(self, source, handler='handler', **options):
        """A shim that has loaded `source`: the text of index.js, or a dict of files."""
        self.write(source if isinstance(source, dict) else {'index.js': source})
        shim = self.shim()
        answer = shim.load(self.folder, handler, **options)
        self.assertTrue(answer.ok, answer)
        return shim

    def failure(self, source, handler='handler', **options):
        """The error document of a LOAD that fails."""
        self.write(source if isinstance(source, dict) else {'index.js': source})
        shim = self.shim()
        answer = shim.load(self.folder, handler, **options)
        self.assertEqual('LOAD_FAILED', answer.type, answer)
        return answer.document


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
    SCRIPT = "const vm = require('vm'); const source = 'function f() { return 1; } f();';\n"

    def test_what_is_compiled_already_is_used_while_loading(self):
        """V8 takes no cached code after one of its flags has changed, that of Node.js's own modules included."""
        self.write({'make.js': self.SCRIPT + 'process.stdout.write(new vm.Script(source).createCachedData());'})
        cache = subprocess.run([self.node] + FLAGS + [os.path.join(self.folder, 'make.js')], stdout=subprocess.PIPE,
                               check=True, timeout=60).stdout
        with open(os.path.join(self.folder, 'cache'), 'wb') as file:
            file.write(cache)
        source = self.SCRIPT + (
            "const cachedData = require('fs').readFileSync(__dirname + '/cache');\n"
            'const rejected = () => new vm.Script(source, { cachedData }).cachedDataRejected;\n'
            'const loading = rejected();\n'
            'exports.handler = () => [loading, rejected()];\n')
        self.assertEqual([False, True], self.loaded(source, memory_mb=128).invoke().value,
                         'with little memory the heap grows in small steps, but from the load on only')
        self.assertEqual([False, False], self.loaded(source, memory_mb=1024).invoke().value)


class Invoking(Base):
    def test_context(self):
        shim = self.loaded('const handler = (event, context) => context;', name='orders', version=12, memory_mb=256)
        before = int(time.time() * 1000)
        context = shim.invoke({}, {'user': 'ada', 'memory_limit_mb': 'no'}, invocation_id='inv-9', request_id='r-9',
                              deadline_ms=before + 1234).value
        self.assertEqual({'user': 'ada', 'invocation_id': 'inv-9', 'function_name': 'orders', 'function_version': 12,
                          'memory_limit_mb': 256, 'deadline_ms': before + 1234, 'request_id': 'r-9'}, context)
        self.assertEqual('mine', shim.invoke({}, {'request_id': 'mine'}).value['request_id'])
        self.assertEqual('r-1', shim.invoke({}, b'', request_id='r-1').value['request_id'])

    def test_events_of_every_kind(self):
        shim = self.loaded('const handler = (event) => event;')
        for event in (None, True, 0, -1.5, 'ü\u2028\U0001f600', [], [1, [2]], {}, {'': {'__proto__': 1}},
                      'x' * 70000, ['ü' * 50000, 'x' * 200000]):
            with self.subTest(str(event)[:20]):
                self.assertEqual(event, shim.invoke(json.dumps(event).encode()).value)
        self.assertEqual({}, shim.invoke(b'', b'').value)

    def test_number_of_parameters(self):
        for source, value in (('const handler = () => 7', 7), ('const handler = (e) => e', {'a': 1}),
                              ('const handler = (e, c) => typeof c', 'object'),
                              ('function handler() { return arguments.length; }', 2)):
            self.assertEqual(value, self.loaded(source).invoke({'a': 1}).value)

    def test_promises(self):
        for source in ('async function handler() { await null; return 7; }',
                       'const handler = () => new Promise((r) => setTimeout(r, 5, 7));',
                       'const handler = () => ({ then(ok) { ok(7); ok(8); } });'):
            with self.subTest(source):
                shim = self.loaded(source)
                self.assertEqual([7, 7], [shim.invoke().value, shim.invoke().value])

    def test_promises_of_other_kinds(self):
        for source in ('class Other { constructor(f) { this.p = new Before(f); } then(...a) { return this.p.then(...a); } }'
                       'const Before = Promise; global.Promise = Other;'
                       'const handler = () => new Promise((r) => setTimeout(r, 1, 7));',
                       'class Other { then(ok) { ok(7); } } global.Promise = Other; const handler = () => new Other();',
                       'class Other {} global.Promise = Other; const handler = async () => 7;',
                       'class Lazy extends Promise { then(...a) { return new Promise((r) => r(7)).then(...a); } }'
                       'const handler = () => new Lazy(() => {});',
                       'class Mine extends Promise {} const handler = () => Mine.resolve(7);'):
            with self.subTest(source):
                shim = self.loaded(source)
                self.assertEqual([7, 7], [shim.invoke().value, shim.invoke().value])
        failing = self.loaded('class Lazy extends Promise { then(_, no) { no(new TypeError("lazy")); } }'
                              'const handler = () => new Lazy(() => {});')
        self.assertEqual('TypeError', failing.invoke().error)

    def test_undefined_is_null_and_so_are_nan_and_infinity(self):
        shim = self.loaded('const handler = (e) => e.numbers ? [NaN, Infinity, undefined] : undefined;')
        self.assertIsNone(shim.invoke().value)
        self.assertEqual([None] * 3, shim.invoke({'numbers': 1}).value)

    def test_results_that_are_not_json(self):
        shim = self.loaded('''const cases = {
            bigint: () => ({ a: 10n }),
            cyclic: () => { const a = { b: {} }; a.b.a = a; return a; },
            function: () => () => 1,
            symbol: () => Symbol("s"),
            deep: () => { let a = []; for (let i = 0; i < 100000; ++i) a = [a]; return a; },
            toJSON: () => ({ toJSON() { throw new Error("mine"); } }),
            getter: () => ({ get a() { throw new Error("mine"); } }),
            nothing: () => ({ toJSON() {} }),
        };
        function handler(event) { return cases[event](); }''')
        for case, word in (('bigint', 'BigInt'), ('cyclic', 'itself'), ('function', 'function'), ('symbol', 'symbol'),
                           ('deep', 'deep'), ('toJSON', 'mine'), ('getter', 'mine'), ('nothing', 'toJSON')):
            with self.subTest(case):
                answer = shim.invoke(json.dumps(case).encode())
                self.assertEqual('ResultNotJson', answer.error, answer)
                self.assertIn(word, answer.document['message'])
                self.assertTrue(answer.document['hint'])

    def test_errors_of_toJSON_and_getters_are_the_functions_own(self):
        shim = self.loaded('''const cases = [
            () => ({ toJSON() { return new Date("nonsense").toISOString(); } }),
            () => ({ get a() { throw new RangeError("too far"); } }),
            () => ({ toJSON() { throw new Error("no BigInt in a circular thing"); } }),
            () => ({ toJSON() { throw "text"; } }),
            () => ({ toJSON() { throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 1; } }); } }),
        ];
        const handler = (n) => cases[n]();''')
        for n, word in enumerate(('RangeError: Invalid time value', 'RangeError: too far',
                                  'Error: no BigInt in a circular thing', 'text', 'cannot be described')):
            with self.subTest(word):
                document = shim.invoke(str(n).encode()).document
                self.assertEqual('ResultNotJson', document['type'])
                self.assertIn(word, document['message'])
                self.assertNotIn('250', document['message'])
                if n < 3:
                    self.assertIn('index.js:%d:' % (n + 2), ' '.join(document['stack']))
                    self.assertEqual(('index.js', n + 2), (document['file'], document['line']))

    def test_large_results(self):
        shim = self.loaded('const handler = (n) => "x".repeat(n);')
        for size in (20000, 65500, 65536, 1000000, 16 * 1024 * 1024 - 30):
            self.assertEqual(size, len(shim.invoke(str(size).encode()).value))
        for size in (16 * 1024 * 1024, 100000000):
            answer = shim.invoke(str(size).encode())
            self.assertEqual('ResultTooLarge', answer.error)
            self.assertIn('16 MiB', answer.document['message'])

    def test_depth_of_results(self):
        shim = self.loaded("""const handler = ({ deep, wide, kind }) => {
            let inner = kind === "text" ? "[{".repeat(5000) + "\\\\" + "\\"[" : [];
            for (let i = 1; i < deep; ++i) inner = kind === "object" ? { inner, "}": "]" } : [inner, {}];
            return wide ? Array.from({ length: wide }, () => inner) : inner;
        };""")
        for deep, wide, ok in ((250, 0, True), (251, 0, False), (249, 100, True), (250, 100, False), (5, 10000, True),
                               (3000, 0, False)):
            for kind in ('array', 'object'):
                with self.subTest((deep, wide, kind)):
                    answer = shim.invoke({'deep': deep, 'wide': wide, 'kind': kind})
                    self.assertEqual(ok or 'ResultNotJson', answer.ok or answer.error)
                    if not ok:
                        self.assertIn('250', answer.document['message'])
        self.assertTrue(shim.invoke({'deep': 1, 'kind': 'text', 'wide': 3}).ok)

    def test_text_that_is_not_well_formed(self):
        shim = self.loaded('''const raw = JSON.rawJSON || JSON.parse;
            const handler = (kind) => ({
                high: "a\\ud800", low: "\\udfffb", both: "\\udc00\\ud800", cut: "ab\\u{1f600}".slice(0, 3),
                pair: "\\u{1f600}\\ud7ff\\ue000", backslash: "\\\\ud800", more: "\\\\\\ud800\\\\", control: "\\u0001\\ud800",
                key: { "\\ud800": 1 }, long: "\\ud800x".repeat(100000),
                raw: [raw('"\\\\uD800"'), raw('"\\\\ud83d\\\\uDE00"')],
            })[kind];''')
        for kind, value in (('high', 'a\ufffd'), ('low', '\ufffdb'), ('both', '\ufffd\ufffd'), ('cut', 'ab\ufffd'),
                            ('pair', '\U0001f600\ud7ff\ue000'), ('backslash', '\\ud800'), ('more', '\\\ufffd\\'),
                            ('control', '\x01\ufffd'), ('key', {'\ufffd': 1}), ('long', '\ufffdx' * 100000),
                            ('raw', ['\ufffd', '\U0001f600'])):
            with self.subTest(kind):
                self.assertEqual(value, shim.invoke(json.dumps(kind).encode()).value)

    def test_run_time_is_measured(self):
        shim = self.loaded('const handler = async (ms) => { await new Promise((r) => setTimeout(r, ms)); };')
        self.assertGreater(shim.invoke(b'30').run_ns, 20e6)
        self.assertGreater(shim.invoke(b'0').run_ns, 0)

    def test_two_invocations_in_one_packet_are_answered_in_order(self):
        shim = self.loaded('const handler = (e) => e.async ? new Promise((r) => setTimeout(r, 10, e.n)) : e.n;')
        payload = [json.dumps({'n': n, 'async': n % 3 == 0}).encode() for n in range(50)]
        shim.send_raw(b''.join(Frame('INVOKE', n + 1, invoke_payload(p)).encode() for n, p in enumerate(payload)))
        answers = [shim.answer() for _ in payload]
        self.assertEqual([(n + 1, n) for n in range(50)], [(a.id, a.value) for a in answers])

    def test_one_at_a_time_unless_told_otherwise(self):
        shim = self.loaded('let now = 0; async function handler() {'
                           ' const seen = ++now; await new Promise((r) => setTimeout(r, 5)); --now; return seen; }')
        ids = [shim.start() for _ in range(5)]
        self.assertEqual([1] * 5, [shim.answer(id).value for id in ids])

    def test_many_at_once(self):
        shim = self.loaded('let now = 0; async function handler(n) {'
                           ' ++now; await new Promise((r) => setTimeout(r, 200)); console.log("n", n);'
                           ' await null; console.error(n); return now; }', concurrency=100)
        ids = [shim.start(str(n).encode()) for n in range(100)]
        for n, id in enumerate(ids):
            answer = shim.answer(id)
            self.assertEqual(100, answer.value)
            self.assertEqual([(1, b'n %d\n' % n), (2, b'%d\n' % n)], answer.logs)

    def test_largest_id(self):
        shim = self.loaded('const handler = () => { console.log("x"); return 1; }')
        answer = shim.invoke(id=0xfffffffffffffffe)
        self.assertEqual((0xfffffffffffffffe, 1, [(1, b'x\n')]), (answer.id, answer.value, answer.logs))

    def test_a_later_version_of_the_protocol(self):
        shim = self.loaded('const handler = (e, c) => c.request_id;')
        payload = invoke_payload(request_id='r') + struct.pack('<HHI', 999, 0, 3) + b'new'
        shim.send('INVOKE', 5, payload)
        self.assertEqual('r', shim.answer(5).value)
        shim.cancel(5)
        self.assertEqual('req-1', shim.invoke().value)

    def test_vectors(self):
        with open(os.path.join(HERE, 'vectors.json'), encoding='utf-8') as file:
            frames = json.load(file)['frames']
        shim = self.loaded('const handler = (event, context) => ({ event, context });')
        tried = 0
        for vector in frames:
            if vector['type'] != 'INVOKE':
                continue
            tried += 1
            shim.send_raw(bytes.fromhex(vector['hex']))
            answer = shim.answer(int(vector['id'], 16))
            self.assertEqual(json.loads(vector['event'] or '{}'), answer.value['event'])
            items = dict(vector['items'])
            given = json.loads(vector['context'] or '{}')
            self.assertEqual(dict(given, invocation_id=items['INVOCATION_ID'], request_id=items['REQUEST_ID'],
                                  deadline_ms=items['DEADLINE_MS'], function_name='test-function',
                                  function_version=1, memory_limit_mb=128), answer.value['context'])
        self.assertGreater(tried, 3)

    def test_stop_lets_what_runs_finish(self):
        shim = self.loaded('const handler = () => new Promise((r) => setTimeout(r, 100, 7));')
        ids = [shim.start(), shim.start()]
        shim.send('STOP')
        self.assertEqual([7, 7], [shim.answer(id).value for id in ids])
        self.assertEqual(0, shim.wait())

    def test_stop_with_timers_left(self):
        shim = self.loaded('const handler = () => { setInterval(() => {}, 1000); return 1; };')
        shim.invoke()
        self.assertEqual(0, shim.stop())

    def test_end_of_the_socket(self):
        shim = self.loaded('setInterval(() => {}, 1000); const handler = () => 1;')
        shim.socket.shutdown(1)
        self.assertEqual(0, shim.wait())

    def test_user_code_cannot_break_the_protocol_by_patching(self):
        shim = self.loaded('''
            for (const name of Object.getOwnPropertyNames(Buffer.prototype)) {
                try { Buffer.prototype[name] = () => { throw new Error("patched " + name); }; } catch (e) {}
            }
            JSON.parse = JSON.stringify = Array.prototype.push = Array.prototype.shift = () => { throw new Error("no"); };
            require("fs").writeSync = process.exit = Promise.resolve = () => { throw new Error("no"); };
            Promise.prototype.then = undefined;
            process.stdout.write = () => { throw new Error("no"); };
            process.nextTick = performanceNow = () => {};
            const handler = (event) => event;''')
        for _ in range(3):
            self.assertEqual({'a': 'ü'}, shim.invoke({'a': 'ü'}).value)
        self.assertEqual(0, shim.stop())


class Errors(Base):
    def test_error_document(self):
        shim = self.loaded('function inner() {\n  throw new RangeError("too far");\n}\n'
                           'async function handler() {\n  await null;\n  inner();\n}')
        document = shim.invoke().document
        self.assertEqual(('RangeError', 'too far'), (document['type'], document['message']))
        self.assertEqual(['at inner (index.js:2:9)', 'at handler (index.js:6:3)'], document['stack'])
        self.assertEqual(('index.js', 2, 9), (document['file'], document['line'], document['column']))

    def test_frames_of_modules_carry_the_users_names(self):
        shim = self.loaded({'index.mjs': 'import { f } from "./lib/f.mjs";\nexport const handler = () => f();',
                            'lib/f.mjs': '\nexport function f() { throw new Error("x"); }'})
        document = shim.invoke().document
        self.assertEqual(['at f (lib/f.mjs:2:29)', 'at handler (index.mjs:2:30)'], document['stack'])

    def test_types(self):
        shim = self.loaded('''class Mine extends Error {}
            class Named extends Error { constructor(m) { super(m); this.name = "Given"; } }
            const cases = [() => { throw new Mine("m"); }, () => { throw new Named("m"); }, () => { throw "text"; },
                () => { throw null; }, () => Promise.reject(undefined), () => { throw { code: 5, message: "m" }; },
                () => { throw 10n; }, () => { throw Object.create(null); },
                () => { throw new Proxy({}, { get() { throw new Error("trap"); } }); },
                () => { const e = new Error("m"); Object.defineProperty(e, "stack", { get() { throw 1; } }); throw e; },
                () => { const e = new Error("m"); e.message = {}; e.name = 5; e.stack = 7; throw e; },
                () => { const f = () => f() + 1; return f(); },
                () => { throw new Error("x".repeat(1e6)); }];
            const handler = (n) => cases[n]();''')
        expected = ['Mine', 'Given', 'NotAnError', 'NotAnError', 'NotAnError', None, 'NotAnError', None, None, None,
                    None, 'RangeError', 'Error']
        for n, type in enumerate(expected):
            with self.subTest(n):
                answer = shim.invoke(str(n).encode())
                self.assertEqual('ERROR', answer.type)
                if type:
                    self.assertEqual(type, answer.error)
        self.assertEqual('text', shim.invoke(b'2').document['message'])

    def test_text_that_is_not_well_formed(self):
        shim = self.loaded('const handler = async () => { console.log("\\ud83d"); throw new Error("a\\ud83d"); };')
        answer = shim.invoke()
        self.assertEqual('a\ufffd', answer.document['message'])
        self.assertEqual('\ufffd\n', answer.text())
        self.assertEqual('\ufffd', self.loaded('const handler = () => { throw "\\udc00"; };').invoke().document['message'])
        self.assertEqual('b\ufffd', self.failure('throw new Error("b\\ud83d");')['message'])

    def test_a_long_message_is_cut(self):
        shim = self.loaded('const handler = () => { throw new Error("x" + "\\u{1f600}".repeat(10000)); };')
        message = shim.invoke().document['message']
        self.assertLess(len(message), 5000)
        self.assertTrue(message.endswith('\U0001f600\ufffd...'), message[-9:])

    def test_causes(self):
        shim = self.loaded('''class Outer extends Error { constructor(message, fields) { super(message); Object.assign(this, fields); } }
            const trap = () => { throw new Error("trap"); };
            const loop = new Outer("loop"); loop.cause = loop;
            const cases = [
                () => new Outer("outer", { cause: new RangeError("inner") }),
                () => new Outer("1", { cause: new Outer("2", { cause: new Outer("3", {
                    cause: new Outer("4", { cause: new Outer("5") }) }) }) }),
                () => new Outer("outer", { cause: "text" }),
                () => new Outer("outer", { cause: { status: 404 } }),
                () => loop,
                () => Object.defineProperty(new Outer("outer"), "cause", { get: trap }),
                () => new Outer("outer", { cause: new Proxy(new Error("x"), { get: trap }) }),
                () => new Outer("outer", { errors: [new Error("a"), "b", { ajv: 1 }, new Error("d")] }),
                () => new Outer("outer", { cause: new Outer("", { errors: [new TypeError("a")] }) }),
                () => new Outer("o".repeat(20000), { cause: new Error("c".repeat(20000)) }),
                () => new Outer("outer", { errors: 5, cause: null }),
            ];
            const handler = (n) => { throw cases[n](); };''')
        expected = ['outer; caused by RangeError: inner', '1; caused by Outer: 2; caused by Outer: 3; caused by Outer: 4',
                    'outer; caused by text', 'outer; caused by { status: 404 }', 'loop' + '; caused by Outer: loop' * 3,
                    'outer', 'outer', 'outer; caused by Error: a; caused by b',
                    'outer; caused by Outer; caused by TypeError: a',
                    'o' * 7658 + '...; caused by Error: ' + 'c' * 512 + '...', 'outer']
        for n, message in enumerate(expected):
            with self.subTest(n):
                document = shim.invoke(str(n).encode()).document
                self.assertEqual(('Outer', message), (document['type'], document['message']))

    def test_causes_of_what_node_itself_throws(self):
        closed = socket.socket()
        self.addCleanup(closed.close)
        closed.bind(('127.0.0.1', 0))  # and does not listen
        shim = self.loaded('''const cases = {
                any: () => Promise.any([Promise.reject(new TypeError("a")), Promise.reject("b")]),
                fetch: () => fetch("http://127.0.0.1:PORT/"),
                option: () => { throw new Error("outer", { cause: new Error("inner") }); } };
            const handler = (kind) => cases[kind]();'''.replace('PORT', str(closed.getsockname()[1])))
        for kind, since, type, parts in (
                ('any', (16,), 'AggregateError', ('; caused by TypeError: a; caused by b',)),
                ('fetch', (18,), 'TypeError', ('fetch failed; caused by ', 'ECONNREFUSED')),
                ('option', (17,), 'Error', ('outer; caused by Error: inner',))):
            if version_of(self.node) < since:
                continue
            document = shim.invoke(json.dumps(kind).encode()).document
            self.assertEqual(type, document['type'])
            for part in parts:
                self.assertIn(part, document['message'])

    def test_causes_of_what_nothing_catches(self):
        shim = self.loaded('const handler = () => new Promise(() => {'
                           ' Promise.reject(Object.assign(new Error("late"), { cause: new TypeError("why") })); });')
        shim.start()
        self.assertEqual(1, shim.wait())
        text = shim.stderr.decode()
        self.assertTrue(text.startswith('Uncaught Error: late; caused by TypeError: why\n    at '), text)

    def test_require_in_a_module(self):
        shim = self.loaded({'index.mjs': 'export const handler = () => require("fs");'})
        document = shim.invoke().document
        self.assertEqual('ReferenceError', document['type'])
        self.assertIn('import', document['hint'])

    def test_a_broken_event_is_an_error_not_a_crash(self):
        shim = self.loaded('const handler = () => 1;')
        self.assertEqual('SyntaxError', shim.invoke(b'{').error)
        self.assertEqual(1, shim.invoke().value)

    def test_errors_that_nothing_catches_end_the_worker(self):
        for source in ('const handler = () => new Promise(() => setTimeout(() => { throw new Error("late"); }));',
                       'const handler = () => new Promise(() => { Promise.reject(new Error("late")); });'):
            with self.subTest(source):
                shim = self.loaded(source)
                shim.start()
                self.assertEqual(1, shim.wait())
                text = shim.stderr.decode()
                self.assertTrue(text.startswith('Uncaught Error: late\n    at '), text)
                self.assertIn('index.js:1:', text)
                self.assertNotIn(self.folder, text)

    def test_user_code_may_listen_for_uncaught_errors(self):
        shim = self.loaded('process.on("uncaughtException", () => {});'
                           'const handler = () => new Promise((r) => {'
                           ' setTimeout(() => { throw 1; }); setTimeout(r, 30, 7); });')
        self.assertEqual(7, shim.invoke().value)

    def test_user_code_may_listen_for_rejections_as_uncaught_errors(self):
        shim = self.loaded('''const heard = [];
            process.on("uncaughtExceptionMonitor", (error, origin) => heard.push(["monitor", error.message, origin]));
            process.on("uncaughtException", (error, origin) => heard.push([error.name, error.message, origin, error.code]));
            const handler = async (value) => {
                heard.length = 0;
                Promise.reject(value || new TypeError("late"));
                await new Promise((r) => setTimeout(r, 10));
                return heard; };''')
        self.assertEqual([['monitor', 'late', 'unhandledRejection'], ['TypeError', 'late', 'unhandledRejection', None]],
                         shim.invoke(b'0').value)
        name, message, origin, code = shim.invoke(b'"no"').value[1]
        self.assertEqual(('UnhandledPromiseRejection', 'unhandledRejection', 'ERR_UNHANDLED_REJECTION'),
                         (name, origin, code))
        self.assertIn('"no"', message)

    def test_a_listener_for_rejections_is_heard_alone(self):
        shim = self.loaded('''const heard = [];
            process.on("unhandledRejection", (reason) => heard.push(reason));
            process.on("uncaughtException", () => heard.push("uncaught"));
            const handler = async () => {
                Promise.reject(5);
                await new Promise((r) => setTimeout(r, 10));
                return heard; };''')
        self.assertEqual([5], shim.invoke().value)

    def test_exit_in_the_handler(self):
        shim = self.loaded('const handler = () => { console.log("bye"); process.exit(5); };')
        id = shim.start()
        self.assertEqual(5, shim.wait())
        with self.assertRaises(ShimError):
            shim.answer(id)
        self.assertEqual([(id, 1, b'bye\n')], shim.logs)

    def test_a_finished_answer_is_not_lost_by_the_next_crash(self):
        shim = self.loaded('const handler = (n) => { if (n === 3) process.kill(process.pid, "SIGKILL"); return n; };')
        shim.send_raw(b''.join(Frame('INVOKE', n, invoke_payload(b'%d' % n)).encode() for n in (1, 2, 3, 4)))
        self.assertEqual([1, 2], [shim.answer(1).value, shim.answer(2).value])
        self.assertEqual(-9, shim.wait())


class Output(Base):
    def test_streams_and_attribution(self):
        shim = self.loaded('''const handler = (n) => {
            console.log("log %d", n, { a: [1, "b"] }); console.error("error"); console.warn("warn"); console.info("info");
            console.debug("debug"); process.stdout.write("no line end"); process.stderr.write(Buffer.from("bytes\\n"));
            return n; };''')
        for n in (1, 2):
            answer = shim.invoke(b'%d' % n)
            self.assertEqual("log %d { a: [ 1, 'b' ] }\ninfo\ndebug\nno line end" % n, answer.text(1))
            self.assertEqual('error\nwarn\nbytes\n', answer.text(2))
        self.assertEqual(b'', bytes(shim.stdout + shim.stderr))

    def test_output_between_invocations_belongs_to_none(self):
        shim = self.loaded('const handler = () => { setTimeout(() => console.log("after"), 20); return 1; };')
        shim.invoke()
        self.assertEqual('LOG', shim.receive('LOG').type)
        self.assertEqual([(0, 1, b'after\n')], shim.logs)

    def test_output_after_the_answer_belongs_to_none_with_many_at_once_too(self):
        shim = self.loaded('const handler = () => { setTimeout(() => console.log("after"), 20); return 1; };',
                           concurrency=10)
        self.assertEqual([], shim.invoke().logs)
        shim.receive('LOG')
        self.assertEqual([(0, 1, b'after\n')], shim.logs)

    def test_stream_features(self):
        shim = self.loaded('''const { Readable } = require("stream");
            const handler = async () => {
                await new Promise((r) => process.stdout.write("a", r));
                await new Promise((r) => process.stdout.write("4142", "hex", r));
                const letters = Readable.from(["x", "y"]);
                letters.pipe(process.stdout);
                await new Promise((r) => letters.on("end", r));
                return [process.stdout.isTTY === true, process.stdout.fd, process.stdout.write(""),
                        process.stdout.writable];
            };''')
        answer = shim.invoke()
        self.assertEqual([False, 1, True, True], answer.value)
        self.assertEqual('aABxy', answer.text())

    def test_the_end_of_a_stream_is_told_and_closes_nothing(self):
        shim = self.loaded('''const { Readable, pipeline } = require("stream");
            const { promisify } = require("util");
            const source = (failure) => Readable.from((function* () { yield "a"; if (failure) throw failure; yield "b"; })());
            const run = promisify(pipeline);
            const handler = async (kind) => {
                const heard = [];
                const out = process.stdout;
                if (kind === "pipeline") await run(source(), out);
                else if (kind === "twice") { await run(source(), out); await run(source(), out); }
                else if (kind === "generator") await run(async function* () { yield "ab"; }, out);
                else if (kind === "failing") await run(source(new Error("no")), out).catch((e) => heard.push(e.message));
                else if (kind === "chunk") await new Promise((r) => out.end("a", r));
                else if (kind === "encoding") await new Promise((r) => out.end("61", "hex", r));
                else if (kind === "callback") await new Promise((r) => out.end(r));
                else if (kind === "event") await new Promise((r) => out.once("finish", r).end());
                else if (kind === "destroy") await new Promise((r) => out.once("close", r).destroy(new Error("x")));
                out.write("!");
                console.log("?");
                for (const event of ["finish", "end", "close", "error", "drain", "unpipe"])
                    if (out.listenerCount(event) > 0) heard.push(event);
                return [heard, out.writable];
            };''')
        for kind, text in (('pipeline', 'ab'), ('twice', 'abab'), ('generator', 'ab'), ('failing', 'a'), ('chunk', 'a'),
                           ('encoding', 'a'), ('callback', ''), ('event', ''), ('destroy', ''), ('pipeline', 'ab')):
            with self.subTest(kind):
                answer = shim.invoke(json.dumps(kind).encode())
                self.assertEqual([['no'] if kind == 'failing' else [], True], answer.value)
                self.assertEqual(text + '!?\n', answer.text())

    def test_flood_is_cut_and_the_invocation_answers(self):
        shim = self.loaded('''const handler = (kind) => {
            if (kind === "lines") for (let i = 0; i < 200000; ++i) console.log("a line of some length", i);
            else if (kind === "line") process.stdout.write("x".repeat(5e7));
            return kind; };''')
        for kind in ('lines', 'line', 'nothing'):
            answer = shim.invoke(json.dumps(kind).encode())
            self.assertEqual(kind, answer.value)
            self.assertLess(len(answer.text()), 1100000)
            self.assertEqual(kind != 'nothing', 'output cut' in answer.text(2))

    def test_output_of_any_bytes(self):
        shim = self.loaded('const handler = () => { process.stdout.write(Buffer.from([0, 27, 255, 10])); };')
        self.assertEqual([(1, b'\x00\x1b\xff\n')], shim.invoke().logs)

    def test_children_and_native_writes_go_to_the_pipes(self):
        shim = self.loaded('const handler = () => require("fs").writeSync(1, "native\\n");')
        self.assertEqual(7, shim.invoke().value)
        shim.stop()
        self.assertEqual(b'native\n', bytes(shim.stdout))

    def test_a_slow_reader_loses_nothing(self):
        shim = self.loaded('const handler = (n) => "x".repeat(n);')
        ids = [shim.start(b'300000') for _ in range(40)]
        self.assertEqual([300000] * 40, [len(shim.answer(id).value) for id in ids])


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


def load_tests(loader, _tests, _pattern):
    nodes = [node for node in [shutil.which('node')] + os.environ.get('CLOUDFUNCTION_TEST_NODES', '').split(':') if node]
    suite = unittest.TestSuite()
    for node in nodes:
        name = 'Node' + '_'.join(map(str, version_of(node)))
        for base in (Contract, Loading, Starting, Invoking, Errors, Output, Checking, Transpiled):
            suite.addTests(loader.loadTestsFromTestCase(
                type(name + base.__name__, (base, unittest.TestCase), {'node': node})))
    if not nodes:
        print('skipped: there is no node on PATH')
    return suite


if __name__ == '__main__':
    unittest.main()
