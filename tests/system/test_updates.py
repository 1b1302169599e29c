"""A function is saved while it is called: not one call fails."""
import threading

from platform_fixture import SystemTest

FUNCTIONS = '/api/v1/functions'
CODE = {
    'python': 'def handler(event):\n    return %d\n',
    'node': 'const handler = () => %d',
    'go': 'func handler() interface{} { return %d }',
}


class UpdateUnderLoad(SystemTest):
    def under_load(self, name, change):
        """Calls the function from three threads while `change` runs; returns every result."""
        done = threading.Event()

        def work(index):
            if index == 0:
                try:
                    change()
                finally:
                    done.set()
                return []
            results = []
            while not done.is_set():
                answer = self.invoke(name, 1, expect=None)
                self.assertEqual(200, answer.status, answer)
                self.assertEqual('success', answer.json['status'], answer)
                results.append(answer.json['result'])
            return results
        return [result for results in self.parallel(4, work) for result in results]

    def test_new_code(self):
        for runtime, code in CODE.items():
            with self.subTest(runtime):
                name = self.function(runtime, code % 0)
                self.result(name)

                def change():
                    for version in range(1, 5):
                        answer = self.call('PATCH', f'{FUNCTIONS}/{name}', {'code': code % version})
                        self.assertEqual(200, answer.status, answer)
                        self.assertEqual(version, self.result(name), 'what was saved is what runs')
                results = self.under_load(name, change)
                self.assertLessEqual(set(results), {0, 1, 2, 3, 4})

    def test_new_settings(self):
        name = self.function('python', CODE['python'] % 0)

        def change():
            for memory in (64, 96, 128):
                self.assertEqual(200, self.call('PATCH', f'{FUNCTIONS}/{name}', {'memory': memory}).status)
        self.assertEqual({0}, set(self.under_load(name, change)))

    def test_code_that_does_not_build_changes_nothing(self):
        name = self.function('python', CODE['python'] % 0)

        def change():
            for _ in range(3):
                answer = self.call('PATCH', f'{FUNCTIONS}/{name}', {'code': 'def handler(:'})
                self.assertEqual(422, answer.status, answer)
        self.assertEqual({0}, set(self.under_load(name, change)))

    def test_code_that_does_not_load_changes_nothing(self):
        name = self.function('python', CODE['python'] % 0)
        code = 'print("looks around"); raise RuntimeError("no")\n' + CODE['python'] % 1
        answer = self.call('PATCH', f'{FUNCTIONS}/{name}', {'code': code})
        self.assertEqual(422, answer.status, answer)
        self.assertIn('RuntimeError', answer.text)
        self.assertIn('looks around\n', answer.json['build_log'])
        self.assertEqual(0, self.result(name))
        # Whoever did not wait for the answer finds the place there.
        version = self.get(f'{FUNCTIONS}/{name}/versions/2').json
        self.assertEqual('failed', version['state'])
        self.assertEqual([('main.py', 1)], [(remark['file'], remark['line']) for remark in version['diagnostics']])


class DeleteWhileRunning(SystemTest):
    def test_running_invocations_finish(self):
        name = self.function('python', 'import time\ndef handler(event):\n    time.sleep(1)\n    return "finished"\n')

        def work(index):
            if index == 0:
                return self.invoke(name, expect=None)
            threading.Event().wait(0.5)
            return self.call('DELETE', f'{FUNCTIONS}/{name}')
        invoked, deleted = self.parallel(2, work)
        self.assertEqual(204, deleted.status, deleted)
        self.assertEqual('finished', invoked.json.get('result'), invoked)
        self.assertEqual(404, self.invoke(name, expect=None).status)
