"""Saves with dependencies that are installed already: a further function with the same lock, and new code for one. From
the call that saves to the first answer. Beside it, what loading the package takes without a platform.

The packages come from the registries that this machine is configured for; without them the section is left out."""
import secrets
import shutil
import statistics
import subprocess

from client import Call
from create import delete_quietly
from functions import unique
from harness import EVENT
from processes import settle
from records import Verdict, percentile
from sides import Missing

NAME = 'dependencies'
TITLE = 'Saves with dependencies, then the first answer'
PACKAGE = {'python': 'requests', 'node': 'axios', 'go': 'github.com/google/uuid'}
CODE = {
    'python': 'import requests\ndef handler(event):\n    return requests.__name__\n',
    'node': "const axios = require('axios');\nconst handler = () => typeof axios.get;\n",
    'go': 'func handler(event interface{}) interface{} {\n    return len(uuid.NewString())\n}\n',
}
# Milliseconds from a running interpreter to the loaded package.
LOAD = {
    'python': 'import time; begin = time.perf_counter(); import requests; print((time.perf_counter() - begin) * 1000)',
    'node': "const begin = performance.now(); require('axios'); console.log(performance.now() - begin)",
}
SECOND_MS, SAVE_MS = 100, 15


def run(bench):
    per_round = 3 if bench.quick else 10
    with bench.platform() as platform:
        languages = [language for language in bench.languages(platform) if prepare(bench, platform, language)]
        if not languages:
            bench.missing[NAME] = 'no registry answers'
        for number in bench.rounds():
            for language in languages:
                measure(bench, platform, language, number, per_round)
                if language in LOAD:
                    bench.records.add(NAME, language, 'load', 'plain', number,
                                      p50_ms=statistics.median(load(bench, language) for _ in range(per_round)))


def prepare(bench, platform, language):
    """The first function of all installs the package, and the yardstick gets it, too."""
    try:
        bench.create(platform, f'first-{language}', language, CODE[language], dependencies=[PACKAGE[language]])
        if language in LOAD:
            load(bench, language)
    except (RuntimeError, Missing, subprocess.CalledProcessError) as why:
        bench.missing[f'{NAME}, {language}'] = str(why)
        return False
    return True


def load(bench, language):
    if language == 'node':
        folder, command = bench.npm(PACKAGE['node']).parent, [bench.interpreter('node'), '-e', LOAD['node']]
    else:
        folder = bench.cache / 'pip'
        if not folder.is_dir():
            target = folder.with_suffix('.new')
            shutil.rmtree(target, ignore_errors=True)
            subprocess.run([bench.interpreter('python'), '-m', 'pip', 'install', '--quiet', '--target', str(target),
                            PACKAGE['python']], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            target.rename(folder)
        command = [bench.interpreter('python'), '-c', LOAD['python']]
    return float(subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE).stdout)


def measure(bench, platform, language, number, count):
    seconds, saves, errors = [], [], 0
    for _ in range(count):
        name = f'dependencies-{secrets.token_hex(6)}'
        document = {'name': name, 'runtime': language, 'handler': 'handler', 'code': code(language),
                    'dependencies': [PACKAGE[language]]}
        create = Call(f'{platform.url}/api/v1/functions', document)
        save = Call(f'{platform.url}/api/v1/functions/{name}', {'code': code(language)}, 'PATCH')
        invoke = Call(bench.invoke_url(platform, name), EVENT)
        delete = Call(f'{platform.url}/api/v1/functions/{name}', None, 'DELETE')
        for call, times in ((create, seconds), (save, saves)):
            settle(platform.process.pid)
            begin_to_answer = call() + invoke()
            times.append(begin_to_answer)
            errors += not call.succeeded or not invoke.succeeded
        delete_quietly(delete)
        for call in (create, save, invoke, delete):
            call.close()
    for case, times in (('second function', seconds), ('new code', saves)):
        bench.records.add(NAME, language, case, 'platform', number, errors, p50_ms=percentile(times, 0.5), max_ms=max(times))


def code(language):
    return unique(CODE[language], language, secrets.token_hex(8))


def verdicts(records):
    found = []
    for language in CODE:
        second = records.median(NAME, language, 'second function', 'platform', 'p50_ms')
        found.append(Verdict(f'{language}, second function with the same lock: p50', SECOND_MS, second, unit='ms'))
        if language in LOAD:
            rounds = records.by_round(NAME, language, 'new code', 'platform', 'p50_ms')
            plain = records.by_round(NAME, language, 'load', 'plain', 'p50_ms')
            rest = [rounds[r] - plain[r] for r in rounds if r in plain]
            found.append(Verdict(f'{language}, new code: p50 less loading the package', SAVE_MS,
                                 statistics.median(rest) if rest else None, unit='ms'))
    return found
