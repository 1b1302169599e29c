"""What the platform says about itself."""
import hmac
import os
import re
import time

import python_index as packages
from platform_fixture import SOURCE, OwnPlatformTest, SystemTest, wait_until


class Health(SystemTest):
    def test_the_document(self):
        document = self.get('/api/health').json
        for field in ('status', 'services', 'executors', 'sandbox', 'store', 'version'):
            self.assertIn(field, document)
        for name, state in document['services'].items():
            self.assertIsInstance(state, str, name)
        self.assertRegex(document['version'], r'^\d+\.\d+\.\d+')

    def test_it_says_which_layers_of_the_sandbox_are_missing(self):
        layers = self.get('/api/health').json['sandbox']['layers']
        self.assertTrue(layers)
        for name, layer in (layers.items() if isinstance(layers, dict) else ((x['name'], x) for x in layers)):
            self.assertIsInstance(layer['active'], bool, name)
            if not layer['active']:
                self.assertTrue(layer['detail'], f'{name} is missing and nobody says why')

    def test_executors(self):
        executors = self.get('/api/health').json['executors']
        self.assertEqual({'go', 'node', 'python'}, set(executors))

    def test_every_answer_has_the_callers_id(self):
        for path in ('/', '/api/health', '/api/health/ready', '/api/openapi.yaml', '/api/v1/functions', '/nothing', '/api/v1/nothing'):
            with self.subTest(path):
                self.assertEqual(['mine'], self.get(path, {'X-Request-Id': 'mine'}).headers.get_all('X-Request-Id'))

    def test_no_store_in_between(self):
        self.assertIn('no-store', self.get('/api/health').headers.get('Cache-Control', ''))

    def test_answers_while_functions_are_busy(self):
        name = self.function('python', 'def handler(event):\n    n = 0\n    while n < 10 ** 8: n += 1\n', timeout=2)

        def work(index):
            if index < 2:
                return self.invoke(name, expect=None).status
            time.sleep(0.5)
            return self.get('/api/health').status
        self.assertEqual(200, self.parallel(3, work)[2])


class DiskUse(OwnPlatformTest):
    def bytes(self):
        return self.get('/api/health').json['store']['bytes']

    def test_the_bytes_of_each_kind(self):
        platform = self.start()
        name = self.function('python', 'def handler(event):\n    print("x" * 1000)\n')
        self.invoke(name)
        seen = wait_until(lambda: (lambda b: b['logs'] and b['records'] and b)(self.bytes()), 'the log to be counted')
        self.assertEqual({'database', 'records', 'logs', 'artifacts', 'layers'}, set(seen))
        own = platform.data / '.cloudfunction'
        artifacts = sum(f.stat().st_size for folder in (own / 'artifacts').iterdir() if folder.is_dir()
                        for f in folder.rglob('*') if f.is_file())
        self.assertEqual(artifacts, seen['artifacts'])
        self.assertEqual(0, seen['layers'])
        self.assertGreaterEqual(seen['database'], (own / 'functions.db').stat().st_size)

    def test_a_layer_that_nothing_uses_goes(self):
        index = packages.Index()
        self.addCleanup(index.close)
        index.add(packages.module('unused', '1.0'))
        platform = self.start({'build.network': 'host', 'build.cache_age': 0},
                              environment={**packages.NO_SETTINGS, 'PIP_INDEX_URL': index.url()})
        layers = platform.data / '.cloudfunction/layers'
        name = self.function('python', packages.HANDLER.format('unused'), dependencies=['unused'])
        self.assertEqual(1, len([f for f in layers.iterdir() if f.is_dir()]))
        used = self.bytes()['layers']
        self.assertGreater(used, 0)
        # What a function names stays, however old.
        platform.stop()
        platform.start()
        self.assertEqual('1.0', self.result(name))
        self.assertEqual(used, self.bytes()['layers'])
        self.assertEqual(204, self.delete(name).status)
        platform.stop()
        platform.start()
        self.assertEqual([], os.listdir(layers))
        self.assertEqual((0, 0), (self.bytes()['layers'], self.bytes()['artifacts']))


