"""deploy/Dockerfile, built for real without a Docker daemon: buildah with chroot isolation on a base that debootstrap
makes. Minutes long. The image then runs as a container would: its root as root, Docker's default capabilities."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.request

SOURCE = pathlib.Path(os.environ.get('CLOUDFUNCTION_SOURCE', pathlib.Path(__file__).resolve().parents[2]))
IMAGE = 'localhost/cloudfunction-test'
BASE = 'localhost/cloudfunction-test-base'
# Docker's default set (docs.docker.com, "Runtime privilege and Linux capabilities").
CAPABILITIES = ('chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,'
                'audit_write,setfcap')
FUNCTIONS = {
    'python': 'def handler(event, context):\n    return "hello"\n',
    'node': 'function handler() { return "hello" }',
    'go': 'func handler() string { return "hello" }',
}


def mirror():
    """Where this machine's own packages come from."""
    answer = subprocess.run(['apt-get', 'indextargets', '--format', '$(SITE)', 'Created-By: Packages'], text=True,
                            capture_output=True).stdout.split()
    sites = [site for site in answer if site.rstrip('/').endswith('/debian')]
    return sites[0] if sites else None


class Image(unittest.TestCase):
    def run_in(self, *command, **options):
        answer = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, **options)
        self.assertEqual(0, answer.returncode, f'{command}\n{answer.stdout[-6000:]}')
        return answer.stdout

    def buildah(self, *arguments):
        return self.run_in('buildah', '--root', self.folder / 'storage', '--runroot', self.folder / 'run',
                           '--storage-driver', 'vfs', *arguments, timeout=2000)

    def setUp(self):
        missing = [program for program in ('buildah', 'debootstrap', 'capsh') if shutil.which(program) is None]
        if missing:
            self.skipTest('not installed: ' + ', '.join(missing))
        if os.geteuid() != 0:
            self.skipTest('needs root')
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='cloudfunction-image-'))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def test_the_image_builds_and_serves_all_three_languages(self):
        site = mirror()
        if site is None:
            self.skipTest('no Debian mirror is configured')
        try:
            urllib.request.urlopen(site.rstrip('/') + '/dists/bookworm/Release', timeout=30).close()
        except OSError as problem:
            self.skipTest(f'{site} does not answer: {problem}')
        base = self.folder / 'base'
        self.run_in('debootstrap', '--variant=minbase', 'bookworm', base, site, timeout=900)
        sources = pathlib.Path('/etc/apt/sources.list')
        if sources.exists():
            shutil.copy(sources, base / 'etc/apt/sources.list')
        container = self.buildah('from', 'scratch').strip()
        self.buildah('copy', '-q', container, base, '/')
        self.buildah('config', '--env', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', container)
        self.buildah('commit', '-q', container, BASE)
        self.buildah('rm', container)
        shutil.rmtree(base)
        context = self.folder / 'context'
        self.run_in('git', 'clone', '-q', SOURCE, context)
        self.buildah('bud', '--isolation', 'chroot', '--pull-never', '--network', 'host', '--build-arg', f'BASE={BASE}',
                     '-f', context / 'deploy/Dockerfile', '-t', IMAGE, context)
        container = self.buildah('from', '--pull-never', IMAGE).strip()
        root = self.buildah('mount', container).strip()
        self.addCleanup(self.buildah, 'umount', container)
        self.serve(root)

    def serve(self, root):
        for place in ('proc', 'dev'):
            self.run_in('mount', '--rbind', '/' + place, f'{root}/{place}')
            self.addCleanup(subprocess.run, ['umount', '-l', f'{root}/{place}'])
        environment = {'PATH': '/usr/local/bin:/usr/bin:/bin', 'CLOUDFUNCTION_SERVER_PORT': '0',
                       'CLOUDFUNCTION_AUTH_MODE': 'none', 'CLOUDFUNCTION_DATA_DIR': '/var/lib/cloudfunction'}
        log = open(self.folder / 'log', 'w')
        self.addCleanup(log.close)
        # By its whole path, because `environment` is that of the image.
        server = subprocess.Popen([shutil.which('capsh'), f'--chroot={root}', f'--drop={self.dropped()}', '--', '-c',
                                   'exec cloudfunction serve --config /usr/local/etc/cloudfunction/cloudfunction.properties'],
                                  env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(server.wait, 60)
        self.addCleanup(server.terminate)
        url = None
        until = time.monotonic() + 120
        while url is None and time.monotonic() < until and server.poll() is None:
            time.sleep(0.5)
            text = (self.folder / 'log').read_text()
            url = next((word.rstrip('/') for word in text.split() if word.startswith('http://127.0.0.1:')), None)
        self.assertIsNotNone(url, (self.folder / 'log').read_text())
        for runtime, code in FUNCTIONS.items():
            with self.subTest(runtime):
                self.call(url + '/api/v1/functions', {'name': f'in-{runtime}', 'runtime': runtime, 'code': code})
                answer = self.call(f'{url}/api/v1/functions/in-{runtime}/invoke', {})
                self.assertEqual('hello', answer['result'], (self.folder / 'log').read_text())

    @staticmethod
    def dropped():
        every = subprocess.run(['capsh', '--decode=ffffffffffffffff'], capture_output=True, text=True).stdout
        names = [name.removeprefix('cap_') for name in every.strip().partition('=')[2].split(',') if name.startswith('cap_')]
        return ','.join('cap_' + name for name in names if name not in CAPABILITIES.split(','))

    def call(self, url, body):
        request = urllib.request.Request(url, json.dumps(body).encode(), {'Content-Type': 'application/json'})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)


if __name__ == '__main__':
    unittest.main()
