"""Packages of Python functions: installed from an index that the test serves itself, locked, shared, and isolated."""
import base64
import functools
import hashlib
import http.server
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
import zipfile

from platform_fixture import SystemTest
from python_index import HANDLER, Index, IndexTest, module, wheel
from test_dependencies_node import own_address


class Installing(IndexTest):
    def test_requirements_with_what_they_need(self):
        self.index.add(module('greeting', '1.0', ['salutation>=1']), module('salutation', '1.4', extra='word = "Hello"\n'))
        name = self.made(self.with_requirements(
            'import greeting, salutation\ndef handler(event):\n    return [greeting.version, salutation.word]\n',
            '# what it needs\ngreeting==1.0\n'))
        self.assertEqual(['1.0', 'Hello'], self.result(name))
        lock = self.document_of(name)['locks']['requirements.lock']
        self.assertRegex(lock, r'(?m)^greeting==1\.0 --hash=sha256:[0-9a-f]{64}$')
        self.assertRegex(lock, r'(?m)^salutation==1\.4 --hash=sha256:[0-9a-f]{64}$')

    def test_dependencies_beside_the_code(self):
        self.index.add(module('sugar', '2.0'), module('sugar', '1.0'))
        name = self.function('python', HANDLER.format('sugar'), dependencies=['sugar<2'])
        self.assertEqual('1.0', self.result(name))

    def test_dependencies_that_make_no_sense(self):
        for wrong, words in (('sugar@1', 'sugar==1'), ('git+https://example.com/x', 'version control'),
                             ('https://example.com/x.whl', 'addresses'), ('../x', 'paths'), ('-r other.txt', 'option'),
                             ('sugar=1', 'sugar==1')):
            with self.subTest(wrong):
                answer = self.create('python', HANDLER.format('sugar'), dependencies=['fine', wrong])
                self.assertEqual(422, answer.status, answer)
                self.assertIn(words, answer.text)

    def test_two_functions_have_each_their_own_version(self):
        self.index.add(module('conflicted', '1.0'), module('conflicted', '2.0'))
        names = [self.made(self.with_requirements(HANDLER.format('conflicted'), f'conflicted=={version}\n'))
                 for version in ('1.0', '2.0')]
        self.assertEqual(['1.0', '2.0'], [self.result(name) for name in names])
        self.assertEqual(['1.0', '2.0'], [self.result(name) for name in names])

    def test_what_is_installed_is_asked_for_once(self):
        self.index.add(module('shared', '1.0'))
        self.made(self.with_requirements(HANDLER.format('shared'), 'shared\n'))
        self.index.asked.clear()
        name = self.made(self.with_requirements('# another\n' + HANDLER.format('shared'), 'shared\n'))
        self.assertEqual('1.0', self.result(name))
        self.assertEqual([], self.index.asked)

    def test_code_alone_changes_and_the_lock_stays(self):
        self.index.add(module('steady', '1.0'))
        code = HANDLER.format('steady')
        name = self.made(self.with_requirements(code, 'steady\n'))
        self.index.add(module('steady', '1.1'))
        self.index.asked.clear()
        answer = self.call('PATCH', f'/api/v1/functions/{name}',
                           {'files': {'main.py': code + '# changed\n', 'requirements.txt': 'steady\n'}})
        self.assertEqual(200, answer.status, answer)
        self.assertEqual('1.0', self.result(name))
        self.assertEqual([], self.index.asked)
        self.assertEqual(self.document_of(name, 1)['locks'], self.document_of(name, 2)['locks'])

    def test_pyproject(self):
        self.index.add(module('projected', '3.1'))
        project = '[build-system]\nrequires = ["hatchling"]\n[project]\nname = "x"\ndependencies = [\n  "projected>=3",  # why\n]\n'
        name = self.made(self.create('python', files={'main.py': HANDLER.format('projected'), 'pyproject.toml': project}))
        self.assertEqual('3.1', self.result(name))

    def test_included_files_and_constraints(self):
        self.index.add(module('included', '1.0'), module('included', '2.0'))
        name = self.made(self.with_requirements(HANDLER.format('included'), '-r parts/base.txt\n-c limits.txt\n', **{
            'parts/base.txt': 'included \\\n  >= 1\n', 'limits.txt': 'included<2\n'}))
        self.assertEqual('1.0', self.result(name))

    def test_lock_of_the_user(self):
        file, data = module('pinned', '1.0')
        self.index.add((file, data), module('pinned', '2.0'))
        lock = f'pinned==1.0 --hash=sha256:{hashlib.sha256(data).hexdigest()}\n'
        name = self.made(self.with_requirements(HANDLER.format('pinned'), 'pinned\n', **{'requirements.lock': lock}))
        self.assertEqual('1.0', self.result(name))
        answer = self.with_requirements(HANDLER.format('pinned'), 'pinned\nmissing\n', **{'requirements.lock': lock})
        self.assertEqual(422, answer.status, answer)
        self.assertIn('missing is not in requirements.lock', answer.text)

    def test_namespace_packages_and_path_files(self):
        self.index.add(wheel('space-one', '1.0', {'space/one.py': 'value = 1\n', 'evil.pth': 'import os; os.environ["PTH"] = "ran"\n'}),
                       wheel('space-two', '1.0', {'space/two.py': 'value = 2\n'}))
        name = self.made(self.with_requirements(
            'import os\nfrom space import one, two\ndef handler(event):\n    return [one.value, two.value, os.environ.get("PTH")]\n',
            'space-one\nspace_two\n'))
        self.assertEqual([1, 2, None], self.result(name))

    def test_own_files_and_the_standard_library_come_first(self):
        self.index.add(wheel('shadow', '1.0', {'helper.py': 'origin = "package"\n', 'statistics.py': 'origin = "package"\n'}))
        name = self.made(self.with_requirements(
            'import helper, statistics\ndef handler(event):\n    return [helper.origin, hasattr(statistics, "mean")]\n',
            'shadow\n', **{'helper.py': 'origin = "own"\n'}))
        self.assertEqual(['own', True], self.result(name))

    def test_packages_are_compiled_and_read_only(self):
        self.index.add(module('compiled', '1.0'))
        name = self.made(self.with_requirements(
            'import compiled, os\ndef handler(event):\n'
            '    try:\n        open(os.path.dirname(compiled.__file__) + "/new", "w")\n        wrote = True\n'
            '    except OSError:\n        wrote = False\n    return [os.path.exists(compiled.__cached__), wrote]\n', 'compiled\n'))
        self.assertEqual([True, False], self.result(name))

    def test_errors_in_packages_have_the_functions_own_frames_only(self):
        self.index.add(wheel('raising', '1.0', {'raising.py': 'def fail():\n    raise ValueError("from inside")\n'}))
        name = self.made(self.with_requirements('import raising\ndef handler(event):\n    raising.fail()\n', 'raising\n'))
        error = self.error(name)
        self.assertEqual(('ValueError', 'main.py', 3), (error['type'], error['file'], error['line']))
        self.assertNotIn('raising.py', str(error['stack']))

    def test_wheels_of_the_function_itself(self):
        files = {'main.py': HANDLER.format('vendored'), 'requirements.txt': 'vendored\n'}
        wheels = dict([module('vendored', '7.0', ['inner']), module('inner', '1.0')])
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, 'w') as target:
            for path, text in files.items():
                target.writestr(path, text)
            for path, data in wheels.items():
                target.writestr('wheels/' + path, data)
        self.index.asked.clear()
        document = {'name': self.unique(), 'runtime': 'python', 'handler': 'handler',
                    'files': {**files, **{'wheels/' + path: {'base64': base64.b64encode(data).decode()}
                                          for path, data in wheels.items()}}}
        self.addCleanup(self.delete, document['name'])
        answer = self.post('/api/v1/functions', document)
        self.assertEqual(201, answer.status, answer)
        self.assertEqual('7.0', self.result(document['name']))
        self.assertEqual([], self.index.asked)

    def test_wheels_of_the_function_itself_lack_one_that_is_asked_for(self):
        name, data = module('brought', '1.0')
        self.index.add(module('forgotten', '1.0'))
        answer = self.create('python', files={'main.py': HANDLER.format('brought'),
                                              'wheels/' + name: {'base64': base64.b64encode(data).decode()}},
                             dependencies=['brought', 'forgotten'])
        self.refused(answer, 'forgotten is not among the wheels in wheels/', 'leave wheels/ out')

    def test_large_wheels_of_the_function_itself(self):
        self.needs('python')
        name, data = wheel('weighty', '1.0', {'weighty/__init__.py': 'version = "1.0"\n', 'weighty/data': 'x' * 70_000_000})
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode='w:gz', compresslevel=1) as archive:
            for path, content in (('main.py', HANDLER.format('weighty').encode()), ('requirements.txt', b'weighty\n'),
                                  (f'wheels/{name}', data)):
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        function = self.unique()
        self.addCleanup(self.delete, function)
        answer = self.call('PUT', f'/api/v1/functions/{function}/archive?runtime=python&handler=main.handler',
                           packed.getvalue(), {'Content-Type': 'application/gzip'})
        self.assertEqual(201, answer.status, answer)
        self.assertEqual('1.0', self.result(function))

    def test_packages_as_plain_folders(self):
        self.index.asked.clear()
        name = self.made(self.create('python', files={
            'main.py': HANDLER.format('plain'), 'plain/__init__.py': 'from .inner import version\n',
            'plain/inner.py': 'version = "0.1"\n'}))
        self.assertEqual('0.1', self.result(name))
        self.assertEqual([], self.index.asked)

    def test_missing_module_says_what_to_add(self):
        error = self.error(self.function('python', 'def handler(event):\n    import yaml\n'))
        self.assertEqual('ModuleNotFoundError', error['type'])
        self.assertIn('"dependencies": ["PyYAML"]', error['hint'])

    def test_index_that_is_gone(self):
        self.index.add(module('lasting', '1.0'))
        self.made(self.with_requirements(HANDLER.format('lasting'), 'lasting\n'))
        self.index.failing = True
        name = self.made(self.with_requirements('# again\n' + HANDLER.format('lasting'), 'lasting\n'))
        self.assertEqual('1.0', self.result(name))
        answer = self.with_requirements(HANDLER.format('lasting'), 'lasting>=1\n')
        self.refused(answer, 'the package index', '127.0.0.1')


