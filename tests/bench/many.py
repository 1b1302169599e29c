"""1 to 10 000 functions: start, list, memory, warm calls. Platforms of each size run beside each other.

The functions are made by the platform's own API once; its row in the store is then copied as often as needed.
"""
import contextlib
import pathlib
import sqlite3
import statistics
import time

from client import Call
from functions import HELLO
from harness import EVENT
from processes import resident_kb, settle
from records import Verdict, percentile

NAME = 'many'
TITLE = 'Number of functions'
PAGE = 100
ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'


def run(bench):
    counts = (1, 10000) if bench.quick else (1, 100, 1000, 10000)
    with contextlib.ExitStack() as stack:
        homes = {count: stack.enter_context(bench.home()) for count in counts}
        for count, home in homes.items():
            with bench.platform(data=home) as platform:
                bench.create(platform, 'many', 'python', HELLO['python'])
            multiply(pathlib.Path(home) / 'data/.cloudfunction/functions.db', count)
        for number in bench.rounds():
            for count, home in homes.items():
                bench.records.add(NAME, 'python', f'{count} functions', 'start', number, **start(bench, home))
        platforms = {count: stack.enter_context(bench.platform(data=home)) for count, home in homes.items()}
        sides = [(count, bench.invoke_url(platform, 'many')) for count, platform in platforms.items()]
        for _, url in sides:
            bench.warm_up(url)
        for number in bench.rounds():
            for count, url in bench.in_turn(sides, number):
                errors, numbers = bench.wrk(url, 1)
                bench.records.add(NAME, 'python', f'{count} functions', 'invoke', number, errors, p50_us=numbers['p50_us'])
                p50, slowest = pages(platforms[count].url, count)
                bench.records.add(NAME, 'python', f'{count} functions', 'list', number, p50_ms=p50, max_ms=slowest)


def multiply(database, count):
    """Copies of the only function, with what belongs to it, until there are `count`."""
    with contextlib.closing(sqlite3.connect(database)) as store, store:
        store.execute('PRAGMA foreign_keys = OFF')
        original = store.execute('SELECT id FROM function').fetchone()[0]
        tables = [(table, key) for table, key in (('function', 'id'), ('version', 'function_id'), ('source', 'function_id'))]
        for table, key in tables:
            columns = [row[1] for row in store.execute(f'PRAGMA table_info({table})')]
            rows = store.execute(f'SELECT {", ".join(columns)} FROM {table} WHERE {key} = ?', (original,)).fetchall()
            copies = []
            for number in range(1, count):
                new = {key: identity(number)}
                if table == 'function':
                    new.update(name=f'many-{number:05}', name_key=f'many-{number:05}')
                copies += [[new.get(column, value) for column, value in zip(columns, row)] for row in rows]
            marks = ', '.join('?' * len(columns))
            store.executemany(f'INSERT INTO {table} ({", ".join(columns)}) VALUES ({marks})', copies)


def identity(number):
    digits = ''
    for _ in range(26):
        digits = ALPHABET[number % 32] + digits
        number //= 32
    return 'fn_' + digits


def start(bench, home):
    """Seconds until it is ready, and until one function has answered; memory then."""
    with platform_process(bench, home) as (platform, begin):
        while not platform.ready():
            time.sleep(0.002)
        ready = time.perf_counter() - begin
        call = Call(bench.invoke_url(platform, 'many'), EVENT)
        first = call()
        call.close()
        settle(platform.process.pid)
        return {'start_ms': ready * 1000, 'first_ms': first, 'rss_kb': resident_kb(platform.process.pid)}


@contextlib.contextmanager
def platform_process(bench, home):
    platform = bench.unstarted(home)
    begin = time.perf_counter()
    platform.launch()
    try:
        yield platform, begin
    finally:
        platform.stop()


def pages(url, count):
    """Milliseconds of one list page, median and slowest, all pages read."""
    times, cursor = [], ''
    while cursor is not None:
        call = Call(f'{url}/api/v1/functions?limit={PAGE}' + (f'&cursor={cursor}' if cursor else ''), None, 'GET')
        times.append(call())
        cursor = call.json['next_cursor']
        call.close()
    if len(times) != -(-count // PAGE):
        raise RuntimeError(f'{len(times)} pages for {count} functions')
    return statistics.median(times), percentile(times, 0.99)


def verdicts(records):
    most, least = '10000 functions', '1 functions'
    def median(case, side, number):
        return records.median(NAME, 'python', case, side, number)
    found = [Verdict('start', 2000, median(most, 'start', 'start_ms'), unit='ms'),
             Verdict('list page of 100', 5, median(most, 'list', 'p50_ms'), unit='ms')]
    ours, alone = (records.by_round(NAME, 'python', case, 'invoke', 'p50_us') for case in (most, least))
    if ours:
        found.append(Verdict('warm p50 to that of 1 function', 1.1,
                             statistics.median(ours[r] / alone[r] for r in ours if r in alone)))
        grown = median(most, 'start', 'rss_kb') - median(least, 'start', 'rss_kb')
        found.append(Verdict('memory of an idle function', 4, grown / 9999, unit='KB'))
    return found
