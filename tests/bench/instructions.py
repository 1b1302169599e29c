"""Instructions that the server process executes outside of Linux for one warm call, counted by callgrind: two runs that
differ in nothing but the number of calls. Other load changes no instruction count, so this one is the same on a busy machine."""
import re
import shutil

from client import Call
from functions import HELLO
from harness import EVENT
from platform_fixture import Platform
from sides import Probe

NAME = 'instructions'
TITLE = 'Instructions of the server process for a call, one connection'
CALLS = (500, 2500)


def counted(command, log):
    return ['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', f'--log-file={log}', *command]


class CountedPlatform(Platform):
    def command(self):
        return counted(super().command(), self.home / 'counts')


def run(bench):
    if shutil.which('valgrind') is None:
        bench.missing['instructions'] = 'valgrind is not installed'
        return
    with bench.platform() as platform:
        languages = bench.languages(platform)
    for language in languages:
        for number in range(1):  # it is the same in each
            for side, measure in (('platform', of_platform), ('probe', of_probe)):
                if side not in ('platform', *bench.options.sides):
                    continue
                few, many = (measure(bench, language, calls) for calls in CALLS)
                bench.records.add(NAME, language, 'c=1', side, number,
                                  instructions=(many - few) / (CALLS[1] - CALLS[0]))


def of_platform(bench, language, calls):
    platform = CountedPlatform({'log.level': 'warning'})
    try:
        platform.start()
        invoke(bench.create(platform, 'counted', language, HELLO[language]), calls)
        platform.stop()
        return total(platform.home / 'counts')
    finally:
        platform.remove()


class CountedProbe(Probe):
    def command(self, bench):
        return counted(super().command(bench), self.home / 'counts')


def of_probe(bench, language, calls):
    side = CountedProbe(bench, language)
    invoke(side.url, calls)
    side.stop()
    return total(side.home / 'counts')


def invoke(url, calls):
    call = Call(url, EVENT)
    for _ in range(calls):
        call()
        if not call.succeeded:
            raise RuntimeError(f'{url} answers {call.received[:300]!r}')
    call.close()


def total(log):
    return int(re.findall(r'Collected : (\d+)', log.read_text())[-1])


def verdicts(records):
    return []
