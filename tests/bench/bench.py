#!/usr/bin/env python3
"""Warm calls: the platform beside the ceiling probe, in one run on one machine, interleaved.

    tests/bench/bench.py                             every language, 1, 8 and 32 connections
    tests/bench/bench.py --languages python --connections 32 --seconds 10 --rounds 5
    tests/bench/bench.py --against http://host:port  a platform that runs already

Prints a table of medians and writes every measurement to a JSON file. Only ratios inside one run mean anything: the
machine's mood changes both sides alike. Needs wrk; the probe is ceiling.cpp in the folder `bench` of
CLOUDFUNCTION_SHARED (default: `shared` beside the repository) and is left out, with a word, where there is none.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
sys.path.insert(0, str(SOURCE / 'tests/system'))
os.environ.setdefault('CLOUDFUNCTION_BINARY', str(SOURCE / 'build/release/bin/cloudfunction'))
from platform_fixture import Platform, free_port, request, wait_until  # noqa: E402

# The same work as the probe's workers.
FUNCTIONS = {
    'python': 'def handler(event, context):\n    return {"message": "hello", "n": len(event["data"])}\n',
    'node': "const handler = (event, context) => ({ message: 'hello', n: event.data.length });\n",
    'go': 'func handler(event interface{}, context map[string]string) interface{} {\n'
          '    data := event.(map[string]interface{})["data"].([]interface{})\n'
          '    return map[string]interface{}{"message": "hello", "n": len(data)}\n}\n',
}
PROBE_WORKERS = 2


def main():
    arguments = parse()
    if shutil.which('wrk') is None:
        sys.exit('wrk is missing: apt-get install wrk')
    with tempfile.TemporaryDirectory(prefix='cloudfunction-bench-') as scratch:
        os.chmod(scratch, 0o755)
        probe = Probe.build(pathlib.Path(scratch), arguments.languages)
        platform = None
        if not arguments.against:
            platform = Platform({'log.level': 'warning'}).start()
        try:
            measurements = measure(arguments, arguments.against or platform.url, probe)
        finally:
            if platform is not None:
                platform.stop()
                platform.remove()
    report(measurements)
    arguments.output.write_text(json.dumps({'when': time.strftime('%Y-%m-%dT%H:%M:%S%z'), 'seconds': arguments.seconds,
                                            'rounds': arguments.rounds, 'measurements': measurements}, indent=1))
    print(f'\nEvery measurement: {arguments.output}')
    return 1 if any(m['errors'] for m in measurements) else 0


def parse():
    parser = argparse.ArgumentParser(description='Warm calls: the platform beside the ceiling probe.')
    parser.add_argument('--languages', nargs='+', default=list(FUNCTIONS), choices=list(FUNCTIONS))
    parser.add_argument('--connections', nargs='+', type=int, default=[1, 8, 32])
    parser.add_argument('--seconds', type=int, default=4, help='of one measurement')
    parser.add_argument('--rounds', type=int, default=3, help='measurements of each kind')
    parser.add_argument('--against', help='address of a platform that runs already')
    parser.add_argument('--output', type=pathlib.Path, default=pathlib.Path('bench.json'))
    return parser.parse_args()


class Probe:
    """The ceiling probe: one process per language while it is measured."""

    def __init__(self, binary, commands):
        self.binary = binary
        self.commands = commands

    @classmethod
    def build(cls, scratch, languages):
        folder = pathlib.Path(os.environ.get('CLOUDFUNCTION_SHARED', SOURCE.parent / 'shared')) / 'bench'
        if not (folder / 'ceiling.cpp').exists():
            print(f'No ceiling probe in {folder}: measuring the platform alone.', file=sys.stderr)
            return None
        binary = scratch / 'ceiling'
        subprocess.run(['g++', '-O2', '-std=c++20', str(folder / 'ceiling.cpp'), '-o', str(binary)], check=True)
        commands = {'python': [shutil.which('python3'), '-I', '-S', str(folder / 'worker.py')],
                    'node': ['node', str(folder / 'worker.js')]}
        if 'go' in languages:
            subprocess.run(['go', 'build', '-ldflags', '-s -w', '-o', str(scratch / 'worker-go'),
                            str(folder / 'worker.go')], check=True, cwd=scratch)
            commands['go'] = [str(scratch / 'worker-go')]
        return cls(binary, commands)

    def start(self, language):
        self.port = free_port()
        self.process = subprocess.Popen([str(self.binary), str(self.port), str(PROBE_WORKERS), *self.commands[language]])
        url = f'http://127.0.0.1:{self.port}'

        def answers():
            try:
                return request(url, 'POST', '/', {'event': {'data': []}}, timeout=2).status == 200
            except OSError:
                return False
        wait_until(answers, 'the probe')
        return url + '/api/v1/functions/x/invoke'

    def stop(self):
        self.process.terminate()
        self.process.wait()


def create(url, language):
    name = f'bench-{language}'
    answer = request(url, 'PUT', f'/api/v1/functions/{name}',
                     {'runtime': language, 'handler': 'handler', 'code': FUNCTIONS[language]})
    if answer.status not in (200, 201):
        sys.exit(f'{language}: {answer}')
    return f'{url}/api/v1/functions/{name}/invoke'


def wrk(url, connections, seconds):
    done = subprocess.run(['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '--latency', '-s',
                           str(HERE / 'invoke.lua'), url], stdout=subprocess.PIPE, check=True)
    result = json.loads(done.stdout.decode().splitlines()[-1])
    result['per_second'] = result['requests'] / (result['microseconds'] / 1e6)
    return result


def measure(arguments, url, probe):
    measurements = []
    try:
        targets = {language: create(url, language) for language in arguments.languages}
        for round_number in range(arguments.rounds):
            for language, target in targets.items():
                sides = [('platform', target)]
                if probe is not None:
                    sides.append(('probe', probe.start(language)))
                try:
                    for side, address in sides:
                        wrk(address, 8, 1)  # warm up
                    for connections in arguments.connections:
                        # Whoever goes first changes from round to round.
                        for side, address in sides if round_number % 2 == 0 else sides[::-1]:
                            result = wrk(address, connections, arguments.seconds)
                            measurements.append({'language': language, 'connections': connections, 'side': side,
                                                 'round': round_number, **result})
                            print('.', end='', file=sys.stderr, flush=True)
                finally:
                    if probe is not None:
                        probe.stop()
        print(file=sys.stderr)
    finally:
        for language in arguments.languages:
            request(url, 'DELETE', f'/api/v1/functions/bench-{language}')
    return measurements


def report(measurements):
    print(f'{"language":9}{"c":>4}{"platform/s":>12}{"p50 us":>8}{"p99 us":>8}{"probe/s":>10}{"p50 us":>8}'
          f'{"ratio":>7}{"errors":>8}')
    kinds = list(dict.fromkeys((m['language'], m['connections']) for m in measurements))
    for language, connections in kinds:
        def median(side, field):
            values = [m[field] for m in measurements
                      if (m['language'], m['connections'], m['side']) == (language, connections, side)]
            return statistics.median(values) if values else float('nan')
        errors = sum(m['errors'] for m in measurements if (m['language'], m['connections']) == (language, connections))
        ours, ceiling = median('platform', 'per_second'), median('probe', 'per_second')
        print(f'{language:9}{connections:4}{ours:12.0f}{median("platform", "p50"):8.0f}{median("platform", "p99"):8.0f}'
              f'{ceiling:10.0f}{median("probe", "p50"):8.0f}{ours / ceiling:7.2f}{errors:8}')


if __name__ == '__main__':
    sys.exit(main())
