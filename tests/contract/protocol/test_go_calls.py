"""Calls of Go functions from HELLO to STOP: events, answers, several at once."""
import json
import struct
import time
import unittest

from go_shim import Base, cases, tearDownModule
from harness import Frame, Shim, invoke_payload
from lent_calls import LentCalls


class Lent(LentCalls, Base):
    def sleeper(self):
        return self.loaded('func handler(s float64) { time.Sleep(time.Duration(s * 1e9)) }')


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
        source = self.TYPED + 'func handler(e Event) Reply { return Reply{} }'
        document = self.error(source, {'name': 'x', 'Age': 'old'})
        self.assertEqual('EventNotDecodable', document['type'])
        self.assertIn('event.Age is a JSON string', document['message'])
        self.assertIn('int', document['hint'])
        self.assertIn('event.Inner.N', self.error(source, {'Inner': {'N': 'x'}})['message'])
        self.assertIn('Event', self.error(source, b'[1]')['message'])

    def test_the_place_in_an_event_that_does_not_fit(self):
        source = ('type Base struct{ Since time.Time }\n\ntype Item struct {\n\tQty int `json:"qty"`\n\tDue *time.Time\n}\n\n'
                  'type Event struct {\n\tBase\n\tItems []Item `json:"items"`\n\tBy map[string][2]Item\n\tWait time.Duration\n}\n\n'
                  'func handler(e Event) {}\n')
        for event, place, kind in (({'items': [{'qty': 1}, {'qty': 'x'}]}, 'event.items[1].qty', 'int'),
                                   ({'items': [{}, {'Due': '2024-13-01'}]}, 'event.items[1].Due', 'time.Time'),
                                   ({'Since': 5, 'items': []}, 'event.Since', 'time.Time'),
                                   ({'By': {'a b': [{}, {'QTY': 1.5}]}}, 'event.By.a b[1].QTY', 'int'),
                                   ({'Wait': '5s'}, 'event.Wait', 'time.Duration'), ({'items': {}}, 'event.items', '[]Item')):
            document = self.error(source, event)
            self.assertEqual('EventNotDecodable', document['type'])
            self.assertTrue(document['message'].startswith(place + ' '), document)
            self.assertIn('the Go type ' + kind, document['message'])
            self.assertIn(place, document['hint'])
        self.assertIn('2006-01-02T15:04:05Z', self.error(source, {'Since': 'yesterday'})['hint'])

    def test_the_place_in_a_result_that_is_not_json(self):
        source = ('type Row struct {\n\tPrice float64 `json:"price"`\n\tDone chan int `json:"-"`\n}\n\n'
                  'func handler(e map[string]interface{}) interface{} {\n\tif e["typed"] == true {\n'
                  '\t\treturn map[string]interface{}{"a": 1, "rows": []Row{{Price: 1}, {Price: math.NaN()}}}\n\t}\n'
                  '\treturn map[string]interface{}{"a": 1, "list": []interface{}{1.5, math.Inf(-1)}}\n}\n')
        self.assertIn('the number -Inf, which JSON does not have (result.list[1])', self.error(source, {})['message'])
        self.assertIn('the number NaN, which JSON does not have (result.rows[1].price)', self.error(source, {'typed': True})['message'])
        self.assertIn('(result.c)', self.error('func handler() interface{} { return map[string]interface{}{"c": func() {}} }')['message'])

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


class Life(Base):
    """HELLO to STOP, several at once, and ends."""

    def test_hello(self):
        with Shim([self.built('func handler() {}')]) as shim:
            hello = shim.hello()
            self.assertEqual((2, self.tools.version, 1024), (hello['VERSION'], hello['LANGUAGE'], hello['CONCURRENCY']))

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

    def test_the_context_leaves_time_to_answer(self):
        shim = self.loaded('func handler(ctx context.Context) int64 {\n\tdeadline, _ := ctx.Deadline()\n'
                           '\treturn time.Until(deadline).Milliseconds()\n}')
        for remaining, margin in ((100000, 500), (4000, 200), (500, 50), (100, 25)):
            self.assertLessEqual(shim.invoke(remaining_ms=remaining).value, remaining - margin)
        self.assertGreater(shim.invoke(remaining_ms=100000).value, 50000)

    def test_text_of_a_lone_call_among_many_is_attributed(self):
        shim = self.loaded('func handler() { fmt.Println("alone") }', concurrency=10)
        self.assertEqual('alone\n', shim.invoke().text())

    def test_descriptors_are_not_inherited(self):
        source = 'func handler() string {\n\tout, err := exec.Command("/bin/readlink", "-v", "/proc/self/fd/3").CombinedOutput()\n\treturn fmt.Sprint(string(out), err)\n}'
        self.assertIn('No such file', self.value(source))

    def test_a_child_may_print(self):
        source = 'func handler() error {\n\tcmd := exec.Command("/bin/echo", "child")\n\tcmd.Stdout = os.Stdout\n\treturn cmd.Run()\n}'
        self.assertEqual('child\n', self.loaded(source).invoke().text(1))


cases(globals())

if __name__ == '__main__':
    unittest.main()
