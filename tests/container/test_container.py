"""The platform in an ordinary container: Docker's default capabilities and filter of system calls (docker_default.txt),
so without namespaces, mounts and control groups. Functions work, and what is not theirs stays out of their reach."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'system'))

from examples import ANALYZE_PYTHON, HELLO_NODE, PROCESS_GO  # noqa: E402
from platform_fixture import BINARY, OwnPlatformTest, Platform, descendants, wait_until  # noqa: E402

PROFILE = str(HERE / 'docker_default.txt')
IN_CONTAINER = os.environ.get('IN_CONTAINER', str(pathlib.Path(BINARY).parent / 'in_container'))

# What a function tries: {name: [what, arguments...]}; the answer tells the name of the exception or what came of it.
TRY = '''
import os, socket, ctypes
def attempt(what, *arguments):
    try:
        if what == 'read': return open(arguments[0], 'rb').read(64).hex()
        if what == 'write': open(arguments[0], 'ab').write(b'x'); return 'written'
        if what == 'list': return os.listdir(arguments[0])
        if what == 'connect': socket.create_connection(tuple(arguments), 2); return 'connected'
        if what == 'kill': os.kill(arguments[0], 0); return 'reached'
        if what == 'environ': return open('/proc/%d/environ' % arguments[0]).read()
        if what == 'memory': return open('/proc/%d/mem' % arguments[0], 'rb').read(0) or 'opened'
    except Exception as error:
        return type(error).__name__
def handler(event):
    return {name: attempt(*what) for name, what in event.items()}
'''


class ContainerPlatform(Platform):
    def command(self):
        return [IN_CONTAINER, PROFILE, *super().command()]

    def clean_environment(self):
        # Without control groups the sandbox's own first process counts as the function's memory: it is not to hold what
        # a sanitizer keeps of the launcher's.
        options = [option for option in (os.environ.get('ASAN_OPTIONS'), 'quarantine_size_mb=1') if option]
        return {**super().clean_environment(), 'ASAN_OPTIONS': ':'.join(options)}


class InContainer(OwnPlatformTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tried = subprocess.run([IN_CONTAINER, PROFILE, 'true'], stderr=subprocess.PIPE)
        if tried.returncode != 0:
            raise unittest.SkipTest(tried.stderr.decode())

    def start(self, properties=None, kind=ContainerPlatform, **more):
        platform = kind(properties, **more)
        self.addCleanup(platform.remove)
        self.addCleanup(self.stop, platform)
        platform.start()
        self.url = platform.url
        return platform

    def layers(self):
        sandbox = self.get('/api/health').json['sandbox']
        return sandbox['tier'], {layer['name']: layer for layer in sandbox['layers']}

    def test_with_what_the_manifests_leave(self):
        """deploy/k8s-manifests.yaml: fewer capabilities than an engine's own, and no new privileges."""
        text = (HERE.parents[1] / 'deploy/k8s-manifests.yaml').read_text()
        kept = re.search(r'add: \[(.+)\]', text).group(1).lower().replace(' ', '').split(',')
        self.assertIn('allowPrivilegeEscalation: false', text)

        class Pod(ContainerPlatform):
            def command(self):
                return [IN_CONTAINER, PROFILE, 'setpriv', '--no-new-privs', '--bounding-set=-all,+' + ',+'.join(kept),
                        *Platform.command(self)]
        self.start(kind=Pod)
        tier, layers = self.layers()
        self.assertEqual('container', tier)
        self.assertTrue(layers['own_user']['active'], layers['own_user'])
        users = {self.result(self.function('python', 'import os\ndef handler(event):\n    return os.getuid()\n')) for _ in range(2)}
        self.assertEqual(2, len(users), 'each worker has a user of its own')

    def test_functions_in_each_language(self):
        self.start()
        tier, layers = self.layers()
        self.assertEqual('container', tier)
        self.assertTrue(layers['seccomp']['active'], layers['seccomp'])
        self.assertTrue(layers['own_user']['active'], layers['own_user'])
        self.assertFalse(layers['mount_namespace']['active'])
        for runtime, code, handler, event in (('python', ANALYZE_PYTHON, 'analyze_data', {'data': [1, 1, 2]}),
                                              ('node', HELLO_NODE, 'handler', {'data': 1}),
                                              ('go', PROCESS_GO, 'processData', {'data': [1, 2]})):
            with self.subTest(runtime):
                name = self.function(runtime, code, handler)
                self.assertTrue(self.result(name, event))
                self.assertTrue(self.result(name, event))

    def test_what_is_not_theirs(self):
        platform = self.start()
        _, layers = self.layers()
        if not layers['landlock']['active']:
            self.skipTest('Linux has no Landlock here: ' + layers['landlock']['detail'])
        victim = self.function('python', 'import os\nSECRET = 1\ndef handler(event):\n'
                                         '    open(os.environ["TMPDIR"] + "/secret", "w").write("secret")\n'
                                         '    return [os.getpid(), os.environ["TMPDIR"], __file__]\n',
                               environment={'TOKEN': 'secret'})
        pid, folder, code = self.result(victim)
        self.assertTrue(os.path.exists(folder + '/secret'))
        files = platform.files(platform.data)
        attacker = self.function('python', TRY)
        self.assertTrue(any('sqlite' in path.name or path.suffix == '.db' for path in files), files)
        refused = {f'read {path}': ['read', str(path)] for path in files}
        refused.update({
            'victim code': ['read', code], 'victim file': ['read', folder + '/secret'], 'victim folder': ['list', folder],
            'data': ['list', str(platform.data)], 'properties': ['read', str(platform.home / 'cloudfunction.properties')],
            'shadow': ['read', '/etc/shadow'], 'root': ['list', '/root'], 'home': ['list', '/'], 'tmp': ['list', '/tmp'],
            'memory files': ['list', '/dev/shm'], 'configuration': ['list', '/usr/local/etc'], 'environment': ['environ', pid], 'memory': ['memory', pid],
            'write tmp': ['write', '/tmp/written-by-a-function'], 'write var': ['write', '/var/tmp/written'],
            'write itself': ['write', str(pathlib.Path(code).parent / 'main.py')],
            'platform': ['connect', '127.0.0.1', platform.port],
            'kill victim': ['kill', pid], 'kill platform': ['kill', platform.process.pid]})
        answers = self.result(attacker, refused)
        wrong = {name: answer for name, answer in answers.items() if answer not in ('PermissionError', 'FileNotFoundError')}
        self.assertEqual({}, wrong)
        # And the same tries do succeed where they should.
        own = self.result(attacker, {'libraries': ['read', '/usr/lib/os-release'], 'itself': ['kill', 0],
                                     'programs': ['list', '/usr/local/bin']})
        self.assertNotIn('PermissionError', own.values())

    def test_limits(self):
        platform = self.start({'workers.prewarmed': 0})
        hog = self.function('python', 'def handler():\n    kept = []\n    while True: kept.append(bytearray(1 << 20))\n',
                            memory=96)
        self.assertProblem(self.invoke(hog, expect=None), 502, 'memory_exceeded')
        filler = self.function('python', 'import os, time\ndef handler():\n    for i in range(10000):\n'
                                         '        with open(f"{os.environ[\'TMPDIR\']}/{i}", "wb") as f: f.write(bytes(1 << 20))\n'
                                         '        time.sleep(0.001)\n', timeout=20)
        answer = self.invoke(filler, expect=None)
        self.assertIn(answer.status, (200, 502), answer)
        if answer.status == 200:
            self.assertEqual('error', answer.json['status'], answer)
        sleeper = self.function('python', 'import os, time\ndef handler():\n    if os.fork() == 0: os.setsid()\n    time.sleep(60)\n',
                                timeout=0.5)
        self.assertProblem(self.invoke(sleeper, expect=None), 504, 'function_timeout')
        for name in (hog, filler, sleeper):
            self.delete(name)

        def orphans():
            users = {os.stat(f'/proc/{pid}').st_uid for pid in descendants(platform.process.pid)}
            return [path for path in (platform.data / 'sandboxes').glob('[0-9]*') if (path / 'tmp').stat().st_uid not in users]
        wait_until(lambda: not orphans(), 'folders of workers to go away')

    def test_network(self):
        """None of the machine's network, unless the properties give it."""
        code = 'import socket\ndef handler(event):\n    socket.create_connection(("127.0.0.1", event), 2)\n    return "reached"\n'
        self.start()
        name = self.function('python', code)
        self.assertEqual('PermissionError', self.error(name, 1)['type'])

    def test_idle_workers_that_compute_are_ended(self):
        """Without control groups the watchdog tells what they take."""
        self.start({'workers.prewarmed': 0})
        name = self.function('python', 'import os\nborn = os.urandom(8).hex()\ndef handler(event):\n    for _ in range(event):\n'
                                       '        if os.fork() == 0:\n            os.setsid()\n            while True: pass\n'
                                       '    return born\n')
        first = self.result(name, 4)
        wait_until(lambda: 'processor time between calls' in self.get(f'/api/v1/functions/{name}/logs').text,
                   'the worker to be ended', 120)
        self.assertNotEqual(first, self.result(name, 0))

    def test_nothing_is_left(self):
        platform = self.start()
        name = self.function('python', 'def handler():\n    return 1\n')
        self.assertEqual(1, self.result(name))
        platform.stop()
        self.assertFalse((platform.data / 'sandboxes').exists())


if __name__ == '__main__':
    unittest.main()
