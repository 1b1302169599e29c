"""The walk of somebody who has just started the platform: the calls of the first hour, in their order."""
from examples import (ANALYZE_PYTHON, FETCH_NODE, HELLO_GO, HELLO_NODE, HELLO_PYTHON, PROCESS_GO)
from platform_fixture import SystemTest


class NewUser(SystemTest):
    def test_health_answers(self):
        answer = self.get('/api/health')
        self.assertEqual(200, answer.status, answer)
        self.assertIn(answer.json['status'], ('ok', 'degraded'))
        self.assertEqual('running', answer.json['services']['cloudfunction'])

    def test_hello_in_python(self):
        name = self.function('python', HELLO_PYTHON)
        self.assertEqual({'message': 'Hello from Python', 'event': {'name': 'World'}},
                         self.result(name, {'name': 'World'}))

    def test_hello_in_node(self):
        name = self.function('nodejs', HELLO_NODE)
        self.assertEqual({'message': 'Hello from Node.js', 'event': [1, 'two', None]},
                         self.result(name, [1, 'two', None]))

    def test_hello_in_go_works_with_the_missing_comma_and_says_so(self):
        self.needs('go')
        created = self.create('go', HELLO_GO)
        self.assertEqual(201, created.status, created)
        self.assertEqual({'message': 'Hello World!'}, self.result(created.json['name'], {}))
        warnings = created.json['warnings']
        self.assertEqual(1, len(warnings), warnings)
        self.assertEqual(3, warnings[0]['line'], warnings)
        self.assertIn('comma', warnings[0]['message'])

    def test_process_data(self):
        name = self.function('go', PROCESS_GO, 'processData')
        self.assertEqual({'sum': 60, 'count': 3, 'average': 20}, self.result(name, {'data': [10, 20, 30]}))

    def test_analyze_data(self):
        name = self.function('python', ANALYZE_PYTHON, 'analyze_data')
        result = self.result(name, {'data': [1, 2, 2, 3, 4]})
        self.assertEqual((2.4, 2, 2), (result['mean'], result['median'], result['mode']))
        self.assertAlmostEqual(1.1401754, result['stdev'], 6)
        self.assertEqual({'error': 'No data provided'}, self.result(name, {}))

    def test_fetch_data_without_axios_names_what_is_missing_and_how_to_get_it(self):
        self.needs('node')
        created = self.create('node', FETCH_NODE, 'fetchData')
        if created.status == 422:  # refused at the save already: as good
            document = self.assertProblem(created, 422, created.json['reason'])
        else:
            self.assertEqual(201, created.status, created)
            document = self.error(created.json['name'], {})
        self.assertIn('axios', document.get('message', document.get('detail')))
        self.assertIn('node_modules/axios', document['hint'], 'where to put it')
        self.assertEqual(200, self.get('/api/health/ready').status)

    def test_the_life_of_a_function(self):
        self.needs('python')
        created = self.create('python', HELLO_PYTHON)
        self.assertEqual(201, created.status, created)
        document = created.json
        name, path = document['name'], '/api/v1/functions/' + document['name']
        self.assertTrue(created.headers['ETag'], created)
        self.assertEqual(f'/api/v1/functions/{document["id"]}', created.headers['Location'])
        self.assertRegex(document['id'], '^fn_[0-9A-HJKMNP-TV-Z]{26}$')
        self.assertEqual(('ready', 1, 'python', 'handler', 30, 128),
                         tuple(document[k] for k in ('state', 'version', 'runtime', 'handler', 'timeout', 'memory')))

        listed = [f for f in self.get('/api/v1/functions?limit=1000').json['functions'] if f['name'] == name]
        self.assertEqual(1, len(listed))
        self.assertNotIn('code', listed[0])
        self.assertEqual(HELLO_PYTHON, self.get(path).json['code'])
        self.assertEqual(document['id'], self.get('/api/v1/functions/' + document['id']).json['id'])

        renamed = self.unique('renamed')
        self.addCleanup(self.call, 'DELETE', '/api/v1/functions/' + renamed)
        updated = self.call('PUT', path, {'name': renamed, 'timeout': 5})
        self.assertEqual(200, updated.status, updated)
        self.assertEqual((renamed, 5, HELLO_PYTHON),
                         tuple(updated.json[k] for k in ('name', 'timeout', 'code')))
        self.assertEqual(404, self.get(path).status)

        answer = self.invoke(renamed, {'n': 1}, {'user_id': '123'})
        self.assertEqual('success', answer.json['status'])
        self.assertEqual(answer.headers['X-Invocation-Id'], answer.json['invocation_id'])
        for header in ('X-Request-Id', 'X-Duration-Ms', 'X-Queue-Ms'):
            self.assertIn(header, answer.headers)
        self.assertEqual({'invocation_id', 'request_id', 'status', 'result', 'duration_ms', 'memory_mb', 'cold_start',
                          'version'}, set(answer.json))

        self.assertEqual(204, self.call('DELETE', '/api/v1/functions/' + renamed).status)
        self.assertProblem(self.get('/api/v1/functions/' + renamed), 404, 'not_found')
        self.assertProblem(self.invoke(renamed, expect=None), 404, 'not_found')
        self.assertProblem(self.call('DELETE', '/api/v1/functions/' + renamed), 404, 'not_found')
