"""The READMEs promise only what works: their curl lines, run verbatim, print what stands below them."""
import json
import pathlib
import re
import subprocess
import urllib.parse

from platform_fixture import SOURCE, SystemTest

ADDRESS = 'localhost:8080'
# Fields whose values differ from run to run: here only their presence and type count.
VARYING = {'id', 'invocation_id', 'request_id', 'duration_ms', 'memory_mb', 'cold_start', 'created_at', 'updated_at'}


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
        for function in set(re.findall(r'"name": ?"([^"]+)"', text)):
            self.assertEqual(404, self.get(f'/api/v1/functions/{function}').status, f'{function} exists already')
            self.addCleanup(self.call, 'DELETE', f'/api/v1/functions/{function}')
        for command, expected in walked:
            done = subprocess.run(['bash', '-euo', 'pipefail', '-c', command.replace(ADDRESS, here)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
            self.assertEqual(0, done.returncode, f'{command}\n{done.stderr.decode()}')
            if expected is None:
                continue
            printed = done.stdout.decode().strip()
            try:
                self.assertEqual(comparable(json.loads(expected)), comparable(json.loads(printed)), command)
            except ValueError:
                self.assertEqual(expected, printed, command)
