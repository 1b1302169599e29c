"""Timeout means dead, memory has an end, a crash costs only its own invocation."""
import contextlib
import http.client
import json
import os
import re
import time
import unittest

from platform_fixture import OwnPlatformTest, SystemTest, descendants, wait_until

SPIN = {
    'python': 'def handler(event):\n    while True:\n        pass\n',
    'node': 'function handler() { for (;;) {} }',
    'go': 'func handler() interface{} { for { } }',
}
SLEEP = {
    'python': 'import time\ndef handler(event):\n    time.sleep(event)\n    return "awake"\n',
    'node': 'const handler = (event) => new Promise(r => setTimeout(() => r("awake"), event * 1000))',
    'go': 'func handler(event float64) (string, error) {\n'
          '    time.Sleep(time.Duration(event * 1e9))\n    return "awake", nil\n}\n',
}
CRASH = {
    'python': {'os._exit': 'import os\ndef handler(event):\n    if event: os._exit(3)\n    return "fine"\n',
               'segfault': 'import ctypes\ndef handler(event):\n    if event: ctypes.string_at(0)\n    return "fine"\n',
               'abort': 'import os\ndef handler(event):\n    if event: os.abort()\n    return "fine"\n',
               'kill': 'import os\ndef handler(event):\n    if event: os.kill(os.getpid(), 9)\n    return "fine"\n'},
    'node': {'process.exit': 'function handler(event) { if (event) process.exit(3); return "fine" }',
             'process.abort': 'function handler(event) { if (event) process.abort(); return "fine" }',
             'throw in a timer': 'function handler(event) { if (!event) return "fine";\n'
                                 '  return new Promise(() => setTimeout(() => { throw new Error("late") }, 1)) }'},
    'go': {'os.Exit': 'func handler(event bool) (string, error) {\n    if event { os.Exit(3) }\n'
                      '    return "fine", nil\n}\n',
           'panic in a goroutine': 'func handler(event bool) (string, error) {\n'
                                   '    if event { go func() { panic("far away") }(); time.Sleep(time.Second) }\n'
                                   '    return "fine", nil\n}\n'},
}
MEMORY = {
    'python': 'def handler(event):\n    if not event: return "fine"\n    kept = []\n'
              '    while True:\n        kept.append(bytearray(1 << 20))\n',
    'node': 'function handler(event) { if (!event) return "fine"; const kept = [];\n'
            '  for (;;) kept.push(Buffer.alloc(1 << 20, 1)) }',
    'go': 'func handler(event bool) (string, error) {\n    var kept [][]byte\n    for event {\n'
          '        b := make([]byte, 1<<20)\n        for i := range b { b[i] = 1 }\n        kept = append(kept, b)\n'
          '    }\n    return fmt.Sprint("fine", len(kept)), nil\n}\n',
}


def resident(pid, line='VmRSS'):
    """The memory that a process has, in KB."""
    with open(f'/proc/{pid}/status', encoding='ascii') as status:
        return int(re.search(line + r':\s+(\d+)', status.read()).group(1))


class Timeouts(SystemTest):
    def expect_timeout(self, name, event, limit):
        began = time.monotonic()
        answer = self.invoke(name, event, expect=504)
        took = time.monotonic() - began
        document = self.assertProblem(answer, 504, 'function_timeout')
        self.assertTrue(document['invocation_id'])
        self.assertEqual(answer.headers['X-Invocation-Id'], document['invocation_id'])
        self.assertEqual(f'{limit * 1000:.0f} ms', document['limit'])
        self.assertGreaterEqual(took, limit)
        self.assertLess(took, limit + 10)
        return document

    def test_spinning(self):
        for runtime, code in SPIN.items():
            with self.subTest(runtime):
                self.expect_timeout(self.function(runtime, code, timeout=0.5), 1, 0.5)

    def test_sleeping_and_the_next_call_works(self):
        for runtime, code in SLEEP.items():
            with self.subTest(runtime):
                name = self.function(runtime, code, timeout=0.5)
                self.expect_timeout(name, 30, 0.5)
                self.assertEqual('awake', self.result(name, 0))

    def test_the_timeout_of_the_properties_is_for_new_functions(self):
        name = self.function('python', SLEEP['python'])
        self.assertEqual(30, self.get(f'/api/v1/functions/{name}').json['timeout'])

    def test_a_load_that_does_not_end(self):
        self.needs('python')
        answer = self.create('python', 'import time\ntime.sleep(60)\ndef handler():\n    return 1\n', init_timeout=0.5)
        if answer.status == 201:
            answer = self.invoke(answer.json['name'], expect=None)
        self.assertIn(answer.status, (422, 504), answer)
        self.assertIn('500 ms', answer.text)


