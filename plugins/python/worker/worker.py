"""The worker of Python functions: one process, one version of one function. See docs/worker-protocol.md.

Started as `python3 -I -S -B worker.py`, it says HELLO, waits (prewarmed) and becomes what LOAD says. Start-up time
is the point of its shape: `json`, `socket` and `inspect` are never imported, a part of the shim is read when it is
first needed, and modules that functions like to use are imported while nobody waits. Where `compiled.py` has
left compiled parts for this interpreter, the program is `__pycache__/worker.cpython-311.opt-2.pyc`, and no part is
compiled at a start: that was 5 ms of 12.

The parts are loaded by path, not by import: they are in no search path and take no name from the user's modules.
Everything that they need of the standard library they hold before user code runs.
"""
import sys

# The shim's folder goes before anything is imported: some of its files have names of the standard library.
_home, _, _own = __file__.rpartition('/')
sys.path[:] = [entry for entry in sys.path if entry not in ('', _home)]

import gc  # noqa: E402

gc.disable()  # what starting makes is here to stay

import faulthandler  # noqa: E402
import marshal  # noqa: E402
import os  # noqa: E402

_suffix = _own[len('worker'):]
_compiled = _suffix.endswith('.pyc')
_HEADER = 16  # of a .pyc file
_parts = {}


def part(name, _open=open, _compile=compile, _loads=marshal.loads, _exec=exec, _module=type(sys)):
    """A part of the shim, by the name of its file; loaded once."""
    if name not in _parts:
        path = _home + '/' + name + _suffix
        module = _module('cloudfunction_' + name)
        module.__file__ = path
        module.part = part
        with _open(path, 'rb', 0) as file:
            data = file.read()
        code = _loads(data[_HEADER:]) if _compiled else _compile(data, path, 'exec', 0, True, 2)
        _exec(code, module.__dict__)
        _parts[name] = module
    return _parts[name]


# Imported while a prewarmed worker waits. Every module here is memory in every worker, used or not: `json` brings `re`,
# `functools` and `collections` along, which most functions want, and costs 1 MB; `logging` alone would cost another.
_LIKED = ('json',)
# A worker that is started for a call hears of it sooner than this; it must not import what the function may not want.
_STARTED_AHEAD = 0.05


def _warm_up(wire):
    """What every function needs, then what most like, until the kernel says something."""
    for name in ('output', 'loading', 'serial', 'errors', 'leaving'):
        part(name)
    compile('', 'warm', 'exec')  # the interpreter's compiler takes 0.7 ms for its first source
    patience = _STARTED_AHEAD
    for name in _LIKED:
        if wire.waiting(patience):
            return
        patience = 0
        try:
            __import__(name)
        except ImportError:
            pass


def main():
    wire = part('wire')
    wire.hello('%d.%d.%d' % sys.version_info[:3], 100)
    faulthandler.enable(file=2)
    _warm_up(wire)
    gc.freeze()
    gc.enable()
    while True:
        kind, _, payload = wire.receive()
        if kind == wire.LOAD:
            break
        if kind == wire.CHECK:
            part('checking').answer(payload)
        elif kind in (None, wire.STOP):
            os._exit(0)
    part('output').install()
    function = part('loading').load(payload)
    if function is not None:
        gc.freeze()
        wire.send_frame(wire.READY)
        part(function.mode).serve(function)
    part('leaving').leave()


if __name__ == '__main__':
    main()
