"""LOAD: environment, search path, the user's module, the handler."""
import builtins
import os
import sys
import time
from _functools import partial as Partial

wire = part('wire')

_CO_VARARGS, _CO_COROUTINE = 0x04, 0x80
_ANY = 99  # more than any handler is given


class Refused(Exception):
    """Why the function cannot be loaded, in the words of an error document."""

    def __init__(self, type, message, hint='', **place):
        super().__init__(message)
        self.document = dict({'type': type, 'message': message, 'stack': []}, **place)
        if hint:
            self.document['hint'] = hint


class Context(dict):
    """The second argument of a handler: context['user'] and context.user are the same."""
    __slots__ = ()

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError('the context has no %r; it has %s' % (name, ', '.join(map(str, self)))) from None

    __setattr__ = dict.__setitem__

    def __delattr__(self, name):
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None

    def copy(self):
        return Context(self)

    def __reduce__(self):
        return dict, (dict(self),)


class Function:
    """What LOAD said and what was found.

    handler       the callable
    arity         how many of event and context it is given
    mode          which loop serves it: serial, threads or asynchronous
    concurrency   how many invocations it gets at once
    root          the artifact's folder, with a slash at its end
    """

    def __init__(self):
        self.environment = []
        self.handler = None
        self.arity = 2
        self.mode = 'serial'
        self.concurrency = 1
        self.root = self.wanted = self.name = ''
        self.version = self.memory_mb = 0

    def common_context(self):
        """The part of every context that is the same for all invocations."""
        return {'function_name': self.name, 'function_version': self.version, 'memory_limit_mb': self.memory_mb}


def _read(payload):
    function = Function()
    for tag, value in wire.items(payload):
        if tag == wire.ARTIFACT:
            function.root = value.decode().rstrip('/') + '/'
        elif tag == wire.HANDLER:
            function.wanted = value.decode()
        elif tag == wire.ENVIRONMENT:
            function.environment.append(value)
        elif tag == wire.FUNCTION_NAME:
            function.name = value.decode()
        elif tag == wire.FUNCTION_VERSION:
            function.version = wire.number(value)
        elif tag == wire.MEMORY_MB:
            function.memory_mb = wire.number(value)
        elif tag == wire.CONCURRENCY:
            function.concurrency = max(1, wire.number(value))
    return function


def _prepare_process(function):
    """Environment, working directory and search path as the user expects them."""
    for variable in function.environment:
        name, _, value = variable.partition(b'=')
        if name:
            os.environb[name] = value
    if b'TZ' in os.environb:
        time.tzset()
    try:
        os.chdir(function.root)
    except OSError:
        pass
    sys.path.insert(0, function.root.rstrip('/'))
    if sys.flags.ignore_environment:  # else the interpreter has read it itself
        sys.path[1:1] = [entry for entry in os.environ.get('PYTHONPATH', '').split(':') if entry]
    _add_packages(function.root)
    sys.argv = [function.root + 'main.py']
    builtins.exit = builtins.quit = sys.exit  # `site` would have done it


def _add_packages(root):
    """The packages that were installed for the function, behind the standard library, as every Python has it.

    By their real folder, which is not the function's own: what happens in there is not the user's code. `.pth` files are
    not read: they could run code before anybody asked for it, and namespace packages do without.
    """
    packages = root + 'site-packages'
    if not os.path.isdir(packages):
        return
    sys.path.append(os.path.realpath(packages))
    # Libraries of native code start a thread for each processor; on a large machine more than the limit on processes
    # allows, and each has buffers of its own.
    threads = str(min(4, len(os.sched_getaffinity(0))))
    for name in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'NUMEXPR_MAX_THREADS', 'RAYON_NUM_THREADS'):
        os.environ.setdefault(name, threads)


def _locate(function):
    """(module, name of the callable, module's file) of the handler."""
    module, _, name = function.wanted.rpartition('.')
    if not module:
        sources = sorted(entry for entry in os.listdir(function.root) if entry.endswith('.py'))
        if 'main.py' in sources:
            module = 'main'
        elif len(sources) == 1:
            module = sources[0][:-3]
        else:
            raise Refused('HandlerNotFound', 'the handler "%s" does not say which of %s it is in'
                          % (function.wanted, ', '.join(sources) or 'no files'),
                          'name it module.function, for example "%s.%s"'
                          % (sources[0][:-3] if sources else 'main', function.wanted))
    base = function.root + module.replace('.', '/')
    for file in (base + '.py', base + '/__init__.py'):
        if os.path.isfile(file):
            return module, name, file[len(function.root):]
    raise Refused('HandlerNotFound', 'there is no file %s.py for the handler "%s"'
                  % (module.replace('.', '/'), function.wanted),
                  'the handler is module.function, where module is one of your files')


def _import(function, module, file):
    """The user's module, even where the interpreter has one of the same name loaded."""
    loaded = sys.modules.get(module)
    if loaded is not None and not str(getattr(loaded, '__file__', '')).startswith(function.root):
        if module in sys.builtin_module_names:
            raise Refused('HandlerNotFound', '%s has the name of a module that is part of the interpreter' % file,
                          'give %s another name' % file, file=file)
        del sys.modules[module]
    __import__(module)
    return sys.modules[module]


