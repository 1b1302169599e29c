"""Files of the machine, of the platform, of other functions, and its own code."""
import base64
import os

from arena import CANARY, attack

LOOK = '''
import os, base64
def attempt(what, path):
    try:
        if what == 'read': return ['read', base64.b64encode(open(path, 'rb').read(4096)).decode()]
        if what == 'list': return ['list', os.listdir(path)[:50]]
        if what == 'write': open(path, 'ab').write(b'x'); return ['written', path]
        if what == 'create': open(path + '/created', 'w').close(); return ['created', path]
        if what == 'remove': os.remove(path); return ['removed', path]
        if what == 'chmod': os.chmod(path, 0o777); return ['changed', path]
        if what == 'link': os.symlink('/etc/shadow', path + '/link'); return ['linked', path]
        if what == 'mknod': os.mknod(path, 0o60666, os.makedev(8, 0)); return ['made', path]
    except OSError as error: return ['refused', error.errno]
def handler(event): return [attempt(*one) for one in event]
'''
LOOK_NODE = '''
const fs = require("fs");
function attempt([what, path]) {
  try {
    if (what == "read") return ["read", fs.readFileSync(path).subarray(0, 4096).toString("base64")];
    if (what == "list") return ["list", fs.readdirSync(path).slice(0, 50)];
    if (what == "write") { fs.appendFileSync(path, "x"); return ["written", path] }
    if (what == "create") { fs.writeFileSync(path + "/created", ""); return ["created", path] }
    if (what == "remove") { fs.unlinkSync(path); return ["removed", path] }
    if (what == "chmod") { fs.chmodSync(path, 0o777); return ["changed", path] }
    if (what == "link") { fs.symlinkSync("/etc/shadow", path + "/link"); return ["linked", path] }
    return ["refused", 0];
  } catch (error) { return ["refused", error.code] }
}
const handler = (event) => event.map(attempt)
'''
LOOK_GO = '''
import ("encoding/base64"; "os")
func attempt(what, path string) []interface{} {
    switch what {
    case "read":
        if data, err := os.ReadFile(path); err == nil { return []interface{}{"read", base64.StdEncoding.EncodeToString(data)} }
    case "list":
        if found, err := os.ReadDir(path); err == nil { return []interface{}{"list", len(found)} }
    case "write":
        if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil { f.Close(); return []interface{}{"written", path} }
    }
    return []interface{}{"refused", 0}
}
func handler(event [][]string) ([][]interface{}, error) {
    var all [][]interface{}
    for _, one := range event { all = append(all, attempt(one[0], one[1])) }
    return all, nil
}
'''
LOOKERS = {'python': LOOK, 'node': LOOK_NODE, 'go': LOOK_GO}


def is_way(one, answer):
    if one[0] != 'list':
        return False
    here = os.listdir(os.path.normpath(one[1].replace('/proc/self/root', '').replace('/..', '')))
    return (answer[1] if isinstance(answer[1], int) else len(answer[1])) == 1 < len(here)


def refused(tries, answers):
    # What is covered reads as an empty file. A folder may be there on the way to a toolchain below it, and hold nothing else.
    wrong = [(one, answer) for one, answer in zip(tries, answers)
             if answer[0] != 'refused' and answer != ['read', ''] and not is_way(one, answer)]
    assert not wrong, wrong[:5]
    return f'{len(tries)} tries'


OF_THE_MACHINE = [
    ['read', '/etc/shadow'], ['read', '/etc/machine-id'], ['read', '/etc/fstab'], ['list', '/root'], ['list', '/home'],
    ['list', '/var/lib'], ['list', '/var/log'], ['list', '/run'], ['list', '/boot'], ['list', '/sys/class'], ['list', '/mnt'],
    ['list', '/work'], ['list', '/srv'], ['list', '/opt/containerd'], ['read', '/dev/sda'], ['read', '/dev/mem'],
    ['read', '/dev/kmsg'], ['read', '/proc/kcore'], ['read', '/proc/kmsg'], ['list', '/proc/1/root'], ['list', '/proc/1/cwd'],
    ['list', '/proc/1/fd'], ['read', '/proc/1/environ'], ['read', '/proc/1/mem'], ['list', '/proc/1/map_files'],
    ['list', '/proc/self/root/root'], ['list', '/../../root'], ['write', '/proc/sys/kernel/core_pattern'],
    ['write', '/proc/sysrq-trigger'], ['write', '/proc/sys/vm/drop_caches'], ['write', '/sys/kernel/uevent_helper'],
    ['write', '/sys/fs/cgroup/memory.max'], ['write', '/etc/passwd'], ['write', '/usr/bin/env'], ['write', '/usr/created']]


def of_the_platform(arena):
    platform = arena.platform
    # Without mounts whoever knows a layer's key may read it (docs/sandbox.md).
    layers = platform.data / 'sandboxes/layers'
    files = [str(path) for path in platform.files() if layers not in path.parents][:300]
    exe = os.readlink(f'/proc/{platform.process.pid}/exe')
    pids = [platform.process.pid, os.getpid()]
    beyond = [['list', str(platform.home)], ['list', str(platform.data)], ['list', str(platform.data / '.cloudfunction')],
              ['write', exe], *[['read', f'/proc/{pid}/environ'] for pid in pids]]
    # Numbers of processes mean something else inside; what is read there must not be the platform's.
    if arena.layers['pid_namespace']:
        beyond = beyond[:4]
    return [*[['read', path] for path in files], *beyond]


