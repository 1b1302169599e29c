"""Packages of functions in JavaScript and TypeScript, against a registry on this machine."""
import contextlib
import functools
import http.server
import io
import json
import pathlib
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest

from examples import FETCH_NODE
from platform_fixture import SOURCE, SystemTest

sys.path.insert(0, str(SOURCE / 'tests' / 'contract' / 'node_executor'))
from npm_registry import Registry  # noqa: E402

TOKEN = 'npm_secret9876543210'


def uses(name):
    return f'const it = require("{name}");\nfunction handler() {{ return it; }}\n'


def manifest(**dependencies):
    return json.dumps({'dependencies': dependencies}, indent=2)


class RegistryTest(SystemTest):
    """A platform whose operator has a registry of his own, with a token, in ~/.npmrc."""

    own_platform = True
    properties = {'build.network': 'host'}

    @classmethod
    def npmrc(cls):
        """Further lines of it."""
        return ''

    @classmethod
    def setUpClass(cls):
        if not shutil.which('npm'):
            raise unittest.SkipTest('there is no npm on this machine')
        cls.registry = Registry(TOKEN)
        cls.addClassCleanup(cls.registry.close)
        home = tempfile.mkdtemp(prefix='cloudfunction-home-')
        cls.addClassCleanup(shutil.rmtree, home)
        (pathlib.Path(home) / '.npmrc').write_text(
            f'registry={cls.registry.url}\n//{cls.registry.host}/:_authToken={TOKEN}\n{cls.npmrc()}')
        cls.environment = {'HOME': home, 'npm_config_registry': ''}
        cls.registry.add('left', '1.0.0', 'module.exports = "left 1";')
        cls.registry.add('left', '2.0.0', 'module.exports = "left 2";')
        cls.registry.add('right', '1.0.0', 'module.exports = "right, " + require("left");', dependencies={'left': '^1'})
        cls.registry.add('@scope/es', '1.2.3', 'export default "es";', type='module')
        super().setUpClass()

    def setUp(self):
        self.needs('node')

    def built(self, files=None, handler='handler', runtime='node', **fields):
        answer = self.create(runtime, handler=handler, **({'files': files} if files else {}), **fields)
        self.assertEqual(201, answer.status, answer)
        return answer.json['name']

    def log_of(self, name, version=1):
        return self.get(f'/api/v1/functions/{name}/versions/{version}/build-log').text

    def update(self, name, **fields):
        return self.call('PATCH', f'/api/v1/functions/{name}', fields)


