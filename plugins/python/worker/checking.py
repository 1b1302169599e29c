"""CHECK: says where a source is wrong without running any of it."""
import warnings

wire = part('wire')

_REMARKS = 50


def _remark(file, line, column, message, severity, kind):
    return {'file': file, 'line': max(0, line or 0), 'column': max(0, column or 0), 'message': message,
            'severity': severity, 'kind': kind}


def _text(source):
    """The source as text, so that columns count characters (of bytes, 3.9 to 3.12 count bytes); as bytes where its
    encoding is for the compiler to judge."""
    if b'coding' in b'\n'.join(source.split(b'\n', 2)[:2]):
        return source
    try:
        return source.decode('utf-8-sig')
    except UnicodeDecodeError:
        return source


def remarks(file, source):
    zero = source.find(b'\0')
    if zero >= 0:  # the compiler says no place
        begin = source.rfind(b'\n', 0, zero) + 1
        return [_remark(file, source.count(b'\n', 0, zero) + 1, len(source[begin:zero].decode('utf-8', 'replace')) + 1,
                        'source code cannot contain null bytes', 'error', 'SyntaxError')]
    source = _text(source)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            compile(source, file, 'exec', 0, True)
            found = []
        except SyntaxError as error:
            found = [_remark(file, error.lineno, error.offset, str(error.msg), 'error', type(error).__name__)]
        except RecursionError:
            found = [_remark(file, 0, 0, 'the source is nested too deep', 'error', 'RecursionError')]
        except (ValueError, OverflowError, MemoryError) as error:
            found = [_remark(file, 0, 0, str(error) or 'the source is too complex', 'error', type(error).__name__)]
    for warning in caught[:_REMARKS]:
        found.append(_remark(file, warning.lineno, 0, str(warning.message), 'warning', warning.category.__name__))
    return found


def answer(payload):
    file, source = '', b''
    for tag, value in wire.items(payload):
        if tag == wire.FILE:
            file = value.decode()
        elif tag == wire.SOURCE:
            source = value
    wire.send_frame(wire.CHECKED, 0, wire.dumps(remarks(file, source)))
