"""The Python shim on every interpreter at hand: what a function may rely on, and what none of them can break.

Interpreters: the `python3` of /usr/bin and PATH, and the oldest and newest from 3.7 on that `pyenv` keeps. All that are
there with CLOUDFUNCTION_PYTHONS=all; others with their paths in it, colons between.
"""
import glob
import os
import shutil
import subprocess
import tempfile
import textwrap
import unittest

import harness

SHIM = os.environ.get('CLOUDFUNCTION_PYTHON_SHIM') or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), '..', '..', '..', 'plugins', 'python', 'worker', 'worker.py')
SHIM = os.path.abspath(SHIM)
ECHO = 'def handler(event, context):\n    return event\n'


def interpreters():
    """{version: path} of every interpreter that the platform would take."""
    named = os.environ.get('CLOUDFUNCTION_PYTHONS')
    if named and named != 'all':
        paths = named.split(':')
    else:
        paths = ['/usr/bin/python3', shutil.which('python3') or '']
        if shutil.which('pyenv'):
            root = subprocess.run(['pyenv', 'root'], stdout=subprocess.PIPE, check=False).stdout.decode().strip()
            paths += sorted(glob.glob(root + '/versions/3.*/bin/python3'))
    found = {}
    for path in paths:
        if not os.access(path, os.X_OK):
            continue
        said = subprocess.run([path, '-I', '-S', '-c', 'import sys; print(*sys.version_info[:3], sys.executable)'],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode().split()
        if len(said) == 4 and (int(said[0]), int(said[1])) >= (3, 7):
            found['.'.join(said[:3])] = said[3]
    versions = sorted(found, key=_numbers)
    if not named and len(versions) > 2:
        keep = {versions[0], versions[-1]} | {version for version in versions if found[version].startswith('/usr/')}
        found = {version: found[version] for version in keep}
    return found


def _numbers(version):
    return tuple(int(number) for number in version.split('.'))


class ShimCase(unittest.TestCase):
    python = None
    version = (0, 0)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='cloudfunction-shim-')
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, flags=('-I', '-S', '-B', '-X', 'utf8'), environment=None):
        shim = harness.Shim([self.python, *flags, SHIM], environment)
        self.addCleanup(shim.close)
        return shim

    def write(self, files):
        if isinstance(files, str):
            files = {'main.py': files}
        for name, source in files.items():
            path = os.path.join(self.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(textwrap.dedent(source))

    def load(self, files, handler='handler', **options):
        """A shim with the function loaded."""
        self.write(files)
        shim = self.start()
        answer = shim.load(self.folder, handler, **options)
        self.assertTrue(answer.ok, answer)
        return shim

    def refuse(self, files, handler='handler', **options):
        """The error document of a function that cannot be loaded."""
        self.write(files)
        shim = self.start()
        answer = shim.load(self.folder, handler, **options)
        self.assertEqual(answer.type, 'LOAD_FAILED', answer)
        self.assertEqual(shim.wait(), 0)
        return answer.document

    def result(self, files, event=b'{}', context=b'{}', handler='handler', **options):
        answer = self.load(files, handler, **options).invoke(event, context)
        self.assertTrue(answer.ok, answer)
        return answer.value


def every_interpreter(module):
    """`load_tests` of a module: its cases on every interpreter."""
    def load_tests(loader, _tests, _pattern):
        suite = unittest.TestSuite()
        for version, path in sorted(interpreters().items(), key=lambda entry: _numbers(entry[0])):
            for case in ShimCase.__subclasses__():
                if case.__module__ != module:
                    continue
                name = '%s_%s' % (case.__name__, version.replace('.', '_'))
                suite.addTests(loader.loadTestsFromTestCase(
                    type(name, (case,), {'python': path, 'version': _numbers(version),
                                         '__module__': module, '__qualname__': name})))
        return suite
    return load_tests
