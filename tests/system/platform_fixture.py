"""What every system test stands on: a platform of its own, over real HTTP, and nothing left of it afterwards.

    class Greeting(SystemTest):
        properties = {'workers.prewarmed': 0}       # for this class's platform; makes it one of its own

        def test_greets(self):
            name = self.function('python', 'def handler(event, context):\n    return "hello"')
            self.assertEqual('hello', self.invoke(name).json['result'])

A class shares one platform. With CLOUDFUNCTION_AGAINST=http://host:port set, tests run against that one, and those
that need properties or signals of their own are skipped with a reason. Python 3.9 or later, standard library only.
"""
import ctypes
import http.client
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

SOURCE = pathlib.Path(os.environ.get('CLOUDFUNCTION_SOURCE', pathlib.Path(__file__).resolve().parents[2]))
BINARY = os.environ.get('CLOUDFUNCTION_BINARY', str(SOURCE / 'build/ci/bin/cloudfunction'))
AGAINST = os.environ.get('CLOUDFUNCTION_AGAINST', '').rstrip('/')
LOOPS = os.environ.get('CLOUDFUNCTION_TEST_LOOPS')  # server.loops of every platform that names none
AUTHORIZATION = os.environ.get('CLOUDFUNCTION_AGAINST_TOKEN', '')

START_SECONDS = 30   # bounds that only a broken platform reaches; no test measures with them
STOP_SECONDS = 40
WAIT_SECONDS = 20

PR_SET_CHILD_SUBREAPER = 36
SANITIZER = re.compile(r'(ERROR|WARNING): (Address|Leak|Thread|Memory)Sanitizer|: runtime error: ')


class Response:
    """One answer: status, headers (names without regard to case), body as bytes, and as JSON where it is JSON."""

    def __init__(self, raw, body):
        self.status = raw.status
        self.headers = raw.headers
        self.body = body
        self.text = body.decode('utf-8', 'replace')

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise AssertionError(f'not JSON: {self}') from None

    def __repr__(self):
        return f'{self.status} {dict(self.headers)} {self.text[:2000]}'


def request(base, method, path, body=None, headers=None, timeout=120):
    """One request on a connection of its own. A `body` that is not bytes or text is sent as JSON."""
    parts = urllib.parse.urlsplit(base)
    head = {}
    if AUTHORIZATION:
        head['Authorization'] = 'Bearer ' + AUTHORIZATION
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    if body is not None or method in ('POST', 'PUT', 'PATCH', 'DELETE'):
        head['Content-Type'] = 'application/json'
    head.update(headers or {})
    if isinstance(body, str):
        body = body.encode()
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout)
    try:
        try:
            connection.request(method, path, body, {k: v for k, v in head.items() if v is not None})
        except (BrokenPipeError, ConnectionResetError):
            pass  # a body that is refused before its end: the answer is there
        raw = connection.getresponse()
        return Response(raw, raw.read())
    finally:
        connection.close()


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def preload(library):
    """The environment of a platform that loads `library` first: only after the runtime of its sanitizer, if it has one.
    The programs that it looks for get both, and some of them free nothing at their end."""
    needed = subprocess.run(['ldd', BINARY], stdout=subprocess.PIPE, universal_newlines=True).stdout
    runtime = re.findall(r'=> (\S*/lib[at]san\.so\S*)', needed)
    return {'LD_PRELOAD': ' '.join([*runtime, str(library)]), **({'ASAN_OPTIONS': 'detect_leaks=0'} if runtime else {})}


