"""What was acknowledged is there after the plug was pulled."""
import os
import shutil
import signal
import subprocess
import threading
import time

from platform_fixture import BINARY, WAIT_SECONDS, OwnPlatformTest, Platform, descendants, describe, processes, request, wait_until

CODE = 'def handler(event):\n    return [event, %d]\n'
FUNCTIONS = '/api/v1/functions'


class Durability(OwnPlatformTest):
    def test_kill_after_acknowledged_creates(self):
        platform = self.start()
        acknowledged = {}
        stop = threading.Event()

        def work(index):
            number = 0
            while not stop.is_set():
                name = f'kept-{index}-{number}'
                try:
                    answer = self.call('PUT', f'{FUNCTIONS}/{name}', {'runtime': 'python', 'code': CODE % number})
                except OSError:
                    return
                if answer.status == 201:
                    acknowledged[name] = number
                number += 1

        def pull():
            wait_until(lambda: len(acknowledged) >= 12, 'some functions', 60)
            platform.kill()
            stop.set()
        self.parallel(4, lambda index: pull() if index == 0 else work(index))

        platform.start()
        for name, number in acknowledged.items():
            self.assertEqual([7, number], self.result(name, 7), name)
        states = {f['state'] for f in self.get(f'{FUNCTIONS}?limit=1000').json['functions']}
        self.assertEqual({'ready'}, states)

    def test_nothing_is_left_of_a_killed_platform(self):
        platform = self.start()
        self.function('python', CODE % 1)
        family = descendants(platform.process.pid)
        self.assertTrue(family)
        platform.kill()

        def left():
            now = processes()
            return [pid for pid, began in family.items() if now.get(pid, (0, 0))[1] == began]
        wait_until(lambda: not left(), 'launcher and workers to end')

    def test_kill_while_invocations_run(self):
        platform = self.start()
        name = self.function('python', 'import time\ndef handler(event):\n    time.sleep(event)\n    return 1\n')

        def work(index):
            if index == 0:
                time.sleep(0.5)
                return platform.kill()
            with self.assertRaises(OSError):
                self.invoke(name, 20)
            return None
        self.parallel(2, work)
        platform.start()
        self.assertEqual(1, self.result(name, 0))

    def test_a_dead_launcher_is_replaced_and_workers_survive_it(self):
        platform = self.start()
        name = self.function('python', 'import os\nme = os.urandom(8).hex()\ndef handler(event):\n    return me\n')
        worker = self.result(name)
        # The kernel's one child supervises; its first child is the launcher, the others are sandboxes.
        supervisor, = (pid for pid, (parent, _) in processes().items() if parent == platform.process.pid)
        children = {pid: began for pid, (parent, began) in processes().items() if parent == supervisor}
        os.kill(min(children, key=lambda pid: (children[pid], pid)), 9)
        self.assertEqual(worker, self.result(name))

    def test_without_its_supervisor_it_ends_to_be_started_again(self):
        platform = self.start()
        name = self.function('python', CODE % 1)
        supervisor, = (pid for pid, (parent, _) in processes().items() if parent == platform.process.pid)
        os.kill(supervisor, 9)
        self.assertEqual(1, platform.process.wait(WAIT_SECONDS))
        self.assertIn('nothing can be started without the launcher', platform.log())
        platform.start()
        self.assertEqual([2, 1], self.result(name, 2))
        other = self.unique()
        wait_until(lambda: self.call('PUT', f'{FUNCTIONS}/{other}', {'runtime': 'python', 'code': CODE % 2}).status < 300,
                   'saves to work again')
        self.assertEqual([1, 2], self.result(other, 1))


class Restart(OwnPlatformTest):
    def test_everything_is_there_after_a_restart(self):
        platform = self.start()
        name = self.function('python', CODE % 1, environment={'A': '1'}, timeout=9)
        self.call('PATCH', f'{FUNCTIONS}/{name}', {'code': CODE % 2})
        before = self.get(f'{FUNCTIONS}/{name}').json
        self.assertEqual(0, platform.stop())
        platform.start()
        self.assertEqual(before, self.get(f'{FUNCTIONS}/{name}').json)
        self.assertEqual([5, 2], self.result(name, 5))
        self.assertEqual(2, len(self.get(f'{FUNCTIONS}/{name}/versions').json['versions']))

    def test_a_copy_of_the_data_folder_is_a_backup(self):
        platform = self.start()
        name = self.function('python', CODE % 3)
        platform.stop()
        copy = platform.home / 'copy'
        shutil.copytree(platform.data, copy, symlinks=True)
        self.start({'data.dir': copy})
        self.assertEqual([1, 3], self.result(name, 1))

    def test_artifacts_are_a_cache(self):
        platform = self.start()
        name = self.function('python', CODE % 4)
        platform.stop()
        shutil.rmtree(platform.data / '.cloudfunction/artifacts')
        platform.start()
        path = '/api/v1/functions/' + name
        seen = self.get(path)

        def is_ready():  # to a client that asks for what has changed
            nonlocal seen
            answer = self.call('GET', path, headers={'If-None-Match': seen.headers['ETag']})
            seen = seen if answer.status == 304 else answer
            return seen.json['state'] == 'ready'
        wait_until(is_ready, 'it to be seen as ready')
        wait_until(lambda: self.invoke(name, 1, expect=None).status == 200, 'the artifact to be built again')
        self.assertEqual([1, 4], self.result(name, 1))

    def test_a_used_port_is_said_in_one_line(self):
        first = self.start()
        said = self.refused({'server.port': first.port})
        self.assertEqual(1, len([line for line in said.splitlines() if str(first.port) in line]), said)

    def test_a_locked_data_folder_is_said_in_one_line(self):
        first = self.start()
        said = self.refused({'data.dir': first.data})
        self.assertEqual(1, len([line for line in said.splitlines() if str(first.data) in line]), said)
        self.assertEqual(200, request(first.url, 'GET', '/api/health').status)

    def test_second_start_is_quick(self):
        platform = self.start()
        took = []
        while len(took) < 5 and min(took, default=3) >= 3:  # others work on this machine, too
            platform.stop()
            began = time.monotonic()
            platform.start()
            took.append(time.monotonic() - began)
        self.assertLess(min(took), 3)


