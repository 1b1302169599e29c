"""What records cost: two platforms side by side, one with and one without."""
from functions import HELLO
from records import Verdict

NAME = 'observability'
TITLE = 'Records on and off, 32 connections'
CASE = 'c=32'


def run(bench):
    language = 'python'
    with bench.platform() as with_records, bench.platform({'records.enabled': 'false'}) as without:
        sides = [(name, bench.create(platform, 'observed', language, HELLO[language]))
                 for name, platform in (('on', with_records), ('off', without))]
        for _, url in sides:
            bench.warm_up(url)
        for number in bench.rounds():
            for side, url in bench.in_turn(sides, number):
                errors, numbers = bench.wrk(url, 32)
                bench.records.add(NAME, language, CASE, side, number, errors, **numbers)


def verdicts(records):
    return [Verdict('throughput with records to without', 0.9,
                    records.ratio(NAME, 'python', CASE, 'per_second', 'on', 'off'), at_least=True)]
