"""Requests that two readers could understand differently: nothing hidden in one may ever run as another."""
import itertools
import json
import pathlib
import re
import threading

from raw_client import RawClient, memory_kb
from platform_fixture import SOURCE, SystemTest

CODE = 'def handler(event):\n    return event\n'
DATA = SOURCE / 'tests/corpora'
REFUSALS = (400, 413, 414, 417, 431, 501, 505)  # of what cannot be understood; the connection closes behind them

# Ways to write a transfer coding so that some readers see "chunked" and others do not.
CODINGS = [b'Transfer-Encoding: chunked', b'Transfer-Encoding: CHUNKED', b'transfer-encoding:chunked',
           b'Transfer-Encoding : chunked', b'Transfer-Encoding\t:chunked', b' Transfer-Encoding: chunked',
           b'X: y\r\n Transfer-Encoding: chunked', b'Transfer-Encoding:\r\n chunked', b'Transfer-Encoding: chunked\r\n ',
           b'Transfer-Encoding: xchunked', b'Transfer-Encoding: chunked, identity', b'Transfer-Encoding: identity, chunked',
           b'Transfer-Encoding: identity', b'Transfer-Encoding: "chunked"', b'Transfer-Encoding: chunked;q=1',
           b'Transfer-Encoding: chunked\r\nTransfer-Encoding: x', b'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
           b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', b'Transfer-Encoding:\x0bchunked',
           b'Transfer-Encoding: \x0cchunked', b'Transfer-Encoding: chunked\x00', b'Transfer-Encoding: chun\x00ked',
           b'Transfer-Encoding:\xa0chunked', b'Transfer-\x00Encoding: chunked', b'X: y\nTransfer-Encoding: chunked',
           b'X: y\rTransfer-Encoding: chunked', b'X: y\r\r\nTransfer-Encoding: chunked', b'Transfer-Encoding: chunked\r',
           b'Transfer-Encoding: chunked\nX: y', b'Transfer_Encoding: chunked', b'Transfer-Encoding', b'Transfer-Encoding:',
           b': chunked', b'Transfer-Encoding: gzip, chunked', b'Transfer-Encoding: chunked chunked', b'TE: chunked']
# The same for lengths. %d is the length with the hidden request, 5 the one without.
LENGTHS = [b'', b'Content-Length: %d', b'Content-Length: 5\r\nContent-Length: %d', b'Content-Length: %d\r\nContent-Length: 5',
           b'Content-Length: %d\r\nContent-Length: %d', b'Content-Length: 5, %d', b'Content-Length: %d, %d',
           b'Content-Length: +%d', b'Content-Length: -%d', b'Content-Length: 0x%d', b'Content-Length: %d.0', b'Content-Length: %d;',
           b'Content-Length: "%d"', b'Content-Length: 0 %d', b'Content-Length:\x0b%d', b'Content-Length : %d',
           b'Content-Length: 1e1', b'Content-Length:', b'Content-Length: %d\r\n 5', b'Content-Length: 18446744073709551616',
           b'Content-Length: 18446744073709551621', b'Content-Length: 4294967301', b'Content-Length\r\n: %d',
           b'Content-Length: \xd9\xa5', b'Content-Length: %d\nX: y', b'Content-Length: %d\rX: y']


