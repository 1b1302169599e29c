"""What deploy/ holds, as far as a machine without Docker, Kubernetes and systemd as its first process can tell."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get('CLOUDFUNCTION_SOURCE', pathlib.Path(__file__).resolve().parents[2]))
BINARY = os.environ.get('CLOUDFUNCTION_BINARY', str(SOURCE / 'build/ci/bin/cloudfunction'))
DEPLOY = SOURCE / 'deploy'


def run(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280, **options)


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


class Manifests(Folder):
    def setUp(self):
        super().setUp()
        if shutil.which('npm') is None:
            self.skipTest('npm is not installed')
        answer = run('npm', 'install', '--silent', '--no-audit', '--no-fund', '--prefix', str(self.folder),
                     'kubernetes-models@4', 'yaml@2', cwd=self.folder)
        if answer.returncode != 0:
            self.skipTest('the schemas cannot be fetched: ' + answer.stdout[-300:])
        shutil.copy(pathlib.Path(__file__).parent / 'validate.mjs', self.folder)
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
