"""Many clients at once: idle ones cost little, too many are told so, and nothing is left of those that went."""
import random
import time

from raw_client import RawClient, descriptors, memory_kb, raise_descriptor_limit
from platform_fixture import SystemTest, wait_until

READY = b'GET /api/health/ready HTTP/1.1\r\nHost: HOST\r\n\r\n'
CODE = 'def handler(event):\n    return event\n'


class ManyClients(SystemTest):
    own_platform = True
    COUNT = 10_000
    properties = {'server.idle_timeout': 600, 'server.header_timeout': 600}

    def setUp(self):
        self.pid = self.platform.process.pid
        self.clients = []
        self.addCleanup(self.leave)

    def leave(self):
        for client in self.clients:
            client.close()
        self.clients.clear()

    def test_ten_thousand_idle_connections(self):
        if not raise_descriptor_limit(self.COUNT + 500):
            self.skipTest('the limit on open files is too low here, and may not be raised')
        name = self.function('python', CODE, max_workers=2)
        self.result(name, 1)
        before, files = memory_kb(self.pid), descriptors(self.pid)
        for number in range(self.COUNT):
            client = RawClient(self.url, source=f'127.0.0.{2 + number % 20}')
            self.clients.append(client)
            # Every third has been of use, every third has begun a request, every third never says a word.
            if number % 3 == 0:
                client.send(READY)
            elif number % 3 == 1:
                client.send(b'GET / HTTP/1.1\r\nHost: HOST\r\nX-')
        for client in self.clients[::3]:
            self.assertEqual(200, client.answer().status)
        wait_until(lambda: descriptors(self.pid) > self.COUNT, 'all connections to be taken')
        self.assertLess(memory_kb(self.pid) - before, 100 * 1024)
        took = []
        for number in range(200):
            began = time.monotonic()
            self.assertEqual(number, self.result(name, number))
            took.append(time.monotonic() - began)
        self.assertLess(sorted(took)[100], 0.2, 'the others do not notice')
        for client in random.sample(self.clients[::3], 300):
            client.send(READY)
            self.assertEqual(200, client.answer().status, 'they are all still there')
        self.leave()
        wait_until(lambda: descriptors(self.pid) < files + 100, 'the connections to be let go')

    def test_connections_that_come_and_go(self):
        name = self.function('python', CODE, max_workers=2)
        self.result(name, 1)
        files = descriptors(self.pid)
        invoke = (f'POST /api/v1/functions/{name}/invoke HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n'
                  'Content-Length: 11\r\n\r\n{"event":1}').encode()

        def come_and_go(_):
            chance = random.Random(_)
            for number in range(1000):
                with RawClient(self.url) as client:
                    kind = number % 8
                    if kind == 1:
                        client.send(READY)
                    elif kind == 2:
                        client.send(READY)
                        client.answer()
                    elif kind == 3:
                        client.send(READY[:chance.randrange(len(READY))])
                        client.end_input()
                    elif kind == 4:
                        client.send(READY * 3)
                        client.reset()
                    elif kind == 5:
                        client.send(invoke[:chance.randrange(len(invoke))])
                        client.reset()
                    elif kind == 6:
                        client.send(invoke)
                    elif kind == 7:
                        client.send(chance.randbytes(200))
        before = None
        for round_ in range(2):
            self.parallel(4, come_and_go)
            wait_until(lambda: descriptors(self.pid) < files + 100, 'the connections to be let go')
            if before is None:
                before = memory_kb(self.pid)  # caches have grown to their size
        self.assertLess(memory_kb(self.pid) - before, 20 * 1024)
        self.assertEqual(1, self.result(name, 1))


class TooManyClients(SystemTest):
    own_platform = True
    MOST = 16
    properties = {'server.max_connections': MOST}

    def test_the_limit_is_told_and_ends(self):
        clients = [RawClient(self.url) for _ in range(self.MOST)]
        try:
            for client in clients:
                client.send(READY)
                self.assertEqual(200, client.answer().status)
            with RawClient(self.url) as late:
                late.send(READY)
                answer = late.answer()
                self.assertEqual(503, answer.status)
                self.assertGreater(int(answer.header('Retry-After')), 0)
                self.assertTrue(answer.closes)
                self.assertIn(b'too_many_connections', answer.body)
                self.assertIn(b'16 connections', answer.body)
                self.assertIsNone(late.answer())
            for client in clients:
                client.send(READY)
                self.assertEqual(200, client.answer().status, 'those that are in stay in')
        finally:
            for client in clients:
                client.close()
        wait_until(self.enters, 'a new client to be let in')

    def enters(self):
        with RawClient(self.url) as client:
            client.send(READY)
            answer = client.answer()
            return answer is not None and answer.status == 200

    def test_far_beyond_the_limit(self):
        pid = self.platform.process.pid
        before = descriptors(pid)
        clients = [RawClient(self.url) for _ in range(600)]
        for client in clients:
            client.send(READY)
        statuses = []
        for client in clients[self.MOST:]:
            try:
                answer = client.answer()
            except AssertionError:
                answer = None
            statuses.append(answer.status if answer is not None else None)
        self.assertLessEqual(set(statuses), {503, None})
        for client in clients:
            client.close()
        wait_until(lambda: descriptors(pid) < before + 100, 'the connections to be let go')
        wait_until(self.enters, 'a new client to be let in')
