"""Which number of an event the interpreter does not take. Only read when it has refused one."""
import _json
import sys

_getattr = getattr


class _TooLong(str):
    """The digits of an integer that was refused."""


def _integer(digits):
    try:
        return int(digits)
    except ValueError:
        return _TooLong(digits)


class _ScannerOptions:
    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, staticmethod(_integer), None
    memo = {}


def _find(value, path):
    """(where, digits) of the first integer that was refused."""
    if isinstance(value, _TooLong):
        return path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found = _find(item, '%s[%.60r]' % (path, key))
        if found:
            return found
    return None


def refused(text, name, error):
    """The exception that says why `text` cannot be read; `error` is what the interpreter said."""
    found = _find(_json.make_scanner(_ScannerOptions)(text, 0)[0], name)
    if found is None:
        return error
    limit = _getattr(sys, 'get_int_max_str_digits', int)()
    where, digits = found
    return ValueError('%s is an integer of %d digits, and this Python reads %d; send it as text, or call '
                      'sys.set_int_max_str_digits when the module is imported'
                      % (where, len(digits.lstrip('-')), limit))
