"""What a Python function may look like, how it is loaded and what a check of its sources finds."""
import unittest

from python_shim import ECHO, ShimCase, every_interpreter


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

    def test_what_cannot_be_called_has_a_place(self):
        for definition in ('def handler(a, b, c): pass', 'def handler(event, *, key): pass',
                           'from functools import partial\nhandler = partial(lambda a, b, c, d: 1, 1)'):
            files = {'main.py': 'x = 1\nfrom lib import handler\n', 'lib.py': '# ...\n\n' + definition + '\n'}
            with self.subTest(definition):
                document = self.refuse(files)
                self.assertEqual(('HandlerSignature', 'lib.py', 3 + definition.count('\n')),
                                 (document['type'], document['file'], document['line']))


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

    def test_where_a_null_byte_is(self):
        remark, = self.start().check('a.py', 'a = 1\nb = "ü\0"\n')
        self.assertEqual((2, 7, 'error'), (remark['line'], remark['column'], remark['severity']))
        self.assertIn('null byte', remark['message'])

    def test_nothing_runs(self):
        shim = self.start()
        self.assertEqual(shim.check('a.py', 'import os\nos._exit(3)\n'), [])
        self.assertTrue(shim.alive())

    def test_warnings(self):
        remarks = self.start().check('a.py', 'x = 1\nassert (x, "always true")\n')
        self.assertEqual((remarks[0]['severity'], remarks[0]['line']), ('warning', 2))

    def test_features_of_the_shim_are_not_inherited(self):
        self.assertEqual(self.start().check('a.py', 'print(1 if True else 2)\nx: "not evaluated" = 1\n'), [])


load_tests = every_interpreter(__name__)

if __name__ == '__main__':
    unittest.main()
