"""What a second event loop does: server, workers and load generators on one core with one loop, on two cores with one, and on
two cores with two loops, whose functions are called by one generator each.

The generators have the cores that the server has: if one core of a machine of two were the server's, the other one would do
most of their work, and one core would seem to do as much as two. What it shows: that two cores do more than one; that a
second loop adds nothing to the work of a call (processor time of the server process), for loops share nothing that calls use;
and that the loops divide the work (the share of the busiest thread). A machine of more cores multiplies the first by what the
other two leave.
"""
import concurrent.futures
import contextlib
import pathlib
import time

from functions import HELLO
from processes import TICK, cpu_seconds
from records import Verdict

NAME = 'loops'
TITLE = 'Event loops and cores'
CONNECTIONS = 16  # of each generator
SIDES = (('one core, one loop', '0', 1), ('two cores, one loop', '0,1', 1), ('two cores, two loops', '0,1', 2))


def threads(pid):
    """{thread: processor time in s} of a process."""
    found = {}
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        with contextlib.suppress(OSError):
            fields = (task / 'stat').read_text().rpartition(')')[2].split()
            found[task.name] = (int(fields[11]) + int(fields[12])) / TICK
    return found


def used(before, after):
    return {thread: seconds - before.get(thread, 0) for thread, seconds in after.items()}


def pair(bench, platform, language, loops):
    """Two functions, at home on different loops where there are several: whose thread works says where one is at home."""
    homes = {}
    for number in range(32):
        url = bench.create(platform, f'loops-{language}-{number}', language, HELLO[language])
        before = threads(platform.process.pid)
        bench.wrk(url, 8, 1)
        time.sleep(0.1)
        spent = used(before, threads(platform.process.pid))
        homes.setdefault(max(spent, key=spent.get) if loops > 1 else number, url)
        if len(homes) == 2:
            return list(homes.values())
    raise RuntimeError('32 functions are at home on one loop')


def both(bench, urls, cores):
    """A generator for each function, at once. Returns (errors, calls, calls per second)."""
    with concurrent.futures.ThreadPoolExecutor(len(urls)) as pool:
        results = list(pool.map(lambda url: bench.wrk(url, CONNECTIONS, cores=cores), urls))
    numbers = [numbers for _, numbers in results]
    return (sum(errors for errors, _ in results), sum(n.get('requests', 0) for n in numbers),
            sum(n.get('per_second', 0) for n in numbers))


def run(bench):
    with contextlib.ExitStack() as stack:
        platforms = []
        for side, cores, loops in SIDES:
            platform = bench.unstarted(properties={'server.loops': loops})
            stack.callback(platform.remove)
            command = platform.command()
            platform.command = lambda cores=cores, command=command: ['taskset', '-c', cores, *command]
            platform.start()
            stack.callback(platform.stop)
            platforms.append((side, cores, loops, platform))
        for language in bench.languages(platforms[0][-1]):
            sides = [(side, cores, platform.process.pid, pair(bench, platform, language, loops))
                     for side, cores, loops, platform in platforms]
            for number in bench.rounds():
                for side, cores, pid, urls in bench.in_turn(sides, number):
                    before, seconds = threads(pid), cpu_seconds(pid)
                    errors, calls, rate = both(bench, urls, cores)
                    spent = used(before, threads(pid))
                    bench.records.add(NAME, language, f'c=2x{CONNECTIONS}', side, number, errors, per_second=rate,
                                      cpu_us=(cpu_seconds(pid) - seconds) * 1e6 / max(calls, 1),
                                      busiest_share=max(spent.values()) / max(sum(spent.values()), 1 / TICK))


def verdicts(records):
    found = []
    for language in ('python', 'node', 'go'):
        case = f'c=2x{CONNECTIONS}'
        one, _, two = (side for side, _, _ in SIDES)
        found += [Verdict(f'{language}: two cores and two loops to one of each', 1.5,
                          records.ratio(NAME, language, case, 'per_second', two, one), at_least=True),
                  Verdict(f'{language}: processor time of a call with two loops to one, on two cores', 1.15,
                          records.ratio(NAME, language, case, 'cpu_us', two, SIDES[1][0]))]
    return found
