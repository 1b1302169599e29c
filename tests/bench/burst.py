"""Many different cold functions called in the same instant, and many calls of one cold function in the same instant."""
import os

from bare import bare_cost
from client import Call, burst
from functions import HELLO, WHO
from harness import EVENT
from processes import settle
from records import Verdict, percentile

NAME = 'burst'
TITLE = 'Cold calls in the same instant'
FUNCTIONS = 50
TOGETHER = 10
PREWARMED = 2
AHEAD = ('go',)  # whose prewarmed workers are sandboxes with a stub: small enough to have one for each; no target


def run(bench):
    with bench.home() as home:
        with bench.platform(data=home) as platform:
            languages = bench.languages(platform)
            for language in languages:
                for number in range(FUNCTIONS):
                    bench.create(platform, f'burst-{language}-{number}', language, HELLO[language])
                bench.create(platform, f'one-{language}', language, WHO[language], concurrency=TOGETHER)
        for number in bench.rounds():
            for prewarmed in (PREWARMED, 0, FUNCTIONS):
                # A platform of its own for each: what was called once is not cold any more.
                for language in [one for one in languages if prewarmed < FUNCTIONS or one in AHEAD]:
                    count = prewarmed if prewarmed < FUNCTIONS else f'{PREWARMED}, {language}:{FUNCTIONS}'
                    with bench.platform({'workers.prewarmed': count}, data=home) as platform:
                        different(bench, platform, language, prewarmed, number)
                        if prewarmed == PREWARMED:
                            same(bench, platform, language, number)


def different(bench, platform, language, prewarmed, number):
    calls = [Call(bench.invoke_url(platform, f'burst-{language}-{i}'), EVENT) for i in range(FUNCTIONS)]
    settle(platform.process.pid)
    times = burst(calls)
    errors = sum(not call.succeeded for call in calls)
    for call in calls:
        call.close()
    cost = bare_cost(bench, language, 5)
    allowed = (FUNCTIONS - prewarmed) * cost / os.cpu_count()
    ratio = {'p99_to_bare': percentile(times, 0.99) / allowed} if allowed else {}
    bench.records.add(NAME, language, f'{FUNCTIONS} functions, {prewarmed} prewarmed', 'platform', number, errors,
                      p50_ms=percentile(times, 0.5), p99_ms=percentile(times, 0.99), bare_ms=cost, **ratio)


def same(bench, platform, language, number):
    calls = [Call(bench.invoke_url(platform, f'one-{language}'), EVENT) for _ in range(TOGETHER)]
    settle(platform.process.pid)
    times = burst(calls)
    errors = sum(not call.succeeded for call in calls)
    workers = len({call.json.get('result') for call in calls})
    for call in calls:
        call.close()
    bench.records.add(NAME, language, f'{TOGETHER} calls of one function', 'platform', number, errors,
                      p50_ms=percentile(times, 0.5), p99_ms=percentile(times, 0.99), workers=workers)


def verdicts(records):
    found = []
    for language in ('python', 'node', 'go'):
        for prewarmed in (PREWARMED, 0):
            case = f'{FUNCTIONS} functions, {prewarmed} prewarmed'
            found.append(Verdict(f'{language}, {case}: p99 to bare starts', 1.3,
                                 records.median(NAME, language, case, 'platform', 'p99_to_bare')))
        found.append(Verdict(f'{language}, {TOGETHER} calls of one function: workers', 1,
                             records.median(NAME, language, f'{TOGETHER} calls of one function', 'platform', 'workers'),
                             unit=''))
    return found
