"""Whom functions reach: the internet, not the machine, not its neighbours, not each other. Everything happens in network
namespaces of the test's own (internet.py)."""
import ctypes
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

import internet
from platform_fixture import (BINARY, OwnPlatformTest, Platform, SystemTest, descendants, preload, request,
                              wait_until)

# Tries to connect; what happened and after how many milliseconds.
PROBE = '''\
import socket, time, errno
def handler(targets):
    results = []
    for host, port in targets:
        began = time.monotonic()
        try:
            with socket.create_connection((host, port), 5) as s:
                got = s.recv(1000).decode().rpartition("\\n")[2]
        except OSError as error:
            # A name server that says nothing is EAI_AGAIN, after seconds; one that says no is EAI_NONAME.
            unknown = isinstance(error, socket.gaierror) and error.errno in (socket.EAI_NONAME, socket.EAI_NODATA)
            got = "unknown" if unknown else errno.errorcode.get(error.errno, type(error).__name__)
        results.append([got, (time.monotonic() - began) * 1000])
    return results
'''
REFUSAL_MS = 100  # what waits for a packet that never comes takes a second at least
REFUSAL_TRIES = 6  # the quickest counts: others work on this machine, too

world = None


def nft(commands):
    """Changes the rules of the machine, with the library that the platform does it with."""
    library = ctypes.CDLL('libnftables.so.1')
    library.nft_ctx_new.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.nft_ctx_new(0))
    try:
        if library.nft_run_cmd_from_buffer(context, commands.encode()) != 0:
            raise OSError('nftables refused: ' + commands)
    finally:
        library.nft_ctx_free(context)


def in_network(file, make):
    """What `make` gives in the network that the file stands for; a socket stays in the one that it was made in."""
    made = []

    def enter():
        try:
            with open(file) as network:
                if ctypes.CDLL(None).setns(network.fileno(), internet.CLONE_NEWNET) == 0:
                    made.append(make())
        except OSError:
            pass
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if not made:
        raise OSError(f'not possible in {file}')
    return made[0]


def routers_network(launcher):
    """The file of the router's network; no process is in it."""
    for fd in os.listdir(f'/proc/{launcher}/fd'):
        file = f'/proc/{launcher}/fd/{fd}'
        try:
            if os.readlink(file).startswith('net:') and 'uplink' in dict(in_network(file, socket.if_nameindex)).values():
                return file
        except OSError:
            pass  # closed meanwhile
    raise AssertionError('no router')


def known_flows(address, file):
    """How many connections from this address are in the table of a network."""
    with in_network(file, lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)) as netlink:  # NETLINK_NETFILTER
        # IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP
        netlink.send(struct.pack('=IHHIIBBH', 20, 0x0101, 0x0301, 0, 0, socket.AF_INET, 0, 0))
        found = 0
        while True:
            messages = netlink.recv(65536)
            found += messages.count(struct.pack('=HH', 8, 1) + socket.inet_aton(address))  # CTA_IP_V4_SRC
            while messages:
                size, kind = struct.unpack('=IH', messages[:6])
                if kind in (2, 3):  # NLMSG_ERROR, NLMSG_DONE
                    return found
                messages = messages[size + 3 & ~3:]


def setUpModule():
    global world
    why = internet.why_not()
    if os.environ.get('CLOUDFUNCTION_AGAINST'):
        why = 'needs a platform in a network of its own'
    if why:
        raise unittest.SkipTest(why)
    world = internet.enter()


def tearDownModule():
    if world:
        world.kill()
        world.wait()


