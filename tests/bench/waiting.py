"""Functions that wait for something else: 100 ms each, one worker that takes 100 calls at once. 1000 a second would be all."""
from functions import WAITS
from records import Verdict

NAME = 'waiting'
TITLE = 'Calls that wait 100 ms, one worker, concurrency 100'
CALLS = 100


def run(bench):
    seconds = max(3, bench.options.seconds)  # the last calls are cut off unanswered: a tenth of one second
    with bench.platform() as platform:
        urls = {language: bench.create(platform, f'waits-{language}', language, WAITS[language], concurrency=CALLS,
                                       max_workers=1) for language in bench.languages(platform)}
        for url in urls.values():
            bench.wrk(url, CALLS, 1)
        for number in bench.rounds():
            for language, url in urls.items():
                errors, numbers = bench.wrk(url, CALLS, seconds)
                bench.records.add(NAME, language, f'c={CALLS}', 'platform', number, errors, **numbers)


def verdicts(records):
    return [Verdict(f'{language}: calls a second', 900,
                    records.median(NAME, language, f'c={CALLS}', 'platform', 'per_second'), at_least=True, unit='/s')
            for language in ('node', 'go')]
