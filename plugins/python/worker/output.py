"""What the function prints: sys.stdout and sys.stderr become LOG frames with the id of the invocation that printed.

Text is sent line by line, at once: a worker that is killed at its deadline has sent all that it said. A line is cut
at 16 KiB, an invocation's output at 1 MiB, and what is printed outside of an invocation at 64 KiB a second.
"""
import os
from _io import _BufferedIOBase, _TextIOBase
import sys
from time import monotonic

wire = part('wire')
origin = part('origin')

LINE = 16 * 1024
INVOCATION = 1024 * 1024
OUTSIDE = 64 * 1024
OVERHEAD = 64  # what a frame costs besides its text, so that a million empty lines end, too

# Text after the last line end: {(stream, id): str}. Empty while there is none, which the loops look at.
pending = {}
# Bytes sent: {id: n}. Only ids that have printed.
spent = {}
_outside_since = [0.0]


def _serial_owner(_thread=origin.thread, _current=wire.current):
    id = _thread.id
    return _current[0] if not id or id == _current[0] else 0


# Who prints: replaced by the modes in which several invocations run at once.
owner = [_serial_owner]


def _send_frame(stream, id, text):
    wire.send_frame(wire.LOG, id, wire.item(wire.STREAM, stream) + wire.item(wire.TEXT, text))


def _send_native(stream, id, text, _write=os.write):
    _write(stream, text)


_send = [_send_frame]


def _emit(stream, id, text):
    """Sends whole lines, as far as the budget goes."""
    if id == 0 and monotonic() - _outside_since[0] > 1:
        _outside_since[0] = monotonic()
        spent.pop(0, None)
    limit = INVOCATION if id else OUTSIDE
    before = spent.get(id, 0)
    if before >= limit:
        return
    text = text[:limit]
    if len(text) > LINE:
        text = '\n'.join(_cut(line) for line in text.split('\n'))
    data = text.encode('utf-8', 'backslashreplace')
    spent[id] = after = before + len(data) + OVERHEAD
    if after >= limit:
        data = data[:max(0, limit - before)]
        data += b'%s[output cut: more than %d KiB%s]\n' % (
            b'' if data.endswith(b'\n') else b'\n', limit // 1024, b'' if id else b' in a second')
    _send[0](stream, id, data)


def _cut(line):
    return line if len(line) <= LINE else line[:LINE] + ' [line cut]'


def _put(stream, text):
    if len(text) > INVOCATION:  # no copy of what cannot be sent anyway
        text = text[:INVOCATION] + '\n'
    with wire.lock:
        id = owner[0]()
        end = text.rfind('\n') + 1
        key = stream, id
        if not end:
            text = pending.get(key, '') + text
            if len(text) > LINE:
                end = len(text)
        elif key in pending:
            before = pending.pop(key)
            text, end = before + text, len(before) + end
        if end:
            _emit(stream, id, text[:end])
            text = text[end:]
            pending.pop(key, None)
        if text:
            pending[key] = text


def finish(id):
    """Before an invocation is answered: sends what has no line end yet and forgets its budget."""
    with wire.lock:
        for stream in (1, 2):
            text = pending.pop((stream, id), None)
            if text:
                _emit(stream, id, text)
        spent.pop(id, None)


class _Bytes(_BufferedIOBase):
    """`sys.stdout.buffer`."""

    def __init__(self, stream):
        self._stream = stream

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        _put(self._stream, data[:4 * INVOCATION].decode('utf-8', 'backslashreplace'))
        return len(data)

    def fileno(self):
        return self._stream


class Output(_TextIOBase):
    """`sys.stdout` and `sys.stderr`. `fileno` is the pipe for native writes, so that subprocesses can take it."""
    encoding = 'utf-8'
    errors = 'backslashreplace'
    newlines = None
    mode = 'w'
    line_buffering = True
    write_through = False

    def __init__(self, stream):
        self._stream = stream
        self.name = '<stdout>' if stream == 1 else '<stderr>'
        self.buffer = _Bytes(stream)

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError('write() argument must be str, not %s' % type(text).__name__)
        if text:
            _put(self._stream, text)
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        if pending:
            with wire.lock:
                key = self._stream, owner[0]()
                text = pending.pop(key, None)
                if text:
                    _emit(key[0], key[1], text)

    def close(self):
        """Stays open: the next invocation prints, too."""

    def reconfigure(self, **_):
        pass

    def writable(self):
        return True

    def isatty(self):
        return False

    def fileno(self):
        return self._stream


def _in_fork():
    """A child of fork() is not the worker: its lines go to the pipes, and the socket is no longer its own."""
    if hasattr(wire.lock, '_at_fork_reinit'):
        wire.lock._at_fork_reinit()
    pending.clear()
    _send[0] = _send_native
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, wire.FD, False)
    os.close(nothing)


def _configure_logging(logging):
    """Messages from INFO up are shown without a line of set-up; whatever the function sets wins."""
    if logging.root.level == logging.WARNING and not logging.root.handlers:
        logging.root.setLevel(logging.INFO)
    if logging.lastResort is not None:
        logging.lastResort.setLevel(logging.NOTSET)


# What is done to modules of the standard library when they are imported: {name: (a name in it, function)}.
_adapted = {'logging': ('lastResort', _configure_logging),
            'concurrent.futures.thread': ('_WorkItem', origin.adapt_pools)}


class _Finder:
    """Sees the imports of these modules, wherever they happen first."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in _adapted:
            return None
        known_by, adapt = _adapted.pop(name)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not cls else None
            if spec is not None:
                break
        else:
            return None
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            if hasattr(module, known_by):  # not so in a file of the function with that name
                adapt(module)
        spec.loader.exec_module = exec_module
        return spec


def install():
    sys.stdout = sys.__stdout__ = Output(1)
    sys.stderr = sys.__stderr__ = Output(2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    if nothing > 0:
        os.close(nothing)
    os.register_at_fork(after_in_child=_in_fork)
    origin.install()
    for name in set(_adapted) & set(sys.modules):
        _adapted.pop(name)[1](sys.modules[name])
    sys.meta_path.insert(0, _Finder)
