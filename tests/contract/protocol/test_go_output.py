"""What Go functions print."""
import os
import tempfile
import time
import unittest

from go_shim import Base, Worker, cases, tearDownModule


class Output(Base):
    """Printed text goes to the descriptors, with one call at a time and with several at once."""

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
        for shim in self.shims('func handler() { fmt.Print("out"); fmt.Fprint(os.Stderr, "err") }'):
            shim.invoke()
            self.assertEqual((b'out', b'err', []), (bytes(shim.stdout), bytes(shim.stderr), shim.logs))

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
                self.eventually(lambda: shim.stdout == b'begun\n')
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
            for shim in [one for _ in range(5) for one in self.shims(source)]:
                shim.start(way)
                self.assertEqual(status, shim.wait())
                self.assertEqual(''.join('line %d\n' % i for i in range(200)), shim.stdout.decode())
                self.assertIn(words, shim.stderr)

    def test_text_after_the_answer(self):
        for shim in self.shims('func handler() { go func() { time.Sleep(50 * time.Millisecond); fmt.Print("late") }() }'):
            self.assertTrue(shim.invoke().ok)
            self.eventually(lambda: shim.stdout == b'late')

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

    def test_println_goes_the_same_way(self):
        for shim in self.shims('func handler() { println("one"); fmt.Fprintln(os.Stderr, "two"); println("three") }'):
            self.assertEqual('one\ntwo\nthree\n', shim.invoke().text(2))

    def test_initialisation_may_print(self):
        for concurrency in (1, 10):
            shim = Worker([self.built('func init() { fmt.Println("init") }\n\nfunc handler() {}')])
            self.addCleanup(shim.close)
            answer = shim.load('/function', 'handler', concurrency=concurrency)
            self.assertEqual((True, 'init\n'), (answer.ok, answer.text()))


cases(globals())

if __name__ == '__main__':
    unittest.main()
