"""The SDK as a stranger gets it: installed, moved elsewhere, and used for the example of docs/writing-an-executor.md."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent / 'protocol'))
from harness import Shim  # noqa: E402

MINIMAL_C = '''
#include <cloudfunction/executor.h>
const cf_executor *cf_executor_entry(const cf_host *host, cf_error *error) { (void)host; (void)error; return 0; }
'''


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300, **options)
    if done.returncode != 0:
        raise AssertionError(f'{command}\n{done.stdout}')
    return done.stdout


def example():
    """File name -> content of every code block that stands under a heading with a file's name."""
    text = (ROOT / 'docs/writing-an-executor.md').read_text()
    return dict(re.findall(r'^### `([^`]+)`\n```\w+\n(.*?)^```$', text, re.M | re.S))


class Sdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix='cloudfunction-sdk-')
        cls.folder = pathlib.Path(cls.temporary.name)
        run('cmake', '--install', os.environ['CF_BUILD'], '--component', 'sdk', '--prefix', cls.folder / 'installed')
        # Whatever still points to the place of the installation or to the build fails from here on.
        cls.sdk = cls.folder / 'moved'
        (cls.folder / 'installed').rename(cls.sdk)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def build(self, name, files):
        source = self.folder / name
        source.mkdir()
        for file, content in files.items():
            (source / file).write_text(content)
        run('cmake', '-S', source, '-B', source / 'build', f'-DCMAKE_PREFIX_PATH={self.sdk}')
        run('cmake', '--build', source / 'build')
        return source / 'build/executors'

    def probe(self, library):
        done = subprocess.run([os.environ['CF_PROBE'], 'probe-executor', library, library.parent], input='{}',
                              capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout.splitlines()[-1])

    def test_nothing_of_this_machine_is_in_it(self):
        for file in self.sdk.rglob('*'):
            if file.is_file():
                text = file.read_text()
                self.assertNotIn(str(ROOT), text, file)
                self.assertNotIn('installed/', text, file)

    def test_the_example_of_the_documentation(self):
        executors = self.build('example', example())
        symbols = run('nm', '-D', '--defined-only', executors / 'perl.so')
        self.assertEqual(['cf_executor_entry'], [line.split()[-1] for line in symbols.splitlines()])
        if not shutil.which('perl'):
            self.assertIn('unavailable', self.probe(executors / 'perl.so'))
            self.skipTest('there is no perl to run the worker with')
        report = self.probe(executors / 'perl.so')
        self.assertNotIn('unavailable', report)
        self.assertRegex(json.loads(report['found'])['version'], r'^5\.')
        template = json.loads(report['manifest'])['runtimes'][0]['templates'][0]

        artifact = self.folder / 'artifact'
        artifact.mkdir()
        (artifact / '.main').write_text('main.pl')
        (artifact / 'main.pl').write_text(template['code'] + 'sub dies { die "no luck\\n" }\n'
                                          'sub env { return [$ENV{NAME}, $_[1]{invocation_id}, "\\x{e9}"] }\n')
        worker = ['perl', str(executors / 'perl/worker.pl')]
        with Shim(worker) as shim:
            self.assertEqual(1, shim.hello()['VERSION'])
            self.assertTrue(shim.load(str(artifact), 'handler').ok)
            answer = shim.invoke(b'{"a":[1,"\xc3\xa9"]}')
            self.assertEqual({'message': 'Hello from Perl', 'event': {'a': [1, 'é']}}, answer.value)
            self.assertEqual({}, shim.invoke(b'').value['event'])
        with Shim(worker) as shim:
            shim.hello()
            self.assertTrue(shim.load(str(artifact), 'dies').ok)
            answer = shim.invoke(b'1')
            self.assertFalse(answer.ok)
            self.assertEqual('no luck', answer.document['message'])
        with Shim(worker) as shim:
            shim.hello()
            self.assertEqual('HandlerNotFound', shim.load(str(artifact), 'nobody').document['type'])

    def test_an_executor_in_plain_c(self):
        executors = self.build('plain', {
            'CMakeLists.txt': 'cmake_minimum_required(VERSION 3.25)\nproject(plain LANGUAGES C)\n'
                              'find_package(cloudfunction REQUIRED)\n'
                              'if(NOT cloudfunction_ABI_VERSION STREQUAL "1.1")\n  message(FATAL_ERROR "ABI")\nendif()\n'
                              'cloudfunction_add_executor(plain SOURCES plain.c)\n',
            'plain.c': MINIMAL_C})
        self.assertIn('returned nothing', self.probe(executors / 'plain.so')['unavailable']['reason'])

    def test_another_major_version_is_not_taken(self):
        source = self.folder / 'version'
        source.mkdir()
        (source / 'CMakeLists.txt').write_text('cmake_minimum_required(VERSION 3.25)\nproject(version LANGUAGES NONE)\n'
                                               'find_package(cloudfunction 99 REQUIRED)\n')
        with self.assertRaises(AssertionError):
            run('cmake', '-S', source, '-B', source / 'build', f'-DCMAKE_PREFIX_PATH={self.sdk}')

    def test_pkg_config(self):
        if not shutil.which('pkg-config'):
            self.skipTest('there is no pkg-config')
        folder = next(self.sdk.rglob('cloudfunction.pc')).parent
        flags = run('pkg-config', '--cflags', 'cloudfunction', env={**os.environ, 'PKG_CONFIG_PATH': str(folder)}).split()
        source = self.folder / 'one.c'
        source.write_text(MINIMAL_C)
        run('cc', '-std=c11', '-shared', '-fPIC', '-fvisibility=hidden', *flags, source, '-o', self.folder / 'one.so')
        self.assertIn('returned nothing', self.probe(self.folder / 'one.so')['unavailable']['reason'])


if __name__ == '__main__':
    unittest.main()
