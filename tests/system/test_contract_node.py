"""How a user writes a function in JavaScript and TypeScript."""
from platform_fixture import SystemTest


class NodeContract(SystemTest):
    def run_code(self, code, event=None, context=None, runtime='node', **fields):
        return self.result(self.function(runtime, code, **fields), event, context)

    def test_no_one_or_two_arguments(self):
        self.assertEqual(7, self.run_code('function handler() { return 7 }', 1))
        self.assertEqual([1], self.run_code('function handler(event) { return [event] }', 1))
        self.assertEqual([1, 'u'], self.run_code(
            'function handler(event, context) { return [event, context.user_id] }', 1, {'user_id': 'u'}))

    def test_every_way_to_name_the_handler(self):
        for code in ('const handler = (event) => event + 1',
                     'module.exports.handler = (event) => event + 1',
                     'exports.handler = async (event) => event + 1',
                     'module.exports = { handler: (event) => event + 1 }',
                     'export function handler(event) { return event + 1 }',
                     'export const handler = async (event) => event + 1'):
            with self.subTest(code):
                self.assertEqual(3, self.run_code(code, 2))

    def test_async_and_promises(self):
        self.assertEqual('later', self.run_code(
            'async function handler() { await new Promise(r => setTimeout(r, 10)); return "later" }'))
        self.assertEqual('chained', self.run_code(
            'function handler() { return Promise.resolve("chain").then(s => s + "ed") }'))

    def test_aliases_of_the_runtime(self):
        for runtime in ('nodejs', 'javascript'):
            with self.subTest(runtime):
                self.assertEqual(1, self.run_code('function handler() { return 1 }', runtime=runtime))

    def test_typescript_by_its_alias(self):
        self.needs('typescript')
        self.assertEqual({'total': 6}, self.run_code('''\
interface Numbers { data: number[] }
export async function handler(event: Numbers): Promise<{ total: number }> {
    return { total: event.data.reduce((a: number, b: number) => a + b, 0) };
}
''', {'data': [1, 2, 3]}, runtime='typescript'))

    def test_typescript_by_its_file_name(self):
        self.needs('typescript')
        created = self.create('node', handler='main.handler', files={
            'main.ts': 'import { twice } from "./twice";\nexport const handler = (n: number): number => twice(n);\n',
            'twice.ts': 'export function twice(n: number): number { return n * 2 }\n'})
        self.assertEqual(201, created.status, created)
        self.assertEqual(8, self.result(created.json['name'], 4))

    def test_typescript_stack_points_at_the_users_line(self):
        self.needs('typescript')
        name = self.function('typescript', '''\
interface Nothing {
    a: string;
}

export function handler(event: Nothing): never {
    throw new RangeError("line six");
}
''')
        error = self.error(name, {})
        self.assertEqual(('RangeError', 'line six'), (error['type'], error['message']))
        self.assertIn(':6:', error['stack'][0] + error['stack'][-1])

    def test_several_files(self):
        self.needs('node')
        created = self.create('node', handler='index.handler', files={
            'index.js': 'const { greet } = require("./parts/greeting");\nexports.handler = (who) => greet(who);\n',
            'parts/greeting.js': 'exports.greet = (who) => "Hello " + who;\n'})
        self.assertEqual(201, created.status, created)
        self.assertEqual('Hello you', self.result(created.json['name'], 'you'))

    def test_context(self):
        name = self.function('node', 'function handler(event, context) { return context }', memory=128)
        answer = self.invoke(name, {}, {'user_id': '123', 'request_id': 'req_456', 'nested': {'a': [1]}}).json
        result = answer['result']
        self.assertEqual(('123', 'req_456', {'a': [1]}, name, 128, answer['invocation_id']),
                         tuple(result[k] for k in ('user_id', 'request_id', 'nested', 'function_name',
                                                   'memory_limit_mb', 'invocation_id')))
        self.assertIn(result['function_version'], (1, '1'))
        self.assertGreater(result['deadline_ms'], 1_600_000_000_000)

    def test_environment_and_time_zone(self):
        self.assertEqual(['blue', 8], self.run_code(
            'function handler() { return [process.env.COLOR, new Date(0).getHours()] }',
            environment={'COLOR': 'blue', 'TZ': 'Asia/Shanghai'}))

    def test_exceptions(self):
        name = self.function('node', '''\
function inner(event) {
    throw new TypeError("bad value: " + event);
}
async function handler(event) {
    return inner(event);
}
''')
        error = self.error(name, 5)
        self.assertEqual(('TypeError', 'bad value: 5'), (error['type'], error['message']))
        self.assertIn(':2:', '\n'.join(error['stack']))
        self.assertIn(':5:', '\n'.join(error['stack']))
        self.assertFalse([line for line in error['stack'] if 'node:internal' in line], error)

    def test_throwing_what_is_not_an_error(self):
        self.assertIn('plain', self.error(self.function('node', 'function handler() { throw "plain" }'))['message'])

    def test_results_that_are_not_json(self):
        for code in ('const a = {}; a.a = a; return a', 'return 10n', 'return () => 1'):
            with self.subTest(code):
                error = self.error(self.function('node', f'function handler() {{ {code} }}'))
                self.assertEqual('ResultNotJson', error['type'], error)

    def test_no_result_is_null_and_so_is_what_json_has_no_number_for(self):
        self.assertIsNone(self.run_code('function handler() {}'))
        self.assertEqual([None, {'x': None}], self.run_code('function handler() { return [NaN, { x: 1 / 0 }] }'))

    def test_every_json_value_goes_through(self):
        name = self.function('node', 'const handler = (event) => event')
        for value in (True, 0, -1, 1.5, '', '\u4f60\u597d \U0001f600 \u0000 "quoted" \\', [], {}, [[[]]],
                      {'a': {'b': [1, {'c': None}]}, '__proto__': 1}):
            with self.subTest(repr(value)):
                self.assertEqual(value, self.result(name, value))

    def test_syntax_error_names_line_and_column(self):
        self.needs('node')
        answer = self.create('node', 'function handler(event) {\n    return event +;\n}\n')
        document = self.assertProblem(answer, 422, 'build_failed')
        self.assertEqual((2, 19), (document['errors'][0]['line'], document['errors'][0]['column']), document)

    def test_typescript_syntax_error_names_line_and_column(self):
        self.needs('typescript')
        answer = self.create('typescript', 'function handler(event: string) {\n    return event +;\n}\n')
        document = self.assertProblem(answer, 422, 'build_failed')
        self.assertEqual((2, 19), (document['errors'][0]['line'], document['errors'][0]['column']), document)

    def test_missing_handler_is_named(self):
        self.needs('node')
        answer = self.create('node', 'function handle(event) { return 1 }')
        if answer.status == 422:
            self.assertIn('handler', answer.text)
        else:
            error = self.error(answer.json['name'])
            self.assertEqual('HandlerNotFound', error['type'])
            self.assertTrue(error['hint'])

    def test_module_that_cannot_be_loaded(self):
        self.needs('node')
        answer = self.create('node', 'const x = require("no-such-module-here");\nfunction handler() { return 1 }')
        document = answer.json if answer.status == 422 else self.error(answer.json['name'])
        self.assertIn('no-such-module-here', str(document))
        self.assertTrue(document['hint'], document)

    def test_several_invocations_share_one_worker(self):
        name = self.function('node', '''\
const started = process.pid + ":" + Math.random();
async function handler() { await new Promise(r => setTimeout(r, 300)); return started }
''', concurrency=8)
        self.result(name)
        self.assertEqual(1, len(set(self.parallel(8, lambda _: self.result(name)))))
