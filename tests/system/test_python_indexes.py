"""Package indexes that Python functions install from: silent and slow ones, logins, what they refuse, none at all."""
import http.client
import json
import time
import unittest

from platform_fixture import wait_until
from python_index import HANDLER, IndexTest, module, sdist, wheel
from test_build_log import Events


class Silent(IndexTest):
    """An index that takes connections and says nothing."""

    settings = {'executor.python.registry_timeout': 3}

    def test_it_is_named_and_an_old_lock_helps(self):
        self.index.add(module('quiet', '1.0'))
        name = self.made(self.with_requirements(HANDLER.format('quiet'), 'quiet\n'))
        self.index.open.clear()
        self.addCleanup(self.index.open.set)
        answer = self.call('PATCH', f'/api/v1/functions/{name}', {'locks': None})
        self.assertEqual(200, answer.status, answer)
        self.assertIn('it does not answer', self.get(f'/api/v1/functions/{name}/versions/2/build-log').text)
        answer = self.with_requirements(HANDLER.format('quiet'), 'quiet>=1\n')
        self.refused(answer, f'127.0.0.1:{self.index.port}: it does not answer', 'executor.python.registry_timeout')


class Waiting(IndexTest):
    """First versions whose build takes long, and callers who do not wait for the answer."""

    def begin(self, requirement):
        """A creation that waits for the index: its name and connection."""
        self.index.open.clear()
        self.addCleanup(self.index.open.set)
        name = self.unique()
        self.addCleanup(self.delete, name)
        connection = http.client.HTTPConnection('127.0.0.1', self.platform.port, timeout=60)
        self.addCleanup(connection.close)
        connection.request('POST', '/api/v1/functions', json.dumps(
            {'name': name, 'runtime': 'python', 'code': HANDLER.format('awaited'), 'dependencies': [requirement]}),
            {'Content-Type': 'application/json'})
        wait_until(lambda: self.index.asked, 'the index to be asked')
        return name, connection

    def setUp(self):
        super().setUp()
        self.index.asked.clear()
        self.index.add(module('awaited', '1.0'))

    def state(self, name):
        return self.document_of(name)['state']

    def test_it_can_be_seen_and_followed(self):
        name, connection = self.begin('absent')
        document = self.get(f'/api/v1/functions/{name}').json
        self.assertEqual(('building', ['absent'], []), (document['state'], document['dependencies'], document['live']))
        self.assertEqual(['absent'], self.document_of(name)['dependencies'])
        self.assertIn(name, [each['name'] for each in self.get('/api/v1/functions').json['functions']])
        self.assertEqual(409, self.post(f'/api/v1/functions/{name}/invoke', {}).status)
        follower = http.client.HTTPConnection('127.0.0.1', self.platform.port, timeout=60)
        self.addCleanup(follower.close)
        follower.request('GET', f'/api/v1/functions/{name}/versions/1/build-log?follow=true')
        events = follower.getresponse()
        self.index.open.set()
        answer = connection.getresponse()
        self.assertEqual(422, answer.status)
        answer.read()
        told = events.read().decode()
        self.assertIn('event: end', told)
        self.assertIn('"state":"failed"', told)
        self.assertIn('there is no package \\"absent\\"', told)
        self.assertEqual(404, self.get(f'/api/v1/functions/{name}').status, 'the caller was told, and nothing is left')

    def test_its_log_is_told_while_it_is_made(self):
        """The index holds a file back until the follower has read that it is being fetched."""
        self.index.held = '/files/awaited/'
        self.addCleanup(setattr, self.index, 'held', '/')
        name, connection = self.begin('awaited')
        events = Events(f'http://127.0.0.1:{self.platform.port}', f'/api/v1/functions/{name}/versions/1/build-log?follow=true')
        self.addCleanup(events.close)
        told = iter(events)
        first = next(line for event, _, line in told if event == 'log' and 'awaited' in line)
        self.assertFalse(self.index.open.is_set())
        self.assertEqual('building', self.state(name), first)
        self.index.open.set()
        self.assertEqual(201, connection.getresponse().status)
        rest = list(told)
        self.assertEqual({'state': 'ready', 'version': 1}, json.loads(rest[-1][2]))
        self.assertTrue([line for event, _, line in rest if event == 'log'], 'and there was more to tell')

    def test_a_caller_who_goes_loses_nothing(self):
        name, connection = self.begin('awaited')
        connection.close()
        self.index.open.set()
        wait_until(lambda: self.state(name) == 'ready', 'the version to be ready')
        # The event loops hear of it a moment later.
        wait_until(lambda: self.post(f'/api/v1/functions/{name}/invoke', {}).status == 200, 'the function to be called')
        self.assertEqual('1.0', self.result(name))

    def test_a_caller_who_goes_can_read_what_failed(self):
        name, connection = self.begin('absent')
        connection.close()
        wait_until(lambda: self.get(f'/api/v1/functions/{name}').json['state'] == 'building', 'the function')
        time.sleep(0.2)  # the platform hears of the closed connection
        self.index.open.set()
        wait_until(lambda: self.state(name) == 'failed', 'the version to fail')
        self.assertIn('absent', self.get(f'/api/v1/functions/{name}/versions/1/build-log').text)
        self.assertIn('absent', self.document_of(name)['error']['detail'])
        answer = self.call('PATCH', f'/api/v1/functions/{name}', {'dependencies': ['awaited']})
        self.assertEqual(200, answer.status, answer)
        self.assertEqual('1.0', self.result(name))


