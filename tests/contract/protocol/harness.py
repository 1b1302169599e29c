"""Stands in for the kernel in front of a worker shim, so that every shim is tested by itself and in the same way.

A test starts a shim with `Shim(argv)`, speaks the frames of docs/worker-protocol.md and looks at what comes back:

    with Shim(['node', 'worker.js']) as shim:
        shim.hello()                                       # {'VERSION': 1, 'LANGUAGE': '18.19.0', 'CONCURRENCY': 100}
        assert shim.load('/tmp/artifact', 'handler').ok    # READY; else .document is the error document
        answer = shim.invoke(b'{"a":1}')                   # RESULT or ERROR, with the LOG frames before it
        assert answer.ok and answer.value == {...}

Python 3.8 or later, standard library only, Linux. One thread per shim reads its frames, so that a shim that floods
its socket never blocks the test. Every wait has a timeout; `ShimError` says what was missing and shows the shim's
standard error.
"""
import json
import os
import queue
import secrets
import shutil
import signal
import socket
import struct
import threading
import time

VERSION = 2
MAX_PAYLOAD = 16 * 1024 * 1024
MAX_DOCUMENT = 64 * 1024

TYPES = {
    'HELLO': 1, 'LOAD': 2, 'READY': 3, 'LOAD_FAILED': 4, 'INVOKE': 5, 'RESULT': 6, 'CHECK': 7, 'CHECKED': 8,
    'CACHE': 9, 'ERROR': 10, 'LOG': 11, 'CHUNK': 12, 'END': 13, 'CREDIT': 14, 'CANCEL': 15, 'FORK': 16,
    'FORKED': 17, 'STOP': 18, 'NOT_BEGUN': 19,
}
TYPE_NAMES = {number: name for name, number in TYPES.items()}

TAGS = {
    'VERSION': 1, 'LANGUAGE': 2, 'CONCURRENCY': 3, 'ARTIFACT': 4, 'HANDLER': 5, 'ENVIRONMENT': 6,
    'FUNCTION_NAME': 7, 'FUNCTION_VERSION': 8, 'MEMORY_MB': 9, 'TIMEOUT_MS': 10, 'REMAINING_MS': 11,
    'INVOCATION_ID': 12, 'REQUEST_ID': 13, 'DEADLINE_MS': 14, 'RUN_NS': 15, 'STREAM': 16, 'TEXT': 17, 'FILE': 18,
    'SOURCE': 19, 'CREDIT': 20, 'BEGIN_BY': 21,
}
TAG_NAMES = {number: name for name, number in TAGS.items()}
NUMBERS = {'VERSION', 'CONCURRENCY', 'FUNCTION_VERSION', 'MEMORY_MB', 'TIMEOUT_MS', 'REMAINING_MS', 'DEADLINE_MS',
           'RUN_NS', 'STREAM', 'CREDIT', 'BEGIN_BY'}
BYTES = {'TEXT', 'SOURCE'}

_HEADER = struct.Struct('<IBBHQ')
_ITEM = struct.Struct('<HHI')


class ShimError(AssertionError):
    """The shim broke the protocol or kept silent."""


# Frames ------------------------------------------------------------------------------------------------------------

class Frame:
    """One frame: `type` is its name, `id` the invocation's id, `payload` its bytes."""

    def __init__(self, type, id=0, payload=b''):
        self.type, self.id, self.payload = type, id, payload

    def encode(self):
        return _HEADER.pack(len(self.payload), TYPES[self.type], 0, 0, self.id) + self.payload

    def __eq__(self, other):
        return (self.type, self.id, self.payload) == (other.type, other.id, other.payload)

    def __repr__(self):
        return 'Frame(%s, id=%#x, %d bytes)' % (self.type, self.id, len(self.payload))


def decode_header(header):
    """Checks 16 bytes as a kernel does and gives (payload size, type name, id)."""
    size, number, flags, reserved, id = _HEADER.unpack(header)
    if size > MAX_PAYLOAD:
        raise ShimError('frame of %d bytes, the limit is %d' % (size, MAX_PAYLOAD))
    if number not in TYPE_NAMES:
        raise ShimError('unknown frame type %d' % number)
    if flags or reserved:
        raise ShimError('flags %d and reserved %d must be 0' % (flags, reserved))
    return size, TYPE_NAMES[number], id


