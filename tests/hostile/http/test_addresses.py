"""Clients from several addresses, in a network of the test's own: one that takes all it can get leaves room for others."""
import ctypes
import os
import shutil
import subprocess
import unittest

from raw_client import RawClient
from platform_fixture import OwnPlatformTest, wait_until

CLONE_NEWNET = 0x40000000
READY = b'GET /api/health/ready HTTP/1.1\r\nHost: HOST\r\n\r\n'
SERVER, GREEDY, OTHERS = '198.51.100.1', '198.51.100.2', ['198.51.100.3', '198.51.100.4', '198.51.100.5']
# Of IPv6 a client has all addresses of a network.
SERVER6, GREEDY6, OTHER6 = '2001:db8::1', ['2001:db8:1::2', '2001:db8:1:0:ffff::3', '2001:db8:1::4'], '2001:db8:1:1::2'
MOST = 8


def enter(namespace=None):
    """A new network namespace, or the one behind the descriptor, for this thread and what it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.unshare(CLONE_NEWNET) if namespace is None else libc.setns(namespace, CLONE_NEWNET)) != 0:
        raise OSError(ctypes.get_errno(), 'no network namespace')


class OfAddresses(OwnPlatformTest):
    more = {}

    def setUp(self):
        if os.geteuid() != 0 or shutil.which('ip') is None:
            self.skipTest('only root can make a network, with ip')
        before = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        self.addCleanup(os.close, before)
        try:
            enter()
        except OSError as problem:
            self.skipTest(str(problem))
        self.addCleanup(enter, before)
        for address in (SERVER, GREEDY, *OTHERS):
            subprocess.run(['ip', 'address', 'add', f'{address}/24', 'dev', 'lo'], check=True)
        for address in (SERVER6, *GREEDY6, OTHER6):
            subprocess.run(['ip', 'address', 'add', f'{address}/128', 'dev', 'lo', 'nodad'], check=True)
        subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
        self.clients = []
        self.addCleanup(lambda: [client.close() for client in self.clients])
        platform = self.start({'server.address': f'127.0.0.1, {SERVER}, {SERVER6}', 'auth.mode': 'none', 'workers.prewarmed': 0,
                               'server.max_connections': 64, 'server.max_connections_per_address': MOST, **self.more})
        self.served = f'http://{SERVER}:{platform.port}'
        self.served6 = f'http://[{SERVER6}]:{platform.port}'

    def connect(self, source, url=None):
        client = RawClient(url or self.served, source=source)
        self.clients.append(client)
        return client


class Addresses(OfAddresses):
    def status(self, source, url=None):
        """Of an answer on one more connection, which stays."""
        client = self.connect(source, url)
        client.send(READY)
        answer = client.answer()
        if answer.status == 503:
            self.assertIn(b'too many connections come from this address', answer.body)
            self.assertIn(f'{MOST} connections'.encode(), answer.body)
            self.assertGreater(int(answer.header('Retry-After')), 0)
        return answer.status

    def test_each_has_its_own_limit(self):
        self.assertEqual([200] * MOST + [503] * 4, [self.status(GREEDY) for _ in range(MOST + 4)])
        for address in OTHERS:
            self.assertEqual([200] * MOST + [503], [self.status(address) for _ in range(MOST + 1)])
        for client in self.clients[:MOST]:
            client.send(READY)
            self.assertEqual(200, client.answer().status, 'those that are in stay in')
        for client in self.clients[:MOST + 4]:
            client.close()
        wait_until(lambda: self.status(GREEDY) == 200, 'the address to be let in again')

    def test_a_network_of_ipv6_is_one_client(self):
        self.assertEqual([200] * MOST + [503] * 4,
                         [self.status(GREEDY6[number % len(GREEDY6)], self.served6) for number in range(MOST + 4)])
        self.assertEqual([200] * MOST + [503], [self.status(OTHER6, self.served6) for _ in range(MOST + 1)])
        self.assertEqual(200, self.status(GREEDY))

    def test_the_machine_itself_has_none(self):
        local = self.served.replace(SERVER, '127.0.0.1')
        self.assertEqual([200] * (2 * MOST), [self.status('127.0.0.1', local) for _ in range(2 * MOST)])

    def test_all_together_have_theirs(self):
        statuses = []
        for number in range(66):
            with self.subTest(number):
                client = RawClient(self.served.replace(SERVER, '127.0.0.1'))
                self.clients.append(client)
                client.send(READY)
                statuses.append(client.answer().status)
        self.assertEqual([200] * 64 + [503] * 2, statuses)
        late = RawClient(self.served, source=OTHERS[0])
        self.clients.append(late)
        late.send(READY)
        answer = late.answer()
        self.assertEqual(503, answer.status)
        self.assertIn(b'the platform holds as many connections as it may', answer.body)


class Memory(OfAddresses):
    """Of the 256 MB of all requests one address has half."""
    more = {'server.max_body_bytes': 16 << 20, 'server.max_connections_per_address': 12, 'invoke.on_disconnect': 'cancel'}
    LARGE = 15_000_000

    def ask(self, client, name, size):
        body = b'{"event": "' + b'x' * size + b'"}'
        client.send(f'POST /api/v1/functions/{name}/invoke HTTP/1.1\r\nHost: {client.host.decode()}\r\nContent-Type: application/json\r\n'
                    f'Content-Length: {len(body)}\r\n\r\n'.encode() + body)

    def test_one_that_holds_much_leaves_memory_to_others(self):
        slow = self.function('python', 'import time\ndef handler(event):\n    time.sleep(600)\n', timeout=600, max_workers=1, memory=512)
        quick = self.function('python', 'def handler(event):\n    return len(event)\n')
        for number in range(10):
            self.ask(self.connect(GREEDY), slow, self.LARGE)
        greedy, other = self.connect(GREEDY), self.connect(OTHERS[0])

        def is_refused():
            self.ask(greedy, quick, 20_000)
            answer = greedy.answer()
            if answer.status == 200:
                return False
            self.assertEqual(503, answer.status)
            self.assertIn(b'of this address', answer.body)
            return True
        wait_until(is_refused, 'the address to have its share')
        self.ask(other, quick, 20_000)
        self.assertEqual(200, other.answer().status)
        self.ask(self.connect('127.0.0.1', self.served.replace(SERVER, '127.0.0.1')), quick, 20_000)
        self.assertEqual(200, self.clients[-1].answer().status)
        for client in self.clients:
            client.close()


if __name__ == '__main__':
    unittest.main()
