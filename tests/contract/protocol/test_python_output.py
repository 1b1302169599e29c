"""What Python functions print."""
import json
import time
import unittest

from python_shim import ShimCase, every_interpreter


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

    def test_no_empty_line_before_output_is_cut(self):
        shim = self.load('def handler(event):\n    for n in range(50000): print("x" * event)\n')
        for size in (b'1', b'1000'):
            self.assertRegex(shim.invoke(size).text()[-200:], r'x\n\[output cut: more than 1024 KiB\]\n$')

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

    def test_threads_that_are_left_do_not_print_for_later_calls(self):
        for prefix, concurrency in (('', 1), ('', 3), ('async ', 3)):
            with self.subTest(prefix, concurrency=concurrency):
                shim = self.load('''
                    import _thread, threading
                    go, done = threading.Event(), threading.Semaphore(0)
                    def late(name):
                        go.wait()
                        print('late ' + name + '\\n', end='')
                        done.release()
                    def start(): threading.Thread(target=late, args=('thread of a thread',)).start()
                    %sdef handler(event):
                        if event:
                            threading.Thread(target=late, args=('thread',)).start()
                            _thread.start_new_thread(late, ('plain thread',))
                            starter = threading.Thread(target=start)
                            starter.start()
                            starter.join()
                        else:
                            go.set()
                            for _ in range(3): done.acquire()
                            own = threading.Thread(target=print, args=('own',))
                            own.start()
                            own.join()
                ''' % prefix, concurrency=concurrency)
                self.assertEqual(shim.invoke(b'1').text(), '')
                self.assertEqual(shim.invoke(b'0').text(), 'own\n')
                self.assertEqual(sorted(text for id, _, text in shim.logs if id == 0),
                                 [b'late plain thread\n', b'late thread\n', b'late thread of a thread\n'])

    def test_threads_of_a_pool_print_for_whom_they_work(self):
        shim = self.load('''
            from concurrent.futures import ThreadPoolExecutor
            import time
            pool = ThreadPoolExecutor(1)
            left = []
            def late():
                time.sleep(0.01)
                print('late')
            def handler(event):
                for future in left: future.result()
                left[:] = []
                pool.submit(print, 'work', event).result()
                if event == 1: left.append(pool.submit(late))
        ''')
        for n in range(4):
            self.assertEqual(shim.invoke(json.dumps(n).encode()).text(), 'work %d\n' % n)
        self.assertEqual([text for id, _, text in shim.logs if id == 0], [b'late\n'])

    def test_threads_started_while_importing_print_for_the_call_that_runs(self):
        shim = self.load('''
            import queue, threading
            asked = queue.Queue()
            def serve():
                while True:
                    print('for', asked.get())
                    asked.task_done()
            threading.Thread(target=serve, daemon=True).start()
            def handler(event):
                asked.put(event)
                asked.join()
        ''')
        for n in range(3):
            self.assertEqual(shim.invoke(json.dumps(n).encode()).text(), 'for %d\n' % n)

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


load_tests = every_interpreter(__name__)

if __name__ == '__main__':
    unittest.main()
