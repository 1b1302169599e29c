"""Why a result is not JSON: which value, where it is, and what to return instead. Only read when encoding failed, or
when a result has so many brackets that it may be nested too deep."""
wire = part('wire')

DEPTH = wire.DEPTH
_SEEN = 200000  # how many values the search looks at

_HINTS = {
    'datetime': 'return value.isoformat()', 'date': 'return value.isoformat()', 'time': 'return value.isoformat()',
    'timedelta': 'return value.total_seconds()', 'Decimal': 'return float(value) or str(value)',
    'UUID': 'return str(value)', 'PosixPath': 'return str(value)', 'Fraction': 'return float(value)',
    'set': 'return list(value) or sorted(value)', 'frozenset': 'return list(value) or sorted(value)',
    'bytes': "return value.decode() for text, base64.b64encode(value).decode() for anything else",
    'bytearray': 'return value.decode() for text, base64.b64encode(value).decode() for anything else',
    'memoryview': 'return bytes(value).decode() for text, base64.b64encode(value).decode() for anything else',
    'generator': 'return list(value)', 'map': 'return list(value)', 'filter': 'return list(value)',
    'zip': 'return list(value)', 'range': 'return list(value)', 'dict_keys': 'return list(value)',
    'dict_values': 'return list(value)', 'dict_items': 'return dict(value)', 'ndarray': 'return value.tolist()',
    'coroutine': 'write `await` before the call', 'async_generator': 'return [x async for x in value]',
    'complex': 'return [value.real, value.imag]', 'function': 'call it: return value()',
}


class _Found(Exception):
    pass


def _where(path):
    return 'the result' + ''.join(path)


def _found(path, what, hint=''):
    raise _Found('%s %s' % (_where(path), what), hint)


def _surrogate(text):
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return -1


def _is_too_long(number):
    try:
        int.__repr__(number)
    except ValueError:  # more digits than sys.get_int_max_str_digits()
        return True
    return False


def _look(value, path, inside, count):
    count[0] += 1
    if count[0] > _SEEN:
        _found([], 'is not JSON')
    if len(path) > DEPTH:
        _found(path[:3], 'is nested more than %d levels deep' % DEPTH, 'return a flatter structure')
    if isinstance(value, str):
        at = _surrogate(value)
        if at >= 0:
            _found(path, 'is text with half a character (a lone surrogate) at index %d, which UTF-8 cannot hold' % at,
                   "text.encode('utf-8', 'replace').decode() replaces it")
    elif value is None or isinstance(value, bool):
        pass
    elif isinstance(value, float):
        if value != value or value in (float('inf'), float('-inf')):
            _found(path, 'is %s, which JSON cannot express' % value, 'return None or a text instead')
    elif isinstance(value, int):
        if _is_too_long(value):
            _found(path, 'is an integer of too many digits', 'return it as hex(value)')
    elif isinstance(value, (dict, list, tuple)):
        if id(value) in inside:
            _found(path, 'refers to itself', 'return a structure without cycles')
        inside.add(id(value))
        if isinstance(value, dict):
            for key, item in value.items():
                _look_at_key(key, path)
                _look(item, path + ['[%.60r]' % (key,)], inside, count)
        else:
            for index, item in enumerate(value):
                _look(item, path + ['[%d]' % index], inside, count)
        inside.discard(id(value))
    else:
        _found(path, 'is of type %s, which JSON cannot express' % type(value).__name__,
               _HINTS.get(type(value).__name__) or _general_hint(value))


def _look_at_key(key, path):
    if isinstance(key, str):
        if _surrogate(key) >= 0:
            _found(path, 'has a key with half a character (a lone surrogate)')
    elif isinstance(key, float):
        if key != key or key in (float('inf'), float('-inf')):
            _found(path, 'has the key %s, which JSON cannot express' % key)
    elif isinstance(key, int):
        if _is_too_long(key):
            _found(path, 'has a key that is an integer of too many digits', 'use hex(key)')
    elif key is not None:
        _found(path, 'has a key of type %s; keys of a JSON object are text' % type(key).__name__,
               'return {str(key): value for key, value in ...}')


def _general_hint(value):
    if hasattr(value, '__dataclass_fields__'):
        return 'return dataclasses.asdict(value)'
    if hasattr(value, 'model_dump'):  # pydantic, and since version 2 under this name
        return "return value.model_dump(mode='json')"
    if hasattr(value, '__fields__') and hasattr(value, 'dict'):
        return 'return value.dict()'
    if hasattr(value, '__await__'):
        return 'write `await` before it'
    return 'return a dict, list, text, number, True, False or None'


def document(value, error):
    """The error document of a result that could not be encoded."""
    hint = ''
    try:
        _look(value, [], set(), [0])
        message = 'the result is not JSON: %s' % part('errors')._text(error)
        if isinstance(error, RecursionError):
            return too_deep()
    except _Found as found:
        message, hint = found.args
    except BaseException as other:  # the user's own classes take part in the search
        message = 'the result is not JSON: %s' % part('errors')._text(other)
    result = {'type': 'ResultNotJson', 'message': message, 'stack': []}
    if hint:
        result['hint'] = hint
    return result


_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b'[]{}')
_ONE_KIND = bytes.maketrans(b'{}', b'[]')


def is_deep(value, body):
    """True when the result is nested deeper than a caller may be sent. `body` is its JSON: brackets that close at once
    are taken away, level by level; brackets inside of text can spoil that, then the value itself is looked at."""
    left = body.translate(_ONE_KIND, _NO_BRACKETS)
    for _ in range(DEPTH):
        rest = left.replace(b'[]', b'')
        if not rest:
            return False
        if len(rest) == len(left):
            break
        left = rest
    level = [value] if isinstance(value, (dict, list, tuple)) else []
    for _ in range(DEPTH):
        level = [item for container in level
                 for item in (container.values() if isinstance(container, dict) else container)
                 if isinstance(item, (dict, list, tuple))]
        if not level:
            return False
    return True


def too_deep():
    return {'type': 'ResultNotJson', 'message': 'the result is nested more than %d levels deep' % DEPTH, 'stack': [],
            'hint': 'return a flatter structure'}


def too_large(size):
    return {'type': 'ResultTooLarge', 'stack': [],
            'message': 'the result has %d bytes, the limit is %d' % (size, wire.MAX_PAYLOAD - 64),
            'hint': 'return less, or store it elsewhere and return where'}