def wait_until(condition, what, seconds=WAIT_SECONDS):
    """Calls `condition` until it returns something true, which is returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'waited {seconds} s in vain: {what}')
        time.sleep(0.02)


def processes():
    """{pid: (parent, start time)} of every process."""
    found = {}
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                with open(f'/proc/{entry}/stat', encoding='latin-1') as f:
                    fields = f.read().rpartition(')')[2].split()
            except OSError:
                continue
            if fields[0] not in 'ZX':
                found[int(entry)] = (int(fields[1]), int(fields[19]))
    return found


def descendants(root):
    """{pid: start time} of all that `root` started, directly or not."""
    everybody = processes()
    found, before = {root}, 0
    while len(found) != before:
        before = len(found)
        found |= {pid for pid, (parent, _) in everybody.items() if parent in found}
    return {pid: everybody[pid][1] for pid in found - {root} if pid in everybody}


def cgroups():
    found = set()
    for folder, _, _ in os.walk('/sys/fs/cgroup', onerror=lambda _: None):
        if 'cloudfunction' in folder:
            found.add(folder)
    return found


class Platform:
    """A running platform: its own process, port and data folder."""

    def __init__(self, properties=None, environment=None, data=None, arguments=(), user=None):
        # Orphans of the platform come to this process, where stop() finds them.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        if data is None:
            data = tempfile.mkdtemp(prefix='cloudfunction-test-')
            os.chmod(data, 0o755)
        self.home = pathlib.Path(data)
        self.home.mkdir(exist_ok=True)
        self.data = self.home / 'data'
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.properties = {'server.port': self.port, 'data.dir': self.data, **(properties or {})}
        if LOOPS:
            self.properties.setdefault('server.loops', LOOPS)
        self.environment = environment or {}
        self.arguments = list(arguments)
        self.user = user
        if user is not None:
            shutil.chown(self.home, user)
        self.process = None
        self.asked_to_stop = False

    def command(self):
        config = self.home / 'cloudfunction.properties'
        config.write_text(''.join(f'{key} = {value}\n' for key, value in self.properties.items()))
        return [BINARY, 'serve', '--config', str(config), *self.arguments]

    def clean_environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith('CLOUDFUNCTION_')}
        return {**kept, **{k: str(v) for k, v in self.environment.items()}}

    def launch(self):
        """Starts the process without waiting for it to be ready."""
        self.log_file = open(self.home / 'platform.log', 'ab')
        self.log_before = self.log_file.tell()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self.log_file,
                                        stderr=self.log_file, env=self.clean_environment(), cwd=self.home,
                                        user=self.user)
        return self

    def start(self):
        self.launch()
        wait_until(self.ready, 'the platform to get ready; its log:\n' + self.log(), START_SECONDS)
        wait_until(self.has_said_so, 'the platform to say that it is ready', START_SECONDS)
        return self

    def has_said_so(self):
        """It answers a moment before its words of the start are in the log."""
        return b' is ready\n' in (self.home / 'platform.log').read_bytes()[self.log_before:]

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f'the platform ended with {self.process.returncode}:\n{self.log()}')
        try:
            return request(self.url, 'GET', '/api/health/ready').status == 200
        except OSError:
            return False

    def files(self, below=''):
        """The files below its home that are there now. What is removed meanwhile, by a build, is left out (rglob raises)."""
        return [path for folder, _, names in os.walk(self.home / below) for path in map(pathlib.Path(folder).joinpath, names)
                if path.is_file()]

    def log(self):
        return (self.home / 'platform.log').read_text(errors='replace')

    def kill(self):
        """Pulls the plug: SIGKILL, to the kernel process alone."""
        self.process.kill()
        self.process.wait()
        self.log_file.close()
        self.assert_nothing_found()

    def stop(self):
        """SIGTERM, unless sigterm() was called; returns the exit status. Raises when anything is left."""
        family = descendants(self.process.pid)
        if self.process.poll() is None and not self.asked_to_stop:
            self.process.terminate()
        self.asked_to_stop = False
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f'SIGTERM did not end the platform in {STOP_SECONDS} s:\n{self.log()}') from None
        finally:
            self.log_file.close()
        self.assert_nothing_left(family)
        self.assert_nothing_found()
        return status

    def assert_nothing_found(self):
        """By sanitizers, where the platform was built with some; every process of it writes to its log."""
        for line in self.log().splitlines():
            if SANITIZER.search(line):
                raise AssertionError(f'a sanitizer found something:\n{self.log()[-20000:]}')

    def mounts(self):
        return [line for line in pathlib.Path('/proc/self/mountinfo').read_text().splitlines() if str(self.home) in line]

    def assert_nothing_left(self, family):
        def left():
            now = processes()
            return [pid for pid, started in family.items() if now.get(pid, (0, 0))[1] == started]
        wait_until(lambda: not left(), f'processes of the platform to end: {[describe(p) for p in left()]}', 5)
        while True:  # orphans that came to this process
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
        if self.mounts():
            raise AssertionError(f'mounts left behind: {self.mounts()}')

    def remove(self):
        shutil.rmtree(self.home, ignore_errors=True)


def describe(pid):
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as f:
            return f'{pid} ' + f.read().replace(b'\0', b' ').decode('utf-8', 'replace')
    except OSError:
        return str(pid)


class SystemTest(unittest.TestCase):
    """Base of the tests. `properties` and `environment` are those of the class's platform."""

    properties = {}
    environment = {}
    own_platform = False  # True: needs a platform that it may configure, signal or look into
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.platform = None
        if AGAINST:
            if cls.own_platform or cls.properties or cls.environment:
                raise unittest.SkipTest('needs a platform of its own')
            cls.url = AGAINST
            return
        if not os.path.exists(BINARY):
            raise AssertionError(f'no platform at {BINARY}; CLOUDFUNCTION_BINARY names it')
        cls.platform = Platform(cls.properties, cls.environment)
        cls.addClassCleanup(cls.platform.remove)
        cls.platform.start()
        cls.url = cls.platform.url

    @classmethod
    def tearDownClass(cls):
        if cls.platform is not None and cls.platform.process is not None:
            status = cls.platform.stop()
            if status != 0:  # of a sanitizer, too, that found something on the way or a leak at the end
                raise AssertionError(f'the platform ended with {status}:\n{cls.platform.log()[-20000:]}')

    # -- calls

    def call(self, method, path, body=None, headers=None, **more):
        return request(self.url, method, path, body, headers, **more)

    def get(self, path, headers=None):
        return self.call('GET', path, headers=headers)

    def post(self, path, body=None, headers=None):
        return self.call('POST', path, body, headers)

    def unique(self, stem='test'):
        return f'{stem}-{secrets.token_hex(5)}'

    def create(self, runtime, code=None, handler='handler', **fields):
        """Sends a create call; the function is deleted after the test whatever becomes of it. Returns the answer."""
        document = {'name': self.unique(), 'runtime': runtime, 'handler': handler, **fields}
        if code is not None:
            document['code'] = code
        if isinstance(document['name'], str):
            self.addCleanup(self.delete, document['name'])
        return self.post('/api/v1/functions', document)

    def delete(self, name):
        """Deletes a function if it is there, and the platform too."""
        try:
            return self.call('DELETE', '/api/v1/functions/' + urllib.parse.quote(name, safe=''))
        except OSError:
            if not self.own_platform:
                raise

    def function(self, runtime, code=None, handler='handler', **fields):
        """Creates a function that is expected to build; returns its name."""
        self.needs(runtime)
        answer = self.create(runtime, code, handler, **fields)
        self.assertEqual(201, answer.status, answer)
        return answer.json['name']

    def invoke(self, name, event=None, context=None, headers=None, expect=200, **more):
        body = {}
        if event is not None:
            body['event'] = event
        if context is not None:
            body['context'] = context
        answer = self.call('POST', f'/api/v1/functions/{name}/invoke', body, headers, **more)
        if expect is not None:
            self.assertEqual(expect, answer.status, answer)
        return answer

    def result(self, name, event=None, context=None):
        """The result of an invocation that is expected to succeed."""
        document = self.invoke(name, event, context).json
        self.assertEqual('success', document['status'], document)
        return document['result']

    def error(self, name, event=None, context=None):
        """The error document of an invocation whose function is expected to fail by itself."""
        answer = self.invoke(name, event, context)
        self.assertEqual('error', answer.json['status'], answer)
        self.assertEqual('Unhandled', answer.headers['X-Function-Error'], answer)
        return answer.json['error']

    def parallel(self, count, work):
        """Runs work(index) in `count` threads; returns what they returned, in order. Raises what one of them raised."""
        results, failures = [None] * count, []

        def run(index):
            try:
                results[index] = work(index)
            except BaseException as failure:  # handed on below
                failures.append(failure)
        threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return results

    # -- expectations

    def assertProblem(self, answer, status, reason):
        """The answer is an RFC 9457 document that says what is wrong in words; returns it."""
        self.assertEqual(status, answer.status, answer)
        self.assertEqual('application/problem+json', answer.headers.get_content_type(), answer)
        document = answer.json
        self.assertEqual(status, document['status'], answer)
        self.assertEqual(reason, document['reason'], answer)
        for field in ('type', 'title', 'detail'):
            self.assertTrue(document[field], f'{field} is empty: {answer}')
        return document

    # -- conditions

    def needs(self, runtime):
        """Skips where the platform says that it cannot run the language."""
        for entry in self.runtimes():
            if entry['name'] == runtime or runtime in [alias_name(a) for a in entry.get('aliases', [])]:
                if not entry['available']:
                    self.skipTest(f'{runtime} is not available: {entry.get("reason")}')
                return

    def runtimes(self):
        cls = type(self)
        if not hasattr(cls, '_runtimes') or cls._runtimes[0] != self.url:
            cls._runtimes = (self.url, self.get('/api/v1/runtimes').json['runtimes'])
        return cls._runtimes[1]