def decode(data):
    """The frame that `data` is, wholly."""
    if len(data) < _HEADER.size:
        raise ShimError('a header has %d bytes' % _HEADER.size)
    size, type, id = decode_header(data[:_HEADER.size])
    if len(data) != _HEADER.size + size:
        raise ShimError('payload of %d bytes, the header says %d' % (len(data) - _HEADER.size, size))
    return Frame(type, id, data[_HEADER.size:])


def encode_items(pairs):
    """Type-length-value items from (name, value) pairs; numbers as u64, text as UTF-8, bytes as they are."""
    out = b''
    for name, value in pairs:
        if name in NUMBERS:
            value = struct.pack('<Q', value)
        elif isinstance(value, str):
            value = value.encode()
        out += _ITEM.pack(TAGS[name], 0, len(value)) + value
    return out


def decode_items(data):
    """The items of a block as (name, value) pairs; a tag nobody knows is skipped."""
    pairs, at = [], 0
    while at < len(data):
        if at + _ITEM.size > len(data):
            raise ShimError('an item is cut inside its header')
        tag, reserved, size = _ITEM.unpack_from(data, at)
        at += _ITEM.size
        if reserved:
            raise ShimError('the reserved bytes of an item must be 0')
        if at + size > len(data):
            raise ShimError('an item is longer than its block')
        value, at = data[at:at + size], at + size
        name = TAG_NAMES.get(tag)
        if name is None:
            continue
        if name in NUMBERS:
            if size != 8:
                raise ShimError('%s is a number of 8 bytes, not %d' % (name, size))
            value = struct.unpack('<Q', value)[0]
        elif name not in BYTES:
            value = value.decode('utf-8')
        pairs.append((name, value))
    return pairs


def invoke_payload(event=b'{}', context=b'{}', remaining_ms=30000, invocation_id='inv-1', request_id='req-1',
                   deadline_ms=None, begin_by_us=None):
    """Payload of INVOKE: sizes, event, context, then the items in their fixed order, BEGIN_BY where it is given."""
    if deadline_ms is None:
        deadline_ms = int(time.time() * 1000) + remaining_ms
    return (struct.pack('<II', len(event), len(context)) + event + context +
            encode_items([('REMAINING_MS', remaining_ms), ('INVOCATION_ID', invocation_id),
                          ('REQUEST_ID', request_id), ('DEADLINE_MS', deadline_ms)] +
                         ([] if begin_by_us is None else [('BEGIN_BY', begin_by_us)])))


def split_document(payload):
    """RESULT and ERROR: (document bytes, items)."""
    if len(payload) < 4:
        raise ShimError('an answer begins with the size of its document')
    size, = struct.unpack_from('<I', payload)
    if 4 + size > len(payload):
        raise ShimError('the document of an answer is longer than its frame')
    return payload[4:4 + size], dict(decode_items(payload[4 + size:]))


def _refuse_constant(word):
    raise ShimError('%s is not JSON' % word)


def parse_json(data):
    """JSON as the kernel sees it: UTF-8, no NaN or Infinity."""
    try:
        return json.loads(data.decode('utf-8'), parse_constant=_refuse_constant)
    except ValueError as error:
        raise ShimError('not JSON: %s in %r' % (error, data[:200])) from None


def check_error_document(document, data):
    """Fails unless `document` (parsed from `data`) has the form every error document has."""
    if len(data) > MAX_DOCUMENT:
        raise ShimError('an error document has at most %d bytes, not %d' % (MAX_DOCUMENT, len(data)))
    if not isinstance(document, dict):
        raise ShimError('an error document is an object: %r' % (document,))
    for key in ('type', 'message', 'hint', 'file'):
        if key in document and not isinstance(document[key], str):
            raise ShimError('%s of an error document is text: %r' % (key, document))
    for key in ('line', 'column'):
        if key in document and not isinstance(document[key], int):
            raise ShimError('%s of an error document is a number: %r' % (key, document))
    if not document.get('type') or 'message' not in document:
        raise ShimError('an error document has type and message: %r' % (document,))
    stack = document.get('stack')
    if not isinstance(stack, list) or not all(isinstance(line, str) for line in stack):
        raise ShimError('stack of an error document is a list of text: %r' % (document,))


# A shim ------------------------------------------------------------------------------------------------------------

