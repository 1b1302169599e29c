"""The READMEs promise only what works: their curl lines, run verbatim, print what stands below them."""
import functools
import json
import os
import pathlib
import re
import signal
import subprocess
import urllib.parse

from platform_fixture import SOURCE, SystemTest

ADDRESS = 'localhost:8080'
# Fields whose values differ from run to run: here only their presence and type count.
VARYING = {'id', 'invocation_id', 'request_id', 'duration_ms', 'memory_mb', 'created_at', 'updated_at'}


def steps(text):
    """[(shell command, the output that stands below it or None)]"""
    found = []
    for language, body in re.findall(r'^```(\w+)\n(.*?)^```$', text, re.M | re.S):
        if language == 'bash' and 'curl ' in body:
            found.append([body, None])
        elif language in ('json', 'text') and found and found[-1][1] is None:
            found[-1][1] = body.strip()
    return found


def comparable(value, key=None):
    if isinstance(value, dict):
        return {k: comparable(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [comparable(v) for v in value]
    if key in VARYING:
        return 'number' if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__
    return value


# Functions of the README that fetch a package, and how to find out whether its registry answers.
REGISTRIES = {
    'milliseconds': 'npm view ms version --fetch-retries=0',
    'readable': 'd=$(mktemp -d) && trap "rm -rf $d" EXIT && python3 -m pip download --no-deps -q --retries 0 --timeout 15 -d $d humanize',
    'identifier': 'cd / && GO111MODULE=on go list -m -versions github.com/google/uuid',
}
PATIENCE = 60


@functools.lru_cache(maxsize=None)
def unreachable(function):
    """Why this function of the README cannot be installed here; empty: it can."""
    probe = REGISTRIES[function]
    # In a session of its own: what the shell started goes with it.
    process = subprocess.Popen(['bash', '-c', probe], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, start_new_session=True)
    try:
        said = process.communicate(timeout=PATIENCE)[1].decode(errors='replace').strip()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()
        return f'its registry does not answer in {PATIENCE} s'
    return f'its registry does not answer: {said.splitlines()[-1] if said else probe}' if process.returncode else ''


class Readme(SystemTest):
    def test_english(self):
        self.walk('README.md')

    def test_chinese(self):
        self.walk('README.zh-CN.md')

    def walk(self, name):
        for runtime in ('go', 'node', 'python'):
            self.needs(runtime)
        text = pathlib.Path(SOURCE / name).read_text()
        here = urllib.parse.urlsplit(self.url).netloc
        walked = steps(text)
        self.assertGreaterEqual(len(walked), 6)
        for function in set(re.findall(r'"name": ?"([^"]+)"|functions/([a-z]+)/archive', text)):
            function = ''.join(function)
            self.assertEqual(404, self.get(f'/api/v1/functions/{function}').status, f'{function} exists already')
            self.addCleanup(self.call, 'DELETE', f'/api/v1/functions/{function}')
        for left in ('/tmp/report', '/tmp/report.tar.gz', '/tmp/process-data.go'):
            self.addCleanup(subprocess.run, ['rm', '-rf', left])
        for function in REGISTRIES:
            self.assertIn(function, text, 'it is not in the README any more')
            if unreachable(function):
                with self.subTest(function):
                    self.skipTest(unreachable(function))
        for command, expected in walked:
            if any(function in command and unreachable(function) for function in REGISTRIES):
                continue
            done = subprocess.run(['bash', '-euo', 'pipefail', '-c', command.replace(ADDRESS, here)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
            self.assertEqual(0, done.returncode, f'{command}\n{done.stderr.decode()}')
            printed = done.stdout.decode().strip()
            if expected is None:
                self.assertNotIn('"status":4', printed, command)
                self.assertNotIn('"status":5', printed, command)
                continue
            try:
                self.assertEqual(comparable(json.loads(expected)), comparable(json.loads(printed)), command)
            except ValueError:
                self.assertEqual(expected, printed, command)
