"""Calls of functions in JavaScript from INVOKE to the answer, and their errors."""
import json
import os
import socket
import struct
import time
import unittest

from harness import Frame, ShimError, invoke_payload
from lent_calls import LentCalls
from node_shim import HERE, Base, every_node, version_of


class Lent(LentCalls, Base):
    def sleeper(self):
        return self.loaded('const handler = (s) => new Promise((r) => setTimeout(r, s * 1000));')


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

    def test_results_of_which_json_shows_nothing(self):
        shim = self.loaded('const handler = (text) => eval(text);')
        for expression, word, hint in (('new Map([[1, 2]])', 'a Map', 'Object.fromEntries'), ('new Set()', 'a Set', '[...value]'),
                                       ('(function* () { yield 1; })()', 'a generator', '[...value]'),
                                       ('(async function* () { yield 1; })()', 'asynchronous generator', 'for await'),
                                       ('Promise.resolve(new Map())', 'a Map', ''), ('new TypeError("no")', 'TypeError: no', 'throw it')):
            document = shim.invoke(json.dumps(expression).encode()).document
            self.assertEqual('ResultNotJson', document['type'])
            self.assertIn(word, document['message'])
            self.assertIn(hint, document['hint'])
        for expression in ('({})', 'Object.create(null)', 'new (class Point {})()', '({ a: undefined })',
                           'Object.assign(new Map(), { toJSON: () => ({}) })'):
            self.assertEqual({}, shim.invoke(json.dumps(expression).encode()).value, expression)

    def test_files_that_cannot_be_written_are_explained(self):
        shim = self.loaded('const handler = (code) => { throw Object.assign(new Error(code + ": no"), { code }); };')
        for code, hint in (('EROFS', 'only /tmp is writable'), ('EFBIG', "the sandbox's limit"), ('ENOSPC', '/tmp is full')):
            self.assertIn(hint, shim.invoke(json.dumps(code).encode()).document['hint'])

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


load_tests = every_node(__name__)

if __name__ == '__main__':
    unittest.main()
