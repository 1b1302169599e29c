"""What the two modes with several invocations at once share: who prints, and who is still to be answered."""
from _contextvars import ContextVar
from _struct import Struct

wire = part('wire')
output = part('output')
origin = part('origin')

_SIZES = Struct('<II')
_running = ContextVar('cloudfunction_invocation', default=0)

# Ids that have begun and were not answered. A task or thread that an invocation leaves behind still carries its id,
# but prints as nobody once the answer is out. Changed under wire.lock, as whoever prints reads it.
live = set()


def _starter(_thread=origin.thread):
    return _running.get() or _thread.id


def _owner():
    id = _starter()
    if not id and len(live) == 1:  # a thread that was started outside of invocations
        id, = live
    return id if id in live else 0


def install():
    output.owner[0] = _owner
    origin.starter[0] = _starter


def begin(id):
    """Called in the invocation's own context (task or thread)."""
    _running.set(id)
    with wire.lock:
        live.add(id)


def answer(id, frame):
    """Sends the answer of an invocation after everything that it printed."""
    with wire.lock:
        output.finish(id)
        live.discard(id)
        wire.send(frame)


def arguments(function, make_context, payload):
    """(event, context)[:arity] of an INVOKE."""
    event_size, context_size = _SIZES.unpack_from(payload)
    middle = 8 + event_size
    event = wire.loads(payload[8:middle])
    if function.arity == 2:
        return event, make_context(payload, middle, middle + context_size)
    return (event,) if function.arity else ()
