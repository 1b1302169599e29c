"""The shim compiled ahead, for one interpreter: `python3 compiled.py write <folder>` when the platform is built, once for
each interpreter that is at hand, and `python3 compiled.py find <folder>` when the platform looks for its toolchain.

Both are about the interpreter that runs this file. A shim is compiled as a whole or not at all: `find` names the
program only when every part was compiled by an interpreter of this kind, from the source that lies there now. Workers
do not look again: what they run is the operator's own files, like the executor's library.
"""
import importlib.util
import os
import py_compile
import sys

_CHECKED_SOURCE = b'\x03\0\0\0'  # the flags of PEP 552: made from a source with this hash
_SEEN_AT = '/opt/cloudfunction/python/'  # where workers see the folder, for what an interpreter prints when it crashes


def _target(source):
    return importlib.util.cache_from_source(source, optimization=2)


def _sources(folder):
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith('.py')]


def write(folder):
    for source in _sources(folder):
        py_compile.compile(source, _target(source), _SEEN_AT + os.path.basename(source), doraise=True, optimize=2,
                           invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def _is_current(source):
    try:
        with open(_target(source), 'rb') as file:
            header = file.read(16)
    except OSError:
        return False
    with open(source, 'rb') as file:
        expected = importlib.util.source_hash(file.read())
    return header == importlib.util.MAGIC_NUMBER + _CHECKED_SOURCE + expected


def find(folder):
    """The program below `folder` that workers run."""
    if sys.implementation.cache_tag and all(map(_is_current, _sources(folder))):
        return os.path.relpath(_target(os.path.join(folder, 'worker.py')), folder)
    return 'worker.py'


if __name__ == '__main__':
    if sys.argv[1] == 'write':
        write(sys.argv[2])
    else:
        print(find(sys.argv[2]))
