"""Packages without a wheel: fetch the source archive, then build it. Used by packages.py, only where the operator
allows it (executor.python.source_builds).

pip alone would do both at once, with the network at hand for the package's own code. Here pip fetches in a process that
cannot start any other (no_processes.py); the archive that it had fetched by then is kept. The build comes later, in a
sandbox without network, with build tools that were fetched as wheels.
"""
import os
import re
import shutil
import tarfile
import zipfile

import package_errors
from no_processes import ARCHIVES
from pip_runner import Pip, Stop, digest, fail, write


def archives_in(folder):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(ARCHIVES))


def sdist(request):
    """{"file", "sha256"}: the source archive, in <folder>/sdists, and what builds it, in <folder>/builders."""
    pip = Pip(request['folder'])
    kept = os.path.join(pip.folder, 'sdists')
    shutil.rmtree(kept, ignore_errors=True)
    os.makedirs(kept)
    wanted = write(pip.folder, 'requirements.txt', '\n'.join(request.get('options', []) + [request['requirement']]) + '\n')
    pip.run('download', '--no-deps', '--no-binary', ':all:', '--dest', kept, '-r', wanted,
            environment={'KEPT': kept})
    found = archives_in(kept)
    if not found:  # pip reads an archive that lies in a folder of this machine where it is
        for line in re.findall(r'Processing (/\S+)', pip.text):
            if line.endswith(ARCHIVES):
                shutil.copy(line, kept)
        found = archives_in(kept)
    if not found:
        fail(pip, request)
    sha256 = digest(found[0])
    if request.get('sha256') and request['sha256'] != sha256:
        raise Stop(package_errors.result(
            'hash_differs', 'the source archive %s is not the one that was locked: its hash is %s, not %s'
            % (os.path.basename(found[0]), sha256, request['sha256']),
            'somebody replaced the file in the package index; have versions chosen anew if that is as it should be',
            package_errors.name_in(request['requirement'])))
    builders = os.path.join(pip.folder, 'builders')
    os.makedirs(builders, exist_ok=True)
    needs = write(pip.folder, 'builders.txt', '\n'.join(request.get('options', []) + build_requires(found[0])) + '\n')
    if pip.run('download', '--only-binary', ':all:', '--dest', builders, '-r', needs) != 0:
        fail(pip, request)
    return {'file': os.path.basename(found[0]), 'sha256': sha256}


def build(request):
    """{"file"}: the wheel, in <folder>/built. Runs code of the package."""
    pip = Pip(request['folder'])
    built = os.path.join(pip.folder, 'built')
    # Verbose: what the package's code says goes to the build log while it runs.
    status = pip.run_freely('wheel', '-v', '--isolated', '--no-index', '--no-deps', '--find-links', request['builders'],
                            '--wheel-dir', built, request['file'], environment={'PIP_CONFIG_FILE': os.devnull})
    wheels = [name for name in os.listdir(built) if name.endswith('.whl')]
    if status != 0 or len(wheels) != 1:
        said = pip.text
        known = package_errors.compiler(said, '', False) or package_errors.disk(said, '', False)
        lines = [line.strip() for line in said.splitlines() if re.match(r'^\s+([\w.]*(Error|Exception|Exit)|error|fatal error)\b', line)
                 and 'subprocess-exited-with-error' not in line]
        raise Stop(known or package_errors.result(
            'build_failed', 'building %s from its source failed: %s'
            % (os.path.basename(request['file']), '; '.join(lines[-2:])[:600] or 'the build log says why'),
            'its build has no network; the build log has all that it said'))
    return {'file': wheels[0]}


def build_requires(archive):
    """What pyproject.toml of the archive asks for, else what pip takes then."""
    text = None
    if archive.endswith('.zip'):
        with zipfile.ZipFile(archive) as file:
            for name in file.namelist():
                if re.match(r'^[^/]+/pyproject\.toml$', name):
                    text = file.read(name)
    else:
        with tarfile.open(archive) as file:
            for member in file:
                if re.match(r'^(\./)?[^/]+/pyproject\.toml$', member.name) and member.isfile():
                    text = file.extractfile(member).read()
    requires = None
    if text is not None:
        requires = toml(text.decode('utf-8', 'replace')).get('build-system', {}).get('requires')
    if not isinstance(requires, list) or not all(isinstance(line, str) for line in requires):
        requires = ['setuptools', 'wheel']
    lines = [line for line in requires if re.match(r'^[A-Za-z0-9][^\n@/$]*$', line)]
    if any(line.startswith('setuptools') for line in lines) and 'wheel' not in lines:
        lines.append('wheel')
    return lines


def toml(text):
    for name in ('tomllib', 'pip._vendor.tomli', 'pip._vendor.toml', 'pip._vendor.pytoml'):
        try:
            return __import__(name, fromlist=['loads']).loads(text)
        except ImportError:
            continue
        except Exception:
            return {}
    return {}
