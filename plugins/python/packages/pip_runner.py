"""pip as a program: runs it, shows and keeps what it says. Used by packages.py and package_sources.py."""
import hashlib
import os
import re
import subprocess
import sys
import zipfile

import package_errors

HERE = os.path.dirname(os.path.abspath(__file__))
QUIET = ['--disable-pip-version-check', '--no-color', '--progress-bar', 'off', '--no-cache-dir', '--no-input']


class Stop(Exception):
    """Carries the "error" of an answer, as package_errors.result() makes it."""


class Pip:
    """Runs pip and keeps what it said."""

    def __init__(self, folder):
        self.folder = folder
        self.log = os.path.join(folder, 'pip.log')
        self.text = ''
        self.version = self._version()

    @staticmethod
    def _version():
        try:
            import pip
            return tuple(int(part) for part in re.findall(r'\d+', pip.__version__)[:2])
        except Exception:
            raise Stop({'kind': 'no_pip', 'message': 'pip of this interpreter does not work',
                        'hint': 'the operator can install it with `apt install python3-pip`'})

    def run(self, command, *arguments, **more):
        """Exit status; `environment` adds variables. pip starts no process, so no code of packages runs."""
        return self._run([os.path.join(HERE, 'no_processes.py'), command], arguments, more.get('environment', {}))

    def run_freely(self, command, *arguments, **more):
        """As run(), and code of packages runs: only where there is nothing that it must not have."""
        return self._run(['-m', 'pip', command], arguments, more.get('environment', {}))

    def _run(self, program, arguments, environment):
        if os.path.exists(self.log):
            os.unlink(self.log)
        quiet = QUIET if self.version >= (19, 0) else QUIET[:-1]
        line = [sys.executable, '-I'] + program + quiet + ['--log', self.log] + list(arguments)
        environment = dict(os.environ, **environment)
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env=environment, cwd=self.folder)
        kept = []
        for raw in process.stdout:
            text = raw.decode('utf-8', 'replace').rstrip()
            kept.append(text)
            if text and not text.startswith(('Saved ', 'Looking in links: ', 'WARNING: Running pip as')):
                print(shown(text.replace(self.folder + '/', '')), flush=True)
        self.text = '\n'.join(kept)
        return process.wait()

    def details(self):
        """The log of the last run, with what pip looked at and did not take."""
        try:
            with open(self.log, encoding='utf-8', errors='replace') as log:
                return log.read(16 << 20)
        except OSError:
            return ''


def shown(text):
    """A line for the user: without the folders of the sandbox and without logins in addresses."""
    text = re.sub(r'(https?://)[^/@\s]+@', r'\1', text)
    return re.sub(r'/\S+/(?=(requirements|constraints|locked)\.txt)', '', text)


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return path


def digest(path):
    sha = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            sha.update(block)
    return sha.hexdigest()


def identity(wheel):
    """(name, version) as the wheel's own metadata has them: the file's name has them in another spelling."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.namelist():
            if re.match(r'^[^/]+\.dist-info/METADATA$', entry):
                fields = {}
                for line in archive.read(entry).decode('utf-8', 'replace').splitlines():
                    if not line.strip():
                        break
                    name, _, value = line.partition(':')
                    fields.setdefault(name.lower(), value.strip())
                return fields['name'], fields['version']
    raise Stop({'kind': 'bad_wheel', 'name': os.path.basename(wheel),
                'message': '%s is not a proper wheel: it has no METADATA' % os.path.basename(wheel), 'hint': ''})


def wheels_in(folder):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith('.whl'))


def fail(pip, request):
    """Ends the task with what pip's last run said, in words."""
    raise Stop(package_errors.explain(pip.text, pip.details(), request.get('task') == 'fetch',
                                      'wheels' in request))
