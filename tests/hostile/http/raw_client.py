"""A client that speaks to the platform byte by byte: what it sends is exactly what was asked for, right or wrong."""
import os
import pathlib
import re
import resource
import socket
import struct
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'system'))

PATIENCE = 60  # seconds; a bound that only a broken platform reaches


class Answer:
    def __init__(self, head, body):
        self.status = int(head[9:12])
        self.head = head
        self.body = body

    def header(self, name):
        found = re.search(rb'\r\n' + name.lower().encode() + rb': *([^\r]*)', self.head.lower())
        return found.group(1).decode() if found else None

    @property
    def closes(self):
        return self.header('Connection') == 'close'

    def __repr__(self):
        return repr(self.head + self.body[:500])


class RawClient:
    """One connection. `source` is the address to come from, `receive_buffer` the size of the window for answers."""

    def __init__(self, url, source=None, receive_buffer=None, timeout=PATIENCE):
        parts = urllib.parse.urlsplit(url)
        self.host = parts.netloc.encode()
        self.socket = socket.socket(socket.AF_INET6 if ':' in parts.hostname else socket.AF_INET)
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            if source:
                # The port is chosen when connecting, so that it need only be free for this pair of addresses.
                if self.socket.family == socket.AF_INET:
                    self.socket.setsockopt(socket.IPPROTO_IP, getattr(socket, 'IP_BIND_ADDRESS_NO_PORT', 24), 1)
                self.socket.bind((source, 0))
            self.socket.connect((parts.hostname, parts.port))
        except OSError:
            self.socket.close()
            raise
        self.buffer = b''
        self.was_reset = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Vanishes: the platform's system gets a RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.socket.close()

    def end_input(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return self

    def send(self, data):
        """Sends what is taken; False when the platform has closed."""
        if isinstance(data, str):
            data = data.encode()
        try:
            self.socket.sendall(data.replace(b'HOST', self.host) if len(data) < 65536 else data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def fill(self):
        try:
            piece = self.socket.recv(262144)
        except ConnectionResetError:
            self.was_reset = True
            return False
        self.buffer += piece
        return bool(piece)

    def answer(self):
        """The next whole answer; None when the platform closed without one more."""
        while b'\r\n\r\n' not in self.buffer:
            if not self.fill():
                return None
        end = self.buffer.index(b'\r\n\r\n') + 4
        head, self.buffer = self.buffer[:end], self.buffer[end:]
        if not re.match(rb'HTTP/1\.1 [1-5]\d\d [^\r\n]*\r\n', head):
            raise AssertionError(f'not an answer: {head!r}')
        length = re.search(rb'\r\ncontent-length: *(\d+)\r\n', head.lower())
        length = int(length.group(1)) if length else 0
        while len(self.buffer) < length:
            if not self.fill():
                raise AssertionError(f'the answer ends after {len(self.buffer)} of {length} bytes: {head!r}')
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(head, body)

    def answers(self):
        """All answers until the platform closes; an interim one is passed over."""
        found = []
        while True:
            answer = self.answer()
            if answer is None:
                return found
            if answer.status != 100:
                found.append(answer)

    def drained(self):
        """Reads until the platform closes, at most PATIENCE; returns how many bytes came."""
        count, end = len(self.buffer), time.monotonic() + PATIENCE
        self.buffer = b''
        while time.monotonic() < end:
            if not self.fill():
                return count
            count += len(self.buffer)
            self.buffer = b''
        raise AssertionError('the platform keeps the connection')


def memory_kb(pid):
    """Resident memory of a process; 0 under a sanitizer, which keeps what was freed to find who still uses it."""
    if os.environ.get('CLOUDFUNCTION_TEST_SANITIZE'):
        return 0
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def raise_descriptor_limit(wanted):
    """False where the machine does not allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    except (ValueError, OSError):
        if hard < wanted:
            return False
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    return True
