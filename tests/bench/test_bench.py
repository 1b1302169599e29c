"""The benchmark runs: every section yields numbers without errors, and says what it left out."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import bench
from records import Records, percentile

HERE = pathlib.Path(__file__).resolve().parent


class Sections(unittest.TestCase):
    def test_every_section_yields_numbers(self):
        if shutil.which('wrk') is None:
            self.skipTest('wrk is not installed')
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            cache = os.environ.get('CLOUDFUNCTION_BENCH_CACHE', str(folder / 'cache'))
            done = subprocess.run([sys.executable, str(HERE / 'bench.py'), '--quick', '--sides', 'probe', 'node-http',
                                   '--cache', cache, '--output', str(folder / 'out.json'), '--picture',
                                   str(folder / 'out.svg')], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            said = done.stdout.decode()
            self.assertEqual(0, done.returncode, said)
            run = json.loads((folder / 'out.json').read_text())
            self.assertIn('<svg', (folder / 'out.svg').read_text())
        records = Records(run['measurements'])
        for section in bench.SECTIONS:
            if section.NAME in run['missing']:
                continue
            with self.subTest(section.NAME):
                entries = [e for e in records.entries if e['section'] == section.NAME]
                self.assertTrue(entries, said)
                for entry in entries:
                    self.assertEqual(0, entry['errors'], entry)
                    self.assertTrue(entry['numbers'], entry)
                    self.assertTrue(all(value >= 0 for value in entry['numbers'].values()), entry)


class Arithmetic(unittest.TestCase):
    def test_ratios_are_taken_inside_rounds(self):
        records = Records()
        for number, (ours, theirs) in enumerate(((10, 20), (100, 100), (3, 1))):
            records.add('s', 'python', 'c', 'platform', number, rate=ours)
            records.add('s', 'python', 'c', 'probe', number, rate=theirs)
        self.assertEqual(1.0, records.ratio('s', 'python', 'c', 'rate', 'platform', 'probe'))
        self.assertEqual(10, records.median('s', 'python', 'c', 'platform', 'rate'))
        self.assertIsNone(records.ratio('s', 'python', 'c', 'rate', 'platform', 'unit'))

    def test_percentiles(self):
        values = list(range(100, 0, -1))
        self.assertEqual((50, 99, 100), tuple(percentile(values, share) for share in (0.5, 0.99, 1)))
        self.assertEqual(7, percentile([7], 0.5))


if __name__ == '__main__':
    unittest.main()