class Install(RegistryTest):
    def test_dependencies_beside_code(self):
        name = self.built(code=uses('right'), dependencies=['right@1'])
        self.assertEqual('right, left 1', self.result(name))

    def test_a_package_json(self):
        name = self.built({'index.js': uses('right'), 'package.json': manifest(right='^1')})
        self.assertEqual('right, left 1', self.result(name))

    def test_versions_side_by_side(self):
        one = self.built({'index.js': uses('left'), 'package.json': manifest(left='1')})
        two = self.built({'index.js': uses('left'), 'package.json': manifest(left='2')})
        self.assertEqual(['left 1', 'left 2', 'left 1'], [self.result(name) for name in (one, two, one)])

    def test_modules(self):
        name = self.built({'index.mjs': 'import es from "@scope/es";\nexport const handler = () => es;\n',
                           'package.json': manifest(**{'@scope/es': '1'})})
        self.assertEqual('es', self.result(name))

    def test_the_lock_is_kept(self):
        self.registry.add('moving', '1.0.0', 'module.exports = 1;')
        name = self.built({'index.js': uses('moving'), 'package.json': manifest(moving='*')})
        self.registry.add('moving', '1.1.0', 'module.exports = 2;')
        asked = len(self.registry.requests)
        answer = self.update(name, files={'index.js': uses('moving') + '// changed\n',
                                          'package.json': manifest(moving='*')})
        self.assertEqual(200, answer.status, answer)
        self.assertEqual(2, answer.json['version'])
        self.assertEqual((1, asked), (self.result(name), len(self.registry.requests)))
        self.assertIn('the dependencies are installed already', self.log_of(name, 2))
        lock = self.get(f'/api/v1/functions/{name}/versions/2').json['locks']['package-lock.json']
        self.assertIn('"1.0.0"', lock)
        self.assertNotIn(self.registry.host, lock)

    def test_packages_under_files_need_no_network(self):
        asked = len(self.registry.requests)
        name = self.built({'index.js': uses('left'), 'package.json': manifest(left='1'),
                           'node_modules/left/index.js': 'module.exports = "brought along";'})
        self.assertEqual(('brought along', asked), (self.result(name), len(self.registry.requests)))

    def test_packages_under_files_lack_one_that_is_asked_for(self):
        answer = self.create('node', files={'index.js': uses('left'), 'node_modules/left/index.js': ''},
                             dependencies=['left', 'right'])
        document = self.assertProblem(answer, 422, 'build_failed')
        self.assertIn('it lacks right', document['detail'])

    def test_a_typescript_project(self):
        self.needs('typescript')
        name = self.built({
            'tsconfig.json': '{"compilerOptions": {"baseUrl": ".", "paths": {"@lib/*": ["lib/*"]}}}',
            'index.ts': 'import left from "left";\nimport { shout } from "@lib/shout";\n'
                        'export const handler = (e: { fail?: boolean }): string => shout(left, e.fail);\n',
            'lib/shout.ts': 'export function shout(s: string, fail = false): string {\n'
                            '    if (fail) throw new RangeError(s);\n    return s.toUpperCase();\n}\n',
            'package.json': manifest(left='1')}, runtime='typescript')
        self.assertEqual('LEFT 1', self.result(name))
        self.assertIn('lib/shout.ts:2:', self.error(name, {'fail': True})['stack'][0])

    def test_the_build_log_tells_what_is_fetched_and_no_secret(self):
        name = self.built({'index.js': uses('left'), 'package.json': manifest(left='1.0')})
        log = self.log_of(name)
        self.assertIn('left', log)
        for text in (log, self.get('/api/v1/runtimes').text, self.get('/api/health').text, self.platform.log()):
            self.assertNotIn(TOKEN, text)

    def test_what_is_missing_is_named_with_the_line_that_adds_it(self):
        answer = self.create('node', uses('left/sub'))
        document = answer.json if answer.status == 422 else self.error(answer.json['name'])
        self.assertIn('"dependencies": ["left"]', document['hint'])


class Repository:
    """Stands for codeload.github.com, as the proxy that the way there leads through: any archive is that of one package."""

    def __init__(self, folder, package):
        key, certificate = str(folder / 'key.pem'), str(folder / 'certificate.pem')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, '-days', '2',
                        '-subj', '/CN=codeload.github.com'], check=True, stderr=subprocess.DEVNULL)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode='w:gz') as archive:
            entry = tarfile.TarInfo('repository/package.json')
            entry.size = len(package)
            archive.addfile(entry, io.BytesIO(package.encode()))
        self.asked = []
        repository = self

        class Handler(socketserver.StreamRequestHandler):
            def head(self, stream):
                lines = list(iter(stream.readline, b'\r\n'))
                repository.asked.append(lines[0].decode())

            def handle(self):
                self.head(self.rfile)
                self.wfile.write(b'HTTP/1.1 200 OK\r\n\r\n')
                with contextlib.suppress(OSError), context.wrap_socket(self.connection, server_side=True) as secured:
                    self.head(secured.makefile('rb'))
                    secured.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s'
                                    % (len(packed.getvalue()), packed.getvalue()))
        self.server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Repositories(RegistryTest):
    @classmethod
    def npmrc(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix='cloudfunction-repository-'))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.repository = Repository(folder, json.dumps({'name': 'inner', 'version': '1.0.0', 'scripts': {
            'prepare': 'echo "prepare runs" >&2; exit 1'}}))
        cls.addClassCleanup(cls.repository.close)
        return f'https-proxy=http://127.0.0.1:{cls.repository.server.server_address[1]}\nnoproxy=127.0.0.1\nstrict-ssl=false\n'

    def test_scripts_of_one_do_not_run_beside_the_tokens(self):
        """Of a whole commit npm gets the archive without git, and prepares it with programs that it starts."""
        self.registry.add('outer', '1.0.0', '', dependencies={'inner': 'github:someone/inner#' + '0123456789' * 4})
        document = self.assertProblem(self.create('node', uses('outer'), dependencies=['outer']), 422, 'build_failed')
        self.assertIn('/someone/inner/tar.gz/', str(self.repository.asked))
        self.assertIn('git repository', document['detail'])
        self.assertNotIn('prepare runs', str(document))


