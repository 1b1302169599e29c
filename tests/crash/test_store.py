"""The store's disk fails: a write that does not come off, a full or read-only disk, a damaged file, a clock that jumps.
Whoever was told "saved" finds it, whoever was told otherwise is told why, and nothing is half there."""
import contextlib
import errno
import hashlib
import mmap
import os
import pathlib
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))
from platform_fixture import SOURCE, OwnPlatformTest, preload, request, wait_until  # noqa: E402

from ledger import CODE, FUNCTIONS, Ledger  # noqa: E402

FAULTS = os.environ.get('CLOUDFUNCTION_FAULTS', '')
STORE = '.cloudfunction/functions.db'
QUIET = {'workers.prewarmed': 1, 'log.level': 'error'}


class Faults:
    """The page that tests/crash/faults.c reads."""

    def __init__(self, path):
        path.write_bytes(bytes(24))
        path.chmod(0o666)
        with open(path, 'r+b') as file:
            self.page = mmap.mmap(file.fileno(), 24)

    def arm(self, skip, error, sticky):
        struct.pack_into('6i', self.page, 0, 0, skip, error, sticky, 0, 0)
        struct.pack_into('i', self.page, 0, 1)

    def hits(self):
        return struct.unpack_from('i', self.page, 16)[0]

    def disarm(self):
        struct.pack_into('i', self.page, 0, 0)
        return self.hits()

    def clock(self, seconds):
        struct.pack_into('i', self.page, 20, seconds)


