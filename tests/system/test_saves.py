"""Saves beside builds that hang: who waits for whom."""
import io
import socket
import threading
import unittest
import zipfile

import python_index as packages
from platform_fixture import SystemTest, wait_until

FUNCTIONS = '/api/v1/functions'
PLAIN = 'def handler(event):\n    return event\n'
ASYNC = {'Prefer': 'respond-async'}


class Silent:
    """A package index that takes connections and never answers, until it is closed."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.listener.getsockname()[1]}/simple'
        self.connections = []
        self.thread = threading.Thread(target=self.accept)
        self.thread.start()

    def accept(self):
        while True:
            try:
                self.connections.append(self.listener.accept()[0])
            except OSError:
                return

    def close(self):
        if self.listener.fileno() < 0:
            return
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        for connection in self.connections:
            connection.close()


class CreateOnly(SystemTest):
    def test_one_of_several_creates_only(self):
        name = self.unique()
        self.addCleanup(self.delete, name)

        def save(index):
            # All are looked at before the first one is unpacked.
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, 'w') as files:
                files.writestr('main.py', f'def handler():\n    return {index}\n')
            return self.call('PUT', f'{FUNCTIONS}/{name}/archive?runtime=python', archive.getvalue(),
                             {'If-None-Match': '*', 'Content-Type': 'application/zip'})
        answers = self.parallel(4, save)
        self.assertEqual([201, 412, 412, 412], sorted(answer.status for answer in answers), answers)
        winner = next(index for index, answer in enumerate(answers) if answer.status == 201)
        for index, answer in enumerate(answers):
            if index != winner:
                self.assertProblem(answer, 412, 'precondition_failed')
        self.assertEqual(winner, self.result(name))
        self.assertEqual(1, self.get(f'{FUNCTIONS}/{name}').json['version'])


class HangingBuilds(SystemTest):
    own_platform = True
    parallel_builds = 2
    hanging = 5

    @classmethod
    def setUpClass(cls):
        cls.index = Silent()
        cls.addClassCleanup(cls.index.close)
        cls.environment = {**packages.NO_SETTINGS, 'PIP_INDEX_URL': cls.index.url, 'PIP_TIMEOUT': '600', 'PIP_RETRIES': '0'}
        cls.properties = {'build.network': 'host', 'build.timeout': 600, 'build.parallel': cls.parallel_builds,
                          'control.threads': 1}
        super().setUpClass()

    def test_nobody_else_waits(self):
        settings, gone, busy = (self.function('python', PLAIN) for _ in range(3))
        names = [self.unique('hanging') for _ in range(self.hanging)]
        answers = {}

        def save(name):
            # Equal sources would wait for one build.
            answers[name] = self.create('python', PLAIN + f'# {name}\n', name=name, dependencies=['never'])
        threads = [threading.Thread(target=save, args=(name,)) for name in names]
        threads.append(threading.Thread(target=lambda: answers.update(
            busy=self.call('PATCH', f'{FUNCTIONS}/{busy}', {'dependencies': ['never']}))))
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: len(self.index.connections) >= self.parallel_builds, 'the builds to ask the index')
            wait_until(lambda: all(self.get(f'{FUNCTIONS}/{name}').status == 200 for name in names),
                       'all saves to be on their way')
            waiting = self.waiting(names)

            # All of these are answered while every build hangs.
            name = self.unique()
            self.addCleanup(self.delete, name)
            document = {'name': name, 'runtime': 'python', 'handler': 'handler', 'code': PLAIN}
            made = self.post(FUNCTIONS, document, ASYNC)
            self.assertEqual(202, made.status, made)
            version = made.headers['Location']
            self.assertEqual('building', self.get(version).json['state'])
            self.assertIn('waiting for a free place to build', self.get(f'{version}/build-log').text)
            self.assertIn('waiting for a free place to build',
                          self.get(f'{FUNCTIONS}/{waiting}/versions/1/build-log').text)

            again = self.post(FUNCTIONS, document)
            self.assertIn('is being built', self.assertProblem(again, 409, 'name_taken')['detail'])
            self.assertEqual(version, again.headers['Location'])
            self.assertIn(f'<{version}/build-log>', again.headers['Link'])

            answer = self.call('PATCH', f'{FUNCTIONS}/{settings}', {'timeout': 7})
            self.assertEqual((200, 7), (answer.status, answer.json['timeout']), answer)
            answer = self.call('PATCH', f'{FUNCTIONS}/{settings}', {'code': PLAIN + '# more\n'}, ASYNC)
            self.assertEqual(202, answer.status, answer)
            self.assertEqual(204, self.call('DELETE', f'{FUNCTIONS}/{gone}').status)
            self.assertEqual(404, self.get(f'{FUNCTIONS}/{gone}').status)
            self.assertEqual(3, self.result(settings, 3))

            # The function itself that is being saved: no 202 without a version of its own.
            refused = self.call('PATCH', f'{FUNCTIONS}/{busy}', {'code': PLAIN}, ASYNC)
            self.assertIn(busy, self.assertProblem(refused, 409, 'save_in_progress')['detail'])
            self.assertIn('Retry-After', refused.headers)
            self.assertEqual({}, answers, 'no build had ended')
        finally:
            self.index.close()
            for thread in threads:
                thread.join()
        for name in [*names, 'busy']:
            self.assertProblem(answers[name], 422, 'build_failed')
        wait_until(lambda: self.get(version).json['state'] == 'ready', 'the build that waited')
        self.assertEqual(4, self.result(document['name'], 4))

    def waiting(self, names):
        """One whose build did not begin."""
        def find():
            logs = {name: self.get(f'{FUNCTIONS}/{name}/versions/1/build-log').text for name in names}
            return next((name for name, log in logs.items() if 'free place' in log and len(log.splitlines()) == 1), None)
        return wait_until(find, 'a save to wait for its build')


if __name__ == '__main__':
    unittest.main()
