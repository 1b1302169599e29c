"""Clients that take their time, all of them at once: each is cut off by a deadline of its own, and nobody else notices."""
import socket
import threading
import time

from raw_client import PATIENCE, RawClient, memory_kb
from platform_fixture import SystemTest

LARGE = 'def handler(event):\n    return "x" * event\n'
CODE = 'def handler(event):\n    return event\n'


class SlowClients(SystemTest):
    """One test, because all of it happens side by side: grace for bodies is 10 s, for answers that nobody reads 30 s."""
    own_platform = True
    properties = {'server.header_timeout': 2, 'server.idle_timeout': 3}
    READERS = 60  # of 6 MB each: more than what unread answers may hold together

    def setUp(self):
        self.large = self.function('python', LARGE, max_workers=2)
        self.echo = self.function('python', CODE, max_workers=2)
        self.assertEqual(10, len(self.result(self.large, 10)))
        self.assertEqual(1, self.result(self.echo, 1))
        self.over = threading.Event()

    def trickle(self, client, head, piece, pause):
        """Sends `piece` again and again; gives the status of the answer and the seconds until it came."""
        began = time.monotonic()
        with client:
            client.send(head)
            client.socket.setblocking(False)
            while time.monotonic() < began + PATIENCE:
                time.sleep(pause)
                try:
                    waiting = client.socket.recv(65536, socket.MSG_PEEK)
                    client.socket.setblocking(True)
                    client.socket.settimeout(PATIENCE)
                    answer = client.answer() if waiting else None
                    return answer.status if answer else None, time.monotonic() - began
                except BlockingIOError:
                    pass
                except ConnectionResetError:
                    return 'reset', time.monotonic() - began
                try:
                    client.socket.send(piece)
                except (BrokenPipeError, ConnectionResetError):
                    pass
        raise AssertionError('the platform keeps the connection')

    def expect_cut(self, head, piece, pause, status, at_least, client=None):
        got, took = self.trickle(client or RawClient(self.url), head, piece, pause)
        self.assertIn(got, (status, 'reset'))
        self.assertGreaterEqual(took, at_least)

    def slow_head(self):
        self.expect_cut(b'GET / HTTP/1.1\r\nHost: HOST\r\nX-', b'a', 0.1, 408, 1.9)

    def slow_head_in_lines(self):
        self.expect_cut(b'GET / HTTP/1.1\r\n', b'X: y\r\n', 0.3, 408, 1.9)

    def slow_request_line(self):
        self.expect_cut(b'G', b'E', 0.3, 408, 1.9)

    def slow_second_head(self):
        client = RawClient(self.url)
        client.send(b'GET /api/health/ready HTTP/1.1\r\nHost: HOST\r\n\r\n')
        self.assertEqual(200, client.answer().status)
        self.expect_cut(b'GET', b'T', 0.3, 408, 1.9, client)

    def slow_body(self):
        self.expect_cut(self.invocation(b'Content-Length: 100000'), b' ', 0.1, 408, 9.9)

    def slow_chunks(self):
        self.expect_cut(self.invocation(b'Transfer-Encoding: chunked'), b'1\r\n \r\n', 0.1, 408, 9.9)

    def slow_chunk_size(self):
        self.expect_cut(self.invocation(b'Transfer-Encoding: chunked') + b'1;', b'a', 0.1, 408, 9.9)

    def body_that_never_comes(self):
        client = RawClient(self.url)
        client.send(self.invocation(b'Content-Length: 100\r\nExpect: 100-continue'))
        self.assertEqual(100, client.answer().status)
        self.expect_cut(b'', b'', 0.3, 408, 9, client)

    def silent(self):
        began = time.monotonic()
        with RawClient(self.url) as client:
            self.assertEqual(0, client.drained())
        self.assertGreaterEqual(time.monotonic() - began, 2.9)

    def idle_after_an_answer(self):
        with RawClient(self.url) as client:
            client.send(b'GET /api/health/ready HTTP/1.1\r\nHost: HOST\r\n\r\n')
            self.assertEqual(200, client.answer().status)
            began = time.monotonic()
            self.assertEqual(0, client.drained())
        self.assertGreaterEqual(time.monotonic() - began, 2.9)

    def honest_but_slow_body(self):
        """More than the minimum rate: it may take as long as it takes."""
        with RawClient(self.url) as client:
            length = 60_000
            client.send(self.invocation(b'Content-Length: %d' % length).replace(b'HOST', client.host))
            body = b'{"event":"' + b'x' * (length - 12) + b'"}'
            for at in range(0, length, 4000):
                time.sleep(1)
                self.assertTrue(client.send(body[at:at + 4000]))
            self.assertEqual(200, client.answer().status)

    def honest_but_slow_reader(self):
        with RawClient(self.url, receive_buffer=65536) as client:
            client.send(self.invocation(b'Content-Length: 17', self.large) + b'{"event":4000000}')
            end = time.monotonic() + 35
            while client.fill() and len(client.buffer) < 4_000_000 and time.monotonic() < end:
                time.sleep(0.05)
            answer = client.answer()
            self.assertEqual((200, True), (answer.status, len(answer.body) > 4_000_000))

    def reader_that_never_reads(self):
        """The platform closes: what it could not send is lost, and the connection reset or ended."""
        with RawClient(self.url, receive_buffer=4096) as client:
            client.send(self.invocation(b'Content-Length: 17', self.large) + b'{"event":6000000}')
            self.assertTrue(client.fill())  # the function has answered
            time.sleep(32 + 8)
            self.assertLess(client.drained(), 6_000_000)

    def invocation(self, lines, name=None):
        return (f'POST /api/v1/functions/{name or self.echo}/invoke HTTP/1.1\r\nHost: HOST\r\n'
                'Content-Type: application/json\r\n').encode() + lines + b'\r\n\r\n'

    def bystander(self):
        """Calls all the time; the slow ones cost it nothing."""
        took = []
        while not self.over.is_set():
            began = time.monotonic()
            self.assertEqual(1, self.result(self.echo, 1))
            took.append(time.monotonic() - began)
            time.sleep(0.05)
        self.assertGreater(len(took), 50)
        self.assertLess(sorted(took)[len(took) // 2], 0.5)

    def watch_memory(self):
        pid = self.platform.process.pid
        before = most = memory_kb(pid)
        while not self.over.is_set():
            most = max(most, memory_kb(pid))
            time.sleep(0.1)
        self.assertLess(most - before, 400 * 1024, 'unread answers have a limit of 256 MB together')

    def test_all_of_them(self):
        kinds = ([self.slow_head, self.slow_head_in_lines, self.slow_request_line, self.slow_second_head] * 5
                 + [self.slow_body, self.slow_chunks, self.slow_chunk_size] * 5
                 + [self.body_that_never_comes, self.silent, self.idle_after_an_answer, self.honest_but_slow_body,
                    self.honest_but_slow_reader] + [self.reader_that_never_reads] * self.READERS)
        failures = []

        def run(kind):
            try:
                kind()
            except BaseException as failure:
                failures.append((kind.__name__, failure))
        watchers = [threading.Thread(target=run, args=(kind,)) for kind in (self.bystander, self.watch_memory)]
        slow = [threading.Thread(target=run, args=(kind,)) for kind in kinds]
        for thread in watchers + slow:
            thread.start()
        for thread in slow:
            thread.join()
        self.over.set()
        for thread in watchers:
            thread.join()
        for name, failure in failures[1:]:
            print(f'{name}: {failure}')
        if failures:
            raise AssertionError(failures[0][0]) from failures[0][1]
