"""Build logs that are followed, and saves whose callers do not wait."""

import http.client
import json
import socket
import time
import unittest
import urllib.parse

from platform_fixture import WAIT_SECONDS, OwnPlatformTest, SystemTest, wait_until

PYTHON = 'def handler(event, context):\n    return 1\n'
BROKEN = 'def handler(event, context:\n    return 1\n'
# Go compiles for a second or more, which gives time to follow.
GO = 'package main\n\nimport "context"\n\n' \
     'func Handler(ctx context.Context, event any) (any, error) {\n\treturn "NAME", nil\n}\n'


class Events:
    """A client of Server-Sent Events (the HTML standard, section 9.2.6)."""

    def __init__(self, url, path, last=None, head=None):
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=WAIT_SECONDS)
        headers = {'Accept': 'text/event-stream', **({'Last-Event-ID': last} if last else {}), **(head or {})}
        self.connection.request('GET', path, headers=headers)
        self.answer = self.connection.getresponse()
        self.comments = 0

    def __iter__(self):
        event = {'data': []}
        for line in self.answer:
            line = line.decode().rstrip('\n')
            if line.startswith(':'):
                self.comments += 1
            elif line:
                field, _, value = line.partition(': ')
                event[field] = event.get('data', []) + [value] if field == 'data' else value
            elif event['data']:
                yield event.get('event'), event.get('id'), '\n'.join(event['data'])
                event = {'data': []}

    def close(self):
        # http.client gives the socket to the answer.
        self.answer.close()
        self.connection.close()


class FollowTest(SystemTest):

    def begin(self, runtime, code, handler):
        """Has a function built behind the answer: its name and the address of its version."""
        self.needs(runtime)
        name = self.unique()
        self.addCleanup(self.delete, name)
        answer = self.post('/api/v1/functions', {'name': name, 'runtime': runtime, 'handler': handler, 'code': code},
                           {'Prefer': 'respond-async'})
        self.assertEqual(202, answer.status, answer)
        self.assertEqual('respond-async', answer.headers['Preference-Applied'])
        return name, answer.headers['Location']

    def follow(self, version, **more):
        events = Events(self.url, f'{version}/build-log?follow=true', **more)
        self.addCleanup(events.close)
        return events

    def finished(self, version):
        return wait_until(lambda: self.get(version).json['state'] != 'building' and self.get(version).json,
                          'the build to end')

    def test_a_running_build(self):
        name, version = self.begin('go', GO.replace('NAME', self.unique()), 'Handler')
        events = self.follow(version)
        self.assertEqual(200, events.answer.status)
        self.assertEqual('text/event-stream', events.answer.headers['Content-Type'])
        self.assertEqual('chunked', events.answer.headers['Transfer-Encoding'])
        self.assertIsNone(events.answer.headers['Content-Length'])
        seen = list(events)
        self.assertEqual(('end', 'end'), seen[-1][:2])
        self.assertEqual({'state': 'ready', 'version': 1}, json.loads(seen[-1][2]))
        # What was followed is what is kept.
        lines = [line for event, _, line in seen if event == 'log']
        self.assertEqual(self.get(f'{version}/build-log').text.splitlines(), lines)
        self.assertEqual(200, self.invoke(name).status)

    def test_a_build_that_is_over(self):
        _, version = self.begin('python', PYTHON, 'handler')
        self.assertEqual('ready', self.finished(version)['state'])
        seen = list(self.follow(version))
        self.assertEqual({'state': 'ready', 'version': 1}, json.loads(seen[-1][2]))

    def test_a_build_that_fails(self):
        _, version = self.begin('python', BROKEN, 'handler')
        seen = list(self.follow(version))
        end = json.loads(seen[-1][2])
        self.assertEqual('failed', end['state'])
        self.assertEqual('build_failed', end['error']['reason'])
        self.assertTrue(any('main.py' in line for event, _, line in seen if event == 'log'), seen)
        self.assertEqual('failed', self.get(version).json['state'])

    def test_going_on_where_it_was_cut_off(self):
        _, version = self.begin('python', BROKEN, 'handler')
        self.finished(version)
        whole = list(self.follow(version))
        log = self.get(f'{version}/build-log').text.encode()
        for at, (event, id, _) in enumerate(whole[:-1]):
            self.assertEqual(b'\n', log[int(id) - 1:int(id)])
            self.assertEqual(whole[at + 1:], list(self.follow(version, last=id)))
        over = self.follow(version, last='end')
        self.assertEqual(204, over.answer.status)

    def test_old_clients(self):
        _, version = self.begin('python', PYTHON, 'handler')
        self.finished(version)
        parts = urllib.parse.urlsplit(self.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=WAIT_SECONDS) as client:
            client.sendall(f'GET {version}/build-log?follow=true HTTP/1.0\r\nHost: localhost\r\n\r\n'.encode())
            answer = b''.join(iter(lambda: client.recv(65536), b''))
        head, _, body = answer.partition(b'\r\n\r\n')
        self.assertNotIn(b'Transfer-Encoding', head)
        self.assertTrue(body.endswith(b'data: {"state":"ready","version":1}\n\n'), body)

    def test_the_connection_lives_on(self):
        _, version = self.begin('python', PYTHON, 'handler')
        events = self.follow(version)
        list(events)
        events.connection.request('GET', version)
        self.assertEqual('ready', json.loads(events.connection.getresponse().read())['state'])

    def test_many_followers(self):
        _, version = self.begin('go', GO.replace('NAME', self.unique()), 'Handler')
        followers = self.parallel(40, lambda _: list(self.follow(version)))
        for seen in followers:
            self.assertEqual(followers[0], seen)
        self.assertEqual({'state': 'ready', 'version': 1}, json.loads(followers[0][-1][2]))

    def test_followers_that_leave_disturb_nobody(self):
        _, version = self.begin('go', GO.replace('NAME', self.unique()), 'Handler')
        for _ in range(20):
            self.follow(version).close()
        self.assertEqual('end', list(self.follow(version))[-1][0])
        self.assertEqual('ready', self.finished(version)['state'])

    def test_what_cannot_be_followed(self):
        name, version = self.begin('python', PYTHON, 'handler')
        self.finished(version)
        path = f'/api/v1/functions/{name}/versions'
        self.assertProblem(self.get(f'{path}/2/build-log?follow=true'), 404, 'not_found')
        self.assertProblem(self.get(f'{path}/1/build-log?follow=perhaps'), 400, 'invalid_query')


