"""What functions print and what calls leave behind: log files, records."""
import os
import time

from platform_fixture import AGAINST, OwnPlatformTest, SystemTest, wait_until

PRINT = {
    'python': 'import logging, sys\ndef handler(event):\n    print("printed", event)\n    logging.warning("logged %s", event)\n'
              '    print("to stderr", file=sys.stderr)\n    return event\n',
    'node': 'function handler(event) { console.log("printed", event); console.warn("logged", event);\n'
            '  console.error("to stderr"); return event }',
    'go': 'func handler(event interface{}) interface{} {\n    fmt.Println("printed", event)\n    log.Println("logged", event)\n'
          '    fmt.Fprintln(os.Stderr, "to stderr")\n    return event\n}\n',
}


THROW = {
    'python': 'def inner():\n    raise ValueError("not today")\ndef handler(event):\n    print("before", end="")\n    inner()\n',
    'node': 'function inner() { throw new TypeError("not today"); }\n'
            'function handler(event) { process.stdout.write("before"); inner(); }\n',
    'go': 'func inner() { panic("not today") }\nfunc handler(event interface{}) interface{} {\n    fmt.Print("before")\n    inner()\n'
          '    return nil\n}\n',
}


class Logs(SystemTest):
    def test_what_a_handler_throws_is_in_its_log(self):
        """The caller of a function URL is told nothing but where to look."""
        for runtime, code in THROW.items():
            with self.subTest(runtime):
                name = self.function(runtime, code, http={'enabled': True})
                answer = self.get(f'/function/{name}')
                self.assertProblem(answer, 500, 'function_error')
                self.assertNotIn('not today', answer.text)
                id = answer.headers['X-Invocation-Id']
                path = f'/api/v1/functions/{name}/logs?invocation_id={id}'
                lines = wait_until(lambda: self.get(path).json['lines'], 'log lines')
                for log in (str(lines), str(self.record(id)['logs'])):
                    self.assertRegex(log, 'before.*not today.*inner')

    def record(self, invocation_id):
        def found():
            answer = self.get(f'/api/v1/invocations/{invocation_id}')
            return answer.json if answer.status == 200 else None
        return wait_until(found, 'the record')

    def test_what_is_printed_is_in_the_record_and_in_the_file(self):
        for runtime, code in PRINT.items():
            with self.subTest(runtime):
                name = self.function(runtime, code)
                answer = self.invoke(name, 'marker-1').json
                record = self.record(answer['invocation_id'])
                for text in ('printed marker-1', 'logged marker-1', 'to stderr'):
                    self.assertIn(text, str(record['logs']))
                lines = wait_until(lambda: self.get(f'/api/v1/functions/{name}/logs?tail=50').json['lines'], 'log lines')
                self.assertIn('printed marker-1', str(lines))
                if not AGAINST:
                    folder = self.platform.data / name / 'logs'
                    text = wait_until(lambda: ''.join(p.read_text() for p in folder.glob('*.log')), f'a log in {folder}')
                    self.assertIn('printed marker-1', text)

    def test_lines_of_one_invocation(self):
        name = self.function('python', 'def handler(event):\n    print("says", event)\n')
        first, second = (self.invoke(name, word).json['invocation_id'] for word in ('alpha', 'beta'))
        path = f'/api/v1/functions/{name}/logs?invocation_id={second}'
        lines = wait_until(lambda: self.get(path).json['lines'], 'log lines')
        self.assertIn('says beta', str(lines))
        self.assertNotIn('alpha', str(lines))
        self.assertNotEqual(first, second)

    def test_records(self):
        name = self.function('python', 'def handler(event):\n    if event: raise ValueError("bad")\n    return 1\n')
        good, bad = self.invoke(name, 0).json['invocation_id'], self.invoke(name, 1).json['invocation_id']
        self.record(bad)
        listed = self.get(f'/api/v1/functions/{name}/invocations').json['invocations']
        self.assertEqual([bad, good], [r['invocation_id'] for r in listed])
        record = self.record(bad)
        self.assertEqual('error', record['status'])
        self.assertEqual('ValueError', record['error']['type'])
        self.assertEqual(1, record['version'])
        self.assertGreater(record['duration_ms'], 0)

    def test_records_of_failures(self):
        name = self.function('python', 'import time\ndef handler(event):\n    print("before the end")\n    time.sleep(9)\n',
                             timeout=0.3)
        record = self.record(self.invoke(name, expect=504).json['invocation_id'])
        self.assertIn('function_timeout', str(record))
        self.assertIn('before the end', str(record['logs']))

    def test_lines_end_where_the_function_ends_them(self):
        name = self.function('node', 'async function handler() {\n  const pause = () => new Promise(done => setTimeout(done, 30));\n'
                                     '  for (const part of ["a", "b", Buffer.from([0xc3]), Buffer.from([0xa9]), "c\\nd\\n", "rest"]) {\n'
                                     '    process.stdout.write(part); console.error("between"); await pause();\n  }\n}')
        invocation = self.invoke(name).json['invocation_id']
        path = f'/api/v1/functions/{name}/logs?invocation_id={invocation}'

        def printed():
            lines = [line['text'] for line in self.get(path).json['lines'] if line['stream'] == 'stdout']
            return lines if len(lines) >= 3 else None
        self.assertEqual(['ab\u00e9c', 'd', 'rest'], wait_until(printed, 'all lines'))
        self.assertEqual(['ab\u00e9c', 'd', 'rest'], [line for line in self.record(invocation)['logs'] if line != 'between'])

    def test_a_line_without_an_end_does_not_wait_for_ever(self):
        """A prompt is seen while the call goes on: what comes seconds later is another line."""
        name = self.function('node', 'async function handler() {\n  process.stdout.write("waiting ...");\n'
                                     '  await new Promise(done => setTimeout(done, 6000));\n  console.log("over");\n}')
        self.invoke(name)

        def printed():
            lines = [line['text'] for line in self.get(f'/api/v1/functions/{name}/logs').json['lines']]
            return lines if 'over' in str(lines) else None
        self.assertEqual(['waiting ...', 'over'], wait_until(printed, 'all lines'))

    def test_a_flood_is_cut_and_the_call_answers(self):
        name = self.function('python', 'def handler(event):\n    for n in range(event):\n        print("x" * 1000)\n    return 1\n')
        answer = self.invoke(name, 20000).json
        self.assertEqual(1, answer['result'])
        self.assertLess(len(str(self.record(answer['invocation_id'])['logs'])), 1_000_000)

    def test_odd_bytes(self):
        name = self.function('python', 'import os\ndef handler(event):\n    print("nul \\0 escape \\x1b[31m")\n'
                                       '    os.write(1, b"raw \\xff\\n")\n    return 1\n')
        self.assertEqual(1, self.result(name))
        self.assertEqual(200, self.get(f'/api/v1/functions/{name}/logs').status)

    def test_an_invocation_that_never_was(self):
        self.assertProblem(self.get('/api/v1/invocations/01J00000000000000000000000'), 404, 'not_found')


