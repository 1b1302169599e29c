"""What deploy/ holds, as far as a machine without Docker, Kubernetes and systemd as its first process can tell."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get('CLOUDFUNCTION_SOURCE', pathlib.Path(__file__).resolve().parents[2]))
BINARY = os.environ.get('CLOUDFUNCTION_BINARY', str(SOURCE / 'build/ci/bin/cloudfunction'))
DEPLOY = SOURCE / 'deploy'
os.environ.setdefault('CLOUDFUNCTION_BINARY', BINARY)
sys.path.insert(0, str(SOURCE / 'tests/system'))

from platform_fixture import OwnPlatformTest, Platform  # noqa: E402


def run(*command, seconds=280, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, **options)


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)


class Unit(Folder):
    def setUp(self):
        super().setUp()
        if shutil.which('systemd-analyze') is None:
            self.skipTest('systemd-analyze is not installed')
        text = (DEPLOY / 'cloudfunction.service').read_text()
        self.text = text.replace('/usr/local/bin/cloudfunction', BINARY)

    def verify(self, text):
        file = self.folder / 'cloudfunction.service'
        file.write_text(text)
        return run('systemd-analyze', 'verify', '--man=no', str(file))

    def test_systemd_understands_every_line(self):
        answer = self.verify(self.text)
        self.assertEqual((0, ''), (answer.returncode, answer.stdout))

    def test_a_misspelt_line_would_be_seen(self):
        self.assertIn('Delegat', self.verify(self.text.replace('Delegate=', 'Delegat=')).stdout)

    def test_it_delegates_names_its_user_and_takes_privileges_away(self):
        for line in ('Delegate=yes', 'User=', 'CapabilityBoundingSet=', 'ProtectSystem=strict', 'KillMode=mixed'):
            self.assertIn('\n' + line, self.text)
        properties = (SOURCE / 'config/cloudfunction.properties').read_text()
        self.assertIn('data.dir', properties)


class WithTheUnitsCapabilities(OwnPlatformTest):
    """As root with what CapabilityBoundingSet leaves of it."""

    def test_every_layer_that_root_can_have_is_there(self):
        if os.geteuid() != 0:
            self.skipTest('needs root')
        names = re.search(r'^CapabilityBoundingSet=(.+)$', (DEPLOY / 'cloudfunction.service').read_text(), re.M).group(1)
        kept = ','.join('+' + name.removeprefix('CAP_').lower() for name in names.split())

        class Unit(Platform):
            def command(self):
                return ['setpriv', '--bounding-set=-all,' + kept, *super().command()]

        def layers(platform):
            self.addCleanup(platform.remove)
            self.addCleanup(self.stop, platform)
            platform.start()
            self.url = platform.url
            sandbox = self.get('/api/health').json['sandbox']
            return sandbox['tier'], {layer['name'] for layer in sandbox['layers'] if layer['active']}
        everything = layers(Platform())
        self.assertEqual(everything, layers(Unit()))
        name = self.function('python', 'import os\ndef handler(event):\n    return os.getuid()\n')
        self.assertGreater(self.result(name), 1000)


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """The schemas, once; a registry that does not answer is no fault of the manifests."""
        if shutil.which('npm') is None:
            raise unittest.SkipTest('npm is not installed')
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        try:
            answer = run('npm', 'install', '--silent', '--no-audit', '--no-fund', '--fetch-retries=1', '--fetch-timeout=30000',
                         '--prefix', str(cls.folder), 'kubernetes-models@4', 'yaml@2', cwd=cls.folder, seconds=150)
        except subprocess.TimeoutExpired as late:
            raise unittest.SkipTest(f'the schemas cannot be fetched: npm took more than {late.timeout} s') from None
        if answer.returncode != 0:
            raise unittest.SkipTest('the schemas cannot be fetched: ' + answer.stdout[-300:])
        shutil.copy(pathlib.Path(__file__).parent / 'validate.mjs', cls.folder)

    def setUp(self):
        self.text = (DEPLOY / 'k8s-manifests.yaml').read_text()

    def validate(self, text):
        file = self.folder / 'manifests.yaml'
        file.write_text(text)
        return run('node', 'validate.mjs', str(file), cwd=self.folder)

    def test_every_document_fits_its_schema(self):
        answer = self.validate(self.text)
        self.assertEqual(0, answer.returncode, answer.stdout)
        self.assertEqual({'Secret', 'PersistentVolumeClaim', 'Service', 'Deployment'},
                         {line.split()[-1] for line in answer.stdout.splitlines()})

    def test_a_wrong_one_would_be_seen(self):
        answer = self.validate(self.text.replace('containerPort: 8080', 'containerPort: web'))
        self.assertNotEqual(0, answer.returncode)
        self.assertIn('containerPort', answer.stdout)


if __name__ == '__main__':
    unittest.main()
