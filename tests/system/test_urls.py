"""Functions as HTTP endpoints: /function/{name}/{path}."""
import json
import socket
import time

from platform_fixture import SystemTest, wait_until

ECHO = 'def handler(event):\n    return event\n'
ANSWER = 'import json\ndef handler(event):\n    return json.loads(event["body"])\n'
PAGE = {'status_code': 200, 'headers': {'Content-Type': 'text/html', 'Service-Worker-Allowed': '/'}, 'body': '<script>1</script>'}


class Endpoints(SystemTest):
    def endpoint(self, code, runtime='python', **fields):
        http = {'enabled': True, **fields.pop('http', {})}
        return '/function/' + self.function(runtime, code, http=http, **fields)


class FunctionUrls(Endpoints):
    def test_a_page_of_a_function_is_nobodys(self):
        """It comes from where the platform's page and API are, and may not speak in the name of whoever looks at it."""
        answer = self.post(self.endpoint(ANSWER), PAGE)
        self.assertRegex(answer.headers['Content-Security-Policy'], '^sandbox ')
        self.assertNotIn('allow-same-origin', answer.headers['Content-Security-Policy'])
        self.assertNotIn('Service-Worker-Allowed', answer.headers)
        own = self.post(self.endpoint(ANSWER), {**PAGE, 'headers': {'Content-Security-Policy': 'sandbox allow-same-origin'}})
        self.assertEqual(2, len(own.headers.get_all('Content-Security-Policy')), 'what both allow is allowed')
        # What such a page asks for comes from the origin "null".
        self.assertProblem(self.call('DELETE', '/api/v1/functions/nobody', headers={'Origin': 'null'}), 403, 'foreign_origin')

    def test_off_unless_enabled(self):
        name = self.function('python', ECHO)
        self.assertEqual(404, self.get(f'/function/{name}').status)

    def test_the_event(self):
        url = self.endpoint(ECHO)
        answer = self.call('PUT', url + '/a/b%20c?x=1&y=2&x=3', 'body text', {'Content-Type': 'text/plain', 'X-Mine': 'yes'})
        self.assertEqual(200, answer.status, answer)
        event = answer.json
        self.assertEqual({'method', 'path', 'query', 'headers', 'body', 'is_base64'}, set(event))
        self.assertEqual(('PUT', 'body text', False), (event['method'], event['body'], event['is_base64']))
        self.assertIn(event['path'], ('/a/b c', '/a/b%20c'))
        self.assertEqual('2', event['query']['y'])
        self.assertEqual('yes', {k.lower(): v for k, v in event['headers'].items()}['x-mine'])

    def test_every_method(self):
        url = self.endpoint(ECHO)
        for method in ('GET', 'POST', 'PUT', 'PATCH', 'DELETE'):
            with self.subTest(method):
                self.assertEqual(method, self.call(method, url).json['method'])
        self.assertEqual((200, b''), (lambda a: (a.status, a.body))(self.call('HEAD', url)))

    def test_a_form_needs_no_json(self):
        url = self.endpoint(ECHO)
        answer = self.call('POST', url, 'a=1&b=2', {'Content-Type': 'application/x-www-form-urlencoded'})
        self.assertEqual('a=1&b=2', answer.json['body'])

    def test_bytes_come_as_base64(self):
        event = self.call('POST', self.endpoint(ECHO), b'\xff\x00\xfe', {'Content-Type': 'application/octet-stream'}).json
        self.assertEqual(('/wD+', True), (event['body'], event['is_base64']))

    def test_a_response_of_the_functions_own(self):
        url = self.endpoint(ANSWER)
        answer = self.post(url, {'status_code': 201, 'headers': {'Content-Type': 'text/html', 'X-Mine': 'a'},
                                 'body': '<p>Hello \u4f60</p>'})
        self.assertEqual((201, 'text/html', 'a', '<p>Hello \u4f60</p>'),
                         (answer.status, answer.headers['Content-Type'], answer.headers['X-Mine'], answer.text))

    def test_any_other_json_is_the_body(self):
        url = self.endpoint(ANSWER)
        for value in ([1, 'two'], 5, 'text', None, {'a': 1}):
            with self.subTest(repr(value)):
                answer = self.post(url, json.dumps(value))
                self.assertEqual((200, value), (answer.status, answer.json))
                self.assertEqual('application/json', answer.headers.get_content_type())

    def test_base64_bodies(self):
        answer = self.post(self.endpoint(ANSWER), {'status_code': 200, 'headers': {'Content-Type': 'image/png'},
                                                   'body': '/wD+', 'is_base64': True})
        self.assertEqual((200, b'\xff\x00\xfe'), (answer.status, answer.body))

    def test_impossible_responses(self):
        url = self.endpoint(ANSWER)
        for response in ({'status_code': 99, 'body': ''}, {'status_code': 1000, 'body': ''},
                         {'status_code': 'ok', 'body': ''},
                         {'status_code': 200, 'headers': {'X': 'a\r\nInjected: yes'}, 'body': ''},
                         {'status_code': 200, 'headers': {'X Y': 'a'}, 'body': ''},
                         {'status_code': 200, 'headers': {'Content-Type': ['text/html', 'text/plain']}, 'body': ''},
                         {'status_code': 200, 'headers': {'Location': '/a', 'location': '/b'}, 'body': ''}):
            with self.subTest(response):
                answer = self.post(url, response)
                self.assertEqual(502, answer.status, answer)
                self.assertNotIn('Injected', answer.headers)

    def test_failures(self):
        url = self.endpoint('import os\ndef handler(event):\n    raise ValueError("secret text")\n')
        self.assertEqual(500, self.get(url).status)
        url = self.endpoint('import os\ndef handler(event):\n    os._exit(1)\n')
        self.assertEqual(502, self.get(url).status)
        url = self.endpoint('import time\ndef handler(event):\n    time.sleep(60)\n', timeout=0.3)
        self.assertEqual(504, self.get(url).status)

    def test_pages_of_other_origins_only_as_allowed(self):
        url = self.endpoint(ECHO, http={'cors': {'origins': ['https://app.example']}})
        preflight = {'Origin': 'https://app.example', 'Access-Control-Request-Method': 'PUT'}
        answer = self.call('OPTIONS', url, headers=preflight)
        self.assertEqual((204, 'https://app.example'), (answer.status, answer.headers['Access-Control-Allow-Origin']))
        answer = self.get(url, {'Origin': 'https://app.example'})
        self.assertEqual('https://app.example', answer.headers['Access-Control-Allow-Origin'])
        self.assertNotIn('Access-Control-Allow-Origin', self.get(url, {'Origin': 'https://evil.example'}).headers)

    def test_the_settings_win_over_the_functions_own_cors(self):
        forged = {'status_code': 200, 'headers': {'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'true',
                                                  'Access-Control-Expose-Headers': 'X-Mine'}, 'body': ''}
        url = self.endpoint(ANSWER, http={'cors': {'origins': ['https://app.example']}})
        answer = self.post(url, forged, {'Origin': 'https://app.example'})
        self.assertEqual(['https://app.example'], answer.headers.get_all('Access-Control-Allow-Origin'))
        self.assertNotIn('Access-Control-Allow-Credentials', answer.headers)
        self.assertEqual('X-Mine', answer.headers['Access-Control-Expose-Headers'])
        self.assertNotIn('Access-Control-Allow-Origin', self.post(url, forged, {'Origin': 'https://evil.example'}).headers)
        answer = self.post(self.endpoint(ANSWER), forged, {'Origin': 'https://evil.example'})
        self.assertEqual(['*'], answer.headers.get_all('Access-Control-Allow-Origin'), 'without settings they are its own')

    def test_ids_are_the_platforms(self):
        url = self.endpoint(ANSWER, http={'cors': {'origins': ['https://app.example']}})
        answer = self.post(url, {'status_code': 200, 'headers': {'X-Request-Id': 'forged', 'x-invocation-id': 'forged'}, 'body': ''},
                           {'X-Request-Id': 'mine'})
        self.assertEqual(['mine'], answer.headers.get_all('X-Request-Id'))
        self.assertRegex(','.join(answer.headers.get_all('X-Invocation-Id')), '^[0-9A-Z]{26}$')
        preflight = {'Origin': 'https://app.example', 'Access-Control-Request-Method': 'PUT', 'X-Request-Id': 'mine'}
        answer = self.call('OPTIONS', url, headers=preflight)
        self.assertEqual((204, ['mine']), (answer.status, answer.headers.get_all('X-Request-Id')))

    def test_a_body_that_is_too_large_as_an_event_is_refused(self):
        """It may be six times as long there. A frame that no worker takes would end the calls of others."""
        url = self.endpoint('def handler(event):\n    return len(event["body"])\n', memory=256, http={'cors': {'origins': ['https://a.example']}})
        answer = self.call('POST', url, b'\x01' * 3_000_000, {'Origin': 'https://a.example'})
        document = self.assertProblem(answer, 413, 'body_too_large')
        self.assertIn('16776704 bytes', str(document))
        self.assertEqual('https://a.example', answer.headers['Access-Control-Allow-Origin'])
        self.assertEqual(1_000_000, self.call('POST', url, b'\x01' * 1_000_000).json)

    def test_in_each_language(self):
        for runtime, code in (('node', 'const handler = (e) => ({ status_code: 202, body: e.method })'),
                              ('go', 'func handler(e map[string]interface{}) (interface{}, error) {\n'
                                     '    return map[string]interface{}{"status_code": 202, "body": e["method"]}, nil\n}')):
            with self.subTest(runtime):
                answer = self.get(self.endpoint(code, runtime))
                self.assertEqual((202, 'GET'), (answer.status, answer.text))