class TimeoutMeansDead(OwnPlatformTest):
    def test_nothing_runs_when_the_answer_leaves(self):
        """The workers of the platform before and after: whatever the call started is gone when its 504 is read."""
        platform = self.start({'workers.prewarmed': 0})
        name = self.function('python', '''\
import os, signal, subprocess, sys, time
def handler(event):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True:
                    time.sleep(0.01)
            time.sleep(1000)
    time.sleep(1000)
''', timeout=1)
        before = set(descendants(platform.process.pid))
        during = []

        def watch(index):
            if index == 0:
                return self.invoke(name, expect=504)
            wait_until(lambda: len(set(descendants(platform.process.pid)) - before) >= 6, 'the forked tree')
            during.extend((set(descendants(platform.process.pid))) - before)
            return None
        answer = self.parallel(2, watch)[0]
        self.assertProblem(answer, 504, 'function_timeout')
        alive = [pid for pid in during if running(pid)]
        self.assertEqual([], alive)


class Crashes(SystemTest):
    def test_crashes_cost_one_invocation(self):
        for runtime, cases in CRASH.items():
            for case, code in cases.items():
                with self.subTest(f'{runtime} {case}'):
                    name = self.function(runtime, code)
                    self.assertEqual('fine', self.result(name, False))
                    document = self.assertProblem(self.invoke(name, True, expect=None), 502, 'worker_crashed')
                    self.assertTrue(document['invocation_id'])
                    self.assertEqual('fine', self.result(name, False))

    def test_a_crash_says_how_the_worker_ended(self):
        name = self.function('python', CRASH['python']['os._exit'])
        self.assertIn('3', self.invoke(name, True, expect=502).json['detail'])
        name = self.function('python', CRASH['python']['abort'])
        self.assertIn('abort', self.invoke(name, True, expect=502).json['detail'].lower())

    def test_other_functions_do_not_notice(self):
        crashing = self.function('python', CRASH['python']['os._exit'])
        steady = self.function('python', 'def handler(event):\n    return event\n')
        self.result(steady, 0)

        def work(index):
            if index % 2:
                return self.invoke(crashing, True, expect=502).status
            return [self.result(steady, n) for n in range(20)]
        for index, outcome in enumerate(self.parallel(4, work)):
            self.assertEqual(502 if index % 2 else list(range(20)), outcome)


class Memory(SystemTest):
    def test_memory_has_an_end(self):
        for runtime, code in MEMORY.items():
            with self.subTest(runtime):
                name = self.function(runtime, code, memory=96 if runtime != 'node' else 128, timeout=30)
                document = self.assertProblem(self.invoke(name, True, expect=None), 502, 'memory_exceeded')
                self.assertIn('96' if runtime != 'node' else '128', str(document['limit']))
                self.assertTrue(document['observed'], document)
                self.assertIn('memory', document['hint'])
                self.assertTrue(self.result(name, False).startswith('fine'))

    def test_more_memory_is_there_when_asked_for(self):
        name = self.function('python', 'def handler(event):\n    return len(bytearray(event << 20)) >> 20\n', memory=384)
        self.assertEqual(200, self.result(name, 200))
        self.assertGreater(self.invoke(name, 200).json['memory_mb'], 200)


