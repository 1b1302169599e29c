"""The Go builder and the worker that it compiles into every program, against the worker protocol and the contract.

    python3 -m unittest test_go_shim            (in this folder)

Builds with the `go` on PATH (or in /usr/local/go), and with every one that CLOUDFUNCTION_TEST_GOS lists, separated
by ':'. Without any, everything is skipped.
"""
import json
import os
import re
import select
import shutil
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from harness import Frame, Shim, invoke_payload

HERE = os.path.dirname(os.path.abspath(__file__))
PLUGIN = os.path.join(HERE, '..', '..', '..', 'plugins', 'go')

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
        subprocess.check_call([go, 'build', '-o', self.builder, '.'], cwd=os.path.join(PLUGIN, 'builder'), env=plain)
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
    for one in _toolchains.values():
        shutil.rmtree(one.folder, ignore_errors=True)


class Base:
    go = None

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
        shim.concurrency = options.get('concurrency', 1)
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

    TYPED = ('type Event struct {\n\tName string `json:"name"`\n\tAge int\n\tTags []string\n\tInner *struct{ N float64 }\n}\n'
             'type Reply struct {\n\tGreeting string `json:"greeting"`\n\tSkipped string `json:"-"`\n}\n\n')

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
        self.assertIn('no function named "handler"; there is Third, other', errors[0][4])


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


