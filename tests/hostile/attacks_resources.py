"""Taking more than is theirs: processes, memory, processors, disk."""
import time

from arena import Skip, attack

TIMEOUT = 1
# What the kill of a tree may take beyond the timeout; the best of some calls counts.
LATE = 0.1
CALLS = 3
PROCESSES = 64  # sandbox.processes

FORKS = {
    'python': 'import os\ndef handler(event):\n    if not event: return "fine"\n    while True:\n        try: os.fork()\n'
              '        except OSError: pass\n',
    'node': 'const { spawn } = require("child_process");\nasync function handler(event) { if (!event) return "fine";\n'
            '  for (;;) { try { spawn("/bin/sh", ["-c", "while :; do /bin/sh -c : & done"]).on("error", () => {}) }\n'
            '    catch {} await new Promise(setImmediate) } }',
    'go': 'import "os/exec"\nfunc handler(event bool) (string, error) {\n    for event {\n'
          '        exec.Command("/bin/sh", "-c", "while :; do sleep 100 & done").Start()\n    }\n    return "fine", nil\n}\n',
}
THREADS = {
    'python': 'import threading, time\ndef handler(event):\n    if not event: return "fine"\n    kept = []\n    while True:\n'
              '        try:\n            t = threading.Thread(target=time.sleep, args=(1000,)); t.start(); kept.append(t)\n'
              '        except RuntimeError: pass\n',
    'node': 'const { Worker } = require("worker_threads");\nasync function handler(event) { if (!event) return "fine";\n'
            '  for (;;) { new Worker("setInterval(()=>{}, 1000)", { eval: true }).on("error", () => {});\n'
            '    await new Promise(setImmediate) } }',
    'go': 'import ("runtime"; "time")\nfunc handler(event bool) (string, error) {\n    for event {\n        go func() {\n'
          '            runtime.LockOSThread()\n            time.Sleep(1000 * time.Second)\n        }()\n    }\n'
          '    return "fine", nil\n}\n',
}
MEMORY = {
    'python': 'def handler(event):\n    if not event: return "fine"\n    kept = []\n'
              '    while True: kept.append(bytearray(b"x" * (1 << 20)))\n',
    'node': 'function handler(event) { if (!event) return "fine"; const kept = [];\n'
            '  for (;;) kept.push(Buffer.alloc(1 << 20, 1)) }',
    'go': 'func handler(event bool) (string, error) {\n    var kept [][]byte\n    for event {\n'
          '        b := make([]byte, 1<<20)\n        for i := range b { b[i] = 1 }\n        kept = append(kept, b)\n'
          '    }\n    return fmt.Sprint("fine")[:4+0*len(kept)], nil\n}\n',
}


def within_limit(arena, tasks):
    """The limit, its own first process, and one of the launcher's that is on its way; a watchdog looks now and then only."""
    assert tasks <= PROCESSES + 4 or not arena.layers['process_limit'], f'{tasks} processes and threads, {PROCESSES} allowed'


@attack('fork bomb', 'python', 'node', 'go')
def _(arena, runtime):
    if not arena.layers['process_limit']:
        raise Skip('only a watchdog holds it here, which a bomb on a busy machine outruns')
    name = arena.function(runtime, FORKS[runtime], timeout=TIMEOUT)
    answer, most = arena.invoke_watched(name, True)
    arena.ends_or_fails(answer)
    within_limit(arena, most)
    arena.fresh(name, False)
    return f'{most} at most'


@attack('thread bomb', 'python', 'node', 'go')
def _(arena, runtime):
    name = arena.function(runtime, THREADS[runtime], timeout=TIMEOUT)
    answer, most = arena.invoke_watched(name, True)
    arena.ends_or_fails(answer)
    within_limit(arena, most)
    arena.fresh(name, False)
    return f'{most} at most'


@attack('memory bomb', 'python', 'node', 'go')
def _(arena, runtime):
    name = arena.function(runtime, MEMORY[runtime], memory=128, timeout=20)
    problem = arena.problem(arena.invoke(name, True), 502, 'memory_exceeded')
    assert str(arena.memory(128)) in str(problem.get('limit', problem['detail'])), problem
    arena.fresh(name, False)


