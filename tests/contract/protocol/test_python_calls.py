"""Calls of Python functions from HELLO to STOP: events, results and errors."""
import json
import os
import signal
import unittest

import harness
from lent_calls import LentCalls
from python_shim import ECHO, ShimCase, every_interpreter


class Lent(LentCalls, ShimCase):
    def sleeper(self):
        return self.load('import time\ndef handler(seconds): time.sleep(seconds)\n')


class LentToAnEventLoop(LentCalls, ShimCase):
    def sleeper(self):
        return self.load('import asyncio\nasync def handler(seconds): await asyncio.sleep(seconds)\n')


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

    def test_files_that_cannot_be_written_are_explained(self):
        shim = self.load("""
            import resource
            def handler(event):
                if event == 27:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
                raise OSError(event, 'no')
        """)
        for number, hint in ((b'30', 'only /tmp is writable'), (b'28', '/tmp is full, it has room for '), (b'27', 'limit of 2 MB')):
            self.assertIn(hint, shim.invoke(number).document['hint'])

    def test_what_models_are_told(self):
        shim = self.load("""
            class New:
                def model_dump(self, mode='python'): return {}
            class Old:
                __fields__ = {}
                def dict(self): return {}
            def handler(event): return {'model': New() if event else Old()}
        """)
        for event, hint in ((b'1', "return value.model_dump(mode='json')"), (b'0', 'return value.dict()')):
            self.assertEqual(hint, shim.invoke(event).document['hint'])

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


class Life(ShimCase):
    def test_hello(self):
        hello = self.start().hello()
        self.assertEqual(hello['LANGUAGE'], '.'.join(map(str, self.version)))
        self.assertEqual((hello['VERSION'], hello['CONCURRENCY']), (2, 100))

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


load_tests = every_interpreter(__name__)

if __name__ == '__main__':
    unittest.main()
