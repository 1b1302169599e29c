"""System calls that no function needs, and programs that would lend it somebody else's rights."""
import glob
import os
import subprocess

from arena import Skip, attack

CALLS = '''
import ctypes, os, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    return ctypes.get_errno() if libc.syscall(number, *arguments) < 0 else 0
def handler(event):
    buffer = ctypes.create_string_buffer(512)
    given = lambda a: buffer if a == 'buffer' else a.encode() if isinstance(a, str) else a
    return {name: call(number, *[given(a) for a in arguments]) for name, (number, *arguments) in event.items()}
'''
# x86-64.
NUMBERS = {
    'ptrace': [101, 16, 1, 0, 0], 'process_vm_readv': [310, 1, 'buffer', 1, 'buffer', 1, 0], 'process_vm_writev': [311, 1, 'buffer', 1, 'buffer', 1, 0],
    'mount': [165, 'none', '/tmp', 'tmpfs', 0, 0], 'umount2': [166, '/tmp', 2], 'pivot_root': [155, '/', '/'], 'chroot': [161, '/tmp'],
    'unshare user': [272, 0x10000000], 'unshare mount': [272, 0x20000], 'setns': [308, 0, 0], 'clone user': [56, 0x10000011, 0, 0, 0, 0],
    'keyctl': [250, 0, -3, 0], 'add_key': [248, 'user', 'a', 'b', 1, -3], 'request_key': [249, 'user', 'a', 0, 0],
    'io_uring_setup': [425, 8, 'buffer'], 'bpf': [321, 0, 'buffer', 128], 'userfaultfd': [323, 1], 'perf_event_open': [298, 'buffer', 0, -1, -1, 0],
    'clock_settime': [227, 0, 'buffer'], 'settimeofday': [164, 'buffer', 0], 'adjtimex': [159, 'buffer'], 'sethostname': [170, 'evil', 4],
    'setdomainname': [171, 'evil', 4], 'init_module': [175, 'buffer', 1, ''], 'finit_module': [313, 0, '', 0], 'delete_module': [176, 'x', 0],
    'kexec_load': [246, 0, 0, 0, 0], 'reboot': [169, 0xfee1dead, 672274793, 0, 0], 'swapon': [167, '/tmp', 0], 'acct': [163, 0],
    'syslog': [103, 10, 0, 0], 'open_by_handle_at': [304, -100, 'buffer', 0], 'name_to_handle_at': [303, -100, '/', 'buffer', 'buffer', 0],
    'fsopen': [430, 'tmpfs', 0], 'open_tree': [428, -100, '/', 1], 'move_mount': [429, -1, '', -1, '', 4], 'mount_setattr': [442, -100, '/', 0, 'buffer', 32],
    'pidfd_getfd': [438, 0, 0, 0], 'kcmp': [312, 1, 1, 0, 0, 0], 'seccomp': [317, 1, 0, 'buffer'], 'memfd_secret': [447, 0], 'quotactl': [179, 0, 0, 0, 0],
    'fanotify_init': [300, 0, 0], 'iopl': [172, 3], 'ioperm': [173, 0, 1, 1], 'modify_ldt': [154, 0, 'buffer', 16], 'personality': [135, 0x40000],
    'shmget': [29, 0, 4096, 0o1600], 'semget': [64, 0, 1, 0o1600], 'msgget': [68, 0, 0o1600], 'mq_open': [240, 'x', 0o102, 0o600, 0],
    'socket unix': [41, 1, 1, 0], 'socket raw': [41, 2, 3, 1], 'socket packet': [41, 17, 3, 0], 'socket alg': [41, 38, 5, 0],
    'socket vsock': [41, 40, 1, 0], 'socket bluetooth': [41, 31, 3, 1], 'socket can': [41, 29, 3, 1], 'socket netfilter': [41, 16, 3, 12],
    'socket sctp': [41, 2, 1, 132], 'socket mptcp': [41, 2, 1, 262], 'vmsplice': [278, -1, 0, 0, 0], 'migrate_pages': [256, 0, 0, 0, 0],
}


