"""kill -9 of kernel, launcher and supervisor while npm, pip and go install packages and build: nothing acknowledged is
lost, a save without an answer is there or not, one that was only accepted is ready or says why not; a layer is whole or
not there; nothing is left behind, and the same packages install the next time. CLOUDFUNCTION_ROUNDS says how often."""
import json
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / 'system'), str(TESTS / 'contract/node_executor')]
from go_proxy import GoProxy  # noqa: E402
from npm_registry import Registry  # noqa: E402
from platform_fixture import OwnPlatformTest, cgroups, descendants, request, wait_until  # noqa: E402
from python_index import NO_SETTINGS, Index, wheel  # noqa: E402

from ledger import FUNCTIONS, Callers, Ledger  # noqa: E402
from remains import files, instances, launcher, left, supervisor  # noqa: E402

ROUNDS = int(os.environ.get('CLOUDFUNCTION_ROUNDS', '3'))
PARTS = range(40)  # of a package: half a layer would lack some
ASYNC = {'Prefer': 'respond-async'}


class Builder(Ledger):
    """A caller each of whose functions needs a package that nobody needed before, published when it is asked for."""

    def __init__(self, prefix, seed):
        super().__init__(prefix, seed)
        self.later = {}  # {name: whether that was answered}, sent to be built after the answer

    def sources(self, number):
        self.publish(number)
        return {'code': self.code % number, 'dependencies': [self.package % number], 'init_timeout': 120, 'timeout': 120}

    def step(self, call):
        if self.random.random() < 0.7:
            return super().step(call)
        self.count += 1
        name = f'{self.prefix}-later-{self.count}'
        body = {'name': name, 'runtime': self.runtime, 'handler': 'handler', **self.sources(self.count)}
        self.open[name], self.later[name] = self.count, False
        answer = call('POST', FUNCTIONS, body, ASYNC)
        if answer.status not in (202, 500, 502, 503):
            raise AssertionError(f'{name}: {answer}')
        self.later[name] = answer.status == 202
        return answer

    def check(self, call):
        for name, answered in self.later.items():
            version = wait_until(lambda: ended(call('GET', f'{FUNCTIONS}/{name}/versions/1', None)), f'{name} to be built', 60)
            if version['state'] == 'failed':
                if not re.search('launcher|platform was stopped', version['error']['detail']):
                    raise AssertionError(f'{name} failed and does not say why: {version}')
                call('DELETE', f'{FUNCTIONS}/{name}', None)
            elif answered and version['state'] != 'ready':
                raise AssertionError(f'{name} was accepted and is gone')
        self.later.clear()
        super().check(call)


def ended(answer):
    if answer.status == 404:
        return {'state': 'gone'}
    return answer.json if answer.json['state'] != 'building' else None


class Python(Builder):
    runtime = 'python'
    package = 'grain==%d'
    code = 'import grain\n\ndef handler(event):\n    return grain.number if grain.number == %d else -1\n'

    def publish(self, number):
        if f'grain-{number}-py3-none-any.whl' not in self.registry.packages.get('grain', {}):
            parts = {f'grain/part{part}.py': f'value = {number}\n' for part in PARTS}
            parts['grain/__init__.py'] = ('import importlib\nnumber, = {importlib.import_module(f"grain.part{part}").value '
                                          f'for part in range({len(PARTS)})}}\n')
            self.registry.add(wheel('grain', str(number), parts))


class Node(Builder):
    runtime = 'node'
    package = 'grain@%d.0.0'
    code = 'const number = require("grain");\nfunction handler() { return number === %d ? number : -1; }\n'

    def publish(self, number):
        if f'{number}.0.0' not in self.registry.packages.get('grain', {}):
            self.registry.add('grain', f'{number}.0.0',
                              f'const parts = new Set(Array.from({{ length: {len(PARTS)} }}, '
                              '(_, part) => require(`./part${part}.js`)));\nmodule.exports = [...parts][0];\n',
                              {f'part{part}.js': f'module.exports = {number};\n' for part in PARTS})


class Go(Builder):
    runtime = 'go'
    package = 'example.com/grain@v1.%d.0'
    code = 'func handler() int {\n\tif grain.Number() == %d {\n\t\treturn grain.Number()\n\t}\n\treturn -1\n}\n'

    def publish(self, number):
        parts = {f'part{part}.go': f'package grain\n\nconst part{part} = {number}\n' for part in PARTS}
        parts['grain.go'] = ('package grain\n\nfunc Number() int { return (' + ' + '.join(f'part{part}' for part in PARTS) +
                             f') / {len(PARTS)} }}\n')
        self.registry.add('example.com/grain', f'v1.{number}.0', parts)


