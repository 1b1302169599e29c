"""Handlers that are `async def`: one event loop, as many invocations at once as the function allows."""
import os
import sys
from _contextvars import copy_context
from _thread import allocate_lock
from collections import deque

wire = part('wire')
errors = part('errors')
serial = part('serial')
concurrent = part('concurrent')


def _import_asyncio(root):
    """The language's own, even if the user has files named like modules that it needs."""
    own = [entry for entry in sys.path if (entry + '/').startswith(root)]
    sys.path[:] = [entry for entry in sys.path if entry not in own]
    try:
        import asyncio
    finally:
        sys.path[:0] = own
    return asyncio


class _Server:
    def __init__(self, function, asyncio):
        self._function = function
        self._context = serial.context_maker(function)
        self._cancelled = asyncio.CancelledError
        self._fresh = copy_context().copy
        # Not the loop's create_task: a factory that the function sets may run a task before it is known here.
        self._task = asyncio.Task
        self._buffer = bytearray()
        self._queue = deque()
        self._tasks = {}
        self._given_up = set()  # ids of tasks that the kernel has cancelled
        self._stopping = False
        self._loop = _loop(asyncio)

    def run(self):
        self._loop.add_reader(wire.FD, self._readable)
        _run_forever(self._loop, lambda: self._stopping and not self._tasks)

    def _readable(self):
        data = os.read(wire.FD, 262144)
        if not data:
            self._loop.remove_reader(wire.FD)
            self._loop.stop()
            return
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 16:
            size, kind, _, _, id = wire.HEADER.unpack_from(buffer, at)
            if len(buffer) - at - 16 < size:
                break
            at += 16 + size
            self._take(kind, id, bytes(buffer[at - size:at]))
        del buffer[:at]

    def _take(self, kind, id, payload):
        if kind == wire.INVOKE:
            self._queue.append((id, payload))
            self._next()
        elif kind == wire.CANCEL:
            self._cancel(id)
        elif kind == wire.STOP:
            self._stopping = True
            self._loop.remove_reader(wire.FD)
            self._leave_when_done()

    def _cancel(self, id):
        if id in self._tasks:
            self._given_up.add(id)
            self._tasks[id].cancel()
            if id not in concurrent.live:  # not begun: its coroutine will never run
                self._answer_cancelled(id)
        else:
            waiting = [call for call in self._queue if call[0] == id]
            for call in waiting:
                self._queue.remove(call)
                self._answer_cancelled(id)

    def _answer_cancelled(self, id):
        concurrent.answer(id, _cancelled(id, 0))
        self._done(id)

    def _done(self, id):
        self._tasks.pop(id, None)
        self._given_up.discard(id)
        self._next()
        self._leave_when_done()

    def _next(self):
        while self._queue and len(self._tasks) < self._function.concurrency:
            id, payload = self._queue.popleft()
            if self._function.concurrency <= 1 and serial.is_late(payload):
                wire.send_frame(wire.NOT_BEGUN, id)  # the kernel counts on it: it runs elsewhere by now
                continue
            # Called from an invocation that ends, too: the next begins with what the module has set, not with that.
            self._tasks[id] = self._fresh().run(self._task, self._run(id, payload), loop=self._loop)

    def _leave_when_done(self):
        if self._stopping and not self._tasks and not self._queue:
            self._loop.stop()

    async def _run(self, id, payload):
        concurrent.begin(id)
        begun = 0
        try:
            given = concurrent.arguments(self._function, self._context, payload)
            begun = serial.clock()
            result = self._function.handler(*given)
            while hasattr(result, '__await__'):  # a decorator may return what it should have awaited
                result = await result
            frame = serial.answered(id, result, serial.clock() - begun)
        except BaseException as error:
            ran = serial.clock() - begun if begun else 0
            if id in self._given_up and isinstance(error, self._cancelled):
                frame = _cancelled(id, ran)
            else:  # also where the handler awaits what it has cancelled itself
                frame = serial.failed(id, errors.document(error), ran)
        concurrent.answer(id, frame)
        self._done(id)


def _cancelled(id, ran):
    return serial.failed(id, {'type': 'Cancelled', 'message': 'the invocation was cancelled', 'stack': []}, ran)


def _loop(asyncio):
    """The loop that the module may have made use of while it was imported, or a new one."""
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError:
            loop = None
        if loop is None or loop.is_closed():
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
    return loop


def _run_forever(loop, ended):
    while True:
        try:
            loop.run_forever()
            return
        except BaseException as error:  # SystemExit of a task that the handler started and forgot
            sys.stderr.write('a background task ended with %s: %s\n' % (type(error).__name__, error))
            if ended():
                return


_shared = []
_shared_lock = allocate_lock()


def _shared_loop(asyncio, threading):
    """The loop of all handlers that run in threads: what one has opened in it serves the others, too."""
    with _shared_lock:
        if not _shared:
            loop = asyncio.new_event_loop()
            threading.Thread(target=_run_forever, args=(loop, lambda: False), daemon=True).start()
            _shared.append(loop)
        return _shared[0]


def complete(awaitable):
    """What a plain handler's awaitable gives: a decorator may have hidden that the handler is `async def`."""
    asyncio = _import_asyncio(errors.root)
    import threading

    async def outcome():  # errors by hand: futures would make others of some, and SystemExit would end the loop
        try:
            return await awaitable, None
        except BaseException as error:
            return None, error
    if threading.current_thread() is threading.main_thread():
        result, error = _loop(asyncio).run_until_complete(outcome())
    else:
        result, error = asyncio.run_coroutine_threadsafe(outcome(), _shared_loop(asyncio, threading)).result()
    if error is not None:
        raise error
    return result


def serve(function):
    """Answers until STOP (then finishes what runs) or the end of the socket."""
    concurrent.install()
    _Server(function, _import_asyncio(function.root)).run()
