"""Memory: the kernel process at rest, and what each further worker adds, all its processes together."""
import os

from client import Call
from functions import HELLO
from harness import EVENT
from processes import proportional_kb, resident_kb, settle, tree
from records import Verdict

NAME = 'memory'
TITLE = 'Memory'
TARGET_MB = {'python': 5, 'node': 30, 'go': 8}


def run(bench):
    few, more = (2, 6) if bench.quick else (2, 12)
    for number in bench.rounds():
        with bench.platform() as platform:
            settle(platform.process.pid)
            bench.records.add(NAME, '-', 'at rest', 'kernel', number, rss_kb=resident_kb(platform.process.pid))
        if os.geteuid() != 0:
            bench.missing['memory of workers'] = 'reading it takes root'
            continue
        with bench.platform({'workers.prewarmed': 0}) as platform:
            for language in bench.languages(platform):
                before = None
                for count in range(1, more + 1):
                    call = Call(bench.create(platform, f'memory-{language}-{count}', language, HELLO[language]), EVENT)
                    call()
                    errors = not call.succeeded
                    call.close()
                    if count in (few, more):
                        settle(platform.process.pid)
                        after = proportional_kb(tree(platform.process.pid) - {platform.process.pid})
                        if before is not None:
                            bench.records.add(NAME, language, 'each further worker', 'workers', number, errors,
                                              pss_kb=(after - before) / (more - few))
                        before = after


def verdicts(records):
    def mb(*key):
        kb = records.median(NAME, *key)
        return None if kb is None else kb / 1024
    return [Verdict('kernel at rest, resident', 25, mb('-', 'at rest', 'kernel', 'rss_kb'), unit='MB'),
            *(Verdict(f'{language}: a worker adds', target, mb(language, 'each further worker', 'workers', 'pss_kb'), unit='MB')
              for language, target in TARGET_MB.items())]
