"""Runs in the build sandbox: compiles a function's own sources, so that none of its starts has to. Runs none of them.

    python3 compile_sources.py <sources> <artifact>

Workers take what it leaves in __pycache__ without a look at the source: both lie in one artifact, which nobody can
change. What cannot be compiled is found when it is imported, if it ever is.
"""
import importlib.util
import os
import py_compile
import sys


def compile_all(sources, artifact):
    for folder, _, names in os.walk(sources):
        for name in names:
            source = os.path.join(folder, name)
            if not name.endswith('.py') or os.path.islink(source):
                continue
            place = os.path.relpath(source, sources)
            try:
                py_compile.compile(source, importlib.util.cache_from_source(os.path.join(artifact, place)), place,
                                   doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
            except Exception as error:
                print('%s is not compiled ahead: %s' % (place, error))


if __name__ == '__main__':
    compile_all(sys.argv[1], sys.argv[2])