@attack('memory bomb of many small processes', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os, time\ndef handler(event):\n    if not event: return "fine"\n'
                          '    for _ in range(20):\n        if os.fork() == 0:\n            kept = bytearray(b"x" * (16 << 20))\n'
                          '            time.sleep(100)\n    time.sleep(100)\n', memory=64, timeout=10)
    arena.problem(arena.invoke(name, True), 502, 'memory_exceeded')
    arena.fresh(name, False)


@attack('memory bomb in /tmp', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import tempfile, time\ndef handler(event):\n    if not event: return "fine"\n    kept = []\n'
                          '    try:\n        for i in range(64):\n            f = open(f"{tempfile.gettempdir()}/{i}", "wb")\n'
                          '            kept.append(f); kept.append(bytearray(b"x" * (1 << 20))); f.write(bytes(1 << 20))\n'
                          # Held until somebody ends it: without control groups a watchdog looks 10 times a second.
                          '    except OSError: pass\n    time.sleep(100)\n',
                          memory=40, timeout=20)
    arena.problem(arena.invoke(name, True), 502, 'memory_exceeded')
    arena.fresh(name, False)


@attack('memory bomb in memory files', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os\ndef handler(event):\n    if not event: return "fine"\n    kept = []\n'
                          '    while True:\n        fd = os.memfd_create("x"); os.write(fd, b"x" * (1 << 20)); kept.append(fd)\n',
                          memory=64, timeout=20)
    answer = arena.invoke(name, True)
    if arena.layers['memory_limit']:
        arena.problem(answer, 502, 'memory_exceeded')
    else:
        arena.error(answer, 'PermissionError')
    arena.fresh(name, False)


# In many processes, because each has descriptors of its own.
BUFFERS = '''
import os, socket, time
def ends(kind):
    if kind == "pipes":
        return [os.fdopen(fd, "wb", 0) for fd in os.pipe()]
    if kind == "socket pairs":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return server.accept()[0], one
def fill(kind):
    kept = []
    try:
        while True:
            pair = ends(kind)
            kept.append(pair)
            if kind != "pipes":
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF): pair[1].setsockopt(socket.SOL_SOCKET, option, 1 << 24)
            os.set_blocking(pair[1].fileno(), False)
            try:
                while True: os.write(pair[1].fileno(), bytes(1 << 16))
            except BlockingIOError: pass
    except OSError:
        time.sleep(100)
def handler(event):
    if not event: return "fine"
    for _ in range(8):
        if os.fork() == 0: break
    fill(event)
'''


@attack('memory bomb in pipes and sockets', 'python')
def _(arena, runtime):
    name = arena.function(runtime, BUFFERS, memory=128, timeout=10)
    for kind in ('socket pairs', 'pipes', 'connections to itself'):
        answer = arena.invoke(name, kind)
        # Linux itself limits the pipes of a user and makes TCP wait; without a network there is nobody to connect to.
        bounded = arena.layers['memory_limit'] and kind != 'socket pairs' or kind == 'connections to itself' and not arena.layers['network_namespace']
        # Without a pid namespace so many die too slowly for the answer to know why.
        arena.problem(answer, answer.status, 'memory_exceeded', *['worker_crashed'] * (not arena.layers['pid_namespace']),
                      *['function_timeout'] * bounded)
        arena.fresh(name)


@attack('page cache of large files', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os\ndef handler(event):\n    size = 0\n    for top, _, names in os.walk("/usr/lib"):\n'
                          '        for name in names:\n            path = os.path.join(top, name)\n'
                          '            try:\n'
                          '                with open(path, "rb") as f:\n                    while part := f.read(1 << 20): size += len(part)\n'
                          # Some are links to what is in no sandbox.
                          '            except OSError: continue\n'
                          '            if size > 256 << 20: return "fine"\n    return "fine"\n', memory=64, timeout=30)
    assert arena.result(arena.invoke(name)) == 'fine'


def on_time(arena, name, event=True):
    late = []
    while len(late) < CALLS and min(late, default=9) > LATE:
        began = time.monotonic()
        arena.problem(arena.invoke(name, event), 504, 'function_timeout')
        late.append(time.monotonic() - began - TIMEOUT)
    # The first call starts a worker, whose time is not the handler's.
    assert min(late) <= LATE + 0.1, f'the timeout came {min(late) * 1000:.0f} ms late'
    return f'{min(late) * 1000:.0f} ms late'


