"""What stands beside the platform in one run: each side answers the same POST, with the same work, over HTTP.

A side that cannot be had on this machine says why and is left out. All of them get two processes of user code where they can
have several, and the settings that their own documents give for speed.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'system'))
from platform_fixture import free_port, request, wait_until  # noqa: E402

WORKERS = 2


class Missing(Exception):
    """Why a side cannot be had here."""


class Side:
    """One server process while it is measured. Subclasses say which languages they serve and how they start."""

    name = ''
    languages = ()
    path = '/'

    def __init__(self, bench, language):
        self.language = language
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}{self.path}'
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f'{self.name}-', dir=bench.scratch))
        os.chmod(self.home, 0o755)
        with open(self.home / 'log', 'wb') as log:
            self.process = subprocess.Popen(self.command(bench), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.home, env={**os.environ, **self.environment()})
        try:
            wait_until(self.up, f'{self.name} to start')
            self.configure()
            wait_until(self.answers, f'{self.name} to answer')
        except BaseException as failure:
            self.stop()
            raise Missing(f'{failure}; its log: {(self.home / "log").read_text()[-1000:]}') from None

    def command(self, bench):
        raise NotImplementedError

    def environment(self):
        return {}

    def configure(self):
        pass

    def up(self):
        return True

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f'{self.name} ended with {self.process.returncode}')
        try:
            answer = request(self.url, 'POST', self.path, {'event': {'data': [1, 2, 3]}, 'context': {}}, timeout=5)
        except OSError:
            return False
        return answer.status == 200 and answer.json['result']['n'] == 3

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Probe(Side):
    """The ceiling: one epoll loop and two workers without a platform around them, from CLOUDFUNCTION_SHARED/bench."""

    name = 'probe'
    languages = ('python', 'node', 'go')
    path = '/api/v1/functions/x/invoke'

    def command(self, bench):
        folder = pathlib.Path(os.environ.get('CLOUDFUNCTION_SHARED', HERE.parents[2] / 'shared')) / 'bench'
        if not (folder / 'ceiling.cpp').exists():
            raise Missing(f'no ceiling.cpp in {folder}; CLOUDFUNCTION_SHARED names the folder above')
        binary = bench.compiled(folder / 'ceiling.cpp')
        command = {'python': lambda: [bench.interpreter('python'), '-I', '-S', str(folder / 'worker.py')],
                   'node': lambda: [bench.interpreter('node'), str(folder / 'worker.js')],
                   'go': lambda: [bench.compiled(folder / 'worker.go')]}[self.language]()
        return [binary, str(self.port), str(WORKERS), *command]


class Unit(Side):
    """NGINX Unit with a WSGI application; no access log, two processes, one thread each. Its Python also stands beside
    functions in JavaScript, as the fastest that Unit has."""

    name = 'unit'
    languages = ('python', 'node')
    application = '''
import json
def application(environ, start_response):
    body = json.loads(environ['wsgi.input'].read())
    data = body['event']['data']
    answer = json.dumps({'result': {'message': 'hello', 'n': len(data)}}).encode()
    start_response('200 OK', [('Content-Type', 'application/json'), ('Content-Length', str(len(answer)))])
    return [answer]
'''

    def command(self, bench):
        binary = bench.options.unit or shutil.which('unitd')
        if not binary:
            raise Missing('no unitd on PATH; --unit names one')
        modules = pathlib.Path(binary).resolve().parents[1] / 'lib/unit/modules'
        self.write(bench)
        (self.home / 'state').mkdir()
        return [str(binary), '--no-daemon', '--control', f'unix:{self.home}/control', '--pid', f'{self.home}/pid',
                '--log', f'{self.home}/log', '--statedir', f'{self.home}/state',
                *(['--modulesdir', str(modules)] if modules.is_dir() else [])]

    def write(self, bench):
        (self.home / 'app.py').write_text(self.application)
        self.kind = {'type': 'python', 'path': str(self.home), 'module': 'app'}

    def up(self):
        return (self.home / 'control').exists()

    def configure(self):
        settings = {'listeners': {f'127.0.0.1:{self.port}': {'pass': 'applications/hello'}},
                    'settings': {'http': {'log_route': False, 'max_body_size': 16 << 20}},
                    'applications': {'hello': {**self.kind, 'processes': WORKERS}}}
        done = subprocess.run(['curl', '-s', '-X', 'PUT', '--unix-socket', f'{self.home}/control', '-d',
                               json.dumps(settings), 'http://localhost/config'], stdout=subprocess.PIPE, check=True)
        if b'success' not in done.stdout:
            raise AssertionError(f'Unit refused its configuration: {done.stdout.decode()}')


class UnitNode(Unit):
    """NGINX Unit with its own package for Node.js, unit-http, in two processes."""

    name = 'unit-node'
    languages = ('node',)

    def write(self, bench):
        package = bench.options.unit_http
        if not package:
            raise Missing("no unit-http; --unit-http names the folder of NGINX Unit's package for Node.js, built")
        (self.home / 'node_modules').mkdir()
        (self.home / 'node_modules/unit-http').symlink_to(package.resolve())
        (self.home / 'server.js').write_text(NodeHttp.program.replace("require('http')", "require('unit-http')"))
        self.kind = {'type': 'external', 'working_directory': str(self.home), 'executable': bench.interpreter('node'),
                     'arguments': ['server.js']}


class NodeHttp(Side):
    """Node.js by itself: one process of its own http module."""

    name = 'node-http'
    languages = ('node',)
    program = '''
require('http').createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = JSON.parse(Buffer.concat(parts).toString());
    const answer = Buffer.from(JSON.stringify({ result: { message: 'hello', n: body.event.data.length } }));
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': answer.length });
    response.end(answer);
  });
}).listen(+process.argv[2], '127.0.0.1');
'''

    def command(self, bench):
        (self.home / 'server.js').write_text(self.program)
        return [bench.interpreter('node'), str(self.home / 'server.js'), str(self.port)]


class FunctionsFramework(Side):
    """The functions-framework of Node.js, from the registry of npm: one process."""

    name = 'functions-framework'
    languages = ('node',)
    program = '''
exports.handler = (request, response) =>
  response.json({ result: { message: 'hello', n: request.body.event.data.length } });
'''

    def command(self, bench):
        folder = bench.npm('@google-cloud/functions-framework')
        (self.home / 'index.js').write_text(self.program)
        return [bench.interpreter('node'), str(folder / '@google-cloud/functions-framework/build/src/main.js'),
                '--target=handler', '--signature-type=http', f'--port={self.port}', f'--source={self.home}']

    def environment(self):
        return {'NODE_ENV': 'production'}


class Workerd(Side):
    """workerd, from the registry of npm: V8 isolates in one process, nothing between the HTTP server and the user's code."""

    name = 'workerd'
    languages = ('node',)
    program = '''
export default {
  async fetch(request) {
    const body = await request.json();
    return Response.json({ result: { message: 'hello', n: body.event.data.length } });
  },
};
'''
    configuration = '''using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "worker", esModule = embed "worker.js")],
                                        compatibilityDate = "2026-01-01"))],
  sockets = [(name = "http", address = "127.0.0.1:%d", http = (), service = "main")]);
'''

    def command(self, bench):
        folder = bench.npm('workerd')
        binaries = list(folder.glob('@cloudflare/workerd-*/bin/workerd'))
        if not binaries:
            raise Missing('the package workerd has no binary for this machine')
        (self.home / 'worker.js').write_text(self.program)
        (self.home / 'config.capnp').write_text(self.configuration % self.port)
        return [str(binaries[0]), 'serve', str(self.home / 'config.capnp')]


SIDES = {side.name: side for side in (Probe, Unit, UnitNode, NodeHttp, FunctionsFramework, Workerd)}
