"""The collection of functions: partial updates, preconditions, lists, versions."""
import json

from platform_fixture import SystemTest, wait_until

CODE = 'def handler(event):\n    return event\n'
OTHER = 'def handler(event):\n    return [event]\n'
FUNCTIONS = '/api/v1/functions'


class Updates(SystemTest):
    def setUp(self):
        self.name = self.function('python', CODE, timeout=7, description='first')
        self.path = f'{FUNCTIONS}/{self.name}'

    def patch(self, body, headers=None, expect=200):
        answer = self.call('PATCH', self.path, body, headers)
        self.assertEqual(expect, answer.status, answer)
        return answer.json

    def test_absent_fields_stay(self):
        document = self.patch({'memory': 64})
        self.assertEqual((64, 7, 'first', CODE), tuple(document[k] for k in ('memory', 'timeout', 'description', 'code')))

    def test_null_means_default(self):
        document = self.patch({'timeout': None, 'description': None})
        self.assertEqual((30, ''), (document['timeout'], document['description']))

    def test_objects_are_replaced_whole(self):
        self.patch({'environment': {'A': '1', 'B': '2'}})
        self.assertEqual({'C': '3'}, self.patch({'environment': {'C': '3'}})['environment'])
        self.assertEqual({}, self.patch({'environment': None})['environment'])

    def test_settings_make_no_version(self):
        self.assertEqual(1, self.patch({'timeout': 9, 'memory': 64, 'description': 'x'})['version'])

    def test_code_and_environment_make_one(self):
        self.assertEqual(2, self.patch({'code': OTHER})['version'])
        self.assertEqual([1], self.result(self.name, 1))
        self.assertEqual(3, self.patch({'environment': {'A': '1'}})['version'])

    def test_nothing_changed_is_no_new_version(self):
        before = self.get(self.path)
        self.patch({'code': CODE, 'timeout': 7, 'handler': 'handler'})
        after = self.get(self.path)
        self.assertEqual(before.json, after.json)
        self.assertEqual(before.headers['ETag'], after.headers['ETag'])

    def test_a_document_that_was_read_can_be_sent_back(self):
        document = self.get(self.path).json
        document['timeout'] = 8
        answer = self.call('PUT', self.path, document)
        self.assertEqual(200, answer.status, answer)
        self.assertEqual((8, 1), (answer.json['timeout'], answer.json['version']))

    def test_what_the_platform_sets_cannot_be_set(self):
        answer = self.call('PATCH', self.path, {'version': 9})
        document = self.assertProblem(answer, 422, 'invalid_function')
        self.assertEqual('/version', document['errors'][0]['pointer'])

    def test_somebody_else_was_faster(self):
        etag = self.get(self.path).headers['ETag']
        self.patch({'timeout': 8}, {'If-Match': etag})
        answer = self.call('PATCH', self.path, {'timeout': 9}, {'If-Match': etag})
        self.assertProblem(answer, 412, 'precondition_failed')
        self.assertEqual(8, self.get(self.path).json['timeout'])
        self.assertProblem(self.call('DELETE', self.path, headers={'If-Match': etag}), 412, 'precondition_failed')
        self.patch({'timeout': 10}, {'If-Match': '*'})

    def test_reading_what_is_known_already(self):
        etag = self.get(self.path).headers['ETag']
        answer = self.get(self.path, {'If-None-Match': etag})
        self.assertEqual((304, b''), (answer.status, answer.body))

    def test_two_updates_at_once(self):
        answers = self.parallel(4, lambda n: self.call('PATCH', self.path, {'code': f'def handler():\n    return {n}\n'}))
        self.assertEqual([200] * 4, [a.status for a in answers], answers)
        self.assertEqual({2, 3, 4, 5}, {a.json['version'] for a in answers})
        last = max(answers, key=lambda a: a.json['version']).json
        self.assertEqual(last['code'], self.get(self.path).json['code'])

    def test_a_new_name(self):
        name = self.unique('new')
        self.addCleanup(self.call, 'DELETE', f'{FUNCTIONS}/{name}')
        self.patch({'name': name})
        self.assertEqual(404, self.get(self.path).status)
        self.assertEqual(1, self.result(name, 1))
        self.function('python', CODE, name=self.name)

    def test_a_name_of_somebody_else(self):
        other = self.function('python', CODE)
        self.assertProblem(self.call('PATCH', self.path, {'name': other}), 409, 'name_taken')

    def test_another_runtime(self):
        self.needs('node')
        document = self.patch({'runtime': 'node', 'code': 'const handler = (event) => "node " + event'})
        self.assertEqual(('node', 2), (document['runtime'], document['version']))
        self.assertEqual('node 1', self.result(self.name, 1))


