"""The platform as an operator gets it: installed, moved elsewhere, and complete there."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ['CF_BUILD'])


class Install(unittest.TestCase):
    def test_an_installed_platform_is_complete_wherever_it_lies(self):
        if not (BUILD / 'bin/cloudfunction').exists():
            self.skipTest('the platform was not built')
        with tempfile.TemporaryDirectory(prefix='cloudfunction-install-') as folder:
            installed, moved = pathlib.Path(folder, 'installed'), pathlib.Path(folder, 'moved')
            subprocess.run(['cmake', '--install', BUILD, '--component', 'platform', '--prefix', installed], check=True,
                           stdout=subprocess.DEVNULL, timeout=300)
            installed.rename(moved)
            binary = moved / 'bin/cloudfunction'
            self.assertTrue(os.access(moved / 'bin/cloudfunction-stub', os.X_OK))
            self.assertTrue(os.access(moved / 'bin/cloudfunction-launcher', os.X_OK))
            self.assertTrue((moved / 'share/cloudfunction/http-api.yaml').exists())
            properties = moved / 'etc/cloudfunction/cloudfunction.properties'
            shown = subprocess.run([binary, 'config', '--config', properties], capture_output=True, text=True, timeout=60)
            self.assertEqual(0, shown.returncode, shown.stderr)

            executors = sorted((moved / 'lib/cloudfunction/executors').glob('*.so'))
            self.assertEqual(['go', 'node', 'python'], [library.stem for library in executors])
            for library in executors:
                probe = subprocess.run([binary, 'probe-executor', library, library.parent], input='{}', capture_output=True,
                                       text=True, timeout=60)
                self.assertEqual(library.stem, json.loads(probe.stdout.splitlines()[-1])['id'], probe.stderr)
                built = {p.relative_to(BUILD / 'executors') for p in (BUILD / 'executors' / library.stem).rglob('*')}
                there = {p.relative_to(library.parent) for p in (library.parent / library.stem).rglob('*')}
                self.assertEqual(built, there)


if __name__ == '__main__':
    unittest.main()
