"""What a Go function may look like, and what the builder makes of its files."""
import unittest

from go_shim import Base, cases, tearDownModule
from harness import Shim

CONTRACT_HELLO = '''func handler(event interface{}, context map[string]string) interface{} {
    return map[string]interface{}{
        "message": "Hello World!"
    }
}
'''
CONTRACT_PROCESS = '''func processData(event interface{}, context map[string]string) interface{} {
    eventMap := event.(map[string]interface{})
    data := eventMap["data"].([]interface{})

    sum := 0.0
    for _, v := range data {
        sum += v.(float64)
    }

    return map[string]interface{}{
        "sum": sum,
        "count": len(data),
        "average": sum / float64(len(data)),
    }
}
'''


class Contract(Base):
    """The examples of the function contract, as written."""

    def test_hello_with_the_missing_comma(self):
        code, program, remarks, _ = self.tools.build({'main.go': CONTRACT_HELLO})
        self.assertEqual(0, code)
        self.assertEqual([('warning', 'main.go', 3, 34)], [remark[:4] for remark in remarks])
        self.assertIn('comma', remarks[0][4])
        with Shim([program]) as shim:
            self.assertTrue(shim.load('/function', 'handler').ok)
            self.assertEqual({'message': 'Hello World!'}, shim.invoke({'a': 1}).value)

    def test_process_data(self):
        self.assertEqual({'sum': 6, 'count': 3, 'average': 2},
                         self.value(CONTRACT_PROCESS, {'data': [1, 2, 3]}, handler='processData'))

    def test_both_in_one_file(self):
        program = self.built(CONTRACT_HELLO + '\n' + CONTRACT_PROCESS, 'processData', warnings=1)
        with Shim([program]) as shim:
            shim.load('/function', 'processData')
            self.assertEqual(3, shim.invoke({'data': [1, 2, 6]}).value['average'])

    def test_only_this_comma_is_repaired(self):
        errors = self.refused('func handler(event interface{}) interface{} {\n\treturn fmt.Sprint(event\n\t)\n}\n')
        self.assertEqual([('error', 'main.go', 2)], [e[:3] for e in errors[:1]])
        errors = self.refused('func handler() interface{} {\n\treturn []int{1 2}\n}\n')
        self.assertEqual(('error', 'main.go', 2, 17), errors[0][:4])

    def test_several_commas_and_comments(self):
        source = ('func handler() interface{} {\n\treturn map[string]interface{}{\n\t\t"ä": []int{\n\t\t\t1,\n\t\t\t2 // two\n'
                  '\t\t},\n\t\t"b": 2\n\t}\n}\n')
        code, program, remarks, _ = self.tools.build({'main.go': source})
        self.assertEqual((0, [5, 7]), (code, [r[2] for r in remarks]), remarks)
        with Shim([program]) as shim:
            shim.load('/function', 'handler')
            self.assertEqual({'ä': [1, 2], 'b': 2}, shim.invoke().value)

    def test_context_as_text(self):
        source = 'func handler(event interface{}, context map[string]string) interface{} { return context }'
        value = self.value(source, context=b'{"s":"x","n":1.50,"t":true,"o":{"a": [1, 2]},"z":null,"e":"\\u00e9\\n"}',
                           invocation_id='inv-7', request_id='req-7', deadline_ms=1700000000123)
        self.assertEqual({'s': 'x', 'n': '1.50', 't': 'true', 'o': '{"a":[1,2]}', 'z': '', 'e': 'é\n',
                          'invocation_id': 'inv-7', 'function_name': 'test-function', 'function_version': '1',
                          'memory_limit_mb': '128', 'deadline_ms': '1700000000123', 'request_id': 'req-7'}, value)

    def test_the_callers_request_id_wins_and_nothing_else(self):
        source = 'func handler(event interface{}, context map[string]string) interface{} { return context }'
        value = self.value(source, context={'request_id': 'mine', 'function_name': 'forged'})
        self.assertEqual(('mine', 'test-function'), (value['request_id'], value['function_name']))

    def test_environment(self):
        source = 'func handler() string { return os.Getenv("GREETING") }'
        shim = self.loaded(source, environment={'GREETING': 'a=b ü'})
        self.assertEqual('a=b ü', shim.invoke().value)

    def test_environment_of_the_stub_is_there_before_variables_are_initialised(self):
        source = 'var greeting = os.Getenv("GREETING")\n\nfunc handler() string { return greeting }'
        shim = self.loaded(source, shim_environment={'GREETING': 'early'}, environment={'GREETING': 'early'})
        self.assertEqual('early', shim.invoke().value)


