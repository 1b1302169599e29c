"""Calls at a constant rate, 25, 50 and 75 % of what the same side reaches in a closed loop just before; latency counts from
the moment a call was due (see open_loop.cpp)."""
from functions import HELLO

NAME = 'open-loop'
TITLE = 'Constant rate, share of the own peak'
SHARES = (25, 50, 75)


def run(bench):
    with bench.platform() as platform:
        for language in bench.languages(platform):
            url = bench.create(platform, f'open-{language}', language, HELLO[language])
            with bench.sides(language, ('probe', 'unit') if language == 'python' else ('probe',)) as others:
                sides = [('platform', url), *((side.name, side.url) for side in others)]
                for _, address in sides:
                    bench.warm_up(address)
                for number in bench.rounds():
                    for side, address in bench.in_turn(sides, number):
                        _, numbers = bench.wrk(address, 32)
                        for share in (50,) if bench.quick else SHARES:
                            errors, measured = bench.open_loop(address, round(numbers['per_second'] * share / 100))
                            bench.records.add(NAME, language, f'{share} %', side, number, errors, **measured)


def verdicts(records):
    return []