class NetworkTest(SystemTest):
    def setUp(self):
        super().setUp()
        layers = {layer['name']: layer for layer in self.get('/api/health').json['sandbox']['layers']}
        if not layers['outbound_network']['active']:
            self.skipTest(layers['outbound_network']['detail'])

    def tries(self, name, *targets):
        return self.result(name, [list(target) for target in targets])

    def needs_the_packet_log(self):
        detail = next(layer['detail'] for layer in self.get('/api/health').json['sandbox']['layers']
                      if layer['name'] == 'outbound_network')
        if 'nfnetlink_log' in detail:
            self.skipTest(detail)

    def logs(self, invocation):
        def found():
            answer = self.get(f'/api/v1/invocations/{invocation}')
            return answer.json if answer.status == 200 else None
        return str(wait_until(found, 'the record')['logs'])

    def assertRefused(self, name, *targets):
        slow = targets
        for _ in range(REFUSAL_TRIES):
            results = list(zip(slow, self.tries(name, *slow)))
            for target, (got, _) in results:
                with self.subTest(target=target):
                    self.assertIn(got, ('ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'gaierror', 'unknown', 'EACCES'))
            slow = [target for target, (_, ms) in results if ms >= REFUSAL_MS]
            if not slow:
                return
        self.fail(f'not at once: {slow}')


class Outbound(NetworkTest):
    def test_reaches_the_internet_by_name_and_address(self):
        name = self.function('python', PROBE)
        for got, _ in self.tries(name, ('api.example', 80), (internet.API, 443)):
            self.assertEqual(f'{internet.API} saw {internet.MACHINE}', got)

    def test_long_answers_come_over_tcp(self):
        name = self.function('python', 'import socket\ndef handler(event):\n'
                                       '    return len(socket.gethostbyname_ex("big.example")[2])\n')
        self.assertEqual(100, self.result(name, None))

    def test_unknown_names_are_told_at_once(self):
        name = self.function('python', PROBE)
        self.assertRefused(name, ('nowhere.example', 80))
        self.assertEqual('unknown', self.tries(name, ('nowhere.example', 80))[0][0])

    def test_refuses_everything_else_at_once(self):
        listener = socket.create_server(('0.0.0.0', 0), backlog=8)
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        name = self.function('python', PROBE)
        health = self.get('/api/health').json
        detail = next(layer['detail'] for layer in health['sandbox']['layers'] if layer['name'] == 'outbound_network')
        base = detail.split(' at ')[1].split('/')[0].rsplit('.', 1)[0]
        platform = int(self.url.rsplit(':', 1)[1])
        self.assertRefused(
            name, ('127.0.0.1', platform), ('127.0.0.1', port), ('0.0.0.0', port),
            (internet.MACHINE, port), (internet.MACHINE_PRIVATE, port), (f'{base}.1', port), (f'{base}.2', port),
            (f'{base}.2', 80), (f'{base}.9', 80), (f'{base}.200', 80),
            (internet.METADATA, 80), (internet.PRIVATE, 80), ('private.example', 80), ('metadata.example', 80),
            ('10.99.1.1', 80), ('172.16.0.1', 80), ('192.168.1.1', 80), ('100.64.0.1', 80), ('224.0.0.1', 80),
            ('168.63.129.16', 80), ('::1', platform), ('fd00:ec2::254', 80), ('2001:db8::1', 80),
            (f'::ffff:{internet.MACHINE}', port), ('::ffff:127.0.0.1', platform), (f'::ffff:{internet.PRIVATE}', 80))

    def test_list_narrows(self):
        name = self.function('python', PROBE, network={'mode': 'outbound',
                                                       'allow': ['api.example:80', '198.51.100.8/32:443']})
        results = self.tries(name, ('api.example', 80), (internet.OTHER, 443), ('api.example', 80))
        self.assertEqual([f'{a} saw {internet.MACHINE}' for a in (internet.API, internet.OTHER, internet.API)],
                         [got for got, _ in results])
        self.assertRefused(name, ('api.example', 443), ('other.example', 80), (internet.OTHER, 80),
                           ('192.0.2.1', 80), ('nowhere.example', 80))

    def test_list_does_not_open_what_the_platform_refuses(self):
        name = self.function('python', PROBE, network={'allow': ['private.example', '10.20.0.0/24', internet.MACHINE]})
        self.assertRefused(name, ('private.example', 80), (internet.PRIVATE, 80), (internet.MACHINE, 80))

    def test_no_network(self):
        name = self.function('python', PROBE, network={'mode': 'none'})
        self.assertRefused(name, (internet.API, 80), ('api.example', 80), (internet.MACHINE, 80))

    def test_functions_without_limits_stay_so_beside_limited_ones(self):
        limited = self.function('python', PROBE, network={'allow': ['other.example']})
        free = self.function('python', PROBE)
        for _ in range(3):
            self.assertRefused(limited, (internet.API, 80))
            self.assertEqual(f'{internet.API} saw {internet.MACHINE}', self.tries(free, ('api.example', 80))[0][0])


class OtherLanguages(NetworkTest):
    def check(self, name):
        results = self.result(name, ['http://api.example/', f'http://{internet.MACHINE}:1/', f'http://{internet.METADATA}/'])
        self.assertEqual(f'{internet.API} saw {internet.MACHINE}', results[0])
        self.assertEqual(['refused', 'refused'], results[1:])

    def test_node(self):
        self.needs('node')
        self.check(self.function('node', '''\
const http = require("http");
const fetch = url => new Promise(done => {
    http.get(url, {timeout: 5000}, answer => {
        let text = "";
        answer.on("data", part => text += part).on("end", () => done(text));
    }).on("error", error => done(error.code === "ECONNREFUSED" ? "refused" : String(error.code)));
});
exports.handler = async urls => [await fetch(urls[0]), await fetch(urls[1]), await fetch(urls[2])];
'''))

    def test_go(self):
        self.needs('go')
        self.check(self.function('go', '''\
package main

import (
    "errors"
    "io"
    "net/http"
    "syscall"
)

func Handler(urls []string) ([]string, error) {
    var results []string
    for _, url := range urls {
        answer, err := http.Get(url)
        if errors.Is(err, syscall.ECONNREFUSED) {
            results = append(results, "refused")
            continue
        }
        if err != nil {
            return nil, err
        }
        body, _ := io.ReadAll(answer.Body)
        answer.Body.Close()
        results = append(results, string(body))
    }
    return results, nil
}
''', handler='Handler'))


class Operator(NetworkTest):
    properties = {'sandbox.network.range': '10.77.0.0/20',
                  'sandbox.network.allow': 'private.example:80, 10.20.0.1:443, 203.0.113.10:4711, 203.0.113.10:4713',
                  'sandbox.network.deny': '198.51.100.8, api.example:443'}

    def test_opens_and_closes(self):
        listener = socket.create_server((internet.MACHINE, 4711))
        self.addCleanup(listener.close)

        def greet():
            try:
                while True:
                    connection = listener.accept()[0]
                    connection.sendall(b'machine')
                    connection.close()
            except OSError:
                pass
        threading.Thread(target=greet, daemon=True).start()
        name = self.function('python', PROBE)
        opened = self.tries(name, ('private.example', 80), (internet.PRIVATE, 443), (internet.MACHINE, 4711),
                            ('api.example', 80))
        self.assertEqual([f'{internet.PRIVATE} saw {internet.MACHINE_PRIVATE}'] * 2
                         + ['machine', f'{internet.API} saw {internet.MACHINE}'], [got for got, _ in opened])
        self.assertRefused(name, (internet.OTHER, 80), ('other.example', 443), ('api.example', 443),
                           (internet.MACHINE, 4712))

    def test_what_the_machine_publishes_for_others_is_its_own(self):
        """As container engines do it: a port of the machine's address leads to somebody behind it."""
        published = ''.join(f'ip daddr {internet.MACHINE} {kind} dport {port} dnat to {internet.API}:80\n'
                            for port in (4713, 4714) for kind in ('tcp', 'udp'))
        nft('table ip published {\nchain arriving {\ntype nat hook prerouting priority -100; policy accept;\n'
            + published + '}\n}\n')
        self.addCleanup(nft, 'delete table ip published')
        name = self.function('python', PROBE)
        (got, _), = self.tries(name, (internet.MACHINE, 4713))
        self.assertEqual(f'{internet.API} saw {internet.MACHINE}', got)
        self.assertRefused(name, (internet.MACHINE, 4714))
        # The same machine is reached where it really is.
        (got, _), = self.tries(name, (internet.API, 80))
        self.assertEqual(f'{internet.API} saw {internet.MACHINE}', got)


class PublicNeighbours(NetworkTest):
    def test_they_are_part_of_the_internet(self):
        (got, _), = self.tries(self.function('python', PROBE), (internet.NEIGHBOUR, 80))
        self.assertEqual(f'{internet.NEIGHBOUR} saw {internet.MACHINE}', got)


class ClosedSubnet(NetworkTest):
    properties = {'sandbox.network.deny': '203.0.113.0/24'}

    def test_public_neighbours_are_closed_by_a_line(self):
        """And what they pass on is not."""
        name = self.function('python', PROBE)
        self.assertRefused(name, (internet.NEIGHBOUR, 80))
        (got, _), = self.tries(name, ('api.example', 80))
        self.assertEqual(f'{internet.API} saw {internet.MACHINE}', got)


# As PROBE, and tells how often this worker has been called; stays a moment for what is told of it.
STAYING_PROBE = PROBE.replace('def handler', 'def probe') + '''\
calls = 0
def handler(targets):
    global calls
    calls += 1
    results = probe(targets)
    time.sleep(0.3)
    return [calls, [got for got, _ in results]]
'''


class RefusedConnections(NetworkTest):
    properties = {'sandbox.network.deny': internet.OTHER}

    def setUp(self):
        super().setUp()
        self.needs_the_packet_log()

    def said(self, name, *targets):
        return self.logs(self.invoke(name, [list(target) for target in targets]).json['invocation_id'])

    def test_each_is_in_the_log_with_what_to_do(self):
        logs = self.said(self.function('python', STAYING_PROBE), (internet.METADATA, 80), (internet.PRIVATE, 443),
                         (internet.MACHINE, 4711), (internet.OTHER, 80), ('api.example', 80))
        for line in (f'[platform] connection to {internet.METADATA}:80 refused: metadata addresses are closed to functions; '
                     'sandbox.network.allow opens addresses',
                     f'[platform] connection to {internet.PRIVATE}:443 refused: private and special addresses are closed',
                     f'[platform] connection to {internet.MACHINE}:4711 refused: the machine that the platform runs on is closed',
                     f'[platform] connection to {internet.OTHER}:80 refused: sandbox.network.deny closes it'):
            self.assertIn(line, logs)
        self.assertNotIn(internet.API, logs)

    def test_lists_are_named(self):
        logs = self.said(self.function('python', STAYING_PROBE, network={'allow': ['api.example:80']}),
                         ('api.example', 80), (internet.API, 443))
        self.assertIn(f'connection to {internet.API}:443 refused: it is not in the function\'s network.allow', logs)
        self.assertNotIn(f'{internet.API}:80', logs)

    def test_names_outside_of_a_list_are_named(self):
        logs = self.said(self.function('python', STAYING_PROBE, network={'allow': ['api.example:80']}),
                         ('api.example', 80), ('other.example', 80))
        self.assertEqual(1, logs.count("[platform] name other.example refused: it is not in the function's network.allow"), logs)
        self.assertNotIn('name api.example', logs)

    def test_a_flood_is_told_in_a_few_lines(self):
        name = self.function('python', '''\
import socket, time
def handler(count):
    for i in range(count):
        try:
            socket.create_connection(("169.254.169.254", 1 + i), 1).close()
        except OSError:
            pass
        if i % 1000 == 0:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"x", ("10.9.9.9", 9))
    time.sleep(0.3)
''', timeout=60)
        logs = self.logs(self.invoke(name, 3000).json['invocation_id'])
        self.assertIn('more connections were refused', logs)
        self.assertIn('datagram to 10.9.9.9:9 refused', logs)
        self.assertGreaterEqual(logs.count('[platform]'), 10)
        self.assertLessEqual(logs.count('[platform]'), 101)

    def test_nobody_elses(self):
        loud, quiet = self.function('python', STAYING_PROBE), self.function('python', STAYING_PROBE)
        both = self.parallel(2, lambda index: self.said((loud, quiet)[index], *[(internet.METADATA, 80)] * (1 - index)))
        self.assertIn('[platform]', both[0])
        self.assertNotIn('[platform]', both[1])


class Flows(NetworkTest):
    """Each sandbox has its share of the connections that all of them may have."""
    share = 20
    properties = {'workers.max': 60, 'build.parallel': 4, 'sandbox.network.flows': 64 * share}

    def test_a_sandbox_has_its_share_and_no_more(self):
        code = '''\
import errno, socket, struct, time
held = []
def handler(event):
    closed, opened = event
    for s in held[:closed]:
        # With a reset the connection is over at once, on every side.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    del held[:closed]
    results = []
    for _ in range(opened):
        try:
            held.append(socket.create_connection(("%s", 80), 5))
            results.append("open")
        except OSError as error:
            results.append(errno.errorcode.get(error.errno, type(error).__name__))
    time.sleep(0.3)
    return results
''' % internet.API
        one, other = self.function('python', code), self.function('python', code)
        answer = self.invoke(one, [0, self.share + 1]).json
        self.assertEqual(['open'] * self.share + ['ECONNREFUSED'], answer['result'])
        self.assertEqual(['open'] * self.share, self.result(other, [0, self.share]), 'nobody else feels it')
        self.assertEqual(['ECONNREFUSED'], self.result(one, [0, 1]))
        self.assertEqual(['open', 'open', 'ECONNREFUSED'], self.result(one, [2, 3]))
        self.needs_the_packet_log()
        self.assertIn('too many connections are open at once (sandbox.network.flows)', self.logs(answer['invocation_id']))


class Remains(NetworkTest):
    """Nothing that Linux keeps of connections outlives the sandbox that opened them."""
    own_platform = True

    def silent_server(self):
        """Somebody on the internet who accepts connections and never reads. (socket, port)"""
        def make():
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            listener.bind((internet.API, 0))
            listener.listen(64)
            return listener
        listener = in_network(f'/proc/{world.pid}/ns/net', make)
        self.addCleanup(listener.close)
        return listener, listener.getsockname()[1]

    def stuck_connections(self):
        """A function whose worker has sent more than anybody takes, and the other ends."""
        listener, port = self.silent_server()
        name = self.function('python', '''\
import os, select, socket
held = []
def handler(event):
    if event == "end":
        os._exit(0)
    for _ in range(4):
        s = socket.create_connection(("%s", %d))
        s.setblocking(False)
        while select.select([], [s], [], 0.5)[1]:
            try:
                s.send(bytes(1 << 20))
            except BlockingIOError:
                pass
        held.append(s)
''' % (internet.API, port), timeout=60)
        self.result(name, 'begin')
        ends = [listener.accept()[0] for _ in range(4)]
        for end in ends:
            self.addCleanup(end.close)
        self.assertEqual(0, self.over(ends))
        return name, ends

    @staticmethod
    def over(ends):
        poll = select.poll()
        for end in ends:
            poll.register(end, 0)
        return sum(1 for _, events in poll.poll(0) if events & select.POLLHUP)

    def test_connections_end_with_their_sandbox(self):
        name, ends = self.stuck_connections()
        self.invoke(name, 'end', expect=502)
        wait_until(lambda: self.over(ends) == 4, 'the connections to end')

    def test_another_launcher_ends_them_too(self):
        name, ends = self.stuck_connections()
        launcher, = launchers(self.platform)
        begun = self.platform.log().count('The launcher was started again')
        os.kill(launcher, signal.SIGKILL)
        wait_until(lambda: self.platform.log().count('The launcher was started again') > begun, 'another launcher')
        self.result(self.function('python', PROBE), [])  # it has heard of all sandboxes before it makes one
        self.assertEqual(0, self.over(ends))
        self.invoke(name, 'end', expect=502)
        wait_until(lambda: self.over(ends) == 4, 'the connections to end')

    def test_the_tables_forget_what_is_over(self):
        """Or one function after the other, each with its share, fills the machine's."""
        _, port = self.silent_server()
        code = '''\
import os, socket
held = []
def handler(event):
    if event == "end":
        os._exit(0)
    for _ in range(5):
        held.append(socket.create_connection(("%s", %d)))
    return held[0].getsockname()[0]
''' % (internet.API, port)
        ended, living = self.function('python', code), self.function('python', code)
        gone, alive = (self.result(name, 'begin') for name in (ended, living))
        launcher, = launchers(self.platform)
        networks = routers_network(launcher), '/proc/self/ns/net'

        def known(address):
            return [known_flows(address, network) for network in networks]
        self.assertEqual([5, 5], known(gone))
        self.invoke(ended, 'end', expect=502)
        wait_until(lambda: known(gone) == [0, 0], 'the entries to go')
        self.assertEqual([5, 5], known(alive))


class RemainsOfAll(OwnPlatformTest):
    stuck_connections, silent_server, over = Remains.stuck_connections, Remains.silent_server, staticmethod(Remains.over)

    def test_connections_end_with_the_platform(self):
        platform = self.start()
        _, ends = self.stuck_connections()
        platform.stop()
        wait_until(lambda: self.over(ends) == 4, 'the connections to end')


class Neighbours(NetworkTest):
    def test_live_sandboxes_do_not_reach_each_other(self):
        listening = self.function('python', '''\
import socket, threading
server = socket.create_server(("0.0.0.0", 8080))
seen = []
def serve():
    while True:
        connection, peer = server.accept()
        seen.append(peer[0])
        connection.sendall(b"neighbour")
        connection.close()
threading.Thread(target=serve, daemon=True).start()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(("198.51.100.7", 80))
    own = s.getsockname()[0]
def handler(event):
    with socket.create_connection((own, 8080), 5) as s:
        return [own, s.recv(100).decode(), len(seen)]
''')
        own, said, seen = self.result(listening, None)
        self.assertEqual(['neighbour', 1], [said, seen])
        self.assertRefused(self.function('python', PROBE), (own, 8080))
        self.assertRefused(self.function('python', PROBE, network={'allow': [own, '10.0.0.0/8']}), (own, 8080))
        # The same worker, still listening, and nobody came but it itself.
        self.assertEqual([own, 'neighbour', 2], self.result(listening, None))


def launchers(platform):
    """The platform's launcher, in a list; the first processes of sandboxes have its name, in namespaces of their own."""
    found = []
    for pid in descendants(platform.process.pid):
        try:
            with open(f'/proc/{pid}/comm') as f:
                is_one = f.read().strip() == 'cf-launcher'
            if is_one and os.readlink(f'/proc/{pid}/ns/pid') == os.readlink('/proc/self/ns/pid'):
                found.append(pid)
        except OSError:
            pass
    return found


class LauncherCrash(NetworkTest):
    own_platform = True

    def test_policies_go_on_to_hold(self):
        functions = [self.function('python', STAYING_PROBE, network=network)
                     for network in ({'mode': 'outbound'}, {'allow': ['both.example:80']}, {'mode': 'none'})]
        api = f'{internet.API} saw {internet.MACHINE}'

        def check(call):
            targets = [['both.example', 80], [internet.API, 443], [internet.OTHER, 443], [internet.METADATA, 80]]
            free, listed, none = (self.result(name, targets) for name in functions)
            self.assertEqual([call] * 3, [free[0], listed[0], none[0]])  # the same workers
            self.assertEqual([api, api, f'{internet.OTHER} saw {internet.MACHINE}'], free[1][:3])
            self.assertEqual(api, listed[1][0])
            for got in free[1][3:] + listed[1][1:] + none[1]:
                self.assertIn(got, ('ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'gaierror'))

        check(1)
        for call in (2, 3):
            launcher, = launchers(self.platform)
            os.kill(launcher, signal.SIGKILL)
            wait_until(lambda: launchers(self.platform) not in ([], [launcher]), 'another launcher')
            log = wait_until(lambda: self.platform.log().count('The launcher was started again') == call - 1, 'its work')
            self.assertTrue(log)
            check(call)
        # The new launcher hears of refusals, too, and gives new workers what they are to have.
        invocation = self.invoke(functions[1], [[internet.API, 443]]).json['invocation_id']
        wait_until(lambda: 'network.allow' in str(self.get(f'/api/v1/invocations/{invocation}').json.get('logs')), 'the line')
        fresh = self.function('python', PROBE, network={'allow': ['other.example']})
        self.assertEqual(f'{internet.OTHER} saw {internet.MACHINE}', self.tries(fresh, ('other.example', 80))[0][0])
        self.assertRefused(fresh, (internet.API, 80))


SHIM = '''\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
struct nft_ctx;
int nft_run_cmd_from_buffer(struct nft_ctx* context, const char* commands) {
    if (strstr(commands, MISSING)) return -1;
    int (*real)(struct nft_ctx*, const char*) = dlsym(RTLD_NEXT, "nft_run_cmd_from_buffer");
    return real(context, commands);
}
'''


class MissingParts(OwnPlatformTest):
    """A Linux without some of netfilter, played by a library that is loaded first."""

    def without(self, commands):
        if shutil.which('cc') is None:
            self.skipTest('needs cc')
        folder = tempfile.mkdtemp(prefix='cloudfunction-test-')
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        shim = f'{folder}/shim.so'
        subprocess.run(['cc', '-shared', '-fPIC', '-x', 'c', '-', '-o', shim, f'-DMISSING="{commands}"', '-ldl'],
                       input=SHIM, text=True, check=True)
        self.start(environment=preload(shim))
        layer = next(layer for layer in self.get('/api/health').json['sandbox']['layers']
                     if layer['name'] == 'outbound_network')
        return layer, self.function('python', PROBE)

    def test_nftables(self):
        layer, name = self.without('table')
        self.assertFalse(layer['active'])
        self.assertIn('nftables', layer['detail'])
        for got, _ in self.result(name, [['api.example', 80], [internet.API, 80], [internet.MACHINE, 80]]):
            self.assertIn(got, ('ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'gaierror'))

    def test_packet_log(self):
        layer, name = self.without('log prefix')
        if not layer['active']:
            self.skipTest(layer['detail'])
        self.assertIn('nfnetlink_log', layer['detail'])
        reached, refused = self.result(name, [['api.example', 80], [internet.METADATA, 80]])
        self.assertEqual(f'{internet.API} saw {internet.MACHINE}', reached[0])
        self.assertEqual('ECONNREFUSED', refused[0])


class TheMachinesNetwork(OwnPlatformTest):
    def test_without_root_where_the_operator_allows_it(self):
        if subprocess.run([BINARY, '--version'], user='nobody', stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest(f'the user nobody may not run {BINARY}')
        for setting, reached in (('host', f'{internet.API} saw {internet.MACHINE}'), ('none', None)):
            with self.subTest(setting):
                platform = self.start({'sandbox.network.unprivileged': setting, 'auth.mode': 'none'}, user='nobody')
                layer = next(layer for layer in self.get('/api/health').json['sandbox']['layers']
                             if layer['name'] == 'outbound_network')
                self.assertFalse(layer['active'])
                self.assertIn('sandbox.network.unprivileged = host', layer['detail'])
                out = self.function('python', PROBE)
                none = self.function('python', PROBE, network={'mode': 'none'})
                (got, _), = self.result(out, [['api.example', 80]])
                if reached:
                    self.assertEqual(reached, got)
                else:
                    self.assertIn(got, ('ENETUNREACH', 'gaierror', 'EACCES', 'EPERM', 'EAFNOSUPPORT'))
                for got, _ in self.result(none, [['api.example', 80], [internet.API, 80]]):
                    self.assertIn(got, ('ENETUNREACH', 'gaierror', 'EACCES', 'EPERM', 'EAFNOSUPPORT'))
                platform.stop()


class Leftovers(SystemTest):
    def links(self):
        return [line for line in subprocess.run(['ip', '-o', 'link'], capture_output=True, text=True).stdout.splitlines()
                if ': cf' in line]

    def forwarding(self):
        with open('/proc/sys/net/ipv4/conf/wan0/forwarding') as f:
            return f.read().strip()

    def test_nothing_stays_after_the_supervisor_was_killed(self):
        before, forwarding, tables = len(self.links()), self.forwarding(), self.tables()
        platform = Platform().start()
        self.addCleanup(platform.remove)
        self.addCleanup(platform.stop)
        if len(self.links()) == before:
            self.skipTest('this machine gives no outbound network')
        launcher, = launchers(platform)
        with open(f'/proc/{launcher}/stat') as f:
            supervisor = int(f.read().rpartition(')')[2].split()[1])
        self.assertNotEqual(platform.process.pid, supervisor)
        family = descendants(supervisor)
        self.assertGreater(len(family), 2)
        os.kill(supervisor, signal.SIGKILL)
        platform.assert_nothing_left(family)
        wait_until(lambda: len(self.links()) == before, 'the link to go')
        wait_until(lambda: self.forwarding() == forwarding, 'forwarding to be as before')
        self.assertEqual(tables, self.tables())

    def test_forwarding_that_somebody_switched_off_is_told(self):
        before = len(self.links())
        platform = Platform().start()
        self.addCleanup(platform.remove)
        self.addCleanup(platform.stop)
        if len(self.links()) == before:
            self.skipTest('this machine gives no outbound network')

        def health():
            return request(platform.url, 'GET', '/api/health').json
        self.assertEqual(('ok', []), (health()['status'], health()['problems']))
        for value in '01':
            with open('/proc/sys/net/ipv4/conf/wan0/forwarding', 'w') as f:
                f.write(value)
            if value == '0':
                self.assertEqual('degraded', health()['status'])
                problem, = health()['problems']
                self.assertIn('sysctl -w net/ipv4/conf/wan0/forwarding=1', problem)
        self.assertEqual(('ok', []), (health()['status'], health()['problems']))

    def tables(self):
        return subprocess.run(['nft', 'list', 'tables'], capture_output=True, text=True).stdout if shutil.which('nft') else ''

    def test_nothing_stays_after_the_end_nor_after_a_kill(self):
        # Platforms of other classes may still run beside these.
        before, forwarding = len(self.links()), self.forwarding()
        for end in (Platform.stop, Platform.kill):
            platform = Platform().start()
            self.addCleanup(platform.remove)
            if len(self.links()) == before:
                platform.stop()
                self.skipTest('this machine gives no outbound network')
            self.assertEqual('1', self.forwarding())
            end(platform)
            wait_until(lambda: len(self.links()) == before, 'the link to go')
            wait_until(lambda: self.forwarding() == forwarding, 'forwarding to be as before')


if __name__ == '__main__':
    unittest.main()
