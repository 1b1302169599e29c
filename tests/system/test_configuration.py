"""The properties: the file of the project names every key, and what is wrong is refused by name."""
import contextlib
import os
import pathlib
import re
import subprocess
import tempfile

from platform_fixture import BINARY, SOURCE, OwnPlatformTest, Platform, descendants, free_port, request, wait_until


def keys_of_the_file():
    text = (SOURCE / 'config/cloudfunction.properties').read_text()
    return re.findall(r'^#?([a-z][a-z0-9_.<>]*) =', text, re.M), text


class Configuration(OwnPlatformTest):
    def keys(self):
        """{key: (default, range)}"""
        done = subprocess.run([BINARY, 'config', '--keys'], stdout=subprocess.PIPE, check=True, timeout=20)
        lines = (line.split('\t') for line in done.stdout.decode().splitlines())
        return {key: (standard.strip('"'), accepted) for key, standard, accepted in lines}

    def effective(self, properties=None, environment=None):
        platform = Platform(properties, environment)
        self.addCleanup(platform.remove)
        command = platform.command()
        done = subprocess.run([BINARY, 'config', *command[2:]], env=platform.clean_environment(), cwd=platform.home,
                              stdout=subprocess.PIPE, check=True, timeout=20)
        return dict(re.findall(r'^([a-z][a-z0-9_.]*) = ?(.*?)$', done.stdout.decode(), re.M))

    def test_the_file_names_every_key_and_no_other(self):
        in_file, _ = keys_of_the_file()
        self.assertEqual(len(set(in_file)), len(in_file), 'a key stands twice')
        self.assertEqual(set(self.keys()), set(in_file))

    def test_the_file_shows_defaults_and_ranges(self):
        _, text = keys_of_the_file()
        for key, (standard, accepted) in self.keys().items():
            if '<' in key:
                continue
            with self.subTest(key):
                value = re.search(rf'^{re.escape(key)} =(.*)$', text, re.M)
                self.assertEqual(standard, value[1].strip())
                above = text[:value.start()].rpartition('\n\n')[2]
                for word in re.findall(r'[\d.]+-\d+', accepted):
                    self.assertIn(word, above)

    def test_the_file_of_the_project_is_accepted(self):
        platform = self.start()
        platform.stop()
        text = (SOURCE / 'config/cloudfunction.properties').read_text()
        platform.properties = {}
        platform.environment = {'CLOUDFUNCTION_PORT': platform.port, 'CLOUDFUNCTION_WORKDIR': platform.data}
        command = platform.command()
        (platform.home / 'cloudfunction.properties').write_text(text)
        platform.command = lambda: command
        platform.start()

    def test_every_key_has_a_comment(self):
        lines = (SOURCE / 'config/cloudfunction.properties').read_text().splitlines()
        for number, line in enumerate(lines):
            if re.match(r'#?[a-z][a-z0-9_.<>]* =', line):
                above = lines[number - 1]
                self.assertTrue(above.startswith('#') or ' =' in above, line)

    def test_the_environment_overrides(self):
        port = free_port()
        effective = self.effective({'server.port': 1, 'workers.keep_alive': 5},
                                   {'CLOUDFUNCTION_PORT': port, 'CLOUDFUNCTION_TIMEOUT': '4',
                                    'CLOUDFUNCTION_WORKDIR': '/tmp/elsewhere', 'CLOUDFUNCTION_WORKERS_KEEP_ALIVE': '77'})
        self.assertEqual((str(port), '4', '/tmp/elsewhere', '77'),
                         tuple(effective[k] for k in ('server.port', 'invoke.timeout', 'data.dir',
                                                      'workers.keep_alive')))

    def test_the_default_timeout(self):
        self.start({'invoke.timeout': 12})
        name = self.function('python', 'def handler():\n    return 1\n')
        self.assertEqual(12, self.get(f'/api/v1/functions/{name}').json['timeout'])

    def test_unknown_keys_are_refused_by_name(self):
        said = self.refused({'server.prot': 80})
        self.assertIn('server.prot', said)
        said = self.refused(environment={'CLOUDFUNCTION_SERVER_PROT': '80'})
        self.assertIn('CLOUDFUNCTION_SERVER_PROT', said)

    def test_bad_values_are_refused_with_the_range(self):
        for key, value, hints in (('server.port', '70000', ('0', '65535')), ('server.port', 'http', ('0', '65535')),
                                  ('auth.mode', 'open', ('auto', 'token', 'none')),
                                  ('invoke.timeout', '0', ('0.1', '900')),
                                  ('invoke.on_disconnect', 'run', ('finish', 'cancel')),
                                  ('log.level', 'loud', ('debug', 'error')), ('sandbox.strict', 'maybe', ('true', 'false')),
                                  ('workers.max', '-1', ('1',)), ('queue.size', '1.5', ('0',))):
            with self.subTest(f'{key} = {value}'):
                said = self.refused({key: value})
                for text in (key, value, *hints):
                    self.assertIn(text, said)

    def test_every_mistake_is_named_at_once(self):
        said = self.refused({'queue.size': 'x', 'workers.max': 'y', 'colour': 'red'})
        for text in ('queue.size', 'workers.max', 'colour'):
            self.assertIn(text, said)

    def test_a_key_that_stands_twice_is_refused(self):
        said = self.refused({'queue.size': '5\nlog.level = info\nqueue.size = 7'})
        self.assertRegex(said, r'line 5: "queue.size" stands in line 3 already')

    def test_properties_of_executors_are_checked(self):
        platform = Platform({'executor.ruby.path': '/x', 'executor.python.regisry_timeout': 5, 'executor.node.registry_timeout': 'abc',
                             'executor.go.registry_timeout': 9999, 'executor.node.install_scripts': 'no', 'executor.go.cache': '/tmp'},
                            {'CLOUDFUNCTION_EXECUTOR_PYTHON_PTAH': '/x'})
        self.addCleanup(platform.remove)
        done = subprocess.run(platform.command(), env=platform.clean_environment(), cwd=platform.home, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        said = done.stdout.decode()
        self.assertEqual(2, done.returncode, said)
        for words in ('line 3: unknown property "executor.ruby.path"; there is no executor "ruby", only go, node, python',
                      'line 4: unknown property "executor.python.regisry_timeout"; executor python has path, ',
                      'line 5: executor.node.registry_timeout = "abc" is not accepted; it takes 1-3600',
                      'line 6: executor.go.registry_timeout = "9999" is not accepted; it takes 1-3600',
                      'line 7: executor.node.install_scripts = "no" is not accepted; it takes true, false',
                      'CLOUDFUNCTION_EXECUTOR_PYTHON_PTAH: unknown property "executor.python.ptah"'):
            self.assertIn(words, said)
        self.assertNotIn('executor.go.cache', said)

    def test_prewarmed_workers_of_one_runtime(self):
        platform = Platform({'workers.prewarmed': '0, go:3'})
        self.addCleanup(platform.remove)
        platform.start()
        self.addCleanup(platform.stop)

        def programs():
            found = []
            for pid in descendants(platform.process.pid):
                with contextlib.suppress(OSError):
                    found.append(pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().split(b'\0')[0].decode())
            return found
        wait_until(lambda: programs().count('cloudfunction-stub') == 3, 'three workers of Go')
        self.assertFalse([program for program in programs() if 'python' in program or 'node' in program])

    def test_prewarmed_workers_of_no_runtime(self):
        said = self.refused({'workers.prewarmed': '2, ruby:3'})
        self.assertRegex(said, r'line \d+: workers.prewarmed is not accepted; there is no executor "ruby", only go, node, python')

    def test_a_folder_of_executors_that_is_not_there(self):
        self.assertIn('executors.dir = "/nonexistent" is not accepted; there is no such folder', self.refused({'executors.dir': '/nonexistent'}))

    def test_a_folder_of_executors_that_cannot_be_looked_at(self):
        platform = Platform({'executors.dir': '/' + 'x' * 5000})
        self.addCleanup(platform.remove)
        for command in ('serve', 'config'):
            with self.subTest(command):
                done = subprocess.run([BINARY, command, *platform.command()[2:]], env=platform.clean_environment(), cwd=platform.home,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=20)
                self.assertEqual(2, done.returncode, done.stderr)
                self.assertIn(b'it cannot be looked at: File name too long', done.stderr)

    def test_bad_environment_values_are_refused_by_their_name(self):
        self.assertIn('CLOUDFUNCTION_PORT', self.refused(environment={'CLOUDFUNCTION_PORT': 'x'}))

    def test_a_missing_file_is_said(self):
        done = subprocess.run([BINARY, 'serve', '--config', '/nonexistent.properties'], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=20)
        self.assertNotEqual(0, done.returncode)
        self.assertIn(b'/nonexistent.properties', done.stdout)

    def test_what_is_no_file_is_said(self):
        with tempfile.TemporaryDirectory() as folder:
            pipe, large = os.path.join(folder, 'pipe'), os.path.join(folder, 'large')
            os.mkfifo(pipe)
            with open(large, 'wb') as f:
                f.truncate(1 << 30)
            for path, why in ((folder, 'it is a folder'), (pipe, 'it is not a file'), ('/dev/zero', 'it is not a file'),
                              (large, 'it is larger than 1 MB')):
                for command in ('serve', 'config'):
                    with self.subTest(f'{command} {path}'):
                        done = subprocess.run([BINARY, command, '--config', path], stdin=subprocess.DEVNULL,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=20)
                        self.assertEqual(2, done.returncode)
                        self.assertEqual(1, done.stderr.count(b'\n'), done.stderr)
                        self.assertIn(f'{path}: {why}', done.stderr.decode())

    def test_unknown_arguments_are_refused(self):
        done = subprocess.run([BINARY, 'serve', '--nonsense'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
        self.assertNotEqual(0, done.returncode)
        self.assertIn(b'--nonsense', done.stdout)

    def test_records_can_be_off(self):
        self.start({'records.enabled': 'false'})
        name = self.function('python', 'def handler():\n    return 1\n')
        self.assertEqual(1, self.result(name))

    def test_help(self):
        for arguments in (['--help'], ['serve', '--help'], ['serve', '-h'], ['config', '--help']):
            with self.subTest(arguments):
                done = subprocess.run([BINARY, *arguments], stdout=subprocess.PIPE, check=True, timeout=20)
                self.assertIn(b'usage: cloudfunction serve', done.stdout)

    def test_mistakes_are_told_in_the_order_of_their_lines(self):
        said = self.refused({'sever.port': 1, 'logs.files': 0, 'auth.mode': 'maybe', 'server.loops': 'x'})
        lines = [int(number) for number in re.findall(r', line (\d+): ', said)]
        self.assertEqual(4, len(lines), said)
        self.assertEqual(sorted(lines), lines, said)

    def test_a_token_is_not_shown(self):
        effective = self.effective({'auth.token': 'a-token-that-is-long-enough-1234'})
        self.assertNotIn('a-token', effective['auth.token'])


class MissingToolchain(OwnPlatformTest):
    def test_the_rest_works_and_says_what_to_install(self):
        platform = self.start({'executor.go.path': '/nonexistent'})
        runtimes = {r['name']: r for r in self.get('/api/v1/runtimes').json['runtimes']}
        self.assertFalse(runtimes['go']['available'])
        self.assertIn('/nonexistent', runtimes['go']['reason'])
        self.assertIn('golang', runtimes['go']['hint'])
        self.assertIn('golang', platform.log(), 'said at the start too')
        answer = self.create('go', 'func handler() interface{} { return 1 }')
        document = self.assertProblem(answer, 422, 'runtime_unavailable')
        self.assertIn('golang', document['hint'])
        name = self.function('python', 'def handler():\n    return 1\n')
        self.assertEqual(1, self.result(name))

    def test_what_is_said_at_the_start(self):
        platform = self.start()
        said = platform.log()
        self.assertIn(f'http://127.0.0.1:{platform.port}', said.replace('localhost', '127.0.0.1'))
        self.assertIn('/api/', said)
        for runtime in request(platform.url, 'GET', '/api/v1/runtimes').json['runtimes']:
            self.assertIn(runtime.get('display_name', runtime['name']), said)
