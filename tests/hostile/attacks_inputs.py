"""Names that lead elsewhere, and code that attacks while it is loaded or built."""
from arena import attack

NAMES = ['../handler', '..', '/etc/passwd', '../../../etc/passwd', 'a/../../b', 'handler\0', 'x' * 4096, '', ' ', '.', 'a\nb', '\\..\\x', 'a;b', '$(id)',
         '`id`', '-rf', '%2e%2e', '\u202ehandler']


@attack('handler names', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'def handler(event): return 1\n', 'node': 'const handler = () => 1', 'go': 'func handler() interface{} { return 1 }\n'}[runtime]
    for handler in NAMES:
        answer = arena.create(runtime, code, handler=handler)
        assert answer.status in (400, 422), (handler, answer)
    return f'{len(NAMES)} names'


@attack('file names', 'python', 'node', 'go')
def _(arena, runtime):
    for name in ['../x.py', '/etc/x.py', 'a/../../x.py', 'x\0.py', 'a' * 4096, '', '.', '..', 'a//b/../../../x', '.git/../../x', 'a\nb.py', './../x', 'con\x1b.py']:
        answer = arena.call('POST', '/api/v1/functions', {'name': 'attack-names', 'runtime': runtime, 'handler': 'handler',
                                                          'files': {name: 'x', 'main.py': 'def handler(): return 1\n'}})
        arena.names.append('attack-names')
        assert answer.status in (400, 422), (name, answer)


@attack('function names', 'python')
def _(arena, runtime):
    for name in NAMES + ['a/b', 'con', 'A' * 300]:
        answer = arena.call('POST', '/api/v1/functions', {'name': name, 'runtime': runtime, 'handler': 'handler', 'code': 'def handler(): return 1\n'})
        if answer.status == 201:
            arena.names.append(name)
            assert name in ('con',), (name, answer)
        else:
            assert answer.status in (400, 422), (name, answer)


LOADS = {
    'sleeps': 'import time\ntime.sleep(1000)', 'exits': 'import os\nos._exit(0)', 'leaves': 'import sys\nsys.exit(0)',
    'prints without end': 'while True: print("x" * 100000)', 'raises': 'raise RuntimeError("no")',
    'takes all memory': 'kept = []\nwhile True: kept.append(bytearray(b"x" * (1 << 20)))',
    'forks without end': 'import os\nwhile True:\n    try: os.fork()\n    except OSError: pass',
    'answers too early': 'import os, struct\nos.write(3, struct.pack("<IBBHQ", 0, 3, 0, 0, 0) * 2)\nimport time\ntime.sleep(1000)',
    'kills itself': 'import os\nos.kill(os.getpid(), 9)',
    'replaces the shim': 'import json, socket, os, sys\njson.loads = json.dumps = None\nsys.modules.clear()\nos.read = os.write = None',
}


@attack('code that attacks while it is loaded', 'python')
def _(arena, runtime):
    for what, code in LOADS.items():
        answer = arena.create(runtime, f'{code}\ndef handler(event): return 1\n', init_timeout=2)
        if answer.status == 201:
            answer = arena.invoke(answer.json['name'])
            assert answer.status in (502, 504) or what == 'replaces the shim', (what, answer)
            assert answer.status == 200 or answer.json['reason'] in (
                'load_failed', 'init_timeout', 'worker_crashed', 'memory_exceeded', 'worker_protocol_error'), (what, answer)
        else:
            assert answer.status in (422, 502, 504), (what, answer)
        assert answer.status == 200 or answer.json['detail'], (what, answer)
        arena.clear()
    return f'{len(LOADS)} ways'


@attack('code that attacks while it is loaded', 'node')
def _(arena, runtime):
    for code in ('for (;;) {}', 'process.exit(0)', 'throw new Error("no")', 'const k = []; for (;;) k.push(Buffer.alloc(1 << 20, 1))',
                 'process.kill(process.pid, "SIGKILL")', 'require("fs").writeSync(3, Buffer.alloc(64, 255)); for (;;) {}'):
        answer = arena.create(runtime, f'{code}\nconst handler = () => 1\nmodule.exports = {{ handler }}', init_timeout=2)
        if answer.status == 201:
            answer = arena.invoke(answer.json['name'])
        assert answer.status in (422, 502, 504), (code, answer)
        arena.clear()


@attack('code that attacks while it is loaded', 'go')
def _(arena, runtime):
    for code in ('for {}', 'os.Exit(0)', 'panic("no")', 'time.Sleep(1000 * time.Second)'):
        answer = arena.create(runtime, 'import ("os"; "time")\nvar _ = os.Exit\nvar _ = time.Sleep\n'
                              f'func init() {{ {code} }}\nfunc handler() interface{{}} {{ return 1 }}\n', init_timeout=2)
        if answer.status == 201:
            answer = arena.invoke(answer.json['name'])
        assert answer.status in (422, 502, 504), (code, answer)
        arena.clear()


@attack('source that is hard on the parser', 'python', 'node', 'go')
def _(arena, runtime):
    codes = {'python': ['(' * 100000, 'x=' + '-' * 200000 + '1', '9' * 100000, 'def handler(): return ' + '[' * 5000, '\0', '\ufeff' * 1000],
             'node': ['(' * 100000, '[' * 200000, '/' * 100000, '`${' * 50000, 'function handler() { return ' + '!' * 200000 + '1 }'],
             'go': ['(' * 100000, 'func handler() interface{} { return ' + '-' * 100000 + '1 }', '/*' * 50000, 'var x = ' + '[]' * 50000 + 'int{}']}[runtime]
    for code in codes:
        answer = arena.create(runtime, code)
        assert answer.status in (201, 400, 422, 503), (code[:20], answer.text[:300])
        if answer.status == 201:
            arena.dies(arena.invoke(answer.json['name']))
        arena.clear()


@attack('build that embeds files of the machine', 'go')
def _(arena, runtime):
    answer = arena.create(runtime, 'import _ "embed"\n//go:embed ../../../../etc/passwd\nvar secret string\nfunc handler() interface{} { return secret }\n')
    assert answer.status == 422, answer