class Sizes(SystemTest):
    def test_a_result_that_is_too_large(self):
        name = self.function('python', 'def handler(event):\n    return "x" * event\n', memory=256)
        document = self.assertProblem(self.invoke(name, 7_000_000, expect=None), 502, 'response_too_large')
        self.assertIn('6291456', str(document))
        self.assertEqual('xxx', self.result(name, 3))
        self.assertEqual(5_000_000, len(self.result(name, 5_000_000)))

    def test_a_large_event(self):
        name = self.function('python', 'def handler(event):\n    return len(event)\n', memory=256)
        self.assertEqual(6_000_000, self.result(name, 'x' * 6_000_000))


@unittest.skipIf(os.environ.get('CLOUDFUNCTION_TEST_SANITIZE'), 'sanitizers have memory of their own')
class LargeEvents(OwnPlatformTest):
    def test_what_went_to_a_worker_is_kept_no_longer(self):
        """Events larger than its socket, with the next one always waiting behind them."""
        pid = self.start().process.pid
        name = self.function('python', 'def handler(event):\n    return len(event)\n', max_workers=1)
        for _ in range(300):
            self.result(name, '')
        body = json.dumps({'event': 'x' * 400_000}).encode()
        before = resident(pid, 'VmHWM')

        def calls(_):
            connection = http.client.HTTPConnection('127.0.0.1', int(self.url.rpartition(':')[2]), timeout=60)
            with contextlib.closing(connection):
                for _ in range(40):
                    connection.request('POST', f'/api/v1/functions/{name}/invoke', body, {'Content-Type': 'application/json'})
                    answer = connection.getresponse()
                    self.assertEqual(200, answer.status, answer.read())
                    answer.read()
        self.parallel(32, calls)
        self.assertLess(resident(pid, 'VmHWM') - before, 150 << 10, 'KB, of 512 000 that were sent')


@unittest.skipIf(os.environ.get('CLOUDFUNCTION_TEST_SANITIZE'), 'sanitizers have memory of their own')
class LargeSaves(OwnPlatformTest):
    def test_their_memory_is_given_back(self):
        pid = self.start({'workers.prewarmed': 0}).process.pid
        before = resident(pid)
        for number in range(6):
            answer = self.create('python', '#' + 'x' * 9_900_000 + f'\ndef handler(event):\n    return {number} +\n')
            self.assertProblem(answer, 422, 'build_failed')
        wait_until(lambda: resident(pid) - before < 20 << 10, 'the process to be as small as before')


class Frames(SystemTest):
    properties = {'server.max_body_bytes': 16 << 20}

    def test_an_event_that_fits_into_no_frame_is_refused(self):
        name = self.function('python', 'def handler(event):\n    return len(event)\n', memory=256)
        for size in (0, 100, 490):
            self.assertProblem(self.invoke(name, 'x' * ((16 << 20) - 14 - size), expect=None), 413, 'body_too_large')
        self.assertEqual((16 << 20) - 1000, self.result(name, 'x' * ((16 << 20) - 1000)))


class Idle(SystemTest):
    properties = {'workers.prewarmed': 0, 'workers.keep_alive': 600}

    def test_idle_workers_leave(self):
        name = self.function('python', 'import os\ndef handler():\n    return os.urandom(4).hex()\n', keep_alive=1)
        before = len(descendants(self.platform.process.pid))
        self.result(name)
        self.assertGreater(len(descendants(self.platform.process.pid)), before - 1)
        at_rest = lambda: len([p for p in descendants(self.platform.process.pid)])  # noqa: E731
        warm = at_rest()
        wait_until(lambda: at_rest() < warm, 'the idle worker to leave')
        self.assertTrue(self.invoke(name).json['cold_start'])


def running(pid):
    return os.path.exists(f'/proc/{pid}') and open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[0] not in 'ZX'