@attack('system calls', 'python')
def _(arena, runtime):
    if os.uname().machine != 'x86_64':
        raise Skip('the numbers are those of x86-64')
    refused = arena.result(arena.invoke(arena.function(runtime, CALLS), NUMBERS))
    wrong = {name: error for name, error in refused.items() if error != 1}
    assert not wrong, f'not refused with EPERM: {wrong}'
    return f'{len(NUMBERS)} refused'


@attack('clone3 and unknown calls', 'python')
def _(arena, runtime):
    refused = arena.result(arena.invoke(arena.function(runtime, CALLS), {'clone3': [435, 'buffer', 88], 'unknown': [1000]}))
    assert set(refused.values()) == {38}, refused


@attack('programs with other rights', 'python')
def _(arena, runtime):
    programs = [p for p in glob.glob('/usr/bin/*') + glob.glob('/usr/sbin/*') if os.stat(p).st_mode & 0o6000]
    if not programs:
        raise Skip('this machine has no program with other rights')
    name = arena.function(runtime, 'import os, subprocess\ndef handler(event):\n    seen = []\n    for program in event:\n'
                          '        try: subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=2)\n'
                          '        except Exception: pass\n'
                          '    out = subprocess.run(["/bin/sh", "-c", "id -u; su -c id root; sudo -n id; mount"], stdin=subprocess.DEVNULL, capture_output=True, text=True)\n'
                          '    return [os.getuid(), os.geteuid(), out.stdout]\n', timeout=20)
    uid, effective, out = arena.result(arena.invoke(name, programs))
    assert uid == effective and 'uid=0(root) gid=0' not in out.partition('\n')[2].partition('(')[0], out
    return f'{len(programs)} programs'


@attack('capabilities and users', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import os\ndef handler(event):\n    got = []\n'
                          '    for what in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0), lambda: os.nice(-5), lambda: os.chroot("/tmp"), lambda: os.chown("/tmp", 0, 0), lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))):\n'
                          '        try: what(); got.append("done")\n        except OSError: got.append("refused")\n'
                          '    status = open("/proc/self/status").read()\n    return [got, [l for l in status.splitlines() if l.startswith(("Cap", "NoNewPrivs", "Seccomp:", "Groups"))]]\n')
    got, status = arena.result(arena.invoke(name))
    if arena.layers['own_user']:
        assert 'done' not in got, got
    for line in status:
        if line.startswith('Cap'):
            assert not line.split()[1].strip('0'), line
    assert 'NoNewPrivs:\t1' in status and 'Seccomp:\t2' in status, status


@attack('namespaces through programs', 'node')
def _(arena, runtime):
    name = arena.function(runtime, 'const { spawnSync } = require("child_process");\nconst handler = () => ["unshare -U id", "unshare -rm mount -t tmpfs x /tmp", "mount -t tmpfs x /tmp", "hostname evil", "date -s 2001-01-01", "nsenter -t 1 -a id", "dmesg"]\n'
                          '  .map(c => spawnSync("/bin/sh", ["-c", c + " 2>/dev/null"]).status)')
    codes = arena.result(arena.invoke(name))
    assert all(code != 0 for code in codes), codes


@attack('host name and clock of the machine', 'python')
def _(arena, runtime):
    before = os.uname().nodename
    name = arena.function(runtime, 'import socket, time\ndef handler(event):\n    for what in (lambda: socket.sethostname("evil"), lambda: time.clock_settime(0, 1)):\n'
                          '        try: what(); return "done"\n        except OSError: pass\n    return "refused"\n')
    assert arena.result(arena.invoke(name)) == 'refused' and os.uname().nodename == before
    assert subprocess.run(['date', '+%Y'], capture_output=True).stdout != b'1970\n'
