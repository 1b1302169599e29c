"""Exceptions as error documents: type, message, the user's own frames, the place, and what to do about it."""
import sys

wire = part('wire')

# The artifact's folder with a slash at its end; set by LOAD.
root = ''

MESSAGE = 8 * 1024
FRAMES = 50
LINE = 300
DOCUMENT = 64 * 1024
# What is said of causes and groups: characters of one and of all, how far down, how many of a group.
REASON, REASONS, LEVELS, MEMBERS = 500, 2048, 3, 3

_open = open
_getattr = getattr


def encode(document):
    """Bytes of an error document within the limit."""
    data = _dumps(document)
    if len(data) > DOCUMENT:
        document = dict(document, message=document['message'][:MESSAGE // 8], stack=document['stack'][-10:])
        data = _dumps(document)
        if len(data) > DOCUMENT:
            data = _dumps({'type': document['type'][:200], 'message': document['message'][:1000], 'stack': []})
    return data


def _dumps(document):
    try:
        return wire.dumps(document)
    except UnicodeEncodeError:  # a lone surrogate in a text of the user's
        return wire.dumps({key: _clean(value) for key, value in document.items()})


def _clean(value):
    if isinstance(value, str):
        return value.encode('utf-8', 'backslashreplace').decode()
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _text(error, limit=MESSAGE):
    """str(error), whatever its class does."""
    try:
        text = str(error)
    except BaseException:
        text = 'its text cannot be read: __str__ raised an exception'
    return _cut(text, limit)


def _cut(text, limit):
    return text if len(text) <= limit else text[:limit] + ' [cut]'


def _reasons(error, level=1):
    """What an exception was raised from, and what a group holds: ': A: text | B: text; caused by C: text'.

    Not what was handled when it was raised (__context__): its author has not called that the reason.
    """
    members, cause = _getattr(error, 'exceptions', ()), error.__cause__
    text = ''
    if isinstance(members, tuple) and members and all(isinstance(each, BaseException) for each in members):
        said = [_reason(each, level) for each in members[:MEMBERS]]
        if len(members) > MEMBERS:
            said.append('%d more' % (len(members) - MEMBERS))
        text = ': ' + ' | '.join(said)
    if cause is not None:
        text += '; caused by ' + _reason(cause, level)
    return text


def _reason(error, level):
    kind, text = type(error).__name__, _text(error, REASON)
    return (kind + ': ' + text if text else kind) + (_reasons(error, level + 1) if level < LEVELS else '')


def _with_reasons(message, error):
    try:
        reasons = _cut(_reasons(error), REASONS)
    except BaseException:  # the user's own classes take part
        reasons = ''
    return message + reasons if message else reasons.lstrip(':; ')


def _source_line(path, number):
    """One line of a source file, without its indent; '' where it cannot be read."""
    try:
        with _open(path, encoding='utf-8', errors='replace') as file:
            for at, line in enumerate(file, 1):
                if at == number:
                    return line.strip()[:LINE]
    except (OSError, ValueError):
        pass
    return ''


def _own_frames(traceback):
    """(file as the user named it, line, function, path) of the user's own frames, outermost first."""
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename.startswith(root):
            frames.append((code.co_filename[len(root):], traceback.tb_lineno, code.co_name, code.co_filename))
        traceback = traceback.tb_next
    return frames


def _printed(frames):
    """Frames as the language prints them, the middle left out where there are too many."""
    left_out = len(frames) - FRAMES
    if left_out > 0:
        head, tail = frames[:10], frames[10 + left_out:]
    else:
        head, tail = frames, []
    stack = []
    for name, line, function, path in head:
        stack.append(_frame(name, line, function, path))
    if tail:
        stack.append('[%d more frames]' % left_out)
        cache = {}
        for frame in tail:
            if frame not in cache:
                cache[frame] = _frame(*frame)
            stack.append(cache[frame])
    return stack


def _frame(name, line, function, path):
    text = 'File "%s", line %d, in %s' % (name, line or 0, function)
    source = _source_line(path, line)
    return '%s\n    %s' % (text, source) if source else text


def document(error, loading=False):
    """The error document of an exception."""
    kind = type(error).__name__
    message = _text(error)
    frames = _own_frames(error.__traceback__)
    result = {'type': kind, 'message': message, 'stack': _printed(frames)}
    if frames:
        result['file'], result['line'] = frames[-1][0], frames[-1][1] or 0
    if isinstance(error, SyntaxError):
        _place_of_syntax_error(error, result)
    elif isinstance(error, SystemExit):
        result['message'] = ('the function called sys.exit(%s)' % message if not loading else
                             'the module called sys.exit(%s) while it was imported' % message)
        result['hint'] = 'return from the handler instead; a worker serves many invocations'
    result['message'] = _with_reasons(result['message'], error)
    hint = _hint(error, result)
    if hint:
        result['hint'] = hint
    return result


def _place_of_syntax_error(error, result):
    path = error.filename or ''
    if path.startswith(root):
        result['file'] = path[len(root):]
        result['line'] = error.lineno or 0
        result['column'] = _column(path, error)
        result['message'] = str(error.msg)
    elif path:
        result['message'] = '%s (%s, line %s)' % (error.msg, path, error.lineno)


def _column(path, error):
    """In characters, as CHECK says it; the import system counts bytes in some versions."""
    try:
        with _open(path, 'rb') as file:
            remark = part('checking').remarks('', file.read())[0]
        if (remark['line'], remark['message']) == (error.lineno, str(error.msg)):
            return remark['column']
    except (OSError, IndexError):
        pass
    return max(0, error.offset or 0)


def _hint(error, result):
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _missing_module(error.name)
    if isinstance(error, ImportError) and 'relative import' in result['message']:
        return 'files at the top are modules of their own: write `import name` instead of `from . import name`'
    if isinstance(error, MemoryError):
        return 'the function reached its memory limit: raise "memory", or hold less at once'
    if isinstance(error, RecursionError):
        return 'a function calls itself without end, or deeper than sys.getrecursionlimit() = %d' % (
            sys.getrecursionlimit())
    if isinstance(error, OSError) and error.errno == 30:
        return 'only /tmp is writable'
    if isinstance(error, OSError) and error.errno == 27:
        return _largest_file()
    if isinstance(error, OSError) and error.errno == 28:
        return '/tmp is full%s: remove what earlier calls left there, or write less' % _room_of_tmp()
    if result['type'] == 'CancelledError':
        return 'the handler awaited a task or future that was cancelled; the caller did not cancel the invocation'
    return ''


def _room_of_tmp():
    import os
    try:
        tmp = os.statvfs('/tmp')
    except OSError:
        return ''
    return ', it has room for %d MB' % (tmp.f_blocks * tmp.f_frsize // 1048576)


def _largest_file():
    try:
        import resource
        size, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        limit = ' of %d MB' % (size // 1048576) if size > 0 else ''
    except (ImportError, OSError, AttributeError):  # the user may have a module of that name
        limit = ''
    return "the file reached the sandbox's limit%s for one file: write less" % limit


def _missing_module(name):
    top = name.partition('.')[0]
    version = '%d.%d' % sys.version_info[:2]
    if top in _getattr(sys, 'stdlib_module_names', ()):
        return 'module %s belongs to Python %s, but this interpreter was installed without it' % (name, version)
    if name != top and _is_own(top):
        return ('%s is yours, but there is no %s in it' % (top, name))
    wanted = part('distributions').DISTRIBUTIONS.get(top, top)
    return ('module %s is not in the standard library of Python %s; to have it installed, add "dependencies": ["%s"] '
            'beside "code", or the line %s to requirements.txt; or put its source into "files"'
            % (top, version, wanted, wanted))


def _is_own(top):
    import os
    return os.path.isdir(root + top) or os.path.isfile(root + top + '.py')
