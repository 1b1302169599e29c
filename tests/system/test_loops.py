"""Several event loops: a function is at home on one of them, and connections go where the function is that they call."""
import http.client
import json
import pathlib
import threading
import unittest
import urllib.parse

from platform_fixture import OwnPlatformTest, SystemTest, sigterm, wait_until

ECHO = 'def handler(event):\n    return event\n'
FUNCTIONS = 12   # all of them at home on one of two loops: once in 2048 runs


def open_connection(test):
    """A connection that is kept until the end of the test."""
    parts = urllib.parse.urlsplit(test.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.connect()
    test.addCleanup(connection.close)
    return connection


def on(connection, method, path, body=None):
    """A request on a connection that is kept."""
    connection.request(method, path, None if body is None else json.dumps(body), {'Content-Type': 'application/json'})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b'null')


def invocation(name, event):
    body = json.dumps({'event': event}).encode()
    return (f'POST /api/v1/functions/{name}/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
            f'Content-Length: {len(body)}\r\n\r\n').encode() + body


class TwoLoops(SystemTest):
    properties = {'server.loops': 2, 'workers.prewarmed': 1}

    def functions(self, code=ECHO):
        return [self.function('python', code) for _ in range(FUNCTIONS)]

    def test_they_are_there(self):
        self.assertIn('loops      2', self.platform.log())

    def test_one_connection_calls_functions_of_both(self):
        names = self.functions()
        connection = open_connection(self)
        before = connection.sock
        for round_ in range(20):
            for index, name in enumerate(names):
                event = [round_, index]
                status, document = on(connection, 'POST', f'/api/v1/functions/{name}/invoke', {'event': event})
                self.assertEqual((200, event), (status, document.get('result')), document)
            self.assertEqual(200, on(connection, 'GET', f'/api/v1/functions/{names[0]}')[0])
        self.assertIs(before, connection.sock, 'the connection was closed on the way')

    def test_pipelined_calls_are_answered_in_order(self):
        names = self.functions()
        events = [[n, 'x' * (n * 37 % 5000)] for n in range(400)]
        connection = open_connection(self)
        sender = threading.Thread(target=connection.sock.sendall, args=(
            b''.join(invocation(names[n * 7 % len(names)], event) for n, event in enumerate(events)),))
        sender.start()
        with connection.sock.makefile('rb') as stream:
            for event in events:
                self.assertIn(b' 200 ', stream.readline())
                length = 0
                while (line := stream.readline()) not in (b'\r\n', b''):
                    if line.lower().startswith(b'content-length:'):
                        length = int(line.split(b':')[1])
                self.assertEqual(event, json.loads(stream.read(length))['result'])
        sender.join()

    def test_calls_at_once_reach_their_functions(self):
        names = self.functions()

        def work(index):
            connection = open_connection(self)
            for n in range(60):
                name = names[(index * 5 + n // 3) % len(names)]
                status, document = on(connection, 'POST', f'/api/v1/functions/{name}/invoke', {'event': [index, n]})
                self.assertEqual((200, [index, n]), (status, document.get('result')), document)
        self.parallel(16, work)

    def test_a_save_is_seen_on_every_connection_at_once(self):
        connections = [open_connection(self) for _ in range(6)]
        spread = self.functions()   # moves the connections apart
        for index, connection in enumerate(connections):
            on(connection, 'POST', f'/api/v1/functions/{spread[index]}/invoke', {})
        for n in range(6):
            name = self.function('python', f'def handler(event):\n    return {n}\n')
            path = f'/api/v1/functions/{name}'
            for connection in connections:
                self.assertEqual(n, on(connection, 'POST', f'{path}/invoke', {})[1]['result'])
            on(connections[n % 6], 'PATCH', path, {'code': f'def handler(event):\n    return "new {n}"\n'})
            for connection in connections:
                self.assertEqual(f'new {n}', on(connection, 'POST', f'{path}/invoke', {})[1]['result'])
            self.assertIn(on(connections[n % 6], 'DELETE', path)[0], (200, 204))
            for connection in connections:
                self.assertEqual(404, on(connection, 'POST', f'{path}/invoke', {})[0])

    def test_large_bodies_go_along(self):
        names = self.functions('def handler(event):\n    return len(event)\n')
        connection = open_connection(self)
        for index, name in enumerate(names):
            size = 1_000_000 + index
            self.assertEqual(size, on(connection, 'POST', f'/api/v1/functions/{name}/invoke', {'event': 'x' * size})[1]['result'])

    def test_logs_and_records_of_both(self):
        for index, name in enumerate(self.functions('def handler(event):\n    print("heard", event)\n')):
            call = self.invoke(name, index).json
            wait_until(lambda n=name, i=index: f'heard {i}' in self.get(f'/api/v1/functions/{n}/logs').text, 'the log')
            path = f'/api/v1/invocations/{call["invocation_id"]}'
            wait_until(lambda p=path: self.get(p).json.get('status') == 'success', 'the record')


class Limits(SystemTest):
    properties = {'server.loops': 2, 'server.max_connections': 16, 'workers.prewarmed': 0}

    def test_connections_are_counted_for_all_loops_together(self):
        names = [self.function('python', ECHO) for _ in range(8)]

        def taken():  # the connections of the lines above may not all have been seen to close
            connection = open_connection(self)
            return connection if on(connection, 'GET', '/api/health/ready')[0] == 200 else None
        connections = [wait_until(taken, 'a place') for _ in range(16)]
        for index, connection in enumerate(connections):
            self.assertEqual(200, on(connection, 'POST', f'/api/v1/functions/{names[index % 8]}/invoke', {})[0])
        self.assertProblem(self.get('/api/health/ready'), 503, 'too_many_connections')
        connections.pop().close()
        wait_until(lambda: self.get('/api/health/ready').status == 200, 'the place of the one that left')


class Stop(OwnPlatformTest):
    def test_running_calls_of_every_loop_finish(self):
        platform = self.start({'server.loops': 3, 'workers.prewarmed': 0})
        code = 'import time\ndef handler(event):\n    print("begun", flush=True)\n    time.sleep(3)\n    return "done"\n'
        names = [self.function('python', code) for _ in range(6)]
        threads = len(list(pathlib.Path(f'/proc/{platform.process.pid}/task').iterdir()))
        self.assertGreaterEqual(threads, 3)
        connections = [open_connection(self) for _ in names]
        for connection, name in zip(connections, names):
            connection.sock.sendall(invocation(name, None))
        answers = []

        def read(connection):
            answer = http.client.HTTPResponse(connection.sock, method='POST')
            answer.begin()
            answers.append((answer.status, json.loads(answer.read())['result'], answer.headers['Connection']))
        readers = [threading.Thread(target=read, args=(connection,)) for connection in connections]
        for reader in readers:
            reader.start()
        wait_until(lambda: all('begun' in self.get(f'/api/v1/functions/{name}/logs').text for name in names), 'the calls to run')
        sigterm(platform)
        for reader in readers:
            reader.join()
        self.assertEqual([(200, 'done', 'close')] * len(names), answers)
        self.assertEqual(0, platform.stop())

    def test_never_more_loops_than_places_for_workers(self):
        platform = self.start({'server.loops': 8, 'workers.max': 2, 'workers.prewarmed': 0})
        self.assertIn('loops      2', platform.log())
        for _ in range(4):
            self.assertEqual(7, self.result(self.function('python', ECHO), 7))

    def test_one_loop_says_nothing_of_loops(self):
        platform = self.start({'server.loops': 1})
        self.assertNotIn('loops', platform.log())


if __name__ == '__main__':
    unittest.main()
