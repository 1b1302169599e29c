"""The parts of plugins/python/packages that need no network: pip's failures in words, the operator's settings, and real
installs out of a folder. On the interpreter that runs the tests."""
import functools
import hashlib
import http.server
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'protocol'))
from python_shim import interpreters  # noqa: E402

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


def pythons():
    """With pip; CLOUDFUNCTION_PYTHONS=all names those of all versions."""
    for _, path in sorted(interpreters().items()):
        if subprocess.run([path, '-I', '-m', 'pip', '--version'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            yield path


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class PackagesTest(unittest.TestCase):
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

    python = sys.executable

    def run_task(self, task, **fields):
        environment = {'PATH': '/usr/bin:/bin', 'HOME': str(self.folder), 'TMPDIR': str(self.folder / 'tmp'),
                       'PIP_CONFIG_FILE': os.devnull, 'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': str(self.links)}
        request = json.dumps({'task': task, 'folder': str(self.folder), **fields})
        done = subprocess.run([self.python, '-I', '-B', str(FOLDER / 'packages.py')], input=request.encode(),
                              env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        answer = json.loads((self.folder / 'answer.json').read_text())
        self.assertEqual('error' in answer, done.returncode != 0, done.stdout)
        return answer


class Installing(PackagesTest):
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

    def test_a_wheel_stands_for_the_archive_that_it_was_made_of_alone(self):
        self.wheel('one', '1.0')
        file, (archive, other) = 'one-1.0-py3-none-any.whl', ('a' * 64, 'b' * 64)
        (self.folder / 'built').mkdir()
        (self.links / file).rename(self.folder / 'built' / file)
        lock = f'one==1.0 --hash=sha256:{archive}  # source\n'
        for built in {}, {file: other}:
            answer = self.run_task('install', lock=lock, directory=str(self.layer), built=built)
            self.assertEqual('hash_differs', answer['error']['kind'], answer)
            self.assertNotEqual(lock, self.run_task('resolve', requirements='one\n', built=built)['lock'])
        self.assertEqual(lock, self.run_task('resolve', requirements='one\n', built={file: archive})['lock'])
        self.assertEqual({}, self.run_task('install', lock=lock, directory=str(self.layer), built={file: archive}))

    def test_wheels_of_the_function(self):
        self.wheel('one', '1.0')
        self.assertEqual({}, self.run_task('install', wheels=str(self.links), requirements='', directory=str(self.layer)))
        self.assertTrue((self.layer / 'site-packages/one.py').exists())


class Addresses(PackagesTest):
    """Packages whose metadata name an address, from which pip would build them: their code runs nowhere but in `build`."""

    BACKEND = """
open(%r, 'w').close()
def get_requires_for_build_wheel(settings=None): return []
def prepare_metadata_for_build_wheel(folder, settings=None):
    import os
    os.mkdir(folder + '/inner-1.0.dist-info')
    with open(folder + '/inner-1.0.dist-info/METADATA', 'w') as file:
        file.write('Metadata-Version: 2.1\\nName: inner\\nVersion: 1.0\\n')
    return 'inner-1.0.dist-info'
"""
    SETUP = "open(%r, 'w').close()\nfrom distutils.core import setup\nsetup(name='inner', version='1.0')\n"

    def setUp(self):
        super().setUp()
        self.ran = self.folder.parent / 'ran'
        self.sources = self.folder.parent / 'sources'
        modern = {'backend.py': self.BACKEND % str(self.ran),
                  'pyproject.toml': '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'}
        legacy = {'setup.py': self.SETUP % str(self.ran)}
        for kind, files in (('modern', modern), ('legacy', legacy)):
            folder = self.sources / kind / 'inner-1.0'
            folder.mkdir(parents=True)
            for name, text in {**files, 'PKG-INFO': 'Metadata-Version: 1.0\nName: inner\nVersion: 1.0\n'}.items():
                (folder / name).write_text(text)
            for form in ('gztar', 'zip'):
                shutil.make_archive(str(folder), form, folder.parent, folder.name)
        for command in (['init', '-q'], ['add', '.'], ['-c', 'user.name=x', '-c', 'user.email=x', 'commit', '-q', '-m', 'x'],
                        ['update-server-info']) if shutil.which('git') else ():
            subprocess.run(['git', '-C', str(self.sources / 'legacy/inner-1.0'), *command], check=True)
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(self.sources)))
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.http = f'http://127.0.0.1:{server.server_port}'

    def addresses(self):
        yield f'{self.http}/modern/inner-1.0.tar.gz'
        yield f'{self.http}/legacy/inner-1.0.zip'
        yield f'file://{self.sources}/legacy/inner-1.0'
        if shutil.which('git'):
            yield f'git+{self.http}/legacy/inner-1.0/.git'

    def assert_refused(self, answer, name='inner'):
        self.assertFalse(self.ran.exists(), 'code of a package ran')
        self.assertEqual(('own_address', name), (answer['error']['kind'], answer['error']['name']), answer)

    def everywhere(self, addresses):
        """Each with each Python, in a folder without traces of the one before."""
        for self.python in pythons():
            for address in addresses:
                for folder in ('wheels', 'built', 'sdists', 'builders'):
                    shutil.rmtree(self.folder / folder, ignore_errors=True)
                self.wheel('outer', '1.0', f'Requires-Dist: inner @ {address}\n')
                yield self.subTest(python=self.python, address=address), '' if address.startswith('file:') else 'inner'

    def test_none_is_built_while_versions_are_chosen(self):
        for case, name in self.everywhere(self.addresses()):
            with case:
                self.assert_refused(self.run_task('resolve', requirements='outer\n'), name)

    def test_none_is_built_for_build_tools(self):
        folder = self.sources / 'odd-1.0'
        folder.mkdir()
        (folder / 'pyproject.toml').write_text('[build-system]\nrequires = ["outer"]\nbuild-backend = "outer"\n')
        (folder / 'PKG-INFO').write_text('Metadata-Version: 1.0\nName: odd\nVersion: 1.0\n')
        shutil.make_archive(str(self.links / 'odd-1.0'), 'gztar', self.sources, 'odd-1.0')
        for case, name in self.everywhere([f'{self.http}/modern/inner-1.0.tar.gz']):
            with case:
                self.assert_refused(self.run_task('sdist', requirement='odd'), name)

    def test_the_archive_is_kept_and_nothing_else(self):
        folder = self.sources / 'many-1.0'
        (folder / 'pip-unpack-1').mkdir(parents=True)
        shutil.copy(self.sources / 'modern/inner-1.0.tar.gz', folder / 'pip-unpack-1/a-1.0.tar.gz')
        for name in 'backend.py', 'pyproject.toml', 'PKG-INFO':
            text = (self.sources / 'modern/inner-1.0' / name).read_text()
            (folder / name).write_text(text.replace('requires = []', 'requires = ["outer"]').replace('Name: inner', 'Name: many'))
        archive = shutil.make_archive(str(self.sources / 'many-1.0'), 'gztar', self.sources, 'many-1.0')
        (self.sources / 'index.html').write_text('<a href="many-1.0.tar.gz">many-1.0.tar.gz</a>')
        for self.python in pythons():
            with self.subTest(python=self.python):
                shutil.rmtree(self.folder / 'builders', ignore_errors=True)
                self.wheel('outer', '1.0')
                answer = self.run_task('sdist', requirement='many', options=[f'--find-links {self.http}/index.html'])
                self.assertFalse(self.ran.exists(), 'code of a package ran')
                self.assertEqual(['many-1.0.tar.gz'], os.listdir(self.folder / 'sdists'))
                self.assertEqual({'file': 'many-1.0.tar.gz', 'sha256': hashlib.sha256(pathlib.Path(archive).read_bytes()).hexdigest()}, answer)
                self.assertEqual(['outer-1.0-py3-none-any.whl'], os.listdir(self.folder / 'builders'))

    def test_none_is_built_for_wheels_of_the_function(self):
        for case, name in self.everywhere([f'file://{self.sources}/legacy/inner-1.0']):
            with case:
                self.assert_refused(self.run_task('install', wheels=str(self.links), requirements='outer\n',
                                                  directory=str(self.layer)), name)

    PROGRAMS = """
import asyncio, multiprocessing, os, pty, subprocess, sys
sys.path.append(%r)
import no_processes
no_processes.close_ways()
async def asynchronously():
    await asyncio.create_subprocess_exec('true')
ways = [lambda: subprocess.run(['true']), lambda: subprocess.run(['true'], close_fds=False), lambda: os.popen('true'),
        lambda: subprocess.check_output('true', shell=True), lambda: os.system('true'), os.fork, os.forkpty,
        lambda: os.execvp('true', ['true']), lambda: os.spawnvp(os.P_WAIT, 'true', ['true']), lambda: pty.spawn('true'),
        lambda: multiprocessing.get_context('fork').Process().start(),
        lambda: multiprocessing.get_context('spawn').Process().start(),
        lambda: asyncio.new_event_loop().run_until_complete(asynchronously())]
if hasattr(os, 'posix_spawn'):
    ways += [lambda: os.posix_spawn('/bin/true', ['true'], {}), lambda: os.posix_spawnp('true', ['true'], {})]
for number, way in enumerate(ways):
    try:
        way()
        print('way', number, 'is open')
    except OSError as error:
        if error.strerror != no_processes.REFUSED:
            raise
"""

    def test_no_way_to_start_a_program_is_left(self):
        for python in pythons():
            with self.subTest(python=python):
                done = subprocess.run([python, '-I', '-B', '-W', 'ignore', '-c', self.PROGRAMS % str(FOLDER)],
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertEqual((0, b''), (done.returncode, done.stdout))


try:
    import pip  # noqa: F401
except ImportError:
    Installing = unittest.skip('this interpreter has no pip')(Installing)

if __name__ == '__main__':
    unittest.main()
