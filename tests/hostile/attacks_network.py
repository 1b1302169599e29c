"""Places on the network that a function must not reach. How the rest is reached: tests/system/test_network.py."""
import socket

from arena import attack

CONNECT = {
    'python': 'import socket\ndef handler(event):\n    got = []\n    for host, port in event:\n        try:\n'
              '            socket.create_connection((host, port), 0.5).close(); got.append("reached")\n'
              '        except OSError as error: got.append(type(error).__name__)\n    return got\n',
    'node': 'const net = require("net");\nconst one = ([host, port]) => new Promise(done => {\n'
            '  const s = net.connect({ host, port }); s.setTimeout(500, () => { s.destroy(); done("timeout") });\n'
            '  s.on("connect", () => { s.destroy(); done("reached") }); s.on("error", e => done(e.code)) });\n'
            'const handler = (event) => Promise.all(event.map(one))',
    'go': 'import ("fmt"; "net"; "time")\nfunc handler(event [][]interface{}) ([]string, error) {\n    var got []string\n'
          '    for _, one := range event {\n        address := net.JoinHostPort(fmt.Sprint(one[0]), fmt.Sprintf("%.0f", one[1]))\n'
          '        if c, err := net.DialTimeout("tcp", address, 500*time.Millisecond); err == nil {\n'
          '            c.Close(); got = append(got, "reached")\n        } else { got = append(got, err.Error()) }\n    }\n    return got, nil\n}\n',
}


def own_addresses():
    found = set()
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as s:
                s.connect(('192.0.2.1' if family == socket.AF_INET else '2001:db8::1', 9))
                found.add(s.getsockname()[0])
        except OSError:
            pass
    return sorted(found)


def forbidden(arena):
    """[host, port] of places that nobody in a sandbox may reach."""
    hosts = ['127.0.0.1', '127.1.2.3', '0.0.0.0', '::1', '::', '::ffff:127.0.0.1', '::ffff:7f00:1', 'localhost', *own_addresses()]
    return [[host, arena.platform.port] for host in hosts] + [
        ['169.254.169.254', 80], ['fd00:ec2::254', 80], ['100.100.100.200', 80], ['10.0.0.1', 80], ['192.168.0.1', 80],
        ['172.17.0.1', 80]]


@attack('the machine over the network', 'python', 'node', 'go')
def _(arena, runtime):
    places = forbidden(arena)
    got = arena.result(arena.invoke(arena.function(runtime, CONNECT[runtime], timeout=30), places))
    reached = [place for place, how in zip(places, got) if how == 'reached']
    assert not reached, reached
    return f'{len(places)} places'


@attack('abstract sockets of the machine', 'python')
def _(arena, runtime):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind('\0cloudfunction-hostile')
        listener.listen()
        name = arena.function(runtime, 'import socket\ndef handler(event):\n    try:\n        s = socket.socket(socket.AF_UNIX); s.connect("\\0" + event); return "reached"\n'
                              '    except OSError as error: return "refused"\n')
        assert arena.result(arena.invoke(name, 'cloudfunction-hostile')) == 'refused'


@attack('listening for others', 'python')
def _(arena, runtime):
    name = arena.function(runtime, 'import socket, time\ndef handler(event):\n    try:\n        s = socket.socket(); s.bind(("0.0.0.0", event)); s.listen()\n'
                          '    except OSError as error: return str(error)\n    time.sleep(0.5)\n    s.settimeout(0.2)\n'
                          '    try: s.accept(); return "somebody came"\n    except OSError: return "nobody came"\n')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    import threading
    said = []
    thread = threading.Thread(target=lambda: said.append(arena.invoke(name, port)))
    thread.start()
    import time
    end = time.monotonic() + 1.5
    while thread.is_alive() and time.monotonic() < end:
        try:
            socket.create_connection(('127.0.0.1', port), 0.1).close()
            raise AssertionError('a function listens on the machine')
        except (ConnectionError, TimeoutError):
            time.sleep(0.02)
    thread.join()
    assert arena.result(said[0]) != 'somebody came'
