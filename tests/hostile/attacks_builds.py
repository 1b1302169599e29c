"""Packages that attack while they are installed, where the operator lets them run code of their own: install scripts of
npm, and Python packages that are built from their source. Such code is a handler as everywhere else; `Workshop.build`
has it run by the build."""
import concurrent.futures
import hashlib
import json
import pathlib
import secrets
import shutil
import sys
import tempfile

from arena import Arena, Skip, attack
from attacks_files import LOOKERS, OF_THE_MACHINE, of_the_platform, refused
from attacks_network import CONNECT, forbidden
from attacks_output import ENDLESS
from attacks_processes import DAEMONS
from attacks_resources import FORKS, MEMORY, SPIN
from platform_fixture import SOURCE

sys.path.insert(0, str(SOURCE / 'tests/contract/node_executor'))

from npm_registry import Registry  # noqa: E402
from test_build_limits import PROJECT  # noqa: E402
from python_index import NO_SETTINGS, Index, module, sdist  # noqa: E402

BEGUN = 'the attack begins'
# One of these stands in the log of a build, or in the end of it that is shown, when the attack was made: its first line, a
# flood of output, and what is said when it killed those who would pass on what it says, or kept them from tidying up.
SIGNS = (BEGUN, 'x' * 1000, 'the tool was killed', 'Successfully built')
PROCESSES = 512  # of one build

# The build backend of a package, whose wheel tells what the attack gave.
BACKEND = '''
import json, os, sys, zipfile
import attack
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    print(%r, flush=True)
    found = attack.handler(json.load(open("event.json")))
    package = json.load(open("package.json"))
    name = package + "-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        wheel.writestr(package + "/__init__.py", "found = " + repr(found))
        for part, text in (("METADATA", "Metadata-Version: 2.1\\nName: " + package + "\\nVersion: 1.0\\n"), ("RECORD", ""),
                           ("WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")):
            wheel.writestr(package + "-1.0.dist-info/" + part, text)
    return name
''' % BEGUN
SCRIPT = '''
console.log(%r);
const fs = require("fs");
Promise.resolve(require("./attack.js")(JSON.parse(fs.readFileSync("event.json"))))
    .then(found => fs.writeFileSync("found.json", JSON.stringify(found)));
''' % BEGUN
USERS = {'python': 'import {0}\ndef handler(event): return {0}.found\n', 'node': 'const handler = () => require("{0}")'}


class Workshop(Arena):
    warm = {'node': Arena.warm['node']}
    properties = {**Arena.properties, 'build.network': 'host', 'executor.python.source_builds': 'true',
                  'executor.node.install_scripts': 'true', 'build.memory_mb': 384, 'build.disk_mb': 64, 'build.timeout': 90}

    def __init__(self, kind):
        self.index, self.registry = Index(), Registry()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix='cloudfunction-home-'))
        self.home.chmod(0o755)
        (self.home / '.npmrc').write_text(f'registry={self.registry.url}\n')
        self.environment = {**NO_SETTINGS, 'PIP_INDEX_URL': self.index.url(), 'HOME': self.home, 'npm_config_registry': ''}
        super().__init__(kind)

    def close(self):
        try:
            super().close()
        finally:
            self.index.close()
            self.registry.close()
            shutil.rmtree(self.home)

    def publish(self, runtime, code, event):
        """A package that runs this handler while it is installed; its name."""
        package = 'attack' + secrets.token_hex(5)
        if runtime == 'python':
            self.index.add(sdist(package, '1.0', '', {
                'pyproject.toml': PROJECT, 'backend.py': BACKEND, 'attack.py': code, 'event.json': json.dumps(event),
                'package.json': json.dumps(package)}))
        else:
            self.registry.add(package, '1.0.0', 'module.exports = require("./found.json")', {
                'make.js': SCRIPT, 'attack.js': f'{code}\nmodule.exports = handler', 'event.json': json.dumps(event)},
                scripts={'install': 'node make.js'})
        return package

    def save(self, runtime, code, event=True):
        """The answer to a save of a function that uses such a package."""
        if runtime == 'node' and not shutil.which('npm'):
            raise Skip('there is no npm on this machine')
        package = self.publish(runtime, code, event)
        answer = self.create(runtime, USERS[runtime].format(package), dependencies=[package])
        log = answer.json.get('build_log', '')
        assert answer.status == 201 or any(sign in log for sign in SIGNS), answer
        return answer

    def attempt(self, *arguments):
        return self.watched(lambda: self.save(*arguments))[0]

    def build(self, runtime, code, event=True):
        """What the handler gave."""
        answer = self.attempt(runtime, code, event)
        assert answer.status == 201, answer
        return self.result(self.invoke(answer.json['name']))

    def refused(self, answer, *reasons):
        self.problem(answer, 422, *reasons)
        assert answer.json['detail'], answer


