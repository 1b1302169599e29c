"""The start of a Python worker."""
import glob
import os
import shutil
import subprocess
import time
import unittest

import harness
from python_shim import SHIM, ShimCase, every_interpreter


class Start(ShimCase):
    """What a start costs is what it does not do."""

    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.folder, 'shim')
        os.mkdir(self.home)
        for part in glob.glob(os.path.join(os.path.dirname(SHIM), '*.py')):
            shutil.copy(part, self.home)

    def compiled(self, what):
        tool = os.path.join(self.home, 'compiled.py')
        return subprocess.run([self.python, '-I', '-S', '-B', tool, what, self.home], stdout=subprocess.PIPE,
                              check=True).stdout.decode().strip()

    def test_nothing_is_imported_that_a_function_may_not_want(self):
        self.write('import sys\ndef handler(): return sorted(sys.modules)\n')
        shim = self.start()
        shim.send('LOAD', 0, harness.encode_items([('ARTIFACT', self.folder), ('HANDLER', 'handler')]))
        loaded = {name.partition('.')[0] for name in shim.invoke().value}
        self.assertEqual(loaded & {
            'argparse', 'ast', 'asyncio', 'collections', 'contextlib', 'copyreg', 'enum', 'functools', 'heapq', 'importlib',
            'inspect', 'json', 'keyword', 'logging', 'operator', 're', 'reprlib', 'site', 'socket', 'threading', 'tokenize',
            'traceback', 'types', 'typing', 'warnings', 'weakref'} - self._by_itself(), set())

    def _by_itself(self):
        """What this interpreter imports before it runs anything."""
        said = subprocess.run([self.python, '-I', '-S', '-X', 'utf8', '-c', 'import sys; print(*sys.modules)'],
                              stdout=subprocess.PIPE, check=True).stdout.decode()
        return {name.partition('.')[0] for name in said.split()}

    def test_garbage_is_collected_in_functions(self):
        self.assertIs(self.result('import gc\ndef handler(): return gc.isenabled()\n'), True)

    def test_one_that_waits_imports_what_most_functions_want(self):
        self.write('import sys\nfound = "json" in sys.modules\ndef handler(): return found\n')
        deadline = time.monotonic() + 20
        shim = self.start()
        shim.hello()
        # Until it is in read(3), which is call 0 or, on other processors, 63; before the imports it is in select.
        while time.monotonic() < deadline:
            with open('/proc/%d/syscall' % shim.pid) as call:
                if call.read().split()[:2] in (['0', '0x3'], ['63', '0x3']):
                    break
            time.sleep(0.01)
        shim.load(self.folder, 'handler')
        self.assertIs(shim.invoke().value, True)

    def test_compiled_parts_are_used_and_their_sources_are_not_read(self):
        self.assertEqual(self.compiled('find'), 'worker.py')
        self.compiled('write')
        program = os.path.join(self.home, self.compiled('find'))
        self.assertTrue(program.endswith('.pyc'), program)
        for part in glob.glob(self.home + '/*.py'):
            os.remove(part)
        self.write('async def handler(event): print("hello"); return event["missing"]\n')
        shim = harness.Shim([self.python, '-I', '-S', '-B', '-X', 'utf8', program])
        self.addCleanup(shim.close)
        self.assertEqual(shim.check('main.py', 'def f(:')[0]['line'], 1)
        self.assertTrue(shim.load(self.folder, 'handler').ok)
        answer = shim.invoke()
        self.assertEqual((answer.error, answer.text()), ('KeyError', 'hello\n'))
        self.assertEqual(shim.stop(), 0)

    def test_parts_that_do_not_fit_are_not_used(self):
        self.compiled('write')
        program = os.path.join(self.home, self.compiled('find'))
        wire = program.replace('worker.', 'wire.')
        with open(wire, 'rb') as file:
            good = file.read()
        for bad in (b'\0' + good[1:], good[:9] + bytes([good[9] ^ 1]) + good[10:], good[:4] + b'\0' + good[5:], b''):
            with open(wire, 'wb') as file:
                file.write(bad)
            self.assertEqual(self.compiled('find'), 'worker.py')
        os.remove(wire)
        self.assertEqual(self.compiled('find'), 'worker.py')
        self.compiled('write')
        self.assertNotEqual(self.compiled('find'), 'worker.py')
        with open(os.path.join(self.home, 'errors.py'), 'a') as file:
            file.write('\n')
        self.assertEqual(self.compiled('find'), 'worker.py')

    def test_sources_that_were_compiled_ahead_are_not_compiled_again(self):
        self.write({'main.py': 'from parts.deep import value\nfound = 1\ndef handler(event): return [found, value]\n',
                    'parts/__init__.py': '', 'parts/deep.py': 'value = 2\n', 'parts/broken.py': 'def f(:\n',
                    'parts/raises.py': 'def fail():\n    raise KeyError(1)\n'})
        tool = os.path.join(os.path.dirname(SHIM), '..', 'packages', 'compile_sources.py')
        said = subprocess.run([self.python, '-I', '-S', '-B', '-W', 'ignore', tool, self.folder, self.folder],
                              stdout=subprocess.PIPE, check=True).stdout.decode()
        self.assertIn('parts/broken.py is not compiled ahead', said)
        for name in ('main.py', 'parts/deep.py'):
            path = os.path.join(self.folder, name)
            with open(path) as file:
                source = file.read()
            with open(path, 'w') as file:
                file.write(source.replace('= 1', '= 10').replace('= 2', '= 20'))
        shim = self.start()
        self.assertTrue(shim.load(self.folder, 'handler').ok)
        self.assertEqual(shim.invoke().value, [1, 2])

    def test_errors_of_compiled_sources_name_the_files_of_the_function(self):
        self.write('def handler(event):\n    raise KeyError(1)\n')
        tool = os.path.join(os.path.dirname(SHIM), '..', 'packages', 'compile_sources.py')
        elsewhere = os.path.join(self.folder, 'artifact')
        subprocess.run([self.python, '-I', '-S', '-B', tool, self.folder, elsewhere], check=True)
        shutil.copy(os.path.join(self.folder, 'main.py'), elsewhere)
        shim = self.start()
        self.assertTrue(shim.load(elsewhere, 'handler').ok)
        document = shim.invoke().document
        self.assertEqual((document['file'], document['line']), ('main.py', 2))
        self.assertIn('raise KeyError(1)', document['stack'][-1])


load_tests = every_interpreter(__name__)

if __name__ == '__main__':
    unittest.main()
