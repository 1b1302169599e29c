"""Runs inside the virtual machine, where systemd runs the platform by the unit of deploy/: what an operator expects of a
service. CLOUDFUNCTION_TIER is the tier of the sandbox that it must reach."""
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))
import platform_fixture  # noqa: E402

SECONDS = 300  # emulated

MEMORY = ('def handler(event, context):\n    kept = []\n    while True:\n        kept.append(bytearray(1 << 20))\n')
CODE = 'def handler(event, context):\n    return 42\n'
# What an ordinary user cannot have: docs/sandbox.md.
OF_ROOT = {'own_user', 'outbound_network'}


def systemctl(*words):
    return subprocess.run(['systemctl', *words], check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout.strip()


class Service(platform_fixture.SystemTest):
    def answers(self):
        try:
            return self.get('/api/health/ready').status == 200
        except OSError:
            return False

    def groups(self):
        return list(pathlib.Path('/sys/fs/cgroup').glob('**/cloudfunction-*'))

    def test_every_layer_is_there(self):
        sandbox = self.get('/api/health').json['sandbox']
        self.assertEqual(os.environ['CLOUDFUNCTION_TIER'], sandbox['tier'])
        missing = {layer['name'] for layer in sandbox['layers'] if not layer['active']}
        self.assertEqual(OF_ROOT if sandbox['tier'] == 'user' else set(), missing, sandbox)

    def test_memory_has_an_end(self):
        name = self.function('python', MEMORY, init_timeout=120, timeout=120, memory=64)
        answer = self.invoke(name, expect=502)
        self.assertEqual((502, 'memory_exceeded'), (answer.status, answer.json['reason']), answer)

    def test_the_journal_has_what_it_says(self):
        said = subprocess.run(['journalctl', '-u', 'cloudfunction', '-o', 'cat'], check=True, capture_output=True, text=True).stdout
        self.assertIn('is ready', said)

    def test_a_restart_and_a_kill_lose_nothing(self):
        name = self.function('python', CODE, init_timeout=120, timeout=120)
        self.assertEqual(42, self.result(name))
        systemctl('restart', 'cloudfunction')
        platform_fixture.wait_until(self.answers, 'the platform after a restart', SECONDS)
        self.assertEqual(42, self.result(name))
        main = systemctl('show', '-P', 'MainPID', 'cloudfunction')
        systemctl('kill', '--kill-whom=main', '--signal=SIGKILL', 'cloudfunction')
        platform_fixture.wait_until(lambda: systemctl('show', '-P', 'MainPID', 'cloudfunction') not in (main, '0'),
                                    'systemd to start it again', SECONDS)
        platform_fixture.wait_until(self.answers, 'the platform after a kill', SECONDS)
        self.assertEqual(42, self.result(name))
        # The platform's own group and that of its sandboxes, and none of the killed one.
        self.assertLessEqual(len(self.groups()), 2)

    def test_a_stop_leaves_nothing(self):
        systemctl('stop', 'cloudfunction')
        try:
            self.assertEqual('inactive', systemctl('show', '-P', 'ActiveState', 'cloudfunction'))
            self.assertEqual([], self.groups())
            self.assertEqual('', subprocess.run(['pgrep', '-x', '-l', 'cloudfunction.*'], stdout=subprocess.PIPE, text=True).stdout)
        finally:
            systemctl('start', 'cloudfunction')
            platform_fixture.wait_until(self.answers, 'the platform after a stop', SECONDS)


if __name__ == '__main__':
    unittest.main(verbosity=2)