def builds(what, *runtimes):
    return attack(what, *(runtimes or ('python', 'node')), where=Workshop)


SLEEP = {'node': 'function handler() { setInterval(() => {}, 1000); return new Promise(() => {}) }'}


@attack('builds that never end', where=Workshop)
def _(arena):
    """As many at once as there may be builds."""
    if not shutil.which('npm'):
        raise Skip('there is no npm on this machine')
    # Many processes are much memory, too, and much output, which pip keeps and logs, is much of both.
    saves = (('python', FORKS, 'build_memory_exceeded', 'build_failed'), ('python', ENDLESS, 'build_memory_exceeded', 'build_disk_exceeded'),
             ('node', SPIN), ('node', SLEEP))
    with concurrent.futures.ThreadPoolExecutor(len(saves)) as pool:
        answers, most = arena.watched(lambda: list(pool.map(lambda save: arena.save(save[0], save[1][save[0]]), saves)))
    for (_, _, *others), answer in zip(saves, answers):
        arena.refused(answer, 'build_timeout', *others)
        assert len(answer.json['build_log']) < 2 << 20
    assert most <= len(saves) * PROCESSES or not arena.layers['process_limit'], most
    return f'{most} processes and threads at most'


@builds('memory bomb in a build')
def _(arena, runtime):
    answer = arena.attempt(runtime, MEMORY[runtime])
    arena.refused(answer, 'build_memory_exceeded')


# In the folder that the package is unpacked to.
FILL = {
    'python': 'import time\ndef handler(event):\n    number = 0\n    while True:\n        number += 1\n'
              '        with open(str(number), "wb") as f: f.write(bytes(event))\n        if number % 100 == 0 or event: time.sleep(0.01)\n',
    'node': 'const fs = require("fs");\nasync function handler(size) {\n'
            '  for (let number = 1; ; ++number) {\n    fs.writeFileSync(String(number), Buffer.alloc(size));\n'
            '    if (number % 100 == 0 || size) await new Promise(done => setTimeout(done, 10)) } }',
}


@builds('build that fills the disk')
def _(arena, runtime):
    for size in (4 << 20, 0):
        arena.refused(arena.attempt(runtime, FILL[runtime], size), 'build_disk_exceeded')


# The same, and nothing of it is ever in a folder with something in it.
FILL_UNSEEN = {
    'python': 'import os, time\ndef handler(event):\n    kept = []\n    while True:\n        kept.append(open("unseen", "wb", 0))\n'
              '        os.unlink("unseen"); kept[-1].write(bytes(4 << 20)); time.sleep(0.01)\n',
    'node': 'const fs = require("fs");\nasync function handler() {\n  for (;;) {\n    const file = fs.openSync("unseen", "w");\n'
            '    fs.unlinkSync("unseen"); fs.writeSync(file, Buffer.alloc(4 << 20));\n'
            '    await new Promise(done => setTimeout(done, 10)) } }',
}


@builds('build that fills the disk with files without a name')
def _(arena, runtime):
    arena.refused(arena.attempt(runtime, FILL_UNSEEN[runtime]), 'build_disk_exceeded')


@builds('daemons of a build')
def _(arena, runtime):
    assert arena.build(runtime, DAEMONS[runtime]) == 'fine'


KILL = {'python': 'import os\ndef handler(event):\n    for pid in [os.getppid(), *event, -1]:\n        for number in (19, 9):\n'
                  '            try:\n                if pid != os.getpid(): os.kill(pid, number)\n'
                  '            except OSError: pass\n    return "fine"\n',
        'node': 'function handler(event) {\n  for (const pid of [process.ppid, ...event, -1])\n    for (const number of ["SIGSTOP", "SIGKILL"])\n'
                '      try { if (pid !== process.pid) process.kill(pid, number) } catch {}\n  return "fine" }'}


