"""What the project says about itself holds: documents that agree, links that lead somewhere, rules of the code."""
import pathlib
import re
import unittest

from platform_fixture import SOURCE
from test_readme import steps

DOCUMENTS = ('README.md', 'README.zh-CN.md', 'CONTRIBUTING.md', 'docs/architecture.md', 'docs/operations.md',
             'docs/specification.md')


class Documents(unittest.TestCase):
    def test_both_readmes_show_the_same_commands(self):
        english, chinese = (steps((SOURCE / name).read_text()) for name in ('README.md', 'README.zh-CN.md'))
        self.assertEqual(english, chinese)

    def test_links_lead_somewhere(self):
        for name in DOCUMENTS:
            folder = (SOURCE / name).parent
            for target in re.findall(r'\]\(([^)#:]+)\)|src="([^":]+)"', (SOURCE / name).read_text()):
                with self.subTest(f'{name}: {target}'):
                    self.assertTrue((folder / (target[0] or target[1])).exists())

    def test_every_promise_names_tests_that_exist(self):
        named = re.findall(r'`([\w/.-]+\.(?:py|cpp|js|go))(?: (\w+))?`', (SOURCE / 'docs/specification.md').read_text())
        self.assertGreater(len(named), 50)
        for file, test in named:
            with self.subTest(f'{file} {test}'):
                path = SOURCE / 'tests' / file
                self.assertTrue(path.exists())
                self.assertRegex(path.read_text(), rf'\b{test}\b')

    def test_files_that_the_architecture_names_exist(self):
        for name in re.findall(r'`((?:kernel|plugins|tests|docs|config|cmake|tools)/[\w/.-]+)`',
                               (SOURCE / 'docs/architecture.md').read_text()):
            with self.subTest(name):
                self.assertTrue((SOURCE / name).exists())


class Code(unittest.TestCase):
    def test_the_kernel_knows_no_language(self):
        for path in (SOURCE / 'kernel').rglob('*'):
            if path.is_file():
                found = re.search(r'python|node\.?js|javascript|golang', path.read_text(errors='replace'), re.I)
                self.assertIsNone(found, f'{path}: {found}')

    def test_there_is_one_list_of_packages(self):
        listed = (SOURCE / 'tools/dependencies.sh').read_text()
        for script in ('start_cloudfunction.sh', 'run_tests.sh'):
            text = (SOURCE / script).read_text()
            self.assertIn('. tools/dependencies.sh', text)
            self.assertNotIn('apt-get', text)
        self.assertIn('libpoco-dev', listed)

    def test_scripts_can_be_run(self):
        for script in ('.ci/run', 'run_tests.sh', 'start_cloudfunction.sh', 'tests/bench/bench.py'):
            self.assertTrue(pathlib.Path(SOURCE / script).stat().st_mode & 0o100, script)
