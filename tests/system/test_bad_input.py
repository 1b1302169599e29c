"""What callers get wrong, each with its clear answer; and the platform carries on."""
from platform_fixture import SystemTest

CODE = 'def handler(event):\n    return event\n'
FUNCTIONS = '/api/v1/functions'


class BadBodies(SystemTest):
    def invoked_path(self):
        return f'/api/v1/functions/{self.function("python", CODE)}/invoke'

    def test_malformed_json(self):
        for body in ('{', '', 'nonsense', '{"name": "a",}', "{'name': 'a'}", '[1', '\x00', '{"a":1}{"a":1}'):
            with self.subTest(body):
                self.assertProblem(self.post(FUNCTIONS, body), 400, 'malformed_json')

    def test_bytes_that_are_not_utf8(self):
        self.assertProblem(self.post(FUNCTIONS, b'{"name":"\xff\xfe"}'), 400, 'malformed_json')

    def test_the_place_of_a_mistake_is_named(self):
        for path in (FUNCTIONS, self.invoked_path()):
            document = self.assertProblem(self.post(path, '{\n  "event": {"a": 1,\n  }\n}'), 400, 'malformed_json')
            self.assertIn('line 3, column 3: a name in double quotes is expected', document['detail'])

    def test_numbers_that_no_field_takes(self):
        for field in ('timeout', 'memory', 'concurrency', 'max_workers', 'keep_alive'):
            for number in ('123456789012345678901234567890', '-123456789012345678901234567890', '1e400', '-1e400'):
                with self.subTest(f'{field} = {number}'):
                    answer = self.post(FUNCTIONS, f'{{"name":"a","runtime":"python","code":"x","{field}":{number}}}')
                    document = self.assertProblem(answer, 422, 'invalid_function')
                    self.assertEqual([f'/{field}'], [error['pointer'] for error in document['errors']])
                    self.assertRegex(document['errors'][0]['detail'], '[0-9]')

    def test_reserves_beyond_the_platform(self):
        answer = self.post(FUNCTIONS, {'name': 'a', 'runtime': 'python', 'code': CODE, 'min_workers': 257})
        document = self.assertProblem(answer, 422, 'invalid_function')
        self.assertEqual(['/min_workers'], [error['pointer'] for error in document['errors']])
        self.assertEqual('0-256', document['limit'])

    def test_a_body_that_is_no_object(self):
        for body in ('[]', '1', 'null', '"text"'):
            with self.subTest(body):
                answer = self.post(FUNCTIONS, body)
                self.assertIn(answer.status, (400, 422), answer)
                self.assertTrue(answer.json['detail'])

    def test_duplicate_keys(self):
        answer = self.post(FUNCTIONS, '{"name":"a","name":"b","runtime":"python","code":"x"}')
        self.assertProblem(answer, 400, 'duplicate_key')
        self.assertIn('name', answer.text)

    def test_deep_nesting(self):
        self.assertProblem(self.post(FUNCTIONS, '[' * 100 + ']' * 100), 400, 'json_too_deep')

    def test_every_refused_field_is_named(self):
        answer = self.create('python', CODE, timeout='long', memory=1, colour='red', handler=7)
        document = self.assertProblem(answer, 422, 'invalid_function')
        self.assertEqual({'/timeout', '/memory', '/colour', '/handler'}, {e['pointer'] for e in document['errors']})
        for error in document['errors']:
            self.assertTrue(error['detail'], document)

    def test_limits_of_the_settings(self):
        for field, value in (('timeout', 0), ('timeout', -1), ('timeout', 0.05), ('timeout', 901), ('timeout', '5'),
                             ('memory', 1), ('memory', 31), ('memory', 10241), ('memory', 128.5), ('memory', True),
                             ('concurrency', 0), ('concurrency', 'all'), ('keep_alive', -1), ('init_timeout', 0),
                             ('environment', []), ('environment', {'A': 1}), ('environment', {'': 'x'}),
                             ('environment', {'A=B': 'x'}), ('environment', {'LD_PRELOAD': '/tmp/x.so'}),
                             ('environment', {'A': 'x\0y'}), ('environment', {'A': 'x' * 70000}),
                             ('http', {'enabled': 'yes'}), ('http', 1), ('network', {'mode': 'all'}),
                             ('description', 5), ('labels', ['a']), ('handler', ''), ('handler', '../x'),
                             ('handler', 'h' * 4096), ('code', ''), ('code', 5), ('files', {}), ('files', 'x')):
            with self.subTest(f'{field} = {str(value)[:40]}'):
                fields = {field: value} if field in ('code', 'files') else {'code': CODE, field: value}
                document = self.assertProblem(self.create('python', **fields), 422, 'invalid_function')
                self.assertTrue(any(e['pointer'].startswith('/' + field) for e in document['errors']), document)

    def test_the_range_is_told(self):
        document = self.create('python', CODE, timeout=0).json
        self.assertIn('0.1', str(document))
        self.assertIn('900', str(document))
        document = self.create('python', CODE, memory=1).json
        self.assertIn('32', str(document))
        self.assertIn('10240', str(document))

    def test_unknown_runtime(self):
        document = self.assertProblem(self.create('cobol', CODE), 422, 'invalid_function')
        self.assertEqual('/runtime', document['errors'][0]['pointer'])
        self.assertIn('cobol', str(document))
        self.assertIn('python', str(document), 'says which there are')
        detail = self.create('Python', CODE).json['errors'][0]['detail']
        self.assertRegex(detail, r'known runtimes are .*node \(or [a-z, ]*typescript[a-z, ]*\)', 'aliases too')

    def test_lists_of_an_unknown_runtime(self):
        document = self.assertProblem(self.get(FUNCTIONS + '?runtime=ruby'), 400, 'invalid_query')
        self.assertIn('ruby', document['detail'])
        self.assertIn('python', document['hint'])
        self.assertEqual(200, self.get(FUNCTIONS + '?runtime=typescript').status)

    def test_the_field_that_was_meant(self):
        document = self.assertProblem(self.create('python', CODE, timeot=5), 422, 'invalid_function')
        self.assertEqual('unknown field; did you mean "timeout"?', document['errors'][0]['detail'])

    def test_missing_fields(self):
        document = self.assertProblem(self.post(FUNCTIONS, {}), 422, 'invalid_function')
        self.assertLessEqual({'/name', '/runtime'}, {e['pointer'] for e in document['errors']})
        document = self.assertProblem(self.create('python'), 422, 'invalid_function')
        self.assertIn('code', str(document))

    def test_code_and_files_exclude_each_other(self):
        self.assertProblem(self.create('python', CODE, files={'main.py': CODE}), 422, 'invalid_function')

    def test_names(self):
        for name in ('', ' ', '../etc', 'a/b', 'a b', '-a', 'a-', '_a', 'a_', 'a.b', 'x' * 65, 'fn_abc', 'n\u00e4me',
                     'a\n', 'a\0', '%2e', 5, None, ['a']):
            with self.subTest(repr(name)):
                answer = self.post(FUNCTIONS, {'name': name, 'runtime': 'python', 'code': CODE})
                document = self.assertProblem(answer, 422, 'invalid_function')
                self.assertEqual('/name', document['errors'][0]['pointer'], document)

    def test_file_names(self):
        for name in ('../main.py', '/etc/passwd', 'a/../../b.py', '', 'a//b.py', './main.py', 'a\0b', 'x' * 5000,
                     'a/', '.', '..'):
            with self.subTest(repr(name[:40])):
                answer = self.create('python', files={'main.py': CODE, name: 'x = 1\n'}, handler='main.handler')
                self.assertProblem(answer, 422, 'invalid_function')

    def test_very_many_refused_fields(self):
        answer = self.post(FUNCTIONS, {f'unknown{i}': i for i in range(200_000)})
        document = self.assertProblem(answer, 422, 'invalid_function')
        self.assertLess(len(answer.body), 20_000)
        self.assertIn('/unknown0', [e['pointer'] for e in document['errors']])
        self.assertIn('199900 more', str(document['errors']))

    def test_a_name_is_taken_whatever_its_case(self):
        name = self.unique('Taken')
        self.function('python', CODE, name=name)
        for again in (name, name.lower(), name.upper()):
            document = self.assertProblem(self.create('python', CODE, name=again), 409, 'name_taken')
            self.assertIn(again, document['detail'])
        self.assertEqual(1, self.result(name, 1))

    def test_code_that_is_too_large(self):
        document = self.assertProblem(self.create('python', '#' * 10_485_761), 422, 'invalid_function')
        self.assertEqual('/code', document['errors'][0]['pointer'])
        self.assertEqual(('10485760 bytes', '10485761 bytes'), (document['limit'], document['observed']))
        self.assertEqual(201, self.create('python', CODE + '#' * 9_000_000).status)

    def test_a_body_that_is_too_large_for_any_code(self):
        answer = self.post(FUNCTIONS, b'{"code":"' + b'x' * 80_000_000 + b'"}')
        self.assertProblem(answer, 413, 'body_too_large')
        self.assertIn('limit', answer.json)

    def test_paths_that_are_not_there(self):
        for path in ('/api/v1/nothing', '/api/nothing', '/api/v1/functions/nothing', '/api/v1/functions/nothing/versions',
                     '/api/v1/functions/nothing/invocations', '/api/v1/invocations/01J00000000000000000000000',
                     '/api/v1/functions/%2e%2e', '/api/v1/functions/fn_01J00000000000000000000000'):
            with self.subTest(path):
                self.assertProblem(self.get(path), 404, 'not_found')

    def test_methods_that_are_not_there(self):
        answer = self.call('DELETE', FUNCTIONS)
        self.assertProblem(answer, 405, 'method_not_allowed')
        self.assertEqual({'GET', 'HEAD', 'POST', 'OPTIONS'}, {m.strip() for m in answer.headers['Allow'].split(',')})

    def test_queries_that_make_no_sense(self):
        for query in ('limit=0', 'limit=x', 'limit=-1', 'limit=100000', 'cursor=%00', 'colour=red'):
            with self.subTest(query):
                answer = self.get(f'{FUNCTIONS}?{query}')
                self.assertIn(answer.status, (400, 422), answer)
                self.assertTrue(answer.json['detail'])

    def test_cursors_of_no_page(self):
        name = self.function('python', CODE)
        for cursor in ('!', 'a+b', 'A', 'fn_01J00000000000000000000000', '../etc', 'x' * 65, '%F0%9F%98%80'):
            with self.subTest(cursor):
                self.assertIn('"cursor"', self.assertProblem(self.get(f'{FUNCTIONS}?cursor={cursor}'), 400, 'invalid_query')['detail'])
        for cursor in ('zzz', '!', '~', '01J0000000000000000000000', '01j00000000000000000000000', '8' + 25 * 'Z'):
            with self.subTest(cursor):
                answer = self.get(f'{FUNCTIONS}/{name}/invocations?cursor={cursor}')
                self.assertIn('"cursor"', self.assertProblem(answer, 400, 'invalid_query')['detail'])


