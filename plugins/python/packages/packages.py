"""Runs in the build sandbox: resolves, fetches and installs the packages of a function, with pip.

One request, a JSON object, comes on standard input. What pip says goes to standard output, the build log; the answer, a
JSON object, goes to <folder>/answer.json: {"error": {...}} of package_errors.py, or what the task gives.

task      needs the network, does; only `build` runs code of packages (no_processes.py)
resolve   yes  finds versions for "requirements" and "constraints", downloads them; gives {"lock"}
fetch     yes  downloads exactly the files of "lock"
sdist     yes  downloads the source archive of "requirement" and what its build asks for
build     no   makes a wheel of that source archive
install   no   installs "lock", or "requirements" out of "wheels", into "directory"

"built" of resolve and install: {file in <folder>/built: sha256 of the source archive that it was made of}.

Python 3.7 or later; pip 18 or later, of which nothing but its command line is used.
"""
import compileall
import json
import os
import re
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# The interpreter was started without it (-I). At the end: a part of the worker has the name of a standard module.
sys.path.append(HERE)
from package_errors import normal  # noqa: E402
from pip_runner import Pip, Stop, digest, fail, identity, wheels_in, write  # noqa: E402

# Ends the line of a package that was built of its source archive: the hash is that of the archive.
SOURCE = '  # source'
OFFLINE = ['--no-index', '--no-deps']


def lock_of(request, folder):
    """One line a package; those that were built from source name the archive instead of the wheel."""
    lines = list(request.get('options', []))
    built = request.get('built', {})
    for wheel in wheels_in(os.path.join(folder, 'wheels')):
        name, version = identity(wheel)
        sha256, file = digest(wheel), os.path.basename(wheel)
        # The index may have a wheel of the same name.
        made = file in built and digest(os.path.join(folder, 'built', file)) == sha256
        lines.append('%s==%s --hash=sha256:%s%s' % (normal(name), version, built[file] if made else sha256,
                                                    SOURCE if made else ''))
    return '\n'.join(lines) + '\n'


def with_built(lock, folder, built):
    """The lines of a lock, those of source archives with the hash of the wheel instead that was made of this very archive."""
    made = {}
    for file, archive in built.items():
        wheel = os.path.join(folder, 'built', file)
        name, version = identity(wheel)
        made['%s==%s --hash=sha256:%s%s' % (normal(name), version, archive, SOURCE)] = '%s==%s --hash=sha256:%s' % (
            normal(name), version, digest(wheel))
    return [made.get(line, line) for line in lock.splitlines()]


def download(pip, *arguments):
    """pip download of wheels only, into <folder>/wheels, with what was built there before."""
    wheels = os.path.join(pip.folder, 'wheels')
    os.makedirs(wheels, exist_ok=True)
    return pip.run('download', '--only-binary', ':all:', '--find-links', os.path.join(pip.folder, 'built'),
                   '--dest', wheels, *arguments)


def resolve(request):
    pip = Pip(request['folder'])
    os.makedirs(os.path.join(pip.folder, 'built'), exist_ok=True)
    arguments = ['-r', write(pip.folder, 'requirements.txt', request['requirements'])]
    if request.get('constraints'):
        arguments += ['-c', write(pip.folder, 'constraints.txt', request['constraints'])]
    wheels = os.path.join(pip.folder, 'wheels')
    shutil.rmtree(wheels, ignore_errors=True)
    if download(pip, *arguments) != 0:
        fail(pip, request)
    return {'lock': lock_of(request, pip.folder)}


def fetch(request):
    pip = Pip(request['folder'])
    lines = [line for line in request['lock'].splitlines() if not line.endswith(SOURCE)]
    if any(not line.startswith('--') for line in lines):
        if download(pip, '--no-deps', '--require-hashes', '-r', write(pip.folder, 'locked.txt', '\n'.join(lines) + '\n')) != 0:
            fail(pip, request)
    return {}


def install(request):
    pip = Pip(request['folder'])
    directory = request['directory']
    target = os.path.join(directory, 'site-packages')
    temporary = os.path.join(directory, '.tmp')  # beside the target, so that pip can rename instead of copy
    os.makedirs(temporary, exist_ok=True)
    if 'lock' in request:
        built = os.path.join(pip.folder, 'built')
        lines = [line for line in with_built(request['lock'], pip.folder, request.get('built', {})) if not line.startswith('--')]
        chosen = OFFLINE + ['--require-hashes', '-r', write(pip.folder, 'locked.txt', '\n'.join(lines) + '\n'),
                            '--find-links', os.path.join(pip.folder, 'wheels'), '--find-links', built]
    else:
        chosen = ['--no-index', '--find-links', request['wheels']]
        if request.get('requirements'):
            chosen += ['-r', write(pip.folder, 'requirements.txt', request['requirements'])]
        else:
            chosen += wheels_in(request['wheels'])
    status = pip.run('install', '--isolated', '--only-binary', ':all:', '--no-compile', '--target', target,
                     '--no-warn-script-location', *chosen,
                     environment={'TMPDIR': temporary, 'PIP_CONFIG_FILE': os.devnull})
    if status != 0:
        fail(pip, request)
    shutil.rmtree(temporary, ignore_errors=True)
    os.makedirs(target, exist_ok=True)
    compile_ahead(target)
    return {}


# What a further process saves, it costs to start: 0.1 s of processor time.
SOURCES_OF_ONE = 1 << 20


def workers_for(folder):
    size = 0
    for path, _, files in os.walk(folder):
        size += sum(os.lstat(os.path.join(path, file)).st_size for file in files if file.endswith('.py'))
        if size > SOURCES_OF_ONE:
            return min(4, os.cpu_count() or 1)
    return 1


def compile_ahead(folder):
    """Bytecode that is never compared with its source, as neither changes any more. What does not compile (templates,
    code for other versions) fails when it is imported, as it would anyway."""
    begun = time.time()
    how = {'quiet': 2, 'force': True}
    try:
        import py_compile
        how['invalidation_mode'] = py_compile.PycInvalidationMode.UNCHECKED_HASH
    except AttributeError:
        pass
    try:
        compileall.compile_dir(folder, workers=workers_for(folder), maxlevels=50, **how)
    except (OSError, ImportError, NotImplementedError):  # no semaphores here: one after the other
        compileall.compile_dir(folder, maxlevels=50, **how)
    print('Compiled in %.1f s' % (time.time() - begun), flush=True)


def main():
    os.umask(0o022)
    request = json.loads(sys.stdin.read())
    if request['task'] in ('sdist', 'build'):
        import package_sources
        tasks = {'sdist': package_sources.sdist, 'build': package_sources.build}
    else:
        tasks = {'resolve': resolve, 'fetch': fetch, 'install': install}
    try:
        answer = tasks[request['task']](request)
    except Stop as stop:
        answer = {'error': stop.args[0]}
    write(request['folder'], 'answer.json', json.dumps(answer))
    return 1 if 'error' in answer else 0


if __name__ == '__main__':
    sys.exit(main())