class FunctionHosts(Endpoints):
    properties = {'server.function_hosts': 'functions.example.com'}

    def test_they_serve_functions_and_nothing_else(self):
        there = {'Host': 'Functions.example.com:443'}
        url = self.endpoint(ANSWER)
        answer = self.post(url, PAGE, there)
        self.assertEqual((200, None, '/'), (answer.status, answer.headers['Content-Security-Policy'],
                                            answer.headers['Service-Worker-Allowed']))
        for path in ('/', '/api/health', '/api/health/ready', '/api/v1/functions', '/function'):
            with self.subTest(path):
                self.assertProblem(self.get(path, there), 404, 'not_found')
        self.assertEqual(404, self.call('DELETE', '/api/v1' + url.replace('function', 'functions', 1), headers=there).status)
        self.assertIn('Content-Security-Policy', self.post(url, PAGE).headers, 'at the name of the platform')


class EventsThatGrow(Endpoints):
    own_platform = True
    properties = {'invoke.on_disconnect': 'cancel'}
    WAITING = 20  # of 15 MB each

    def test_what_bodies_become_counts_while_it_waits(self):
        url = self.endpoint('import time\ndef handler(event):\n    time.sleep(600)\n', memory=256, timeout=600, max_workers=1)
        name = self.function('python', ECHO)
        small, large = 'x', 'x' * 20_000
        self.assertEqual(large, self.result(name, large))
        head = f'POST {url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2500000\r\n\r\n'.encode()
        for _ in range(self.WAITING):
            waiting = socket.create_connection(('127.0.0.1', self.platform.port))
            self.addCleanup(waiting.close)
            waiting.sendall(head + b'\x01' * 2_500_000)

        def refusal():
            """Once all of them are there; while they are read they take more for moments."""
            for _ in range(10):
                answer = self.invoke(name, large, expect=None)
                if answer.status != 503:
                    return None
                time.sleep(0.1)
            return answer
        self.assertProblem(wait_until(refusal, 'large requests to be refused', 60), 503, 'overloaded')
        self.assertEqual(small, self.result(name, small))
