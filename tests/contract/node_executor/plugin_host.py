"""A host for one executor plugin, in Python: enough of kernel/include/cloudfunction/executor.h to probe, validate,
build and plan. Tools run as plain processes; CHECK frames go to a worker that the plugin itself planned."""
import collections
import ctypes as c
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'protocol'))
from harness import Shim  # noqa: E402

OK, FAILED, INVALID, UNAVAILABLE, CANCELLED = range(5)
NOT_PREWARMED = 4
PREFIX = [('struct_size', c.c_uint32), ('major', c.c_uint16), ('minor', c.c_uint16)]
Data = c.POINTER(c.c_char)


class View(c.Structure):
    _fields_ = [('data', Data), ('size', c.c_uint64)]

    @classmethod
    def of(cls, value):
        raw = value if isinstance(value, bytes) else value.encode()
        view = cls(c.cast(c.c_char_p(raw), Data), len(raw))
        view.keep = raw
        return view

    def bytes(self):
        return c.string_at(self.data, self.size) if self.size else b''

    def text(self):
        return self.bytes().decode()


class Pair(c.Structure):
    _fields_ = [('name', View), ('value', View)]


class Error(c.Structure):
    _fields_ = PREFIX + [('message', c.c_char * 1024), ('hint', c.c_char * 1024)]


WRITE = c.CFUNCTYPE(None, c.c_void_p, View)


class Sink(c.Structure):
    _fields_ = PREFIX + [('context', c.c_void_p), ('write', WRITE)]


class Diagnostic(c.Structure):
    _fields_ = PREFIX + [('file', View), ('line', c.c_uint32), ('column', c.c_uint32), ('severity', c.c_int32),
                         ('reserved', c.c_uint32), ('message', View)]


class Function(c.Structure):
    _fields_ = PREFIX + [('name', View), ('runtime', View), ('handler', View), ('files', c.POINTER(Pair)),
                         ('file_count', c.c_uint64), ('file_stride', c.c_uint32), ('environment_stride', c.c_uint32),
                         ('environment', c.POINTER(Pair)), ('environment_count', c.c_uint64),
                         ('memory_mb', c.c_uint32), ('concurrency', c.c_uint32), ('timeout_ms', c.c_uint64),
                         ('from_code', c.c_uint64)]


class Tool(c.Structure):
    _fields_ = PREFIX + [('argv', c.POINTER(View)), ('argc', c.c_uint64), ('argv_stride', c.c_uint32),
                         ('environment_stride', c.c_uint32), ('environment', c.POINTER(Pair)),
                         ('environment_count', c.c_uint64), ('directory', View), ('input', View),
                         ('output', c.POINTER(Sink)), ('errors', c.POINTER(Sink)), ('timeout_ms', c.c_uint64),
                         ('network', c.c_uint64)]


class ToolResult(c.Structure):
    _fields_ = PREFIX + [('exit_code', c.c_int32), ('signal', c.c_int32), ('out_of_memory', c.c_uint64)]


class Exit(c.Structure):
    _fields_ = PREFIX + [('exit_code', c.c_int32), ('signal', c.c_int32), ('memory_mb', c.c_uint32),
                         ('reserved', c.c_uint32), ('last_errors', View)]


PLAN_CALLS = [('argument', c.CFUNCTYPE(None, c.c_void_p, View)),
              ('environment', c.CFUNCTYPE(None, c.c_void_p, View, View)),
              ('mount', c.CFUNCTYPE(None, c.c_void_p, View, View, c.c_uint32)),
              ('set', c.CFUNCTYPE(None, c.c_void_p, c.c_uint32, c.c_uint64))]


class PlanTable(c.Structure):
    _fields_ = PREFIX + [('context', c.c_void_p)] + PLAN_CALLS


