"""What functions in JavaScript print."""
import json
import unittest

from node_shim import Base, every_node


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

    def test_calls_side_by_side_do_not_hear_of_each_others_streams(self):
        shim = self.loaded('''const { Readable, pipeline } = require("stream");
            const run = require("util").promisify(pipeline);
            let goOn;
            const gate = new Promise((r) => { goOn = r; });
            const handler = async (last) => {
                if (!last) {
                    await run(Readable.from((async function* () { yield "a"; await gate; yield "c"; })()), process.stdout);
                    return "first"; }
                await run(Readable.from(["b"]), process.stdout);
                await run(Readable.from(["d"]), process.stderr);
                goOn();
                return "second"; };''', concurrency=2)
        first, second = shim.start(b'false'), shim.invoke(b'true')
        self.assertEqual(('second', 'b', 'd'), (second.value, second.text(1), second.text(2)))
        answer = shim.answer(first)
        self.assertEqual(('first', 'ac'), (answer.value, answer.text()))

    def test_a_stream_that_another_call_has_kept_prints_for_who_writes(self):
        for concurrency in (1, 2):
            shim = self.loaded('''const atLoad = process.stdout; const kept = [atLoad];
                const handler = async (n) => {
                    kept.push(process.stdout);
                    kept.forEach((out, i) => out.write(n + "." + i + " "));
                    return kept.length; };''', concurrency=concurrency)
            for n, text in ((1, '1.0 1.1 '), (2, '2.0 2.1 2.2 ')):
                answer = shim.invoke(b'%d' % n)
                self.assertEqual((n + 1, text), (answer.value, answer.text()))

    def test_what_is_set_on_a_stream_holds_for_the_console_too(self):
        for concurrency in (1, 2):
            shim = self.loaded('''const write = process.stdout.write;
                process.stdout.write = function (text, ...rest) { return write.call(this, "> " + text, ...rest); };
                process.stdout.columns = 80;
                const handler = (capture) => {
                    const lines = [];
                    const before = process.stdout.write;
                    if (capture) process.stdout.write = (text) => lines.push(text);
                    console.log("a");
                    process.stdout.write("b");
                    process.stdout.write = before;
                    return [process.stdout.columns, process.stdout.listenerCount("error"), ...lines]; };''',
                               concurrency=concurrency)
            for capture, lines, text in ((b'false', [], '> a\n> b'), (b'true', ['a\n', 'b'], ''), (b'false', [], '> a\n> b')):
                answer = shim.invoke(capture)
                self.assertEqual(([80, 0] + lines, text), (answer.value, answer.text()))

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

    def test_no_empty_line_before_it_is_cut(self):
        shim = self.loaded('const handler = (size) => process.stdout.write(("x".repeat(size - 1) + "\\n").repeat(3));')
        for size, start in ((1 << 19, '['), (1 << 20, '['), ((1 << 20) - 1, '\n[')):
            self.assertTrue(shim.invoke(str(size).encode()).text(2).startswith(start + 'output cut'), size)

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


load_tests = every_node(__name__)

if __name__ == '__main__':
    unittest.main()
