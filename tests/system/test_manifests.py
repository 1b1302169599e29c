"""Manifests of careless and of hostile authors: each is refused in words that name the place, and changes nothing. None of
them needs a registry."""
import base64
import json
import unittest

from platform_fixture import SystemTest
from python_index import module

PYTHON = 'def handler(event):\n    return "ok"\n'
NODE = 'function handler(event) { return "ok"; }\n'
GO = 'package main\n\nfunc handler() string { return "ok" }\n'
IMPORTS = 'package main\n\nimport "example.com/x"\n\nfunc handler() string { return x.Word }\n'


def binary(content):
    return {'base64': base64.b64encode(content).decode()}


def package(**members):
    return json.dumps(members)


class ManifestTest(SystemTest):
    runtime, source, code, manifest = 'none', '', '', ''

    def setUp(self):
        self.needs(self.runtime)

    def files(self, manifest, **more):
        return {self.source: self.code, self.manifest: manifest, **more}

    def refused(self, words, reason='build_failed', **fields):
        """Refused where it is made, and where it would be a further version; nothing of it is there."""
        name = self.unique()
        answer = self.create(self.runtime, name=name, **fields)
        document = self.assertProblem(answer, 422, reason)
        self.assertIn(words, '\n'.join([document['detail'], *(one.get('message', one.get('detail')) for one in document['errors'])]))
        self.assertEqual(404, self.get(f'/api/v1/functions/{name}').status)
        return document

    def refused_files(self, words, manifest, **more):
        document = self.refused(words, files=self.files(manifest, **more))
        self.assertTrue(document['errors'][0]['file'], document)
        self.assertLessEqual(len(document['errors']), 200)

    def refused_entry(self, words, *entries):
        """The last of `entries` is at fault."""
        document = self.refused(words, 'invalid_function', code=self.code, dependencies=list(entries))
        self.assertEqual(f'/dependencies/{len(entries) - 1}', document['errors'][0]['pointer'], document)

    def test_what_is_live_stays(self):
        name = self.function(self.runtime, files={self.source: self.code})
        answer = self.call('PATCH', f'/api/v1/functions/{name}', {'files': self.files(binary(b'\xff\xfe\x00\x01'))})
        self.assertProblem(answer, 422, 'build_failed')
        self.assertEqual('ok', self.result(name))
        self.assertEqual(1, self.get(f'/api/v1/functions/{name}').json['version'])


class Node(ManifestTest):
    runtime, source, code, manifest = 'node', 'index.js', NODE, 'package.json'

    def test_dependencies_that_are_no_names_and_versions(self):
        for wrong in (['left'], 'left', 7, {'left': 2}, {'left': None}, {'left': ['1']}):
            with self.subTest(wrong):
                self.refused_files('has something else than names and versions in "dependencies"', package(dependencies=wrong))

    def test_names_that_are_none(self):
        for wrong in ('', '../../etc', '--registry=http://127.0.0.1', '@scope', 'a b', 'x' * 300):
            with self.subTest(wrong):
                self.refused_files("is not a package's name", package(dependencies={wrong: '1'}))

    def test_versions_that_lead_elsewhere(self):
        for wrong, words in (('git+ssh://git@example.com/x.git', 'is a git repository'), ('owner/left', 'is a git repository'),
                             ('file:.', 'is a folder'), ('file:../../../etc', 'is a folder'), ('link:/etc', 'is a folder'),
                             ('--registry=http://127.0.0.1', 'is not a version')):
            with self.subTest(wrong):
                self.refused_files(words, package(name='left', dependencies={'left': wrong}))

    def test_workspaces(self):
        self.refused_files('workspaces are not supported', package(workspaces=['a'], dependencies={'left': '1'}))

    def test_more_than_anybody_reads(self):
        self.refused_files('a0: git+ssh://x is a git repository',
                           package(dependencies={f'a{i}': 'git+ssh://x' for i in range(2000)}))
        self.refused_files('package.json asks for 2001 packages, the limit is 2000',
                           package(dependencies={f'a{i}': '1' for i in range(2001)}))

    def test_what_is_no_json(self):
        for wrong, words in (('{', 'is not a JSON object'), ('[]', 'is not a JSON object'),
                             (binary(package(x='ü').encode('utf-16')), 'is not text in UTF-8'),
                             (binary('{"x": "ü"}'.encode('latin-1')), 'is not text in UTF-8')):
            with self.subTest(wrong):
                self.refused_files(words, wrong)

    def test_a_large_lock_without_checksums(self):
        packages = {f'node_modules/a{i}': {'version': '1.0.0'} for i in range(10000)}
        lock = json.dumps({'lockfileVersion': 3, 'packages': {'': {'dependencies': {'a1': '1'}}, **packages}}, indent=1)
        self.refused_files('and 9999 more', package(dependencies={'a1': '1'}), **{'package-lock.json': lock})

    def test_entries(self):
        for wrong in ('  ', ' left ', '-g', '--registry=http://127.0.0.1', 'left@', '@scope'):
            with self.subTest(wrong):
                self.refused_entry(f'"{wrong}"', 'right', wrong)
        self.refused_entry('a second time', 'left', 'left@2')
        self.refused_entry('has 0 bytes', 'left', '')
        self.refused_entry('is listed twice', 'left', 'left')

    def test_entries_beside_a_manifest(self):
        document = self.refused('the files hold "package.json" already', 'invalid_function',
                                files=self.files('{}'), dependencies=['left'])
        self.assertEqual('/dependencies', document['errors'][0]['pointer'])