class Refusals(RegistryTest):
    def failed(self, files, word):
        answer = self.create('node', files=files)
        self.assertEqual(422, answer.status, answer)
        self.assertIn(word, answer.json['detail'] + json.dumps(answer.json.get('errors', '')))
        self.assertNotIn(TOKEN, answer.text)
        return answer.json

    def test_no_such_package(self):
        document = self.failed({'index.js': uses('nosuch'), 'package.json': manifest(left='1', nosuch='1')}, 'nosuch')
        self.assertEqual(('package.json', 4), tuple(document['errors'][0][k] for k in ('file', 'line')), document)

    def test_no_such_version(self):
        document = self.failed({'index.js': uses('left'), 'package.json': manifest(left='99')}, '99')
        self.assertEqual(('package.json', 3), tuple(document['errors'][0][k] for k in ('file', 'line')), document)

    def test_another_archive_than_locked(self):
        self.registry.add('changing', '1.0.0', 'module.exports = 1;')
        package = manifest(changing='1')
        name = self.built({'index.js': uses('changing'), 'package.json': package})
        lock = self.get(f'/api/v1/functions/{name}/versions/1').json['locks']['package-lock.json']
        self.registry.corrupt('changing', '1.0.0')
        # The extra entry makes it a layer that nobody has yet.
        lock = json.loads(lock)
        lock['packages']['node_modules/changing']['funding'] = {'url': 'https://example.org'}
        self.failed({'index.js': uses('changing'), 'package.json': package, 'package-lock.json': json.dumps(lock)},
                    'changing is not what the lock file says')

    def test_entries_that_make_no_sense(self):
        for entry in ('https://example.org/x.tgz', '../x', 'a b', 'x@git+https://example.org/y'):
            with self.subTest(entry):
                answer = self.create('node', uses('x'), dependencies=['left@1', entry])
                self.assertEqual(422, answer.status, answer)
                self.assertIn(entry, answer.text)

    def test_install_scripts_get_nothing(self):
        """One that looks for the machine's files, the platform, its database, secrets and a way out."""
        files = ['/etc/shadow', '/root/.npmrc', self.environment['HOME'] + '/.npmrc']
        files += [str(path) for path in self.platform.files(self.platform.data) if path.suffix != '.log']
        self.assertTrue([path for path in files if '.db' in path or 'sqlite' in path], files)
        source = '''
            const fs = require("fs"), net = require("net"), path = require("path"), got = {};
            const secret = PARTS.join("");
            const take = (what, look) => { try { got[what] = String(look()).slice(0, 200); } catch (_) { } };
            for (const file of FILES) take(file, () => fs.readFileSync(file));
            for (const folder of [HOME, "/root", "/home", "/sys/fs/cgroup"]) take(folder, () => fs.readdirSync(folder));
            take("write", () => { fs.writeFileSync(process.env.INIT_CWD + "/../../../planted", ""); return "written"; });
            take("others", () => fs.readdirSync("/proc").filter((n) => /^\\d+$/.test(n)).length > 20 ? "machine" : undefined.x);
            const environment = JSON.stringify(process.env);
            if (environment.includes(secret) || PORTS.some((port) => environment.includes(":" + port))) got.environment = 1;
            const walk = (f) => fs.readdirSync(f, { withFileTypes: true }).forEach((e) => {
              const file = f + "/" + e.name;
              if (e.isDirectory()) walk(file);
              else if (fs.readFileSync(file, "latin1").includes(secret)) got[file] = "secret";
            });
            for (let f = process.cwd(); f !== "/" && f !== "/tmp"; f = path.dirname(f)) { try { walk(f); } catch (_) { } }
            let open = PORTS.length;
            const done = () => { if (--open === 0) fs.writeFileSync("made.json", JSON.stringify(got)); };
            for (const port of PORTS) net.connect(port, "127.0.0.1")
              .on("connect", function () { got["port " + port] = "reached"; this.destroy(); done(); }).on("error", done);
        '''
        for name, value in (('FILES', files), ('HOME', self.environment['HOME']), ('PARTS', [TOKEN[:9], TOKEN[9:]]),
                            ('PORTS', [self.platform.port, self.registry.server.server_port])):
            source = source.replace(name, json.dumps(value))
        self.registry.add('hostile', '1.0.0', 'module.exports = require("./made.json");', {'make.js': source},
                          scripts={'install': 'node make.js'})
        name = self.built({'index.js': uses('hostile'), 'package.json': manifest(hostile='1')})
        self.assertEqual({}, self.result(name))

    def test_an_install_script_that_fails(self):
        self.registry.add('broken', '1.0.0', '', {'make.js': 'console.log("no luck"); process.exit(4);'},
                          scripts={'postinstall': 'node make.js'})
        document = self.failed({'index.js': uses('broken'), 'package.json': manifest(broken='1')}, 'no luck')
        self.assertIn('broken', document['detail'])