class BadInvocations(SystemTest):
    def setUp(self):
        self.name = self.function('python', CODE)
        self.path = f'{FUNCTIONS}/{self.name}/invoke'

    def tearDown(self):
        self.assertEqual(5, self.result(self.name, 5), 'the function still works')

    def test_malformed_json(self):
        for body in ('{', 'nonsense', '{"event":}', '{"event":1,}', '{"event":"\x01"}', '{"event":1}x', '{"event":01}'):
            with self.subTest(body):
                self.assertProblem(self.post(self.path, body), 400, 'malformed_json')

    def test_bytes_that_are_not_utf8(self):
        self.assertProblem(self.post(self.path, b'{"event":"\xc0\x80"}'), 400, 'malformed_json')

    def test_an_event_that_is_not_wrapped(self):
        document = self.assertProblem(self.post(self.path, {'message': 'hi'}), 400, 'unknown_field')
        self.assertIn('message', str(document))
        self.assertIn('event', document['hint'])

    def test_a_body_that_is_no_object(self):
        for body in ('[1]', '5', '"text"', 'null'):
            with self.subTest(body):
                answer = self.post(self.path, body)
                self.assertEqual(400, answer.status, answer)

    def test_a_context_that_is_no_object(self):
        answer = self.post(self.path, {'event': 1, 'context': 5})
        self.assertEqual(400, answer.status, answer)

    def test_deep_nesting(self):
        self.assertProblem(self.post(self.path, '{"event":' + '[' * 300 + ']' * 300 + '}'), 400, 'json_too_deep')
        self.assertEqual(200, self.post(self.path, '{"event":' + '[' * 200 + ']' * 200 + '}').status)

    def test_a_body_of_ten_megabytes(self):
        answer = self.post(self.path, b'{"event":"' + b'x' * 10_000_000 + b'"}')
        document = self.assertProblem(answer, 413, 'body_too_large')
        self.assertEqual('6291456 bytes', document['limit'])

    def test_an_empty_body_is_an_empty_object(self):
        self.assertEqual({}, self.post(self.path, '').json['result'])
        self.assertEqual({}, self.post(self.path).json['result'])
        self.assertEqual({}, self.post(self.path, '{}').json['result'])

    def test_the_wrong_method(self):
        self.assertProblem(self.get(self.path), 405, 'method_not_allowed')


