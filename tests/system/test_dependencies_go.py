"""Modules of functions in Go, against a module proxy on this machine."""
import base64
import os
import pathlib
import shutil
import tempfile
import time
import unittest

from go_proxy import GoProxy
from platform_fixture import SystemTest

NETRC = 'machine nowhere.invalid login somebody password secret0123456789\n'


def greets(path='example.com/greeting'):
    return f'package main\n\nimport "{path}"\n\nfunc handler() string {{ return greeting.Hello() }}\n'


def manifest(*requires, replaces=(), go='1.16', module='function'):
    return (f'module {module}\n\ngo {go}\n\n' + ''.join(f'require {line}\n' for line in requires) +
            ''.join(f'replace {line}\n' for line in replaces))


def greeting(answer, imports=''):
    return {'greeting.go': f'package greeting\n\n{imports}\nfunc Hello() string {{ return {answer} }}\n'}


class ProxyTest(SystemTest):
    """A platform whose operator has a module proxy, and no sums of its modules at a database."""

    own_platform = True
    properties = {'build.network': 'host'}

    @classmethod
    def setUpClass(cls):
        cls.proxy = GoProxy()
        cls.addClassCleanup(cls.proxy.close)
        home = tempfile.mkdtemp(prefix='cloudfunction-home-')
        cls.addClassCleanup(shutil.rmtree, home)
        (pathlib.Path(home) / '.netrc').write_text(NETRC)
        cls.environment = {'HOME': home, 'GOPROXY': cls.proxy.url, 'GONOSUMDB': '*', 'GOFLAGS': '-toolexec=/bin/false',
                           'NO_PROXY': '127.0.0.1'}
        cls.publish()
        super().setUpClass()

    @classmethod
    def publish(cls):
        add = cls.proxy.add
        add('example.com/greeting', 'v1.0.0', greeting('"one"'))
        add('example.com/greeting', 'v1.2.0', greeting('"two"'))
        add('example.com/Polite/greeting/v2', 'v2.0.0', greeting('"Dear " + greeting.Hello()', 'import "example.com/greeting"'),
            requires=[('example.com/greeting', 'v1.0.0')])

    def setUp(self):
        self.needs('go')
        self.proxy.status = None

    def built(self, files=None, **fields):
        answer = self.create('go', handler='handler', **({'files': files} if files else {}), **fields)
        self.assertEqual(201, answer.status, answer)
        return answer.json['name']

    def refused(self, files=None, reason='build_failed', **fields):
        """The first diagnostic."""
        answer = self.create('go', handler='handler', **({'files': files} if files else {}), **fields)
        return self.assertProblem(answer, 422, reason)['errors'][0]

    def update(self, name, **fields):
        answer = self.call('PATCH', f'/api/v1/functions/{name}', fields)
        self.assertEqual(200, answer.status, answer)

    def version(self, name, number=1):
        return self.get(f'/api/v1/functions/{name}/versions/{number}').json

    def log_of(self, name, number=1):
        return self.get(f'/api/v1/functions/{name}/versions/{number}/build-log').text

    def downloads(self):
        return [path for path in self.proxy.asked if path.endswith('.zip')]


