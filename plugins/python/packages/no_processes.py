"""Runs in the build sandbox: pip in a process that starts no other one.

    python3 -I no_processes.py <arguments of pip>

pip runs no code of packages itself. Whatever does (build backends, setup.py, tools of version control, with the hooks and
settings of a repository) is a process that it starts: to learn what a source archive needs, also one that
--only-binary does not keep it from, because a package named its address. Here none starts, so whatever pip meets while it has
the network and the operator's logins, its authors' code does not run.

Where the folder KEPT is named, source archives that pip has fetched by then are put into it, and all ends.
"""
import _posixsubprocess
import errno
import glob
import os
import posix
import runpy
import shutil
import subprocess
import sys

ARCHIVES = ('.tar.gz', '.zip', '.tar.bz2', '.tgz', '.tar.xz')
# package_errors.py finds it in what pip says.
REFUSED = 'no program is started while packages are fetched or installed'
# Everything in Python that starts a program ends in one of these.
STARTERS = ('fork', 'forkpty', 'execv', 'execve', 'posix_spawn', 'posix_spawnp', 'system')

kept = os.environ.pop('KEPT', None)


def refuse(*arguments, **more):
    """pip's questions about the machine come here as well (lsb_release, ldconfig...), and do without an answer."""
    # Where pip puts what it downloads, and not deeper: that came out of an archive.
    found = [file for file in glob.glob(os.path.join(os.environ['TMPDIR'], 'pip-unpack-*', '*')) if file.endswith(ARCHIVES)] if kept else []
    if found:
        for file in found:
            shutil.copy(file, kept)
        sys.stdout.flush()
        os._exit(0)
    raise OSError(errno.ENOSYS, REFUSED)


def close_ways():
    for module in (os, posix):
        for name in STARTERS:
            if hasattr(module, name):
                setattr(module, name, refuse)
    _posixsubprocess.fork_exec = refuse
    if hasattr(subprocess, '_fork_exec'):  # Python 3.11 and later
        subprocess._fork_exec = refuse


if __name__ == '__main__':
    close_ways()
    sys.argv[0] = 'pip'
    runpy.run_module('pip', run_name='__main__', alter_sys=True)