class Answers(Base):
    """Events in, results and errors out."""

    ECHO = 'func handler(e interface{}) interface{} { return e }'

    def test_values_go_through(self):
        shim = self.loaded(self.ECHO)
        for value in (None, True, 0, -1, 1.5, 1e21, 1e-7, 2 ** 53, 'ü"\\\n\t\u2028<>&', '', [], {}, [[[]]], {'a': {'b': [1]}},
                      '\U0001f600', {'': ''}, [0.1, 100000, 5e-324, 1.7976931348623157e308]):
            self.assertEqual(value, shim.invoke(value).value)
        self.assertEqual(b'{"a":1e+21,"b":1e-7,"c":100000000000000000000}', shim.invoke(b' { "b" : 1e-7 , "a":1E21,"c":100000000000000000000 } ').body)

    def test_escapes(self):
        shim = self.loaded(self.ECHO)
        self.assertEqual('a/\b\f\n\r\té\U0001f600', shim.invoke(b'"a\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00"').value)
        self.assertEqual('\ufffdx\ufffd', shim.invoke(b'"\\ud83dx\\ude00"').value)

    def test_no_event_is_an_empty_object(self):
        self.assertEqual({}, self.value(self.ECHO, b''))
        self.assertEqual(b'{}', self.loaded(self.ECHO).invoke(b'').body)

    def test_number_out_of_range(self):
        self.assertIn('1e999', self.error(self.ECHO, b'[1e999]')['message'])

    def test_large_event_and_result(self):
        shim = self.loaded(self.ECHO)
        event = {'a': 'x' * 3_000_000, 'b': list(range(100000))}
        for _ in range(3):
            self.assertEqual(event, shim.invoke(event).value)
        self.assertEqual(1, shim.invoke(b'1').value)

    def test_result_too_large(self):
        document = self.error('func handler() string { return strings.Repeat("x", 17<<20) }')
        self.assertEqual('ResultTooLarge', document['type'])

    def test_event_that_does_not_fit(self):
        source = Forms.TYPED + 'func handler(e Event) Reply { return Reply{} }'
        document = self.error(source, {'name': 'x', 'Age': 'old'})
        self.assertEqual('EventNotDecodable', document['type'])
        self.assertIn('event.Age is a JSON string', document['message'])
        self.assertIn('int', document['hint'])
        self.assertIn('event.Inner.N', self.error(source, {'Inner': {'N': 'x'}})['message'])
        self.assertIn('Event', self.error(source, b'[1]')['message'])

    def test_result_that_is_not_json(self):
        for expression, why in (('make(chan int)', 'chan int'), ('func() {}', 'func()'), ('math.NaN()', 'NaN'), ('math.Inf(1)', '+Inf'),
                                ('map[string]interface{}{"a": []interface{}{math.NaN()}}', 'NaN'),
                                ('struct{ F float64 }{math.NaN()}', 'NaN'), ('map[string]interface{}{"c": make(chan int)}', 'chan int'),
                                ('map[bool]int{true: 1}', 'map[bool]int')):
            document = self.error('func handler() interface{} { return %s }' % expression)
            self.assertEqual('ResultNotJson', document['type'], expression)
            self.assertIn(why, document['message'])
            self.assertTrue(document['hint'])

    def test_cyclic_result(self):
        document = self.error('func handler() interface{} {\n\tm := map[string]interface{}{}\n\tm["m"] = m\n\treturn m\n}')
        self.assertEqual('ResultNotJson', document['type'])
        document = self.error('type T struct{ T *T }\n\nfunc handler() interface{} {\n\tt := &T{}\n\tt.T = t\n\treturn t\n}')
        self.assertEqual('ResultNotJson', document['type'])

    def test_invalid_utf8_in_a_result(self):
        self.assertEqual({'a\ufffd': 'b\ufffd\ufffd'}, self.value('func handler() interface{} { return map[string]interface{}{"a\\xff": "b\\xc3\\x28"[:2] + "\\xf0"} }'))

    def test_like_encoding_json(self):
        values = ('map[string]interface{}{"b": 1, "a": []string{"x"}, "c": uint8(3)}', '[]byte("hi")', 'json.Number("12.50")', 'time.Unix(0, 0).UTC()',
                  '[]interface{}(nil)', 'map[string]interface{}(nil)', 'json.RawMessage(`{"a": 1}`)', 'float32(0.1)', '[2]bool{true}', 'int64(-1 << 63)',
                  '-0.0', '1e20', '1.0e-6', '1e-6/10', 'math.Copysign(0, -1)', '"\\u0001\\u007f"', 'errors.New("x")')
        source = 'func handler() interface{} {\n\tvalues := []interface{}{\n' + ''.join('\t\t%s,\n' % v for v in values) + '\t}\n'
        source += '\ttext, _ := json.Marshal(values)\n\treturn map[string]interface{}{"want": string(text), "got": values}\n}\n'
        body = self.loaded(source).invoke().body.decode()
        want = json.loads(body)['want']
        self.assertEqual('{"got":' + want + ',"want":', body[:len(want) + 15])

    def test_panic(self):
        source = 'func inner(a []int) int { return a[3] }\n\nfunc handler() int {\n\treturn inner(nil)\n}\n'
        document = self.error(source)
        self.assertEqual('panic', document['type'])
        self.assertIn('index out of range [3] with length 0', document['message'])
        self.assertEqual(['main.inner (main.go:1)', 'main.handler (main.go:4)'], document['stack'])
        self.assertEqual(('main.go', 1), (document['file'], document['line']))

    def test_panics_of_all_kinds(self):
        for expression, type, message in (('"text"', 'panic', 'text'), ('5', 'panic', '5'), ('fmt.Errorf("deep %w", io.EOF)', 'panic', 'deep EOF'),
                                          ('mine{4}', 'mine', 'mine 4'), ('&os.PathError{Op: "open", Path: "x", Err: io.EOF}', 'fs.PathError', 'open x: EOF')):
            document = self.error('type mine struct{ n int }\n\nfunc (m mine) Error() string { return fmt.Sprint("mine ", m.n) }\n\n'
                                  'func handler() { if io.EOF != nil && os.Args != nil {\n\tpanic(' + expression + ') } }\n')
            self.assertEqual((type, message), (document['type'], document['message']), expression)
            self.assertEqual(['main.handler (main.go:6)'], document['stack'])
        self.error('func handler() { panic(nil) }')

    def test_stack_through_the_library_and_folders(self):
        files = {'go.mod': 'module shop\n', 'main.go': 'package main\n\nimport (\n\t"shop/sub"\n\t"sort"\n)\n\nfunc handler() {\n\tsort.Slice([]int{1, 2}, func(i, j int) bool { return sub.Fail() })\n}\n',
                 'sub/sub.go': 'package sub\n\nfunc Fail() bool { panic("sub") }\n'}
        self.assertEqual(['shop/sub.Fail (sub/sub.go:3)', 'main.handler.func1 (main.go:9)', 'main.handler (main.go:9)'], self.error(files)['stack'])

    def test_errors_returned(self):
        source = 'type NotFound struct{}\n\nfunc (*NotFound) Error() string { return "not here" }\n\nfunc handler(kind int) (int, error) {\n\tswitch kind {\n\tcase 1:\n\t\treturn 0, &NotFound{}\n' \
                 '\tcase 2:\n\t\t_, err := os.Open("/nonexistent")\n\t\treturn 0, err\n\tcase 3:\n\t\treturn 0, fmt.Errorf("outer: %w", io.EOF)\n\t}\n\treturn 0, errors.New("plain")\n}\n'
        shim = self.loaded(source)
        found = [(d['type'], d['message'], d['stack']) for d in (shim.invoke(str(i).encode()).document for i in range(4))]
        self.assertEqual([('error', 'plain', []), ('NotFound', 'not here', []), ('fs.PathError', 'open /nonexistent: no such file or directory', []),
                          ('error', 'outer: EOF', [])], found)

    def test_long_messages_are_cut(self):
        document = self.error('func handler() error { return errors.New(strings.Repeat("ä", 100000)) }')
        self.assertLess(len(document['message']), 20000)
        document = self.error('func deep(n int) { if n == 0 { panic("deep") }; deep(n - 1) }\n\nfunc handler() { deep(500) }')
        self.assertLessEqual(len(document['stack']), 64)

    def test_goexit(self):
        shim = self.loaded('func handler(n int) int {\n\tif n == 0 {\n\t\truntime.Goexit()\n\t}\n\treturn n\n}')
        for _ in range(3):
            self.assertEqual('Goexit', shim.invoke(b'0').error)
            self.assertEqual(2, shim.invoke(b'2').value)

    def test_run_ns(self):
        answer = self.loaded('func handler() { time.Sleep(20 * time.Millisecond) }').invoke()
        self.assertGreaterEqual(answer.run_ns, 20_000_000)
        self.assertLess(answer.run_ns, 10_000_000_000)