class Answer:
    """What a shim said to LOAD or INVOKE.

    ok        READY or RESULT
    type, id  name of the frame, id it carried
    body      the document's bytes as they came
    value     RESULT: the parsed result
    document  ERROR, LOAD_FAILED: the parsed error document
    run_ns    RUN_NS, None where it was not sent
    logs      the LOG frames of this id (LOAD: of id 0) since the last answer: [(stream, bytes)]
    """

    def __init__(self, frame, logs):
        self.type, self.id, self.logs = frame.type, frame.id, logs
        self.ok = frame.type in ('READY', 'RESULT')
        self.body, self.value, self.document, self.run_ns = frame.payload, None, None, None
        if frame.type in ('RESULT', 'ERROR'):
            self.body, items = split_document(frame.payload)
            self.run_ns = items.get('RUN_NS')
        if frame.type == 'RESULT':
            self.value = parse_json(self.body)
        elif frame.type in ('ERROR', 'LOAD_FAILED'):
            self.document = parse_json(self.body)
            check_error_document(self.document, self.body)
        elif frame.type == 'READY' and frame.payload:
            raise ShimError('READY is empty')

    @property
    def error(self):
        """The error document's type, None where all went well."""
        return self.document and self.document['type']

    def text(self, stream=None):
        """All that was logged, or one stream of it (1 output, 2 errors), as text."""
        return b''.join(t for s, t in self.logs if stream in (None, s)).decode('utf-8', 'replace')

    def __repr__(self):
        return 'Answer(%s, %r)' % (self.type, self.body[:300])


