"""The parts of plugins/python/packages that need no network: pip's failures in words, the operator's settings, and real
installs out of a folder. On the interpreter that runs the tests."""
import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

FOLDER = pathlib.Path(__file__).resolve().parents[3] / 'plugins/python/packages'


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


errors = load('package_errors')
MISSING = 'ERROR: Could not find a version that satisfies the requirement %s (from versions: %s)\nERROR: No matching'


class Words(unittest.TestCase):
    def explain(self, said, log='', locked=False):
        return errors.explain(said, log, locked)

    def test_not_found(self):
        found = self.explain(MISSING % ('absent>=1', 'none'))
        self.assertEqual(('not_found', 'absent'), (found['kind'], found['name']))

    def test_not_among_the_wheels_that_were_sent(self):
        for requirement, words in (('absent>=1', 'absent is not among the wheels in wheels/, beside which nothing is fetched'),
                                   ('inner (from outer)', 'nothing is fetched (outer needs it)')):
            found = errors.explain(MISSING % (requirement, 'none'), '', vendored=True)
            self.assertEqual('not_found', found['kind'])
            self.assertIn(words, found['message'])
            self.assertIn('leave wheels/ out', found['hint'])

    def test_no_version_names_the_newest(self):
        found = self.explain(MISSING % ('thing==99', '1.0, 1.1, 2.0'))
        self.assertEqual('no_version', found['kind'])
        self.assertIn('1.0, 1.1, 2.0', found['hint'])

    def test_no_wheel_names_those_that_exist(self):
        log = ("  Skipping link: No sources permitted for thing: https://e.org/f/thing-1.0.tar.gz (from https://e.org)\n"
               "  Skipping link: none of the wheel's tags (cp39-cp39-manylinux_2_17_%s) are compatible (run pip debug): "
               "https://e.org/f/thing-1.0-cp39-cp39-manylinux_2_17_x86_64.whl (from https://e.org)\n"
               % errors.platform.machine())
        found = self.explain(MISSING % ('thing==1.0', '2.0'), log)
        self.assertEqual(('no_wheel', 'thing==1.0'), (found['kind'], found['requirement']))
        self.assertIn('Python 3.9', found['message'])
        self.assertIn('source_builds', found['hint'])

    def test_another_version_of_the_package_does_not_count(self):
        log = '  Skipping link: No sources permitted for thing: https://e.org/f/thing-1.0.tar.gz (from https://e.org)\n'
        self.assertEqual('no_version', self.explain(MISSING % ('thing==1.1', '2.0'), log)['kind'])

    def test_another_python(self):
        log = "  Link requires a different Python (3.11.2 not in: '>=3.14'): https://e.org/f/thing-3.0-py3-none-any.whl (from x)\n"
        self.assertEqual('other_python', self.explain(MISSING % ('thing', 'none'), log)['kind'])

    def test_who_needs_it_is_named(self):
        found = self.explain(MISSING % ('inner==1 (from outer==2.0)', 'none'))
        self.assertEqual('inner', found['name'])
        self.assertIn('outer needs it', found['message'])

    def test_conflict(self):
        found = self.explain('ERROR: Cannot install a and b because these package versions have conflicting dependencies.\n\n'
                             'The conflict is caused by:\n    The user requested c==2\n    a 1.0 depends on c==1\n\nTo fix')
        self.assertEqual(('conflict', 'c'), (found['kind'], found['name']))
        self.assertIn('a 1.0 depends on c==1', found['message'])

    def test_unreachable(self):
        said = ("WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(Failed to establish a new "
                "connection: [Errno 111] Connection refused')': /simple/six/\n" + MISSING % ('six', 'none'))
        found = self.explain(said)
        self.assertEqual('network', found['kind'])
        self.assertIn('build.network', found['hint'])

    def test_access_refused(self):
        log = 'Could not fetch URL https://e.org/simple/six/: 403 Client Error: Forbidden for url: https://e.org/simple/six/'
        self.assertEqual('index_refused', self.explain(MISSING % ('six', 'none'), log)['kind'])

    def test_locked_file_that_is_gone(self):
        self.assertEqual('lock_lost', self.explain(MISSING % ('six==1.0', '1.1'), '', True)['kind'])

    def test_what_is_not_known_is_passed_on(self):
        self.assertIn('something new', self.explain('ERROR: something new')['message'])


