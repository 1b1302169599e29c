"""From the call that creates a function to its first answer, over one connection each."""
import secrets

from client import Call
from functions import HELLO, unique
from harness import EVENT
from processes import settle
from records import Verdict, percentile

NAME = 'create'
TITLE = 'Create, then the first answer'
TARGET_MS = {('python', 'new'): 15, ('node', 'new'): 15, ('go', 'new'): 500, ('go', 'built before'): 20}


def run(bench):
    per_round = 3 if bench.quick else 10
    with bench.platform() as platform:
        languages = bench.languages(platform)
        for language in languages:  # toolchains and caches that the first build of all fills
            bench.create(platform, f'first-{language}', language, HELLO[language])
        for number in bench.rounds():
            for language in languages:
                new = [unique(HELLO[language], language, secrets.token_hex(8)) for _ in range(per_round)]
                for case, codes in (('new', new), ('built before', new)):
                    measure(bench, platform, language, case, codes, number)


def measure(bench, platform, language, case, codes, number):
    creations, firsts, errors = [], [], 0
    for code in codes:
        name = f'create-{secrets.token_hex(6)}'
        create = Call(f'{platform.url}/api/v1/functions',
                      {'name': name, 'runtime': language, 'handler': 'handler', 'code': code})
        invoke = Call(bench.invoke_url(platform, name), EVENT)
        delete = Call(f'{platform.url}/api/v1/functions/{name}', None, 'DELETE')
        settle(platform.process.pid)
        creations.append(create())
        firsts.append(invoke())
        errors += not invoke.succeeded
        delete_quietly(delete)
        for call in (create, invoke, delete):
            call.close()
    together = [a + b for a, b in zip(creations, firsts)]
    bench.records.add(NAME, language, case, 'platform', number, errors, create_ms=percentile(creations, 0.5),
                      first_ms=percentile(firsts, 0.5), together_ms=percentile(together, 0.5),
                      together_max_ms=max(together))


def delete_quietly(call):
    """A 204 has no length to wait for; its head is all there is."""
    call.send()
    while b'\r\n\r\n' not in call.received:
        call.received += call.socket.recv(65536)


def verdicts(records):
    return [Verdict(f'{language}, {case}: create and first answer, p50', target,
                    records.median(NAME, language, case, 'platform', 'together_ms'), unit='ms')
            for (language, case), target in TARGET_MS.items()]
