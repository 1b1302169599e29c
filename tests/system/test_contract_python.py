"""How a user writes a function in Python."""
from platform_fixture import SystemTest


class PythonContract(SystemTest):
    def run_code(self, code, event=None, context=None, **fields):
        return self.result(self.function('python', code, **fields), event, context)

    def test_no_one_or_two_arguments(self):
        self.assertEqual(7, self.run_code('def handler():\n    return 7\n', 1))
        self.assertEqual([1], self.run_code('def handler(event):\n    return [event]\n', 1))
        self.assertEqual([1, 'u'], self.run_code(
            'def handler(event, context):\n    return [event, context["user_id"]]\n', 1, {'user_id': 'u'}))

    def test_async_def(self):
        self.assertEqual('slept', self.run_code(
            'import asyncio\nasync def handler(event, context):\n    await asyncio.sleep(0.01)\n    return "slept"\n'))

    def test_an_absent_event_is_an_empty_object(self):
        self.assertEqual({}, self.run_code('def handler(event):\n    return event\n'))

    def test_alias_of_the_runtime(self):
        name = self.function('python3', 'def handler(event):\n    return 1\n')
        self.assertEqual(1, self.result(name))

    def test_context_as_mapping_and_by_attribute(self):
        name = self.function('python', '''\
def handler(event, context):
    return {"sent": context["user_id"], "attribute": context.user_id, "get": context.get("nothing", "fallback"),
            "name": context.function_name, "version": context.function_version, "memory": context.memory_limit_mb,
            "deadline": context.deadline_ms, "invocation": context["invocation_id"], "request": context.request_id}
''', memory=96)
        answer = self.invoke(name, {}, {'user_id': '123', 'request_id': 'req_456'}).json
        result = answer['result']
        self.assertEqual(('123', '123', 'fallback', name, 96, answer['invocation_id'], 'req_456'),
                         tuple(result[k] for k in ('sent', 'attribute', 'get', 'name', 'memory', 'invocation',
                                                   'request')))
        self.assertIn(result['version'], (1, '1'))
        self.assertGreater(result['deadline'], 1_600_000_000_000)

    def test_request_id_where_the_caller_gave_none(self):
        name = self.function('python', 'def handler(event, context):\n    return context["request_id"]\n')
        answer = self.invoke(name, {})
        self.assertEqual(answer.headers['X-Request-Id'], answer.json['result'])
        self.assertEqual('mine-1', self.invoke(name, {}, headers={'X-Request-Id': 'mine-1'}).json['result'])

    def test_environment_and_time_zone(self):
        name = self.function('python', '''\
import os, time
def handler(event):
    return [os.environ["COLOR"], time.localtime(0).tm_hour, os.environ.get("CLOUDFUNCTION_TEST_SECRET")]
''', environment={'COLOR': 'blue', 'TZ': 'Asia/Shanghai'})
        self.assertEqual(['blue', 8, None], self.result(name))

    def test_several_files(self):
        self.needs('python')
        created = self.create('python', handler='main.handler', files={
            'main.py': 'from parts.greeting import greet\ndef handler(event):\n    return greet(event)\n',
            'parts/__init__.py': '', 'parts/greeting.py': 'def greet(who):\n    return "Hello " + who\n'})
        self.assertEqual(201, created.status, created)
        self.assertEqual('Hello you', self.result(created.json['name'], 'you'))

    def test_many_sources_are_compiled_when_they_are_saved(self):
        self.needs('python')
        large = 'value = 1\n' + '# what makes it large enough\n' * 5000
        created = self.create('python', handler='main.handler', files={
            'main.py': 'import large\ndef handler(event):\n    import os\n'
                       '    return os.path.exists(large.__spec__.cached), large.value\n', 'large.py': large})
        self.assertEqual(201, created.status, created)
        self.assertEqual([True, 1], self.result(created.json['name']))

    def test_state_stays_in_a_warm_worker(self):
        name = self.function('python', 'n = 0\ndef handler():\n    global n\n    n += 1\n    return n\n')
        self.assertEqual([1, 2, 3], [self.result(name) for _ in range(3)])

    def test_exception(self):
        name = self.function('python', '''\
def inner(event):
    raise ValueError("bad value: %s" % event)

def handler(event, context):
    return inner(event)
''')
        error = self.error(name, 5)
        self.assertEqual(('ValueError', 'bad value: 5'), (error['type'], error['message']))
        stack = '\n'.join(error['stack'])
        self.assertIn('line 2', stack)
        self.assertIn('line 5', stack)
        self.assertNotIn('shim', stack)
        self.assertEqual('ValueError', self.error(name, 5)['type'], 'the worker lives on')

    def test_results_that_are_not_json(self):
        for expression in ('float("nan")', 'float("inf")', 'object()', '{1, 2}', 'b"bytes"'):
            with self.subTest(expression):
                error = self.error(self.function('python', f'def handler():\n    return {expression}\n'))
                self.assertEqual('ResultNotJson', error['type'], error)
                self.assertTrue(error['hint'])

    def test_every_json_value_goes_through(self):
        name = self.function('python', 'def handler(event):\n    return event\n')
        for value in (None, True, 0, -1, 1.5, 2 ** 53, '', '\u4f60\u597d \U0001f600 \u0000 "quoted" \\', [], {}, [[[]]],
                      {'a': {'b': [1, {'c': None}]}}):
            with self.subTest(repr(value)):
                if value is not None:
                    self.assertEqual(value, self.result(name, value))
        raw = self.call('POST', f'/api/v1/functions/{name}/invoke', '{"event":null}')
        self.assertIsNone(raw.json['result'])

    def test_syntax_error_names_line_and_column(self):
        self.needs('python')
        answer = self.create('python', 'def handler(event):\n    x = = 1\n    return x\n')
        document = self.assertProblem(answer, 422, 'build_failed')
        place = document['errors'][0]
        self.assertEqual(2, place['line'], document)
        self.assertEqual(9, place['column'], document)

    def test_missing_handler_is_named(self):
        self.needs('python')
        answer = self.create('python', 'def handle(event):\n    return 1\n')
        if answer.status == 422:
            self.assertIn('handler', answer.text)
        else:
            error = self.error(answer.json['name'])
            self.assertEqual('HandlerNotFound', error['type'])
            self.assertTrue(error['hint'])

    def test_module_that_cannot_be_imported(self):
        self.needs('python')
        answer = self.create('python', 'import no_such_module_here\ndef handler(event):\n    return 1\n')
        document = answer.json if answer.status == 422 else self.error(answer.json['name'])
        self.assertIn('no_such_module_here', str(document))
        self.assertTrue(document['hint'], document)

    def test_recursion_is_an_error_not_a_crash(self):
        name = self.function('python', 'def handler(event):\n    return handler(event)\n')
        self.assertEqual('RecursionError', self.error(name)['type'])