class KillBuilds(OwnPlatformTest):
    def registries(self):
        """One of each kind on this machine; gives them and the environment of a platform that uses them."""
        npm, pip, go = Registry(), Index(), GoProxy()
        home = tempfile.mkdtemp(prefix='cloudfunction-home-')
        for cleanup in (npm.close, pip.close, go.close):
            self.addCleanup(cleanup)
        self.addCleanup(shutil.rmtree, home)
        (pathlib.Path(home) / '.npmrc').write_text(f'registry={npm.url}\n')
        return (npm, pip, go), {**NO_SETTINGS, 'HOME': home, 'npm_config_registry': '', 'PIP_INDEX_URL': pip.url(),
                                'GOPROXY': go.url, 'GONOSUMDB': '*', 'NO_PROXY': '127.0.0.1'}

    def test_builds_are_whole_or_not_there(self):
        seed = int(os.environ.get('CLOUDFUNCTION_SEED', str(time.time_ns() % 1_000_000)))
        print(f'\nseed {seed}', file=sys.stderr)
        chance = random.Random(seed)
        registries, environment = self.registries()
        platform = self.start({'workers.prewarmed': 0, 'log.level': 'warning', 'build.network': 'host', 'build.parallel': 3,
                               'build.cache_age': 0}, environment=environment)
        available = {runtime['name'] for runtime in self.runtimes() if runtime['available']}
        builders = []
        for kind, registry in zip((Node, Python, Go), registries):
            if kind.runtime in available:
                builders.append(kind(kind.runtime, chance.random()))
                builders[-1].registry = registry
        if not builders:
            self.skipTest('no language is available')

        def call(method, path, body, headers=None):
            return request(platform.url, method, path, body, headers, timeout=120)
        def save(builder, name, number):
            answer = builder.change(call, 'PUT', name, number)
            self.assertLess(answer.status, 300, answer)
        self.each(builders, lambda builder: save(builder, f'{builder.runtime}-first', 0))  # what a language does once only
        interrupted, groups = 0, set()
        for number in range(ROUNDS):
            victim = ('kernel', 'launcher', 'supervisor')[number % 3]
            with Callers(builders, call):
                time.sleep(chance.uniform(0.2, 2.5))
                family = descendants(platform.process.pid)
                groups |= instances(family)
                if victim != 'kernel':
                    os.kill((launcher if victim == 'launcher' else supervisor)(platform), 9)
                    time.sleep(chance.uniform(0, 1))
                if victim != 'launcher':
                    family |= descendants(platform.process.pid)
                    platform.kill()
            if victim == 'launcher':
                # Nobody starts it anew: it has to get over this by itself.
                for builder in builders:
                    builder.check(call)
                wait_until(lambda: not files(platform, 'build'), 'the folders of builds to go')
            else:
                wait_until(lambda: not left(family), 'what the platform had started to end')
                self.assertEqual([], platform.mounts())
                platform.start()
                self.assertEqual(set(), files(platform, 'build'))
            hit = {builder: dict(builder.open) for builder in builders}
            interrupted += sum(map(len, hit.values()))
            for builder in builders:
                builder.check(call)
            # The same packages once more, for the one that was hit last.
            again = {builder: [(name, value) for name, value in hit[builder].items() if value is not None][-1:]
                     for builder in builders}
            self.each(builders, lambda builder: [save(builder, *one) for one in again[builder]])
            for builder in builders:
                builder.check(call)
                builder.forget()
            self.assert_layers_are_whole(platform)
        self.assertGreater(interrupted, 0, 'no build was hit')
        for builder in builders:
            for name in builder.known:
                self.assertEqual(204, call('DELETE', f'{FUNCTIONS}/{name}', None).status)
        platform.stop()
        platform.start()  # which removes what nobody uses
        platform.stop()
        for folder in 'artifacts', 'layers', 'build':
            self.assertEqual(set(), files(platform, folder))
        self.assertEqual([], [group for group in cgroups() if any(name in group for name in groups)])
        print(f'{ROUNDS} kills, {sum(b.count for b in builders)} calls, {interrupted} builds hit', file=sys.stderr)

    def each(self, builders, work):
        self.parallel(len(builders), lambda index: work(builders[index]))

    def assert_layers_are_whole(self, platform):
        folder = platform.data / '.cloudfunction/layers'
        for marker in folder.glob('*.json'):
            parts = [path for path in marker.with_suffix('').rglob('*') if path.is_file() and not path.is_symlink()]
            self.assertEqual(json.loads(marker.read_text()),
                             {'files': len(parts), 'bytes': sum(path.stat().st_size for path in parts)}, marker)


if __name__ == '__main__':
    unittest.main()
