"""The unit of deploy/ under a systemd of its own, in a virtual machine with one tree of control groups of version 2: as it
is, and as an ordinary user, the way the unit itself describes."""
import os
import pathlib
import shutil
import sys
import unittest

import machine

BINARY = os.environ.get('CLOUDFUNCTION_BINARY', str(machine.SOURCE / 'build/ci/bin/cloudfunction'))
PROPERTIES = '/etc/cloudfunction.properties'
PORT = 8080

SERVE = """set -e
export PATH={path} HOME=/root
id cloudfunction >/dev/null 2>&1 || useradd --system --no-create-home cloudfunction
printf 'server.port = {port}\\nworkers.prewarmed = 0\\nauth.mode = none\\nexecutors.probe_timeout = 300\\n' >{properties}
sed -e 's|/usr/local/bin/cloudfunction|{binary}|; s|/usr/local/etc/cloudfunction/cloudfunction.properties|{properties}|' \\
    -e '/^\\[Service\\]/a Environment=PATH={path}' \\
    {source}/deploy/cloudfunction.service >/etc/systemd/system/cloudfunction.service
mkdir -p /etc/systemd/system/cloudfunction.service.d
printf '{settings}' >/etc/systemd/system/cloudfunction.service.d/test.conf
systemctl daemon-reload
systemctl start cloudfunction
cd {here}
for second in $(seq 300); do
    systemctl is-failed -q cloudfunction && break
    {python} -c 'import urllib.request; urllib.request.urlopen("http://127.0.0.1:{port}/api/health/ready")' 2>/dev/null && break
    sleep 1
done
export CLOUDFUNCTION_AGAINST=http://127.0.0.1:{port} CLOUDFUNCTION_TIER={tier} CLOUDFUNCTION_SOURCE={source} PYTHONDONTWRITEBYTECODE=1
{python} -m unittest -v guest_systemd 2>&1 || {{ journalctl -u cloudfunction -o cat --no-pager | tail -n 60; exit 1; }}
"""


class Systemd(unittest.TestCase):
    def served(self, tier, settings):
        command = SERVE.format(
            # What an interpreter's shim would find; version managers hide behind PATH.
            python=shutil.which('python3') or sys.executable, path=os.environ.get('PATH', '/usr/bin:/bin'), port=PORT,
            properties=PROPERTIES, binary=BINARY, source=machine.SOURCE, here=pathlib.Path(__file__).parent, tier=tier,
            settings=settings)
        try:
            output, status = machine.run(command, 1500, {machine.SOURCE, pathlib.Path(BINARY).parents[1]}, systemd=True)
        except machine.Unavailable as why:
            self.skipTest(f'no virtual machine here: {why}')
        self.assertEqual(0, status, output[-12000:])
        self.assertNotIn('skipped', output)

    def test_as_it_is(self):
        self.served('root', '')

    def test_as_an_ordinary_user(self):
        self.served('user', '[Service]\\nUser=cloudfunction\\nCapabilityBoundingSet=\\n')


if __name__ == '__main__':
    unittest.main()
