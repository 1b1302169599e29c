"""A package index (PEP 503) for tests, the packages in it, and a platform that installs from it."""
import base64
import contextlib
import hashlib
import http.server
import io
import os
import re
import tarfile
import threading
import zipfile

from platform_fixture import SystemTest

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
