"""Builds that want more than they may have: the package of a function does whatever it likes while it is built from its
source, and the save says in words what stopped it."""
import os
import unittest

import python_index as packages
from platform_fixture import SystemTest, describe, descendants, wait_until

# A build backend of the package's own (PEP 517): its code runs in the build sandbox.
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = '''import os, sys, time
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    print("the backend begins", flush=True)
'''


def greedy(name, *lines):
    """The source archive of a package that does this instead of being built."""
    return packages.sdist(name, '1.0', '', {'pyproject.toml': PROJECT, 'backend.py': BACKEND + ''.join(
        f'    {line}\n' for line in lines)})


class GreedyBuilds(SystemTest):
    own_platform = True
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.index = packages.Index()
        cls.addClassCleanup(cls.index.close)
        cls.environment = {**packages.NO_SETTINGS, 'PIP_INDEX_URL': cls.index.url()}
        cls.properties = {'build.network': 'host', 'executor.python.source_builds': 'true', **cls.settings}
        super().setUpClass()

    def setUp(self):
        self.needs('python')

    def needs_layer(self, name):
        for layer in self.get('/api/health').json['sandbox']['layers']:
            if layer['name'] == name and not layer['active']:
                self.skipTest(f'no {name} here: {layer["detail"]}')

    def refused(self, *lines, reason):
        """Saves a function whose package does this; returns the problem, and the log of the build as one text."""
        package = self.unique('greedy').replace('-', '')
        self.index.add(greedy(package, *lines))
        name = self.unique()
        answer = self.create('python', 'def handler(event): pass\n', name=name, dependencies=[package])
        document = self.assertProblem(answer, 422, reason)
        self.assertIn('the backend begins', document['build_log'], 'the package was built at all')
        self.nothing_is_left(name)
        return document

    def nothing_is_left(self, name):
        self.assertEqual(404, self.get(f'/api/v1/functions/{name}').status)
        own = self.platform.data / '.cloudfunction'
        for folder in ('build', 'layers', 'artifacts'):
            wait_until(lambda: not os.listdir(own / folder), folder + ' to be empty')  # also behind the answer
        jobs = str(own / 'build')
        wait_until(lambda: not [pid for pid in descendants(self.platform.process.pid) if jobs in describe(pid)],
                   'the processes of the build to be gone')


class Memory(GreedyBuilds):
    settings = {'build.memory_mb': 256}

    def test_a_build_that_needs_more_memory(self):
        self.needs_layer('memory_limit')
        document = self.refused('kept = []', 'while True: kept.append(b"x" * 10_000_000)', reason='build_memory_exceeded')
        self.assertIn('the build ran out of memory (limit 256 MB)', document['detail'])
        self.assertIn('build.memory_mb', document['hint'])
        self.assertEqual('256 MB', document['limit'])
        self.assertIn('out of memory', document['build_log'])


class Time(GreedyBuilds):
    settings = {'build.timeout': 40}

    def test_a_build_that_takes_longer(self):
        document = self.refused('while True: time.sleep(1)', reason='build_timeout')
        self.assertIn('longer than build.timeout (40 s)', document['detail'])
        self.assertIn('build.timeout', document['hint'])
        self.assertIn('build.timeout', document['build_log'])


class Disk(GreedyBuilds):
    settings = {'build.disk_mb': 64}

    def test_a_build_that_writes_more(self):
        # Below the limit of one file, and into the folder of the build.
        document = self.refused(
            'number = 0', 'while True:', '    number += 1',
            '    with open(os.path.join(wheel_directory, str(number)), "wb") as file: file.write(b"x" * 4_000_000)',
            '    time.sleep(0.01)', reason='build_disk_exceeded')
        self.assertIn('more than 64 MB', document['detail'])
        self.assertIn('build.disk_mb', document['hint'])
        self.assertEqual('64 MB', document['limit'])
        self.assertIn('64 MB', document['build_log'])


class Processes(GreedyBuilds):
    def test_a_build_that_starts_processes_without_end(self):
        self.needs_layer('process_limit')
        document = self.refused(
            'count = 0', 'while count < 5000:', '    try:', '        if os.fork() == 0:',
            '            os.closerange(0, 64)', '            time.sleep(3600)',  # nobody waits for what they might write
            '    except OSError as error:', '        sys.exit(f"no more than {count} processes: {error}")',
            '    count += 1', reason='build_failed')
        self.assertRegex(document['build_log'], r'no more than \d{2,3} processes')
        # Whoever is next is not disturbed.
        self.index.add(packages.module('modest', '1.0'))
        name = self.function('python', packages.HANDLER.format('modest'), dependencies=['modest'])
        self.assertEqual('1.0', self.result(name))


if __name__ == '__main__':
    unittest.main()