class Modules(ProxyTest):
    def test_dependencies_beside_code(self):
        name = self.built(code=greets('example.com/Polite/greeting/v2'), dependencies=['example.com/Polite/greeting/v2@v2.0.0'])
        self.assertEqual('Dear one', self.result(name))
        log = self.log_of(name)
        self.assertIn('downloading example.com/Polite/greeting/v2 v2.0.0', log)
        self.assertIn('compiled example.com/greeting', log)
        self.assertNotIn('secret0123456789', log + self.platform.log() + self.get('/api/v1/runtimes').text)

    def test_bare_code_imports_its_dependencies_by_itself(self):
        name = self.built(code='func handler() string { return strings.ToUpper(greeting.Hello()) }\n',
                          dependencies=['example.com/greeting@v1.0.0'])
        self.assertEqual('ONE', self.result(name))

    def test_a_version_is_resolved_once(self):
        self.proxy.add('example.com/moving', 'v1.0.0', greeting('"first"'))
        code = greets('example.com/moving').replace('"example', 'greeting "example')
        name = self.built(code=code, dependencies=['example.com/moving'])
        self.assertEqual('first', self.result(name))
        self.assertIn('example.com/moving v1.0.0 h1:', self.version(name)['locks']['go.lock'])
        self.proxy.add('example.com/moving', 'v1.1.0', greeting('"second"'))
        self.update(name, code=code + '// changed\n')
        self.assertEqual('first', self.result(name))
        self.update(name, locks=None)
        self.assertEqual('second', self.result(name))

    def test_go_mod_and_go_sum_are_taken_as_they_are(self):
        name = self.built({'main.go': greets(), 'go.mod': manifest('example.com/greeting v1.0.0'),
                           'go.sum': self.proxy.sums(('example.com/greeting', 'v1.0.0'))})
        self.assertEqual('one', self.result(name))
        self.assertFalse(self.version(name).get('locks'))

    def test_go_sum_may_be_missing(self):
        name = self.built({'main.go': greets(), 'go.mod': manifest('example.com/greeting v1.0.0')})
        self.assertEqual('one', self.result(name))
        self.assertIn('h1:', self.version(name)['locks']['go.lock'])

    def test_go_sum_may_lack_what_a_module_requires(self):
        path = 'example.com/Polite/greeting/v2'
        name = self.built({'main.go': greets(path), 'go.mod': manifest(path + ' v2.0.0'),
                           'go.sum': self.proxy.sums((path, 'v2.0.0'))})
        self.assertEqual('Dear one', self.result(name))
        self.assertIn('example.com/greeting v1.0.0 h1:', self.version(name)['locks']['go.lock'])

    def test_versions_side_by_side(self):
        one, two = (self.built({'main.go': greets(), 'go.mod': manifest(f'example.com/greeting {version}')})
                    for version in ('v1.0.0', 'v1.2.0'))
        self.assertEqual(['one', 'two', 'one'], [self.result(name) for name in (one, two, one)])

    def test_saving_code_fetches_and_compiles_no_module(self):
        name = self.built({'main.go': greets(), 'go.mod': manifest('example.com/greeting v1.2.0', module='again')})
        asked = len(self.proxy.asked)
        self.update(name, files={'main.go': greets() + '// changed\n', 'go.mod': manifest('example.com/greeting v1.2.0', module='again')})
        self.assertEqual('two', self.result(name))
        self.assertEqual(asked, len(self.proxy.asked), self.proxy.asked)
        self.assertNotIn('compiled', self.log_of(name, 2))

    def test_an_import_more_needs_no_new_lock(self):
        self.proxy.add('example.com/wide', 'v1.0.0', {'a/a.go': 'package a\n\nfunc A() int { return 1 }\n',
                                                      'b/b.go': 'package b\n\nfunc B() int { return 2 }\n'})
        code = 'package main\n\nimport "example.com/wide/a"\n\nfunc handler() int { return a.A() }\n'
        name = self.built({'main.go': code, 'go.mod': manifest('example.com/wide v1.0.0')})
        asked = len(self.proxy.asked)
        self.update(name, files={'main.go': code.replace('\nfunc', 'import "example.com/wide/b"\n\nfunc').replace('a.A()', 'a.A() + b.B()'),
                                 'go.mod': manifest('example.com/wide v1.0.0')})
        self.assertEqual(3, self.result(name))
        self.assertEqual(asked, len(self.proxy.asked))

    def test_an_import_of_a_further_module_keeps_the_versions(self):
        self.proxy.add('example.com/base', 'v1.0.0', greeting('"base"'))
        self.proxy.add('example.com/grows', 'v1.0.0', {'a/a.go': 'package a\n\nfunc A() string { return "old" }\n',
            'b/b.go': 'package b\n\nimport greeting "example.com/base"\n\nfunc B() string { return greeting.Hello() }\n'},
            requires=[('example.com/base', 'v1.0.0')])
        code = 'package main\n\nimport "example.com/grows/a"\n\nfunc handler() string { return a.A() }\n'
        name = self.built(code=code, dependencies=['example.com/grows'])
        self.proxy.add('example.com/grows', 'v1.1.0', {'a/a.go': 'package a\n\nfunc A() string { return "new" }\n'})
        self.update(name, code=code.replace('\nfunc', 'import "example.com/grows/b"\n\nfunc').replace('a.A()', 'a.A() + b.B()'))
        self.assertEqual('oldbase', self.result(name))


