"""How a user writes a function in Go."""
from platform_fixture import SystemTest


class GoContract(SystemTest):
    def run_code(self, code, event=None, context=None, **fields):
        return self.result(self.function('go', code, **fields), event, context)

    def test_no_one_or_two_arguments(self):
        self.assertEqual(7, self.run_code('func handler() interface{} { return 7 }', 1))
        self.assertEqual([1], self.run_code('func handler(e interface{}) interface{} { return []interface{}{e} }', 1))

    def test_alias_of_the_runtime(self):
        self.assertEqual(1, self.result(self.function('golang', 'func handler() interface{} { return 1 }')))

    def test_imports_come_by_themselves(self):
        self.assertEqual('HELLO 2 true', self.run_code('''\
func handler(event interface{}) interface{} {
    return fmt.Sprintf("%s %d %v", strings.ToUpper("hello"), len(os.Args)+1, time.Now().Year() > 2000)
}
'''))

    def test_a_full_file_is_taken_as_it_is(self):
        self.assertEqual('whole', self.run_code('''\
package main

import "strings"

func handler(event interface{}, context map[string]string) interface{} {
	return strings.TrimSpace("  whole ")
}
'''))

    def test_typed_handlers(self):
        types = '''\
type Order struct {
    Items []string `json:"items"`
    Price float64  `json:"price"`
}
type Receipt struct {
    Count int     `json:"count"`
    Total float64 `json:"total"`
}
'''
        event, receipt = {'items': ['a', 'b'], 'price': 1.5}, {'count': 2, 'total': 3}
        for signature in ('order Order', 'ctx context.Context, order Order'):
            with self.subTest(signature):
                self.assertEqual(receipt, self.run_code(types + f'''
func handler({signature}) (Receipt, error) {{
    return Receipt{{len(order.Items), order.Price * float64(len(order.Items))}}, nil
}}
''', event))

    def test_a_returned_error(self):
        error = self.error(self.function('go', '''\
func handler(event map[string]int) (int, error) {
    return 0, fmt.Errorf("no %s today", "luck")
}
'''), {'a': 1})
        self.assertEqual('no luck today', error['message'])

    def test_an_event_of_another_shape(self):
        error = self.error(self.function('go', 'func handler(event struct{ N int }) (int, error) { return event.N, nil }'),
                           {'N': 'text'})
        self.assertIn('N', error['message'])

    def test_context_is_text(self):
        name = self.function('go', '''\
func handler(event interface{}, context map[string]string) interface{} { return context }
''', memory=96)
        answer = self.invoke(name, {}, {'user_id': '123', 'n': 5, 'ok': True, 'nested': {'a': [1]}}).json
        result = answer['result']
        self.assertEqual(('123', '5', 'true', '{"a":[1]}', name, '1', '96', answer['invocation_id']),
                         tuple(result[k] for k in ('user_id', 'n', 'ok', 'nested', 'function_name',
                                                   'function_version', 'memory_limit_mb', 'invocation_id')))
        self.assertTrue(result['request_id'])
        self.assertGreater(int(result['deadline_ms']), 1_600_000_000_000)

    def test_environment_and_time_zone(self):
        self.assertEqual(['blue', '8'], self.run_code('''\
func handler() interface{} {
    return []string{os.Getenv("COLOR"), fmt.Sprint(time.Unix(0, 0).Hour())}
}
''', environment={'COLOR': 'blue', 'TZ': 'Asia/Shanghai'}))

    def test_the_environment_of_every_function(self):
        code = 'func handler() []string { return []string{os.Getenv("HOME"), os.TempDir(), os.Getenv("PATH"), os.Getenv("LANG")} }'
        self.assertEqual(['/tmp', '/tmp', '/usr/local/bin:/usr/bin:/bin', 'C.UTF-8'], self.result(self.function('go', code)))
        own = self.function('go', code, environment={'HOME': '/', 'LANG': 'de_DE.UTF-8'})
        self.assertEqual(['/', '/tmp', '/usr/local/bin:/usr/bin:/bin', 'de_DE.UTF-8'], self.result(own))

    def test_a_panic_while_loading_names_its_line(self):
        answer = self.create('go', 'var x = func() int {\n\tpanic("no")\n}()\n\nfunc handler() int { return x }')
        self.assertIn('no (main.go, line 2)', answer.text)

    def test_several_files(self):
        self.needs('go')
        created = self.create('go', files={
            'main.go': 'package main\n\nfunc handler(who string) (string, error) { return greet(who), nil }\n',
            'greeting.go': 'package main\n\nfunc greet(who string) string { return "Hello " + who }\n'})
        self.assertEqual(201, created.status, created)
        self.assertEqual('Hello you', self.result(created.json['name'], 'you'))

    def test_compiler_errors_name_line_and_column(self):
        self.needs('go')
        answer = self.create('go', 'func handler(event interface{}) interface{} {\n    return undefinedThing\n}\n')
        document = self.assertProblem(answer, 422, 'build_failed')
        self.assertEqual((2, 12), (document['errors'][0]['line'], document['errors'][0]['column']), document)
        self.assertIn('undefinedThing', document['errors'][0]['message'])

    def test_only_the_comma_is_repaired(self):
        self.needs('go')
        answer = self.create('go', 'func handler(event interface{}) interface{} {\n    return (1\n}\n')
        document = self.assertProblem(answer, 422, 'build_failed')
        self.assertEqual(2, document['errors'][0]['line'], document)

    def test_missing_handler_is_named(self):
        self.needs('go')
        answer = self.create('go', 'func handle(event interface{}) interface{} { return 1 }')
        self.assertEqual(422, answer.status, answer)
        self.assertIn('handler', answer.text)

    def test_a_panic_is_an_error_with_a_stack(self):
        name = self.function('go', '''\
func inner() { panic("at the disco") }

func handler(event interface{}) interface{} {
    inner()
    return nil
}
''')
        error = self.error(name)
        self.assertIn('at the disco', error['message'])
        self.assertIn('inner', '\n'.join(error['stack']))
        self.assertEqual(error['type'], self.error(name)['type'], 'the worker lives on')

    def test_a_wrong_type_assertion_is_an_error(self):
        name = self.function('go', 'func handler(event interface{}) interface{} { return event.(string) }')
        self.assertIn('interface conversion', self.error(name, 5)['message'])

    def test_results_that_are_not_json(self):
        for expression in ('math.NaN()', 'make(chan int)', 'func() {}'):
            with self.subTest(expression):
                error = self.error(self.function('go', f'func handler() interface{{}} {{ return {expression} }}'))
                self.assertEqual('ResultNotJson', error['type'], error)

    def test_every_json_value_goes_through(self):
        name = self.function('go', 'func handler(event interface{}) interface{} { return event }')
        for value in (True, 0, -1, 1.5, '', '\u4f60\u597d \U0001f600 "quoted" \\ <&>', [], {}, [[[]]],
                      {'a': {'b': [1, {'c': None}]}}):
            with self.subTest(repr(value)):
                self.assertEqual(value, self.result(name, value))