class WithFaults(OwnPlatformTest):
    def faulty(self, files=f'{STORE}:{STORE}-wal:{STORE}-shm:{STORE}-journal', properties=None, environment=None):
        if not os.path.exists(FAULTS):
            self.skipTest('CLOUDFUNCTION_FAULTS names no library')
        folder = pathlib.Path(self.enterContext(self.temporary()))
        self.faults = Faults(folder / 'control')
        return self.start({**QUIET, **(properties or {})}, environment={
            **preload(FAULTS), 'FAULTS_CONTROL': folder / 'control', 'FAULTS_FILES': files, **(environment or {})})

    @staticmethod
    def temporary():
        import tempfile
        folder = tempfile.TemporaryDirectory(prefix='cloudfunction-faults-')
        os.chmod(folder.name, 0o755)
        return folder

    def enterContext(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value


class FailingWrites(WithFaults):
    def walk(self, error, sticky):
        """Every write of a create, an update and a delete fails once, or every CLOUDFUNCTION_STEP-th."""
        step = int(os.environ.get('CLOUDFUNCTION_STEP', '1'))
        platform = self.faulty()

        def call(method, path, body):
            return request(platform.url, method, path, body, timeout=60)
        ledger = Ledger('faulty', 1)
        refused = 0
        for number, operation in enumerate(('create', 'update', 'delete')):
            skip = 0
            while True:
                name = f'{operation}-{skip}'
                if operation != 'create':
                    self.assertEqual(201, ledger.change(call, 'PUT', name, 1).status)
                self.faults.arm(skip, error, sticky)
                method, value = {'create': ('PUT', 2), 'update': ('PATCH', 3), 'delete': ('DELETE', None)}[operation]
                answer = ledger.change(call, method, name, value)
                hits = self.faults.disarm()
                if answer.status >= 300:
                    refused += 1
                    document = answer.json
                    self.assertIn(document['reason'], ('store_failed', 'disk_full'), answer)
                    self.assertGreater(len(document['detail']), 20, answer)
                    self.assertGreater(hits, 0, f'refused without a reason: {answer}')
                ledger.check(call)
                # It goes on without a restart.
                self.assertLess(ledger.change(call, 'PUT', name, 4).status, 300)
                if skip // step % 7 == 0:
                    platform.kill()
                    platform.start()
                    ledger.check(call)
                if hits == 0:
                    break
                skip += step
                self.assertLess(skip, 400)
        self.assertGreater(refused, 3, 'no write failed: is the library loaded?')

    def test_one_write_fails(self):
        self.walk(errno.EIO, 0)

    def test_the_disk_is_full_from_some_write_on(self):
        self.walk(errno.ENOSPC, 1)

    def test_the_disk_turns_read_only_at_some_write(self):
        self.walk(errno.EROFS, 1)

    def test_invocations_do_not_need_the_disk(self):
        platform = self.faulty('functions.db:functions.db-wal:records.db:records.db-wal:function.log')
        name = self.function('python', CODE % 5)
        self.faults.arm(0, errno.EIO, 1)
        for _ in range(20):
            self.assertEqual(5, self.result(name))
        time.sleep(0.5)
        self.assertEqual(5, self.result(name))
        self.faults.disarm()
        self.assertEqual(200, request(platform.url, 'GET', '/api/health').status)


class FailingRecords(WithFaults):
    """Records are a help, never a reason for a call to fail or to wait."""

    def setUp(self):
        self.log = self.faulty('records.db:records.db-wal:records.db-shm', {'log.level': 'warning'}).log
        self.name = self.function('python', CODE % 5)
        self.recorded()

    def calls(self):
        for _ in range(20):
            self.assertEqual(5, self.result(self.name))

    def recorded(self):
        """A call whose record can be read."""
        answer = self.invoke(self.name)
        path = f'/api/v1/invocations/{answer.json["invocation_id"]}'
        wait_until(lambda: self.get(path).status == 200, 'the record of a call', 60)

    def health(self):
        health = self.get('/api/health').json
        return health['status'], ' '.join(health['problems'])

    def refused(self, error, words):
        self.faults.arm(0, error, 1)
        self.calls()
        wait_until(lambda: self.health()[0] == 'degraded', 'health to tell', 60)
        self.assertRegex(self.health()[1], f'invocation records could not be written: .*{words}')
        self.calls()
        self.assertGreater(self.faults.disarm(), 0)
        self.recorded()
        self.assertEqual(('ok', ''), self.health())
        self.assertIn('now they are written again', self.log())

    def test_io_errors(self):
        self.refused(errno.EIO, 'I/O error')

    def test_a_full_disk(self):
        self.refused(errno.ENOSPC, 'full')

    def test_a_disk_that_hangs(self):
        self.faults.arm(0, 0, 1)
        self.calls()
        wait_until(self.faults.hits, 'a write that hangs', 60)
        self.calls()
        self.assertEqual(201, self.create('python', CODE % 6).status)
        self.faults.disarm()
        self.recorded()


class SmallDisk(OwnPlatformTest):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest('only root can mount a small disk')

    def small(self, size):
        import tempfile
        home = pathlib.Path(tempfile.mkdtemp(prefix='cloudfunction-small-'))
        home.chmod(0o755)
        self.addCleanup(home.rmdir)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size},mode=755', 'small', str(home)], check=True)
        self.addCleanup(subprocess.run, ['umount', '-l', str(home)], check=True)
        return home

    @staticmethod
    def filled(home):
        filler = home / 'filler'
        for piece in (1 << 16, 1 << 9):  # to the last page
            with open(filler, 'ab', buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(piece))
                except OSError:
                    pass
        return filler

    def test_a_platform_that_crashed_on_a_full_disk_starts_and_serves_calls(self):
        home = self.small('24m')
        platform = self.start({**QUIET, 'data.dir': home / 'data'})
        name = self.function('python', CODE % 6)
        self.assertEqual(6, self.result(name))
        filler = self.filled(home)
        platform.kill()
        platform.start()
        self.assertEqual(6, self.result(name))
        health = wait_until(lambda: (found := self.get('/api/health').json)['problems'] and found, 'the trouble to be told')
        self.assertIn('invocation records', ' '.join(health['problems']))
        filler.unlink()
        wait_until(lambda: not self.get('/api/health').json['problems'], 'the records to be opened')
        self.invoke(name)
        self.assertTrue(wait_until(lambda: self.get(f'/api/v1/functions/{name}/invocations').json['invocations'], 'a record'))

    def test_a_full_disk_refuses_saves_and_serves_calls(self):
        home = self.small('24m')
        self.start({**QUIET, 'data.dir': home / 'data'})
        name = self.function('python', CODE % 6)
        filler = self.filled(home)
        answer = self.create('python', CODE % 7)
        self.assertEqual((507, 'disk_full'), (answer.status, answer.json['reason']), answer)
        self.assertTrue(answer.json['hint'])
        for _ in range(20):
            self.assertEqual(6, self.result(name))
        # The database may have room of its own for that.
        answer = self.call('DELETE', f'/api/v1/functions/{name}')
        if answer.status != 204:
            self.assertEqual((507, 'disk_full'), (answer.status, answer.json['reason']), answer)
            self.assertIn('not deleted', answer.json['detail'])
            self.assertNotIn('save', answer.json['detail'] + answer.json['hint'])
        filler.unlink()
        self.assertEqual(201, self.create('python', CODE % 7).status)
        if answer.status != 204:
            self.assertEqual(6, self.result(name))

    def test_a_disk_that_is_full_in_the_middle_of_a_build_says_so(self):
        home = self.small('24m')
        self.start({**QUIET, 'data.dir': home / 'data'})
        for runtime, code, result in (('python', CODE % 6 + '# ' + 'x' * 1_500_000, 6),
                                      ('node', 'function handler() { return 7 }\n// ' + 'x' * 1_500_000, 7)):
            with self.subTest(runtime):
                free = os.statvfs(home)
                # Room for the platform's own copy of the source, not for the executor's.
                filler = home / 'filler'
                filler.write_bytes(bytes(free.f_bavail * free.f_frsize - 2_000_000))
                answer = self.create(runtime, code)
                self.assertEqual((507, 'disk_full'), (answer.status, answer.json['reason']), answer)
                filler.unlink()
                answer = self.create(runtime, code)
                self.assertEqual(201, answer.status, answer)
                self.assertEqual(result, self.result(answer.json['name']))

    def test_a_read_only_disk_refuses_the_start(self):
        home = self.small('64m')
        platform = self.start({**QUIET, 'data.dir': home / 'data'})
        name = self.function('python', CODE % 8)
        platform.stop()
        subprocess.run(['mount', '-o', 'remount,ro', str(home)], check=True)
        said = self.refused({**QUIET, 'data.dir': home / 'data'})
        self.assertIn(str(home), said)
        self.assertRegex(said.lower(), 'read-only|cannot be written')
        subprocess.run(['mount', '-o', 'remount,rw', str(home)], check=True)
        self.start({**QUIET, 'data.dir': home / 'data'})
        self.assertEqual(8, self.result(name))


