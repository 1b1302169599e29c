"""A machine and an internet of a test's own: two network namespaces with a link between them, so that nothing depends on
the network that the tests run in. enter() takes this whole process into the machine's.

    machine   203.0.113.10 (public), 10.20.0.10 (private); its name server is 10.20.0.53
    internet  203.0.113.1 (the way out, a neighbour), 198.51.100.7 api.example, 198.51.100.8 other.example, 10.20.0.1
              private.example, 169.254.169.254; each answers on port 80 and 443

Run as a program it is the internet.
"""
import ctypes
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading

MACHINE = '203.0.113.10'
MACHINE_PRIVATE = '10.20.0.10'
API, OTHER, PRIVATE, METADATA = '198.51.100.7', '198.51.100.8', '10.20.0.1', '169.254.169.254'
NEIGHBOUR = '203.0.113.1'
RESOLVER = '10.20.0.53'
NAMES = {'api.example': [API], 'other.example': [OTHER], 'private.example': [PRIVATE], 'metadata.example': [METADATA],
         'both.example': [API, OTHER], 'big.example': [f'198.51.100.{i}' for i in range(100, 200)]}

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 0x40000, 0x1000


def why_not():
    """Why this machine cannot have them; None when it can."""
    if os.geteuid() != 0:
        return 'needs root for network namespaces'
    if shutil.which('ip') is None:
        return 'needs ip (iproute2)'
    return None


def ip(*arguments):
    subprocess.run(['ip', *arguments], check=True)


def enter():
    """Takes this process, and what it starts from now on, to the machine. Gives the internet's process, to be killed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), 'unshare')
    libc.mount(None, b'/', None, MS_REC | MS_PRIVATE, None)
    with tempfile.NamedTemporaryFile('w', suffix='.conf', delete=False) as resolv:
        resolv.write(f'nameserver {RESOLVER}\n')
    os.chmod(resolv.name, 0o644)
    target = os.path.realpath('/etc/resolv.conf')
    if libc.mount(resolv.name.encode(), target.encode(), None, MS_BIND, None) != 0:
        raise OSError(ctypes.get_errno(), 'mount')
    os.unlink(resolv.name)
    internet = subprocess.Popen(['unshare', '--net', sys.executable, __file__], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
    assert internet.stdout.readline() == 'here\n'
    ip('link', 'set', 'lo', 'up')
    ip('link', 'add', 'wan0', 'type', 'veth', 'peer', 'name', 'net0', 'netns', str(internet.pid))
    for address in (MACHINE + '/24', MACHINE_PRIVATE + '/24'):
        ip('address', 'add', address, 'dev', 'wan0')
    ip('link', 'set', 'wan0', 'up')
    ip('route', 'add', 'default', 'via', NEIGHBOUR)
    internet.stdin.write('go\n')
    internet.stdin.flush()
    assert internet.stdout.readline() == 'up\n'
    return internet


def answer(query, limit):
    """The answer to a DNS query for an address, cut when it is longer than `limit`."""
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode('latin-1').lower())
        at += 1 + query[at]
    question, kind = query[12:at + 5], struct.unpack('>H', query[at + 1:at + 3])[0]
    found = NAMES.get('.'.join(labels))
    addresses = (found or []) if kind == 1 else []
    records = b''.join(b'\xc0\x0c' + struct.pack('>HHIH', 1, 1, 30, 4) + socket.inet_aton(a) for a in addresses)
    flags = 0x8180 | (0 if found else 3)
    whole = query[:2] + struct.pack('>HHHHH', flags, 1, len(addresses), 0, 0) + question + records
    if len(whole) <= limit:
        return whole
    return query[:2] + struct.pack('>HHHHH', flags | 0x0200, 1, 0, 0, 0) + question


def serve_names():
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((RESOLVER, 53))
    streams = socket.create_server((RESOLVER, 53))

    def over_tcp():
        while True:
            connection, _ = streams.accept()
            with connection, connection.makefile('rb') as stream:
                size = struct.unpack('>H', stream.read(2))[0]
                reply = answer(stream.read(size), 65535)
                connection.sendall(struct.pack('>H', len(reply)) + reply)
    threading.Thread(target=over_tcp, daemon=True).start()
    while True:
        query, sender = datagrams.recvfrom(4096)
        datagrams.sendto(answer(query, 512), sender)


def serve_web(address, port):
    server = socket.create_server((address, port))
    while True:
        connection, peer = server.accept()
        with connection:
            text = f'{address} saw {peer[0]}'.encode()
            try:
                connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s' % (len(text), text))
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(2)
                while connection.recv(4096):
                    pass
            except OSError:
                pass


def main():
    print('here', flush=True)
    sys.stdin.readline()
    ip('link', 'set', 'lo', 'up')
    for address in (NEIGHBOUR + '/24', '10.20.0.1/24', RESOLVER + '/24', API + '/32', OTHER + '/32', METADATA + '/32'):
        ip('address', 'add', address, 'dev', 'net0')
    ip('link', 'set', 'net0', 'up')
    for address in (API, OTHER, PRIVATE, METADATA, NEIGHBOUR):
        for port in (80, 443):
            threading.Thread(target=serve_web, args=(address, port), daemon=True).start()
    threading.Thread(target=serve_names, daemon=True).start()
    print('up', flush=True)
    sys.stdin.read()  # until the test ends


if __name__ == '__main__':
    main()