class Patience(SystemTest):
    """Saves whose callers go away."""

    def leave(self, method, path, document):
        """Sends a request and closes the connection at once, as a proxy does that runs out of patience."""
        body = json.dumps(document).encode()
        parts = urllib.parse.urlsplit(self.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=WAIT_SECONDS) as client:
            client.sendall(f'{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
                           f'Content-Length: {len(body)}\r\n\r\n'.encode() + body)

    def test_the_build_goes_on(self):
        for runtime, code, handler in (('go', GO.replace('NAME', self.unique()), 'Handler'), ('python', PYTHON, 'handler')):
            with self.subTest(runtime=runtime):
                self.needs(runtime)
                name = self.unique()
                self.addCleanup(self.delete, name)
                document = {'name': name, 'runtime': runtime, 'handler': handler, 'code': code}
                self.leave('POST', '/api/v1/functions', document)
                path = f'/api/v1/functions/{name}'
                # It is there while it is built.
                wait_until(lambda: self.get(path).json.get('state') == 'ready', 'the function to be ready')
                self.assertEqual(200, self.invoke(name).status)
                self.leave('PUT', path, {'code': code + '// again\n' if runtime == 'go' else code + '# again\n'})
                wait_until(lambda: self.get(path).json['version'] == 2, 'the second version to get live')
                self.assertEqual('ready', self.get(f'{path}/versions/2').json['state'])


class Stopping(OwnPlatformTest):

    def test_followers_do_not_keep_the_platform(self):
        platform = self.start()
        self.needs('go')
        answer = self.post('/api/v1/functions', {'name': 'f', 'runtime': 'go', 'handler': 'Handler', 'code': GO},
                           {'Prefer': 'respond-async'})
        self.assertEqual(202, answer.status, answer)
        events = Events(self.url, f'{answer.headers["Location"]}/build-log?follow=true')
        self.addCleanup(events.close)
        before = time.monotonic()
        platform.stop()
        # The 30 seconds that running invocations get are not spent on followers.
        self.assertLess(time.monotonic() - before, 25)
        list(events)  # ends

    def test_places_for_followers(self):
        self.start({'server.max_followers': 1})
        self.needs('go')
        answer = self.post('/api/v1/functions', {'name': 'f', 'runtime': 'go', 'handler': 'Handler', 'code': GO},
                           {'Prefer': 'respond-async'})
        path = f'{answer.headers["Location"]}/build-log?follow=true'
        events = Events(self.url, path)
        self.addCleanup(events.close)
        refused = self.get(path)
        if self.get(answer.headers['Location']).json['state'] == 'building':
            self.assertProblem(refused, 503, 'too_many_followers')
            self.assertIn('Retry-After', refused.headers)
        self.assertEqual('end', list(events)[-1][0])
        self.assertEqual(200, wait_until(lambda: (lambda a: a.status == 200 and a)(self.get(path)), 'a free place').status)


if __name__ == '__main__':
    unittest.main()