SPIN = {
    'python': 'import signal\ndef handler(event):\n    if not event: return "fine"\n    for number in range(1, 65):\n'
              '        try: signal.signal(number, signal.SIG_IGN)\n        except (OSError, ValueError): pass\n    while True: pass\n',
    'node': 'function handler(event) { if (!event) return "fine";\n'
            '  for (const s of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"]) process.on(s, () => {}); for (;;) {} }',
    'go': 'import ("os/signal"; "os")\nfunc handler(event bool) (string, error) {\n    signal.Ignore()\n'
          '    signal.Notify(make(chan os.Signal, 1))\n    for event { }\n    return "fine", nil\n}\n',
}


@attack('processor spin with signals ignored', 'python', 'node', 'go')
def _(arena, runtime):
    name = arena.function(runtime, SPIN[runtime], timeout=TIMEOUT)
    said = on_time(arena, name)
    arena.fresh(name, False)
    return said


@attack('native loop that holds the interpreter', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import itertools\ndef handler(event):\n    return sum(itertools.repeat(0))\n', timeout=TIMEOUT)
    return on_time(arena, name)


@attack('catastrophic regular expression', 'node')
def _(arena, runtime):
    name = arena.function(runtime, 'const handler = () => /^(a+)+$/.test("a".repeat(60) + "!")', timeout=TIMEOUT)
    return on_time(arena, name)


@attack('sleep past the timeout', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'import time\ndef handler(event): time.sleep(1000)\n',
            'node': 'const handler = () => new Promise(() => setInterval(() => {}, 1000))',
            'go': 'import "time"\nfunc handler() interface{} { time.Sleep(1000 * time.Second); return 1 }\n'}[runtime]
    return on_time(arena, arena.function(runtime, code, timeout=TIMEOUT))


@attack('many spinning threads and processes', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os\ndef handler(event):\n    for _ in range(30):\n        if os.fork() == 0: break\n'
                          '    while True: pass\n', timeout=TIMEOUT)
    arena.problem(arena.invoke(name, True), 504, 'function_timeout')


def write_until(arena, body, *types):
    name = arena.function('python', 'import os, tempfile\nT = tempfile.gettempdir()\ndef handler(event):\n    if not event: return "fine"\n'
                          + body, memory=256, timeout=20)
    answer = arena.invoke(name, True)
    # Without a file system of its own the worker is killed instead.
    if arena.layers['mount_namespace']:
        error = arena.error(answer, *types)
        arena.fresh(name, False)
        return error['message'][:40]
    arena.dies(answer)
    arena.fresh(name, False)
    return None


@attack('fill /tmp', 'python')
def _(arena, runtime):
    return write_until(arena, '    for i in range(100000):\n        with open(f"{T}/{i}", "wb") as f: f.write(bytes(1 << 20))\n', 'OSError')


@attack('a million files', 'python')
def _(arena, runtime):
    return write_until(arena, '    for i in range(1000000): open(f"{T}/{i}", "w").close()\n', 'OSError')


@attack('sparse file', 'python')
def _(arena, runtime):
    return write_until(arena, '    with open(f"{T}/sparse", "wb") as f:\n        f.truncate(1 << 40)\n        f.seek(1 << 39); f.write(b"x")\n'
                       '    raise OSError(0, "written")\n', 'OSError')


@attack('deep tree of folders', 'python')
def _(arena, runtime):
    write_until(arena, '    os.chdir(T)\n    for i in range(3000):\n        os.mkdir("d"); os.chdir("d")\n    raise OSError(0, "made")\n', 'OSError')


@attack('open files without end', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'def handler(event):\n    kept = []\n    while True: kept.append(open("/dev/null"))\n')
    arena.error(arena.invoke(name), 'OSError')


@attack('inotify watches without end', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import ctypes\ndef handler(event):\n    libc = ctypes.CDLL(None)\n'
                          '    return [libc.inotify_init() for _ in range(2000)][-1]\n')
    assert arena.result(arena.invoke(name)) == -1


@attack('shared memory', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os\ndef handler(event):\n    for i in range(1000):\n'
                          '        with open(f"/dev/shm/{i}", "wb") as f: f.write(bytes(1 << 20))\n', memory=128)
    answer = arena.invoke(name)
    if answer.status == 200:
        arena.error(answer, 'OSError', 'PermissionError')
    else:
        arena.problem(answer, 502, 'memory_exceeded')
