"""An SMTP client that says exactly what a test tells it to, byte for byte."""
import re
import select
import socket
import ssl
import struct

from support.waiting import pause


class Refused(AssertionError):
    """A reply with another code than expected."""

    def __init__(self, expected, reply):
        super().__init__(f"expected {expected}, got {reply}")
        self.reply = reply


class Reply:
    """A whole reply. `raw` is every byte of it."""

    def __init__(self, raw):
        self.raw = raw
        self.lines = [line[4:].decode("utf-8", "replace") for line in raw.split(b"\r\n")[:-1]]
        self.code = int(raw[:3])

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def status(self):
        """Enhanced status code, or None."""
        match = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", self.lines[0])
        return match[0] if match else None

    def __repr__(self):
        return self.raw.decode("utf-8", "backslashreplace")


def stuff(content):
    """Content as DATA sends it, with the end of data."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b"" if content.endswith(b"\r\n") or not content else b"\r\n") + b".\r\n"


def queue_id(reply):
    match = re.search(r"Queued as (\S+)", reply.text)
    assert match, f"no queue id in {reply}"
    return match[1]


def any_certificate():
    """What a TLS client uses that believes everyone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class SmtpClient:
    """One connection. Nothing is read or sent that was not asked for."""

    def __init__(self, address, timeout=10.0, source=None, receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(address)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Bytes

    def send(self, data):
        self.socket.sendall(data)

    def send_split(self, data, offsets, apart=0.02):
        """Sends `data` cut at these offsets, the parts `apart` seconds from each other."""
        begin = 0
        for end in [*offsets, len(data)]:
            if begin:
                pause(apart)
            self.socket.sendall(data[begin:end])
            begin = end

    def close(self):
        self.socket.close()

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Ends with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def readable(self, seconds=0.0):
        return bool(self.buffer) or bool(select.select([self.socket], [], [], seconds)[0])

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"closed by the relay; unread: {self.buffer!r}")
        self.buffer += data

    def at_end(self, timeout=None):
        """True if the relay closes without another byte; waits for it."""
        if timeout is not None:
            self.socket.settimeout(timeout)
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except ConnectionError:
            return True
        except socket.timeout:
            return False

    def rest(self, timeout=None):
        """All bytes until the relay closes the connection."""
        if timeout is not None:
            self.socket.settimeout(timeout)
        try:
            while True:
                self._more()
        except ConnectionError:
            data, self.buffer = self.buffer, b""
            return data

    # Replies

    def reply(self):
        """The next whole reply."""
        end = 0
        while True:
            line_end = self.buffer.find(b"\r\n", end)
            if line_end < 0:
                self._more()
                continue
            line = self.buffer[end:line_end]
            end = line_end + 2
            assert re.match(rb"[2-5]\d\d[ -]", line), f"no reply line: {line!r}"
            if line[3:4] == b" ":
                raw, self.buffer = self.buffer[:end], self.buffer[end:]
                return Reply(raw)

    def expect(self, *codes):
        """The next reply, which must have one of these codes."""
        reply = self.reply()
        if reply.code not in codes:
            raise Refused(codes, reply)
        return reply

    def command(self, line, *codes):
        """Sends a line and gives its reply, checked if codes are given."""
        self.send((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        return self.expect(*codes) if codes else self.reply()

    # TLS

    def secure(self, context=None, name=None):
        """The handshake, now. Without a context any certificate will do."""
        assert not self.buffer, self.buffer
        self.socket = (context or any_certificate()).wrap_socket(self.socket, server_hostname=name)
        return self

    def starttls(self, context=None, name=None):
        self.command("STARTTLS", 220)
        return self.secure(context, name)

    # Mail

    def hello(self):
        return self.command("EHLO client.test", 250)

    def envelope(self, sender, recipients, mail="", rcpt=""):
        self.command(f"MAIL FROM:{sender}" + (f" {mail}" if mail else ""), 250)
        for recipient in recipients:
            self.command(f"RCPT TO:{recipient}" + (f" {rcpt}" if rcpt else ""), 250)

    def transaction(self, sender, recipients, content, mail="", rcpt=""):
        """MAIL to the final reply; gives the queue id."""
        self.envelope(sender, recipients, mail, rcpt)
        self.command("DATA", 354)
        self.send(stuff(content))
        return queue_id(self.expect(250))

    def pipelined(self, sender, recipients, content):
        """The same in two segments; gives the final reply, or the one that ended it."""
        lines = [f"MAIL FROM:{sender}", *(f"RCPT TO:{r}" for r in recipients), "DATA"]
        self.send("".join(line + "\r\n" for line in lines).encode())
        replies = [self.reply() for _ in lines]
        if replies[-1].code != 354:
            return next(reply for reply in replies if reply.code >= 400)
        self.send(stuff(content))
        return self.reply()
