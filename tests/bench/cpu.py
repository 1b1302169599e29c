"""Processor time of the kernel process for one warm call, beside that of the ceiling probe for the same call; instructions,
too, where the machine counts them."""
from functions import HELLO
from processes import Counter, cpu_seconds
from records import Verdict

NAME = 'cpu'
TITLE = 'Processor time of the server process'
CONNECTIONS = (1, 8, 32)


def run(bench):
    with bench.platform() as platform:
        for language in bench.languages(platform):
            url = bench.create(platform, f'cpu-{language}', language, HELLO[language])
            with bench.sides(language, ('probe',)) as others:
                sides = [('platform', url, platform.process.pid), *((side.name, side.url, side.pid) for side in others)]
                for _, address, _ in sides:
                    bench.warm_up(address)
                for number in bench.rounds():
                    for connections in (32,) if bench.quick else CONNECTIONS:
                        for side, address, pid in bench.in_turn(sides, number):
                            counter = Counter(pid)
                            before = cpu_seconds(pid)
                            errors, numbers = bench.wrk(address, connections)
                            used = (cpu_seconds(pid) - before) * 1e6 / numbers['requests']
                            counted = counter.stop()
                            more = {} if counted is None else {'instructions': counted / numbers['requests']}
                            bench.records.add(NAME, language, f'c={connections}', side, number, errors, cpu_us=used,
                                              per_second=numbers['per_second'], **more)


def verdicts(records):
    return [Verdict(f'{language} c=32: processor time to the probe', 1.4,
                    records.ratio(NAME, language, 'c=32', 'cpu_us', 'platform', 'probe'))
            for language in ('python', 'node', 'go')]
