"""Warm calls in a closed loop: keep-alive, 1 to 128 connections, every side in turn."""
from functions import HELLO
from records import Verdict

NAME = 'warm'
TITLE = 'Warm calls, closed loop'
CONNECTIONS = (1, 8, 32, 128)
UNITS = {'python': {'unit': 'Python'}, 'node': {'unit': 'Python', 'unit-node': 'Node.js'}}  # language: {side: its language}


def run(bench):
    with bench.platform() as platform:
        for language in bench.languages(platform):
            url = bench.create(platform, f'warm-{language}', language, HELLO[language])
            with bench.sides(language) as others:
                sides = [('platform', url), *((side.name, side.url) for side in others)]
                for _, address in sides:
                    bench.warm_up(address)
                for number in bench.rounds():
                    for connections in (1, 32) if bench.quick else CONNECTIONS:
                        for side, address in bench.in_turn(sides, number):
                            errors, numbers = bench.wrk(address, connections)
                            bench.records.add(NAME, language, f'c={connections}', side, number, errors, **numbers)


def verdicts(records):
    found = []
    for language in ('python', 'node', 'go'):
        for case in ('c=32', 'c=128'):
            probe = records.ratio(NAME, language, case, 'per_second', 'platform', 'probe')
            found.append(Verdict(f'{language} {case}: throughput to the ceiling probe', 0.8 if language == 'go' else 0.75,
                                 probe, at_least=True))
        if language == 'go':
            continue
        for side, name in UNITS[language].items():
            for case in ('c=32', 'c=128'):
                unit = records.ratio(NAME, language, case, 'per_second', 'platform', side)
                found.append(Verdict(f'{language} {case}: throughput to Unit ({name})', 1.5, unit, at_least=True))
    for language in ('python', 'node', 'go'):
        for side, name in UNITS.get(language, {}).items():
            found.append(Verdict(f'{language} c=1: p50 to that of Unit ({name})', 1.0,
                                 records.ratio(NAME, language, 'c=1', 'p50_us', 'platform', side)))
        p50, p99 = (records.by_round(NAME, language, 'c=1', 'platform', n) for n in ('p50_us', 'p99_us'))
        if p50:
            ratios = sorted(p99[r] / p50[r] for r in p50)
            found.append(Verdict(f'{language} c=1: p99 to p50', 2.0, ratios[len(ratios) // 2]))
    return found
