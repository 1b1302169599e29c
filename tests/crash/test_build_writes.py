"""A write of a build fails: of its sources, of the packages that it installs, of what vouches for them, or a move in
between. The save says so, nothing is half there, and the next one works. CLOUDFUNCTION_STEP says how many writes are
passed over from one try to the next."""
import errno
import json
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))
from platform_fixture import wait_until  # noqa: E402
from python_index import NO_SETTINGS, Index, module  # noqa: E402

from ledger import FUNCTIONS  # noqa: E402
from remains import files  # noqa: E402
from test_store import WithFaults  # noqa: E402

STEP = int(os.environ.get('CLOUDFUNCTION_STEP', '3'))


class FailingBuilds(WithFaults):
    def test_it_is_whole_or_not_there(self):
        index = Index()
        self.addCleanup(index.close)
        platform = self.faulty('/.cloudfunction/build/:/.cloudfunction/artifacts/:/.cloudfunction/layers/',
                               {'build.network': 'host', 'workers.prewarmed': 0},
                               {**NO_SETTINGS, 'PIP_INDEX_URL': index.url()})
        self.needs('python')
        refused = 0
        for skip in range(0, 300, STEP):
            error, sticky = ((errno.EIO, 0), (errno.ENOSPC, 1))[skip % 2]
            index.add(module('grain', str(skip)))
            document = {'runtime': 'python', 'handler': 'handler', 'dependencies': [f'grain=={skip}'],
                        'code': 'import grain\ndef handler(event, context):\n    return grain.version\n'}
            path = f'{FUNCTIONS}/faulty-{skip}'
            self.faults.arm(skip, error, sticky)
            answer = self.call('PUT', path, document)
            hits = self.faults.disarm()
            if answer.status >= 300:
                refused += 1
                self.assertGreater(hits, 0, f'refused without a reason: {answer}')
                self.assertIn(answer.json['reason'], ('disk_full', 'store_failed', 'build_failed', 'executor_error'), answer)
                self.assertRegex(answer.text, 'full|' + os.strerror(error), answer)
                self.assertEqual(404, self.get(path).status)
            self.assert_whole(platform)
            if skip % 2 == 0 or answer.status < 300:
                answer = self.call('PUT', path, document)
                self.assertLess(answer.status, 300, answer)
                self.assertEqual(str(skip), self.result(f'faulty-{skip}'))
            if hits == 0:
                break
        self.assertEqual(0, hits, 'the end was not reached')
        self.assertGreater(refused, 3)

    def assert_whole(self, platform):
        wait_until(lambda: not files(platform, 'build'), 'the folder of the build to go')
        for folder in 'artifacts', 'layers':
            found = files(platform, folder)
            whole = {name for name in found if not name.endswith('.json')}
            self.assertEqual(whole | {f'{name}.json' for name in whole}, found)
            for name in whole:
                place = platform.data / '.cloudfunction' / folder / name
                parts = [path for path in place.rglob('*') if path.is_file() and not path.is_symlink()]
                said = json.loads(place.with_name(name + '.json').read_text())
                self.assertEqual((said['files'], said['bytes']), (len(parts), sum(path.stat().st_size for path in parts)))


if __name__ == '__main__':
    unittest.main()