class Sharing(IndexTest):
    """Equal locks share a folder of packages: nobody may decide for others what lies in it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.evil = Index()
        cls.addClassCleanup(cls.evil.close)
        cls.index.add(module('wanted', '1.0', extra='origin = "real"\n'))
        cls.evil.add(module('wanted', '1.0', extra='origin = "evil"\n'))

    CODE = 'import wanted\ndef handler(event):\n    return wanted.origin\n'

    def test_an_index_of_ones_own_is_nobody_elses(self):
        attacker = self.made(self.with_requirements(self.CODE, f'--index-url {self.evil.url()}\nwanted==1.0\n'))
        self.assertEqual('evil', self.result(attacker), 'its own choice')
        self.assertEqual('real', self.result(self.made(self.with_requirements(self.CODE, 'wanted==1.0\n'))))

    def test_a_lock_without_hashes_is_refused(self):
        for index in f'--index-url {self.evil.url()}\n', '':
            answer = self.with_requirements(self.CODE, 'wanted\n', **{'requirements.lock': index + 'wanted==1.0\n'})
            self.assertEqual(422, answer.status, answer)
            self.assertIn('--hash=sha256', answer.text)

    def test_other_bytes_for_a_locked_package(self):
        (_, data), = self.index.packages['wanted'].items()
        locked = f'wanted==1.0 --hash=sha256:{hashlib.sha256(data).hexdigest()}\n'
        answer = self.with_requirements(self.CODE, 'wanted\n',
                                        **{'requirements.lock': f'--index-url {self.evil.url()}\n{locked}'})
        self.refused(answer, 'is not the one that was asked for')
        name = self.made(self.with_requirements(self.CODE, 'wanted\n', **{'requirements.lock': locked}))
        self.assertEqual('real', self.result(name))

    def test_settings_of_pip_among_the_files_do_not_count(self):
        self.evil.asked.clear()
        settings = f'[global]\nindex-url = {self.evil.url()}\n'
        name = self.made(self.with_requirements(
            self.CODE, '--pre\nwanted==1.0\n', environment={'PIP_INDEX_URL': self.evil.url()},
            **{path: settings for path in ('pip.conf', '.pip/pip.conf', '.config/pip/pip.conf', 'pip.ini')}))
        self.assertEqual(('real', []), (self.result(name), self.evil.asked))


@functools.lru_cache(maxsize=1)
def why_no_index():
    """Why the package index that this machine uses cannot be used; empty: it answers."""
    with tempfile.TemporaryDirectory(prefix='cloudfunction-probe-') as folder:
        try:
            done = subprocess.run([sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '-d', folder, '--retries', '0',
                                   '--timeout', '10', 'six'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
        except subprocess.TimeoutExpired:
            return 'the package index does not answer in 60 s'
    said = done.stderr.decode(errors='replace').strip()
    return '' if done.returncode == 0 else f'the package index does not answer: {said.splitlines()[-1] if said else "pip failed"}'


class RealPackages(SystemTest):
    """From the package index that this machine uses, where it answers."""

    own_platform = True

    @classmethod
    def setUpClass(cls):
        if why_no_index():
            raise unittest.SkipTest(why_no_index())

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                got = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                body = json.dumps({'got': got, 'agent': self.headers['User-Agent'].partition('/')[0]}).encode()
                self.send_response(200)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        cls.server = http.server.ThreadingHTTPServer(('0.0.0.0', 0), Handler)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)
        cls.address = f'{own_address()}:{cls.server.server_port}'
        cls.properties = {'build.network': 'host', 'sandbox.network.allow': cls.address}
        super().setUpClass()

    def test_requests(self):
        """It fetches, from a server of the test."""
        for layer in self.get('/api/health').json['sandbox']['layers']:
            if layer['name'] == 'outbound_network' and not layer['active']:
                self.skipTest('functions have no network here: ' + layer['detail'])
        name = self.function('python', 'import requests\ndef handler(event):\n'
                             f'    return requests.post("http://{self.address}/data", json=event, timeout=10).json()\n',
                             dependencies=['requests'])
        self.assertEqual({'got': {'value': [1, 'two']}, 'agent': 'python-requests'}, self.result(name, {'value': [1, 'two']}))

    def test_numpy_within_the_default_memory(self):
        begun = time.monotonic()
        name = self.function('python', 'import numpy\ndef handler(event):\n'
                             '    return [float(numpy.mean(event)), float((numpy.ones((200, 200)) @ numpy.ones((200, 200)))[0, 0])]\n',
                             dependencies=['numpy'])
        self.assertEqual([2.0, 200.0], self.result(name, [1, 2, 3]), time.monotonic() - begun)

if __name__ == '__main__':
    unittest.main()