class Refusing(IndexTest):
    def line_of(self, answer):
        error = answer.json['errors'][0]
        return error['file'], error['line']

    def test_package_that_does_not_exist(self):
        self.index.add(module('present', '1.0'))
        answer = self.create('python', 'def handler(event): pass\n', dependencies=['present', 'yaml'])
        self.assertIn('the module yaml is installed as PyYAML', answer.json['hint'])
        answer = self.with_requirements('def handler(event): pass\n', 'present\n\nabsent>=1\n')
        self.refused(answer, 'there is no package \\"absent\\"')
        self.assertEqual(('requirements.txt', 3), self.line_of(answer))

    def test_version_that_does_not_exist(self):
        self.index.add(module('versioned', '1.0'), module('versioned', '1.5'))
        answer = self.with_requirements('def handler(event): pass\n', 'versioned>2\n')
        self.refused(answer, 'no version of versioned fits', '1.0, 1.5')
        self.assertEqual(('requirements.txt', 1), self.line_of(answer))

    def test_source_without_wheel(self):
        self.index.add(sdist('sourceonly', '1.0', 'from setuptools import setup\nsetup(name="sourceonly", version="1.0")\n'))
        answer = self.with_requirements('def handler(event): pass\n', 'sourceonly\n')
        self.refused(answer, 'sourceonly has no wheel for Python', 'only its source', 'executor.python.source_builds')
        self.assertEqual(('requirements.txt', 1), self.line_of(answer))

    def test_wheel_for_another_machine(self):
        self.index.add(wheel('elsewhere', '1.0', {'elsewhere.py': ''}, tag='cp36-cp36m-win_amd64'))
        self.refused(self.with_requirements('def handler(event): pass\n', 'elsewhere\n'),
                     'no wheel of elsewhere fits Python', 'win_amd64')

    def test_requirements_that_contradict_each_other(self):
        self.index.add(module('common', '1.0'), module('common', '2.0'), module('old', '1.0', ['common==1.0']),
                       module('new', '1.0', ['common==2.0']))
        self.refused(self.with_requirements('def handler(event): pass\n', 'old\nnew\n'),
                     'contradict each other', 'old 1.0 depends on common==1.0', 'new 1.0 depends on common==2.0')

    def test_hash_that_differs(self):
        self.index.add(module('hashed', '1.0'))
        answer = self.with_requirements('def handler(event): pass\n', 'hashed==1.0 --hash=sha256:' + '0' * 64 + '\n')
        self.refused(answer, 'hashed==1.0 is not the one that was asked for')
        self.assertEqual(('requirements.txt', 1), self.line_of(answer))

    def test_lines_that_are_not_for_here(self):
        for line, words in (('-e .', 'editable'), ('file:///etc', 'addresses'), ('./local', 'paths'),
                            ('--find-links /etc', 'not supported'), ('--trusted-host x', 'not supported'),
                            ('--index-url https://${PIP_INDEX_URL}/', 'variables'), ('x @ git+https://e.org/x', 'version control'),
                            ('-r ../other.txt', 'no file'), ('good==1.0 --install-option=x', 'not supported')):
            with self.subTest(line):
                answer = self.with_requirements('def handler(event): pass\n', '# first\n' + line + '\n')
                self.assertEqual(422, answer.status, answer)
                self.assertIn(words, answer.text)
                self.assertEqual(('requirements.txt', 2), self.line_of(answer))


class WithLogin(IndexTest):
    login = 'operator:secret-of-the-operator'

    def test_login_is_used_and_never_shown(self):
        self.index.add(module('private', '1.0'))
        name = self.made(self.with_requirements(
            'import os, private\ndef handler(event):\n    return [private.version, dict(os.environ)]\n', 'private\n'))
        version, environment = self.result(name)
        self.assertEqual('1.0', version)
        failed = self.with_requirements('def handler(event): pass\n', 'unknown\n')
        self.assertEqual(422, failed.status, failed)
        shown = [str(environment), failed.text, self.platform.log(), str(self.document_of(name))]
        for path in ('/api/v1/runtimes', '/api/health', f'/api/v1/functions/{name}',
                     f'/api/v1/functions/{name}/versions/1/build-log'):
            shown.append(self.get(path).text)
        for text in shown:
            self.assertNotIn('secret-of-the-operator', text)


class WithoutNetwork(IndexTest):
    settings = {'build.network': 'none'}

    def test_refusal_names_the_property(self):
        answer = self.with_requirements('def handler(event): pass\n', 'anything\n')
        self.refused(answer, 'cannot be reached', 'build.network')

if __name__ == '__main__':
    unittest.main()