class Forms(Base):
    """What a handler may look like."""

    def test_no_argument_and_no_result(self):
        self.assertIsNone(self.value('func handler() {}'))

    def test_one_argument(self):
        self.assertEqual([1, 'a', None], self.value('func handler(e interface{}) interface{} { return e }', b'[1,"a",null]'))

    def test_exported_name(self):
        self.assertEqual(1, self.value('func Handle() int { return 1 }', handler='Handle'))

    def test_any(self):
        if self.tools.version.startswith(('1.16', '1.17')):
            self.skipTest('any is Go 1.18')
        self.assertEqual({'a': 1}, self.value('func handler(e any, c map[string]any) any { return e }', {'a': 1}))

    def test_grouped_parameters(self):
        value = self.value('func handler(e, c interface{}) interface{} { return []interface{}{e, c.(map[string]interface{})["n"]} }',
                           b'7', b'{"n":2}')
        self.assertEqual([7, 2], value)

    def test_context_with_types(self):
        value = self.value('func handler(e interface{}, c map[string]interface{}) interface{} { return c }', context={'n': [1]})
        self.assertEqual(([1], 1, 128), (value['n'], value['function_version'], value['memory_limit_mb']))

    def test_map_event(self):
        source = 'func handler(e map[string]interface{}) int { return len(e) }'
        self.assertEqual(2, self.value(source, {'a': 1, 'b': 2}))
        self.assertEqual('EventNotDecodable', self.error(source, b'[1]')['type'])

    def test_own_name_for_the_maps(self):
        source = ('type Event map[string]interface{}\ntype Context map[string]string\n\n'
                  'func handler(e Event, c Context) string { return fmt.Sprint(len(e), c["function_name"]) }')
        self.assertEqual('1test-function', self.value(source, {'a': 1}))

    def test_typed(self):
        source = self.TYPED + 'func handler(e Event) (Reply, error) { return Reply{Greeting: fmt.Sprint(e.Name, e.Age, e.Tags, e.Inner.N)}, nil }'
        self.assertEqual({'greeting': 'Ada36 [x] 0.5'},
                         self.value(source, {'name': 'Ada', 'Age': 36, 'Tags': ['x'], 'Inner': {'N': 0.5}}))

    def test_typed_without_error(self):
        self.assertEqual({'greeting': 'Ada <&>'}, self.value(
            self.TYPED + 'func handler(e *Event) *Reply { return &Reply{Greeting: e.Name + " <&>"} }', {'name': 'Ada'}))

    def test_go_context(self):
        source = self.TYPED + ('func handler(ctx context.Context, e Event) (Reply, error) {\n\tdeadline, ok := ctx.Deadline()\n'
                               '\tleft := time.Until(deadline)\n\tif !ok || left < 5*time.Second || left > 10*time.Second {\n'
                               '\t\treturn Reply{}, fmt.Errorf("left %v", left)\n\t}\n'
                               '\treturn Reply{Greeting: ctx.Value("request_id").(string)}, nil\n}')
        self.assertEqual({'greeting': 'r9'}, self.value(source, remaining_ms=10000, request_id='r9'))

    def test_go_context_alone_and_second(self):
        self.assertEqual('test-function', self.value('func handler(ctx context.Context) interface{} { return ctx.Value("function_name") }'))
        self.assertEqual(5, self.value('func handler(n int, ctx context.Context) int { return n }', b'5'))

    def test_imported_type_under_another_name(self):
        source = ('package tasks\n\nimport (\n\tclock "time"\n\tc "context"\n)\n\ntype at = clock.Time\n\n'
                  'func handler(ctx c.Context, when clock.Time) (at, error) { return when.Add(clock.Hour), nil }\n')
        self.assertEqual('2024-01-01T01:00:00Z', self.value(source, b'"2024-01-01T00:00:00Z"'))

    def test_only_an_error(self):
        source = 'func handler(fail bool) error {\n\tif fail {\n\t\treturn errors.New("no")\n\t}\n\treturn nil\n}'
        shim = self.loaded(source)
        self.assertIsNone(shim.invoke(b'false').value)
        self.assertEqual(('error', 'no'), (shim.invoke(b'true').document['type'], shim.invoke(b'true').document['message']))

    def test_variable(self):
        self.assertEqual(3, self.value('var handler = func(n int) int { return n + 1 }', b'2'))

    def test_names_that_the_adapter_might_use(self):
        names = ('event', 'context', 'worker', 'json', 'ok', 'err', 'target', 'value', 'result')
        variables = ''.join('var %s = 1\n' % name for name in names)
        for source, value in ((variables + 'func call(e map[string]interface{}, c map[string]string) (int, error) { return len(e), nil }', 1),
                              (variables + 'func call(e struct{ A int }, c map[string]string) (string, error) { return c["function_name"], nil }', 'test-function'),
                              (variables + 'func call(e interface{}, c map[string]interface{}) {}', None)):
            self.assertEqual(value, self.value(source, {'a': 1}, handler='call'))
        for name in ('event', 'worker', 'cloudfunction'):
            source = 'type call map[string]int\n\nfunc %s(e call, context interface{}) int { return e["a"] }' % name
            self.assertEqual(1, self.value(source, {'a': 1}, handler=name))

    def test_names_that_go_predeclares(self):
        source = ('type error struct{ Text string }\n\nconst nil, true, false = 1, 2, 3\n\nfunc any() {}\n\nfunc new() {}\n\n'
                  'func %s(e %s, c map[string]%s) interface{} { return error{"x"} }\n')
        for event in ('interface{}', 'map[string]interface{}', 'error'):
            for context in ('string', 'interface{}'):
                self.assertEqual({'Text': 'x'}, self.value(source % ('handler', event, context)))
        self.assertEqual({'error': 'no'}, self.value('func error(text interface{}) interface{} { return map[string]interface{}{"error": text} }',
                                                     b'"no"', handler='error'))

    def test_maps_of_an_interface_of_ones_own(self):
        self.assertEqual('ada [1]', self.value('type Any interface{}\n\nfunc handler(e map[string]Any) string { return fmt.Sprint(e["name"].(string), " ", e["n"]) }',
                                               {'name': 'ada', 'n': [1]}))
        self.assertEqual(2, self.value('type any interface{}\ntype Event map[string]any\n\nfunc handler(e Event, c any) int { return len(e) }', {'a': 1, 'b': 2}))
        self.assertEqual(['a', 1], self.value('type Any = interface{}\ntype Text = string\n\nfunc handler(e map[Text]Any, c map[string]Any) interface{} {\n'
                                              '\tfor key := range e {\n\t\treturn []Any{key, c["function_version"]}\n\t}\n\treturn nil\n}', {'a': 1}))
        for source in ('type Any interface{}\n\nfunc handler(e interface{}, c map[string]Any) interface{} { return c["a"] }',
                       'type Any interface{}\n\nfunc handler(e interface{}, c map[string]Any) {}',
                       'type Text string\n\nfunc handler(e interface{}, c map[string]Text) {}'):
            error, = self.refused(source)
            self.assertEqual(('error', 'main.go', 3, 31), error[:4])
            self.assertIn('context is map[string]string, map[string]interface{}', error[4])

    def test_what_the_adapter_does_not_survive_is_said_at_the_handler(self):
        error = self.refused({'a.go': 'var cloudfunction__invoke = 1\n\nfunc handler() {}\n'})[0]
        self.assertEqual(('error', 'a.go', 3, 6), error[:4], error)
        self.assertIn('cloudfunction__invoke', error[4])

    def test_forms_that_do_not_work(self):
        for signature, column in (('(a, b, c int)', 6), ('(a ...int)', 16), ('(a chan int)', 16), ('(a int, b int)', 23),
                                  ('(a int) (int, int)', 27), ('(a int) (int, int, error)', 6),
                                  ('(c context.Context, a int, b int)', 6), ('(a func())', 16)):
            errors = self.refused('\nfunc handler' + signature + ' { panic(1) }\n')
            self.assertEqual(1, len(errors), (signature, errors))
            self.assertEqual(('error', 'main.go', 2, column), errors[0][:4], signature)
            self.assertIn('handlers take', errors[0][4])

    def test_type_parameters(self):
        if self.tools.version.startswith(('1.16', '1.17')):
            self.skipTest('type parameters are Go 1.18')
        self.assertIn('type parameters', self.refused('func handler[T any](e T) T { return e }')[0][4])

    def test_no_such_handler(self):
        errors = self.refused('func other() {}\nfunc Third() {}\n')
        self.assertIn('no function named "handler"; functions: Third, other', errors[0][4])


