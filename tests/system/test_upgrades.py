"""A patch release of a language's toolchain: what is installed serves on, so that new code with old dependencies needs no
registry. The toolchains are this machine's own, behind programs that call themselves later ones."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from go_proxy import GoProxy
from platform_fixture import BINARY, SOURCE, OwnPlatformTest
from python_index import HANDLER, NO_SETTINGS, Index, module

sys.path.insert(0, str(SOURCE / 'tests' / 'contract' / 'node_executor'))
from npm_registry import Registry  # noqa: E402

# Only what asks for the version gets another answer.
NODE = '''#!/bin/sh
exec {real} -r {folder}/later.js "$@"
'''
LATER_JS = '''
Object.defineProperty(process, "versions", { value: { ...process.versions, node: %s } });
'''
PYTHON = '''#!/bin/bash
given=()
for argument in "$@"; do
    [ "${{given[-1]:-}}" = -c ] && argument="import sys; sys.version_info = {version}"$'\\n'"$argument"
    given+=("$argument")
done
exec -a "$0" {real} "${{given[@]}}"
'''
GO = '''#!/bin/sh
[ "$1" = version ] && echo go version go{version} linux/amd64 && exit
exec {real} "$@"
'''


def later(version):
    """"3.11.2" to "3.11.99"."""
    return '.'.join([*version.split('.')[:2], '99'])


class PatchReleases(OwnPlatformTest):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='cloudfunction-later-'))
        self.addCleanup(shutil.rmtree, self.folder)
        self.folder.chmod(0o755)

    def program(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def started(self, environment, data=None, **properties):
        properties = {'build.network': 'host', **properties}
        return self.start(properties, environment=environment, **({'data': data} if data else {}))

    def toolchain(self, runtime):
        """(version, path) of what the platform found."""
        self.needs(runtime)
        log = self.get('/api/health').json['executors'][runtime]['detail']
        return re.match(r'[\d.]+', log)[0]

    def upgraded(self, first, environment, runtime, **properties):
        """The platform of `first`'s data with other toolchains."""
        before = self.toolchain(runtime)
        self.stop(first)
        self.started(environment, first.home, **properties)
        self.assertEqual(later(before), self.toolchain(runtime))

    def saved_offline(self, name, code):
        answer = self.call('PATCH', f'/api/v1/functions/{name}', {'code': code})
        self.assertEqual(200, answer.status, answer)
        self.assertEqual(2, answer.json['version'])

    def test_node(self):
        registry = Registry()
        self.addCleanup(registry.close)
        registry.add('left', '1.0.0', 'module.exports = "left";')
        (self.folder / '.npmrc').write_text(f'registry={registry.url}\n')
        environment = {'HOME': self.folder, 'npm_config_registry': ''}
        first = self.started(environment)
        version = self.toolchain('node')
        code = 'const left = require("left");\nfunction handler() { return left; }\n'
        name = self.function('node', code, dependencies=['left'])
        registry.close()
        (self.folder / 'later.js').write_text(LATER_JS % json.dumps(later(version)))
        node = self.program('node', NODE.format(real=shutil.which('node'), folder=self.folder))
        self.upgraded(first, environment, 'node', **{'executor.node.path': node})
        self.saved_offline(name, code.replace('return left', 'return left + " again"'))
        self.assertEqual('left again', self.result(name))

    def test_python(self):
        index = Index()
        self.addCleanup(index.close)
        index.add(module('steady', '1.0'))
        environment = {**NO_SETTINGS, 'PIP_INDEX_URL': index.url()}
        first = self.started(environment)
        version = self.toolchain('python')
        name = self.function('python', HANDLER.format('steady'), dependencies=['steady'])
        index.close()
        real = subprocess.run(['python3', '-c', 'import os, sys; print(os.path.realpath(sys._base_executable))'],
                              capture_output=True, text=True, check=True, cwd='/').stdout.strip()
        parts = [int(part) for part in later(version).split('.')]
        python = self.program('python3', PYTHON.format(real=real, version=(*parts, 'final', 0)))
        self.upgraded(first, environment, 'python', **{'executor.python.path': python})
        self.saved_offline(name, HANDLER.format('steady') + '# again\n')
        self.assertEqual('1.0', self.result(name))

    def test_go(self):
        proxy = GoProxy()
        self.addCleanup(proxy.close)
        proxy.add('example.com/greeting', 'v1.0.0', {'greeting.go': 'package greeting\n\nconst Word = "Hello"\n'})
        environment = {'HOME': self.folder, 'GOPROXY': proxy.url, 'GONOSUMDB': '*', 'NO_PROXY': '127.0.0.1'}
        first = self.started(environment)
        version = self.toolchain('go')
        code = 'func handler() string { return greeting.Word }\n'
        name = self.function('go', code, dependencies=['example.com/greeting@v1.0.0'])
        self.assertEqual('Hello', self.result(name))
        proxy.close()
        real = shutil.which('go') or '/usr/local/go/bin/go'
        go = self.program('go', GO.format(real=real, version=later(version)))
        # As the first build with that Go would make them, in a minute.
        toolsets = pathlib.Path(BINARY).parent.parent / 'executors/go/toolsets'
        shutil.copytree(toolsets / f'go{version}', self.folder / f'go{later(version)}')
        self.upgraded(first, environment, 'go', **{'executor.go.path': go, 'executor.go.cache': self.folder})
        self.saved_offline(name, code.replace('greeting.Word', 'greeting.Word + "!"'))
        self.assertEqual('Hello!', self.result(name))
        log = self.get(f'/api/v1/functions/{name}/versions/2/build-log').text
        self.assertNotIn('Fetching modules', log)
        self.assertIn('compiled example.com/greeting', log)