class Output(Base):
    """Where printed text goes: with one call at a time to the descriptors, with several at once into LOG frames."""

    def shims(self, source, **options):
        for concurrency in (1, 10):
            yield self.loaded(source, concurrency=concurrency, **options)

    def eventually(self, what):
        deadline = time.monotonic() + 20
        while not what():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def test_all_ways_of_printing(self):
        source = ('var early = log.New(os.Stdout, "early ", 0)\n\nfunc handler() {\n\tfmt.Println("out")\n\tfmt.Fprintln(os.Stderr, "err")\n'
                  '\tlog.SetFlags(0)\n\tlog.Print("logged")\n\tearly.Print("x")\n\tos.Stdout.WriteString("no line end")\n}')
        for shim in self.shims(source):
            answer = shim.invoke()
            self.assertEqual(('out\nearly x\nno line end', 'err\nlogged\n'), (answer.text(1), answer.text(2)))

    def test_which_way_it_takes(self):
        source = 'func handler() { fmt.Print("out"); fmt.Fprint(os.Stderr, "err") }'
        ways = []
        for shim in self.shims(source):
            shim.invoke()
            ways.append((bytes(shim.stdout + shim.stderr), b''.join(text for _, _, text in shim.logs)))
        self.assertEqual([(b'outerr', b''), (b'', b'outerr')], ways)

    def test_text_belongs_to_its_call(self):
        for shim in self.shims('func handler(n int) int { fmt.Println("call", n); return n }'):
            for n in range(200):
                answer = shim.invoke(n)
                self.assertEqual((n, 'call %d\n' % n), (answer.value, answer.text()))

    def test_more_than_a_pipe_holds(self):
        for shim in self.shims('func handler() {\n\tfor i := 0; i < 3000; i++ {\n\t\tfmt.Println(strings.Repeat("x", 999))\n\t}\n}'):
            self.assertEqual(3_000_000, len(shim.invoke().text(1)))
            self.assertEqual(3_000_000, len(shim.invoke().text(1)))

    def test_a_handler_waits_for_who_reads(self):
        for shim in self.shims('func handler() {\n\tfor i := 0; i < 100000; i++ {\n\t\tfmt.Println(i)\n\t\tlog.Print(i)\n\t}\n}'):
            with shim.reading:
                id = shim.start()
                time.sleep(0.3)
            answer = shim.answer(id)
            self.assertEqual(list(range(100000)), [int(line) for line in answer.text(1).split()])
            self.assertEqual(100000, answer.text(2).count('\n'))
            self.assertTrue(shim.invoke().ok)

    def test_one_endless_line(self):
        for shim in self.shims('func handler() { fmt.Print(strings.Repeat("x", 5<<20)) }'):
            self.assertEqual(5 << 20, len(shim.invoke().text(1)))

    def test_text_comes_while_the_handler_runs(self):
        source = 'func handler(file string) {\n\tfmt.Println("begun")\n\tfor {\n\t\tif _, err := os.Stat(file); err == nil {\n\t\t\treturn\n\t\t}\n\t\ttime.Sleep(time.Millisecond)\n\t}\n}'
        for shim in self.shims(source):
            with tempfile.TemporaryDirectory() as folder:
                file = os.path.join(folder, 'go-on')
                id = shim.start(file)
                if shim.concurrency == 1:
                    self.eventually(lambda: shim.stdout == b'begun\n')
                else:
                    self.assertEqual(id, shim.receive('LOG').id)
                open(file, 'w').close()
                self.assertTrue(shim.answer(id).ok)

    def test_text_before_a_panic(self):
        for shim in self.shims('func handler() { fmt.Print("last words"); panic("x") }'):
            answer = shim.invoke()
            self.assertEqual(('panic', 'last words'), (answer.error, answer.text()))

    def test_last_words(self):
        source = ('func handler(way int) {\n\tfor i := 0; i < 200; i++ {\n\t\tfmt.Println("line", i)\n\t}\n\tswitch way {\n'
                  '\tcase 0:\n\t\tlog.Fatalln("cannot connect to database")\n\tcase 1:\n\t\tfmt.Fprint(os.Stderr, "exit")\n\t\tos.Exit(3)\n'
                  '\tcase 2:\n\t\tgo panic("elsewhere")\n\t\tselect {}\n\tcase 3:\n\t\tsyscall.Kill(os.Getpid(), syscall.SIGKILL)\n\t}\n}')
        for way, status, words in ((0, 1, b'cannot connect to database\n'), (1, 3, b'exit'), (2, 2, b'panic: elsewhere'), (3, -9, b'')):
            for _ in range(5):
                shim = self.loaded(source)
                shim.start(way)
                self.assertEqual(status, shim.wait())
                self.assertEqual(''.join('line %d\n' % i for i in range(200)), shim.stdout.decode())
                self.assertIn(words, shim.stderr)

    def test_text_after_the_answer(self):
        for shim in self.shims('func handler() { go func() { time.Sleep(50 * time.Millisecond); fmt.Print("late") }() }'):
            self.assertTrue(shim.invoke().ok)
            if shim.concurrency == 1:
                self.eventually(lambda: shim.stdout == b'late')
            else:
                self.assertEqual(0, shim.receive('LOG').id)

    def test_a_handler_may_close_its_streams(self):
        source = ('func handler(way int) string {\n\tswitch way {\n\tcase 1:\n\t\tos.Stdout.Close()\n\t\tos.Stderr.Close()\n'
                  '\tcase 2:\n\t\tsyscall.Close(1)\n\t\tsyscall.Close(2)\n\t}\n'
                  '\tfmt.Println("x")\n\tlog.Print("x")\n\tprintln("x")\n\treturn "fine"\n}')
        for way in (b'1', b'2'):
            for shim in self.shims(source):
                self.assertEqual(['fine'] * 3, [shim.invoke(event).value for event in (b'0', way, b'0')])

    def test_a_replaced_variable_stays_replaced(self):
        source = ('var file *os.File\n\nfunc init() {\n\tfile, _ = os.CreateTemp("", "")\n\tos.Remove(file.Name())\n\tos.Stdout = file\n}\n\n'
                  'func handler() string {\n\tfmt.Print("kept")\n\tfile.Seek(0, 0)\n\ttext, _ := io.ReadAll(file)\n\treturn string(text)\n}')
        for shim in self.shims(source):
            answer = shim.invoke()
            self.assertEqual(('kept', ''), (answer.value, answer.text()))

    def test_println_goes_to_the_native_stream(self):
        shim = self.loaded('func handler() { println("one"); fmt.Fprintln(os.Stderr, "two"); println("three") }')
        self.assertEqual('one\ntwo\nthree\n', shim.invoke().text(2))
        shim = self.loaded('func handler() { println("native") }', concurrency=10)
        shim.invoke()
        self.assertEqual(0, shim.stop())
        self.assertEqual(b'native\n', shim.stderr)

    def test_initialisation_may_print(self):
        for concurrency in (1, 10):
            shim = Worker([self.built('func init() { fmt.Println("init") }\n\nfunc handler() {}')])
            self.addCleanup(shim.close)
            answer = shim.load('/function', 'handler', concurrency=concurrency)
            self.assertEqual((True, 'init\n'), (answer.ok, answer.text()))


