"""Printing: without end, without line ends, and what a terminal would obey."""
from arena import attack

ENDLESS = {
    'python': 'def handler(event):\n    while True: print("x" * 1000)\n',
    'node': 'function handler() { for (;;) console.log("x".repeat(1000)) }',
    'go': 'import "strings"\nfunc handler() interface{} {\n    for { fmt.Println(strings.Repeat("x", 1000)) }\n}\n',
}


@attack('endless output', 'python', 'node', 'go')
def _(arena, runtime):
    name = arena.function(runtime, ENDLESS[runtime], timeout=1)
    arena.problem(arena.invoke(name), 504, 'function_timeout')
    assert len(arena.logs(name).body) < 8 << 20


@attack('endless output past the language', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os\ndef handler(event):\n    while True: os.write(1, b"x" * 4096); os.write(2, b"y" * 4096)\n',
                          timeout=1)
    arena.problem(arena.invoke(name), 504, 'function_timeout')
    assert len(arena.logs(name).body) < 8 << 20


@attack('one line of 1 GB', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os\ndef handler(event):\n    part = b"x" * (1 << 20)\n'
                          '    for _ in range(1024):\n        os.write(1, part)\n    return "fine"\n', timeout=60)
    assert arena.result(arena.invoke(name)) == 'fine'
    assert len(arena.logs(name).body) < 8 << 20


@attack('one line of 64 MB through print', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'def handler(event):\n    print("x" * (64 << 20))\n    return "fine"\n', memory=512, timeout=30)
    assert arena.result(arena.invoke(name)) == 'fine'


@attack('NUL and escape bytes', 'python', 'node')
def _(arena, runtime):
    code = {'python': 'import os\ndef handler(event):\n    print("a\\0b\\x1b[2Jc\\rd\\x9be\\u202ef")\n'
                      '    os.write(2, b"\\xff\\xfe\\0\\x1b]0;title\\x07\\n")\n    return "fine"\n',
            'node': 'function handler() { console.log("a\\0b\\x1b[2Jc\\rd\\x9be\\u202ef"); return "fine" }'}[runtime]
    name = arena.function(runtime, code)
    assert arena.result(arena.invoke(name)) == 'fine'
    shown = arena.logs(name)
    raw = shown.body.replace(b'\n', b'').replace(b'\t', b'')
    assert not [byte for byte in raw if byte < 32], shown
    logs = [path for path in arena.platform.files(arena.platform.data) if path.suffix == '.log']
    assert logs
    for path in logs:
        assert b'\x1b' not in path.read_bytes(), path


@attack('lines that look like somebody else\'s', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'def handler(event):\n    print("fine\\n{\\"level\\":\\"error\\",\\"function\\":\\"other\\"}\\n")\n'
                          '    return "fine"\n')
    assert arena.result(arena.invoke(name)) == 'fine'
    assert arena.logs(name).status == 200