class Drain(OwnPlatformTest):
    def test_a_running_invocation_finishes(self):
        platform = self.start()
        name = self.function('python', 'import time\ndef handler(event):\n    time.sleep(event)\n    return "finished"\n')
        self.result(name, 0)
        stopped = []

        def work(index):
            if index == 0:
                return self.invoke(name, 2).json['result']
            time.sleep(0.7)
            stopped.append(platform.stop())
            return None
        self.assertEqual(['finished', None], self.parallel(2, work))
        self.assertEqual([0], stopped)

    def test_ready_says_that_it_drains(self):
        platform = self.start()
        name = self.function('python', 'import time\ndef handler(event):\n    time.sleep(event)\n    return 1\n')

        def work(index):
            if index == 0:
                return self.invoke(name, 3).status
            time.sleep(0.5)
            platform.process.terminate()
            time.sleep(0.3)
            try:
                return self.get('/api/health/ready').status
            except ConnectionRefusedError:
                return 503
        self.assertEqual([200, 503], self.parallel(2, work))

    def test_interrupt_stops_too(self):
        platform = self.start()
        family = descendants(platform.process.pid)
        platform.process.send_signal(signal.SIGINT)
        self.assertEqual(0, platform.process.wait(30))
        platform.assert_nothing_left(family)

    def test_a_second_signal_ends_at_once(self):
        for second in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(second.name):
                platform = self.start()
                name = self.function('python', 'import time\ndef handler(event):\n    time.sleep(event)\n')
                self.result(name, 0)
                family = descendants(platform.process.pid)
                with self.open_connection() as caller:
                    caller.sendall(f'POST {FUNCTIONS}/{name}/invoke HTTP/1.1\r\nHost: localhost\r\n'
                                   'Content-Type: application/json\r\nContent-Length: 12\r\n\r\n{"event":25}'.encode())
                    time.sleep(0.5)
                    platform.process.terminate()
                    wait_until(lambda: 'stopping' in platform.log(), 'the first signal to be heard')
                    self.assertIsNone(platform.process.poll())
                    platform.process.send_signal(second)
                    self.assertEqual(128 + second, platform.process.wait(10))
                platform.assert_nothing_left(family)

    def hanging_start(self, seconds):
        """A platform that waits for a toolchain to say its version, at most so long."""
        platform = Platform({'executors.probe_timeout': seconds})
        self.addCleanup(platform.remove)
        self.addCleanup(self.stop, platform)
        toolchain = platform.home / 'hanging-python'
        toolchain.write_text('#!/bin/sh\nsleep 60\n')
        toolchain.chmod(0o755)
        platform.properties['executor.python.path'] = toolchain
        platform.launch()
        wait_until(lambda: any(str(toolchain) in describe(pid) for pid in descendants(platform.process.pid)), 'the start to hang')
        return platform, descendants(platform.process.pid)

    def test_a_signal_during_the_start(self):
        platform, family = self.hanging_start(3)
        platform.process.terminate()
        self.assertEqual(0, platform.process.wait(30))
        self.assertIn('stopped during the start', platform.log())
        self.assertNotIn('is ready\n', platform.log())
        platform.assert_nothing_left(family)

    def test_a_second_signal_during_the_start(self):
        platform, family = self.hanging_start(60)
        platform.process.terminate()
        time.sleep(0.2)
        platform.process.terminate()
        self.assertEqual(128 + signal.SIGTERM, platform.process.wait(10))
        platform.assert_nothing_left(family)

    def test_version(self):
        done = subprocess.run([BINARY, '--version'], stdout=subprocess.PIPE, check=True)
        self.assertRegex(done.stdout.decode(), r'^cloudfunction \d+\.\d+\.\d+')
