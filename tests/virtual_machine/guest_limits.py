"""Runs inside the virtual machine: the limits of the sandbox on one tree of control groups of version 2."""
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))
import platform_fixture  # noqa: E402

platform_fixture.START_SECONDS = 300  # emulated
platform_fixture.WAIT_SECONDS = 120

MEMORY = ('def handler(event, context):\n    if not event: return "fine"\n    kept = []\n'
          '    while True:\n        kept.append(bytearray(1 << 20))\n')
FORKS = ('import os, time\ndef handler(event, context):\n    made = 0\n    try:\n        while made < 1000:\n'
         '            if os.fork() == 0: time.sleep(600)\n            made += 1\n'
         '    except OSError:\n        pass\n    return made\n')
SPIN = ('import signal\ndef handler(event, context):\n    for s in range(1, 32):\n        try: signal.signal(s, signal.SIG_IGN)\n'
        '        except OSError: pass\n    while True: pass\n')


class Limits(platform_fixture.SystemTest):
    # Looking for the other languages' tools takes longest there.
    properties = {'workers.prewarmed': 0, 'executors.probe_timeout': 300, 'executor.node.path': '/none', 'executor.go.path': '/none'}

    def skipTest(self, reason):
        self.fail(reason)  # this machine is here for these tests

    def function_with(self, code, **more):
        return self.function('python', code, init_timeout=120, **more)

    def test_health_says_version_2(self):
        layers = {layer['name']: layer for layer in self.get('/api/health').json['sandbox']['layers']}
        self.assertTrue(layers['memory_limit']['active'], layers)
        self.assertIn('cgroup v2', layers['memory_limit']['detail'])

    def test_memory_has_an_end_and_the_next_call_works(self):
        name = self.function_with(MEMORY, memory=64, timeout=120)
        self.assertEqual('fine', self.invoke(name).json['result'])
        answer = self.invoke(name, 1, expect=502)
        self.assertEqual((502, 'memory_exceeded'), (answer.status, answer.json['reason']), answer)
        self.assertIn('64', answer.json['limit'])
        self.assertEqual('fine', self.invoke(name).json['result'])

    def test_processes_have_an_end(self):
        name = self.function_with(FORKS, timeout=120)
        answer = self.invoke(name)
        self.assertEqual(200, answer.status, answer)
        self.assertLess(answer.json['result'], 64)

    def test_the_deadline_kills_and_nothing_is_left(self):
        name = self.function_with(SPIN, timeout=3)
        answer = self.invoke(name, expect=504)
        self.assertEqual((504, 'function_timeout'), (answer.status, answer.json['reason']), answer)
        self.delete(name)
        platform_fixture.wait_until(lambda: not self.spinning(), 'the spinning worker to be gone')

    @staticmethod
    def spinning():
        """Processes in the platform's groups that use a processor."""
        def ticks():
            found = {}
            for group in pathlib.Path('/sys/fs/cgroup').glob('cloudfunction-*/*/cpu.stat'):
                try:
                    found[group] = int(group.read_text().split()[1])
                except OSError:
                    pass
            return found
        before = ticks()
        time.sleep(1)
        return [group for group, usage in ticks().items() if usage - before.get(group, usage) > 500_000]


if __name__ == '__main__':
    unittest.main(verbosity=2)