class Runtimes(SystemTest):
    def test_the_document(self):
        runtimes = {r['name']: r for r in self.get('/api/v1/runtimes').json['runtimes']}
        self.assertLessEqual({'go', 'node', 'python'}, set(runtimes))
        for name, runtime in runtimes.items():
            with self.subTest(name):
                self.assertTrue(runtime['display_name'])
                self.assertTrue(runtime['file_extensions'])
                self.assertTrue(runtime['default_handler'])
                self.assertTrue(runtime['templates'])
                if runtime['available']:
                    self.assertRegex(runtime['version'], r'^\d+\.\d+')
                else:
                    self.assertTrue(runtime['reason'])
                    self.assertTrue(runtime['hint'])

    def test_every_template_works(self):
        for runtime in self.get('/api/v1/runtimes').json['runtimes']:
            for template in runtime['templates']:
                with self.subTest(f'{runtime["name"]} {template["name"]}'):
                    name = self.function(template.get('runtime', runtime['name']), template['code'],
                                         template.get('handler', runtime['default_handler']))
                    answer = self.invoke(name, template.get('event', {}), expect=None)
                    self.assertEqual(200, answer.status, answer)

    def test_webhooks_accept_what_is_signed_and_nothing_else(self):
        for runtime in self.get('/api/v1/runtimes').json['runtimes']:
            template = next(one for one in runtime['templates'] if one['name'] == 'webhook')
            with self.subTest(runtime['name']):
                save = lambda **fields: self.function(runtime['name'], template['code'], template['handler'],
                                                      http={'enabled': True}, **fields)
                name = save(environment={'WEBHOOK_SECRET': 'hush'})

                def deliver(body, key='hush', to=name, **headers):
                    signature = 'sha256=' + hmac.new(key.encode(), body, 'sha256').hexdigest()
                    return self.post('/function/' + to, body, {'X-Hub-Signature-256': signature, **headers})

                # Spaces, order and escapes are the sender's own.
                body = '{ "b": 1,\t"action":"opened", "text": "\u00fc \\u00fc" }\n'.encode()
                answer = deliver(body)
                self.assertEqual((200, {'accepted': True, 'action': 'opened'}), (answer.status, answer.json))
                latin = {'Content-Type': 'application/octet-stream'}
                self.assertEqual(200, deliver(body, **latin).status)
                for forged in (deliver(body, 'other'), deliver(body, ''), deliver(body, **{'X-Hub-Signature-256': None}),
                               deliver(body, **{'X-Hub-Signature-256': 'sha256='}),
                               deliver(b'\xff', 'other', **latin)):
                    self.assertEqual(401, forged.status, forged)
                for settings in ({}, {'WEBHOOK_SECRET': ''}):
                    answer = deliver(body, '', save(environment=settings))
                    self.assertEqual(500, answer.status, answer)


class Page(SystemTest):
    def test_the_page_and_its_parts(self):
        page = self.get('/')
        self.assertEqual((200, 'text/html'), (page.status, page.headers.get_content_type()))
        parts = re.findall(r'(?:src|href)="([^":#]+)"', page.text)
        self.assertTrue(parts)
        for part in parts:
            with self.subTest(part):
                self.assertEqual(200, self.get('/' + part.lstrip('/')).status)

    def test_what_is_not_there(self):
        self.assertEqual(404, self.get('/nothing-of-that-name').status)


class Openapi(SystemTest):
    def test_the_reference_is_served(self):
        answer = self.get('/api/openapi.yaml')
        self.assertEqual(200, answer.status, answer)
        self.assertIn('openapi: 3.1', answer.text)
        self.assertEqual((SOURCE / 'docs/http-api.yaml').read_text(), answer.text)

    def test_every_path_of_it_is_routed(self):
        for path, operations in paths_of(self.get('/api/openapi.yaml').text):
            for method in operations:
                with self.subTest(f'{method} {path}'):
                    target = re.sub(r'\{[^}]*\}', 'none', path)
                    answer = self.call(method.upper(), target, {} if method in ('post', 'put', 'patch') else None)
                    self.assertNotEqual(405, answer.status, answer)
                    if answer.status == 404:
                        self.assertNotIn('no such path', answer.text.lower(), answer)

    def test_every_field_of_a_runtime_is_described(self):
        described = schema(self.get('/api/openapi.yaml').text, 'Runtime')
        for runtime in self.get('/api/v1/runtimes').json['runtimes']:
            documents = [runtime, runtime['executor'], *runtime['templates']]
            for field in {field for document in documents for field in document}:
                with self.subTest(f'{runtime["name"]}: {field}'):
                    self.assertRegex(described, rf'(?m)^ +{field}:$')

    def test_every_field_of_an_error_is_described(self):
        name = self.function('python', 'def handler(event):\n    return 1 / event\n')
        described = schema(self.get('/api/openapi.yaml').text, 'FunctionError')
        for field in self.error(name, 0):
            with self.subTest(field):
                self.assertRegex(described, rf'(?m)^        {field}:$')

    def test_other_methods_are_not_implemented(self):
        self.assertProblem(self.call('PROPFIND', '/function/none/x'), 501, 'method_not_implemented')
        self.assertEqual(404, self.call('OPTIONS', '/function/none/x').status)


class Companions(SystemTest):
    properties = {'health.services.crawler': 'http://127.0.0.1:1/health'}

    def test_a_companion_never_makes_the_platform_degraded(self):
        document = wait_until(lambda: (lambda d: d['services']['crawler'] != 'unknown' and d)(self.get('/api/health').json), 'it to be asked')
        self.assertEqual('unreachable', document['services']['crawler'])
        self.assertNotIn('crawler', str(document.get('problems', '')))


def schema(text, name):
    """The lines of one of its schemas."""
    return re.search(rf'(?ms)^    {name}:\n(.*?)(?=^    \S)', text[text.index('\n  schemas:'):])[1]


def paths_of(text):
    """[(path, [methods])] of an OpenAPI document, by its indentation."""
    found, inside = [], False
    for line in text.splitlines():
        if re.match(r'\S', line):
            inside = line.startswith('paths:')
        elif inside and (match := re.match(r'  (/[^:]*|"/[^"]*"|\'/[^\']*\'):', line)):
            found.append((match[1].strip('"\''), []))
        elif inside and (match := re.match(r'    (get|put|post|patch|delete):', line)):
            found[-1][1].append(match[1])
    return found