class Files(ProxyTest):
    def test_packages_in_folders_and_embedded_files(self):
        image = bytes(range(256))
        name = self.built({
            'go.mod': manifest('example.com/greeting v1.0.0', module='example.org/app'),
            'main.go': 'package main\n\nimport (\n\t_ "embed"\n\n\t"example.org/app/internal/text"\n)\n\n'
                       '//go:embed assets/image.bin\nvar image []byte\n\n'
                       'func handler() []interface{} { return []interface{}{text.Hello(), len(image), image[255]} }\n',
            'internal/text/text.go': 'package text\n\nimport "example.com/greeting"\n\nfunc Hello() string { return greeting.Hello() }\n',
            'assets/image.bin': {'base64': base64.b64encode(image).decode()}})
        self.assertEqual(['one', 256, 255], self.result(name))

    def test_a_folder_in_place_of_a_module(self):
        name = self.built({
            'go.mod': manifest('example.com/mine v0.0.0', 'example.com/greeting v1.2.0', replaces=['example.com/mine => ./mine']),
            'main.go': 'package main\n\nimport "example.com/mine/deep"\n\nfunc handler() string { return deep.Hello() }\n',
            'mine/go.mod': manifest('example.com/greeting v1.0.0', module='example.com/mine'),
            'mine/deep/deep.go': 'package deep\n\nimport "example.com/greeting"\n\nfunc Hello() string { return greeting.Hello() }\n'})
        self.assertEqual('two', self.result(name))

    def test_vendored_modules_need_no_network(self):
        asked = len(self.proxy.asked)
        files = {'go.mod': manifest('example.com/vendored v1.5.0'),
                 'main.go': greets('example.com/vendored').replace('"example', 'greeting "example'),
                 'vendor/modules.txt': '# example.com/vendored v1.5.0\n## explicit\nexample.com/vendored\n',
                 'vendor/example.com/vendored/greeting.go': greeting('"vendored"')['greeting.go']}
        name = self.built(files)
        self.assertEqual('vendored', self.result(name))
        self.assertEqual(asked, len(self.proxy.asked))
        error = self.refused({**files, 'go.mod': manifest('example.com/vendored v1.5.0', 'example.com/greeting v1.0.0')})
        self.assertEqual(('go.mod', 6), (error['file'], error['line']))
        self.assertIn('example.com/greeting is required, and vendor/modules.txt does not have it', error['message'])
        del files['go.mod']
        error = self.refused(files, dependencies=['example.com/vendored@v1.5.0', 'example.com/greeting'])
        self.assertIn('example.com/greeting is among the dependencies, and not in vendor/', error['message'])
        files['go.mod'] = manifest('example.com/vendored v1.5.0')
        del files['vendor/example.com/vendored/greeting.go']
        error = self.refused(files)
        self.assertEqual(('main.go', 3), (error['file'], error['line']))
        self.assertIn('go mod vendor', error['message'])

    def test_vendored_modules_must_fit(self):
        error = self.refused({'go.mod': manifest('example.com/vendored v1.6.0'),
                              'main.go': greets('example.com/vendored').replace('"example', 'greeting "example'),
                              'vendor/modules.txt': '# example.com/vendored v1.5.0\n## explicit\nexample.com/vendored\n',
                              'vendor/example.com/vendored/greeting.go': greeting('"vendored"')['greeting.go']})
        self.assertEqual('vendor/modules.txt', error['file'], error)


