"""A function that cannot keep up: a bounded queue, then clear refusals; and other functions go on."""
import time

from platform_fixture import SystemTest

SLEEP = 'import time\ndef handler(event):\n    time.sleep(event)\n    return "awake"\n'


class FullQueue(SystemTest):
    properties = {'queue.size': 2, 'queue.timeout': 30}

    def test_full_queue(self):
        name = self.function('python', SLEEP, max_workers=1)
        self.result(name, 0)
        answers = self.parallel(8, lambda _: self.invoke(name, 1, expect=None))
        refused = [a for a in answers if a.status != 200]
        self.assertTrue(refused)
        self.assertLessEqual(len(refused), 5)
        for answer in refused:
            self.assertProblem(answer, 429, 'queue_full')
            self.assertGreaterEqual(int(answer.headers['Retry-After']), 1)
        self.assertEqual('awake', self.result(name, 0))

    def test_other_functions_go_on(self):
        busy = self.function('python', SLEEP, max_workers=1)
        free = self.function('python', 'def handler(event):\n    return event\n')
        self.result(free, 0)

        def work(index):
            if index == 0:
                time.sleep(0.3)
                began = time.monotonic()
                self.assertEqual(1, self.result(free, 1))
                return time.monotonic() - began
            return self.invoke(busy, 2, expect=None).status
        self.assertLess(self.parallel(6, work)[0], 2)


class QueueTimeout(SystemTest):
    properties = {'queue.size': 100, 'queue.timeout': 0.5}

    def test_waiting_too_long(self):
        name = self.function('python', SLEEP, max_workers=1)
        self.result(name, 0)
        answers = self.parallel(3, lambda _: self.invoke(name, 2, expect=None))
        self.assertEqual([200, 503, 503], sorted(a.status for a in answers))
        for answer in answers:
            if answer.status == 503:
                self.assertProblem(answer, 503, 'queue_timeout')
                self.assertGreaterEqual(int(answer.headers['Retry-After']), 1)


class Parallel(SystemTest):
    def test_ten_calls_of_a_cold_function(self):
        name = self.function('python', SLEEP)
        self.assertEqual(['awake'] * 10, self.parallel(10, lambda _: self.result(name, 0.2)))

    def test_one_worker_when_told_so(self):
        name = self.function('python', 'import os, time\nme = os.urandom(8).hex()\ndef handler():\n'
                                       '    time.sleep(0.05)\n    return me\n', max_workers=1)
        self.assertEqual(1, len(set(self.parallel(6, lambda _: self.result(name)))))