@builds('build that kills everybody')
def _(arena, runtime):
    before = arena.result(arena.invoke(arena.victim))
    pids = [1, arena.platform.process.pid, *arena.helpers()]
    answer = arena.attempt(runtime, KILL[runtime], pids)
    arena.refused(answer, 'build_failed', 'build_timeout')
    assert arena.platform.process.poll() is None
    assert arena.result(arena.invoke(arena.victim)) == before


@builds('files of the machine and the platform in a build')
def _(arena, runtime):
    tries = [*OF_THE_MACHINE, *of_the_platform(arena), ['list', str(arena.home)], ['read', str(arena.home / '.npmrc')]]
    return refused(tries, arena.build(runtime, LOOKERS[runtime], tries))


@builds('code and packages of other functions in a build')
def _(arena, runtime):
    arena.index.add(module('shared', '1.0', extra='found = "good"'))
    arena.registry.add('shared', '1.0.0', 'module.exports = "good"')
    others = [arena.function(runtime, USERS[runtime].format('shared'), dependencies=['shared'])]
    own = arena.platform.data / '.cloudfunction'

    def content():
        return {str(path): hashlib.sha256(path.read_bytes()).digest() for path in own.rglob('*')
                if path.is_file() and path.relative_to(own).parts[0] in ('layers', 'artifacts')}
    before = content()
    assert any('shared' in path for path in before), before
    folders = {str(pathlib.Path(path).parent) for path in before}
    tries = [[what, path] for path in before for what in ('read', 'write', 'chmod', 'remove')]
    tries += [[what, path] for path in folders for what in ('list', 'create', 'link')]
    said = refused(tries, arena.build(runtime, LOOKERS[runtime], tries))
    after = content()
    assert {path: after.get(path) for path in before} == before
    others.append(arena.function(runtime, USERS[runtime].format('shared'), dependencies=['shared']))
    assert [arena.result(arena.invoke(name)) for name in others] == ['good', 'good']
    return said


@builds('network of a build that runs code of packages')
def _(arena, runtime):
    places = forbidden(arena) + [['127.0.0.1', arena.index.port], ['127.0.0.1', arena.registry.server.server_port],
                                 ['192.0.2.1', 80], ['example.com', 80]]
    got = arena.build(runtime, CONNECT[runtime], places)
    reached = [place for place, how in zip(places, got) if how == 'reached']
    assert not reached, reached
    return f'{len(places)} places'


# What the platform has to remove or to step over: pipes, links, folders that nobody may enter, trees deeper than a path
# can be, names that are no text.
LEAVE = '''
mkfifo pipe; ln -s /etc/shadow shadow; ln -s "$0" data; ln -s . loop; ln -s /dev/zero zero; ln -s nowhere gone; ln -s self self
mkdir hidden; echo x >hidden/file; chmod 000 hidden/file hidden
cp /bin/sh sh; chmod 6755 sh; mknod device c 1 5 2>/dev/null
touch "$(printf 'a\\nb')" "$(printf '\\377')" "$(printf '%0255d' 0)"
i=0; while [ $i -lt "$1" ]; do mkdir d; cd -P d; i=$((i+1)); done; echo fine
'''
SHELL = {
    'python': 'import subprocess\ndef handler(event):\n    return subprocess.run(["/bin/sh", "-c", *event], stdout=subprocess.PIPE).stdout.decode()\n',
    'node': 'const handler = event => require("child_process").spawnSync("/bin/sh", ["-c", ...event]).stdout.toString()',
}


@builds('odd files that a build leaves behind')
def _(arena, runtime):
    for depth in (0, 1000):
        answer = arena.attempt(runtime, SHELL[runtime], [LEAVE, str(arena.platform.data), str(depth)])
        if answer.status == 201:
            assert arena.result(arena.invoke(answer.json['name'])) == 'fine\n'
        else:
            arena.refused(answer, 'build_failed', 'build_disk_exceeded')
        arena.clear()
