"""A Go module proxy with modules made by the test, over HTTP (go.dev/ref/mod, "GOPROXY protocol").

    proxy = GoProxy()
    proxy.add('example.com/greeting', 'v1.0.0', {'greeting.go': 'package greeting\n...'})
    ... GOPROXY=proxy.url GONOSUMDB=* ...
    proxy.close()
"""
import base64
import contextlib
import hashlib
import http.server
import io
import json
import re
import threading
import time
import urllib.parse
import zipfile


def escaped(path):
    """How addresses write capital letters."""
    return re.sub('[A-Z]', lambda match: '!' + match[0].lower(), path)


class GoProxy:
    def __init__(self):
        self.modules = {}   # (path, version) -> {file: bytes}
        self.asked = []     # paths, in order
        self.status = None  # answer everything with this
        self.open = threading.Event()  # clear it, and answers wait
        self.open.set()
        self.pace = 0       # seconds between the pieces of a zip
        self.tampered = set()  # (path, version) whose zip has one more file than its sum says
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                proxy.asked.append(self.path)
                proxy.open.wait(60)
                status, body = proxy.answer(urllib.parse.unquote(self.path).lstrip('/'))
                with contextlib.suppress(ConnectionError):  # who waited may have gone
                    self.send_response(status)
                    self.send_header('Content-Type', 'text/plain; charset=utf-8')
                    self.send_header('Content-Length', str(len(body)))
                    self.end_headers()
                    if not proxy.pace or not self.path.endswith('.zip'):
                        self.wfile.write(body)
                        return
                    for at in range(0, len(body), 4096):
                        self.wfile.write(body[at:at + 4096])
                        time.sleep(proxy.pace)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.url = f'http://127.0.0.1:{self.server.server_port}'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.open.set()
        self.server.shutdown()
        self.server.server_close()

    def add(self, path, version, files, requires=(), go='1.16'):
        """Publishes a version; `requires` are (path, version)."""
        files = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
        manifest = f'module {path}\n\ngo {go}\n' + ''.join(f'\nrequire {p} {v}\n' for p, v in requires)
        files.setdefault('go.mod', manifest.encode())
        self.modules[path, version] = files

    def answer(self, path):
        if self.status is not None:
            return self.status, b'the proxy is told to answer so\n'
        module, _, rest = path.rpartition('/@')
        versions = sorted(version for known, version in self.modules if escaped(known) == module)
        if not versions:
            return 404, b'not found: there is no such module\n'
        if rest == 'latest':
            return 200, self.info(versions[-1])
        if rest == 'v/list':
            return 200, ''.join(version + '\n' for version in versions).encode()
        version, _, kind = rest[2:].rpartition('.')
        name = next(known for known, _ in self.modules if escaped(known) == module)
        files = self.modules.get((name, version))
        if files is None:
            return 404, f'not found: {name}@{version}: invalid version: unknown revision {version}\n'.encode()
        if kind == 'info':
            return 200, self.info(version)
        if kind == 'mod':
            return 200, files['go.mod']
        return 200, self.zip(name, version)

    @staticmethod
    def info(version):
        return json.dumps({'Version': version, 'Time': '2020-01-01T00:00:00Z'}).encode()

    def zip(self, path, version):
        files = dict(self.modules[path, version])
        if (path, version) in self.tampered:
            files['tampered.go'] = files['go.mod']
        out = io.BytesIO()
        with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(files.items()):
                archive.writestr(f'{path}@{version}/{name}', content)
        return out.getvalue()

    def sums(self, *modules):
        """The lines of a go.sum for (path, version)s."""
        lines = []
        for path, version in modules:
            files = self.modules[path, version]
            lines.append(f'{path} {version} {h1({f"{path}@{version}/{name}": text for name, text in files.items()})}')
            lines.append(f'{path} {version}/go.mod {h1({"go.mod": files["go.mod"]})}')
        return ''.join(line + '\n' for line in lines)


def h1(files):
    """The sum of golang.org/x/mod/sumdb/dirhash."""
    text = ''.join(f'{hashlib.sha256(content).hexdigest()}  {name}\n' for name, content in sorted(files.items()))
    return 'h1:' + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