class Problems(ProxyTest):
    def test_an_import_without_its_module(self):
        error = self.refused(code=greets())
        self.assertEqual(('main.go', 3, 8), (error['file'], error['line'], error['column']))
        self.assertIn('"dependencies": ["example.com/greeting"]', error['message'])
        error = self.refused({'main.go': greets('github.com/a/b/greeting'), 'go.mod': manifest()})
        self.assertIn('`require github.com/a/b latest`', error['message'])

    def test_sums_that_differ(self):
        sums = self.proxy.sums(('example.com/greeting', 'v1.0.0'))
        error = self.refused({'main.go': greets(), 'go.mod': manifest('example.com/greeting v1.0.0'),
                              'go.sum': sums.replace('h1:', 'h1:' + 'A' * 4, 1)})
        self.assertEqual(('go.mod', 5), (error['file'], error['line']), error)
        self.assertIn('checksum mismatch', error['message'])

    def test_content_that_was_changed_on_its_way(self):
        self.proxy.add('example.com/changed', 'v1.0.0', greeting('"good"'))
        files = {'main.go': greets('example.com/changed').replace('"example', 'greeting "example'),
                 'go.mod': manifest('example.com/changed v1.0.0'),
                 'go.sum': self.proxy.sums(('example.com/changed', 'v1.0.0'))}
        self.proxy.tampered.add(('example.com/changed', 'v1.0.0'))
        self.assertIn('checksum mismatch', self.refused(files)['message'])
        self.proxy.tampered.clear()
        self.assertEqual('good', self.result(self.built(files)))

    def test_modules_and_versions_that_do_not_exist(self):
        error = self.refused({'main.go': greets('example.com/missing/greeting'), 'go.mod': manifest('example.com/missing v1.0.0')})
        self.assertEqual(('go.mod', 5), (error['file'], error['line']), error)
        self.assertIn('example.com/missing@v1.0.0 is not found', error['message'])
        error = self.refused(code=greets(), dependencies=['example.com/greeting@v1.9.0'])
        self.assertIn('no such version of example.com/greeting@v1.9.0', error['message'])
        self.assertFalse(error.get('file'), error)

    def test_dependencies_that_make_no_sense(self):
        answer = self.create('go', code=greets(), handler='handler', dependencies=['left pad'])
        self.assertEqual(422, answer.status, answer)
        self.assertIn('left pad', answer.text)

    def test_a_proxy_that_does_not_answer(self):
        self.proxy.status = 503
        error = self.refused({'main.go': greets(), 'go.mod': manifest('example.com/greeting v1.0.0', module='offline')})
        self.assertIn('503', error['message'])

    def test_no_code_of_modules_runs(self):
        self.proxy.add('example.com/c', 'v1.0.0', {'c.go': 'package c\n\n// int x = 1;\nimport "C"\n\nfunc X() int { return int(C.x) }\n'})
        error = self.refused(code='package main\n\nimport "example.com/c"\n\nfunc handler() int { return c.X() }\n',
                             dependencies=['example.com/c'])
        self.assertIn('cgo', error['message'])