class Sharing(RegistryTest):
    """Equal locks share a layer: nobody may decide for others what lies in it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.evil = Registry()
        cls.addClassCleanup(cls.evil.close)
        cls.registry.add('shared', '1.0.0', 'module.exports = "real";')
        cls.evil.add('shared', '1.0.0', 'module.exports = "evil";')

    def files(self, lock=None, evil=False):
        files = {'index.js': uses('shared'), 'package.json': manifest(shared='1')}
        if lock:
            files['package-lock.json'] = json.dumps(
                {'lockfileVersion': 3, 'packages': {'': {'dependencies': {'shared': '1'}}, 'node_modules/shared': lock}},
                indent=1)
        if evil:
            files['.npmrc'] = f'registry={self.evil.url}\n'
        return files

    def test_a_lock_without_checksums_is_refused(self):
        for evil in True, False:
            answer = self.create('node', files=self.files({'version': '1.0.0'}, evil))
            document = self.assertProblem(answer, 422, 'build_failed')
            self.assertIn('node_modules/shared has no checksum', document['detail'])
            self.assertIn('npm install --package-lock-only', document['hint'])
            self.assertEqual(('package-lock.json', 9), tuple(document['errors'][0][k] for k in ('file', 'line')))

    def test_a_registry_of_ones_own_is_nobody_elses(self):
        self.assertEqual('evil', self.result(self.built(self.files(evil=True))), 'its own choice')
        self.assertEqual('real', self.result(self.built(self.files())))

    def test_other_bytes_for_a_locked_package(self):
        dist = self.registry.packages['shared']['1.0.0']['dist']
        lock = {'version': '1.0.0', 'integrity': dist['integrity']}
        answer = self.create('node', files=self.files(lock, evil=True))
        self.assertIn('shared is not what the lock file says', self.assertProblem(answer, 422, 'build_failed')['detail'])
        self.assertEqual('real', self.result(self.built(self.files(lock))))


class Silent(RegistryTest):
    """A registry that takes connections and says nothing."""

    properties = {**RegistryTest.properties, 'executor.node.registry_timeout': 3}

    def test_it_is_named_and_an_old_lock_helps(self):
        self.registry.add('quiet', '1.0.0', 'module.exports = 1;')
        files = {'index.js': uses('quiet'), 'package.json': manifest(quiet='1')}
        name = self.built(files)
        self.registry.open.clear()
        self.addCleanup(self.registry.open.set)
        answer = self.update(name, locks=None)
        self.assertEqual(200, answer.status, answer)
        self.assertIn(f'the package registry {self.registry.host} does not answer', self.log_of(name, 2))
        answer = self.create('node', files={**files, 'package.json': manifest(quiet='1', left='1')})
        document = self.assertProblem(answer, 422, 'build_failed')
        self.assertIn(f'the package registry {self.registry.host} does not answer', document['detail'])
        self.assertIn('executor.node.registry_timeout', document['hint'])


class Offline(RegistryTest):
    def test_a_registry_that_is_gone(self):
        self.registry.add('fleeting', '1.0.0', 'module.exports = 1;')
        files = {'index.js': uses('fleeting'), 'package.json': manifest(fleeting='1')}
        name = self.built(files)
        self.registry.close()
        answer = self.update(name, files={**files, 'index.js': files['index.js'] + '// again\n'})
        self.assertEqual(200, answer.status, answer)
        self.assertEqual(1, self.result(name), 'its own lock and layer are there')
        self.assertEqual(1, self.result(self.built(files)), 'another function with the same packages')
        answer = self.create('node', files={**files, 'package.json': manifest(other='1')})
        self.assertGreaterEqual(answer.status, 400)
        self.assertIn('build.network', answer.json['hint'])


@functools.lru_cache(maxsize=1)
def why_no_registry():
    if not shutil.which('npm'):
        return 'there is no npm on this machine'
    try:
        done = subprocess.run(['npm', 'view', 'axios@1', 'version', '--loglevel=error', '--fetch-retries=0'],
                              capture_output=True, timeout=20, cwd='/')
    except subprocess.TimeoutExpired:
        return 'the public registry does not answer in 20 s'
    return '' if done.returncode == 0 else 'the public registry does not answer'


def own_address():
    """This machine's address as others see it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(('198.51.100.1', 9))
        except OSError:
            return '127.0.0.1'
        return s.getsockname()[0]


