"""What processes use, read from /proc."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))
from platform_fixture import descendants  # noqa: E402

TICK = os.sysconf('SC_CLK_TCK')


def cpu_seconds(pid):
    """User and system time of one process, all its threads together."""
    try:
        fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


class Counter:
    """Counts a hardware event of a process from here to stop(), where perf and the machine's counters can be had; virtual
    machines often have none."""

    def __init__(self, pid, event='instructions'):
        self.process = None
        if shutil.which('perf') is None:
            return
        self.process = subprocess.Popen(['perf', 'stat', '-x', ',', '-e', event, '-p', str(pid)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(0.2)  # until it counts; the load begins after it

    def stop(self):
        """What was counted, or None."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGINT)
        for line in self.process.communicate()[1].decode().splitlines():
            count = line.split(',')[0]
            if count.isdigit():
                return int(count)
        return None


def tree(pid):
    return {pid, *descendants(pid)}


def resident_kb(pid):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1])
    raise RuntimeError(f'process {pid} has no memory')


def proportional_kb(pids):
    """PSS of processes together: memory that several share counts once. Processes that have ended count nothing."""
    total = 0
    for pid in pids:
        try:
            text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith('Pss:'))
    return total


def settle(pid, quiet=0.15, most=5.0):
    """Waits until a process and all that it started rest: the same processes, and no processor time, for `quiet` s."""
    end = time.monotonic() + most
    before = None
    while time.monotonic() < end:
        members = tree(pid)
        now = (members, sum(cpu_seconds(member) for member in members))
        if now == before:
            return
        before = now
        time.sleep(quiet)
