"""One invocation at a time: the loop that most functions run in, and the pieces that all loops share.

This loop is what a warm call costs, so it is written for the interpreter: locals, C functions, no call of our own in
Python where one can be saved.
"""
from time import monotonic_ns as monotonic, perf_counter_ns as clock

from _contextvars import copy_context
from _struct import Struct

wire = part('wire')
output = part('output')
errors = part('errors')
Context = part('loading').Context

_HEAD = Struct('<IBBHQI')  # header and size of the document
_TAIL = Struct('<HHIQ')    # RUN_NS
_SIZES = Struct('<II')
_FIRST = Struct('<8xQ4xI')  # REMAINING_MS, and the size of INVOCATION_ID
_SIZE = Struct('<4xI')
_NUMBER = Struct('<8xQ')
# The last item of a call that waited behind another one.
_BEGIN_BY = wire.ITEM.pack(wire.BEGIN_BY, 0, 8)
EXTRA = 4 + _TAIL.size      # what an answer holds besides its document
_SUSPECT = 2 * wire.DEPTH   # no shorter document is too deep
LIMIT = wire.MAX_PAYLOAD - EXTRA


def is_late(payload):
    """True for a call that waited behind another one and may no longer begin (BEGIN_BY)."""
    return payload[-16:-8] == _BEGIN_BY and monotonic() > wire.number(payload[-8:]) * 1000


def context_maker(function):
    """A function that makes the context of an invocation from the payload of INVOKE and where its items begin."""
    common = function.common_context()
    first, size_of, number, loads = _FIRST.unpack_from, _SIZE.unpack_from, _NUMBER.unpack_from, wire.loads

    def context(payload, begin, at):
        if at - begin > 2:
            sent = loads(payload[begin:at], 'the context')
            made = Context(sent if isinstance(sent, dict) else {'context': sent})
            made.update(common)
        else:
            made = Context(common)
        _, size = first(payload, at)
        at += 24
        end = at + size
        made['invocation_id'] = payload[at:end].decode()
        at = end + 8
        at += size_of(payload, end)[0]
        if 'request_id' not in made:
            made['request_id'] = payload[end + 8:at].decode()
        made['deadline_ms'], = number(payload, at)
        return made
    return context


def failed(id, document, ran):
    """ERROR frame."""
    body = errors.encode(document)
    return _HEAD.pack(len(body) + EXTRA, wire.ERROR, 0, 0, id, len(body)) + body + _TAIL.pack(wire.RUN_NS, 0, 8, ran)


def answered(id, result, ran):
    """RESULT frame, or the ERROR that says why there can be none."""
    try:
        body = wire.dumps(result)
    except BaseException as error:
        if not hasattr(result, '__await__'):
            return failed(id, part('results').document(result, error), ran)
        body = None
    if body is None:  # not above: what it raises would have come "during handling of the above exception"
        begun = clock()
        result = part('asynchronous').complete(result)
        return answered(id, result, ran + clock() - begun)
    if len(body) > _SUSPECT:
        if len(body) > LIMIT:
            return failed(id, part('results').too_large(len(body)), ran)
        if body.count(b'[') + body.count(b'{') > wire.DEPTH and part('results').is_deep(result, body):
            return failed(id, part('results').too_deep(), ran)
    return _HEAD.pack(len(body) + EXTRA, wire.RESULT, 0, 0, id, len(body)) + body + _TAIL.pack(wire.RUN_NS, 0, 8, ran)


def serve(function):
    """Answers until STOP or the end of the socket."""
    handler, arity = function.handler, function.arity
    read, unpack, sizes = wire.read, wire.HEADER.unpack, _SIZES.unpack_from
    loads, context = wire.loads, context_maker(function)
    current, lock, pending, spent = wire.current, wire.lock, output.pending, output.spent
    send, finish, now = wire.send, output.finish, clock
    invoke, begin_by, number = wire.INVOKE, _BEGIN_BY, wire.number
    fresh = copy_context().copy  # no call sees another's context variables
    while True:
        header = read(16)
        if len(header) < 16:
            return
        size, kind, _, _, id = unpack(header)
        payload = read(size)
        if kind != invoke:
            if kind == wire.STOP:
                return
            continue
        if payload[-16:-8] == begin_by and monotonic() > number(payload[-8:]) * 1000:
            wire.send_frame(wire.NOT_BEGUN, id)  # the kernel counts on it: it runs elsewhere by now
            continue
        begun = 0
        run = fresh().run
        current[0] = id
        try:
            event_size, context_size = sizes(payload)
            middle = 8 + event_size
            event = loads(payload[8:middle])
            if arity == 2:
                made = context(payload, middle, middle + context_size)
                payload = None
                begun = now()
                result = run(handler, event, made)
            else:
                payload = None
                begun = now()
                result = run(handler, event) if arity else run(handler)
            answer = run(answered, id, result, now() - begun)
        except BaseException as error:
            answer = failed(id, errors.document(error), now() - begun if begun else 0)
        if pending or spent:
            finish(id)
        with lock:
            current[0] = 0
            send(answer)
        result = event = made = answer = run = None
