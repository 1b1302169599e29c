"""What a platform leaves behind when its plug is pulled, as far as one can see from outside."""
import pathlib
import re

from platform_fixture import descendants, processes


def files(platform, folder):
    """The names in a folder of the platform's own data."""
    path = platform.data / '.cloudfunction' / folder
    return {entry.name for entry in path.iterdir()} if path.exists() else set()


def left(family):
    """Those of {pid: start time} that still run."""
    now = processes()
    return [pid for pid, began in family.items() if now.get(pid, (0, 0))[1] == began]


def instances(family):
    """The control groups of this platform; others may run beside it."""
    found = set()
    for pid in family:
        try:
            found |= set(re.findall(r'cloudfunction-[0-9a-f]+', pathlib.Path(f'/proc/{pid}/cgroup').read_text()))
        except OSError:
            pass
    return found


def supervisor(platform):
    """The kernel process's one child."""
    pid, = (pid for pid, (parent, _) in processes().items() if parent == platform.process.pid)
    return pid


def launcher(platform):
    """The supervisor's first child; the others are sandboxes."""
    parent = supervisor(platform)
    below = descendants(parent)
    return min((pid for pid, (up, _) in processes().items() if up == parent and pid in below),
               key=lambda pid: (below[pid], pid))
