"""The Node.js worker against the worker protocol and the function contract: what test_node_*.py share.

    python3 -m unittest test_node_calls            (in this folder)

Runs with the `node` on PATH, and with every binary that CLOUDFUNCTION_TEST_NODES lists, separated by ':'.
"""
import os
import shutil
import subprocess
import tempfile
import unittest

from harness import Shim

HERE = os.path.dirname(os.path.abspath(__file__))
WORKER = os.path.join(HERE, '..', '..', '..', 'plugins', 'node', 'worker', 'worker.js')
FLAGS = ['--v8-pool-size=2', '--experimental-vm-modules']

CONTRACT = '''function handler(event, context) {
    return { message: "Hello from Node.js", event: event };
}

async function fetchData(event, context) {
    const axios = require('axios');
    try {
        const response = await axios.get('https://api.example.com/data');
        return { success: true, data: response.data };
    } catch (error) {
        return { success: false, error: error.message };
    }
}
'''


def version_of(node):
    return tuple(int(part) for part in
                 subprocess.check_output([node, '-p', 'process.versions.node'], text=True).strip().split('.'))


class Base:
    node = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='node-shim-')
        self.addCleanup(shutil.rmtree, self.folder)

    def shim(self, **options):
        shim = Shim([self.node] + FLAGS + [WORKER], **options)
        self.addCleanup(shim.close)
        return shim

    def write(self, files):
        for name, content in files.items():
            path = os.path.join(self.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(content)

    def loaded(self, source, handler='handler', **options):
        """A shim that has loaded `source`: the text of index.js, or a dict of files."""
        self.write(source if isinstance(source, dict) else {'index.js': source})
        shim = self.shim()
        answer = shim.load(self.folder, handler, **options)
        self.assertTrue(answer.ok, answer)
        return shim

    def failure(self, source, handler='handler', **options):
        """The error document of a LOAD that fails."""
        self.write(source if isinstance(source, dict) else {'index.js': source})
        shim = self.shim()
        answer = shim.load(self.folder, handler, **options)
        self.assertEqual('LOAD_FAILED', answer.type, answer)
        return answer.document


def every_node(module):
    """`load_tests` of a module: its cases with every Node.js."""
    def load_tests(loader, _tests, _pattern):
        suite = unittest.TestSuite()
        nodes = [shutil.which('node')] + os.environ.get('CLOUDFUNCTION_TEST_NODES', '').split(':')
        for node in filter(None, nodes):
            name = 'Node' + '_'.join(map(str, version_of(node)))
            for base in Base.__subclasses__():
                if base.__module__ == module:
                    suite.addTests(loader.loadTestsFromTestCase(
                        type(name + base.__name__, (base, unittest.TestCase), {'node': node, '__module__': module})))
        if not any(nodes):
            print('skipped: there is no node on PATH')
        return suite
    return load_tests