class FetchData(SystemTest):
    """The example that everybody tries first, with the real package, against a server on this machine."""

    own_platform = True

    @classmethod
    def setUpClass(cls):
        if why_no_registry():
            raise unittest.SkipTest(why_no_registry())

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header('Content-Type', 'application/json')
                self.end_headers()
                self.wfile.write(b'{"fetched": true}')

            def log_message(self, *_):
                pass

        cls.server = http.server.ThreadingHTTPServer(('0.0.0.0', 0), Handler)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)
        cls.address = f'{own_address()}:{cls.server.server_port}'
        cls.properties = {'build.network': 'host', 'sandbox.network.allow': cls.address}
        super().setUpClass()

    def setUp(self):
        self.needs('node')

    def needs_a_way_out(self):
        for layer in self.get('/api/health').json['sandbox']['layers']:
            if layer['name'] == 'outbound_network' and not layer['active']:
                self.skipTest('functions have no network here: ' + layer['detail'])

    def fetcher(self, **fields):
        code = FETCH_NODE.replace('https://api.example.com/data', f'http://{self.address}/data')
        self.assertIn(self.address, code)
        return self.function('node', code, 'fetchData', dependencies=['axios@1'], **fields)

    def test_it_fetches(self):
        self.needs_a_way_out()
        self.assertEqual({'success': True, 'data': {'fetched': True}}, self.result(self.fetcher(), {}))

    def test_as_a_module(self):
        self.needs_a_way_out()
        name = self.function('node', f'import axios from "axios";\nexport async function handler() {{\n'
                                     f'    return (await axios.get("http://{self.address}/data")).data;\n}}\n',
                             dependencies=['axios@1'])
        self.assertEqual({'fetched': True}, self.result(name))

    def test_without_a_network_it_says_so_itself(self):
        result = self.result(self.fetcher(network={'mode': 'none'}), {})
        self.assertFalse(result['success'])
        self.assertTrue(result['error'])


if __name__ == '__main__':
    unittest.main()