def _find(module, name, file):
    handler = getattr(module, name, None)
    if callable(handler):
        return handler
    defined = [key for key, value in vars(module).items()
               if callable(value) and not key.startswith('_') and not isinstance(value, type)
               and getattr(value, '__module__', None) == module.__name__]
    hint = ('functions in %s: %s' % (file, ', '.join(defined)) if defined else
            '%s defines no function; write `def %s(event, context):`' % (file, name))
    if handler is not None:
        raise Refused('HandlerNotFound', '"%s" in %s is of type %s, not a function'
                      % (name, file, type(handler).__name__), hint, file=file)
    raise Refused('HandlerNotFound', 'there is no function "%s" in %s' % (name, file), hint, file=file)


def _function(call):
    """(the function that runs when `call` is called, how many arguments it has been given by then: 1 is `self`)."""
    if hasattr(call, '__self__') and hasattr(call, '__func__'):
        return call.__func__, 1
    if not hasattr(call, '__code__') and not isinstance(call, type) and hasattr(type(call).__call__, '__code__'):
        return type(call).__call__, 1
    return call, 0


def _is_asynchronous(handler):
    """Whether it is `async def` itself. What it wraps does not count: a decorator may well run that to its end."""
    function, _ = _function(handler.func if isinstance(handler, Partial) else handler)
    return bool(getattr(getattr(function, '__code__', None), 'co_flags', 0) & _CO_COROUTINE)


def _definition(handler):
    """{file, line} of a handler in one of the function's own files, or nothing."""
    while isinstance(handler, Partial):
        handler = handler.func
    code = getattr(_function(handler)[0], '__code__', None)
    root = part('errors').root
    if code is None or not code.co_filename.startswith(root):
        return {}
    return {'file': code.co_filename[len(root):], 'line': code.co_firstlineno}


def _arity(handler):
    """How many of event and context it is called with. Its own signature decides, not that of what it wraps: a decorator
    may add arguments and take some away."""
    function, given = _function(handler)
    code = getattr(function, '__code__', None)
    least = 0
    if code is not None:
        least = max(0, code.co_argcount - given - len(function.__defaults__ or ()))
        only = code.co_varnames[code.co_argcount:code.co_argcount + code.co_kwonlyargcount]
        missing = [name for name in only if name not in (function.__kwdefaults__ or {})]
        if least > 2 or missing:
            what = ('%d arguments' % least) if least > 2 else 'the keyword argument "%s"' % missing[0]
            name = getattr(function, '__name__', 'handler')
            raise Refused('HandlerSignature', 'the handler "%s" needs %s, but it is called with event and context'
                          % (name, what), 'write `def %s(event, context):`' % name, **_definition(function))
    elif isinstance(handler, Partial) or not hasattr(handler, '__wrapped__'):
        return _inspected(handler)
    return max(least, min(_most(handler), 2))


def _most(call, depth=100):
    """The most positional arguments that it takes. Where it takes any, or does not say (functools.lru_cache), it passes
    them on, and what it wraps decides."""
    function, given = _function(call)
    code = getattr(function, '__code__', None)
    if code is not None and not code.co_flags & _CO_VARARGS:
        return code.co_argcount - given
    if isinstance(call, Partial):
        try:
            return _inspected(call)
        except Refused:
            return _ANY
    if depth and hasattr(function, '__wrapped__'):
        return _most(function.__wrapped__, depth - 1) - given
    if depth and hasattr(call, '__wrapped__'):  # an object that wraps a function, which gets no `self` of it
        return _most(call.__wrapped__, depth - 1)
    return _ANY


def _inspected(handler):
    """For what has no code of its own, such as functools.partial: the slow way."""
    import inspect
    if isinstance(handler, Partial):  # without what it says it wraps
        handler = Partial(handler.func, *handler.args, **handler.keywords)
    try:
        signature = inspect.signature(handler, follow_wrapped=False)
        passes_on = any(each.kind == each.VAR_POSITIONAL for each in signature.parameters.values())
        if passes_on:
            signature = inspect.signature(handler)
    except (TypeError, ValueError):
        return 2
    for count in (2, 1, 0):
        try:
            signature.bind(*(None,) * count)
            return count
        except TypeError:
            pass
    if passes_on:
        return 2
    raise Refused('HandlerSignature', 'the handler cannot be called with event and context: it takes %s' % signature,
                  'write `def handler(event, context):`', **_definition(handler))


def load(payload):
    """The loaded function, or None after LOAD_FAILED has been sent."""
    errors = part('errors')
    output = part('output')
    for name in ('serial', 'leaving'):
        part(name)
    function = _read(payload)
    errors.root = function.root
    try:
        _prepare_process(function)
        module, name, file = _locate(function)
        function.handler = _find(_import(function, module, file), name, file)
        function.arity = _arity(function.handler)
        if _is_asynchronous(function.handler):
            function.mode = 'asynchronous'
        elif function.concurrency > 1:
            function.mode = 'threads'
    except Refused as refused:
        document = refused.document
    except BaseException as error:
        document = errors.document(error, loading=True)
    else:
        part(function.mode)
        output.finish(0)
        return function
    output.finish(0)
    wire.send_frame(wire.LOAD_FAILED, 0, errors.encode(document))
    return None