class Files(OwnPlatformTest):
    def test_health_tells_of_logs_that_cannot_be_written(self):
        platform = self.start()
        name = self.function('python', 'def handler(event):\n    print(event)\n')
        file = platform.data / name / 'logs/function.log'

        def problems():
            return [p for p in self.get('/api/health').json['problems'] if 'function.log' in p]
        file.unlink()
        file.mkdir()
        self.invoke(name, 'lost')
        wait_until(problems, 'health to tell')
        file.rmdir()
        wait_until(lambda: not problems(), 'health to be content')
        self.invoke(name, 'kept')
        lines = wait_until(lambda: self.get(f'/api/v1/functions/{name}/logs').json['lines'][1:], 'the line that was kept')
        self.assertEqual('kept', lines[0]['text'])

    def test_old_files_go(self):
        platform = self.start({'logs.files': 3, 'logs.days': 1})
        name = self.function('python', 'def handler(event):\n    print(event)\n')
        platform.stop()
        folder = platform.data / name / 'logs'
        days = {'function.log.1': 0, 'function.log.2': 2, 'function.log.3': 0, 'function.log.77': 0}
        for file, age in days.items():
            (folder / file).write_text('rotated\n')
            os.utime(folder / file, (time.time() - age * 86400,) * 2)
        platform.start()
        wait_until(lambda: sorted(file.name for file in folder.iterdir()) == ['function.log', 'function.log.1'], 'old files to go')