class Python(ManifestTest):
    runtime, source, code, manifest = 'python', 'main.py', PYTHON, 'requirements.txt'

    def test_options(self):
        for wrong, words in (('-e .', 'editable packages'), ('--find-links /usr', 'the option "--find-links"'),
                             ('--no-index', 'the option "--no-index"'), ('--trusted-host x', 'the option "--trusted-host"'),
                             ('six --global-option=x', 'the option "--global-option=x"'),
                             ('six==1 --hash=md5:00', 'a hash is written'), ('six==1 --hash=sha256:00 x', 'the option "x"'),
                             ('--index-url file:///etc', 'a package index is an address'), ('six ${HOME}', 'variables')):
            with self.subTest(wrong):
                self.refused_files(words, wrong + '\n')

    def test_places(self):
        for wrong, words in (('./x.whl', 'from paths'), ('/etc/passwd', 'from paths'), ('six @ file:///etc/passwd', 'from addresses'),
                             ('six @ https://127.0.0.1/six.whl', 'from addresses'), ('git+ssh://git@example.com/x', 'version control')):
            with self.subTest(wrong):
                self.refused_files(words, wrong + '\n')

    def test_included_files(self):
        for wrong in ('-r ../../etc/passwd', '-r /etc/passwd', '-c /proc/self/environ', '-r nowhere.txt'):
            with self.subTest(wrong):
                self.refused_files('there is no file', wrong + '\n')

    def test_files_that_include_each_other_without_end(self):
        """Once each: the packages of all of them count."""
        circle = ''.join(f'-r {name}.txt\n' for name in 'abcdefgh') * 50
        parts = {f'{name}.txt': circle + f'!{name}\n' for name in 'abcdefgh'}
        self.refused_files('"!h" is not a package', circle, **parts)

    def test_markers(self):
        for wrong in ('import os', 'python_version', 'python_version <', 'version < "3"', 'python_version < "3" or',
                      '(python_version < "3"', 'python_version not < "3"', '(' * 1000):
            with self.subTest(wrong):
                self.refused_files('cannot be understood', f'six; {wrong}\n')

    def test_markers_that_leave_packages_out(self):
        marker = '(python_version < "3" and os_name == \'nt\') or "linux" not in sys_platform'
        wheel, content = module('here', '1.0')
        answer = self.create('python', files=self.files(f'nowhere>=1; {marker}\nhere\n', **{f'wheels/{wheel}': binary(content)}))
        self.assertEqual(201, answer.status, answer)

    def test_more_than_anybody_reads(self):
        self.refused_files('"!0" is not a package', ''.join(f'!{i}\n' for i in range(20000)))
        self.refused_files('more than 2000 packages are asked for', ''.join(f'p{i}\n' for i in range(3000)))
        project = '[project]\ndependencies = [%s]\n'
        more = {'main.py': PYTHON, 'pyproject.toml': project % ', '.join(f'"!{i}"' for i in range(20000))}
        self.refused('"!0" is not a package', files=more)
        more['pyproject.toml'] = project % ', '.join(f'"p{i}"' for i in range(3000))
        self.refused('more than 2000 packages are asked for', files=more)

    def test_broken_projects(self):
        """With the line at which TOML ends to be TOML."""
        sound = '[project]\nname = "x"\ndependencies = []\n'
        for wrong, line, words in (('[project\nname=', 1, 'a table is expected'), ('[project] junk\n', 1, 'a table is expected'),
                                   ('[[project]\n', 1, 'a table is expected'), ('[]\n', 1, 'a table is expected'),
                                   (sound + '[tool.x\n', 4, 'a table is expected'),
                                   (sound + '[tool.x]\ny = \n', 5, 'the value of "tool.x.y"'),
                                   (sound + '[tool.x]\ny = [1, {a = 2}\n', 5, 'the value of "tool.x.y"'),
                                   (sound + '[tool.x]\ny = "a\n', 5, 'the value of "tool.x.y"'),
                                   (sound + '[tool.x]\ny = 1 2\n', 5, 'the value of "tool.x.y"'),
                                   (sound + '[tool.x]\ny = yes\n', 5, 'the value of "tool.x.y"'),
                                   (sound + 'a b = 1\n', 4, '"key = value" is expected'),
                                   (sound + 'name = "y"\n', 4, '"project.name" stands here a second time'),
                                   (sound + '[project]\n', 4, 'the table "project" stands here a second time'),
                                   (sound + ''.join(f'a{i} = 1\n' for i in range(20000)), 10001, 'more than 10000 names')):
            with self.subTest(wrong[-60:]):
                document = self.refused(words, files={'main.py': PYTHON, 'pyproject.toml': wrong})
                self.assertEqual(('pyproject.toml', line), (document['errors'][0]['file'], document['errors'][0]['line']))

    def test_sound_projects(self):
        """What TOML allows beside what is read."""
        project = ('# begins\r\n[build-system]\r\nrequires = [\n  "hatchling", # why\n]\n[ project ]\nname = "x"\nversion = \'1\'\n'
                   'dependencies = [] # none\n"dynamic" = ["version"]\nurls."a.b" = "c"\nurls.a = {b = "]", c = [1, {d = 2}]}\n'
                   '[tool."x.y"]\ntext = """a [b\n  "c"""" \nraw = \'\'\'\\\'\'\'\nday = 1979-05-27 07:32:00\nat = 07:32:00.5\n'
                   'low = -inf\nsmall = +1_000e-3\nyes = true\n[[tool.z]]\na = 1\n[tool.z.b]\nc = 1\n[[tool.z]]\na = 2\n[tool.z.b]\nc = 2')
        answer = self.create('python', files={'main.py': PYTHON, 'pyproject.toml': project})
        self.assertEqual(201, answer.status, answer)

    def test_other_encodings(self):
        self.refused_files('the file is UTF-16', binary('six\r\n'.encode('utf-16')))
        self.refused_files('the file is not text in UTF-8', binary('six # ü\n'.encode('latin-1')))

    def test_entries(self):
        for wrong in ('  ', '-r x', '--index-url=http://127.0.0.1', 'six;', 'six[', 'six; import os'):
            with self.subTest(wrong):
                self.refused_entry(f'"{wrong.strip() or wrong}"', 'requests', wrong)
        self.refused_entry('has 0 bytes', 'six', '')
        self.refused_entry('must not hold control characters', 'six', 'six\n--index-url=http://127.0.0.1')

    def test_entries_beside_a_manifest(self):
        document = self.refused('the files hold "requirements.txt" already', 'invalid_function',
                                files=self.files('six\n'), dependencies=['six'])
        self.assertEqual('/dependencies', document['errors'][0]['pointer'])

    def test_two_manifests(self):
        """What is not installed is told."""
        files = self.files('# nothing\n', **{'pyproject.toml': '[project]\ndependencies = ["six"]\n'})
        answer = self.create('python', files=files)
        self.assertEqual(201, answer.status, answer)
        self.assertIn('the dependencies that pyproject.toml lists are not installed', json.dumps(answer.json['warnings']))