class Life(Base):
    """HELLO to STOP, several at once, and ends."""

    def test_hello(self):
        with Shim([self.built('func handler() {}')]) as shim:
            hello = shim.hello()
            self.assertEqual((self.tools.version, 1024), (hello['LANGUAGE'], hello['CONCURRENCY']))

    def test_stop_and_end_of_socket(self):
        shim = self.loaded('func handler() {}')
        self.assertEqual(0, shim.stop())
        shim = self.loaded('func handler() {}', concurrency=5)
        self.assertEqual(0, shim.stop())
        for concurrency in (1, 5):
            shim = self.loaded('func handler() {}', concurrency=concurrency)
            shim.socket.shutdown(2)
            self.assertEqual(0, shim.wait())

    def test_other_handler_than_built(self):
        with Shim([self.built('func handler() {}')]) as shim:
            answer = shim.load('/function', 'other')
            self.assertEqual('HandlerNotFound', answer.error)
            self.assertEqual(0, shim.wait())

    def test_calls_may_wait_in_the_socket(self):
        shim = self.loaded('func handler(n int) int { return n }')
        ids = [shim.start(str(n).encode()) for n in range(500)]
        order = [shim.receive('RESULT').id for _ in ids]
        self.assertEqual(ids, order)

    def test_frames_in_pieces(self):
        shim = self.loaded('func handler(s string) int { return len(s) }')
        data = Frame('INVOKE', 77, invoke_payload(b'"' + b'x' * 70000 + b'"')).encode() * 2
        for at in range(0, len(data), 9973):
            shim.send_raw(data[at:at + 9973])
            time.sleep(0.001)
        self.assertEqual([70000, 70000], [shim.answer(77).value, shim.answer(77).value])

    def test_unknown_items_and_frames_are_skipped(self):
        shim = self.loaded('func handler(n int) int { return n }')
        shim.cancel(123)
        shim.send('INVOKE', 5, invoke_payload(b'6') + struct.pack('<HHI', 999, 0, 3) + b'abc')
        self.assertEqual(6, shim.answer(5).value)
        self.assertEqual(3, shim.invoke(b'3', id=2 ** 64 - 1).value)

    def test_os_exit(self):
        shim = self.loaded('func handler() { os.Exit(7) }')
        shim.start()
        self.assertEqual(7, shim.wait())

    def test_panic_in_a_goroutine(self):
        shim = self.loaded('func handler() { go func() { panic("elsewhere") }(); time.Sleep(time.Minute) }')
        shim.start()
        self.assertEqual(2, shim.wait())
        self.assertIn(b'panic: elsewhere', shim.stderr)
        self.assertIn(b'main.go:1', shim.stderr)

    def test_endless_recursion_has_its_name(self):
        shim = self.loaded('func deep(n int) int { return deep(n+1) + 1 }\n\nfunc handler() int { return deep(0) }')
        shim.start()
        self.assertEqual(2, shim.wait())
        self.assertIn(b'fatal error: stack overflow', shim.stderr)

    def test_a_deadlock_has_its_name(self):
        shim = self.loaded('func handler() { <-make(chan int) }')
        shim.start()
        self.assertEqual(2, shim.wait())
        self.assertIn(b'fatal error: all goroutines are asleep - deadlock!', shim.stderr)

    def test_several_at_once(self):
        shim = self.loaded('func handler(n int) int { time.Sleep(300 * time.Millisecond); return n }', concurrency=100)
        began = time.monotonic()
        ids = [shim.start(str(n).encode()) for n in range(100)]
        self.assertEqual(list(range(100)), [shim.answer(id).value for id in ids])
        self.assertLess(time.monotonic() - began, 20)

    def test_one_at_a_time_means_one(self):
        source = ('var running int32\n\nfunc handler() int32 {\n\tn := atomic.AddInt32(&running, 1)\n\ttime.Sleep(time.Millisecond)\n'
                  '\tatomic.AddInt32(&running, -1)\n\treturn n\n}')
        shim = self.loaded(source)
        ids = [shim.start() for _ in range(50)]
        self.assertEqual([1] * 50, [shim.answer(id).value for id in ids])

    def test_panic_and_goexit_among_many(self):
        shim = self.loaded('func handler(n int) int {\n\ttime.Sleep(time.Millisecond)\n\tswitch n % 3 {\n\tcase 0:\n\t\tpanic("three")\n\tcase 1:\n\t\truntime.Goexit()\n\t}\n\treturn n\n}',
                           concurrency=10)
        ids = [shim.start(str(n).encode()) for n in range(60)]
        answers = [shim.answer(id) for id in ids]
        self.assertEqual(['panic', 'Goexit', None] * 20, [a.error for a in answers])

    def test_cancel_ends_the_context(self):
        shim = self.loaded('func handler(ctx context.Context) string {\n\t<-ctx.Done()\n\treturn ctx.Err().Error()\n}', concurrency=2)
        id = shim.start(remaining_ms=60000)
        other = shim.start(remaining_ms=60000)
        shim.cancel(id)
        self.assertEqual('context canceled', shim.answer(id).value)
        shim.cancel(other)
        self.assertEqual('context canceled', shim.answer(other).value)

    def test_deadline_ends_the_context(self):
        shim = self.loaded('func handler(ctx context.Context) string {\n\t<-ctx.Done()\n\treturn ctx.Err().Error()\n}')
        self.assertEqual('context deadline exceeded', shim.invoke(remaining_ms=50).value)

    def test_text_of_a_lone_call_among_many_is_attributed(self):
        shim = self.loaded('func handler() { fmt.Println("alone") }', concurrency=10)
        self.assertEqual('alone\n', shim.invoke().text())

    def test_descriptors_are_not_inherited(self):
        source = 'func handler() string {\n\tout, err := exec.Command("/bin/readlink", "-v", "/proc/self/fd/3").CombinedOutput()\n\treturn fmt.Sprint(string(out), err)\n}'
        self.assertIn('No such file', self.value(source))

    def test_a_child_may_print(self):
        source = 'func handler() error {\n\tcmd := exec.Command("/bin/echo", "child")\n\tcmd.Stdout = os.Stdout\n\treturn cmd.Run()\n}'
        self.assertEqual('child\n', self.loaded(source).invoke().text(1))


def _cases():
    found = []
    for go in (shutil.which('go'), '/usr/local/go/bin/go'):
        if go and os.access(go, os.X_OK):
            found.append(go)
            break
    found += [go for go in os.environ.get('CLOUDFUNCTION_TEST_GOS', '').split(':') if go]
    for go in found:
        suffix = re.sub(r'\W+', '_', go) if len(found) > 1 else ''
        for base in (Contract, Forms, Files, Answers, Output, Life):
            name = base.__name__ + 'Test' + suffix
            globals()[name] = type(name, (base, unittest.TestCase), {'go': go})
    if not found:
        class NoGo(unittest.TestCase):
            @unittest.skip('there is no Go on this machine')
            def test_nothing(self):
                pass
        globals()['NoGo'] = NoGo


_cases()

if __name__ == '__main__':
    unittest.main()
