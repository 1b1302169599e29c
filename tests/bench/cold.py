"""First calls of functions, one after the other: created before the platform was started, never called since. With a
prewarmed worker there, and without any; beside it, a bare start of the language without a platform."""
from bare import bare_start
from client import Call
from functions import HELLO
from harness import EVENT
from processes import settle
from records import Verdict, percentile

NAME = 'cold'
TITLE = 'First call of a cold function, one after the other'
WITHOUT_MS = {'go': 15, 'python': 35, 'node': 95}


def run(bench):
    per_round = 5 if bench.quick else 20
    for prewarmed in (2, 0):
        case = f'{prewarmed} prewarmed'
        with bench.home() as home:
            with bench.platform(data=home) as platform:
                languages = bench.languages(platform)
                for language in languages:
                    for number in range(bench.options.rounds * per_round):
                        bench.create(platform, f'cold-{language}-{number}', language, HELLO[language])
            with bench.platform({'workers.prewarmed': prewarmed}, data=home) as platform:
                for number in bench.rounds():
                    for language in languages:
                        times, errors = [], 0
                        for index in range(number * per_round, (number + 1) * per_round):
                            call = Call(bench.invoke_url(platform, f'cold-{language}-{index}'), EVENT)
                            settle(platform.process.pid)
                            times.append(call())
                            errors += not call.succeeded
                            call.close()
                        bench.records.add(NAME, language, case, 'platform', number, errors,
                                          p50_ms=percentile(times, 0.5), p99_ms=percentile(times, 0.99))
                        bench.records.add(NAME, language, case, 'bare start', number,
                                          p50_ms=bare_start(bench, language, per_round))


def verdicts(records):
    found = []
    for language in ('python', 'node', 'go'):
        def measured(case, number):
            return records.median(NAME, language, case, 'platform', number)
        found.append(Verdict(f'{language}, prewarmed: p50', 5, measured('2 prewarmed', 'p50_ms'), unit='ms'))
        found.append(Verdict(f'{language}, prewarmed: p99', 20, measured('2 prewarmed', 'p99_ms'), unit='ms'))
        found.append(Verdict(f'{language}, none prewarmed: p50', WITHOUT_MS[language], measured('0 prewarmed', 'p50_ms'),
                             unit='ms'))
    return found
