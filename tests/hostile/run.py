#!/usr/bin/env python3
"""Attacks a platform by functions of its own and prints what became of each attack.

    tests/hostile/run.py [--binary PATH] [--only WORD] [--part functions | builds] [--container | --user] [--once]

Passes when every attack ended as it must, and when afterwards the platform answers at once, another function is as fast
as before, and no process, mount, control group or file is left. Exits with 1 otherwise.
"""
import argparse
import functools
import importlib
import os
import pathlib
import subprocess
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

SKIPPED = 77
OF_THE_SANDBOX = ('resources', 'processes', 'files', 'calls', 'network')
MODULES = ('resources', 'output', 'results', 'processes', 'files', 'calls', 'network', 'inputs', 'races', 'builds')


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('--binary', help='the platform to test; CLOUDFUNCTION_BINARY by default')
    arguments.add_argument('--only', default='', help='attacks whose name contains this')
    arguments.add_argument('--part', choices=('functions', 'builds'), help='attacks of running functions, or of what packages do '
                           'while they are installed; both by default')
    arguments.add_argument('--container', action='store_true',
                           help='what an ordinary container gives instead of this machine (needs in_container beside the platform)')
    arguments.add_argument('--user', action='store_true',
                           help='an ordinary user instead of root: what attacks the sandbox')
    arguments.add_argument('--once', action='store_true', help='each attack in one language only')
    given = arguments.parse_args()
    if given.binary:
        os.environ['CLOUDFUNCTION_BINARY'] = str(pathlib.Path(given.binary).resolve())
    import arena as place
    for module in OF_THE_SANDBOX if given.user else MODULES:
        if given.part is None or (module == 'builds') == (given.part == 'builds'):
            importlib.import_module('attacks_' + module)
    chosen = [a for a in place.ATTACKS if given.only in f'{a[0]} {a[1] or ""}']
    if given.once:
        seen = set()
        chosen = [a for a in chosen if not (a[0] in seen or seen.add(a[0]))]

    kind = place.Platform
    if given.container:
        sys.path.insert(0, str(HERE.parent / 'container'))
        from test_container import ContainerPlatform
        kind = ContainerPlatform
    elif given.user:
        kind = functools.partial(place.Platform, user='nobody')
        if why := why_no_user():
            print(f'skipped: {why}')
            return SKIPPED
    failures = []
    for where in dict.fromkeys(a[3] for a in chosen):
        failures += wage(where(kind), [a for a in chosen if a[3] is where], place)
    print(f'\n{len(chosen)} attacks, {len(failures)} broke something')
    return 1 if failures else 0


def why_no_user():
    from platform_fixture import BINARY
    if os.geteuid() != 0:
        return 'only root can start a platform as another user'
    tried = subprocess.run(['unshare', '--user', '--map-root-user', '--net', BINARY, '--version'],
                           user='nobody', cwd='/', stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return tried.stderr.strip() if tried.returncode else None


def wage(arena, attacks, place):
    """Makes the attacks and prints a row for each; those that broke something."""
    failures = []
    try:
        arena.open()
        print(f'tier {arena.tier}; another function\'s p99 before: {arena.baseline * 1000:.1f} ms\n')
        print(f'{"attack":52} {"language":8} {"took":>7}  {"p99":>7}  outcome')
        for what, runtime, work, _ in attacks:
            began = time.monotonic()
            p99 = None
            try:
                said = work(arena, runtime) if runtime else work(arena)
                p99 = arena.check()
                outcome = f'held  {said or ""}'
            except place.Skip as skip:
                arena.clear()
                outcome = f'skipped: {skip}'
            except Exception as problem:
                arena.clear()
                outcome = 'BROKE'
                failures.append((what, runtime, problem))
            shown = f'{p99 * 1000:.1f} ms' if p99 is not None else ''
            print(f'{what:52} {runtime or "":8} {time.monotonic() - began:5.1f} s  {shown:>7}  {outcome}', flush=True)
            for _, _, problem in failures[-1:] if outcome == 'BROKE' else ():
                print('        ' + str(problem)[:2000] or repr(problem), flush=True)
                if not isinstance(problem, AssertionError):
                    traceback.print_exception(type(problem), problem, problem.__traceback__)
    finally:
        arena.close()
    print()
    return failures


if __name__ == '__main__':
    sys.exit(main())