class Shim:
    """A worker process with its socket on fd 3, pipes on 1 and 2, and /dev/null on 0."""

    def __init__(self, argv, environment=None, timeout=20):
        """`environment` is the whole environment, as in a sandbox (default: PATH and a few words)."""
        self.timeout = timeout
        self.stdout, self.stderr = bytearray(), bytearray()
        self.logs = []          # every LOG frame so far: (id, stream, bytes)
        self._unclaimed = []    # LOG frames that no answer has taken yet
        self._waiting = []      # frames read, but not asked for yet
        self._frames = queue.Queue()
        self._said_hello = None
        if environment is None:
            environment = {'PATH': '/usr/local/bin:/usr/bin:/bin', 'HOME': '/tmp', 'LANG': 'C.UTF-8'}
        program = argv[0] if os.sep in argv[0] else shutil.which(argv[0])
        if program is None:
            raise ShimError('there is no program %s' % argv[0])
        self.socket, theirs = socket.socketpair()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            self.pid = os.posix_spawn(program, list(argv), environment, file_actions=[
                (os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, out_write, 1),
                (os.POSIX_SPAWN_DUP2, err_write, 2), (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)])
        finally:
            theirs.close()
            for fd in (out_write, err_write, nothing):
                os.close(fd)
        self._status = None
        self._threads = [threading.Thread(target=self._drain, args=(out_read, self.stdout), daemon=True),
                         threading.Thread(target=self._drain, args=(err_read, self.stderr), daemon=True),
                         threading.Thread(target=self._read_frames, daemon=True)]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending

    def send(self, type, id=0, payload=b''):
        self.socket.sendall(Frame(type, id, payload).encode())

    def send_raw(self, data):
        self.socket.sendall(data)

    # Receiving

    def receive(self, *types, id=None):
        """The next frame of one of `types` (any but LOG where none is named) and of `id`, in the order of arrival."""
        def wanted(frame):
            return (not types or frame.type in types) and id in (None, frame.id)
        for index, frame in enumerate(self._waiting):
            if wanted(frame):
                return self._waiting.pop(index)
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                frame = self._frames.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise self._failure('no %s after %g s' % (' or '.join(types) or 'frame', self.timeout)) from None
            if frame is None or isinstance(frame, Exception):
                self._frames.put(frame)
                raise self._failure('the worker closed its socket, no %s came' % (' or '.join(types) or 'frame')
                                    if frame is None else str(frame))
            if frame.type == 'LOG':
                items = dict(decode_items(frame.payload))
                if items.get('STREAM') not in (1, 2) or 'TEXT' not in items:
                    raise ShimError('LOG has STREAM 1 or 2 and TEXT, not %r' % items)
                self.logs.append((frame.id, items['STREAM'], items['TEXT']))
                self._unclaimed.append(self.logs[-1])
                if 'LOG' not in types:
                    continue
            if wanted(frame):
                return frame
            self._waiting.append(frame)

    def answer(self, id=None, types=('RESULT', 'ERROR')):
        """The next answer (of invocation `id`, or of whichever comes first)."""
        frame = self.receive(*types, id=id)
        logs = [(stream, text) for log_id, stream, text in self._unclaimed if log_id == frame.id]
        self._unclaimed = [log for log in self._unclaimed if log[0] != frame.id]
        return Answer(frame, logs)

    # The worker's life

    def hello(self):
        """Waits for HELLO (once) and gives its items."""
        if self._said_hello is None:
            frame = self.receive()
            if frame.type != 'HELLO' or frame.id != 0:
                raise self._failure('the first frame is HELLO with id 0, not %r' % frame)
            self._said_hello = dict(decode_items(frame.payload))
            if not 1 <= self._said_hello.get('VERSION', 0) <= VERSION:
                raise self._failure('HELLO says version %r' % self._said_hello.get('VERSION'))
            if 'LANGUAGE' not in self._said_hello or self._said_hello.get('CONCURRENCY', 0) < 1:
                raise self._failure('HELLO has LANGUAGE and CONCURRENCY, not %r' % self._said_hello)
        return self._said_hello

    def load(self, directory, handler, environment=None, name='test-function', version=1, memory_mb=128,
             timeout_ms=30000, concurrency=1):
        """LOAD; gives the Answer READY or LOAD_FAILED."""
        self.hello()
        self.send('LOAD', 0, encode_items(
            [('ARTIFACT', str(directory)), ('HANDLER', handler)] +
            [('ENVIRONMENT', '%s=%s' % pair) for pair in (environment or {}).items()] +
            [('FUNCTION_NAME', name), ('FUNCTION_VERSION', version), ('MEMORY_MB', memory_mb),
             ('TIMEOUT_MS', timeout_ms), ('CONCURRENCY', concurrency)]))
        return self.answer(id=0, types=('READY', 'LOAD_FAILED'))

    def start(self, event=b'{}', context=b'{}', id=None, **metadata):
        """Sends INVOKE without waiting; gives its id for `answer`. Event and context are bytes, or values to dump."""
        if id is None:
            id = secrets.randbits(63) | 1
        event, context = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (event, context))
        self.send('INVOKE', id, invoke_payload(event, context, **metadata))
        return id

    def invoke(self, event=b'{}', context=b'{}', id=None, **metadata):
        """One invocation from INVOKE to its answer."""
        return self.answer(self.start(event, context, id, **metadata))

    def cancel(self, id):
        self.send('CANCEL', id)

    def check(self, file, source):
        """CHECK; gives the list of remarks."""
        self.hello()
        if isinstance(source, str):
            source = source.encode()
        self.send('CHECK', 0, encode_items([('FILE', file), ('SOURCE', source)]))
        remarks = parse_json(self.receive('CHECKED').payload)
        if not isinstance(remarks, list):
            raise ShimError('remarks are a list: %r' % (remarks,))
        for remark in remarks:
            if not {'file', 'line', 'column', 'message', 'severity'} <= set(remark):
                raise ShimError('a remark has file, line, column, message and severity: %r' % remark)
            if remark['severity'] not in ('error', 'warning'):
                raise ShimError('severity is error or warning: %r' % remark)
        return remarks

    def stop(self):
        """STOP; gives the exit code."""
        self.send('STOP')
        return self.wait()

    def wait(self):
        """Waits for the worker's end: its exit code, or minus the signal's number. Reads all its output first."""
        deadline = time.monotonic() + self.timeout
        while self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            elif time.monotonic() > deadline:
                raise self._failure('the worker did not leave within %g s' % self.timeout)
            else:
                time.sleep(0.002)
        for thread in self._threads:
            thread.join(1)
        return self._status

    def alive(self):
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return self._status is None

    def close(self):
        """Ends the worker if it still runs, and frees everything."""
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
        self.wait()
        self.socket.close()

    # Within

    def _failure(self, message):
        time.sleep(0.05)
        return ShimError('%s; standard error: %s' % (message, self.stderr.decode('utf-8', 'replace')[-2000:] or '-'))

    @staticmethod
    def _drain(fd, target):
        while True:
            data = os.read(fd, 65536)
            if not data:
                os.close(fd)
                return
            target.extend(data)

    def _read_frames(self):
        try:
            with self.socket.makefile('rb', buffering=65536) as stream:
                while True:
                    header = stream.read(_HEADER.size)
                    if not header:
                        break
                    if len(header) < _HEADER.size:
                        raise ShimError('the worker left inside a header')
                    size, type, id = decode_header(header)
                    payload = stream.read(size)
                    if len(payload) < size:
                        raise ShimError('the worker left inside a frame')
                    self._frames.put(Frame(type, id, payload))
        except ShimError as error:
            self._frames.put(error)
        except OSError:
            pass
        self._frames.put(None)
