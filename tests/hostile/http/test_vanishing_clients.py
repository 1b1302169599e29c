"""Clients that stop listening, or are gone, while their invocation runs."""
import json
import time

from raw_client import RawClient
from platform_fixture import SystemTest, wait_until

SLEEP = 'import time\ndef handler(event):\n    time.sleep(event)\n    return "awake"\n'
LARGE = 'def handler(event):\n    return "x" * event\n'


class Vanishing(SystemTest):
    def begin(self, client, name, event, times=1):
        body = '{"event":%s}' % event
        client.send(times * (f'POST /api/v1/functions/{name}/invoke HTTP/1.1\r\nHost: HOST\r\n'
                             f'Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}'))

    def records(self, name):
        return self.get(f'/api/v1/functions/{name}/invocations').json['invocations']


class Finish(Vanishing):
    """invoke.on_disconnect = finish, the default: the invocation goes on as if nobody had left."""

    def test_a_half_closed_client_gets_its_answer(self):
        name = self.function('python', SLEEP, max_workers=2)
        with RawClient(self.url) as client:
            self.begin(client, name, 0.5)
            client.end_input()
            answer = client.answer()
            self.assertEqual(200, answer.status)
            self.assertIn(b'awake', answer.body)
            self.assertIsNone(client.answer())

    def test_a_half_closed_client_gets_all_its_answers(self):
        name = self.function('python', SLEEP, max_workers=2)
        with RawClient(self.url) as client:
            for _ in range(5):
                self.begin(client, name, 0.05)
            client.end_input()
            self.assertEqual([200] * 5, [answer.status for answer in client.answers()])

    def test_a_half_closed_client_wakes_a_cold_function(self):
        name = self.function('python', 'import os\ndef handler(event):\n    os._exit(1) if event else None\n', max_workers=1)
        self.invoke(name, 1, expect=502)
        with RawClient(self.url) as client:
            self.begin(client, name, 0)
            client.end_input()
            answer = client.answer()
            self.assertEqual((200, True), (answer.status, json.loads(answer.body)['cold_start']))

    def test_who_gave_up_in_the_queue_is_not_waited_for(self):
        name = self.function('python', SLEEP, max_workers=1)
        self.result(name, 0)
        with RawClient(self.url) as busy:
            self.begin(busy, name, 2)
            time.sleep(0.2)
            waiting = [RawClient(self.url) for _ in range(4)]
            for client in waiting:
                self.begin(client, name, 20)
            with RawClient(self.url) as patient:
                self.begin(patient, name, 0)
                patient.end_input()
                time.sleep(0.5)
                for client in waiting:
                    client.close()
                began = time.monotonic()
                self.assertEqual('awake', self.result(name, 0))
                self.assertLess(time.monotonic() - began, 15, 'the next caller does not wait behind them')
                self.assertEqual(200, busy.answer().status)
                self.assertEqual(200, patient.answer().status, 'who closed his side at once and waits is not dropped')
        records = wait_until(lambda: (lambda r: len(r) == 8 and r)(self.records(name)), 'all records')
        self.assertEqual(['client_gone'] * 4, [r['error']['reason'] for r in records if r['status'] != 'success'])

    def test_the_invocation_is_finished_and_its_worker_goes_on(self):
        name = self.function('python', SLEEP, max_workers=1)
        self.result(name, 0)
        for leave in ('reset', 'close'):
            with self.subTest(leave):
                before = len(self.records(name))
                client = RawClient(self.url)
                self.begin(client, name, 1)
                time.sleep(0.3)
                getattr(client, leave)()
                record = wait_until(lambda: self.records(name)[before:] and self.records(name)[0], 'its record')
                self.assertEqual('success', record['status'], record)
                self.assertGreaterEqual(record['duration_ms'], 1000)
                self.assertEqual('awake', self.result(name, 0))

    def test_many_that_leave_leak_nothing(self):
        name = self.function('python', SLEEP, max_workers=2)
        self.result(name, 0)
        for _ in range(10):
            clients = [RawClient(self.url) for _ in range(20)]
            for client in clients:
                self.begin(client, name, 0.01)
            for client in clients[::2]:
                client.reset()
            for client in clients[1::2]:
                client.close()
        wait_until(lambda: self.result(name, 0) == 'awake', 'the queue to empty')
        self.assertEqual(['awake'] * 2, self.parallel(2, lambda _: self.result(name, 0.2)), 'both workers are there')

    def test_leaving_in_the_middle_of_the_answer(self):
        name = self.function('python', LARGE, max_workers=1)
        for leave in ('reset', 'close'):
            for _ in range(10):
                client = RawClient(self.url, receive_buffer=4096)
                self.begin(client, name, 3_000_000)
                client.fill()
                getattr(client, leave)()
        self.assertEqual('xx', self.result(name, 2))


class Cancel(Vanishing):
    """invoke.on_disconnect = cancel: the invocation ends, and what it occupied is free."""
    properties = {'invoke.on_disconnect': 'cancel'}

    def test_the_invocation_is_cancelled_and_its_worker_free(self):
        name = self.function('python', SLEEP, max_workers=1, timeout=300)
        self.result(name, 0)
        for leave in ('reset', 'close', 'close'):
            before = len(self.records(name))
            client = RawClient(self.url)
            self.begin(client, name, 200)
            time.sleep(0.3)
            getattr(client, leave)()
            record = wait_until(lambda: len(self.records(name)) > before and self.records(name)[0], 'its record')
            self.assertEqual('client_gone', record['error']['reason'], record)
            self.assertEqual('awake', self.result(name, 0), 'the next call does not wait for it')

    def test_waiting_invocations_are_cancelled_too(self):
        name = self.function('python', SLEEP, max_workers=1, timeout=300)
        self.result(name, 0)
        with RawClient(self.url) as busy:
            self.begin(busy, name, 3)
            time.sleep(0.2)
            waiting = [RawClient(self.url) for _ in range(20)]
            for client in waiting:
                self.begin(client, name, 60)
            time.sleep(0.2)
            for client in waiting[::2]:
                client.reset()
            for client in waiting[1::2]:
                client.close()
            self.assertEqual(200, busy.answer().status)
        self.assertEqual('awake', self.result(name, 0))

    def test_a_half_closed_client_has_left(self):
        name = self.function('python', SLEEP, max_workers=2, timeout=300)
        with RawClient(self.url) as client:
            self.begin(client, name, 100)
            client.end_input()
            self.assertEqual(499, client.answer().status)

    def test_the_end_behind_pipelined_calls_cancels_none(self):
        name = self.function('python', SLEEP, max_workers=2)
        with RawClient(self.url) as client:
            self.begin(client, name, 0.1, times=5)
            client.end_input()
            self.assertEqual([200] * 5, [answer.status for answer in client.answers()])

    def test_who_stays_is_not_disturbed(self):
        name = self.function('python', SLEEP, max_workers=5, timeout=300)
        self.result(name, 0)
        with RawClient(self.url) as staying:
            self.begin(staying, name, 1)
            leaving = [RawClient(self.url) for _ in range(3)]
            for client in leaving:
                self.begin(client, name, 100)
            time.sleep(0.3)
            for client in leaving:
                client.reset()
            self.assertEqual(200, staying.answer().status)