class BadFraming(SystemTest):
    """What is not HTTP gets a 400 and the connection is closed; what is merely unusual works."""

    def raw(self, data):
        import socket
        import urllib.parse
        parts = urllib.parse.urlsplit(self.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as s:
            s.sendall(data.replace(b'HOST', f'{parts.hostname}:{parts.port}'.encode()))
            answer = b''
            while True:
                try:
                    piece = s.recv(65536)
                except ConnectionResetError:
                    break
                if not piece:
                    break
                answer += piece
        return answer

    def test_bad_requests(self):
        for data in (b'GET / HTTP/1.1\r\n\r\n',
                     b'GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n',
                     b'GET / HTTP/1.1\r\nHost : HOST\r\n\r\n',
                     b'POST /api/v1/functions HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n'
                     b'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
                     b'POST /api/v1/functions HTTP/1.1\r\nHost: HOST\r\nContent-Length: +5\r\n\r\n12345',
                     b'POST /api/v1/functions HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456',
                     b'POST /api/v1/functions HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip\r\n\r\n',
                     b'NONSENSE\r\n\r\n', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n'):
            with self.subTest(data):
                answer = self.raw(data)
                self.assertTrue(answer.startswith(b'HTTP/1.1 400'), answer[:200])
                self.assertIn(b'onnection: close', answer)

    def test_chunked_bodies(self):
        name = self.function('python', CODE)
        answer = self.raw(f'POST {FUNCTIONS}/{name}/invoke HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n'
                          'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
                          '5\r\n{"eve\r\n6\r\nnt":7}\r\n0\r\n\r\n'.encode())
        self.assertTrue(answer.startswith(b'HTTP/1.1 200'), answer)
        self.assertIn(b'"result":7', answer)

    def test_too_large_a_head(self):
        answer = self.raw(b'GET / HTTP/1.1\r\nHost: HOST\r\nX-Big: ' + b'x' * 40000 + b'\r\n\r\n')
        self.assertTrue(answer.startswith(b'HTTP/1.1 431'), answer[:200])
        answer = self.raw(b'GET /' + b'x' * 10000 + b' HTTP/1.1\r\nHost: HOST\r\n\r\n')
        self.assertTrue(answer.startswith(b'HTTP/1.1 414'), answer[:200])

    def test_several_requests_on_one_connection_in_one_go(self):
        answer = self.raw(b'GET /api/health/ready HTTP/1.1\r\nHost: HOST\r\n\r\n' * 3 +
                          b'GET /api/health/ready HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n')
        self.assertEqual(4, answer.count(b'HTTP/1.1 200'), answer)
