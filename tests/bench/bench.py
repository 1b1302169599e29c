#!/usr/bin/env python3
"""Measures the platform beside others that do the same work, in one run on one machine, in turn.

    tests/bench/bench.py                             everything, most of an hour
    tests/bench/bench.py --quick                     everything with few rounds, about three minutes
    tests/bench/bench.py warm cold                   these sections only
    tests/bench/bench.py warm --languages python --rounds 9 --seconds 5
    tests/bench/bench.py --from bench.json --picture bench.svg    draws what was measured before

Prints medians over the rounds and what is met of the targets; writes every measurement to a JSON file. Only ratios inside
one run mean anything: the machine's mood changes all sides alike. Needs wrk, g++ and a release build (CLOUDFUNCTION_BINARY
names another one). docs/benchmarks.md tells more.
"""
import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

import burst
import cold
import cpu
import create
import dependencies
import functions
import instructions
import loops
import many
import memory
import observability
import open_loop
import payload
import picture
import report
import waiting
import warm
from harness import SOURCE, Bench
from records import Records
from sides import SIDES

SECTIONS = [warm, open_loop, cpu, instructions, loops, observability, payload, waiting, cold, burst, create, dependencies, many,
            memory]


def parse():
    parser = argparse.ArgumentParser(description='Measures the platform beside others that do the same work.')
    parser.add_argument('sections', nargs='*', metavar='section', help=', '.join(s.NAME for s in SECTIONS))
    parser.add_argument('--quick', action='store_true', help='few rounds, few cases; shows that it runs, proves nothing')
    parser.add_argument('--languages', nargs='+', default=list(functions.LANGUAGES), choices=functions.LANGUAGES)
    parser.add_argument('--sides', nargs='*', default=list(SIDES), choices=list(SIDES), help='what stands beside the platform')
    parser.add_argument('--rounds', type=int, help='measurements of each kind (5; quick: 1)')
    parser.add_argument('--seconds', type=int, help='of one measurement (3; quick: 1)')
    parser.add_argument('--unit', help='the program unitd of NGINX Unit')
    parser.add_argument('--unit-http', type=pathlib.Path, help="the folder of NGINX Unit's package for Node.js, built")
    parser.add_argument('--python', help='the Python of the platform and the probe, for example the one that Unit was built '
                                         'with; the one on PATH otherwise')
    parser.add_argument('--cache', type=pathlib.Path, default=SOURCE / 'build/bench',
                        help='where programs and packages of the other sides stay for the next run')
    parser.add_argument('--output', type=pathlib.Path, default=pathlib.Path('bench.json'))
    parser.add_argument('--from', dest='earlier', nargs='+', type=pathlib.Path, metavar='JSON',
                        help='measures nothing: reports what earlier runs wrote')
    parser.add_argument('--picture', type=pathlib.Path, help='where to write the picture (SVG)')
    parser.add_argument('--markdown', type=pathlib.Path, help='where to write the targets as a table')
    options = parser.parse_args()
    unknown = set(options.sections) - {s.NAME for s in SECTIONS}
    if unknown:
        parser.error(f'no section {", ".join(sorted(unknown))}; there are {", ".join(s.NAME for s in SECTIONS)}')
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (1 if options.quick else 3)
    options.cache = options.cache.resolve()
    return options


def report_earlier(options):
    """Tables, picture and targets of runs that are over."""
    runs = [json.loads(path.read_text()) for path in options.earlier]
    records = Records(entry for run in runs for entry in run['measurements'])
    sections = [s for s in SECTIONS if records.rows(s.NAME)]
    for section in sections:
        print('\n'.join([*report.table(records, section), *report.target_lines(section, records), '']))
    write(options, sections, records)
    return 0


def write(options, sections, records):
    if options.picture:
        options.picture.write_text(picture.draw(sections, records))
    if options.markdown:
        options.markdown.write_text('\n'.join(report.markdown(sections, records)) + '\n')


def keep(options, machine, bench):
    """After each section, so that a run that is broken off was not for nothing."""
    options.output.write_text(json.dumps({'machine': machine, 'rounds': options.rounds, 'seconds': options.seconds,
                                          'quick': options.quick, 'missing': bench.missing,
                                          'measurements': bench.records.entries}, indent=1))


def main():
    options = parse()
    if options.earlier:
        return report_earlier(options)
    for program in ('wrk', 'g++'):
        if shutil.which(program) is None:
            sys.exit(f'{program} is missing; install the package of that name.')
    if not os.path.exists(os.environ['CLOUDFUNCTION_BINARY']):
        sys.exit(f'No platform at {os.environ["CLOUDFUNCTION_BINARY"]}: build the preset release, or name one with '
                 'CLOUDFUNCTION_BINARY.')
    sections = [s for s in SECTIONS if not options.sections or s.NAME in options.sections]
    machine = report.machine()
    with tempfile.TemporaryDirectory(prefix='cloudfunction-bench-') as scratch:
        os.chmod(scratch, 0o755)
        bench = Bench(options, scratch)
        for section in sections:
            begin = time.monotonic()
            print(section.NAME, end=' ', file=sys.stderr, flush=True)
            section.run(bench)
            print(f' {time.monotonic() - begin:.0f} s', file=sys.stderr, flush=True)
            print('\n'.join([*report.table(bench.records, section), *report.target_lines(section, bench.records), '']),
                  flush=True)
            keep(options, machine, bench)
    for name, why in bench.missing.items():
        print(f'Left out: {name}: {why}')
    print(f'Every measurement: {options.output}')
    write(options, sections, bench.records)
    errors = sum(bench.records.errors(s.NAME) for s in sections)
    if errors:
        print(f'{errors} calls failed.')
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
