"""Requests of 64 bytes to 6 MB of text that the function parses (`in`), and gives back (`in and out`)."""
from functions import ECHO, HELLO

NAME = 'payload'
TITLE = 'Size of the event, 8 connections'
SIZES = (64, 1024, 16 << 10, 64 << 10, 256 << 10, 1 << 20, (6 << 20) - 1024)
CONNECTIONS = 8
PROBE_MOST = 64 << 10  # the probe writes to its workers only what fits into a socket


def run(bench):
    sizes = (64, (6 << 20) - 1024) if bench.quick else SIZES
    with bench.platform() as platform:
        for language in bench.languages(platform):
            hello = bench.create(platform, f'in-{language}', language, HELLO[language], memory=512)
            echo = bench.create(platform, f'in-out-{language}', language, ECHO[language], memory=512)
            # The probe's Go worker knows no text.
            names = {'python': ('probe', 'unit'), 'node': ('probe', 'node-http'), 'go': ()}[language]
            with bench.sides(language, names) as others:
                sides = [('in', 'platform', hello), ('in and out', 'platform', echo),
                         *(('in', side.name, side.url) for side in others)]
                for number in bench.rounds():
                    for size in sizes:
                        for way, side, address in bench.in_turn(sides, number):
                            if side == 'probe' and size > PROBE_MOST:
                                continue
                            if number == 0 and not bench.quick:
                                bench.warm_up(address, size)
                            seconds = max(bench.options.seconds, 3 if size > 1 << 20 else 1)
                            errors, numbers = bench.wrk(address, CONNECTIONS, seconds, size)
                            if numbers:
                                numbers['mb_per_second'] = numbers['per_second'] * size / 1e6
                            bench.records.add(NAME, language, f'{size} B {way}', side, number, errors, **numbers)


def verdicts(records):
    return []