class Sharing(ProxyTest):
    """Equal locks share modules: nobody may decide for others what they are."""

    def test_settings_of_the_function_do_not_count(self):
        evil = GoProxy()
        self.addCleanup(evil.close)
        evil.add('example.com/wanted', 'v1.0.0', greeting('"evil"'))
        self.proxy.add('example.com/wanted', 'v1.0.0', greeting('"real"'))
        settings = f'GOPROXY={evil.url}\nGOFLAGS=-mod=mod\nGONOSUMDB=*\n'
        code = greets('example.com/wanted').replace('"example', 'greeting "example')
        files = {'main.go': code, 'go.mod': manifest('example.com/wanted v1.0.0')}
        attacker = self.built(
            {**files, 'go.env': settings, '.config/go/env': settings, '.netrc': 'machine 127.0.0.1 login a password b\n',
             'go.work': 'go 1.18\n\nuse .\n\nreplace example.com/wanted => ./own\n',
             'own/go.mod': manifest(module='example.com/wanted'), 'own/own.go': greeting('"evil"')['greeting.go']},
            environment={'GOPROXY': evil.url, 'GOFLAGS': '-mod=mod', 'GONOSUMDB': '*'})
        self.assertEqual(('real', []), (self.result(attacker), evil.asked))
        self.assertEqual('real', self.result(self.built(files)))

    def test_a_module_replaced_by_ones_own_is_nobody_elses(self):
        self.proxy.add('example.com/asked', 'v1.0.0', greeting('"real"'))
        self.proxy.add('example.com/evil', 'v1.0.0', greeting('"evil"'))
        code = greets('example.com/asked').replace('"example', 'greeting "example')
        attacker = self.built({'main.go': code, 'go.mod': manifest(
            'example.com/asked v1.0.0', replaces=['example.com/asked => example.com/evil v1.0.0'])})
        self.assertEqual('evil', self.result(attacker), 'its own choice')
        victim = self.built({'main.go': code, 'go.mod': manifest('example.com/asked v1.0.0')})
        self.assertEqual('real', self.result(victim))


class Silent(ProxyTest):
    """A proxy that takes connections and says nothing."""

    properties = {**ProxyTest.properties, 'executor.go.registry_timeout': 5}

    def test_it_is_named_and_an_old_lock_helps(self):
        code = greets()
        name = self.built(code=code, dependencies=['example.com/greeting'])
        self.proxy.open.clear()
        self.addCleanup(self.proxy.open.set)
        self.update(name, locks=None)
        self.assertEqual('two', self.result(name))
        self.assertIn('No module proxy answers', self.log_of(name, 2))
        error = self.refused(code=code, dependencies=['example.com/greeting@v1.0.0'])
        self.assertIn(f'{self.proxy.url[7:]} does not answer', error['message'])
        self.assertIn('executor.go.registry_timeout', error['message'])

    def test_a_download_may_be_slow(self):
        """It takes twice the time for which nothing at all may come."""
        self.proxy.add('example.com/slow', 'v1.0.0', {**greeting('"slow"'), 'data.bin': os.urandom(40_000)})
        self.proxy.pace = 1
        self.addCleanup(setattr, self.proxy, 'pace', 0)
        name = self.built(code=greets('example.com/slow').replace('"example', 'greeting "example'),
                          dependencies=['example.com/slow'])
        self.assertEqual('slow', self.result(name))


class Offline(ProxyTest):
    def test_what_was_locked_builds_without_the_proxy(self):
        code = greets()
        name = self.built(code=code, dependencies=['example.com/greeting'])
        self.proxy.status = 503
        self.update(name, code=code + '// changed\n')
        self.assertEqual('two', self.result(name))
        other = self.built(code=code + '// another function\n', dependencies=['example.com/greeting'])
        self.assertEqual('two', self.result(other))
        self.update(name, locks=None)
        self.assertEqual('two', self.result(name))


class WithoutNetwork(ProxyTest):
    properties = {'build.network': 'none'}

    def test_the_property_is_named(self):
        error = self.refused(code=greets(), dependencies=['example.com/greeting'])
        self.assertIn('build.network', error['message'])


class Registry(SystemTest):
    """The public proxy."""

    own_platform = True
    properties = {'build.network': 'host'}

    def test_a_public_module(self):
        self.needs('go')
        started = time.monotonic()
        answer = self.create('go', code='func handler() int { return len(uuid.NewString()) }\n', handler='handler',
                             dependencies=['github.com/google/uuid@v1.6.0'])
        if answer.status == 422 and 'could not be' in answer.text:
            raise unittest.SkipTest(f'the public module proxy does not answer: {answer.json["errors"][0]["message"]}')
        self.assertEqual(201, answer.status, answer)
        self.assertEqual(36, self.result(answer.json['name']), time.monotonic() - started)


if __name__ == '__main__':
    unittest.main()
