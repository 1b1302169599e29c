"""Frames and JSON, as fast as the interpreter allows: C functions only, taken before user code can touch them."""
import _json
import os
from _io import open as _open
from _struct import Struct
from _thread import RLock

HELLO, LOAD, READY, LOAD_FAILED, INVOKE, RESULT, CHECK, CHECKED, CACHE, ERROR, LOG = range(1, 12)
CANCEL, STOP, NOT_BEGUN = 15, 18, 19
(VERSION, LANGUAGE, CONCURRENCY, ARTIFACT, HANDLER, ENVIRONMENT, FUNCTION_NAME, FUNCTION_VERSION, MEMORY_MB,
 TIMEOUT_MS, REMAINING_MS, INVOCATION_ID, REQUEST_ID, DEADLINE_MS, RUN_NS, STREAM, TEXT, FILE, SOURCE, CREDIT,
 BEGIN_BY) = range(1, 22)
MAX_PAYLOAD = 16 * 1024 * 1024
DEPTH = 250  # the deepest result; the kernel reads JSON of 256 levels

FD = 3
HEADER = Struct('<IBBHQ')
ITEM = Struct('<HHI')
NUMBER = Struct('<Q')
_write = os.write

# Held while a frame is written, and while an invocation's id is withdrawn, so that no line of output can leave under
# the id of an invocation that has been answered. Re-entrant: a finalizer may print while its own thread holds it.
lock = RLock()

# The id of the invocation that runs, 0 between two; the serial loop's, see output.owner for the others.
current = [0]

# A plain file is read without a line of Python in between, unlike a socket object's stream.
read = _open(FD, 'rb', 65536, closefd=False).read


def send(data):
    with lock:
        sent = _write(FD, data)
        while sent < len(data):
            data = memoryview(data)[sent:]
            sent = _write(FD, data)


def send_frame(kind, id=0, payload=b''):
    send(HEADER.pack(len(payload), kind, 0, 0, id) + payload)


def item(tag, value):
    if type(value) is int:
        value = NUMBER.pack(value)
    return ITEM.pack(tag, 0, len(value)) + value


def items(block):
    """(tag, bytes) of every item."""
    at = 0
    while at < len(block):
        tag, _, size = ITEM.unpack_from(block, at)
        at += ITEM.size + size
        yield tag, block[at - size:at]


def number(value):
    return NUMBER.unpack(value)[0]


def hello(language, concurrency):
    os.set_inheritable(FD, False)
    send_frame(HELLO, 0, item(VERSION, 2) + item(LANGUAGE, language.encode()) + item(CONCURRENCY, concurrency))


def receive():
    """The next frame: (type, id, payload); the type is None at the end."""
    header = read(HEADER.size)
    if len(header) < HEADER.size:
        return None, 0, b''
    size, kind, _, _, id = HEADER.unpack(header)
    return kind, id, read(size)


def waiting(seconds=0):
    """True when the kernel has sent something that was not read yet, or does within that time."""
    import select
    return bool(select.select([FD], (), (), seconds)[0])


# JSON ------------------------------------------------------------------------------------------------------------
# The scanner and the encoder behind `json`, made once: json.dumps makes its own for every call, and importing the
# package costs as much as starting the interpreter.

class _ScannerOptions:
    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, None
    memo = {}


class NotJson(TypeError):
    """Raised for an object that JSON has no word for; `results` finds out where it is."""


def _refuse(value):
    raise NotJson(value)


_scan = _json.make_scanner(_ScannerOptions)
# No record of the containers passed on the way: what refers to itself ends as a RecursionError.
_encode = _json.make_encoder(None, _refuse, _json.encode_basestring, None, ':', ',', False, False, False)


def loads(data, name='the event'):
    """The value of JSON bytes; nothing at all is {}. `name` is what an error calls it."""
    text = data.decode()
    try:
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except (StopIteration, ValueError):
        pass
    text = text.strip(' \t\r\n')
    if not text:
        return {}
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    except ValueError as error:
        raise part('events').refused(text, name, error) from None
    if end != len(text):
        raise ValueError('not JSON')
    return value


def dumps(value, _join=''.join):
    """JSON bytes in UTF-8; raises where the value is not JSON."""
    return _join(_encode(value, 0)).encode()
