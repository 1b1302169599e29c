"""Who may call: other web pages, DNS rebinding and strangers are kept out."""
import gzip
import json
import re
import socket
import urllib.parse

from platform_fixture import OwnPlatformTest, SystemTest, request

FUNCTION = {'runtime': 'python', 'code': 'def handler(event):\n    return event\n'}
FUNCTIONS = '/api/v1/functions'


class Guards(SystemTest):
    def attempt(self, headers):
        name = self.unique()
        answer = self.call('PUT', f'{FUNCTIONS}/{name}', FUNCTION, headers)
        if answer.status < 300:
            self.call('DELETE', f'{FUNCTIONS}/{name}')
        else:
            self.assertEqual(404, self.get(f'{FUNCTIONS}/{name}').status, 'nothing was done')
        return answer

    def test_changes_need_json(self):
        for content_type in ('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', None, '',
                             'text/plain; application/json'):
            with self.subTest(content_type):
                self.assertProblem(self.attempt({'Content-Type': content_type}), 415, 'unsupported_media_type')
        self.needs('python')
        self.assertEqual(201, self.attempt({'Content-Type': 'application/json; charset=utf-8'}).status)

    def test_compressed_bodies(self):
        name = self.unique()
        answer = self.call('PUT', f'{FUNCTIONS}/{name}', gzip.compress(json.dumps(FUNCTION).encode()), {'Content-Encoding': 'gzip'})
        self.assertIn('gzip', self.assertProblem(answer, 415, 'unsupported_media_type')['detail'])
        self.assertEqual('identity', answer.headers['Accept-Encoding'])

    def test_invocations_need_json(self):
        name = self.function(**FUNCTION)
        answer = self.call('POST', f'{FUNCTIONS}/{name}/invoke', '{"event":1}', {'Content-Type': 'text/plain'})
        self.assertProblem(answer, 415, 'unsupported_media_type')

    def test_pages_of_other_origins(self):
        for origin in ('https://evil.example', 'null', 'http://localhost.evil.example'):
            with self.subTest(origin):
                self.assertProblem(self.attempt({'Origin': origin}), 403, 'foreign_origin')

    def test_our_own_page(self):
        self.needs('python')
        self.assertEqual(201, self.attempt({'Origin': self.url, 'Sec-Fetch-Site': 'same-origin'}).status)

    def test_cross_site_fetches(self):
        self.assertProblem(self.attempt({'Sec-Fetch-Site': 'cross-site'}), 403, 'foreign_origin')

    def test_dns_rebinding(self):
        for host in ('evil.example', 'evil.example:8080', '127.0.0.1.evil.example', 'localhost.evil.example',
                     '192.0.2.1'):
            with self.subTest(host):
                self.assertProblem(self.attempt({'Host': host}), 421, 'unknown_host')
                self.assertProblem(self.get('/api/v1/functions', {'Host': host}), 421, 'unknown_host')

    def test_http_1_0_without_a_host(self):
        parts = urllib.parse.urlsplit(self.url)

        def ask(head):
            with socket.create_connection((parts.hostname, parts.port), 30) as client:
                client.sendall(head.encode())
                with client.makefile('rb') as answer:
                    return answer.read().decode()
        self.assertRegex(ask('GET /api/health/ready HTTP/1.0\r\n\r\n'), '^HTTP/1.1 200 ')
        for head in ('GET /api/health/ready HTTP/1.0\r\nHost: evil.example', 'GET http://evil.example/api/health/ready HTTP/1.0'):
            with self.subTest(head):
                self.assertRegex(ask(head + '\r\n\r\n'), '^HTTP/1.1 421 ')
        self.assertRegex(ask(f'DELETE {FUNCTIONS}/nobody HTTP/1.0\r\nOrigin: http://\r\n\r\n'), '^HTTP/1.1 403 ')

    def test_names_of_loopback(self):
        port = self.url.rpartition(':')[2]
        for host in (f'localhost:{port}', f'127.0.0.1:{port}', 'localhost', f'LOCALHOST:{port}', f'[::1]:{port}'):
            with self.subTest(host):
                self.assertEqual(200, self.get('/api/health', {'Host': host}).status)

    def test_no_answer_lets_another_origin_read_it(self):
        for path in ('/api/health', FUNCTIONS):
            answer = self.get(path, {'Origin': 'https://evil.example'})
            self.assertNotIn('Access-Control-Allow-Origin', answer.headers)


class AllowedHosts(SystemTest):
    properties = {'server.allowed_hosts': 'functions.example.com, other.example'}

    def test_names_on_the_list(self):
        for host in ('functions.example.com', 'OTHER.example:443'):
            self.assertEqual(200, self.get('/api/health', {'Host': host}).status)
        self.assertEqual(421, self.get('/api/health', {'Host': 'third.example'}).status)


class Tokens(OwnPlatformTest):
    def test_another_address_asks_for_the_generated_token(self):
        platform = self.start({'server.address': '0.0.0.0'})
        said = platform.log()
        self.assertProblem(self.get(FUNCTIONS), 401, 'unauthorized')
        self.assertProblem(self.get(FUNCTIONS, {'Authorization': 'Bearer wrong'}), 401, 'unauthorized')
        self.assertTrue(self.get(FUNCTIONS).headers['WWW-Authenticate'].startswith('Bearer'))
        self.assertEqual(200, self.get('/api/health/ready').status, 'load balancers need no token')
        tokens = [t for t in re.findall(r'[A-Za-z0-9_-]{20,}', said)
                  if request(self.url, 'GET', FUNCTIONS, headers={'Authorization': 'Bearer ' + t}).status == 200]
        self.assertEqual(1, len(set(tokens)), said)
        token = {'Authorization': 'Bearer ' + tokens[0]}
        self.assertEqual(200, self.get(FUNCTIONS, token).status)

        for path in platform.files(platform.data):
            self.assertNotIn(tokens[0].encode(), path.read_bytes(), f'{path} holds the token itself')
        platform.stop()
        before = len(platform.log())
        platform.start()
        self.assertEqual(200, self.get(FUNCTIONS, token).status, 'the token outlives a restart')
        self.assertNotIn(tokens[0], platform.log()[before:], 'it is printed once')

    def test_a_token_of_the_properties(self):
        token = 'a-token-that-is-long-enough-1234'
        platform = self.start({'auth.mode': 'token', 'auth.token': token})
        self.assertEqual(401, self.get(FUNCTIONS).status)
        self.assertEqual(200, self.get(FUNCTIONS, {'Authorization': 'Bearer ' + token}).status)
        self.assertEqual(200, self.get(FUNCTIONS, {'Authorization': 'bearer ' + token}).status)
        self.assertEqual(401, self.get(FUNCTIONS, {'Authorization': 'Bearer ' + token + 'x'}).status)
        self.assertEqual(401, self.get(FUNCTIONS, {'Authorization': 'Basic ' + token}).status)
        self.assertNotIn(token, platform.log())

    def test_no_login_only_when_asked_for(self):
        self.start({'server.address': '0.0.0.0', 'auth.mode': 'none'})
        self.assertEqual(200, self.get(FUNCTIONS).status)


class Network(SystemTest):
    def test_a_function_without_network_reaches_nobody(self):
        name = self.function('python', '''\
import socket
def handler(address):
    try:
        socket.create_connection(address, 5).close()
        return "connected"
    except OSError:
        return "refused"
''', network={'mode': 'none'})
        parts = urllib.parse.urlsplit(self.url)
        self.assertEqual('refused', self.result(name, [parts.hostname, parts.port]))
