"""Sources as zip and tar archives: what is taken, and that whatever is hostile leaves nothing behind."""

import base64
import gzip
import io
import os
import random
import stat
import struct
import tarfile
import unittest
import urllib.parse
import zipfile

from platform_fixture import SystemTest, wait_until

HELLO = b'from parts import greet\n\ndef handler(event, context):\n    return greet(event["name"])\n'
PARTS = b'def greet(name):\n    return "Hello, " + name\n'
FILES = {'main.py': HELLO, 'parts.py': PARTS}


def zipped(files, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = options.get('mode', 0o644) << 16
            info.create_system = options.get('system', 3)
            archive.writestr(info, content)
    return out.getvalue()


def tarred(entries, mode='w:gz', format=tarfile.PAX_FORMAT):
    """Entries are (name, content) or a TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=format) as archive:
        for entry in entries.items() if isinstance(entries, dict) else entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            info.size = len(entry[1])
            archive.addfile(info, io.BytesIO(entry[1]))
    return out.getvalue()


def special(name, kind, target=''):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def linked_zip(name, target):
    return zipped({name: target}, mode=stat.S_IFLNK | 0o777)


class ArchiveTest(SystemTest):

    def upload(self, name, archive, type='application/zip', headers=None, **query):
        path = f'/api/v1/functions/{name}/archive'
        if query:
            path += '?' + urllib.parse.urlencode(query)
        return self.call('PUT', path, archive, {'Content-Type': type, **(headers or {})})

    def new(self, archive, type='application/zip', headers=None, **query):
        """Uploads an archive as a new function, which is deleted after the test: (name, answer)."""
        name = self.unique()
        self.addCleanup(self.delete, name)
        query = {'runtime': 'python', 'handler': 'main.handler', **query}
        return name, self.upload(name, archive, type, headers, **query)

    def assertGreets(self, name):
        self.assertEqual('Hello, Ada', self.result(name, {'name': 'Ada'}))


class Accepted(ArchiveTest):

    def setUp(self):
        self.needs('python')

    def test_a_zip_makes_a_function(self):
        name, answer = self.new(zipped(FILES))
        self.assertEqual(201, answer.status, answer)
        self.assertEqual(f'/api/v1/functions/{answer.json["id"]}', answer.headers['Location'])
        self.assertNotIn('files', answer.json)
        self.assertGreets(name)
        self.assertEqual({n: c.decode() for n, c in FILES.items()}, self.get(f'/api/v1/functions/{name}').json['files'])

    def test_tar_files_packed_or_not(self):
        for mode, type in (('w', 'application/x-tar'), ('w:gz', 'application/gzip')):
            for format in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
                with self.subTest(mode=mode, format=format):
                    name, answer = self.new(tarred(FILES, mode, format), type)
                    self.assertEqual(201, answer.status, answer)
                    self.assertGreets(name)

    def test_a_single_folder_around_everything_is_left_out(self):
        files = {'project-main/' + name: content for name, content in FILES.items()}
        for archive in (zipped({'project-main/': b'', **files}), tarred(files)):
            name, answer = self.new(archive)
            self.assertEqual(201, answer.status, answer)
            self.assertGreets(name)

    def test_names_below_a_dot(self):
        name, answer = self.new(tarred([special('.', tarfile.DIRTYPE), special('./empty', tarfile.DIRTYPE)] +
                                       [('./' + n, c) for n, c in FILES.items()]))
        self.assertEqual(201, answer.status, answer)
        self.assertGreets(name)

    def test_what_a_mac_adds_is_left_out(self):
        name, answer = self.new(zipped({**FILES, '__MACOSX/._main.py': b'\0', '.DS_Store': b'\0', '._main.py': b'\0'}))
        self.assertEqual(201, answer.status, answer)
        self.assertEqual(sorted(FILES), sorted(self.get(f'/api/v1/functions/{name}').json['files']))

    def test_binary_files(self):
        content = bytes(range(256))
        code = b'import pathlib\n\ndef handler(event, context):\n' \
               b'    return list((pathlib.Path(__file__).parent / "data.bin").read_bytes())\n'
        name, answer = self.new(zipped({'main.py': code, 'data.bin': content}))
        self.assertEqual(201, answer.status, answer)
        self.assertEqual(list(range(256)), self.result(name))
        shown = self.get(f'/api/v1/functions/{name}').json['files']['data.bin']
        self.assertEqual(content, base64.b64decode(shown['base64']))

    def test_another_archive_replaces_the_sources_and_nothing_else(self):
        name, answer = self.new(zipped({**FILES, 'old.py': b''}), description='greets', memory='256')
        self.assertEqual(201, answer.status, answer)
        answer = self.upload(name, zipped({**FILES, 'parts.py': b'def greet(name):\n    return "Bye"\n'}))
        self.assertEqual(200, answer.status, answer)
        self.assertEqual((2, 'greets', 256, 'main.handler'),
                         tuple(answer.json[k] for k in ('version', 'description', 'memory', 'handler')))
        self.assertEqual('Bye', self.result(name, {'name': 'Ada'}))
        self.assertNotIn('old.py', self.get(f'/api/v1/functions/{name}').json['files'])

    def test_the_same_archive_makes_no_version(self):
        name, _ = self.new(zipped(FILES))
        answer = self.upload(name, tarred(FILES), 'application/gzip')
        self.assertEqual((200, 1), (answer.status, answer.json['version']), answer)

    def test_if_match(self):
        name, answer = self.new(zipped(FILES))
        stale = answer.headers['ETag']
        self.assertEqual(200, self.upload(name, zipped({**FILES, 'x.py': b''}), headers={'If-Match': stale}).status)
        self.assertProblem(self.upload(name, zipped(FILES), headers={'If-Match': stale}), 412, 'precondition_failed')
        self.assertProblem(self.upload(self.unique(), zipped(FILES), headers={'If-Match': stale},
                                       runtime='python'), 412, 'precondition_failed')

    def test_respond_async(self):
        name, answer = self.new(zipped(FILES), headers={'Prefer': 'respond-async'})
        self.assertEqual(202, answer.status, answer)
        version = answer.headers['Location']
        self.assertEqual(f'<{version}/build-log>; rel="monitor"', answer.headers['Link'])
        self.wait_for(lambda: self.get(version).json['state'] == 'ready')
        self.assertGreets(name)

    def wait_for(self, condition):
        from platform_fixture import wait_until
        wait_until(condition, 'the version to be built')

    def test_in_json(self):
        answer = self.create('python', archive=base64.b64encode(zipped(FILES)).decode(), handler='main.handler')
        self.assertEqual(201, answer.status, answer)
        name = answer.json['name']
        self.assertGreets(name)
        other = zipped({**FILES, 'parts.py': b'def greet(name):\n    return "Bye"\n'})
        answer = self.call('PATCH', f'/api/v1/functions/{name}', {'archive': base64.b64encode(other).decode()})
        self.assertEqual((200, 2), (answer.status, answer.json['version']), answer)
        self.assertEqual('Bye', self.result(name, {'name': 'Ada'}))

    def test_documents_without_files(self):
        name, _ = self.new(zipped(FILES))
        document = self.get(f'/api/v1/functions/{name}?files=false').json
        self.assertNotIn('files', document)
        self.assertNotIn('code', document)
        self.assertNotIn('files', self.get(f'/api/v1/functions/{name}/versions/1?files=false').json)
        self.assertProblem(self.get(f'/api/v1/functions/{name}?files=some'), 400, 'invalid_query')
        # What was read can be sent back.
        answer = self.call('PUT', f'/api/v1/functions/{name}', {**document, 'description': 'new'})
        self.assertEqual((200, 1), (answer.status, answer.json['version']), answer)
        self.assertGreets(name)

    def test_thousands_of_files(self):
        name, answer = self.new(zipped({**FILES, **{f'data/{i}.txt': str(i) for i in range(5000)}}))
        self.assertEqual(201, answer.status, answer)
        self.assertGreets(name)

    def test_special_bits_carry_no_meaning(self):
        info = tarfile.TarInfo('main.py')
        info.mode, info.uid, info.uname = 0o6777, 0, 'root'
        info.size = 0
        name, answer = self.new(tarred([info, ('parts.py', PARTS), ('app.py', HELLO)]), handler='app.handler')
        self.assertEqual(201, answer.status, answer)
        self.assertGreets(name)


class Refused(ArchiveTest):
    """Every archive here is refused, names its fault, and leaves nothing behind."""

    properties = {'function.max_files': 2000, 'function.max_unpacked_bytes': 2_000_000}

    def setUp(self):
        self.needs('python')

    def refuse(self, archive, *words, reason='invalid_archive', status=422):
        before = self.left()
        name, answer = self.new(archive)
        document = self.assertProblem(answer, status, reason)
        for word in words:
            self.assertIn(word, document['detail'])
        self.assertEqual(404, self.get(f'/api/v1/functions/{name}').status)
        self.assertEqual(before, self.left())
        return document

    def left(self):
        """What lies in the data folder, the database and logs aside."""
        if self.platform is None:
            return []
        # That of an earlier test's build goes behind its answer.
        builds = os.path.join(self.platform.data, '.cloudfunction/build')
        wait_until(lambda: not os.path.isdir(builds) or not os.listdir(builds), 'the folders of builds to go')
        found = []
        for folder, folders, files in os.walk(self.platform.data):
            found += [os.path.join(folder, name) for name in folders + files if not name.startswith(('functions.db', 'records.db'))]
        return sorted(found)

    def test_paths_out_of_the_folder(self):
        for name in ('../evil.py', 'a/../../evil.py', '/etc/passwd', 'a/./b.py', 'a//b.py', 'a/../b.py', '..'):
            for archive in (zipped({**FILES, name: b'x'}), tarred([*FILES.items(), (name, b'x')])):
                with self.subTest(name=name):
                    self.refuse(archive, name[:2])

    def test_backslashes(self):
        self.refuse(zipped({'a.py': b'', 'b\\c.py': b''}), 'backslash')
        self.refuse(zipped({'a.py': b'', '..\\c.py': b''}, system=0), 'backslash')
        self.refuse(tarred([('b\\c.py', b'')]), 'backslash')

    def test_links_and_devices(self):
        self.refuse(linked_zip('link', '/etc/passwd'), '"link"', 'symbolic link')
        for kind, word in ((tarfile.SYMTYPE, 'symbolic link'), (tarfile.LNKTYPE, 'hard link'),
                           (tarfile.FIFOTYPE, 'pipe'), (tarfile.CHRTYPE, 'device'), (tarfile.BLKTYPE, 'device')):
            self.refuse(tarred([*FILES.items(), special('odd', kind, 'main.py')]), '"odd"', word)
        self.refuse(zipped({'odd': b''}, mode=stat.S_IFIFO | 0o644), '"odd"', 'pipe')
        self.refuse(zipped({'odd': b''}, mode=stat.S_IFSOCK | 0o644), '"odd"', 'socket')

    def test_links_to_programs_of_packages_are_left_out(self):
        files = {'project/main.js': b'exports.handler = () => require("fs").existsSync(__dirname + "/node_modules/.bin/tool") '
                                    b'? "there" : require("tool");\n',
                 'project/node_modules/tool/index.js': b'module.exports = "used";\n'}
        link = special('project/node_modules/.bin/tool', tarfile.SYMTYPE, '../../../../etc/passwd')
        zip_ = io.BytesIO(zipped(files))
        with zipfile.ZipFile(zip_, 'a') as target:
            entry = zipfile.ZipInfo(link.name)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            target.writestr(entry, link.linkname)
        for archive, type in ((tarred([*files.items(), link]), 'application/gzip'), (zip_.getvalue(), 'application/zip')):
            name, answer = self.new(archive, type, runtime='node', handler='main.handler')
            self.assertEqual(201, answer.status, answer)
            self.assertEqual('used', self.result(name))
        self.refuse(tarred([*files.items(), special('node_modules/other/tool', tarfile.SYMTYPE, 'x')]), 'tar -h')
        self.refuse(tarred([*files.items(), special('bin/node_modules/.bin', tarfile.SYMTYPE, '/etc')]), 'tar -h')

    def test_encrypted_entries(self):
        archive = bytearray(zipped({'secret.py': b'x'}))
        for signature, at in ((b'PK\3\4', 6), (b'PK\1\2', 8)):
            archive[archive.index(signature) + at] |= 1
        self.refuse(bytes(archive), '"secret.py"', 'encrypted')

    def test_too_many_entries(self):
        document = self.refuse(zipped({f'{i}': b'' for i in range(100_000)}), '2000')
        self.assertEqual('2000 files', document['limit'])
        self.refuse(tarred([special(f'd{i}', tarfile.DIRTYPE) for i in range(3000)]), '2000')

    def test_a_single_entry_that_unpacks_to_gigabytes(self):
        # Half a gigabyte of zeros in half a megabyte.
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as archive:
            with archive.open('zeros', 'w') as entry:
                for _ in range(512):
                    entry.write(bytes(1 << 20))
        document = self.refuse(packed.getvalue(), '2000000')
        self.assertEqual('2000000 bytes', document['limit'])

    def test_many_entries_that_unpack_to_gigabytes(self):
        self.refuse(zipped({f'{i}': bytes(1 << 20) for i in range(100)}), '2000000')
        self.refuse(tarred({f'{i}': bytes(1 << 20) for i in range(100)}), '2000000')

    def test_a_size_that_lies(self):
        archive = bytearray(zipped({'a': bytes(1000)}))
        for signature, at in ((b'PK\3\4', 22), (b'PK\1\2', 24)):
            struct.pack_into('<I', archive, archive.index(signature) + at, 10)
        self.refuse(bytes(archive))

    def test_a_sparse_file(self):
        info = tarfile.TarInfo('sparse')
        info.pax_headers = {'GNU.sparse.major': '0', 'GNU.sparse.minor': '1', 'GNU.sparse.size': str(1 << 40),
                            'GNU.sparse.map': f'{(1 << 40) - 1},1', 'GNU.sparse.numblocks': '1'}
        info.size = 1
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode='w') as archive:
            archive.addfile(info, io.BytesIO(b'x'))
        self.refuse(out.getvalue(), '2000000')

    def test_headers_that_unpack_to_gigabytes(self):
        block = tarfile.TarInfo('x').tobuf()
        self.refuse(gzip.compress(block * 200_000 + bytes(1024)))

    def test_archives_in_archives_stay_packed(self):
        inner = zipped({'zeros': bytes(1 << 20)})
        for _ in range(5):
            inner = zipped({f'{i}.zip': inner for i in range(3)})
        name, answer = self.new(zipped({**FILES, 'nested.zip': inner}))
        self.assertEqual(201, answer.status, answer)
        self.assertEqual(['main.py', 'nested.zip', 'parts.py'], sorted(self.get(f'/api/v1/functions/{name}').json['files']))

    def test_names_that_differ_in_case_or_form_only(self):
        for one, other in (('Main.py', 'main.py'), ('caf\u00e9.py', 'cafe\u0301.py'), ('stra\u00dfe.py', 'STRASSE.py'),
                           ('\u00c9.py', 'e\u0301.py'), ('a/B.py', 'A/b.py')):
            with self.subTest(one=one):
                self.refuse(zipped([(one, b'1'), (other, b'2')]), 'twice')
                self.refuse(tarred([(one, b'1'), (other, b'2')]), 'twice')
                document = self.assertProblem(
                    self.create('python', files={one: '1', other: '2'}, handler='main.handler'), 422, 'invalid_function')
                self.assertIn('twice', document['errors'][0]['detail'])

    def test_the_same_name_twice(self):
        self.refuse(tarred([('a.py', b'1'), ('a.py', b'2')]), '"a.py"', 'twice')

    def test_a_file_that_is_a_folder_too(self):
        for names in (('a', 'a/b.py'), ('a/b.py', 'a'), ('A', 'a/b.py')):
            self.refuse(tarred([(name, b'') for name in names]), 'folder')
        self.refuse(tarred([special('a', tarfile.DIRTYPE), ('a', b''), ('b', b'')]), 'folder')

    def test_odd_names(self):
        self.refuse(tarred([('a\nb', b'')]), 'control character')
        self.refuse(zipped({'x' * 300: b''}), '255')
        self.refuse(tarred([('/'.join(['d' * 200] * 30), b'')]), 'limit')
        self.refuse(tarred([(b'\xff.py'.decode('utf-8', 'surrogateescape'), b'')], format=tarfile.GNU_FORMAT), 'UTF-8')

    def test_damaged_archives(self):
        content = zipped({'a.py': os.urandom(5000), 'b.py': b'x' * 1000})
        for cut in (1, 21, 22, 100, 1000, len(content) // 2, len(content) - 10):
            self.refuse(content[:-cut])
        flipped = bytearray(content)
        flipped[2000] ^= 0xff
        self.refuse(bytes(flipped), 'a.py')
        plain = tarred({'a.py': b'a' * 600, 'b.py': b'b' * 600}, 'w')
        for end in (512, 512 + 100, 3 * 512, 3 * 512 + 100, 4 * 512, 6 * 512):
            self.refuse(plain[:end], 'damaged')
        packed = gzip.compress(plain)
        for end in (15, len(packed) // 2, len(packed) - 1, len(packed) - 8):
            self.refuse(packed[:end], 'damaged')
        wrong = bytearray(packed)
        wrong[-6] ^= 0xff  # the checksum
        self.refuse(bytes(wrong))

    def test_a_second_archive(self):
        one, other = zipped({'a.py': b'1'}), zipped({'b.py': b'2'})
        self.refuse(one + other, 'second archive')
        self.refuse(b'#!/bin/sh\n' + one)
        self.refuse(one + b'behind')
        prefixed = io.BytesIO(one)
        with zipfile.ZipFile(prefixed, 'a') as archive:
            archive.comment = b'fine'
        name, answer = self.new(prefixed.getvalue())
        self.assertNotEqual('invalid_archive', answer.json.get('reason'), answer)
        tars = [tarred({f'{i}.py': b''}, 'w') for i in range(2)]
        self.refuse(tars[0] + tars[1], 'behind')
        self.refuse(gzip.compress(tars[0]) + gzip.compress(tars[1]), 'behind')
        self.refuse(gzip.compress(tars[0]) + other, 'behind')
        self.refuse(gzip.compress(tars[0]) + b'behind', 'behind')

    def test_two_names_for_one_entry(self):
        archive = zipped({'fine.py': b''}).replace(b'fine.py', b'evil.py', 1)
        self.refuse(archive, 'another one')

    def test_what_is_no_archive(self):
        for content, word in ((b'{"code": ""}', 'JSON'), (b'<!doctype html><p>', 'web page'), (b'Rar!\x1a\x07\0', 'RAR'),
                              (b'7z\xbc\xaf\x27\x1c\0', '7-Zip'), (b'%PDF-1.4', 'PDF'), (b'def handler(): pass', 'text'),
                              (gzip.compress(b'no tar'), 'tar'), (b'BZh9', 'bzip2'), (b'\0' * 2000, 'something else'),
                              (zipped({}), 'no files'), (tarred({}), 'no files'), (gzip.compress(b''), '')):
            with self.subTest(word=word):
                self.refuse(content, word)

    def test_an_empty_body(self):
        name = self.unique()
        answer = self.upload(name, b'', runtime='python')
        self.assertProblem(answer, 422, 'invalid_archive')

    def test_other_types_of_bodies(self):
        self.assertProblem(self.upload('x', b'<a/>', 'text/xml'), 415, 'unsupported_media_type')
        self.assertProblem(self.upload('x', b'a=b', 'application/x-www-form-urlencoded'), 415, 'unsupported_media_type')
        self.assertProblem(self.call('PUT', '/api/v1/functions/x', zipped(FILES), {'Content-Type': 'application/zip'}),
                           415, 'unsupported_media_type')

    def test_fields_in_the_query(self):
        self.assertProblem(self.upload(self.unique(), zipped(FILES), runtime='python', colour='red'), 400, 'invalid_query')
        self.assertProblem(self.upload(self.unique(), zipped(FILES), runtime='python', memory='many'), 400, 'invalid_query')
        self.assertProblem(self.upload(self.unique(), zipped(FILES), runtime='python', memory='1'), 422, 'invalid_function')
        self.assertProblem(self.upload(self.unique(), zipped(FILES)), 422, 'invalid_function')  # no runtime
        self.assertProblem(self.upload(self.unique(), zipped(FILES), runtime='cobol'), 422, 'invalid_function')

    def test_in_json(self):
        encoded = base64.b64encode(zipped(FILES)).decode()
        for fields in ({'code': 'x'}, {'files': {'a': 'b'}}):
            document = self.assertProblem(self.create('python', archive=encoded, **fields), 422, 'invalid_function')
            self.assertIn('/archive', [error['pointer'] for error in document['errors']])
        document = self.assertProblem(self.create('python', archive='no base64!'), 422, 'invalid_function')
        self.assertIn('base64', document['errors'][0]['detail'])
        self.assertProblem(self.create('python', archive=base64.b64encode(b'text').decode()), 422, 'invalid_archive')

    def test_the_live_version_stays(self):
        name, answer = self.new(zipped(FILES))
        self.assertEqual(201, answer.status, answer)
        self.assertProblem(self.upload(name, linked_zip('main.py', '/etc/passwd')), 422, 'invalid_archive')
        self.assertGreets(name)
        self.assertEqual(1, self.get(f'/api/v1/functions/{name}').json['version'])

    def test_mutations_of_a_good_archive(self):
        """Whatever a flipped byte makes of it, the answer is one of the known ones and the platform lives."""
        dice = random.Random(20240607)
        good = (zipped({'a.py': b'def handler(event, context):\n    return 1\n', 'b/c.txt': b'c' * 300}),
                tarred({'a.py': b'def handler(event, context):\n    return 1\n', 'b/c.txt': b'c' * 300}, 'w'))
        name = self.unique()
        self.addCleanup(self.delete, name)
        for _ in range(60):
            archive = bytearray(dice.choice(good))
            for _ in range(dice.randint(1, 4)):
                at = dice.randrange(len(archive)) if dice.random() < 0.5 else dice.randrange(min(len(archive), 700))
                archive[at] = dice.choice((0, 0xff, archive[at] ^ (1 << dice.randrange(8)), dice.randrange(256)))
            answer = self.upload(name, bytes(archive), runtime='python', handler='a.handler')
            self.assertIn(answer.status, (200, 201, 422), answer)
            if answer.status == 422:
                self.assertIn(answer.json['reason'], ('invalid_archive', 'build_failed', 'invalid_function'), answer)
        self.assertEqual(200, self.get('/api/health').status)


class Limits(ArchiveTest):

    properties = {'function.max_archive_bytes': 100_000}

    def test_an_archive_beyond_the_limit(self):
        _, answer = self.new(zipped({'a': os.urandom(200_000)}))
        self.assertProblem(answer, 413, 'body_too_large')
        self.assertEqual('100000 bytes', answer.json['limit'])

    def test_in_json_too(self):
        archive = base64.b64encode(zipped({'a': os.urandom(200_000)})).decode()
        document = self.assertProblem(self.create('python', archive=archive), 422, 'invalid_archive')
        self.assertEqual('100000 bytes', document['limit'])
        self.assertIn('function.max_archive_bytes', document['hint'])

    def test_uploads_beside_each_other(self):
        self.needs('python')
        names = [self.unique() for _ in range(6)]
        for name in names:
            self.addCleanup(self.delete, name)
        answers = self.parallel(len(names), lambda i: self.upload(names[i], zipped(FILES), runtime='python',
                                                                  handler='main.handler'))
        self.assertEqual([201] * len(names), [answer.status for answer in answers], answers)


if __name__ == '__main__':
    unittest.main()
