"""Load with a ledger: clients in threads that send messages with unique ids, and remember which were
acknowledged, which refused, and of which nobody can say.

L8 of the bars is Load(address): 8 clients, 1.5 KB messages, 50 a connection.
"""
import os
import socket
import threading
import time

from support.smtp_client import Refused, SmtpClient, stuff
from support.waiting import pause

_run = os.urandom(3).hex()
_serial = iter(range(1, 1 << 40))


def new_id():
    """An id unlike any other, also of other test runs."""
    return f"t{_run}-{next(_serial)}"


def content(test_id, size=1500):
    """A message with its id in the header section, of about that size."""
    head = (f"From: <load@here.test>\r\nTo: <r@there.test>\r\nSubject: load\r\n"
            f"Message-ID: <{test_id}@here.test>\r\nX-Test-Id: {test_id}\r\n\r\n").encode()
    line = b"The quick brown fox jumps over the lazy dog, and back again before it rains.\r\n"
    return head + (line * (1 + size // len(line)))[:max(0, size - len(head) - 2)] + b"\r\n"


def id_of(data):
    """The id in a content, or None."""
    at = data.find(b"X-Test-Id: ")
    return data[at + 11:data.index(b"\r\n", at)].decode() if at >= 0 else None


class Load:
    """Closed loop. Ends after `limit` messages, or when stop() is called; survives a relay that
    goes and comes back."""

    def __init__(self, port, clients=8, size=1500, per_connection=50, limit=None, host="127.0.0.1",
                 recipient="<r@there.test>", timeout=60.0, interval=0.0):
        self.address, self.clients, self.size = (host, port), clients, size
        self.per_connection, self.limit, self.recipient = per_connection, limit, recipient
        self.timeout, self.interval = timeout, interval
        self.acknowledged, self.unknown, self.refused = {}, set(), {}
        self.latencies, self.broken, self.connect_failures = [], 0, 0
        self._started, self._stop, self._lock = 0, threading.Event(), threading.Lock()
        self._threads = []

    def start(self):
        self._threads = [threading.Thread(target=self._client, daemon=True)
                         for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def stop(self, timeout=70.0):
        self._stop.set()
        return self.join(timeout)

    def join(self, timeout=120.0):
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.1, end - time.monotonic()))
            assert not thread.is_alive(), "a load client does not end"
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _more(self):
        with self._lock:
            if self._stop.is_set() or (self.limit is not None and self._started >= self.limit):
                return False
            self._started += 1
            return True

    def _client(self):
        carried = False  # a message that is due although its connection could not be made
        while carried or self._more():
            carried = True
            try:
                client = SmtpClient(self.address, timeout=self.timeout)
            except OSError:
                if self._stop.is_set():
                    return
                self.connect_failures += 1
                pause(0.02)
                continue
            try:
                with client:
                    client.expect(220)
                    client.hello()
                    for _ in range(self.per_connection):
                        if not carried and not self._more():
                            client.command("QUIT")
                            return
                        carried = False
                        if not self._message(client):
                            break
                        if self.interval:
                            pause(self.interval)
                    else:
                        client.command("QUIT")
            except (OSError, Refused, AssertionError):
                self.broken += 1
                if self._stop.is_set():
                    return
                pause(0.02)

    def _message(self, client):
        """True if the connection may go on."""
        test_id, sent = new_id(), False
        data = stuff(content(test_id, self.size))
        begin = time.monotonic()
        try:
            lines = f"MAIL FROM:<load@here.test>\r\nRCPT TO:{self.recipient}\r\nDATA\r\n"
            client.send(lines.encode())
            replies = [client.reply() for _ in range(3)]
            if replies[2].code != 354:
                self.refused[test_id] = next(r for r in replies if r.code >= 400)
                return replies[2].code != 421
            sent = True
            client.send(data)
            reply = client.reply()
        except (OSError, AssertionError):
            self.broken += 1
            if sent:
                self.unknown.add(test_id)
            return False
        if reply.code == 250:
            self.latencies.append(time.monotonic() - begin)
            self.acknowledged[test_id] = reply.text.rsplit(" ", 1)[-1]
        else:
            self.refused[test_id] = reply
        return reply.code != 421

    def quantile(self, q):
        """Seconds from MAIL to 250."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else None


def idle_connections(port, count, host="127.0.0.1"):
    """So many connections that have greeted and wait."""
    clients = []
    for _ in range(count):
        connection = socket.create_connection((host, port), 20)
        connection.settimeout(20)
        clients.append(connection)
    for connection in clients:
        assert connection.recv(500).startswith(b"220")
    return clients