class Files(Base):
    """What the user's files may look like, and what is said of them."""

    def test_full_file(self):
        source = 'package main\n\nimport str "strings"\n\nfunc main() { println(str.ToUpper("x")) }\n\nfunc handler(s string) string { return str.ToUpper(s) }\n'
        self.assertEqual('ABC', self.value(source, b'"abc"'))

    def test_another_package_and_several_files(self):
        files = {'a.go': 'package shop\n\nimport "fmt"\n\nfunc handler(n int) string { return fmt.Sprint(double(n), limit) }\n',
                 'b.go': 'package shop // with a comment\n\nconst limit = 5\n\nfunc double(n int) int { return 2 * n }\n',
                 'a_test.go': 'package shop\n\nfunc broken(\n',
                 'c_windows.go': 'package shop\n\nfunc double(n int) int { return 0 }\n'}
        self.assertEqual('8 5', self.value(files, b'4'))

    def test_bare_files_together(self):
        files = {'a.go': 'func handler(s string) string { return shout(s) + strings.Repeat("!", 2) }\n',
                 'b.go': 'func shout(s string) string { return strings.ToUpper(s) }\n'}
        self.assertEqual('HI!!', self.value(files, b'"hi"'))

    def test_bare_file_with_imports_of_its_own(self):
        source = 'import "strings"\n\nfunc handler(s string) string { return strings.ToUpper(fmt.Sprint(s)) }\n'
        self.assertEqual('X', self.value(source, b'"x"'))

    def test_byte_order_mark(self):
        self.assertEqual(1, self.value('\ufefffunc handler() int { return 1 }\n'))

    def test_folders_and_embedded_files(self):
        files = {'go.mod': 'module example.org/shop\n\ngo 1.16\n',
                 'main.go': 'package shop\n\nimport (\n\t_ "embed"\n\t"example.org/shop/price"\n)\n\n//go:embed data/name.txt\nvar name string\n\n'
                            'func handler() string { return name + price.Of(3) }\n',
                 'price/price.go': 'package price\n\nimport "fmt"\n\nfunc Of(n int) string { return fmt.Sprint(n * 2) }\n',
                 'data/name.txt': 'shop'}
        self.assertEqual('shop6', self.value(files))

    def test_one_of_the_standard_librarys_namesakes(self):
        source = ('func handler() interface{} {\n\tvar b strings.Builder\n\ttemplate.Must(template.New("x").Parse("<{{.}}>")).Execute(&b, "<")\n'
                  '\tn, _ := rand.Prime(rand.Reader, 8)\n\treturn []interface{}{b.String(), n.BitLen()}\n}\n')
        self.assertEqual(['<<>', 8], self.value(source))
        self.assertIn(self.value('func handler() int { return rand.Intn(3) }'), (0, 1, 2))

    def test_names_that_are_no_packages(self):
        source = 'type json struct{ V int }\n\nfunc handler() int {\n\tstrings := json{V: 4}\n\treturn strings.V\n}\n'
        self.assertEqual(4, self.value(source))

    def test_type_errors_all_at_their_places(self):
        source = 'func handler(e interface{}) interface{} { ü := 1; return "ä" + nope }\n\nfunc b() int {\n\treturn "x"\n}\n'
        places = [e[:4] for e in self.refused(source)]
        self.assertIn(('error', 'main.go', 1, 64), places)
        self.assertIn(('error', 'main.go', 1, 43), places)
        self.assertIn(('error', 'main.go', 4, 9), places)

    def test_more_than_ten_errors(self):
        source = 'func handler() {\n' + ''.join('\tunknown%d()\n' % i for i in range(30)) + '}\n'
        self.assertEqual(list(range(2, 32)), [e[2] for e in self.refused(source)])

    def test_syntax_errors(self):
        errors = self.refused('func handler() {\n\tx := := 1\n}\n')
        self.assertEqual(('error', 'main.go', 2, 7), errors[0][:4])
        self.assertIn('syntax error', errors[0][4])
        self.assertEqual(('error', 'main.go', 1, 1), self.refused('hello world\n')[0][:4])
        self.refused('')
        self.refused('func handler() { /* open')

    def test_error_in_a_folder(self):
        files = {'go.mod': 'module shop\n', 'main.go': 'package main\n\nimport "shop/sub"\n\nfunc handler() int { return sub.N }\n',
                 'sub/sub.go': 'package sub\n\nvar N int = "x"\n'}
        self.assertEqual(('error', 'sub/sub.go', 3, 13), self.refused(files)[0][:4])

    def test_the_other_place_of_an_error_is_the_users_too(self):
        error, = self.refused('func handler() {}\n\nfunc handler() {}\n')
        self.assertEqual('handler redeclared in this block; main.go:1:6: other declaration of handler', error[4])
        error, = self.refused({'go.mod': 'module x.example/shop\n', 'main.go': 'package main\n\nfunc handler() {}\n',
                               'util.go': 'package main\n\nfunc handler() {}\n'})
        self.assertEqual(('util.go', 3, 6), error[1:4])
        self.assertEqual('handler redeclared in this block; main.go:3:6: other declaration of handler', error[4])

    def test_packages_that_import_each_other(self):
        for module in 'function', 'x.example/shop':
            error, = self.refused({
                'go.mod': f'module {module}\n', 'main.go': f'package main\n\nimport "{module}/a"\n\nfunc handler() int {{ return a.A() }}\n',
                'a/a.go': f'package a\n\nimport "{module}/b"\n\nfunc A() int {{ return b.B() }}\n',
                'b/b.go': f'package b\n\nimport (\n\t"fmt"\n\t/* ü */ "{module}/a"\n)\n\nfunc B() int {{\n\tfmt.Println()\n\treturn a.A()\n}}\n'})
            self.assertEqual(('b/b.go', 5, 10), error[1:4])
            self.assertIn('in a circle', error[4])

    def test_package_line_keeps_its_columns(self):
        errors = self.refused('package x; func handler() int { return "a" }\n')
        self.assertEqual(('error', 'main.go', 1, 40), errors[0][:4])

    def test_outside_packages_are_named(self):
        source = 'package main\n\nimport (\n\t"github.com/google/uuid"\n\t"fmt"\n)\n\nfunc handler() string { return fmt.Sprint(uuid.New()) }\n'
        error, = self.refused(source)
        self.assertEqual(('error', 'main.go', 4, 2), error[:4])
        self.assertIn('github.com/google/uuid', error[4])
        self.assertIn('"dependencies": ["github.com/google/uuid"]', error[4])

    def test_a_build_without_the_sums_it_needs_asks_for_them(self):
        code, _, remarks, errors = self.tools.build(
            {'go.mod': 'module x\n\nrequire (\n\tgithub.com/google/uuid v1.6.0\n)\n', 'main.go': 'func handler() {}\n'})
        self.assertEqual((3, [], ''), (code, remarks, errors))

    def test_cgo_is_named(self):
        error, = self.refused('package main\n\nimport "C"\n\nfunc handler() {}\n')
        self.assertEqual(('error', 'main.go', 3, 8), error[:4])

    def test_missing_import_in_a_full_file(self):
        error = self.refused('package main\n\nfunc handler() string { return fmt.Sprint(1) }\n')[0]
        self.assertEqual(('error', 'main.go', 3, 32), error[:4])
        self.assertIn('add import "fmt"', error[4])

    def test_two_packages_in_one_folder(self):
        error, = self.refused({'a.go': 'package a\n\nfunc handler() {}\n', 'b.go': 'package b\n'})
        self.assertEqual(('error', 'b.go', 1, 9), error[:4])

    def test_the_language_that_go_mod_asks_for(self):
        errors = self.refused({'go.mod': 'module x\n\ngo 1.16\n', 'main.go': 'func id[T interface{}](t T) T { return t }\n\nfunc handler() int { return id(1) }\n'})
        self.assertTrue(any('1.18' in e[4] or 'generic' in e[4] or 'expected' in e[4] for e in errors), errors)

    def test_no_trace_of_the_building_machine(self):
        with open(self.built('func handler() {}'), 'rb') as file:
            self.assertNotIn(self.tools.folder.encode(), file.read())


cases(globals())

if __name__ == '__main__':
    unittest.main()
