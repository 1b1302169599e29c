"""Where attacks take place: a platform, a victim function that is called before and after each of them, and a look at
everything an attack might have left.

An attack is a function that takes the arena:

    @attack('memory bomb', 'python')
    def _(arena):
        name = arena.function('python', 'def handler(): ...', memory=64)
        arena.problem(arena.invoke(name), 502, 'memory_exceeded')

Those that need a platform with other properties name a subclass: @attack('memory bomb', 'python', where=Workshop).
"""
import concurrent.futures
import json
import os
import pathlib
import re
import secrets
import statistics
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))

from platform_fixture import Platform, cgroups, descendants, describe, request, wait_until  # noqa: E402

ATTACKS = []

# Bounds of what an attack may do to others. A machine under load misses them now and then, so the best of some rounds
# counts; a platform that is held up misses them in each.
HEALTH_SECONDS = 0.1
SLOWDOWN = 2
NOISE_SECONDS = 0.01
ROUNDS = 5
VICTIM_CALLS = 60
SAVE_SECONDS = 300  # more than build.timeout and the death of a build's processes

VICTIM = 'import os\ndef handler(event):\n    return os.getpid()\n'
USERS = range(700000, 700000 + 4096)  # sandbox.uid_base and sandbox.uid_count
CANARY = 'canary-' + secrets.token_hex(8)
SANITIZED = os.environ.get('CLOUDFUNCTION_TEST_SANITIZE')
TASK = re.compile('[0-9a-f]{6,}')  # a control group of one worker or tool
FOLDERS = ('/tmp', '/var/tmp', '/dev/shm', '/run')


class Skip(Exception):
    """The attack cannot be made here; the text says why."""


def attack(what, *runtimes, where=None):
    """Registers an attack; once for each of the runtimes, which it then gets as its second argument."""
    def register(work):
        for runtime in runtimes or (None,):
            ATTACKS.append((what, runtime, work, where or Arena))
        return work
    return register


def call(arena, method, path, body=None, headers=None, **more):
    return request(arena.platform.url, method, path, body, headers, **more)


