"""Whom functions reach: the internet, not the machine, not its neighbours, not each other. Everything happens in network
namespaces of the test's own (internet.py)."""
import os
import socket
import subprocess
import threading
import unittest

import internet
from platform_fixture import Platform, SystemTest, wait_until

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
            got = errno.errorcode.get(error.errno, type(error).__name__)
        results.append([got, (time.monotonic() - began) * 1000])
    return results
'''
REFUSAL_MS = 100

world = None


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

    def assertRefused(self, name, *targets):
        for target, (got, ms) in zip(targets, self.tries(name, *targets)):
            with self.subTest(target=target):
                self.assertIn(got, ('ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'gaierror', 'EACCES'))
                self.assertLess(ms, REFUSAL_MS)


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
                  'sandbox.network.allow': 'private.example:80, 10.20.0.1:443, 203.0.113.10:4711',
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


class Leftovers(SystemTest):
    def links(self):
        return [line for line in subprocess.run(['ip', '-o', 'link'], capture_output=True, text=True).stdout.splitlines()
                if ': cf' in line]

    def forwarding(self):
        with open('/proc/sys/net/ipv4/conf/wan0/forwarding') as f:
            return f.read().strip()

    def test_nothing_stays_after_the_end_nor_after_a_kill(self):
        # Platforms of other classes may still run beside these.
        before, forwarding = len(self.links()), self.forwarding()
        for end in (Platform.stop, Platform.kill):
            platform = Platform().start()
            if len(self.links()) == before:
                platform.stop()
                self.skipTest('this machine gives no outbound network')
            self.assertEqual('1', self.forwarding())
            end(platform)
            wait_until(lambda: len(self.links()) == before, 'the link to go')
            wait_until(lambda: self.forwarding() == forwarding, 'forwarding to be as before')


if __name__ == '__main__':
    unittest.main()
