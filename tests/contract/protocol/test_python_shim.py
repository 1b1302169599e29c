"""The Python shim on every interpreter at hand: what a function may rely on, and what none of them can break.

Interpreters: the `python3` of /usr/bin and PATH, and the oldest and newest from 3.7 on that `pyenv` keeps. All that are
there with CLOUDFUNCTION_PYTHONS=all; others with their paths in it, colons between.
"""
import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import textwrap
import time
import unittest

import harness

SHIM = os.environ.get('CLOUDFUNCTION_PYTHON_SHIM') or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), '..', '..', '..', 'plugins', 'python', 'worker', 'worker.py')
SHIM = os.path.abspath(SHIM)
ECHO = 'def handler(event, context):\n    return event\n'


def _interpreters():
    """{version: path} of every interpreter that the platform would take."""
    named = os.environ.get('CLOUDFUNCTION_PYTHONS')
    if named and named != 'all':
        paths = named.split(':')
    else:
        paths = ['/usr/bin/python3', shutil.which('python3') or '']
        if shutil.which('pyenv'):
            root = subprocess.run(['pyenv', 'root'], stdout=subprocess.PIPE, check=False).stdout.decode().strip()
            paths += sorted(glob.glob(root + '/versions/3.*/bin/python3'))
    found = {}
    for path in paths:
        if not os.access(path, os.X_OK):
            continue
        said = subprocess.run([path, '-I', '-S', '-c', 'import sys; print(*sys.version_info[:3], sys.executable)'],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode().split()
        if len(said) == 4 and (int(said[0]), int(said[1])) >= (3, 7):
            found['.'.join(said[:3])] = said[3]
    versions = sorted(found, key=_numbers)
    if not named and len(versions) > 2:
        keep = {versions[0], versions[-1]} | {version for version in versions if found[version].startswith('/usr/')}
        found = {version: found[version] for version in keep}
    return found


def _numbers(version):
    return tuple(int(number) for number in version.split('.'))


class ShimCase(unittest.TestCase):
    python = None
    version = (0, 0)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='cloudfunction-shim-')
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, flags=('-I', '-S', '-B', '-X', 'utf8'), environment=None):
        shim = harness.Shim([self.python, *flags, SHIM], environment)
        self.addCleanup(shim.close)
        return shim

    def write(self, files):
        if isinstance(files, str):
            files = {'main.py': files}
        for name, source in files.items():
            path = os.path.join(self.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(textwrap.dedent(source))

    def load(self, files, handler='handler', **options):
        """A shim with the function loaded."""
        self.write(files)
        shim = self.start()
        answer = shim.load(self.folder, handler, **options)
        self.assertTrue(answer.ok, answer)
        return shim

    def refuse(self, files, handler='handler', **options):
        """The error document of a function that cannot be loaded."""
        self.write(files)
        shim = self.start()
        answer = shim.load(self.folder, handler, **options)
        self.assertEqual(answer.type, 'LOAD_FAILED', answer)
        self.assertEqual(shim.wait(), 0)
        return answer.document

    def result(self, files, event=b'{}', context=b'{}', handler='handler', **options):
        answer = self.load(files, handler, **options).invoke(event, context)
        self.assertTrue(answer.ok, answer)
        return answer.value


class Contract(ShimCase):
    """The examples that users are promised."""

    def test_hello(self):
        source = '''
            def handler(event, context):
                return {'message': 'Hello from Python', 'event': event}
        '''
        self.assertEqual(self.result(source, {'name': 'Ada'}),
                         {'message': 'Hello from Python', 'event': {'name': 'Ada'}})

    def test_analyze_data(self):
        source = '''
            def analyze_data(event, context):
                import statistics
                data = event.get('data', [])
                if not data:
                    return {'error': 'No data provided'}
                return {'mean': statistics.mean(data), 'median': statistics.median(data),
                        'mode': statistics.mode(data), 'stdev': statistics.stdev(data)}
        '''
        shim = self.load(source, 'analyze_data')
        self.assertEqual(shim.invoke({'data': [1, 2, 2, 3]}).value,
                         {'mean': 2, 'median': 2, 'mode': 2, 'stdev': 0.816496580927726})
        self.assertEqual(shim.invoke({}).value, {'error': 'No data provided'})

    def test_async(self):
        source = '''
            import asyncio
            async def handler(event, context):
                await asyncio.sleep(0.001)
                return {'got': event, 'who': context.user}
        '''
        self.assertEqual(self.result(source, {'a': 1}, {'user': 'ada'}), {'got': {'a': 1}, 'who': 'ada'})

    def test_several_files(self):
        files = {'api.py': 'from tools.text import shout\ndef run(event): return shout(event["word"])\n',
                 'tools/__init__.py': '', 'tools/text.py': 'def shout(word): return word.upper() + "!"\n'}
        self.assertEqual(self.result(files, {'word': 'hey'}, handler='api.run'), 'HEY!')

    def test_handler_in_a_package(self):
        files = {'pkg/__init__.py': '', 'pkg/mod.py': 'from . import other\ndef f(event): return other.X\n',
                 'pkg/other.py': 'X = 5\n'}
        self.assertEqual(self.result(files, handler='pkg.mod.f'), 5)

    def test_one_file_of_any_name(self):
        self.assertEqual(self.result({'report.py': ECHO}, b'[1]'), [1])

    def test_context_by_attribute_and_as_mapping(self):
        source = '''
            def handler(event, context):
                assert isinstance(context, dict)
                assert context.user == context['user'] == context.get('user')
                assert not hasattr(context, 'nothing')
                return dict(context)
        '''
        got = self.load(source, name='orders', version=7, memory_mb=256).invoke(
            {}, {'user': 'ada', 'function_name': 'forged'}, invocation_id='i-9', request_id='r-9', deadline_ms=1234)
        self.assertEqual(got.value, {'user': 'ada', 'function_name': 'orders', 'function_version': 7,
                                     'memory_limit_mb': 256, 'invocation_id': 'i-9', 'request_id': 'r-9',
                                     'deadline_ms': 1234})

    def test_context_of_the_caller_keeps_its_request_id(self):
        source = 'def handler(event, context): return context.request_id, context["invocation_id"]\n'
        answer = self.load(source).invoke({}, {'request_id': 'mine'}, invocation_id='i', request_id='theirs')
        self.assertEqual(answer.value, ['mine', 'i'])

    def test_context_in_a_result(self):
        self.assertEqual(self.result('import json\ndef handler(e, c): return json.loads(json.dumps(c)) == c\n'), True)

    def test_environment(self):
        source = '''
            import os, subprocess, time
            AT_LOAD = os.environ['GREETING']
            def handler(event):
                return [AT_LOAD, os.environ['A'], os.getenvb(b'GREETING').decode(), time.tzname[0],
                        subprocess.check_output(['/bin/sh', '-c', 'echo $A']).decode().strip()]
        '''
        self.assertEqual(self.result(source, environment={'GREETING': 'grüß', 'A': 'b=c', 'TZ': 'XYZ-2'}),
                         ['grüß', 'b=c', 'grüß', 'XYZ', 'b=c'])

    def test_start_time_environment(self):
        self.write('import sys\ndef handler(): return [hash("a"), sys.flags.hash_randomization]\n')
        values = []
        for _ in range(2):
            shim = self.start(('-s', '-S', '-B'), {'PYTHONHASHSEED': '0', 'PATH': '/usr/bin'})
            self.assertTrue(shim.load(self.folder, 'handler', {'PYTHONHASHSEED': '0'}).ok)
            values.append(shim.invoke().value)
        self.assertEqual(values[0], values[1])
        self.assertEqual(values[0][1], 0)

    def test_python_path(self):
        files = {'main.py': 'import deep\ndef handler(): return deep.X\n', 'vendor/deep.py': 'X = 3\n'}
        self.assertEqual(self.result(files, environment={'PYTHONPATH': self.folder + '/vendor'}), 3)

    def test_own_files_by_relative_path(self):
        files = {'main.py': 'def handler(): return open("data/x.txt").read()\n', 'data/x.txt': 'grüß'}
        self.assertEqual(self.result(files), 'grüß')

    def test_only_the_standard_library_is_there(self):
        source = 'import sys\ndef handler(): return [p for p in sys.path if "-packages" in p]\n'
        self.assertEqual(self.result(source), [])


class Arguments(ShimCase):
    def test_as_many_as_the_handler_takes(self):
        cases = {
            'def handler(): return "none"': 'none',
            'def handler(event): return event': 1,
            'def handler(event, context): return [event, context.function_name]': [1, 'test-function'],
            'def handler(event, context=None, more=3): return [event, context is None, more]': [1, False, 3],
            'def handler(*all): return len(all)': 2,
            'def handler(event, *rest): return len(rest)': 1,
            'def handler(event, **rest): return sorted(rest)': [],
            'def handler(event, *, flag=True): return flag': True,
            'handler = lambda event: event + 1': 2,
            'class A:\n    def m(self, event): return event\nhandler = A().m': 1,
            'class A:\n    def __call__(self, event): return event\nhandler = A()': 1,
            'class A:\n    @classmethod\n    def m(cls, event): return event\nhandler = A.m': 1,
            'class A:\n    @staticmethod\n    def m(event): return event\nhandler = A.m': 1,
            'import functools\ndef f(a, event): return [a, event]\nhandler = functools.partial(f, 0)': [0, 1],
            'import functools\ndef d(f):\n    @functools.wraps(f)\n    def w(*a, **k): return f(*a, **k)\n'
            '    return w\n@d\ndef handler(event): return event': 1,
            'import functools\n@functools.lru_cache(None)\ndef handler(event): return event': 1,
            'import functools\ndef f(a, event): return [a, event]\n'
            'handler = functools.update_wrapper(functools.partial(f, 0), f)': [0, 1],
        }
        for source, expected in cases.items():
            with self.subTest(source):
                self.assertEqual(self.result(source + '\n', b'1'), expected)

    def test_the_outermost_callable_decides(self):
        def decorator(parameters, result):
            return ('import asyncio, functools\ndef wraps(inner):\n    @functools.wraps(inner)\n'
                    '    def outer(%s): return %s\n    return outer\n' % (parameters, result))
        pass_on = decorator('*given, **named', 'inner(*given, **named)')
        cases = {
            decorator('event, context', 'inner(event, context, "more")') +
            '@wraps\ndef handler(event, context, more): return [event, more]': [1, 'more'],
            decorator('event, context', 'inner(event)') + '@wraps\ndef handler(event): return event': 1,
            decorator('*given', 'inner(given[0], *given)') +
            '@wraps\ndef handler(first, event, context): return [first, event]': [1, 1],
            decorator('event, *rest', 'inner(event, *rest)') + '@wraps\ndef handler(event): return event': 1,
            pass_on + '@wraps\n@wraps\ndef handler(): return "none"': 'none',
            pass_on + 'class A:\n    @wraps\n    def m(self, event, context): return [event, len(context)]\n'
            'handler = A().m': [1, 6],
            pass_on + 'class A:\n    @wraps\n    def m(self): return "none"\nhandler = A().m': 'none',
            pass_on + 'class A:\n    @classmethod\n    @wraps\n    def m(cls, event): return event\n'
            'handler = A.m': 1,
            pass_on + 'class A:\n    @wraps\n    def __call__(self, event): return event\nhandler = A()': 1,
            'import functools\nclass A:\n    def __init__(self, f): functools.update_wrapper(self, f)\n'
            '    def __call__(self, *given): return self.__wrapped__(*given)\n'
            '@A\ndef handler(event): return event': 1,
            pass_on + '@wraps\ndef f(a, event): return [a, event]\nhandler = functools.partial(f, 0)': [0, 1],
            decorator('*given', 'asyncio.run(inner(*given))') + '@wraps\nasync def handler(event): return event': 1,
        }
        for source, expected in cases.items():
            for concurrency in (1, 2):
                with self.subTest(source, concurrency=concurrency):
                    self.assertEqual(self.result(source + '\n', b'1', concurrency=concurrency), expected)

    def test_what_cannot_be_called_is_refused(self):
        for source in ('def handler(a, b, c): pass', 'def handler(event, *, key): pass'):
            with self.subTest(source):
                self.assertEqual(self.refuse(source + '\n')['type'], 'HandlerSignature')


class Events(ShimCase):
    def test_every_json_value_comes_and_goes(self):
        shim = self.load(ECHO)
        for value in (None, True, False, 0, -1, 2 ** 70, 1.5, 1e300, '', 'ü€😀\u2028\x00"\\', [], {}, [[], {}],
                      {'': {'a': [None]}}, {'\u00e9': 'e'}):
            with self.subTest(value=value):
                self.assertEqual(shim.invoke(json.dumps(value).encode()).value, value)
                self.assertEqual(shim.invoke(json.dumps(value, ensure_ascii=False).encode()).value, value)

    def test_white_space_around(self):
        self.assertEqual(self.load(ECHO).invoke(b' \r\n\t[1] \n', b' {} ').value, [1])

    def test_nothing_is_an_empty_object(self):
        shim = self.load('def handler(event, context): return [event, len(context)]\n')
        self.assertEqual(shim.invoke(b'', b'').value, [{}, 6])

    def test_large_event(self):
        text = 'x' * (10 * 1024 * 1024)
        answer = self.load('def handler(event): return len(event)\n').invoke(json.dumps(text).encode())
        self.assertEqual(answer.value, len(text))

    def test_what_the_language_cannot_read_is_an_error(self):
        shim = self.load(ECHO)
        deep = b'[' * 200000 + b']' * 200000
        self.assertEqual(shim.invoke(deep).error, 'RecursionError')
        self.assertIn(shim.invoke(b'1' * 100000).error, ('ValueError', None))
        self.assertEqual(shim.invoke(b'{"a":1}').value, {'a': 1})

    def test_integer_of_more_digits_than_the_language_reads_is_named(self):
        if not self.result('import sys\ndef handler(): return hasattr(sys, "set_int_max_str_digits")\n'):
            self.skipTest('this interpreter has no limit')
        digits = b'-' + b'7' * 5000
        for prefix, concurrency in (('', 1), ('', 2), ('async ', 1)):
            shim = self.load(prefix + 'def handler(event, context): return event\n', concurrency=concurrency)
            answer = shim.invoke(b' {"a": [1, {"b": %s}], "c": 2}' % digits)
            self.assertEqual(answer.error, 'ValueError')
            self.assertIn("the event['a'][1]['b'] is an integer of 5000 digits", answer.document['message'])
            answer = shim.invoke(b'{}', b'{"user": %s}' % digits)
            self.assertIn("the context['user'] is an integer of 5000 digits", answer.document['message'])
            self.assertEqual(shim.invoke(b'[%s]' % digits[:4000]).value, [int(digits[:4000])])
        source = 'import sys\nsys.set_int_max_str_digits(0)\ndef handler(event): return event[0] % 1000\n'
        self.assertEqual(self.result(source, b'[%s]' % digits), 223)
        shim = self.load('def handler(event): return {"a": [10 ** 5000] if event else {10 ** 5000: 1}}\n')
        for event, where in ((b'1', "the result['a'][0] is an integer"), (b'0', "the result['a'] has a key that is")):
            answer = shim.invoke(event)
            self.assertEqual(answer.error, 'ResultNotJson')
            self.assertIn(where, answer.document['message'])
            self.assertIn('too many digits', answer.document['message'])

    def test_caller_context_that_is_no_object(self):
        self.assertEqual(self.load('def handler(e, c): return c.context\n').invoke({}, b'[1]').value, [1])


class Loading(ShimCase):
    def test_syntax_error(self):
        document = self.refuse('def handler(event):\n    return (1\n\nx = = 2\n')
        self.assertEqual((document['type'], document['file']), ('SyntaxError', 'main.py'))
        self.assertGreater(document['line'], 1)
        self.assertGreaterEqual(document['column'], 1)

    def test_syntax_error_in_an_imported_file(self):
        document = self.refuse({'main.py': 'import helper\ndef handler(): pass\n', 'helper.py': 'x = 1\nif x\n'})
        self.assertEqual((document['type'], document['file'], document['line']), ('SyntaxError', 'helper.py', 2))

    def test_missing_module(self):
        document = self.refuse('import os\nimport requests\ndef handler(): pass\n')
        self.assertEqual((document['type'], document['file'], document['line']),
                         ('ModuleNotFoundError', 'main.py', 2))
        self.assertIn('requests', document['message'])
        self.assertIn('requests', document['hint'])
        self.assertIn('"files"', document['hint'])

    def test_missing_module_in_the_handler(self):
        answer = self.load('def handler():\n    import numpy.linalg\n').invoke()
        self.assertEqual(answer.error, 'ModuleNotFoundError')
        self.assertIn('module numpy is not in the standard library', answer.document['hint'])

    def test_name_that_a_module_lacks(self):
        document = self.refuse('from os import nothing_such\ndef handler(): pass\n')
        self.assertEqual((document['type'], document['line']), ('ImportError', 1))

    def test_relative_import_at_the_top(self):
        document = self.refuse({'main.py': 'from . import helper\ndef handler(): pass\n', 'helper.py': ''})
        self.assertEqual(document['type'], 'ImportError')
        self.assertIn('import name', document['hint'])

    def test_import_that_raises(self):
        document = self.refuse({'main.py': 'import helper\ndef handler(): pass\n',
                                'helper.py': 'def f():\n    return {}["key"]\nf()\n'})
        self.assertEqual((document['type'], document['file'], document['line']), ('KeyError', 'helper.py', 2))
        self.assertEqual([entry.split('\n')[0] for entry in document['stack']],
                         ['File "main.py", line 1, in <module>', 'File "helper.py", line 3, in <module>',
                          'File "helper.py", line 2, in f'])

    def test_import_that_raises_half_a_character(self):
        document = self.refuse('raise ValueError("half \\ud83d of it")\n')
        self.assertEqual((document['type'], document['line']), ('ValueError', 1))

    def test_import_that_exits(self):
        document = self.refuse('import sys\nsys.exit("bye")\n')
        self.assertEqual(document['type'], 'SystemExit')
        self.assertIn('bye', document['message'])

    def test_import_that_prints(self):
        self.write('print("loading")\nraise ValueError("x")\n')
        shim = self.start()
        answer = shim.load(self.folder, 'handler')
        self.assertEqual((answer.error, answer.text()), ('ValueError', 'loading\n'))

    def test_import_that_prints_without_end(self):
        self.write('for _ in range(200000): print("x" * 5000)\n' + ECHO)
        shim = self.start()
        answer = shim.load(self.folder, 'handler')
        self.assertTrue(answer.ok)
        self.assertLess(len(answer.text()), 4 * 1024 * 1024)
        self.assertIn('output cut', answer.text())

    def test_handler_not_found(self):
        document = self.refuse('def one(): pass\ndef two(): pass\nclass C: pass\nfrom os import getcwd\n', 'three')
        self.assertEqual(document['type'], 'HandlerNotFound')
        self.assertIn('"three" in main.py', document['message'])
        self.assertEqual(document['hint'], 'functions in main.py: one, two')

    def test_handler_that_is_no_function(self):
        document = self.refuse('handler = {"a": 1}\n')
        self.assertEqual(document['type'], 'HandlerNotFound')
        self.assertIn('of type dict', document['message'])

    def test_file_not_found(self):
        self.assertIn('no file api.py', self.refuse(ECHO, 'api.handler')['message'])

    def test_which_file(self):
        document = self.refuse({'a.py': ECHO, 'b.py': ECHO})
        self.assertEqual(document['type'], 'HandlerNotFound')
        self.assertIn('"a.handler"', document['hint'])

    def test_names_of_the_standard_library_and_of_the_shim(self):
        for name in ('json', 'threading', 'wire', 'output', 'concurrent', 'worker', 'errors', 'types'):
            with self.subTest(name):
                self.assertEqual(self.result({name + '.py': 'def handler(event): return "mine"\n'},
                                             handler=name + '.handler'), 'mine')

    def test_names_of_modules_inside_the_interpreter(self):
        document = self.refuse({'time.py': ECHO}, 'time.handler')
        self.assertIn('another name', document['hint'])

    def test_the_module_is_a_module(self):
        source = '''
            import sys
            from dataclasses import dataclass
            import pickle
            @dataclass
            class Point:
                x: int
            def handler(event):
                assert sys.modules[__name__].Point is Point
                return [__name__, __file__.rsplit('/', 1)[1], pickle.loads(pickle.dumps(Point(3))).x]
        '''
        self.assertEqual(self.result(source), ['main', 'main.py', 3])


class Errors(ShimCase):
    def error(self, source, event=b'{}', **options):
        shim = self.load(source, **options)
        answer = shim.invoke(event)
        self.assertEqual(answer.type, 'ERROR', answer)
        self.assertIsNotNone(answer.run_ns)
        self.assertTrue(shim.invoke(b'"again"').type in ('RESULT', 'ERROR'))
        return answer.document

    def test_own_frames_only(self):
        document = self.error({'main.py': '''\
            import helper
            def handler(event):
                return helper.parse('{')
            ''', 'helper.py': '''\
            import json
            def parse(text):
                return json.loads(text)
            '''})
        self.assertEqual(document['type'], 'JSONDecodeError')
        self.assertEqual(document['stack'], ['File "main.py", line 3, in handler\n    return helper.parse(\'{\')',
                                             'File "helper.py", line 3, in parse\n    return json.loads(text)'])
        self.assertEqual((document['file'], document['line']), ('helper.py', 3))
        self.assertNotIn(self.folder, json.dumps(document))

    def test_traceback_module_sees_the_source(self):
        source = '''\
            import traceback
            def handler(event):
                try:
                    1 / 0
                except ZeroDivisionError:
                    return traceback.format_exc()
        '''
        self.assertIn('line 4, in handler\n    1 / 0', self.result(source))

    def test_exits(self):
        self.assertEqual(self.error('import sys\ndef handler(): sys.exit(3)\n')['type'], 'SystemExit')
        self.assertEqual(self.error('def handler(): exit()\n')['type'], 'SystemExit')
        self.assertEqual(self.error('def handler(): raise KeyboardInterrupt\n')['type'], 'KeyboardInterrupt')

    def test_endless_recursion(self):
        document = self.error('def handler(event):\n    return handler(event)\n')
        self.assertEqual(document['type'], 'RecursionError')
        self.assertLess(len(document['stack']), 60)
        self.assertIn('more frames', '\n'.join(document['stack']))

    def test_odd_exceptions(self):
        document = self.error('class E(Exception):\n    def __str__(self): raise ValueError\n'
                              'def handler(): raise E()\n')
        self.assertEqual(document['type'], 'E')
        document = self.error('def handler(): raise ValueError("x" * 10000000)\n')
        self.assertEqual(document['type'], 'ValueError')
        document = self.error('def handler(): raise ValueError("half \\ud83d of it")\n')
        self.assertIn('half', document['message'])
        document = self.error('def handler(): raise ValueError("\\x00\\x01" * 8000)\n')
        self.assertEqual(document['type'], 'ValueError')
        document = self.error('class E(BaseException): pass\ndef handler(): raise E("base")\n')
        self.assertEqual((document['type'], document['message']), ('E', 'base'))

    def test_what_it_was_raised_from(self):
        shim = self.load('''
            def chain(length):
                error = None
                for n in range(length, -1, -1):
                    before, error = error, ValueError(n)
                    error.__cause__ = before
                return error
            class Odd(Exception):
                @property
                def __cause__(self): raise RuntimeError
            def handler(event):
                try:
                    {}['key']
                except KeyError as error:
                    if event == 'from': raise ValueError('no user') from error
                    if event == 'none': raise ValueError('no user') from None
                    if event == 'within': raise ValueError('no user')
                    if event == 'silent': raise ValueError() from error
                if event == 'chain': raise chain(5)
                if event == 'odd': raise Odd('odd')
                if event == 'cycle':
                    error = ValueError('again')
                    error.__cause__ = error
                    raise error
                raise ValueError('x' * 10000) from ValueError('y' * 10000000)
        ''')
        for event, message in {'from': "no user; caused by KeyError: 'key'", 'none': 'no user', 'within': 'no user',
                               'silent': "caused by KeyError: 'key'", 'odd': 'odd',
                               'chain': '0; caused by ValueError: 1; caused by ValueError: 2; caused by ValueError: 3',
                               'cycle': 'again' + '; caused by ValueError: again' * 3}.items():
            with self.subTest(event):
                document = shim.invoke(event).document
                self.assertEqual((document['type'], document['message']), (
                    'Odd' if event == 'odd' else 'ValueError', message))
        self.assertLess(len(shim.invoke('long').document['message']), 12000)
        document = self.refuse('''
            try: import nothing_of_this_name
            except ImportError as error: raise RuntimeError('cannot start') from error
        ''')
        self.assertIn("cannot start; caused by ModuleNotFoundError: No module named 'nothing", document['message'])

    def test_what_a_group_holds(self):
        shim = self.load('''
            class Group(Exception):  # as ExceptionGroup of 3.11 and its backport have it
                exceptions = KeyError('a'), ValueError('b'), TypeError(), ValueError('d'), ValueError('e')
            class Other(Exception):
                exceptions = 5, 'x'
            def handler(event):
                raise Group('five') if event else Other('none')
        ''')
        self.assertEqual(shim.invoke(b'1').document['message'],
                         "five: KeyError: 'a' | ValueError: b | TypeError | 2 more")
        self.assertEqual(shim.invoke(b'0').document['message'], 'none')
        if self.version >= (3, 11):
            document = self.error('''
                import asyncio
                async def fail():
                    raise ValueError('the reason') from KeyError('deeper')
                async def handler():
                    async with asyncio.TaskGroup() as group:
                        group.create_task(fail())
            ''')
            self.assertEqual((document['type'], document['message']), (
                'ExceptionGroup', "unhandled errors in a TaskGroup (1 sub-exception): ValueError: the reason; "
                "caused by KeyError: 'deeper'"))

    def test_exception_from_exec(self):
        document = self.error('def handler():\n    exec("1/0")\n')
        self.assertEqual(len(document['stack']), 1)

    def test_crash_says_where(self):
        shim = self.load('import ctypes\ndef handler(event):\n    ctypes.string_at(0)\n')
        shim.start()
        self.assertEqual(shim.wait(), -signal.SIGSEGV)
        self.assertIn('main.py", line 3 in handler', shim.stderr.decode())

    def test_finished_answers_survive_a_crash(self):
        shim = self.load('import os\ndef handler(event):\n    if event: os._exit(9)\n    return "done"\n')
        payload = harness.invoke_payload(b'0')
        shim.send_raw(b''.join(harness.Frame('INVOKE', id, harness.invoke_payload(b'0')).encode() for id in (1, 2)) +
                      harness.Frame('INVOKE', 3, harness.invoke_payload(b'1')).encode() +
                      harness.Frame('INVOKE', 4, payload).encode())
        self.assertEqual([shim.answer().id, shim.answer().id], [1, 2])
        self.assertEqual(shim.wait(), 9)
        with self.assertRaises(harness.ShimError):
            shim.answer()

    def test_output_before_a_crash_arrives(self):
        shim = self.load('import os\ndef handler(event):\n    print("last words")\n    os._exit(1)\n')
        id = shim.start()
        self.assertEqual(shim.wait(), 1)
        with self.assertRaises(harness.ShimError):
            shim.answer()
        self.assertEqual(shim.logs, [(id, 1, b'last words\n')])


class Results(ShimCase):
    BAD = {
        "{'a': [1, float('nan')]}": ("['a'][1]", 'nan'),
        "{'a': float('inf')}": ("['a']", 'inf'),
        "-float('inf')": ('the result', '-inf'),
        "{float('nan'): 1}": ('the result', 'key nan'),
        "{'b': b'x'}": ("['b']", 'bytes'),
        "[set()]": ('[0]', 'set'),
        "{'x': {'y': object()}}": ("['x']['y']", 'object'),
        "{(1, 2): 3}": ('the result', 'key of type tuple'),
        "'\\ud83d'": ('the result', 'surrogate'),
        "{'\\udc00': 1}": ('the result', 'key'),
        "{'a': [1, '\\udcff']}": ("['a'][1]", 'surrogate'),
        "(x for x in ())": ('the result', 'generator'),
        "__import__('datetime').date(2020, 1, 1)": ('the result', 'date'),
        "__import__('decimal').Decimal(1)": ('the result', 'Decimal'),
        "(lambda l: (l.append(l), l)[1])([])": ('[0]', 'itself'),
        "(lambda d: (d.update(a={'b': d}), d)[1])({})": ("['a']['b']", 'itself'),
        "__import__('functools').reduce(lambda a, _: [a], range(100000), 0)": ('the result', 'deep'),
        "(lambda f: f(f))(lambda f: f)": ('the result', 'function'),
    }

    def test_what_is_not_json_says_where_and_what(self):
        shim = self.load('def handler(event): return eval(event)\n')
        for expression, (where, what) in self.BAD.items():
            with self.subTest(expression):
                answer = shim.invoke(expression)
                self.assertEqual(answer.error, 'ResultNotJson', answer)
                self.assertIn(where, answer.document['message'])
                self.assertIn(what, answer.document['message'])
                self.assertTrue(answer.document.get('hint') or 'key' in what)
        self.assertEqual(shim.invoke('1 + 1').value, 2)

    def test_what_python_writes_as_json(self):
        shim = self.load('import enum, collections\nclass E(int, enum.Enum):\n    A = 4\n'
                         'def handler(event): return eval(event)\n')
        for expression, value in {'(1, (2,))': [1, [2]], '{1: 2, None: 3, True: 4, 1.5: 5}':
                                  {'1': 4, 'null': 3, '1.5': 5}, 'E.A': 4, "collections.OrderedDict(a=1)": {'a': 1},
                                  "collections.namedtuple('N', 'x')(3)": [3], '-0.0': 0.0, 'None': None,
                                  "'\\u00fc\\U0001f600\\x00\\x7f\\u2028'": '\u00fc\U0001f600\x00\x7f\u2028',
                                  '[[]] * 3': [[], [], []]}.items():
            with self.subTest(expression):
                self.assertEqual(shim.invoke(expression).value, value)

    def test_too_large(self):
        shim = self.load('def handler(event): return "x" * event\n')
        self.assertEqual(shim.invoke(b'17000000').error, 'ResultTooLarge')
        self.assertEqual(len(shim.invoke(b'16000000').value), 16000000)

    def test_depth(self):
        shim = self.load("""
            def handler(event):
                kind, depth, extra = event
                value = extra
                for _ in range(depth):
                    value = [value] if kind == 'list' else {'k': value}
                return value
        """)
        for kind in ('list', 'dict'):
            for extra in (0, 'brackets [[[{{{ ]' * 300, [[0], {'a': 1}] * 300):
                deep = 2 if isinstance(extra, list) else 0
                self.assertTrue(shim.invoke([kind, 250 - deep, extra]).ok)
                answer = shim.invoke([kind, 251 - deep, extra])
                self.assertEqual(answer.error, 'ResultNotJson')
                self.assertIn('more than 250 levels', answer.document['message'])
        self.assertTrue(shim.invoke(['list', 1, [{'text': '}{]['}] * 10000]).ok)

    def test_hostile_classes(self):
        shim = self.load('class D(dict):\n    def items(self): raise RuntimeError("no")\n'
                         'def handler(event): return D(a=1)\n')
        self.assertEqual(shim.invoke().error, 'ResultNotJson')

    def test_user_code_cannot_reach_the_encoder(self):
        source = '''
            import json, json.encoder, json.decoder, struct, os, time, io
            json.dumps = json.loads = json.encoder.c_make_encoder = json.decoder.scanstring = None
            struct.pack = struct.Struct = os.write = os.read = time.perf_counter_ns = io.open = None
            def handler(event):
                if event: raise ValueError('x')
                return 5
        '''
        shim = self.load(source)
        self.assertEqual(shim.invoke(b'0').value, 5)
        self.assertEqual(shim.invoke(b'1').error, 'ValueError')


class Output(ShimCase):
    def test_lines_arrive_before_the_answer_with_its_id(self):
        shim = self.load('''
            import sys
            def handler(event):
                print('one', event)
                print('two', file=sys.stderr)
                print('no end', end='')
        ''')
        answer = shim.invoke(b'1')
        self.assertEqual(answer.logs, [(1, b'one 1\n'), (2, b'two\n'), (1, b'no end')])
        answer = shim.invoke(b'2')
        self.assertEqual(answer.text(1), 'one 2\nno end')

    def test_lines_arrive_at_once(self):
        shim = self.load('import time\ndef handler(event):\n    print("now")\n    time.sleep(60)\n')
        id = shim.start()
        self.assertEqual(shim.receive('LOG').id, id)

    def test_flush_sends_a_part_of_a_line(self):
        shim = self.load('import time\ndef handler(event):\n    print("50%", end="", flush=True)\n    time.sleep(60)\n')
        shim.start()
        shim.receive('LOG')
        self.assertEqual(shim.logs[0][2], b'50%')

    def test_logging(self):
        shim = self.load('''
            import logging
            log = logging.getLogger('app')
            def handler(event):
                log.debug('unseen'); log.info('seen'); log.warning('w %d', 1)
                try:
                    1 / 0
                except ZeroDivisionError:
                    log.exception('failed')
        ''')
        text = shim.invoke().text(2)
        self.assertNotIn('unseen', text)
        for part in ('seen\n', 'w 1\n', 'failed\n', 'ZeroDivisionError'):
            self.assertIn(part, text)

    def test_logging_through_the_module(self):
        shim = self.load('def handler(event):\n    import logging\n    logging.info("hello %s", event)\n')
        self.assertIn('hello 5', shim.invoke(b'5').text(2))

    def test_logging_as_the_function_sets_it_up(self):
        shim = self.load('import logging, sys\n'
                         'logging.basicConfig(level=logging.DEBUG, stream=sys.stdout,'
                         ' format="%(levelname)s|%(message)s")\n'
                         'def handler(event):\n    logging.debug("x")\n')
        self.assertEqual(shim.invoke().text(1), 'DEBUG|x\n')
        shim = self.load('import logging\nlogging.basicConfig(level=logging.ERROR)\n'
                         'def handler(event):\n    logging.warning("x")\n')
        self.assertEqual(shim.invoke().text(), '')

    def test_odd_text(self):
        shim = self.load('''
            import sys
            def handler(event):
                print('half \\ud83d, NUL \\x00, grüß')
                sys.stdout.buffer.write(b'bytes \\xff\\n')
                sys.stdout.writelines(['a', 'b\\n'])
                sys.stdout.reconfigure(line_buffering=True)
                try:
                    sys.stdout.write(b'x')
                except TypeError:
                    print(sys.stdout.encoding, sys.stdout.isatty(), sys.stdout.fileno(), sys.stderr.fileno())
        ''')
        answer = shim.invoke()
        self.assertTrue(answer.ok, answer)
        self.assertEqual(answer.text(), 'half \\ud83d, NUL \x00, grüß\nbytes \\xff\nab\nutf-8 False 1 2\n')

    def test_flood_is_cut(self):
        shim = self.load('def handler(event):\n    for n in range(event): print("x" * 1000)\n    return "done"\n')
        for _ in range(2):
            answer = shim.invoke(b'20000')
            self.assertEqual(answer.value, 'done')
            self.assertLess(len(answer.text()), 1200 * 1024)
            self.assertGreater(len(answer.text()), 900 * 1024)
            self.assertIn('[output cut', answer.text()[-100:])

    def test_long_lines_are_cut(self):
        shim = self.load('def handler(event):\n    print("x" * event); print("next")\n')
        text = shim.invoke(b'1000000').text()
        self.assertIn('[line cut', text)
        self.assertTrue(text.endswith('next\n'))
        self.assertLess(len(text), 20000)
        self.assertTrue(shim.invoke(b'100000000').ok)

    def test_parts_of_one_long_line(self):
        shim = self.load('def handler(event):\n    for _ in range(event): print("y" * 100, end="")\n    return 1\n')
        answer = shim.invoke(b'100000')
        self.assertEqual(answer.value, 1)
        self.assertLess(len(answer.text()), 1200 * 1024)

    def test_native_writes_and_subprocesses_use_the_pipes(self):
        shim = self.load('''
            import os, subprocess, sys
            def handler(event):
                os.write(2, b'native\\n')
                subprocess.run(['/bin/echo', 'from a child'])
                subprocess.run(['/bin/echo', 'given'], stdout=sys.stderr)
                return sorted(os.listdir('/proc/self/fd'))
        ''')
        self.assertTrue(shim.invoke().ok)
        shim.stop()
        self.assertEqual(bytes(shim.stdout), b'from a child\n')
        self.assertEqual(bytes(shim.stderr), b'native\ngiven\n')

    def test_subprocesses_do_not_get_the_socket(self):
        source = ('import subprocess\n'
                  'def handler(): return subprocess.check_output(["/bin/ls", "/proc/self/fd"]).decode()\n')
        self.assertEqual(self.result(source).split(), ['0', '1', '2', '3'])  # 3 is the folder that ls reads

    def test_forked_children_do_not_speak_on_the_socket(self):
        shim = self.load('''
            import os
            def handler(event):
                pid = os.fork()
                if pid == 0:
                    print('child')
                    return 'from the child'
                os.waitpid(pid, 0)
                print('parent')
                return 'parent'
        ''')
        answer = shim.invoke()
        self.assertEqual((answer.value, answer.text()), ('parent', 'parent\n'))
        shim.stop()
        self.assertIn(b'child\n', bytes(shim.stdout))

    def test_threads_that_are_left_print_as_nobody(self):
        shim = self.load('''
            import threading, time
            def talk():
                for n in range(20):
                    print('tick', n)
                    time.sleep(0.01)
            def handler(event):
                threading.Thread(target=talk).start()
                time.sleep(0.03)
                return 'done'
        ''')
        answer = shim.invoke()
        self.assertIn('tick 0', answer.text())
        time.sleep(0.3)
        self.assertTrue(shim.invoke().ok)
        self.assertTrue(any(id == 0 and text.startswith(b'tick') for id, _, text in shim.logs))
        self.assertEqual(shim.stop(), 0)

    def test_no_line_carries_the_id_of_an_answered_call(self):
        shim = self.load('''
            import threading
            def talk():
                while True: print('noise')
            threading.Thread(target=talk, daemon=True).start()
            def handler(event): return event
        ''')
        for _ in range(50):
            id = shim.start()
            shim.receive('RESULT', id=id)
        seen = [log[0] for log in shim.logs]
        changes = [id for index, id in enumerate(seen) if id and (index == 0 or seen[index - 1] != id)]
        self.assertEqual(len(changes), len(set(changes)))

    def test_standard_input_is_empty(self):
        self.assertEqual(self.result('import sys\ndef handler(): return sys.stdin.read()\n'), '')
        answer = self.load('def handler(): return input()\n').invoke()
        self.assertEqual(answer.error, 'EOFError')

    def test_printing_finalizers(self):
        source = '''
            class Loud:
                def __init__(self): self.me = self
                def __del__(self): print('gone')
            def handler(event):
                for _ in range(2000):
                    Loud()
                    print('x')
                return 'done'
        '''
        self.assertEqual(self.result(source), 'done')


class Concurrency(ShimCase):
    def test_one_at_a_time_answers_in_order(self):
        for prefix in ('', 'async '):
            shim = self.load(prefix + 'def handler(event): return event\n')
            ids = [shim.start(json.dumps(n).encode()) for n in range(200)]
            self.assertEqual([(a.id, a.value) for a in (shim.answer() for _ in ids)],
                             [(id, n) for n, id in enumerate(ids)])

    ASYNC = '''
        import asyncio
        together, most = 0, 0
        async def handler(event, context):
            global together, most
            together += 1
            most = max(most, together)
            print('start', event)
            await asyncio.sleep(0.02)
            print('end', event)
            together -= 1
            return most
    '''
    THREADS = '''
        import threading, time
        together, most, lock = 0, 0, threading.Lock()
        def handler(event, context):
            global together, most
            with lock:
                together += 1
                most = max(most, together)
            print('start', event)
            time.sleep(0.02)
            print('end', event)
            with lock:
                together -= 1
            return most
    '''

    def test_many_at_once_with_their_own_lines(self):
        for source in (self.ASYNC, self.THREADS):
            shim = self.load(source, concurrency=10)
            ids = [shim.start(json.dumps(n).encode()) for n in range(30)]
            most = 0
            for n, id in enumerate(ids):
                answer = shim.answer(id)
                self.assertEqual(answer.text(), 'start %d\nend %d\n' % (n, n))
                most = max(most, answer.value)
            self.assertGreater(most, 1)
            self.assertLessEqual(most, 10)
            self.assertEqual(shim.stop(), 0)

    def test_async_one_at_a_time_where_the_function_allows_one(self):
        shim = self.load(self.ASYNC, concurrency=1)
        ids = [shim.start(b'0') for _ in range(5)]
        self.assertEqual({shim.answer(id).value for id in ids}, {1})

    def test_a_hundred_waits_take_as_long_as_one(self):
        shim = self.load('import asyncio\nasync def handler(event): await asyncio.sleep(0.2)\n', concurrency=100)
        shim.invoke()
        begun = time.monotonic()
        for id in [shim.start() for _ in range(100)]:
            self.assertTrue(shim.answer(id).ok)
        self.assertLess(time.monotonic() - begun, 10)

    def test_errors_of_one_leave_the_others(self):
        for prefix in ('', 'async '):
            shim = self.load(prefix + '''def handler(event):
                if event == 1: raise SystemExit(1)
                if event == 2: raise ValueError('two')
                if event == 3: return {1, 2}
                return event
            ''', concurrency=4)
            ids = [shim.start(json.dumps(n).encode()) for n in range(5)]
            answers = [shim.answer(id) for id in ids]
            self.assertEqual([a.error for a in answers], [None, 'SystemExit', 'ValueError', 'ResultNotJson', None])
            self.assertEqual(answers[2].document['stack'][0].split('\n')[0], 'File "main.py", line 3, in handler')

    def test_cancel(self):
        shim = self.load('''
            import asyncio
            async def handler(event):
                try:
                    await asyncio.sleep(60)
                finally:
                    print('cleaned up')
        ''', concurrency=2)
        id = shim.start()
        shim.cancel(id)
        answer = shim.answer(id)
        self.assertEqual(answer.error, 'Cancelled')
        self.assertIn(answer.text(), ('cleaned up\n', ''))
        shim.cancel(12345)
        self.assertEqual(shim.stop(), 0)

    def test_context_variables_of_a_call_are_its_own(self):
        for prefix in ('', 'async '):
            for concurrency in (1, 4):
                with self.subTest(prefix=prefix, concurrency=concurrency):
                    shim = self.load('''
                        import contextvars
                        variable = contextvars.ContextVar('variable')
                        variable.set('as the module left it')
                        %sdef handler(event):
                            before = variable.get()
                            variable.set(event)
                            return before
                    ''' % prefix, concurrency=concurrency)
                    ids = [shim.start(json.dumps(n).encode()) for n in range(30)]
                    self.assertEqual({shim.answer(id).value for id in ids}, {'as the module left it'})

    def test_task_factory_of_the_function(self):
        shim = self.load('''
            import asyncio
            async def handler(event):
                asyncio.get_event_loop().set_task_factory(getattr(asyncio, 'eager_task_factory', None))
                return event
        ''', concurrency=2)
        self.assertEqual([shim.invoke(json.dumps(n).encode()).value for n in range(8)], list(range(8)))

    def test_cancelling_is_blamed_on_the_caller_only_if_it_was_him(self):
        shim = self.load('''
            import asyncio
            async def handler(event):
                task = asyncio.get_event_loop().create_task(asyncio.sleep(60))
                await asyncio.sleep(0)
                task.cancel()
                await task
        ''')
        document = shim.invoke().document
        self.assertEqual((document['type'], document['file'], document['line']), ('CancelledError', 'main.py', 7))
        self.assertIn('await task', document['stack'][0])
        self.assertIn('did not cancel', document['hint'])

    def test_lines_of_threads_without_a_context(self):
        shim = self.load('''
            import asyncio
            def work(event):
                print('work', event)
            async def handler(event):
                print('begin')
                await asyncio.get_event_loop().run_in_executor(None, work, event)
        ''')
        for n in range(3):
            self.assertEqual(shim.invoke(json.dumps(n).encode()).text(), 'begin\nwork %d\n' % n)
        shim = self.load('''
            import threading
            def work(event):
                print('work', event, end='')
            def handler(event):
                thread = threading.Thread(target=work, args=(event,))
                thread.start()
                thread.join()
        ''', concurrency=4)
        for n in range(3):
            self.assertEqual(shim.invoke(json.dumps(n).encode()).text(), 'work %d' % n)

    def test_lines_of_nobody_knows_whom(self):
        shim = self.load('''
            import asyncio
            loop, both = asyncio.get_event_loop(), []
            async def handler(event):
                both.append(loop.create_future())
                if len(both) < 2:
                    await both[0]
                else:
                    await loop.run_in_executor(None, print, 'whose?')
                    both[0].set_result(None)
        ''', concurrency=2)
        for id in (shim.start(), shim.start()):
            self.assertEqual(shim.answer(id).text(), '')
        self.assertEqual(shim.logs, [(0, 1, b'whose?\n')])

    def test_stop_finishes_what_runs(self):
        for source in (self.ASYNC, self.THREADS):
            shim = self.load(source, concurrency=4)
            ids = [shim.start(b'1') for _ in range(4)]
            shim.send('STOP')
            for id in ids:
                self.assertTrue(shim.answer(id).ok)
            self.assertEqual(shim.wait(), 0)

    def test_tasks_that_are_left_print_as_nobody(self):
        shim = self.load('''
            import asyncio
            async def later():
                await asyncio.sleep(0.05)
                print('later')
            async def bad():
                raise SystemExit(3)
            async def handler(event):
                if event: asyncio.get_event_loop().create_task(bad())
                asyncio.get_event_loop().create_task(later())
                return 1
        ''', concurrency=2)
        self.assertTrue(shim.invoke(b'0').ok)
        self.assertTrue(shim.invoke(b'1').ok)
        time.sleep(0.3)
        self.assertTrue(shim.invoke(b'0').ok)
        self.assertIn((0, 1, b'later\n'), shim.logs)
        self.assertTrue(all(id == 0 for id, _, _ in shim.logs))

    def test_plain_handler_that_gives_an_awaitable(self):
        source = '''
            import asyncio
            async def work(event):
                await asyncio.sleep(0)
                return event
            def handler(event): return work(event)
        '''
        for concurrency in (1, 2):
            shim = self.load(source, concurrency=concurrency)
            self.assertEqual([shim.invoke(b'1').value, shim.invoke(b'2').value], [1, 2])

    def test_plain_decorator_of_an_async_handler(self):
        source = '''
            import asyncio, contextvars, functools
            variable, loops, both = contextvars.ContextVar('variable', default=0), set(), []
            def plain(inner):
                @functools.wraps(inner)
                def outer(*given):
                    variable.set(given[0])
                    return inner(*given)
                return outer
            @plain
            async def handler(event):
                loop = asyncio.get_event_loop()
                loops.add(loop)
                print('event', event)
                if event == 'fail': raise SystemExit(3)
                if event == 'cancel': asyncio.ensure_future(asyncio.sleep(60)).cancel(); raise asyncio.CancelledError
                if event == 'twice': return asyncio.sleep(0, 'twice')
                if event == 'meet':
                    both.append(loop.create_future())
                    if len(both) < 2: await both[0]
                    else: both[0].set_result(None)
                return [variable.get(), len(loops)]
        '''
        for concurrency in (1, 4):
            shim = self.load(source, concurrency=concurrency)
            for n in range(3):
                answer = shim.invoke(json.dumps(n).encode())
                self.assertEqual((answer.value, answer.text()), ([n, 1], 'event %d\n' % n))
            document = shim.invoke('fail').document
            self.assertEqual((document['type'], document['line']), ('SystemExit', 15))
            document = shim.invoke('cancel').document
            self.assertEqual((document['type'], document['line']), ('CancelledError', 16))
            self.assertEqual(shim.invoke('twice').value, 'twice')
            self.assertEqual(shim.invoke(b'9').value, [9, 1])
        for id in [shim.start('meet') for _ in range(2)]:
            self.assertEqual(shim.answer(id).value, ['meet', 1])
        self.assertEqual(shim.stop(), 0)

    def test_async_handler_that_gives_an_awaitable(self):
        source = 'async def work(event): return event\nasync def handler(event): return work(event)\n'
        for concurrency in (1, 2):
            self.assertEqual(self.result(source, b'5', concurrency=concurrency), 5)

    def test_async_behind_functools(self):
        source = '''
            import functools
            async def work(greeting, event):
                print('working')
                if event == 3: raise ValueError('three')
                return greeting + str(event)
            handler = functools.partial(work, 'hi ')
        '''
        shim = self.load(source)
        answer = shim.invoke(b'1')
        self.assertEqual((answer.value, answer.text()), ('hi 1', 'working\n'))
        self.assertEqual(shim.invoke(b'3').document['line'], 5)

    def test_asyncio_run_in_a_plain_handler(self):
        source = 'import asyncio\nasync def f(): return 4\ndef handler(): return asyncio.run(f())\n'
        self.assertEqual(self.result(source), 4)

    def test_primitives_made_at_import(self):
        source = '''
            import asyncio
            lock = asyncio.Lock()
            async def handler(event):
                async with lock:
                    await asyncio.sleep(0.001)
                    return 1
        '''
        shim = self.load(source, concurrency=8)
        for id in [shim.start() for _ in range(8)]:
            self.assertEqual(shim.answer(id).value, 1)

    def test_async_with_files_named_like_the_library(self):
        self.assertEqual(self.result({'main.py': 'async def handler(event): return 7\n', 'queue.py': 'raise 1\n',
                                      'socket.py': 'raise 1\n'}), 7)


class Checks(ShimCase):
    def test_sound(self):
        self.assertEqual(self.start().check('main.py', ECHO), [])
        self.assertEqual(self.start().check('main.py', b''), [])
        self.assertEqual(self.start().check('main.py', '\ufeffx = 1\n'), [])

    def test_wrong(self):
        shim = self.start()
        remarks = shim.check('lib/a.py', 'x = 1\ndef f(:\n    pass\n')
        self.assertEqual(len(remarks), 1)
        remark = remarks[0]
        self.assertEqual((remark['file'], remark['line'], remark['severity'], remark['kind']),
                         ('lib/a.py', 2, 'error', 'SyntaxError'))
        self.assertIn(remark['column'], (6, 7))
        self.assertEqual(shim.check('a.py', 'if 1:\nx = 1\n')[0]['kind'], 'IndentationError')
        self.assertEqual(shim.check('a.py', 'def f():\n    yield 1\n  x\n')[0]['line'], 3)
        self.assertEqual(shim.check('a.py', 'return 5\n')[0]['line'], 1)
        self.assertEqual(shim.check('a.py', ECHO), [])

    def test_columns_count_characters(self):
        remark = self.start().check('a.py', 'x = "üüüü€€" y\n')[0]
        self.assertIn(remark['column'], (13, 14))

    def test_odd_sources(self):
        shim = self.start()
        for source in (b'x = "\xff"\n', b'x\0y\n', b'(' * 100000, b'-' * 1000000 + b'1', b'# coding: nonsense\n',
                       b'x = ' + b'[' * 3000 + b']' * 3000):
            with self.subTest(source[:20]):
                remarks = shim.check('a.py', source)
                self.assertEqual(remarks[0]['severity'], 'error')
        self.assertEqual(shim.check('a.py', ECHO), [])

    def test_nothing_runs(self):
        shim = self.start()
        self.assertEqual(shim.check('a.py', 'import os\nos._exit(3)\n'), [])
        self.assertTrue(shim.alive())

    def test_warnings(self):
        remarks = self.start().check('a.py', 'x = 1\nassert (x, "always true")\n')
        self.assertEqual((remarks[0]['severity'], remarks[0]['line']), ('warning', 2))

    def test_features_of_the_shim_are_not_inherited(self):
        self.assertEqual(self.start().check('a.py', 'print(1 if True else 2)\nx: "not evaluated" = 1\n'), [])


class Life(ShimCase):
    def test_hello(self):
        hello = self.start().hello()
        self.assertEqual(hello['LANGUAGE'], '.'.join(map(str, self.version)))
        self.assertEqual(hello['CONCURRENCY'], 100)

    def test_vectors(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vectors.json'), encoding='utf-8') as file:
            frames = {vector['name']: vector for vector in json.load(file)['frames']}
        shim = self.load('def handler(event, context): return [event, context]\n')
        for name, vector in frames.items():
            if vector['type'] != 'INVOKE':
                continue
            with self.subTest(name):
                shim.send_raw(bytes.fromhex(vector['hex']))
                answer = shim.answer(int(vector['id'], 16))
                event, context = answer.value
                items = dict(vector['items'])
                self.assertEqual(event, json.loads(vector['event'] or '{}'))
                self.assertEqual(context, dict(json.loads(vector['context'] or '{}'), function_name='test-function',
                                               function_version=1, memory_limit_mb=128,
                                               deadline_ms=items['DEADLINE_MS'],
                                               invocation_id=items['INVOCATION_ID'], request_id=items['REQUEST_ID']))
        for name in ('cancel', 'credit', 'chunk', 'end'):
            shim.send_raw(bytes.fromhex(frames[name]['hex']))
        self.assertTrue(shim.invoke().ok)
        shim.send_raw(bytes.fromhex(frames['stop']['hex']))
        self.assertEqual(shim.wait(), 0)

    def test_vectors_before_loading(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vectors.json'), encoding='utf-8') as file:
            frames = {vector['name']: vector for vector in json.load(file)['frames']}
        shim = self.start()
        shim.hello()
        shim.send_raw(bytes.fromhex(frames['check']['hex']))
        self.assertEqual(harness.parse_json(shim.receive('CHECKED').payload)[0]['line'], 1)
        shim = self.start()
        shim.hello()
        shim.send_raw(bytes.fromhex(frames['load']['hex']))  # its folder does not exist
        self.assertEqual(shim.receive('LOAD_FAILED', 'READY').type, 'LOAD_FAILED')

    def test_leaves(self):
        self.assertEqual(self.start().stop(), 0)
        shim = self.start()
        shim.hello()
        shim.socket.shutdown(1)
        self.assertEqual(shim.wait(), 0)
        for prefix in ('', 'async '):
            for concurrency in (1, 3):
                shim = self.load(prefix + 'def handler(): return 1\n', concurrency=concurrency)
                self.assertTrue(shim.invoke().ok)
                shim.socket.shutdown(1)
                self.assertEqual(shim.wait(), 0)

    def test_stop_runs_exit_handlers_and_waits_for_no_thread(self):
        shim = self.load('''
            import atexit, threading, time
            atexit.register(print, 'goodbye')
            threading.Thread(target=time.sleep, args=(60,)).start()
            def handler(): return 1
        ''')
        self.assertTrue(shim.invoke().ok)
        self.assertEqual(shim.stop(), 0)
        self.assertIn((0, 1, b'goodbye\n'), shim.logs + [
            (f.id, 1, dict(harness.decode_items(f.payload))['TEXT']) for f in self._rest(shim) if f.type == 'LOG'])

    @staticmethod
    def _rest(shim):
        frames = []
        while not shim._frames.empty():
            frame = shim._frames.get()
            if isinstance(frame, harness.Frame):
                frames.append(frame)
        return frames

    def test_run_time_is_measured(self):
        answer = self.load('import time\ndef handler(): time.sleep(0.05)\n').invoke()
        self.assertGreaterEqual(answer.run_ns, 50_000_000)

    def test_signals_of_the_function(self):
        source = '''
            import signal, time
            def handler(event):
                hit = []
                signal.signal(signal.SIGALRM, lambda *_: hit.append(1))
                signal.setitimer(signal.ITIMER_REAL, 0.01)
                time.sleep(0.05)
                return len(hit)
        '''
        self.assertEqual(self.result(source), 1)

    def test_multiprocessing(self):
        source = '''
            import multiprocessing
            def double(x): return 2 * x
            def handler(event):
                with multiprocessing.get_context('fork').Pool(2) as pool:
                    return pool.map(double, event)
        '''
        self.assertEqual(self.result(source, [1, 2, 3]), [2, 4, 6])


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


def load_tests(loader, _tests, _pattern):
    """Every case on every interpreter."""
    suite = unittest.TestSuite()
    for version, path in sorted(_interpreters().items(), key=lambda entry: _numbers(entry[0])):
        for case in ShimCase.__subclasses__():
            name = '%s_%s' % (case.__name__, version.replace('.', '_'))
            on_version = type(name, (case,), {'python': path, 'version': _numbers(version),
                                              '__module__': __name__, '__qualname__': name})
            globals()[name] = on_version
            suite.addTests(loader.loadTestsFromTestCase(on_version))
    return suite


if __name__ == '__main__':
    unittest.main()
