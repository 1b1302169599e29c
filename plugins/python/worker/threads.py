"""A plain handler of a function that allows several invocations at once: one thread each, made when needed."""
from _contextvars import copy_context
from _queue import SimpleQueue
from _thread import allocate_lock
from threading import Thread

wire = part('wire')
errors = part('errors')
serial = part('serial')
concurrent = part('concurrent')


def serve(function):
    """Answers until STOP (then finishes what runs) or the end of the socket."""
    concurrent.install()
    make_context = serial.context_maker(function)
    calls = SimpleQueue()
    count_lock = allocate_lock()
    threads, busy = [], [0]
    fresh = copy_context().copy

    def work():
        while True:
            call = calls.get()
            if call is None:
                return
            fresh().run(_run, function, make_context, *call)
            with count_lock:
                busy[0] -= 1

    kind = None
    while True:
        kind, id, payload = wire.receive()
        if kind == wire.INVOKE:
            with count_lock:
                busy[0] += 1
                more = busy[0] > len(threads) and len(threads) < function.concurrency
            if more:
                threads.append(Thread(target=work, name='invocation-%d' % (len(threads) + 1), daemon=True))
                threads[-1].start()
            calls.put((id, payload))
        elif kind in (None, wire.STOP):
            break
    if kind == wire.STOP:
        for _ in threads:
            calls.put(None)
        for thread in threads:
            thread.join()


def _run(function, make_context, id, payload):
    concurrent.begin(id)
    begun = 0
    try:
        given = concurrent.arguments(function, make_context, payload)
        begun = serial.clock()
        frame = serial.answered(id, function.handler(*given), serial.clock() - begun)
    except BaseException as error:
        frame = serial.failed(id, errors.document(error), serial.clock() - begun if begun else 0)
    concurrent.answer(id, frame)