LAYER_FILL = c.CFUNCTYPE(c.c_int32, c.c_void_p, View, c.POINTER(Error))
HOST_CALLS = [('log', c.CFUNCTYPE(None, c.c_void_p, c.c_int32, View)),
              ('property', c.CFUNCTYPE(c.c_int32, c.c_void_p, View, c.POINTER(Sink))),
              ('get_extension', c.CFUNCTYPE(c.c_void_p, c.c_void_p, View)),
              ('cancelled', c.CFUNCTYPE(c.c_int32, c.c_void_p)),
              ('tool_mount', c.CFUNCTYPE(None, c.c_void_p, View, View, c.c_uint32)),
              ('run_tool', c.CFUNCTYPE(c.c_int32, c.c_void_p, c.POINTER(Tool), c.POINTER(ToolResult),
                                       c.POINTER(Error))),
              ('check', c.CFUNCTYPE(c.c_int32, c.c_void_p, View, View, c.POINTER(Sink), c.POINTER(Error))),
              ('diagnostic', c.CFUNCTYPE(None, c.c_void_p, c.POINTER(Diagnostic))),
              ('build_log', c.CFUNCTYPE(None, c.c_void_p, View)),
              ('scratch', c.CFUNCTYPE(None, c.c_void_p, c.POINTER(Sink))),
              ('recall_lock', c.CFUNCTYPE(c.c_int32, c.c_void_p, View, View, c.c_uint32, c.POINTER(Sink))),
              ('keep_lock', c.CFUNCTYPE(None, c.c_void_p, View, View, View)),
              ('layer', c.CFUNCTYPE(c.c_int32, c.c_void_p, View, c.c_uint32, LAYER_FILL, c.c_void_p, c.POINTER(Sink),
                                    c.POINTER(Sink), c.POINTER(Error)))]


class Host(c.Structure):
    _fields_ = PREFIX + [('context', c.c_void_p)] + HOST_CALLS


S = c.c_void_p
E = c.POINTER(Error)
K = c.POINTER(Sink)


class Executor(c.Structure):
    _fields_ = PREFIX + [
        ('requires_minor', c.c_uint16), ('reserved', c.c_uint16 * 3), ('offers', c.c_uint64), ('bits', c.c_uint64),
        ('id', View), ('version', View),
        ('create', c.CFUNCTYPE(S, c.POINTER(Host), View, E)), ('destroy', c.CFUNCTYPE(None, S)),
        ('probe', c.CFUNCTYPE(c.c_int32, S, K, E)), ('describe', c.CFUNCTYPE(c.c_int32, S, K, E)),
        ('validate', c.CFUNCTYPE(c.c_int32, S, c.POINTER(Function), K, E)),
        ('prepare', c.CFUNCTYPE(c.c_int32, S, c.c_void_p, c.POINTER(Function), View, View, E)),
        ('plan', c.CFUNCTYPE(c.c_int32, S, c.POINTER(Function), c.POINTER(PlanTable), E)),
        ('describe_exit', c.CFUNCTYPE(c.c_int32, S, c.POINTER(Exit), E)),
        ('discard', c.CFUNCTYPE(None, S, View)), ('get_extension', c.CFUNCTYPE(c.c_void_p, S, View)),
        ('write_dependencies', c.CFUNCTYPE(c.c_int32, S, c.POINTER(Function), c.POINTER(View), c.c_uint64, c.c_uint32,
                                           K, K, E))]


def prefixed(kind, **values):
    value = kind(**values)
    value.struct_size, value.major, value.minor = c.sizeof(kind), 1, 1
    return value


def collector():
    """A sink and the list that its pieces go to."""
    pieces = []
    sink = prefixed(Sink)
    sink.write = WRITE(lambda _, view: pieces.append(view.bytes()))
    return sink, pieces


class Refused(Exception):
    def __init__(self, status, error):
        super().__init__(error.message.decode())
        self.status, self.hint = status, error.hint.decode()


# A tool that ran, with what it could write to and which files lay in the scratch folder when it started.
Run = collections.namedtuple('Run', 'argv environment network writable scratch')


def preload():
    """In a build with a sanitizer: its runtime, and the C++ library that it looks into, have to be in the process before
    anything else. Starts this process anew with them; what it starts itself gets none of it."""
    if 'LD_PRELOAD' in os.environ:
        for name in 'LD_PRELOAD', 'ASAN_OPTIONS':
            os.environ.pop(name, None)
        return
    library = os.path.join(os.environ.get('CF_PLUGINS', ''), 'node.so')
    if not os.path.exists(library):
        return
    needed = subprocess.run(['ldd', library], stdout=subprocess.PIPE, universal_newlines=True).stdout
    found = {name: re.search(r'=> (\S*/lib%s\.so\S*)' % re.escape(name), needed) for name in ('asan', 'tsan', 'stdc++')}
    if found['asan'] or found['tsan']:
        first = (found['asan'] or found['tsan']).group(1)
        os.environ['LD_PRELOAD'] = first + ' ' + found['stdc++'].group(1)
        os.environ['ASAN_OPTIONS'] = 'detect_leaks=0'  # of the interpreter, which keeps what it has until it ends
        os.execv(sys.executable, [sys.executable, '-m', 'unittest', *sys.argv[1:]])


