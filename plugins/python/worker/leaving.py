"""The end of a worker: what atexit has to do is done, threads that are left are not waited for."""
import os

output = part('output')


def leave():
    try:
        import atexit
        atexit._run_exitfuncs()
    except BaseException:
        pass
    try:
        output.finish(0)
    except OSError:
        pass
    os._exit(0)
