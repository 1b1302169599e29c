"""A client for single calls that must be timed: raw sockets, connected beforehand, requests made beforehand."""
import json
import select
import socket
import time
import urllib.parse


class Call:
    """One connection and one request, sent as often as one likes."""

    def __init__(self, url, document, method='POST'):
        parts = urllib.parse.urlsplit(url)
        body = b'' if document is None else json.dumps(document).encode()
        path = parts.path + ('?' + parts.query if parts.query else '')
        self.request = (f'{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n'
                        f'Content-Length: {len(body)}\r\n\r\n').encode() + body
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b''

    def send(self):
        self.received = b''
        self.socket.sendall(self.request)

    def receive(self):
        """Reads what is there; true when the answer is complete."""
        part = self.socket.recv(1 << 20)
        if not part:
            raise ConnectionError(f'closed before its end: {self.received[:500]!r}')
        self.received += part
        head, found, body = self.received.partition(b'\r\n\r\n')
        if not found:
            return False
        for line in head.split(b'\r\n')[1:]:
            name, _, value = line.partition(b':')
            if name.lower() == b'content-length':
                return len(body) >= int(value)
        raise ConnectionError(f'an answer without a length: {head!r}')

    def __call__(self):
        """Milliseconds from the first byte sent to the last one received."""
        begin = time.perf_counter()
        self.send()
        while not self.receive():
            pass
        return (time.perf_counter() - begin) * 1000

    @property
    def status(self):
        return int(self.received[9:12])

    @property
    def json(self):
        return json.loads(self.received.partition(b'\r\n\r\n')[2])

    @property
    def succeeded(self):
        return 200 <= self.status < 300 and self.json.get('status', 'success') != 'error'

    def close(self):
        self.socket.close()


def burst(calls):
    """All calls at once; milliseconds from the common begin to the end of each, in the order of their ends."""
    waiting = {call.socket.fileno(): call for call in calls}
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLIN)
    begin = time.perf_counter()
    for call in calls:
        call.send()
    times = []
    while waiting:
        ready = poll.poll(120_000)
        if not ready:
            raise TimeoutError(f'{len(waiting)} of {len(calls)} calls have no answer after two minutes')
        for fd, _ in ready:
            if waiting[fd].receive():
                times.append((time.perf_counter() - begin) * 1000)
                poll.unregister(fd)
                del waiting[fd]
    return times