preload()


class Plan:
    def __init__(self):
        self.argv, self.environment, self.mounts, self.flags = [], {}, [], {}


class Plugin:
    """The executor in the file <folder>/<id>.so, probed."""

    def __init__(self, folder, id, properties=None, probe=True):
        self.properties = dict({'home': os.path.join(folder, id)}, **(properties or {}))
        self.tools, self.mounts, self.diagnostics, self.checker = [], [], [], None
        self.runs, self.log, self.locks = [], [], {}
        self.network, self.old_locks, self.layers_made = True, False, 0
        self.work = tempfile.mkdtemp(prefix='plugin-host-')  # layers, scratch and sources
        self.host = prefixed(Host)
        for name, kind in HOST_CALLS:
            setattr(self.host, name, kind(getattr(self, '_' + name)))
        library = c.CDLL(os.path.join(folder, id + '.so'))
        library.cf_executor_entry.restype = c.POINTER(Executor)
        self.table = library.cf_executor_entry(c.byref(self.host), None).contents
        self.self = self.table.create(c.byref(self.host), View.of(''), None)
        self.found = None
        if probe:
            try:
                self.found = self.probe()
            except Refused:
                self.close()
                raise
            self.self = self.table.create(c.byref(self.host), View.of(json.dumps(self.found)), None)

    def close(self):
        shutil.rmtree(self.work, ignore_errors=True)
        if self.checker:
            self.checker.close()
        self.table.destroy(self.self)

    def _call(self, operation, *arguments):
        error = prefixed(Error)
        status = operation(self.self, *arguments, c.byref(error))
        if status != OK:
            raise Refused(status, error)
        return error

    def probe(self):
        sink, pieces = collector()
        self._call(self.table.probe, c.byref(sink))
        return json.loads(b''.join(pieces))

    def describe(self):
        sink, pieces = collector()
        self._call(self.table.describe, c.byref(sink))
        return json.loads(b''.join(pieces))

    def function(self, files, handler='handler', environment=None, memory_mb=128, runtime='node'):
        files = [(View.of(name), View.of(content)) for name, content in files.items()]
        pairs = [(View.of(name), View.of(value)) for name, value in (environment or {}).items()]
        value = prefixed(Function, name=View.of('test'), runtime=View.of(runtime), handler=View.of(handler),
                         files=(Pair * len(files))(*files), file_count=len(files), file_stride=c.sizeof(Pair),
                         environment=(Pair * len(pairs))(*pairs), environment_count=len(pairs),
                         environment_stride=c.sizeof(Pair), memory_mb=memory_mb, concurrency=1, timeout_ms=30000,
                         from_code=int(len(files) == 1))
        value.keep = (files, pairs, handler, runtime, value.name, value.runtime, value.handler)
        return value

    def validate(self, files, handler):
        """The remarks' messages."""
        sink, pieces = collector()
        try:
            self._call(self.table.validate, c.byref(self.function(files, handler)), c.byref(sink))
        except Refused as refused:
            assert refused.status == INVALID
        return [remark['message'] for remark in json.loads(b''.join(pieces))]

    def prepare(self, files, artifact, handler='handler', runtime='node'):
        """Builds into the folder `artifact`; self.diagnostics, .tools and .mounts say what happened."""
        self.tools, self.mounts, self.diagnostics, self.runs, self.log = [], [], [], [], []
        self.writable = {artifact}
        self.scratch = tempfile.mkdtemp(dir=self.work)
        sources = tempfile.mkdtemp(dir=self.work)
        for name, content in files.items():
            path = os.path.join(sources, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'wb') as file:
                file.write(content if isinstance(content, bytes) else content.encode())
        self._call(self.table.prepare, None, c.byref(self.function(files, handler, runtime=runtime)),
                   View.of(sources), View.of(artifact))

    def write_dependencies(self, dependencies):
        """(name, content) of the manifest."""
        name, name_pieces = collector()
        content, content_pieces = collector()
        views = [View.of(one) for one in dependencies]
        self._call(self.table.write_dependencies, c.byref(self.function({'index.js': ''})), (View * len(views))(*views),
                   len(views), c.sizeof(View), c.byref(name), c.byref(content))
        return b''.join(name_pieces).decode(), b''.join(content_pieces).decode()

    def plan(self, function=None):
        plan = Plan()
        table = prefixed(PlanTable)
        calls = {'argument': lambda _, value: plan.argv.append(value.text()),
                 'environment': lambda _, name, value: plan.environment.update({name.text(): value.text()}),
                 'mount': lambda _, source, target, flags: plan.mounts.append((source.text(), target.text())),
                 'set': lambda _, what, value: plan.flags.update({what: value})}
        for name, kind in PLAN_CALLS:
            setattr(table, name, kind(calls[name]))
        self._call(self.table.plan, c.byref(function) if function is not None else None, c.byref(table))
        return plan

    def describe_exit(self, exit_code, signal, errors, memory_mb=128):
        """(message, hint), or None."""
        value = prefixed(Exit, exit_code=exit_code, signal=signal, memory_mb=memory_mb, last_errors=View.of(errors))
        try:
            error = self._call(self.table.describe_exit, c.byref(value))
        except Refused:
            return None
        return error.message.decode(), error.hint.decode()

    def start(self, function=None):
        """A worker as planned, outside of any sandbox: mounts become paths."""
        plan = self.plan(function)
        argv = []
        for argument in plan.argv:
            for source, target in plan.mounts:
                if argument.startswith(target + '/'):
                    argument = source + argument[len(target):]
            argv.append(argument)
        return Shim(argv, environment=plan.environment)

    # What the plugin calls

    def _log(self, _context, level, message):
        pass

    def _property(self, _context, key, sink):
        if key.text() not in self.properties:
            return FAILED
        sink.contents.write(sink.contents.context, View.of(self.properties[key.text()]))
        return OK

    def _get_extension(self, _context, id):
        return None

    def _cancelled(self, _job):
        return 0

    def _tool_mount(self, _job, source, target, flags):
        self.mounts.append((source.text(), target.text()))
        (self.writable.add if flags & 0xff else self.writable.discard)(target.text())

    def _run_tool(self, _job, tool, result, error):
        tool = tool.contents
        argv = [tool.argv[i].text() for i in range(tool.argc)]
        environment = {tool.environment[i].name.text(): tool.environment[i].value.text()
                       for i in range(tool.environment_count)}
        self.tools.append(argv)
        self.runs.append(Run(argv, environment, bool(tool.network), set(self.writable), self._files_in_scratch()))
        if tool.network and not self.network:
            environment['npm_config_registry'] = 'http://127.0.0.1:1/'
        done = subprocess.run(argv, env=environment, input=tool.input.bytes(), capture_output=True,
                              cwd=tool.directory.text() or None)
        tool.output.contents.write(tool.output.contents.context, View.of(done.stdout))
        tool.errors.contents.write(tool.errors.contents.context, View.of(done.stderr))
        result.contents.exit_code = done.returncode
        return OK

    def _check(self, _job, file, source, remarks, error):
        if self.checker is None:
            self.checker = self.start()
        answer = self.checker.check(file.text(), source.bytes())
        remarks.contents.write(remarks.contents.context, View.of(json.dumps(answer)))
        return OK

    def _diagnostic(self, _job, diagnostic):
        d = diagnostic.contents
        self.diagnostics.append((d.file.text(), d.line, d.column, ('error', 'warning')[d.severity], d.message.text()))

    def _build_log(self, _job, line):
        self.log.append(line.text())

    def _files_in_scratch(self):
        return sorted(os.path.relpath(os.path.join(folder, name), self.scratch)
                      for folder, _, names in os.walk(self.scratch) for name in names)

    def _scratch(self, _job, path):
        path.contents.write(path.contents.context, View.of(self.scratch))

    def _recall_lock(self, _job, name, made_from, flags, content):
        kept = self.locks.get((name.text(), made_from.bytes()))
        if kept is None or (self.old_locks and not flags & 1):
            return FAILED
        content.contents.write(content.contents.context, View.of(kept))
        return OK

    def _keep_lock(self, _job, name, made_from, content):
        self.locks[name.text(), made_from.bytes()] = content.bytes()

    def _layer(self, _job, key, flags, fill, context, directory, link, error):
        name = hashlib.sha256(key.bytes()).hexdigest()[:16]
        folder = os.path.join(self.work, 'layers', name)
        if not os.path.isdir(folder):
            os.makedirs(folder)
            self.writable.add(folder)
            status = fill(context, View.of(folder), error)
            self.writable.discard(folder)
            if status != OK:
                shutil.rmtree(folder)
                return status
            self.layers_made += 1
        directory.contents.write(directory.contents.context, View.of(folder))
        link.contents.write(link.contents.context, View.of(folder))
        return OK