class Damage(OwnPlatformTest):
    def test_a_damaged_database_is_refused_and_kept(self):
        platform = self.start(QUIET)
        for number in range(3):
            self.function('python', CODE % number)
        platform.stop()
        file = platform.data / STORE
        content = bytearray(file.read_bytes())
        for at in range(4096, len(content), 4096):
            content[at:at + 512] = os.urandom(512)
        file.write_bytes(content)
        before = hashlib.sha256(file.read_bytes()).hexdigest()
        for said in (self.refused({**QUIET, 'data.dir': platform.data}), self.refused({**QUIET, 'data.dir': platform.data})):
            self.assertIn('functions.db', said)
            self.assertRegex(said, 'damaged|corrupt|malformed')
        self.assertEqual(before, hashlib.sha256(file.read_bytes()).hexdigest())

    def damage(self, platform, text):
        """Spoils the pages of the stopped platform's database where `text` stands."""
        file = platform.data / STORE
        content = bytearray(file.read_bytes())
        pages = [at for at in range(4096, len(content), 4096) if text.encode() in content[at:at + 4096]]
        self.assertTrue(pages)
        for at in pages:
            content[at:at + 64] = os.urandom(64)
        file.write_bytes(content)

    def test_the_documented_way_back(self):
        if shutil.which('sqlite3') is None:
            self.skipTest('sqlite3 is not installed')
        platform = self.start(QUIET)
        names = [self.function('python', CODE % number + f'# {"padding" * 200} {number} of them\n') for number in range(20)]
        platform.stop()
        self.damage(platform, ' 7 of them')
        self.assertIn('damaged', self.refused({**QUIET, 'data.dir': platform.data}))
        text = (SOURCE / 'docs/operations.md').read_text()
        commands, = re.findall(r'```\n(cd functions/\.cloudfunction .*?)```', text, re.S)
        subprocess.run(['sh', '-ec', commands.replace('functions/.cloudfunction', '.cloudfunction')], check=True,
                       cwd=platform.data)
        platform.start()
        self.assertEqual(set(names), {function['name'] for function in self.get(FUNCTIONS).json['functions']})
        self.assertEqual(list(range(20)), [self.result(name) for name in names])
        read = [self.get(f'{FUNCTIONS}/{name}') for name in names]
        lost = [name for name, answer in zip(names, read) if answer.status != 200]
        self.assertIn(names[7], lost)
        self.assertLess(len(lost), 8)
        for name, answer in zip(names, read):
            if name in lost:
                self.assertIn('the content of a source file is missing', answer.json['detail'])
                self.assertEqual(204, self.call('DELETE', f'{FUNCTIONS}/{name}').status)
                self.assertEqual(201, self.create('python', CODE % 1, name=name).status)
            else:
                self.assertIn(f' {names.index(name)} of them', answer.json['code'])

    def test_damage_of_a_large_database_is_told_after_the_start(self):
        platform = self.start(QUIET)
        name = self.function('python', CODE % 3)
        platform.stop()
        with contextlib.closing(sqlite3.connect(platform.data / STORE)) as database, database:
            for number in range(5):  # large, and nothing that a start looks at
                database.execute('INSERT INTO content VALUES (?, zeroblob(?))', (f'large{number}', 52 << 20))
            database.execute('INSERT INTO content VALUES (?, ?)', ('spoilt', b'a text that nobody looks for'))
        self.damage(platform, 'a text that nobody looks for')
        platform.start()
        health = wait_until(lambda: degraded(self.get('/api/health').json), 'health to tell of the damage', 120)
        self.assertEqual('failed', health['store']['status'])
        self.assertIn('functions.db is damaged', ' '.join(health['problems']))
        self.assertIn('functions.db is damaged', platform.log())
        self.assertEqual(3, self.result(name))


def degraded(health):
    return health if health['status'] == 'degraded' else None


class Clock(WithFaults):
    def test_steps_of_the_wall_clock(self):
        self.faulty()
        name = self.function('python', CODE % 1, timeout=5)
        identifiers = []
        for step in (0, 86_400, -86_400, 3600 * 24 * 365, 0):
            self.faults.clock(step)
            for number in range(5):
                answer = self.invoke(name)
                self.assertEqual(1, answer.json['result'])
                self.assertLess(answer.json['duration_ms'], 5000)
                identifiers.append(answer.json['invocation_id'])
            self.assertEqual(200, self.call('PATCH', f'{FUNCTIONS}/{name}', {'timeout': 5 + number}).status)
            self.assertEqual(201, self.create('python', CODE % 2).status)
        self.assertEqual(len(identifiers), len(set(identifiers)))


if __name__ == '__main__':
    unittest.main()
