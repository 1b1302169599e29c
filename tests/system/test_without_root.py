"""Started by an ordinary user: everything works, and what needs root is said to be missing."""
import http.client
import json
import os
import socket
import subprocess
import unittest

from examples import ANALYZE_PYTHON, HELLO_NODE, PROCESS_GO
from platform_fixture import BINARY, OwnPlatformTest, Platform, descendants, wait_until

USER = 'nobody'


class WithoutRoot(OwnPlatformTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = USER if os.geteuid() == 0 else None
        if cls.user and subprocess.run([BINARY, '--version'], user=USER, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL).returncode != 0:
            raise unittest.SkipTest(f'the user {USER} may not run {BINARY}')

    def test_functions_in_each_language(self):
        self.start(user=self.user)
        for runtime, code, handler, event in (('python', ANALYZE_PYTHON, 'analyze_data', {'data': [1, 1, 2]}),
                                              ('node', HELLO_NODE, 'handler', {'data': 1}),
                                              ('go', PROCESS_GO, 'processData', {'data': [1, 2]})):
            with self.subTest(runtime):
                self.assertTrue(self.result(self.function(runtime, code, handler), event))

    def test_it_says_what_is_missing(self):
        platform = self.start(user=self.user)
        layers = {layer['name']: layer for layer in self.get('/api/health').json['sandbox']['layers']}
        self.assertFalse(layers['own_user']['active'])
        self.assertIn('root', layers['own_user']['detail'])
        self.assertIn('own_user', platform.log())

    def test_timeouts_and_crashes(self):
        platform = self.start({'workers.prewarmed': 0}, user=self.user)
        name = self.function('python', 'import os, time\ndef handler(event):\n    if event: os._exit(event)\n'
                                       '    os.fork()\n    time.sleep(60)\n', timeout=0.5)
        before = len(descendants(platform.process.pid))
        self.assertProblem(self.invoke(name, 0, expect=None), 504, 'function_timeout')
        self.assertProblem(self.invoke(name, 3, expect=None), 502, 'worker_crashed')
        self.assertLessEqual(len(descendants(platform.process.pid)), before + 2)

    def test_memory_has_an_end(self):
        self.start(user=self.user)
        name = self.function('python', 'def handler():\n    kept = []\n    while True: kept.append(bytearray(1 << 20))\n',
                             memory=96)
        answer = self.invoke(name, expect=None)
        if answer.status == 200:  # where only the process itself can be limited, the language notices
            self.assertEqual('MemoryError', answer.json['error']['type'], answer)
        else:
            self.assertProblem(answer, 502, 'memory_exceeded')

    def test_builds_have_no_network_and_say_so(self):
        """Not even the machine's, which functions have here: that is another setting."""
        self.start({'sandbox.network.unprivileged': 'host', 'build.network': 'registry.invalid:443', 'auth.mode': 'none'}, user=self.user)
        layer = next(layer for layer in self.get('/api/health').json['sandbox']['layers']
                     if layer['name'] == 'outbound_network')
        self.assertFalse(layer['active'])
        self.needs('python')
        answer = self.create('python', files={'main.py': 'def handler():\n    return 1\n',
                                              'requirements.txt': 'no-such-package-here==1.0\n'})
        self.assertNotEqual(201, answer.status, answer)
        self.assertIn('builds have no network here', answer.text)
        self.assertIn('build.network = host', answer.text)

    def test_a_function_on_the_machines_network_needs_the_token(self):
        """Its loopback is the machine's, where nobody is asked for a token otherwise."""
        secret = 'a-token-of-sixteen'
        platform = self.start({'sandbox.network.unprivileged': 'host', 'auth.token': secret}, user=self.user)
        token = {'Authorization': 'Bearer ' + secret}
        self.assertProblem(self.get('/api/v1/functions'), 401, 'unauthorized')
        code = ('import urllib.error, urllib.request\ndef handler(event):\n'
                '    try: return urllib.request.urlopen(event, timeout=10).status\n'
                '    except urllib.error.HTTPError as refused: return refused.code\n')
        made = self.post('/api/v1/functions', {'name': 'curious', 'runtime': 'python', 'handler': 'handler', 'code': code}, token)
        self.assertEqual(201, made.status, made)
        event = {'event': f'{platform.url}/api/v1/functions/curious'}
        self.assertEqual(401, self.post('/api/v1/functions/curious/invoke', event, token).json['result'])

    def test_connections_leave_descriptors_for_workers(self):
        platform = Platform({'workers.prewarmed': 0}, user=self.user)
        self.addCleanup(platform.remove)
        self.addCleanup(self.stop, platform)
        command = platform.command
        platform.command = lambda: ['prlimit', '--nofile=300:300', *command()]
        platform.start()
        self.url = platform.url
        self.assertIn('connections are taken at most', platform.log())
        before = len(descendants(platform.process.pid))
        names = [self.function('python', 'def handler(event):\n    return event\n', keep_alive=1) for _ in range(2)]
        # What stays checks syntax.
        wait_until(lambda: len(descendants(platform.process.pid)) <= before + 2, 'the workers to leave')
        kept = http.client.HTTPConnection('127.0.0.1', platform.port, timeout=60)
        self.addCleanup(kept.close)
        kept.connect()
        for _ in range(400):
            self.addCleanup(socket.create_connection(('127.0.0.1', platform.port)).close)
        for name in names:
            kept.request('POST', f'/api/v1/functions/{name}/invoke', b'{"event": 1}', {'Content-Type': 'application/json'})
            answer = kept.getresponse()
            self.assertEqual((200, 1), (answer.status, json.loads(answer.read()).get('result')))

    def test_strict_refuses(self):
        said = self.refused({'sandbox.strict': 'true'}, user=self.user)
        self.assertIn('sandbox.strict', said)