class Go(ManifestTest):
    runtime, source, code, manifest = 'go', 'main.go', GO, 'go.mod'

    def test_folders_outside_of_the_function(self):
        for wrong in ('../../etc', '/etc', '/proc/self', '..'):
            with self.subTest(wrong):
                document = self.refused('replaces', files={
                    'main.go': IMPORTS,
                    'go.mod': f'module f\n\ngo 1.16\n\nrequire example.com/x v1.0.0\n\nreplace example.com/x => {wrong}\n'})
                self.assertIn('folder of the function', document['detail'])

    def test_no_manifest_at_all(self):
        for wrong in ('', '// nothing\n', 'go 1.16\n'):
            with self.subTest(wrong):
                self.refused_files('let it begin with `module function`', wrong)
        for wrong, words in (('module ../x\n', 'malformed module path'), ('module f\n\nfoo bar\n', 'unknown directive: foo'),
                             (binary('module f\n'.encode('utf-16')), 'unexpected input character')):
            with self.subTest(wrong):
                self.refused_files(words, wrong)

    def test_embedded_files_of_the_machine(self):
        for wrong in ('/etc/passwd', '../../etc/passwd', '../main.go', 'missing.txt'):
            with self.subTest(wrong):
                code = f'package main\n\nimport _ "embed"\n\n//go:embed {wrong}\nvar x string\n\nfunc handler() string {{ return x }}\n'
                document = self.refused(f'pattern {wrong}: ', files={'main.go': code})
                self.assertEqual(('main.go', 5), tuple(document['errors'][0][key] for key in ('file', 'line')))

    def test_names_that_are_one_on_other_machines(self):
        for one, other in (('A.txt', 'a.txt'), ('\u00e9.txt', 'e\u0301.txt')):
            self.refused('the same file name appears twice', 'invalid_function', files={'main.go': GO, one: '1', other: '2'})

    def test_entries(self):
        for wrong in ('  ', ' example.com/x ', '-mod=mod', '../x', 'example.com/x@', 'example.com/x@v1.0.0 // y', 'example.com/x@none'):
            with self.subTest(wrong):
                self.refused_entry(f'"{wrong}"', 'example.com/y', wrong)
        self.refused_entry('is there twice', 'example.com/x', 'example.com/x@v1.0.0')

    def test_entries_beside_a_manifest(self):
        document = self.refused('the files hold "go.mod" already', 'invalid_function',
                                files=self.files('module f\n'), dependencies=['example.com/x'])
        self.assertEqual('/dependencies', document['errors'][0]['pointer'])


del ManifestTest  # not a test by itself

if __name__ == '__main__':
    unittest.main()