class Framing(SystemTest):
    def setUp(self):
        self.hidden = self.function('python', CODE, max_workers=2, http={'enabled': True})

    def calls_of_hidden(self):
        return self.get(f'/api/v1/functions/{self.hidden}/invocations').json['invocations']

    def attack(self, lines, body):
        """A request of `lines` and `body` with a hidden one in it, then an honest one on the same connection."""
        hidden = b'GET /function/%b HTTP/1.1\r\nHost: HOST\r\n\r\n' % self.hidden.encode()
        with RawClient(self.url) as client:
            hidden = hidden.replace(b'HOST', client.host)
            body = body.replace(b'HIDDEN', hidden)
            if b'%d' in lines:
                lines = lines.replace(b'%d', b'%d' % len(body))
            client.send(b'POST /api/v1/functions/first/invoke HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n'
                        + lines + b'\r\n\r\n' + body
                        + b'GET /api/v1/functions/honest HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n')
            return client.answers()

    def test_refusals_say_which_request_they_are_of(self):
        mine, other = b'X-Request-Id: mine\r\n', b'Host: HOST\r\n'
        for status, request, known in (
                (400, b'GET /a?b HTTP/1.1\r\n' + mine + b'\r\n', True),
                (400, b'GET /a HTTP/1.1\r\n' + mine + b'no field\r\n\r\n', True),
                (400, b'GET /a\r\n', False),
                (413, b'POST /a HTTP/1.1\r\nContent-Length: 99999999999\r\n' + mine + other + b'\r\n', True),
                (414, b'GET /' + b'x' * 9000 + b' HTTP/1.1\r\n' + mine + other + b'\r\n', False),
                (417, b'POST /a HTTP/1.1\r\n' + mine + other + b'Expect: x\r\nContent-Length: 1\r\n\r\n', True),
                (431, b'GET /a HTTP/1.1\r\n' + mine + other + b'X: ' + b'x' * 40_000 + b'\r\n\r\n', True),
                (501, b'BREW /a HTTP/1.1\r\n' + mine + other + b'\r\n', False),
                (505, b'GET /a HTTP/2.0\r\n' + mine + other + b'\r\n', False)):
            with self.subTest(request[:60]), RawClient(self.url) as client:
                client.send(request.replace(b'HOST', client.host))
                answer = client.answer()
                document = json.loads(answer.body)
                self.assertEqual((status, '/a' if known else None), (answer.status, document.get('instance')), answer)
                self.assertEqual(1, answer.head.lower().count(b'\r\nx-request-id: '), answer)
                self.assertRegex(answer.header('X-Request-Id'), '^mine$' if known else '^[0-9a-z]{26}$')

    def check(self, answers, what):
        """Refused and closed, or understood as one request whose successor is the honest one."""
        self.assertTrue(answers, what)
        if answers[0].status in REFUSALS and answers[0].closes:
            self.assertEqual(1, len(answers), what)
            return 'refused'
        self.assertIn(b'first', answers[0].body, what)
        if len(answers) == 2 and answers[1].status in REFUSALS and answers[1].closes:
            return 'refused'
        self.assertEqual(2, len(answers), what)
        self.assertIn(b'honest', answers[1].body, what)
        return 'understood'

    def test_lengths_and_codings_in_every_combination(self):
        """CL.TE, TE.CL and TE.TE: each length with each coding, in both orders."""
        understood = []
        one_chunk = b'%x\r\nHIDDEN\r\n0\r\n\r\n' % len(self.hidden_request())
        for length, coding, order in itertools.product(LENGTHS, [b'', *CODINGS], (1, -1)):
            lines = b'\r\n'.join([part for part in (length, coding)[::order] if part])
            if lines:
                body = b'0\r\n\r\nHIDDEN' if length else one_chunk
                if self.check(self.attack(lines, body), lines) == 'understood':
                    understood.append(lines)
        # Alone, and beside what is merely another header.
        plain = {*CODINGS[:3], b'Content-Length: %d',
                 b'Content-Length: %d\r\nTransfer_Encoding: chunked', b'Content-Length: %d\r\nTE: chunked',
                 b'Transfer_Encoding: chunked\r\nContent-Length: %d', b'TE: chunked\r\nContent-Length: %d'}
        self.assertEqual(plain, set(understood))
        self.assertEqual([], self.calls_of_hidden())

    def test_chunks(self):
        """Sizes, extensions, ends and trailers that readers disagree about."""
        size = b'%x' % len(self.hidden_request())
        understood = []
        for body in (size + b'\r\nHIDDEN\r\n0\r\n\r\n', size + b';a=b;c="d"\r\nHIDDEN\r\n0\r\n\r\n',
                     b'0' * 8 + size + b'\r\nHIDDEN\r\n0\r\n\r\n', size + b'\r\nHIDDEN\r\n0\r\nX: y\r\n\r\n',
                     size.upper() + b'\r\nHIDDEN\r\n000\r\n\r\n', size + b'\r\nHIDDEN\r\n0\r\nContent-Length: 5\r\n\r\n',
                     size + b';a="\\""\r\nHIDDEN\r\n0\r\n\r\n'):
            if self.check(self.attack(b'Transfer-Encoding: chunked', body), body) == 'understood':
                understood.append(body)
        self.assertEqual(7, len(understood), understood)
        for body in (b'0\n\nHIDDEN', b'0\r\n\nHIDDEN', b'0\n\r\nHIDDEN', b'0\r\rHIDDEN', b'0x0\r\n\r\nHIDDEN', b'-0\r\n\r\nHIDDEN',
                     b' 0\r\n\r\nHIDDEN', b'0 \r\n\r\nHIDDEN', b'0\t;a\r\n\r\nHIDDEN', b'0;\r\n\r\nHIDDEN', b'0; a\r\n\r\nHIDDEN',
                     b'0;a =b\r\n\r\nHIDDEN', b'0;a="\n"\r\n\r\nHIDDEN', b'0;a\nb\r\n\r\nHIDDEN', b'0;a="\r\n\r\nHIDDEN',
                     b'0;\x00\r\n\r\nHIDDEN', b'\r\n0\r\n\r\nHIDDEN', b'1\r\nxx\r\n0\r\n\r\nHIDDEN', b'1\r\nx0\r\n\r\nHIDDEN',
                     b'1\r\nx\n0\r\n\r\nHIDDEN', b'1\r\nx\r0\r\n\r\nHIDDEN', b'10000000000000000\r\nHIDDEN',
                     b'ffffffffffffffff\r\nHIDDEN', b'00000000000000000\r\n\r\nHIDDEN', b'0\r\nX : y\r\n\r\nHIDDEN',
                     b'0\r\n X: y\r\n\r\nHIDDEN', b'0\r\nX\r\n\r\nHIDDEN', b'0\r\nX: y\n\r\nHIDDEN', b'0\r\n: y\r\n\r\nHIDDEN',
                     b'0\r\nX: \x00\r\n\r\nHIDDEN', b'g\r\nHIDDEN', b';a\r\nHIDDEN', b'0_0\r\n\r\nHIDDEN', b'1.0\r\nx\r\n0\r\n\r\nHIDDEN'):
            answers = self.attack(b'Transfer-Encoding: chunked', body)
            self.assertEqual('refused', self.check(answers, body), body)
        self.assertEqual([], self.calls_of_hidden())

    def hidden_request(self):
        with RawClient(self.url) as client:
            return b'GET /function/%b HTTP/1.1\r\nHost: %b\r\n\r\n' % (self.hidden.encode(), client.host)

    def test_heads(self):
        """Request lines and fields that hide a second head."""
        target = b'/function/' + self.hidden.encode()
        for head in (b'GET / HTTP/1.1\nHost: HOST\n\n', b'GET / HTTP/1.1\r\nHost: HOST\n\r\n', b'GET / HTTP/1.1\r\nHost: HOST\r\n\n',
                     b'GET / HTTP/1.1\r\nHost: HOST\r\nX: a\rGET HIDE HTTP/1.1\r\n\r\n', b'GET /\tHTTP/1.1\r\nHost: HOST\r\n\r\n',
                     b'GET  / HTTP/1.1\r\nHost: HOST\r\n\r\n', b'GET / HTTP/1.1 \r\nHost: HOST\r\n\r\n', b'GET / HTTP/1.1\r\n\r\n',
                     b'GET / \r\nHost: HOST\r\n\r\n', b'GET /\r\n\r\n', b'GET /\x00 HTTP/1.1\r\nHost: HOST\r\n\r\n',
                     b'GET / http/1.1\r\nHost: HOST\r\n\r\n', b'GET / HTTP/1.10\r\nHost: HOST\r\n\r\n', b'GET / HTTP/01.1\r\nHost: HOST\r\n\r\n',
                     b'GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n', b'GET / HTTP/1.1\r\nHost: HOST\r\n Host: HOST\r\n\r\n',
                     b'GET / HTTP/1.1\r\n Host: HOST\r\n\r\n', b'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', b'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n',
                     b'GET / HTTP/1.1\r\nHost:\r\n\r\n', b'GET / HTTP/1.1\r\nHost: HOST\r\nX\r\n\r\n', b'GET / HTTP/1.1\r\nHost: HOST\r\n: x\r\n\r\n',
                     b'GET / HTTP/1.1\r\nHost: HOST\r\nX\x00: x\r\n\r\n', b'GET / HTTP/1.1\r\nHost: HOST\r\nX: \x01\r\n\r\n',
                     b'GET / HTTP/1.1\r\nHost: HOST\r\nX: \x7f\r\n\r\n', b'GET http://a@HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n',
                     b'GET http:/x HTTP/1.1\r\nHost: HOST\r\n\r\n', b'GET x HTTP/1.1\r\nHost: HOST\r\n\r\n', b'GET /#x HTTP/1.1\r\nHost: HOST\r\n\r\n',
                     b'GET \xc3\xa9 HTTP/1.1\r\nHost: HOST\r\n\r\n', b'\r\n\r\nGET / HTTP/1.1\r\nHost: HOST\r\n\r\n', b'\nGET / HTTP/1.1\r\nHost: HOST\r\n\r\n',
                     b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', b'GET / HTTP/2\r\nHost: HOST\r\n\r\n', b'CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n',
                     b'TRACE / HTTP/1.1\r\nHost: HOST\r\n\r\n', b'get / HTTP/1.1\r\nHost: HOST\r\n\r\n', b'GET,POST / HTTP/1.1\r\nHost: HOST\r\n\r\n',
                     b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'\x00' * 200):
            with RawClient(self.url) as client:
                client.send(head.replace(b'HIDE', target) + b'GET ' + target + b' HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n')
                answers = client.answers()
            self.assertEqual(1, len(answers), head)
            self.assertIn(answers[0].status, REFUSALS, head)
            self.assertTrue(answers[0].closes, head)
        self.assertEqual([], self.calls_of_hidden())

    def test_a_body_that_nobody_reads_is_not_the_next_request(self):
        """Refused before their bodies were looked at: by method, path, host, origin, type."""
        for first in (b'POST /nothing HTTP/1.1\r\nHost: HOST\r\n', b'DELETE /api/v1/functions HTTP/1.1\r\nHost: HOST\r\n',
                      b'POST /api/v1/functions HTTP/1.1\r\nHost: evil.example\r\n',
                      b'POST /api/v1/functions HTTP/1.1\r\nHost: HOST\r\nOrigin: http://evil.example\r\n',
                      b'GET /api/health HTTP/1.1\r\nHost: HOST\r\n', b'HEAD /api/health HTTP/1.1\r\nHost: HOST\r\n'):
            body = self.hidden_request()
            with RawClient(self.url) as client:
                client.send(first + b'Content-Length: %d\r\n\r\n' % len(body) + body
                            + b'GET /api/v1/functions/honest HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n')
                text = b''
                while client.fill():
                    text = client.buffer
            self.assertEqual(2, text.count(b'HTTP/1.1 '), first)
            self.assertIn(b'honest', text.rpartition(b'HTTP/1.1 ')[2], first)
        self.assertEqual([], self.calls_of_hidden())

    def test_the_corpus_of_llhttp(self):
        cases = [case for file in sorted((DATA / 'llhttp').glob('*.md')) for case in corpus(file)]
        self.assertGreater(len(cases), 100)
        for title, data, refused in cases:
            with self.subTest(title):
                seen = self.outcome(data)
                if refused and not seen:
                    seen = self.outcome(data + b'\r\n\r\n')  # some end before the line that is wrong does
                if refused:
                    self.assertTrue(seen, data)
        self.assertEqual([], self.calls_of_hidden())
        self.assertEqual(200, self.get('/api/health').status)

    def outcome(self, data):
        """True when the connection was closed by the platform's own will: refused, or nothing behind was looked at."""
        with RawClient(self.url) as client:
            client.send(data)
            client.end_input()
            text = b''
            while client.fill():
                text = client.buffer
        statuses = [int(s) for s in re.findall(rb'HTTP/1\.1 (\d\d\d) ', text)]
        return bool(statuses) and (statuses[-1] in REFUSALS or b'connection: close' in text.lower())


