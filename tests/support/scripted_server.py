"""A destination that answers by script: an SMTP server which can do what servers do and should not.

    with ScriptedServer() as server:
        server.on("rcpt", "451 4.7.1 greylisted", times=1)
        server.on("eod", Hang())
        ...
        server.wait_messages(1)

Stages: connect, banner, ehlo, helo, starttls, handshake, auth, mail, rcpt, data, content, eod, bdat, rset, quit, idle
(behind the reply to a message). A rule is a reply's text or one of the behaviours below; the first rule of a stage that
applies and is not used up wins; without one the server is a good one. All that arrives is
recorded, and checked: what no client may ever send is in `violations`.
"""
import base64
import re
import socket
import struct
import threading
import time

from support.ports import free_port
from support.scram import ScramServer
from support.waiting import wait_until

_ESTABLISHED = 1  # a state of TCP_INFO
EXTENSIONS = ("PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


class Ended(Exception):
    """The session is over."""


class Say:
    """A reply: text lines or bytes, perhaps late, perhaps byte by byte."""

    def __init__(self, reply, after=0.0, every=None, then=None):
        self.reply, self.after, self.every, self.then = reply, after, every, then

    def act(self, session):
        session.wait(self.after)
        data = wire(self.reply)
        code = int(data[:3]) if data[:3].isdigit() else 0
        session.answering(code)
        if self.every is None:
            session.write(data)
        else:
            for at in range(len(data)):
                session.write(data[at:at + 1])
                session.wait(self.every)
        if self.then:
            self.then.act(session)
        return code


class Hang:
    """Says nothing for so long; for ever, until the client goes."""

    def __init__(self, seconds=None):
        self.seconds = seconds

    def act(self, session):
        session.wait(self.seconds if self.seconds is not None else 3600)
        if self.seconds is None:
            raise Ended


class Close:
    """FIN."""

    def act(self, session):
        raise Ended


class Reset:
    """RST."""

    def act(self, session):
        session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Ended


class Endless:
    """The same bytes again and again, `pause` seconds between them, until the client goes."""

    def __init__(self, data, pause=0.0):
        self.data, self.pause = data, pause

    def act(self, session):
        block = self.data if self.pause else self.data * max(1, 65536 // len(self.data))
        while True:
            session.write(block)
            session.wait(self.pause)


def wire(reply):
    """Bytes of a reply given as text; lines are parted by a line feed."""
    if isinstance(reply, bytes):
        return reply
    lines = reply.split("\n")
    code = lines[0][:3]
    out = [lines[0][4:], *lines[1:]]
    return "".join(f"{code}{'-' if n < len(out) - 1 else ' '}{text}\r\n"
                   for n, text in enumerate(out)).encode()


class Rule:
    def __init__(self, stage, behaviour, when, times):
        self.stage, self.when, self.times = stage, when, times
        self.behaviour = Say(behaviour) if isinstance(behaviour, (str, bytes)) else behaviour


class Command:
    """A line of the client: its text, the time, the read that brought its first byte, and under which TLS."""

    def __init__(self, line, batch, tls=None):
        self.line, self.batch, self.tls, self.time = line, batch, tls, time.monotonic()

    def __repr__(self):
        return f"{self.line}@{self.batch}"


class Message:
    """A content that came to its end. `taken` once the server has said 2xx to it."""

    def __init__(self, session, mail, recipients):
        self.session, self.mail, self.recipients = session, mail, recipients
        self.content = b""  # dots unstuffed
        self.raw = None     # as on the wire, without the end of data; None for BDAT
        self.taken, self.code, self.time = False, 0, 0.0

    @property
    def sender(self):
        return path_of(self.mail)

    @property
    def paths(self):
        """The recipients that were taken at RCPT, as `<path>`."""
        return [path_of(r) for r in self.recipients]

    def header(self, name):
        """First field of that name, unfolded, or None."""
        head = self.content.split(b"\r\n\r\n", 1)[0] + b"\r\n"
        match = re.search(rb"(?im)^" + re.escape(name.encode()) + rb":((?:.*\r\n)(?:[ \t].*\r\n)*)", head)
        return re.sub(rb"\r\n(?=[ \t])", b"", match[1]).strip().decode("utf-8", "replace") \
            if match else None


def path_of(argument):
    match = re.search(r"<.*?>", argument)
    return match[0] if match else argument


class Session(threading.Thread):
    """One connection, served in a thread of its own."""

    def __init__(self, server, connection, peer, number):
        super().__init__(daemon=True)
        self.server, self.socket, self.peer, self.number = server, connection, peer, number
        self.commands, self.opened, self.closed_at = [], time.monotonic(), None
        self.helo, self.received = None, 0
        self.batch, self._buffer, self._starts = 0, bytearray(), []
        self._mail, self._rcpts, self._bdat = None, [], None
        self.got_quit = False
        self._at_idle, self._owed = False, None
        self.tls, self.tls_resumed, self.tls_error = None, False, None
        self.user = None  # who has authenticated

    # Bytes

    def wait(self, seconds):
        """Waits, but not after the server or the client has gone."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.server.stopping.wait(min(left, 0.05)):
                raise Ended
            if self._client_gone():
                raise Ended

    def _client_gone(self):
        if self.tls:  # cannot be peeked into
            return not self.is_established()
        try:
            return self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def answering(self, code):
        """A reply is about to be written. What it takes counts as taken from here on, so that no
        client can know of it before the record does."""
        if self._owed is not None:
            self._owed.code, self._owed.taken = code, code // 100 == 2
            self._owed = None

    def is_established(self):
        """False as soon as the client has closed, also while bytes of it are still to be read."""
        try:
            return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED
        except OSError:
            return False

    def write(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            raise Ended from None

    def _read(self):
        try:
            data = self.socket.recv(262144)
        except OSError:
            raise Ended from None
        if not data:
            raise Ended
        self.batch += 1
        self.received += len(data)
        self._starts.append((len(self._buffer), self.batch))
        self._buffer += data

    def _take(self, count):
        """Takes bytes off the buffer; gives them and the batch that brought the first one."""
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        batch = 0
        for start, number in self._starts:
            if start <= 0:
                batch = number
        self._starts = [(max(start - count, 0), number) for start, number in self._starts
                        if start - count >= 0 or number == self._starts[-1][1]]
        return data, batch

    def _line(self):
        searched = 0
        while (end := self._buffer.find(b"\r\n", searched)) < 0:
            searched = max(0, len(self._buffer) - 1)
            if len(self._buffer) > 1_000_000:
                self.server.note(self, "a command line of over 1 MB")
                raise Ended
            self._read()
        line, batch = self._take(end + 2)
        line = line[:-2]
        if re.search(rb"[\r\n\0]", line):
            self.server.note(self, f"CR, LF or NUL in a command: {line[:200]!r}")
        return line.decode("utf-8", "surrogateescape"), batch

    # The dialogue

    def run(self):
        try:
            self._converse()
        except Ended:
            pass
        finally:
            self.closed_at = time.monotonic()
            try:
                self.socket.close()
            except OSError:
                pass
            self.server.ended(self)

    def _act(self, stage, argument, default):
        behaviour = self.server.behaviour(stage, self, argument)
        if behaviour is None:
            behaviour = Say(default) if default is not None else None
        return behaviour.act(self) if behaviour is not None else 0

    def _converse(self):
        self._act("connect", "", None)
        if self.server.implicit:
            self._secure()
        if self._act("banner", "", f"220 {self.server.name} ESMTP") >= 400:
            pass  # stays, for a QUIT
        while True:
            if self._at_idle:
                self._at_idle = False
                if not self._buffer:
                    self._act("idle", "", None)
            line, batch = self._line()
            self.commands.append(Command(line, batch, self.tls))
            verb = line.split(" ")[0].upper()
            handler = getattr(self, "_on_" + verb.lower(), None)
            if handler is None:
                self.server.note(self, f"unknown command {line[:100]!r}")
                self.write(b"500 5.5.2 unknown\r\n")
            else:
                handler(line)

    def _on_ehlo(self, line):
        self.helo = line[5:]
        self._mail, self._rcpts = None, []
        offer = ["STARTTLS"] if self.server.tls and not self.tls else []
        if self.server.accounts and (self.tls or self.server.auth_in_clear):
            offer.append("AUTH " + " ".join(self.server.mechanisms))
        self._act("ehlo", self.helo, "\n".join(["250 " + self.server.name, *offer, *self.server.extensions]))

    def _on_auth(self, line):
        if self._buffer:
            self.server.note(self, "talked on behind AUTH")
        if self.server.accounts and not self.tls and not self.server.auth_in_clear:
            self.server.note(self, "credentials in clear")
        words = line.split(" ")
        self._auth = words[1].upper()
        user, right = self._prove(words[2] if len(words) > 2 else None)
        self._act("auth", user, "235 2.7.0 welcome" if right else "535 5.7.8 wrong credentials")
        if right:
            self.user = user

    def _ask(self, challenge):
        self.write(f"334 {challenge}\r\n".encode())
        line, batch = self._line()
        self.commands.append(Command(line, batch, self.tls))
        return line

    def _prove(self, first):
        """Who the client says it is, and whether it has shown it; by every mechanism but in a way of our own."""
        accounts = self.server.accounts
        if self._auth == "PLAIN":
            said = base64.b64decode(self._ask("") if first is None else first, validate=True).decode().split("\0")
            return said[1], accounts.get(said[1]) == said[2]
        if self._auth == "LOGIN":
            user, password = (base64.b64decode(self._ask(prompt), validate=True).decode()
                              for prompt in ("VXNlcm5hbWU6", "UGFzc3dvcmQ6"))
            return user, accounts.get(user) == password
        if self._auth == "SCRAM-SHA-256":
            scram = ScramServer(accounts)
            final = scram.final(self._ask(scram.challenge(first)))
            if final is None:
                return scram.user, False
            return scram.user, self._ask(final) == ""
        said = base64.b64decode(first, validate=True).decode()
        token = re.search("auth=Bearer ([^\x01]*)\x01\x01$", said)[1]
        user = re.match("user=([^\x01]*)\x01|n,a=([^,]*),\x01", said)
        user = user[1] or user[2]
        if accounts.get(user) == token:
            return user, True
        resignation = self._ask(base64.b64encode(b'{"status":"401"}').decode())
        if resignation != ("" if self._auth == "XOAUTH2" else "AQ=="):
            self.server.note(self, f"answered the refusal of a token with {resignation!r}")
        return user, False

    def _on_starttls(self, line):
        if not self.server.tls or self.tls:
            self.write(b"502 5.5.1 not here\r\n")
        elif self._act("starttls", "", "220 2.0.0 go ahead") == 220:
            self._secure()

    def _secure(self):
        if self._buffer:
            self.server.note(self, f"talked on behind STARTTLS: {bytes(self._buffer[:100])!r}")
        self._act("handshake", "", None)
        try:
            self.socket = self.server.tls.wrap_socket(self.socket, server_side=True)
        except OSError as error:
            self.tls_error = str(error)
            raise Ended from None
        self.tls, self.tls_resumed = self.socket.version(), self.socket.session_reused

    def _on_helo(self, line):
        self.helo = line[5:]
        self._act("helo", self.helo, "250 " + self.server.name)

    def _on_mail(self, line):
        if self._act("mail", line[5:], "250 2.1.0 sender ok") // 100 == 2:
            self._mail, self._rcpts = line[5:], []

    def _on_rcpt(self, line):
        if self._mail is None:
            self.write(b"503 5.5.1 need MAIL\r\n")
        elif self._act("rcpt", line[5:], "250 2.1.5 recipient ok") // 100 == 2:
            self._rcpts.append(line[5:])

    def _on_data(self, line):
        if self._mail is None or not self._rcpts:
            if self._act("data", "none", "554 5.5.1 no valid recipients") != 354:
                return
        elif self._act("data", "", "354 go on") != 354:
            return
        self._act("content", "", None)
        raw = self._content()
        self._check_content(raw)
        content = (b"\r\n" + raw)[2:] if not raw.startswith(b".") else raw[1:]
        self._finish(content.replace(b"\r\n.", b"\r\n"), raw)

    def _content(self):
        """Content as it comes, to the end of data, which it does not give."""
        searched = 0
        while True:
            if self._buffer.startswith(b".\r\n"):
                self._take(3)
                return b""
            end = self._buffer.find(b"\r\n.\r\n", searched)
            if end >= 0:
                return self._take(end + 5)[0][:-3]
            searched = max(0, len(self._buffer) - 4)
            self._read()

    def _check_content(self, raw):
        if re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw):
            self.server.note(self, "bare CR, bare LF or NUL in DATA")
        if re.search(rb"(?:\A|\r\n)\.(?!\.)", raw):
            self.server.note(self, "an unstuffed dot in DATA")

    def _on_bdat(self, line):
        parts = line.split(" ")
        size, last = int(parts[1]), len(parts) > 2 and parts[2].upper() == "LAST"
        while len(self._buffer) < size:
            self._read()
        chunk, _ = self._take(size)
        self._bdat = (self._bdat or b"") + chunk
        code = self._act("bdat", line, None if last else f"250 2.0.0 {size} octets")
        if code >= 400:
            self._mail, self._rcpts, self._bdat = None, [], None
        if code or not last:
            return
        content, self._bdat = self._bdat, None
        if self._mail is None or not self._rcpts:
            self.write(b"554 5.5.1 no valid recipients\r\n")
            return
        self._finish(content, None)

    def _finish(self, content, raw):
        message = Message(self, self._mail, list(self._rcpts))
        message.content, message.raw = content, raw
        message.time = time.monotonic()
        self._mail, self._rcpts = None, []
        self.server.arrived(message)
        self._owed = message
        self._act("eod", message, "250 2.0.0 taken")
        self._owed = None
        self._at_idle = True

    def _on_rset(self, line):
        self._mail, self._rcpts, self._bdat = None, [], None
        self._act("rset", "", "250 2.0.0 reset")

    def _on_noop(self, line):
        self.write(b"250 2.0.0 ok\r\n")

    def _on_quit(self, line):
        self.got_quit = True
        self._act("quit", "", "221 2.0.0 bye")
        raise Ended

    def lines(self):
        return [command.line for command in self.commands]


class ScriptedServer:
    """Listens from its construction on. `stop_listening` and `listen` take it down and up again."""

    def __init__(self, address="127.0.1.1", port=0, name="sink.test", extensions=EXTENSIONS, tls=None,
                 implicit=False, accounts=None, mechanisms=("PLAIN", "LOGIN", "SCRAM-SHA-256"), auth_in_clear=False):
        """`tls` is an SSLContext: STARTTLS is offered, or with `implicit` spoken from the first byte. `accounts`: AUTH
        is offered, under TLS, to these users with these passwords (or tokens)."""
        self.accounts, self.mechanisms, self.auth_in_clear = accounts, mechanisms, auth_in_clear
        self.tls, self.implicit = tls, implicit
        self.address, self.port = address, port or free_port()
        self.name, self.extensions = name, extensions
        self.sessions, self.messages, self.violations = [], [], []
        self.open_now, self.peak = 0, 0
        self.stopping = threading.Event()
        self._rules, self._lock, self._listener = [], threading.RLock(), None
        self.listen()

    def listen(self):
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.address, self.port))
        self._listener.listen(1024)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def stop_listening(self):
        """From now on connections are refused; sessions go on."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def hang_up(self):
        """Ends all sessions."""
        with self._lock:
            sessions = [s for s in self.sessions if s.closed_at is None]
        for session in sessions:
            try:
                session.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.stopping.set()
        self.stop_listening()
        self.hang_up()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()
        if kind is None:
            assert not self.violations, self.violations[:5]

    def _accept(self, listener):
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                session = Session(self, connection, peer, len(self.sessions))
                self.sessions.append(session)
                self.open_now += 1
                self.peak = max(self.peak, sum(1 for s in self.sessions if s.is_established()))
            session.start()

    # The script

    def on(self, stage, behaviour, when=None, times=None):
        """Adds a rule. `when(argument)` gets the command's argument, for eod the Message."""
        with self._lock:
            self._rules.append(Rule(stage, behaviour, when, times))
        return self

    def forget(self, stage=None):
        """Takes rules back: of a stage, or all."""
        with self._lock:
            self._rules = [r for r in self._rules if stage is not None and r.stage != stage]

    def behaviour(self, stage, session, argument):
        with self._lock:
            for rule in self._rules:
                if rule.stage != stage or rule.times == 0:
                    continue
                if rule.when is not None and not rule.when(argument):
                    continue
                if rule.times is not None:
                    rule.times -= 1
                chosen = rule.behaviour
                return Say(chosen(session, argument)) if callable(chosen) else chosen
        return None

    # The record

    def note(self, session, violation):
        with self._lock:
            self.violations.append(f"session {session.number}: {violation}")

    def arrived(self, message):
        with self._lock:
            self.messages.append(message)

    def ended(self, session):
        with self._lock:
            self.open_now -= 1

    @property
    def delivered(self):
        """Messages that it answered 2xx, in the order of arrival."""
        with self._lock:
            return [m for m in self.messages if m.taken]

    def commands(self, verb=None):
        """All command lines of all sessions, or those of one verb."""
        with self._lock:
            return [c.line for s in self.sessions for c in list(s.commands)
                    if verb is None or c.line.upper().startswith(verb.upper())]

    def wait_messages(self, count=1, timeout=10.0):
        """Waits until it has taken so many; gives them."""
        wait_until(lambda: len(self.delivered) >= count, timeout,
                   lambda: f"{count} messages at {self.address}; {len(self.delivered)} taken, "
                           f"{len(self.messages)} arrived, {len(self.sessions)} sessions")
        return self.delivered

    def wait_sessions(self, count=1, timeout=10.0):
        wait_until(lambda: len(self.sessions) >= count, timeout,
                   lambda: f"{count} sessions at {self.address}; {len(self.sessions)} came")
        return self.sessions

    def wait_arrived(self, count=1, timeout=10.0):
        wait_until(lambda: len(self.messages) >= count, timeout,
                   lambda: f"{count} contents at {self.address}; {len(self.messages)} came")
        return self.messages


class BlackHole:
    """An address that completes no connection: its accept queue is full and stays so."""

    def __init__(self, address="127.0.1.1", port=0):
        self.address, self.port = address, port or free_port()
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.address, self.port))
        self._listener.listen(0)
        self._fill = []
        for _ in range(4):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.connect_ex((self.address, self.port))
            self._fill.append(filler)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for filler in self._fill:
            filler.close()
        self._listener.close()