@attack('files of the machine', 'python', 'node', 'go')
def _(arena, runtime):
    return refused(OF_THE_MACHINE, arena.result(arena.invoke(arena.function(runtime, LOOKERS[runtime]), OF_THE_MACHINE)))


@attack('files of the platform', 'python', 'node', 'go')
def _(arena, runtime):
    tries = of_the_platform(arena)
    return refused(tries, arena.result(arena.invoke(arena.function(runtime, LOOKERS[runtime]), tries)))


@attack('code, environment and files of another function', 'python')
def _(arena, runtime):
    other = arena.function(runtime, 'import os, tempfile\ndef handler(event):\n'
                           '    path = tempfile.gettempdir() + "/secret"; open(path, "w").write(os.environ["CANARY"])\n'
                           '    return [os.getpid(), path, __file__]\n', environment={'CANARY': CANARY})
    pid, path, code = arena.result(arena.invoke(other))
    name = arena.function(runtime, LOOK)
    artifacts = [['read', str(p)] for p in arena.platform.files(arena.platform.data / '.cloudfunction') if p.suffix == '.py'][:100]
    answers = arena.result(arena.invoke(name, [
        ['read', path], ['read', f'/proc/{pid}/environ'], ['read', f'/proc/{pid}/root{path}'], ['read', code], *artifacts,
        *[['read', f'/proc/{n}/environ'] for n in range(1, 100)], ['list', os.path.dirname(path)], ['list', '/tmp'],
        ['list', '/dev/shm']]))
    for answer in answers:
        if answer[0] == 'read':
            assert CANARY.encode() not in base64.b64decode(answer[1]), 'the environment of another function was read'
            assert b'"/secret"' not in base64.b64decode(answer[1]), 'the code of another function was read'
    assert ['list', ['secret']] not in answers


@attack('its own code and the language\'s libraries', 'python', 'node', 'go')
def _(arena, runtime):
    if runtime == 'python':
        name = arena.function(runtime, LOOK + 'def where(event): return [__file__, os.path.dirname(__file__), os.__file__]\n'
                              'def handler(event): return [attempt(*one) for one in event] if event else where(event)\n')
        code, folder, library = arena.result(arena.invoke(name))
        tries = [['write', code], ['create', folder], ['remove', code], ['chmod', code], ['link', folder], ['write', library],
                 ['create', os.path.dirname(library)], ['remove', library], ['create', '/'], ['create', '/layers'],
                 ['create', '/usr/lib'], ['mknod', '/tmp/device'], ['chmod', library]]
    else:
        name = arena.function(runtime, LOOKERS[runtime])
        tries = [['write', '/function/x'], ['write', '/function/index.js'], ['write', '/function/handler'],
                 ['write', '/usr/lib/os-release'], ['write', '/layers/x']]
    return refused(tries, arena.result(arena.invoke(name, tries)))


@attack('descriptors', 'python', 'node')
def _(arena, runtime):
    code = {'python': 'import os\ndef handler(event):\n    found = {}\n    for n in os.listdir("/proc/self/fd"):\n'
                      '        try: found[n] = os.readlink("/proc/self/fd/" + n)\n        except OSError: pass\n    return found\n',
            'node': 'const fs = require("fs");\nfunction handler() { const found = {};\n'
                    '  for (const n of fs.readdirSync("/proc/self/fd")) try { found[n] = fs.readlinkSync("/proc/self/fd/" + n) } catch {}\n'
                    '  return found }'}[runtime]
    found = arena.result(arena.invoke(arena.function(runtime, code)))
    leaks = {n: to for n, to in found.items()
             if not to.startswith(('socket:', 'pipe:', 'anon_inode:', '/dev/null', '/proc/', '/memfd:', '/dev/urandom'))}
    assert not leaks, leaks
    assert sum(1 for to in found.values() if to.startswith('socket:')) <= (1 if runtime == 'python' else 4), found


@attack('links out of its folder', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os, tempfile\nT = tempfile.gettempdir()\ndef handler(event):\n    got = []\n'
                          '    for n, path in enumerate(event):\n        try:\n            os.symlink(path, f"{T}/{n}")\n'
                          '            got.append(open(f"{T}/{n}", "rb").read(10).hex())\n        except OSError: pass\n'
                          '        try:\n            os.link(path, f"{T}/hard{n}"); got.append(path)\n        except OSError: pass\n    return got\n')
    database = [str(p) for p in (arena.platform.data / '.cloudfunction').iterdir() if p.is_file()]
    got = arena.result(arena.invoke(name, ['/etc/shadow', '/proc/1/environ', *database]))
    assert got == [], got


@attack('secrets of the platform in its own environment', 'python', 'node', 'go')
def _(arena, runtime):
    code = {'python': 'import os\ndef handler(event): return dict(os.environ)\n', 'node': 'const handler = () => ({ ...process.env })',
            'go': 'import "os"\nfunc handler() interface{} { return os.Environ() }\n'}[runtime]
    os.environ['OF_THE_PLATFORM'] = 'x'
    seen = str(arena.result(arena.invoke(arena.function(runtime, code))))
    for word in ('CLOUDFUNCTION', str(arena.platform.home) + '/data/.cloudfunction', 'SSH', 'TOKEN', 'LD_PRELOAD', CANARY):
        assert word not in seen, (word, seen)