def alias_name(alias):
    return alias['name'] if isinstance(alias, dict) else alias


class OwnPlatformTest(SystemTest):
    """Tests that start, kill and restart platforms themselves."""

    own_platform = True

    @classmethod
    def setUpClass(cls):
        if AGAINST:
            raise unittest.SkipTest('needs a platform of its own')
        if not os.path.exists(BINARY):
            raise AssertionError(f'no platform at {BINARY}; CLOUDFUNCTION_BINARY names it')
        cls.platform = None

    def start(self, properties=None, **more):
        """A platform that is stopped and removed after the test; self.url points at it."""
        platform = Platform(properties, **more)
        self.addCleanup(platform.remove)
        self.addCleanup(self.stop, platform)
        platform.start()
        self.url = platform.url
        return platform

    def stop(self, platform):
        if platform.process is not None and platform.process.poll() is None:
            platform.stop()
        platform.log_file.close()

    def refused(self, properties=None, environment=None, **more):
        """Starts a platform that is expected to refuse; returns what it said."""
        platform = Platform(properties, environment, **more)
        self.addCleanup(platform.remove)
        done = subprocess.run(platform.command(), env=platform.clean_environment(), cwd=platform.home,
                              user=platform.user, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=START_SECONDS)
        self.assertNotEqual(0, done.returncode, done.stdout)
        return done.stdout.decode()

    def open_connection(self):
        parts = urllib.parse.urlsplit(self.url)
        return socket.create_connection((parts.hostname, parts.port), timeout=WAIT_SECONDS)


def sigterm(platform):
    """Asks the platform to end, and goes on; a second signal would end it at once."""
    platform.asked_to_stop = True
    os.kill(platform.process.pid, signal.SIGTERM)