def corpus(file):
    """(title, input, whether llhttp refuses it) of each block of one file."""
    found, title, kind = [], '', ''
    lines = iter(file.read_text().split('\n'))

    def block():
        return '\n'.join(iter(lambda: next(lines), '```'))
    for line in lines:
        if line.startswith('#'):
            title = f'{file.stem}: {line.lstrip("# ")}'
        elif '"type"' in line:
            kind = re.search(r'"type": *"([^"]*)"', line).group(1)
        elif line == '```http':
            text = block().replace('\\\n', '').replace('\n', '\r\n')
            text = re.sub(r'\\(r|n|t|f|x[0-9a-fA-F]{2})', lambda m: {'r': '\r', 'n': '\n', 't': '\t', 'f': '\f'}.get(
                m.group(1)) or chr(int(m.group(1)[1:], 16)), text)
            if '\nhost:' not in text.lower():
                text = re.sub(r'( HTTP/1\.[01]\r\n)', r'\1Host: example\r\n', text)
            found.append([title, text.encode('latin-1', 'replace'), 'lenient' in kind])
        elif line == '```log' and found:
            code = re.search(r'error code=(\d+)', block())
            found[-1][2] |= code is not None and code.group(1) not in ('21', '22', '23')
    return found


class Floods(SystemTest):
    properties = {'server.max_body_bytes': 65536, 'function.max_code_bytes': 65536}

    def setUp(self):
        self.name = self.function('python', CODE, max_workers=2)
        self.path = f'/api/v1/functions/{self.name}/invoke'.encode()

    def flood(self, head, piece, at_most):
        """Sends `piece` again and again until the platform closes; the last answer, and how many bytes it took."""
        with RawClient(self.url) as client:
            client.send(head)
            sent = 0
            while sent < at_most and client.send(piece):
                sent += len(piece)
            answers = client.answers()
        return answers, sent

    def test_endless_things(self):
        post = b'POST ' + self.path + b' HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n'
        chunked = post + b'Transfer-Encoding: chunked\r\n\r\n'
        for what, head, piece, status in (
                ('chunks', chunked, b'400\r\n' + b' ' * 1024 + b'\r\n', 413),
                ('chunks of a byte', chunked, b'1\r\n \r\n' * 1000, 413),
                ('a chunk without an end', chunked + b'fffffffff\r\n', b' ' * 8192, 413),
                ('digits of a chunk', chunked, b'0' * 1000, 400),
                ('an extension', chunked + b'1;a=', b'b' * 1000, 400),
                ('extensions', chunked, b'1;' + b'a' * 1000 + b'\r\n \r\n', 400),
                ('trailers', chunked + b'0\r\n', b'X: ' + b'y' * 1000 + b'\r\n', 400),
                ('a trailer', chunked + b'0\r\nX: ', b'y' * 1000, 400),
                ('a body', post + b'Content-Length: 100000000000\r\n\r\n', b' ' * 8192, 413),
                ('a target', b'GET /', b'x' * 1000, 414),
                ('a method', b'', b'X' * 1000, 414),
                ('a header', post + b'X: ', b'y' * 1000, 431),
                ('headers', post, b'X: y\r\n' * 100, 431),
                ('empty lines', b'', b'\r\n' * 100, 400)):
            with self.subTest(what):
                answers, sent = self.flood(head, piece, 100_000_000)
                self.assertLess(sent, 100_000_000, 'it has an end')
                # The answer may be lost to the reset that follows when the client goes on sending.
                if answers:
                    self.assertEqual(status, answers[-1].status, answers)
                    self.assertTrue(answers[-1].closes)
        self.assertEqual({'a': 1}, self.result(self.name, {'a': 1}))

    def test_a_thousand_pipelined_requests_are_answered_in_order(self):
        requests = []
        for number in range(1000):
            if number % 10 == 0:
                body = b'{"event":"call-%d"}' % number
                requests.append(b'POST ' + self.path + b' HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n'
                                b'Content-Length: %d\r\n\r\n' % len(body) + body)
            else:
                requests.append(b'GET /api/v1/functions/call-%d HTTP/1.1\r\nHost: HOST\r\n\r\n' % number)
        with RawClient(self.url) as client:
            sender = threading.Thread(target=client.send, args=(b''.join(requests).replace(b'HOST', client.host),))
            sender.start()
            for number in range(1000):
                answer = client.answer()
                self.assertIsNotNone(answer, number)
                self.assertEqual(200 if number % 10 == 0 else 404, answer.status, answer)
                self.assertIn(b'"call-%d"' % number, answer.body.replace(b'\\"', b'"'), number)
            sender.join()

    def test_pipelining_without_reading_is_bounded(self):
        if self.platform is None:
            self.skipTest('needs a platform of its own')
        pid = self.platform.process.pid
        before = memory_kb(pid)
        clients = [RawClient(self.url, receive_buffer=4096, timeout=0.2) for _ in range(20)]
        try:
            for client in clients:
                try:
                    while client.send(b'GET /api/v1/functions HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n' * 1000):
                        pass
                except TimeoutError:
                    pass  # the platform reads no further while its answers are not read
            self.assertLess(memory_kb(pid) - before, 100 * 1024)
            self.assertEqual(200, self.get('/api/health').status)
        finally:
            for client in clients:
                client.reset()
