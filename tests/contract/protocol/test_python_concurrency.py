"""Several calls of a Python function at once, and asynchronous handlers."""
import json
import time
import unittest

from python_shim import ShimCase, every_interpreter


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

    def test_lines_of_threads_beside_other_calls(self):
        """Threads belong to the call that started them or gave them work, those of the module to nobody."""
        shim = self.load('''
            import asyncio, queue, threading
            loop, both, asked = asyncio.get_event_loop(), [], queue.Queue()
            def serve():
                while True:
                    print(asked.get())
                    asked.task_done()
            threading.Thread(target=serve, daemon=True).start()
            async def handler(event):
                both.append(loop.create_future())
                if len(both) < 2:
                    await loop.run_in_executor(None, print, 'first')
                    await both[0]
                else:
                    await loop.run_in_executor(None, print, 'second')
                    own = threading.Thread(target=print, args=('own',))
                    own.start()
                    own.join()
                    asked.put('whose?')
                    asked.join()
                    both[0].set_result(None)
        ''', concurrency=2)
        first, second = shim.start(), shim.start()
        self.assertEqual([shim.answer(id).text() for id in (first, second)], ['first\n', 'second\nown\n'])
        self.assertEqual([log for log in shim.logs if log[0] == 0], [(0, 1, b'whose?\n')])

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


load_tests = every_interpreter(__name__)

if __name__ == '__main__':
    unittest.main()