class Create(SystemTest):
    def test_put_creates(self):
        self.needs('python')
        name = self.unique()
        self.addCleanup(self.call, 'DELETE', f'{FUNCTIONS}/{name}')
        document = {'runtime': 'python', 'handler': 'handler', 'code': CODE}
        answer = self.call('PUT', f'{FUNCTIONS}/{name}', document)
        self.assertEqual((201, name), (answer.status, answer.json.get('name')), answer)
        self.assertEqual(200, self.call('PUT', f'{FUNCTIONS}/{name}', document).status)
        self.assertEqual(1, self.result(name, 1))

    def test_put_of_half_a_document_creates_nothing(self):
        name = self.unique()
        answer = self.call('PUT', f'{FUNCTIONS}/{name}', {'timeout': 5})
        self.assertIn(answer.status, (404, 422), answer)
        self.assertEqual(404, self.get(f'{FUNCTIONS}/{name}').status)

    def test_patch_creates_nothing(self):
        answer = self.call('PATCH', f'{FUNCTIONS}/{self.unique()}', {'runtime': 'python', 'code': CODE})
        self.assertProblem(answer, 404, 'not_found')

    def test_the_handler_has_a_default(self):
        self.needs('python')
        name = self.unique()
        self.addCleanup(self.call, 'DELETE', f'{FUNCTIONS}/{name}')
        answer = self.post(FUNCTIONS, {'name': name, 'runtime': 'python', 'code': CODE})
        self.assertEqual((201, 'handler'), (answer.status, answer.json.get('handler')), answer)

    def test_names_are_kept_as_typed_and_found_in_any_case(self):
        name = self.unique('MixedCase')
        self.function('python', CODE, name=name)
        self.assertEqual(name, self.get(f'{FUNCTIONS}/{name.lower()}').json['name'])
        self.assertEqual(1, self.result(name.upper(), 1))

    def test_what_does_not_build_leaves_nothing(self):
        self.needs('python')
        answer = self.create('python', 'def handler(:\n', name=(name := self.unique()))
        self.assertEqual(422, answer.status, answer)
        self.assertEqual(404, self.get(f'{FUNCTIONS}/{name}').status)
        self.function('python', CODE, name=name)

    def test_respond_async(self):
        self.needs('go')
        name = self.unique()
        self.addCleanup(self.call, 'DELETE', f'{FUNCTIONS}/{name}')
        answer = self.post(FUNCTIONS, {'name': name, 'runtime': 'go', 'code': 'func handler() interface{} { return 5 }'},
                           {'Prefer': 'respond-async'})
        self.assertEqual(202, answer.status, answer)
        wait_until(lambda: self.get(f'{FUNCTIONS}/{name}').json['state'] == 'ready', 'the build', 60)
        self.assertEqual(5, self.result(name))

    def test_warnings_and_labels_are_kept(self):
        name = self.function('python', CODE, labels={'team': 'a'}, description='Says it again')
        document = self.get(f'{FUNCTIONS}/{name}').json
        self.assertEqual(({'team': 'a'}, 'Says it again'), (document['labels'], document['description']))


class Lists(SystemTest):
    def test_pages(self):
        stem = self.unique('page')
        names = [self.function('python', CODE, name=f'{stem}-{n}') for n in range(7)]
        found, cursor, pages = [], '', 0
        while cursor is not None:
            page = self.get(f'{FUNCTIONS}?limit=3&q={stem}&cursor={cursor}').json
            self.assertLessEqual(len(page['functions']), 3)
            found += [f['name'] for f in page['functions']]
            cursor, pages = page['next_cursor'], pages + 1
        self.assertEqual((names, 3), (found, pages))

    def test_filters(self):
        stem = self.unique('filter')
        self.function('python', CODE, name=stem, description='Finds THE needle')
        names = lambda query: [f['name'] for f in self.get(f'{FUNCTIONS}?{query}').json['functions']]  # noqa: E731
        self.assertEqual([stem], names(f'q={stem.upper()}'))
        self.assertEqual([], names(f'q={stem}&runtime=node'))
        self.assertEqual([stem], names(f'q={stem}&runtime=python'))
        self.assertIn(stem, names('q=needle'))

    def test_summaries_carry_no_code(self):
        stem = self.unique()
        self.function('python', CODE, name=stem)
        summary = self.get(f'{FUNCTIONS}?q={stem}').json['functions'][0]
        self.assertFalse({'code', 'files'} & set(summary))
        self.assertLessEqual({'id', 'name', 'runtime', 'state', 'version', 'updated_at'}, set(summary))

    def test_head_and_options(self):
        head, get = self.call('HEAD', FUNCTIONS), self.get(FUNCTIONS)
        self.assertEqual((200, b''), (head.status, head.body))
        self.assertEqual(get.headers['Content-Type'], head.headers['Content-Type'])
        options = self.call('OPTIONS', FUNCTIONS)
        self.assertEqual(204, options.status, options)
        self.assertIn('POST', options.headers['Allow'])


class Versions(SystemTest):
    def test_versions_and_build_logs(self):
        name = self.function('python', CODE)
        path = f'{FUNCTIONS}/{name}'
        self.assertEqual(200, self.call('PATCH', path, {'code': OTHER}).status)
        listed = self.get(f'{path}/versions').json['versions']
        self.assertEqual([2, 1], [v['version'] for v in listed])
        self.assertEqual(['ready', 'ready'], [v['state'] for v in listed])
        self.assertEqual(CODE, self.get(f'{path}/versions/1').json['code'])
        self.assertEqual(200, self.get(f'{path}/versions/2/build-log').status)
        self.assertProblem(self.get(f'{path}/versions/3'), 404, 'not_found')
        self.assertProblem(self.get(f'{path}/versions/x'), 404, 'not_found')

    def test_a_failed_version_stays_readable_and_the_old_one_live(self):
        self.needs('go')
        name = self.function('go', 'func handler() interface{} { return "old" }')
        path = f'{FUNCTIONS}/{name}'
        answer = self.call('PATCH', path, {'code': 'func handler() interface{} { return nothingOfThatName }'})
        self.assertProblem(answer, 422, 'build_failed')
        self.assertEqual('old', self.result(name))
        self.assertEqual(1, self.get(path).json['version'])
        failed = self.get(f'{path}/versions/2').json
        self.assertEqual('failed', failed['state'], failed)
        self.assertIn('nothingOfThatName', json.dumps(failed))
        self.assertIn('nothingOfThatName', self.get(f'{path}/versions/2/build-log').text)
