"""What every section stands on: options, a scratch folder, platforms, the other sides, and the load."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
sys.path.insert(0, str(SOURCE / 'tests/system'))
os.environ.setdefault('CLOUDFUNCTION_BINARY', str(SOURCE / 'build/release/bin/cloudfunction'))
from platform_fixture import Platform, request  # noqa: E402
from records import Records  # noqa: E402
from sides import SIDES, Missing  # noqa: E402

EVENT = {'event': {'message': 'Hello World', 'data': [1, 2, 3]}, 'context': {'user_id': '123', 'request_id': 'req_456'}}


class Bench:
    def __init__(self, options, scratch):
        self.options = options
        self.scratch = pathlib.Path(scratch)
        self.cache = options.cache
        self.cache.mkdir(parents=True, exist_ok=True)
        self.records = Records()
        self.missing = {}  # side: why

    @property
    def quick(self):
        return self.options.quick

    def rounds(self):
        """Numbers of the rounds; prints a dot for each as it ends."""
        for number in range(self.options.rounds):
            yield number
            print('.', end='', file=sys.stderr, flush=True)

    @staticmethod
    def in_turn(sides, round_number):
        """Who goes first changes from round to round."""
        shift = round_number % len(sides) if sides else 0
        return sides[shift:] + sides[:shift]

    # -- platforms

    @contextlib.contextmanager
    def platform(self, properties=None, data=None):
        """A platform while it is measured; with `data` it takes over, and leaves, that folder."""
        platform = self.unstarted(data, properties)
        try:
            platform.start()
            try:
                yield platform
            finally:
                platform.stop()
        finally:
            if data is None:
                platform.remove()

    def unstarted(self, data=None, properties=None):
        """A platform that the caller launches and stops."""
        chosen = {'executor.python.path': self.options.python} if self.options.python else {}
        return Platform({'log.level': 'warning', **chosen, **(properties or {})}, data=data)

    def create(self, platform, name, language, code, **fields):
        """Creates a function; returns the address that invokes it."""
        document = {'runtime': language, 'handler': 'handler', 'code': code, **fields}
        answer = request(platform.url, 'PUT', f'/api/v1/functions/{name}', document)
        if answer.status not in (200, 201):
            raise RuntimeError(f'{name} ({language}) cannot be created: {answer}')
        return self.invoke_url(platform, name)

    @staticmethod
    def invoke_url(platform, name):
        return f'{platform.url}/api/v1/functions/{name}/invoke'

    def languages(self, platform):
        """Those of the chosen languages that the platform can run."""
        offered = {runtime['name']: runtime for runtime in request(platform.url, 'GET', '/api/v1/runtimes').json['runtimes']}
        found = []
        for language in self.options.languages:
            if offered.get(language, {}).get('available'):
                found.append(language)
            else:
                self.missing[language] = offered.get(language, {}).get('reason', 'no executor')
        return found

    @contextlib.contextmanager
    def home(self):
        """A folder for platforms that are started one after the other on the same data."""
        folder = tempfile.mkdtemp(prefix='home-', dir=self.scratch)
        os.chmod(folder, 0o755)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # -- the other sides

    @contextlib.contextmanager
    def sides(self, language, names=None):
        """The other sides of a language, started; those that cannot be had are noted in `missing` and left out."""
        running = []
        try:
            for name in self.options.sides:
                if (names is not None and name not in names) or language not in SIDES[name].languages \
                        or name in self.missing:
                    continue
                try:
                    running.append(SIDES[name](self, language))
                except Missing as why:
                    self.missing[name] = str(why)
            yield running
        finally:
            for side in running:
                side.stop()

    def compiled(self, source):
        """The program made of one C++ or Go file, kept in the cache as long as the file stays the same."""
        binary = self.cache / (source.stem + source.suffix.replace('.', '-'))
        if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
            if source.suffix == '.go':
                command = ['go', 'build', '-ldflags', '-s -w', '-o', str(binary), str(source)]
            else:
                command = ['g++', '-O2', '-std=c++20', str(source), '-o', str(binary)]
            subprocess.run(command, check=True, cwd=self.cache)
        return str(binary)

    def npm(self, package):
        """The folder node_modules with a package in it."""
        folder = self.cache / 'npm'
        modules = folder / 'node_modules'
        if not (modules / package).is_dir():
            if shutil.which('npm') is None:
                raise Missing('no npm')
            folder.mkdir(exist_ok=True)
            (folder / 'package.json').write_text('{"private": true}\n')
            done = subprocess.run(['npm', 'install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', str(folder),
                                   package], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder)
            if done.returncode != 0:
                raise Missing(f'npm cannot install {package}: {done.stdout.decode()[-300:].strip()}')
        return modules

    def interpreter(self, language):
        """The real program behind the command of a language: version managers put scripts in between."""
        ask = {'python': [self.options.python or 'python3', '-c', 'import os, sys; print(os.path.realpath(sys.executable))'],
               'node': ['node', '-p', 'process.execPath']}[language]
        return subprocess.run(ask, stdout=subprocess.PIPE, check=True).stdout.decode().strip()

    # -- load

    def wrk(self, url, connections, seconds=None, size=0, cores=None):
        """One closed loop, keep-alive, on these cores ("0,1"; None: all). Returns (errors, numbers); no answer at all is
        an error."""
        seconds = seconds or self.options.seconds
        confined = ['taskset', '-c', cores] if cores else []
        done = subprocess.run([*confined, 'wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '--timeout', '30s', '--latency', '-s',
                               str(HERE / 'invoke.lua'), url], stdout=subprocess.PIPE, check=True,
                              env={**os.environ, 'INVOKE_BYTES': str(size)})
        result = json.loads(done.stdout.decode().splitlines()[-1])
        if result['requests'] == 0:
            return result['errors'] + 1, {}
        return result['errors'], {'per_second': result['requests'] / (result['microseconds'] / 1e6),
                                  'p50_us': result['p50'], 'p99_us': result['p99'], 'requests': result['requests']}

    def warm_up(self, url, size=0):
        """Not measured: code gets compiled, workers get started."""
        self.wrk(url, 8 if size else 32, 1 if self.quick or size else 3, size)

    def open_loop(self, url, rate, seconds=None, connections=64):
        """Requests at a constant rate. Returns (errors, numbers)."""
        parts = urllib.parse.urlsplit(url)
        done = subprocess.run([self.compiled(HERE / 'open_loop.cpp'), str(parts.port), parts.path, str(rate),
                               str(seconds or self.options.seconds), str(connections), '0.5', json.dumps(EVENT)],
                              stdout=subprocess.PIPE, check=True)
        result = json.loads(done.stdout)
        return result['errors'], {'rate': rate, 'per_second': result['per_second'],
                                  **{f'{key}_us': result[key] for key in ('p50', 'p99', 'p999', 'late_p99')}}
