"""A registry for npm on this machine: what tests put into it, over real HTTP.

    registry = Registry()
    registry.add('left', '1.0.0', 'module.exports = 1;')
    ... npm_config_registry=registry.url ...
    registry.close()

    with silence() as url:      # a server that takes connections and never says anything
        ...
"""
import base64
import contextlib
import hashlib
import http.server
import io
import json
import socket
import tarfile
import threading
import urllib.parse


@contextlib.contextmanager
def silence():
    """The kernel completes connections that nobody accepts; requests lie there unread."""
    with socket.create_server(('127.0.0.1', 0), backlog=128) as server:
        yield 'http://127.0.0.1:%d/' % server.getsockname()[1]


class Registry:
    def __init__(self, token=None):
        """With a `token` every request has to bring it."""
        self.token, self.packages, self.archives, self.requests = token, {}, {}, []
        self.open = threading.Event()  # clear it, and answers wait
        self.open.set()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
                registry.requests.append(path)
                registry.open.wait(60)
                if registry.token and self.headers.get('Authorization') != 'Bearer ' + registry.token:
                    return self.answer(401, b'{"error":"a token is needed"}')
                if path[1:] in registry.packages:
                    return self.answer(200, json.dumps(registry.packument(path[1:])).encode())
                if path in registry.archives:
                    return self.answer(200, registry.archives[path], 'application/octet-stream')
                return self.answer(404, b'{"error":"Not found"}')

            def do_POST(self):
                self.answer(404, b'{}')

            def answer(self, status, body, kind='application/json'):
                with contextlib.suppress(ConnectionError):  # who waited may have gone
                    self.send_response(status)
                    self.send_header('Content-Type', kind)
                    self.send_header('Content-Length', str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.host = '127.0.0.1:%d' % self.server.server_port
        self.url = f'http://{self.host}/'
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.open.set()
        self.server.shutdown()
        self.server.server_close()

    def add(self, name, version, source='', files=None, **package):
        """Publishes a package whose index.js is `source`; `package` goes into its package.json."""
        package = {'name': name, 'version': version, **package}
        content = {'package.json': json.dumps(package), 'index.js': source, **(files or {})}
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode='w:gz') as archive:
            for path, text in content.items():
                info = tarfile.TarInfo('package/' + path)
                info.size, info.mode = len(text.encode()), 0o755 if path.endswith('.sh') else 0o644
                archive.addfile(info, io.BytesIO(text.encode()))
        path = f'/{name}/-/{name.rpartition("/")[2]}-{version}.tgz'
        self.archives[path] = buffer.getvalue()
        scripts = package.get('scripts', {})
        digest = hashlib.sha512(buffer.getvalue()).digest()
        self.packages.setdefault(name, {})[version] = {
            **package, 'dist': {'tarball': self.url + path[1:],
                                'integrity': 'sha512-' + base64.b64encode(digest).decode()},
            **({'hasInstallScript': True} if {'preinstall', 'install', 'postinstall'} & set(scripts) else {})}

    def corrupt(self, name, version):
        """Replaces the archive by another one; what the registry says of it stays."""
        old = self.packages[name][version]
        self.add(name, version, '"somebody else wrote this";')
        self.packages[name][version] = old

    def packument(self, name):
        versions = self.packages[name]
        return {'name': name, 'dist-tags': {'latest': list(versions)[-1]}, 'versions': versions,
                'modified': '2020-01-01T00:00:00.000Z'}
