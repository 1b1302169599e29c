"""Answers that are none."""
import json

from arena import attack


@attack('result of 1 GB', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'def handler(event): return "x" * (1 << 30)\n',
            'node': 'function handler() { const part = "x".repeat(1 << 28); return [part, part, part, part] }',
            'go': 'import "strings"\nfunc handler() interface{} { return strings.Repeat("x", 1<<30) }\n'}[runtime]
    name = arena.function(runtime, code, memory=512, timeout=20)
    answer = arena.invoke(name)
    assert answer.status in (200, 502, 504), answer
    assert answer.status != 200 or answer.json['status'] == 'error', answer.text[:300]


@attack('result above the limit', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'def handler(event): return "x" * (20 << 20)\n', 'node': 'const handler = () => "x".repeat(20 << 20)',
            'go': 'import "strings"\nfunc handler() interface{} { return strings.Repeat("x", 20<<20) }\n'}[runtime]
    name = arena.function(runtime, code, memory=512, timeout=10)
    answer = arena.invoke(name)
    assert answer.status == 502 or answer.json['status'] == 'error', answer.text[:300]


@attack('cyclic result', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'def handler(event):\n    a = []; a.append(a); return a\n',
            'node': 'function handler() { const a = {}; a.a = a; return a }',
            'go': 'type node struct { Next *node }\nfunc handler() interface{} { n := &node{}; n.Next = n; return n }\n'}[runtime]
    answer = arena.invoke(arena.function(runtime, code))
    assert answer.status == 502 or answer.json['status'] == 'error', answer


@attack('NaN and infinity', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'def handler(event): return [float("nan"), float("inf")]\n', 'node': 'const handler = () => [NaN, Infinity]',
            'go': 'import "math"\nfunc handler() interface{} { return math.NaN() }\n'}[runtime]
    answer = arena.invoke(arena.function(runtime, code))
    json.loads(answer.body, parse_constant=lambda text: (_ for _ in ()).throw(AssertionError(f'{text} in an answer')))
    assert answer.status in (200, 502), answer


@attack('result nested 100 000 deep', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'def handler(event):\n    a = []\n    for _ in range(100000): a = [a]\n    return a\n',
            'node': 'function handler() { let a = []; for (let i = 0; i < 100000; i++) a = [a]; return a }',
            'go': 'func handler() interface{} {\n    var a interface{}\n    for i := 0; i < 100000; i++ { a = []interface{}{a} }\n'
                  '    return a\n}\n'}[runtime]
    answer = arena.invoke(arena.function(runtime, code, memory=256))
    assert answer.status == 502 or answer.json['status'] == 'error', answer.text[:300]


@attack('result that is not UTF-8', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'def handler(event): return "\\ud800 lonely"\n', 'node': 'const handler = () => "\\ud800 lonely"',
            'go': 'func handler() interface{} { return "\\xff\\xfe" }\n'}[runtime]
    answer = arena.invoke(arena.function(runtime, code))
    # Valid either way: said to be wrong, or with what does not belong there replaced.
    json.loads(answer.body.decode('utf-8'))
    assert answer.status == 200 or answer.json['reason'] == 'invalid_response', answer


@attack('result of an odd type', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'def handler(event): return {1, object()}\n', 'node': 'const handler = () => 10n',
            'go': 'func handler() interface{} { return make(chan int) }\n'}[runtime]
    answer = arena.invoke(arena.function(runtime, code))
    assert answer.status == 502 or answer.json['status'] == 'error', answer


@attack('conversion that never ends', 'python', 'node')
def _(arena, runtime):
    code = {'python': 'class Odd(dict):\n    def items(self):\n        while True: yield "a", 1\n'
                      'def handler(event): return Odd(a=1)\n',
            'node': 'const handler = () => ({ toJSON() { for (;;) {} } })'}[runtime]
    arena.ends(arena.invoke(arena.function(runtime, code, timeout=1)))


FRAME = ('import os, struct\n'
         'def frame(kind, id, payload): os.write(3, struct.pack("<IBBHQ", len(payload), kind, 0, 0, id) + payload)\n')


@attack('answers that were not asked for', 'python')
def _(arena, runtime):
    name = arena.function(runtime, FRAME + 'def handler(event):\n    if not event: return "fine"\n'
                          '    for id in range(100): frame(6, id, struct.pack("<I", 6) + b\'"mine"\')\n    return "other"\n')
    arena.problem(arena.invoke(name, True), 502, 'worker_protocol_error', 'worker_crashed')
    arena.fresh(name)


@attack('no answer', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os\ndef handler(event):\n    if not event: return "fine"\n    os.close(3)\n    return 1\n')
    arena.problem(arena.invoke(name, True), 502, 'worker_crashed', 'worker_protocol_error', 'worker_lost')
    arena.fresh(name)


GARBAGE = {
    'noise': 'os.write(3, os.urandom(65536))',
    'an oversized frame': 'os.write(3, struct.pack("<IBBHQ", 0xffffffff, 6, 0, 0, 1))',
    'a frame of an unknown kind': 'frame(200, 0, b"x")',
    'a frame that only the platform sends': 'frame(2, 0, b"")',
    'a second HELLO': 'frame(1, 0, b"")',
    'a second READY': 'frame(3, 0, b"")',
    'a broken item': 'frame(11, 0, struct.pack("<HHI", 17, 0, 0xffffff) + b"x")',
    'an answer with a lying size': 'frame(6, 1, struct.pack("<I", 0xfffffff) + b"1")',
    'reserved bits': 'os.write(3, struct.pack("<IBBHQ", 0, 11, 255, 65535, 0))',
    'half a frame': 'os.write(3, b"\\x10")',
}


@attack('garbage on descriptor 3', 'python')
def _(arena, runtime):
    for what, code in GARBAGE.items():
        name = arena.function(runtime, FRAME + f'import time\ndef handler(event):\n    if not event: return "fine"\n    {code}\n'
                              '    time.sleep(10)\n    return "not fine"\n', timeout=1)
        answer = arena.invoke(name, True)
        assert answer.status in (502, 504), (what, answer)
        arena.fresh(name)
    return f'{len(GARBAGE)} kinds'


@attack('reply headers and status', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import json\ndef handler(event): return json.loads(event["body"])\n', http={'enabled': True})
    for answer in ({'headers': {'X-Split': 'a\r\nSet-Cookie: stolen=1'}}, {'headers': {'X-Split\r\nY': 'a'}},
                   {'headers': {'X Space': 'a'}}, {'headers': {'': 'a'}}, {'headers': {'X-Nul': 'a\0b'}},
                   {'headers': {'Content-Length': '5'}}, {'headers': {'Transfer-Encoding': 'chunked'}},
                   {'status_code': 0}, {'status_code': 99}, {'status_code': 1000}, {'status_code': -1},
                   {'status_code': 'ok'}, {'status_code': 200.5}, {'status_code': 101}):
        got = arena.call('POST', f'/function/{name}', json.dumps({'status_code': 200, 'body': 'x', **answer}))
        assert got.headers.get('Set-Cookie') is None and got.headers.get('X-Nul') is None, (answer, got)
        safe = {'Content-Length', 'Transfer-Encoding'} & set(answer.get('headers', {}))
        assert got.status == 502 or (safe and got.status == 200 and got.body == b'x'), (answer, got)