class Settings(unittest.TestCase):
    def ask(self, environment, files=()):
        home = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, home)
        for name, text in files:
            path = pathlib.Path(home, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o600)
        known = {'PATH': '/usr/bin:/bin', 'HOME': home, **environment}
        done = subprocess.run([sys.executable, '-I', '-B', str(FOLDER / 'installer_settings.py')], env=known,
                              stdout=subprocess.PIPE, check=True)
        said = json.loads(done.stdout)
        return dict(said['environment']), said, home

    def test_a_variable_wins_over_a_file(self):
        conf = '[global]\nindex-url = https://file.example/simple\ntimeout = 9\n[download]\ntimeout = 7\n'
        found, _, _ = self.ask({}, [('.config/pip/pip.conf', conf)])
        self.assertEqual(('https://file.example/simple', '7'), (found['PIP_INDEX_URL'], found['PIP_TIMEOUT']))
        found, _, _ = self.ask({'PIP_INDEX_URL': 'https://variable.example/'}, [('.config/pip/pip.conf', conf)])
        self.assertEqual('https://variable.example/', found['PIP_INDEX_URL'])

    def test_only_where_packages_come_from_is_taken(self):
        found, _, _ = self.ask({'PIP_TARGET': '/x', 'PIP_USER': '1', 'PIP_NO_BINARY': ':all:', 'HTTPS_PROXY': 'http://p:1'})
        self.assertNotIn('PIP_TARGET', found)
        self.assertNotIn('PIP_USER', found)
        self.assertNotIn('PIP_NO_BINARY', found)
        self.assertEqual('http://p:1', found['HTTPS_PROXY'])

    def test_login_of_netrc_for_the_index_alone(self):
        found, said, _ = self.ask({'PIP_INDEX_URL': 'https://index.example/simple'},
                                  [('.netrc', 'machine index.example login me password a/b\nmachine other login x password y\n')])
        self.assertEqual('https://me:a%2Fb@index.example/simple', found['PIP_INDEX_URL'])
        self.assertNotIn('other', str(said))

    def test_files_that_are_named_are_mounted(self):
        _, _, home = self.ask({})
        for name in ('ca.pem', 'mine.pem'):
            pathlib.Path(home, name).write_text('x')
        os.mkdir(home + '/links')
        known = {'PATH': '/usr/bin:/bin', 'HOME': home, 'PIP_CERT': '~/ca.pem', 'PIP_CLIENT_CERT': home + '/mine.pem',
                 'PIP_FIND_LINKS': f'{home}/links https://links.example/'}
        done = subprocess.run([sys.executable, '-I', '-B', str(FOLDER / 'installer_settings.py')], env=known,
                              stdout=subprocess.PIPE, check=True)
        said = json.loads(done.stdout)
        self.assertEqual({home + '/ca.pem', home + '/mine.pem', home + '/links'}, set(said['mounts']))
        self.assertEqual([home + '/mine.pem'], said['secrets'])


class Installing(unittest.TestCase):
    """packages.py with wheels of a folder."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name, 'work')
        self.links = pathlib.Path(temporary.name, 'links')
        self.layer = pathlib.Path(temporary.name, 'layer')
        for path in (self.folder / 'tmp', self.links, self.layer):
            path.mkdir(parents=True)

    def wheel(self, name, version, requires=''):
        path = self.links / f'{name}-{version}-py3-none-any.whl'
        info = f'{name}-{version}.dist-info/'
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr(f'{name}.py', f'version = "{version}"\n')
            archive.writestr(info + 'METADATA', f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}')
            archive.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
            archive.writestr(info + 'RECORD', '')
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def run_task(self, task, **fields):
        environment = {'PATH': '/usr/bin:/bin', 'HOME': str(self.folder), 'TMPDIR': str(self.folder / 'tmp'),
                       'PIP_CONFIG_FILE': os.devnull, 'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': str(self.links)}
        request = json.dumps({'task': task, 'folder': str(self.folder), **fields})
        done = subprocess.run([sys.executable, '-I', '-B', str(FOLDER / 'packages.py')], input=request.encode(),
                              env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        answer = json.loads((self.folder / 'answer.json').read_text())
        self.assertEqual('error' in answer, done.returncode != 0, done.stdout)
        return answer

    def test_resolve_fetch_install(self):
        one, two = self.wheel('one', '1.0', 'Requires-Dist: two\n'), self.wheel('two', '2.0')
        lock = self.run_task('resolve', requirements='one\n')['lock']
        self.assertEqual(f'one==1.0 --hash=sha256:{one}\ntwo==2.0 --hash=sha256:{two}\n', lock)
        for file in (self.folder / 'wheels').iterdir():
            file.unlink()
        self.assertEqual({}, self.run_task('fetch', lock=lock))
        self.assertEqual({}, self.run_task('install', lock=lock, directory=str(self.layer)))
        self.assertEqual(['site-packages'], os.listdir(self.layer))
        self.assertTrue((self.layer / 'site-packages/two.py').exists())
        self.assertTrue(list((self.layer / 'site-packages/__pycache__').glob('one.*.pyc')))

    def test_another_file_than_the_locked_one(self):
        self.wheel('one', '1.0')
        error = self.run_task('fetch', lock='one==1.0 --hash=sha256:' + '0' * 64 + '\n')['error']
        self.assertEqual(('hash_differs', 'one'), (error['kind'], error['name']))

    def test_wheels_of_the_function(self):
        self.wheel('one', '1.0')
        self.assertEqual({}, self.run_task('install', wheels=str(self.links), requirements='', directory=str(self.layer)))
        self.assertTrue((self.layer / 'site-packages/one.py').exists())


try:
    import pip  # noqa: F401
except ImportError:
    Installing = unittest.skip('this interpreter has no pip')(Installing)

if __name__ == '__main__':
    unittest.main()