class Arena:
    properties = {'workers.prewarmed': 0, 'workers.keep_alive': 60, 'sandbox.tmp_bytes': 32 << 20}
    environment = {}
    # What the first build of a language sets up is there before anybody looks for leftovers.
    warm = {'node': 'const handler = () => 1', 'go': 'func handler() interface{} { return 1 }'}

    def __init__(self, kind=Platform):
        self.platform = kind(self.properties, self.environment)
        self.names = []
        self.tier = None

    def open(self):
        os.environ.pop('CLOUDFUNCTION_AGAINST', None)
        self.platform.start()
        self.runtimes = {entry['name']: entry for entry in self.call('GET', '/api/v1/runtimes').json['runtimes']}
        self.victim = self.function('python', VICTIM, environment={'CANARY': CANARY})
        self.names.remove(self.victim)
        for runtime, code in self.warm.items():
            if self.runtimes.get(runtime, {}).get('available'):
                self.invoke(self.function(runtime, code))
        self.clear()
        status = os.stat(self.platform.data)
        self.instance = f'cloudfunction-{status.st_dev:x}{status.st_ino:x}'
        self.baseline = min(self.victim_p99() for _ in range(ROUNDS))
        self.before = self.traces()
        layers = self.call('GET', '/api/health').json['sandbox']
        self.layers = {layer['name']: layer['active'] for layer in layers['layers']}
        self.tier = layers['tier']
        return self

    def close(self):
        self.platform.stop()
        self.platform.remove()

    # -- what attacks use

    def call(self, method, path, body=None, headers=None, **more):
        return call(self, method, path, body, headers, **more)

    def create(self, runtime, code, handler='handler', **fields):
        if not self.runtimes.get(runtime, {}).get('available'):
            raise Skip(f'{runtime} is not available')
        name = 'attack-' + secrets.token_hex(5)
        self.names.append(name)
        fields['memory'] = self.memory(fields.get('memory', 128))
        return self.call('POST', '/api/v1/functions',
                         {'name': name, 'runtime': runtime, 'handler': handler, 'code': code, 'timeout': 2, **fields},
                         timeout=SAVE_SECONDS)

    def function(self, runtime, code, handler='handler', **fields):
        answer = self.create(runtime, code, handler, **fields)
        assert answer.status == 201, answer
        return answer.json['name']

    def memory(self, size):
        """The limit that a function gets which asks for `size` MB. In a container the sandbox's own first process counts,
        and in a build with sanitizers it is large."""
        return size + 48 if SANITIZED and self.tier == 'container' else size

    def invoke(self, name, event=None, **more):
        return self.call('POST', f'/api/v1/functions/{urllib.parse.quote(name)}/invoke', {'event': event}, **more)

    def result(self, answer):
        assert answer.status == 200 and answer.json['status'] == 'success', answer
        return answer.json['result']

    def error(self, answer, *types):
        """The function itself failed, with one of these types of errors."""
        assert answer.status == 200 and answer.json['status'] == 'error', answer
        assert not types or answer.json['error']['type'] in types, answer
        return answer.json['error']

    def problem(self, answer, status, *reasons):
        assert answer.status == status and answer.json['reason'] in reasons, answer
        return answer.json

    def dies(self, answer):
        """It ended in any way that only its own invocation feels."""
        assert answer.status in (200, 502, 504), answer
        return answer

    def ends(self, answer):
        """It was ended from outside, by its timeout or by one of its limits."""
        return self.problem(answer, answer.status, 'function_timeout', 'memory_exceeded', 'worker_crashed')

    def ends_or_fails(self, answer):
        """The same, or its language had a word for the limit that it met."""
        return self.error(answer) if answer.status == 200 else self.ends(answer)

    def invoke_watched(self, name, event=None):
        return self.watched(lambda: self.invoke(name, event))

    def watched(self, work):
        """What `work` gives, and how many tasks (processes and their threads) the platform had at most meanwhile, beyond
        those that it had before. Raises when it did not answer others then."""
        before, most, health = self.tasks(), 0, []
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            future = pool.submit(work)
            while not future.done():
                most = max(most, self.tasks() - before)
                health.append(self.health_seconds())
                self.result(self.invoke(self.victim))
                concurrent.futures.wait([future], 0.02)
        slow = max((min(health[i:i + ROUNDS]) for i in range(len(health) - ROUNDS + 1)), default=0)
        assert slow <= HEALTH_SECONDS, f'/api/health took {slow * 1000:.0f} ms meanwhile'
        return future.result(), most

    def tasks(self):
        found = 0
        for pid in descendants(self.platform.process.pid):
            try:
                found += len(os.listdir(f'/proc/{pid}/task'))
            except OSError:
                pass
        return found

    def fresh(self, name, event=None):
        """The next call gets a worker that knows nothing of the attack. One that outlived it, because the function
        caught what was refused, may still fall to it once."""
        answer = self.invoke(name, event)
        if answer.status == 502:
            answer = self.invoke(name, event)
        assert self.result(answer) == 'fine'

    def logs(self, name):
        return self.call('GET', f'/api/v1/functions/{name}/logs')

    # -- what is looked at afterwards

    def clear(self):
        for name in self.names:
            self.call('DELETE', '/api/v1/functions/' + name)
        self.names = []

    def traces(self):
        """Everything that may be left: {kind: what}. Numbers where names change from call to call."""
        data = self.platform.data
        return {
            'processes': len(descendants(self.platform.process.pid)),
            'control groups': sum(1 for path in cgroups() if self.instance in path and TASK.fullmatch(os.path.basename(path))),
            'mounts': sum(self.mounts(pid) for pid in ('self', *self.helpers())),
            'files': [str(path) for folder in FOLDERS for path in sorted(pathlib.Path(folder).iterdir())
                      if self.is_workers(path)],
            'task folders': sum(1 for _ in (data / 'sandboxes').glob('[0-9]*')),
            'build folders': sorted(path.name for path in (data / '.cloudfunction/build').glob('*')),
        }

    def helpers(self):
        """The platform's processes outside of sandboxes, whose mounts would be left for good."""
        found = []
        for pid in descendants(self.platform.process.pid):
            try:
                if pathlib.Path(f'/proc/{pid}/comm').read_text().startswith('cf-'):
                    found.append(pid)
            except OSError:
                pass
        return found

    def mounts(self, pid):
        try:
            lines = pathlib.Path(f'/proc/{pid}/mountinfo').read_text().splitlines()
        except OSError:
            return 0
        return sum(1 for line in lines if str(self.platform.home) in line)

    @staticmethod
    def is_workers(path):
        try:
            return path.lstat().st_uid in USERS
        except OSError:
            return False

    def victim_p99(self):
        import http.client
        times = []
        connection = http.client.HTTPConnection('127.0.0.1', self.platform.port, timeout=30)
        for _ in range(VICTIM_CALLS):
            began = time.monotonic()
            connection.request('POST', f'/api/v1/functions/{self.victim}/invoke', b'{}',
                               {'Content-Type': 'application/json'})
            answer = connection.getresponse()
            body = answer.read()
            times.append(time.monotonic() - began)
            assert answer.status == 200, body
        connection.close()
        return statistics.quantiles(times, n=100)[98]

    def health_seconds(self):
        began = time.monotonic()
        assert self.call('GET', '/api/health').status == 200
        return time.monotonic() - began

    def check(self):
        """Raises when the attack reached anybody but itself. Returns the victim's p99 in seconds."""
        health = []
        while len(health) < ROUNDS and min(health, default=1) > HEALTH_SECONDS:
            health.append(self.health_seconds())
        assert min(health) <= HEALTH_SECONDS, f'/api/health took {min(health) * 1000:.0f} ms'
        # While the attacker's function is still there, with whatever its workers are at.
        allowed = SLOWDOWN * self.baseline + NOISE_SECONDS
        slow = []
        while len(slow) < ROUNDS and min(slow, default=1e9) > allowed:
            slow.append(self.victim_p99())
        self.clear()
        if min(slow) > allowed:  # the machine itself may be slower than at the beginning
            self.baseline = max(self.baseline, min(self.victim_p99() for _ in range(ROUNDS)))
            allowed = SLOWDOWN * self.baseline + NOISE_SECONDS
        assert min(slow) <= allowed, f'another function got slower: {min(slow) * 1000:.1f} ms, {allowed * 1000:.1f} allowed'
        last = {}

        def as_before():
            last.clear()
            last.update(self.traces())
            return all(same(last[kind], self.before[kind]) for kind in last)
        try:
            wait_until(as_before, 'traces to go', 15)
        except AssertionError:
            left = {kind: (self.before[kind], last[kind]) for kind in last if not same(last[kind], self.before[kind])}
            processes = [describe(pid) for pid in descendants(self.platform.process.pid)]
            raise AssertionError(f'left behind (before, now): {json.dumps(left)[:2000]}; processes: {processes}') from None
        return min(slow)


def same(now, before):
    return now <= before if isinstance(now, int) else set(now) <= set(before)
