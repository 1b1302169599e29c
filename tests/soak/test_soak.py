"""Half an hour of everything at about half load: three languages, failures, timeouts, crashes, updates, deletes. What the
platform holds (memory, descriptors, threads, processes, control groups) has to stay flat, between the second quarter of
the time and the last. CLOUDFUNCTION_SOAK: seconds. Prints a table of the figures."""
import os
import pathlib
import random
import re
import statistics
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))
from platform_fixture import OwnPlatformTest, cgroups, descendants, request  # noqa: E402

SECONDS = float(os.environ.get('CLOUDFUNCTION_SOAK', '1800'))
FUNCTIONS = '/api/v1/functions'
GOOD = {
    'python': 'def handler(event, context):\n    return {"n": event, "v": %d}\n',
    'node': 'function handler(event) { return {n: event, v: %d} }',
    'go': 'func handler(event interface{}) interface{} { return map[string]interface{}{"n": event, "v": %d} }',
}
BAD = {
    'raises': ('def handler(event, context):\n    raise ValueError("wrong")\n', 200),
    'exits': ('import os\ndef handler(event, context):\n    os._exit(3)\n', 502),
    'sleeps': ('import time\ndef handler(event, context):\n    time.sleep(60)\n', 504),
    'eats': ('def handler(event, context):\n    kept = []\n    while True: kept.append(bytearray(1 << 20))\n', 502),
    'shouts': ('def handler(event, context):\n    print("x" * 100000)\n    return 1\n', 200),
}


def helpers(family):
    """What supervisor, launcher and name server hold. A sandbox that is just starting is a copy of the launcher and counts."""
    rss = descriptors = 0
    for pid in family:
        try:
            folder = pathlib.Path(f'/proc/{pid}')
            if (folder / 'comm').read_text().startswith('cf-'):
                rss += int(re.search(r'VmRSS:\s+(\d+)', (folder / 'status').read_text()).group(1))
                descriptors += len(os.listdir(folder / 'fd'))
        except (OSError, AttributeError):
            pass  # it has just ended
    return {'helpers_rss_kb': rss, 'helpers_descriptors': descriptors}


class Soak(OwnPlatformTest):
    def test_it_stays_flat(self):
        platform = self.start({'log.level': 'error', 'records.max_bytes': 8 << 20})
        self.stopping = threading.Event()
        self.wrong, self.counts, self.lock = [], {}, threading.Lock()
        for name, (code, status) in BAD.items():
            self.made(platform, f'bad-{name}', {'runtime': 'python', 'code': code, 'memory': 64,
                                                'timeout': 0.5 if status == 504 else 60})
        threads = [threading.Thread(target=self.guard, args=(work, platform)) for work in
                   (lambda p: self.healthy(p, 'python'), lambda p: self.healthy(p, 'node'), lambda p: self.healthy(p, 'go'),
                    self.failing)]
        for thread in threads:
            thread.start()
        samples = []
        began = time.monotonic()
        while time.monotonic() < began + SECONDS and not self.wrong:
            time.sleep(min(5, SECONDS / 40))
            samples.append({'seconds': round(time.monotonic() - began), 'calls': sum(self.counts.values()),
                            **self.sample(platform.process.pid)})
        self.stopping.set()
        for thread in threads:
            thread.join(120)
        self.assertEqual([], self.wrong)
        quarter = max(1, len(samples) // 4)
        early, late = samples[quarter:2 * quarter], samples[-quarter:]
        lines = []
        for key, slack in (('rss_kb', 8192), ('pss_kb', 8192), ('descriptors', 24), ('threads', 4), ('processes', 24),
                           ('cgroups', 24), ('helpers_rss_kb', 8192), ('helpers_descriptors', 24)):
            before, after = (statistics.median(s[key] for s in part) for part in (early, late))
            lines.append(f'{key}: {before:.0f} -> {after:.0f}')
            self.assertLessEqual(after, before * 1.1 + slack, lines)
        print(f'\n{SECONDS:.0f} s, calls {self.counts}; ' + ', '.join(lines), file=sys.stderr)
        for row in (samples[0], samples[len(samples) // 6], samples[len(samples) // 2], samples[-1]):
            print(', '.join(f'{key} {value}' for key, value in row.items()), file=sys.stderr)

    def guard(self, work, platform):
        try:
            work(platform)
        except Exception as failure:
            self.wrong.append(repr(failure))

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def made(self, platform, name, document, method='PUT'):
        answer = request(platform.url, method, f'{FUNCTIONS}/{name}', document, timeout=60)
        if answer.status not in (200, 201):
            raise AssertionError(f'{method} {name}: {answer}')
        self.count('saves')

    def healthy(self, platform, runtime):
        chance = random.Random(runtime)
        generation = 0
        while not self.stopping.is_set():
            generation += 1
            name = f'{runtime}-{generation}'
            self.made(platform, name, {'runtime': runtime, 'code': GOOD[runtime] % 0})
            version = 0
            for number in range(400):
                if self.stopping.is_set():
                    break
                answer = request(platform.url, 'POST', f'{FUNCTIONS}/{name}/invoke', {'event': number}, timeout=60)
                if answer.status != 200 or answer.json['result'] != {'n': number, 'v': version}:
                    raise AssertionError(f'{name}, version {version}, call {number}: {answer}')
                self.count(runtime)
                if number % 150 == 149:
                    version += 1
                    self.made(platform, name, {'code': GOOD[runtime] % version}, 'PATCH')
                time.sleep(chance.uniform(0, 0.02))
            if request(platform.url, 'DELETE', f'{FUNCTIONS}/{name}', timeout=60).status != 204:
                raise AssertionError(f'{name} cannot be deleted')

    def failing(self, platform):
        while not self.stopping.is_set():
            for name, (_, status) in BAD.items():
                answer = request(platform.url, 'POST', f'{FUNCTIONS}/bad-{name}/invoke', {}, timeout=60)
                if answer.status != status:
                    raise AssertionError(f'bad-{name}: {answer}')
                self.count('failures')
            time.sleep(0.5)

    @staticmethod
    def sample(pid):
        """Of the kernel process, and of its helpers together; processes and control groups are those of the whole platform."""
        text = ''.join(pathlib.Path(f'/proc/{pid}/{file}').read_text() for file in ('status', 'smaps_rollup'))
        field = {line.split(':')[0]: line.split()[1] for line in text.splitlines() if len(line.split()) > 1}
        family, names = descendants(pid), set()
        for child in family:
            try:
                names |= set(re.findall(r'cloudfunction-[0-9a-f]+', pathlib.Path(f'/proc/{child}/cgroup').read_text()))
            except OSError:
                pass  # it has just ended
        return {'rss_kb': int(field['VmRSS']), 'pss_kb': int(field['Pss']), 'threads': int(field['Threads']),
                'descriptors': len(os.listdir(f'/proc/{pid}/fd')), 'processes': len(family), **helpers(family),
                'cgroups': sum(any(name in group for name in names) for group in cgroups())}


if __name__ == '__main__':
    unittest.main()
