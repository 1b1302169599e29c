"""Signals, crashes, and processes that want to outlive their worker."""
import time

from arena import attack
from platform_fixture import descendants

CRASHES = {
    'python': {
        'segmentation fault': 'import ctypes; ctypes.string_at(0)', 'abort': 'os.abort()', 'os._exit': 'os._exit(0)',
        'SIGKILL to itself': 'os.kill(os.getpid(), 9)', 'sys.exit in a thread that ends it':
        'import threading; threading.Thread(target=lambda: os._exit(7)).start(); import time; time.sleep(9)',
        'stack overflow': 'import ctypes; F = ctypes.CFUNCTYPE(None)\n    def f(): g()\n    g = F(f); import sys; sys.setrecursionlimit(1 << 30); g()',
        'exec of another program': 'os.execv("/bin/true", ["true"])',
        'illegal instruction': 'os.kill(os.getpid(), 4)',
        'another system\'s calls': 'import ctypes; ctypes.CDLL(None).syscall(0x40000000 + 39)'},
    'node': {
        'process.exit': 'process.exit(0)', 'process.abort': 'process.abort()', 'SIGKILL to itself': 'process.kill(process.pid, "SIGKILL")',
        'throw in a timer': 'setTimeout(() => { throw new Error("late") }, 1); return new Promise(r => setTimeout(r, 5000))',
        'unhandled rejection': 'Promise.reject(new Error("late")); return new Promise(r => setTimeout(r, 5000))'},
    'go': {
        'os.Exit': 'os.Exit(0)', 'panic in a goroutine': 'go func() { panic("far") }(); time.Sleep(5 * time.Second)',
        'stack overflow': 'var f func(int) int; f = func(i int) int { return f(i+1) + 1 }; f(0)',
        'concurrent map writes': 'm := map[int]int{}; for i := 0; i < 8; i++ { go func() { for { m[1]++ } }() }; time.Sleep(5 * time.Second)',
        'SIGKILL to itself': 'syscall.Kill(syscall.Getpid(), 9); time.Sleep(5 * time.Second)'},
}
FRAMES = {
    'python': 'import os\ndef handler(event):\n    if not event: return "fine"\n    %s\n    return "alive"\n',
    'node': 'function handler(event) { if (!event) return "fine"; %s; return "alive" }',
    'go': 'import ("os"; "syscall"; "time")\nvar _ = os.Exit\nvar _ = syscall.Getpid\nvar _ = time.Now\n'
          'func handler(event bool) (string, error) {\n    if event { %s }\n    return "fine", nil\n}\n',
}


@attack('crashes', 'python', 'node', 'go')
def _(arena, runtime):
    for what, code in CRASHES[runtime].items():
        name = arena.function(runtime, FRAMES[runtime] % code, timeout=10)
        answer = arena.invoke(name, True)
        assert answer.status == 502 and answer.json['reason'] in ('worker_crashed', 'memory_exceeded'), (what, answer)
        arena.fresh(name, False)
    return f'{len(CRASHES[runtime])} kinds'


@attack('kill everybody', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'os.kill(-1, 9)', 'node': 'try { process.kill(-1, "SIGKILL") } catch {}', 'go': 'syscall.Kill(-1, 9)'}[runtime]
    name = arena.function(runtime, FRAMES[runtime] % code)
    before = arena.result(arena.invoke(arena.victim))
    arena.dies(arena.invoke(name, True))
    assert arena.result(arena.invoke(arena.victim)) == before, 'another worker was killed'
    arena.fresh(name, False)


@attack('signals to parent, pid 1 and the platform', 'python')
def _(arena, runtime):
    pids = [1, arena.platform.process.pid, *descendants(arena.platform.process.pid)]
    name = arena.function(runtime, 'import os, signal\ndef handler(event):\n    hit = []\n'
                          '    for pid in [os.getppid(), *event]:\n        for number in (9, 15, 19, 3):\n            try:\n'
                          '                if pid != os.getpid(): os.kill(pid, number)\n'
                          '            except (PermissionError, ProcessLookupError): continue\n'
                          '    return "fine"\n')
    before = arena.result(arena.invoke(arena.victim))
    assert arena.result(arena.invoke(name, pids)) == 'fine'
    assert arena.platform.process.poll() is None
    assert arena.result(arena.invoke(arena.victim)) == before


@attack('SIGSTOP to itself', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'os.kill(os.getpid(), 19)', 'node': 'process.kill(process.pid, "SIGSTOP")',
            'go': 'syscall.Kill(syscall.Getpid(), 19); time.Sleep(9 * time.Second)'}[runtime]
    name = arena.function(runtime, FRAMES[runtime] % code, timeout=1)
    answer = arena.invoke(name, True)
    # Node.js may have answered before the signal was delivered.
    assert answer.status == 504 or runtime == 'node', answer


DAEMONS = {
    'python': 'import os, time\ndef handler(event):\n    if os.fork() == 0:\n        os.setsid()\n'
              '        if os.fork() == 0:\n            for fd in range(64):\n                try: os.close(fd)\n'
              '                except OSError: pass\n            while True: time.sleep(1)\n        os._exit(0)\n    os.wait()\n    return "fine"\n',
    'node': 'const { spawn } = require("child_process");\nfunction handler() {\n'
            '  spawn("/bin/sh", ["-c", "trap \'\' 1 2 15; while :; do sleep 1; done"], { detached: true, stdio: "ignore" }).unref();\n'
            '  return "fine" }',
}


@attack('daemons', 'python', 'node')
def _(arena, runtime):
    assert arena.result(arena.invoke(arena.function(runtime, DAEMONS[runtime]))) == 'fine'


@attack('work after the reply', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import threading, time\nN = [0]\ndef work():\n    while True: N[0] += 1; time.sleep(0.01)\n'
                          'def handler(event):\n    if N[0] == 0: threading.Thread(target=work, daemon=True).start()\n    return "fine"\n')
    arena.fresh(name)
    time.sleep(0.3)
    arena.fresh(name)


@attack('processes that spin after the reply', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os\ndef handler(event):\n    for _ in range(40):\n        if os.fork() == 0:\n'
                          '            while True: pass\n    return "fine"\n', timeout=20)
    arena.fresh(name)
    # Its worker is idle and still there: the look at the other function comes before it is deleted.


@attack('holding the worker\'s pipes open in a child', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os, time\ndef handler(event):\n    if not event: return "fine"\n    if os.fork() == 0: time.sleep(100)\n    os._exit(1)\n')
    arena.problem(arena.invoke(name, True), 502, 'worker_crashed')
    arena.fresh(name)


@attack('two processes answer', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os\ndef handler(event):\n    if not event: return "fine"\n    os.fork()\n    return "twice"\n')
    answer = arena.invoke(name, True)
    assert answer.status in (200, 502), answer
    for _ in range(3):
        again = arena.invoke(name)
        assert again.status == 502 or arena.result(again) == 'fine', again
