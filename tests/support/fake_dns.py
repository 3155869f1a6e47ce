"""A name server for tests: a zone that can be changed at any time, and every way to misbehave.

    with FakeDns({"example.org": {"MX": ["10 mx.example.org"]},
                  "mx.example.org": {"A": ["127.0.0.2"]}}) as dns:
        dns.set("slow.test", A=["127.0.0.3"])
        dns.behave("slow.test", delay=5)
        dns.behave("broken.test", rcode="SERVFAIL")
        ...
        assert dns.count("example.org", "MX") == 1

It answers as a recursive server does: aliases are followed within the zone, a name that is not there
gets NXDOMAIN, a type that is not there gets no data, both with an SOA, and what does not fit into
512 bytes of UDP is truncated. "*.example.org" stands for all names below. Also by hand:

    python3 fake_dns.py --listen 127.0.0.1:5300 --zone zone.json

where zone.json is read again when it changes, and may hold {"name": {"MX": [...], "behave": {"delay": 2}}}.
"""
import argparse
import collections
import dataclasses
import json
import os
import random
import socket
import struct
import threading
import time

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "TLSA": 52}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
MAX_UDP_BYTES = 512  # RFC 1035 section 4.2.1
MAX_ALIASES = 64

Query = collections.namedtuple("Query", "name type id port tcp time")


@dataclasses.dataclass
class Behaviour:
    """What a name does beside its records. `times` says for how many queries, None: always."""
    rcode: str = None       # answer with this and no records
    silent: bool = False    # no answer at all
    delay: float = 0.0      # seconds
    truncate: str = None    # "udp": TC until TCP is used; "always": over TCP too
    tcp: str = None         # over TCP: "close" (no answer), "trickle" (a byte a second), "half" (then close)
    forged: int = 0         # so many answers with wrong ids and false records come first
    malformed: str = None   # one of MALFORMED
    huge: int = 0           # so many records more, of the type asked for
    alone: bool = False     # follow no alias: one CNAME an answer
    authentic: bool = False  # set the AD bit
    times: int = None


def wire_name(name):
    labels = [label for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in labels) + b"\0"


def wire_record(owner, kind, ttl, data):
    return wire_name(owner) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def wire_value(kind, value):
    """A record's data from how it is written in a zone."""
    if isinstance(value, bytes):
        return value
    if kind == "A":
        return socket.inet_pton(socket.AF_INET, value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind in ("CNAME", "PTR"):
        return wire_name(value)
    if kind == "MX":
        preference, host = value.split() if isinstance(value, str) else value
        return struct.pack(">H", int(preference)) + wire_name(host)
    if kind == "TXT":
        strings = [value] if isinstance(value, str) else value
        strings = [text.encode() for text in strings]
        parts = [text[at:at + 255] for text in strings for at in range(0, max(len(text), 1), 255)]
        return b"".join(bytes([len(part)]) + part for part in parts)
    if kind == "TLSA":
        usage, selector, matching, data = value.split()
        return bytes([int(usage), int(selector), int(matching)]) + bytes.fromhex(data)
    raise ValueError(f"no such type: {kind}")


class Asked:
    """A query as it came."""

    def __init__(self, message):
        self.id, self.flags, questions = struct.unpack(">HHH", message[:6])
        if questions != 1:
            raise ValueError("not one question")
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
            at += 1 + message[at]
        self.name = ".".join(labels).lower()
        kind, = struct.unpack(">H", message[at + 1:at + 3])
        self.type = TYPE_NAMES.get(kind, str(kind))
        self.number = kind
        self.question = message[12:at + 5]

    def answer(self, records=(), rcode="NOERROR", authority=(), flags=0, **wrong):
        """A message; `wrong` replaces its id, counts or question by what they should not be."""
        header = struct.pack(">HHHHHH", wrong.get("id", self.id),
                             wrong.get("all_flags", 0x8180 | flags | RCODES[rcode]), 1,
                             wrong.get("count", len(records)), len(authority), 0)
        return header + wrong.get("question", self.question) + b"".join(records) + b"".join(authority)


def soa(ttl=60, minimum=60):
    data = wire_name("ns.fake.test") + wire_name("root.fake.test")
    return wire_record("fake.test", TYPES["SOA"], ttl, data + struct.pack(">IIIII", 1, 2, 3, 4, minimum))


def _record(asked, data):
    return wire_record(asked.name, asked.number, 60, data)


# Messages that no server should send, made of the query they answer and the good answer.
MALFORMED = {
    "wrong id": lambda asked, good: struct.pack(">H", asked.id ^ 0x5555) + good[2:],
    "wrong question": lambda asked, good: good.replace(asked.question, wire_name("other.test") + asked.question[-4:], 1),
    "no answer bit": lambda asked, good: good[:2] + b"\x01\x00" + good[4:],
    "counts": lambda asked, good: good[:6] + b"\xff\xff\xff\xff\xff\xff" + good[12:],
    "no question": lambda asked, good: good[:4] + b"\0\0" + good[6:12] + good[12 + len(asked.question):],
    "length past the end": lambda asked, good: asked.answer([wire_record(asked.name, asked.number, 60, b"")[:-2] + b"\xff\xff\0"]),
    "pointer loop": lambda asked, good: asked.answer([b"\xc0" + bytes([12 + len(asked.question)]) + struct.pack(">HHIH", asked.number, 1, 60, 0)]),
    "pointer forward": lambda asked, good: asked.answer([b"\xff\xff" + struct.pack(">HHIH", asked.number, 1, 60, 0)]),
    "short data": lambda asked, good: asked.answer([_record(asked, b"\0\1\2"[:1 if asked.type == "MX" else 3])]),
    "long name": lambda asked, good: asked.answer([_record(asked, b"\0\1" + b"\x3b" * 60 * 5 + b"\0")]),
    "half": lambda asked, good: good[:len(good) // 2],
    "header only": lambda asked, good: good[:12],
    "one byte": lambda asked, good: good[:1],
    "empty": lambda asked, good: b"",
    "garbage": lambda asked, good: good[:2] + random.Random(asked.name).randbytes(200),
    "trailing garbage": lambda asked, good: good + b"\xff" * 100,
}


class FakeDns:
    def __init__(self, zone=None, host="127.0.0.1", port=0):
        self._lock = threading.Lock()
        self._zone, self._behaviours = {}, {}
        self.default = Behaviour()  # of names without a behaviour of their own
        self.down = False           # answer nothing at all
        self.queries = []
        self.ttl = 60
        self.load(zone or {})
        self._stopping = threading.Event()
        self._udp, self._tcp = self._bind(host, port)
        self.host, self.port = self._udp.getsockname()[:2]
        for work in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=work, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def address(self):
        """As a configuration wants it: "127.0.0.1:5300"."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def close(self):
        self._stopping.set()
        for end in (self._udp, self._tcp):
            try:
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits there
            except OSError:
                pass
            end.close()

    # The zone.

    def load(self, zone):
        """Replaces the zone and the behaviours that it names."""
        with self._lock:
            self._zone = {}
        for name, entry in zone.items():
            entry = dict(entry)
            behaviour = entry.pop("behave", None)
            if behaviour is not None:
                self.behave(name, **behaviour)
            self.set(name, **entry)

    def set(self, name, **records):
        """Replaces the records of a name: set("a.test", A=["192.0.2.1"], MX=["10 b.test"])."""
        records = {kind.upper(): [values] if isinstance(values, str) else list(values)
                   for kind, values in records.items()}
        for kind, values in records.items():
            for value in values:
                wire_value(kind, value)  # a mistake is told here and not as a dead server
        with self._lock:
            self._zone[name.lower()] = records

    def remove(self, name):
        with self._lock:
            self._zone.pop(name.lower(), None)

    def behave(self, name, type=None, **behaviour):
        """What a name does, for one type or for all; without anything, it is good again."""
        assert behaviour.get("malformed") is None or behaviour["malformed"] in MALFORMED, behaviour
        assert behaviour.get("rcode") is None or behaviour["rcode"] in RCODES, behaviour
        with self._lock:
            self._behaviours[(name.lower(), type)] = Behaviour(**behaviour)

    # What was asked.

    def count(self, name=None, type=None):
        return len(self.asked(name, type))

    def asked(self, name=None, type=None):
        with self._lock:
            return [query for query in self.queries
                    if name in (None, query.name) and type in (None, query.type)]

    def forget(self):
        with self._lock:
            self.queries.clear()

    # Serving.

    @staticmethod
    def _bind(host, port):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for _ in range(100):
            udp = socket.socket(family, socket.SOCK_DGRAM)
            tcp = socket.socket(family, socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                udp.bind((host, port))
                tcp.bind((host, udp.getsockname()[1]))
                tcp.listen(128)
                return udp, tcp
            except OSError:
                udp.close()
                tcp.close()
                if port:
                    raise
        raise OSError("no port is free for both UDP and TCP")

    def _serve_udp(self):
        while not self._stopping.is_set():
            try:
                message, source = self._udp.recvfrom(4096)
            except OSError:
                return
            if source is None:  # close() woke us
                return
            planned = self._plan(message, source[1], tcp=False)
            if planned is None:
                continue
            delay, messages = planned[0], planned[1]
            if delay:
                timer = threading.Timer(delay, self._send_udp, (messages, source))
                timer.daemon = True
                timer.start()
            else:
                self._send_udp(messages, source)

    def _send_udp(self, messages, source):
        for message in messages:
            try:
                self._udp.sendto(message, source)
            except OSError:
                return

    def _serve_tcp(self):
        while not self._stopping.is_set():
            try:
                connection, source = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(connection, source), daemon=True).start()

    def _serve_connection(self, connection, source):
        with connection, connection.makefile("rb") as stream:
            try:
                while (length := stream.read(2)) and len(length) == 2:
                    message = stream.read(struct.unpack(">H", length)[0])
                    planned = self._plan(message, source[1], tcp=True)
                    if planned is None:
                        continue
                    delay, messages, how = planned
                    self._stopping.wait(delay)
                    for answer in messages:
                        if not self._send_tcp(connection, answer, how):
                            return
            except OSError:
                return

    def _send_tcp(self, connection, message, how):
        if len(message) > 0xffff:
            return False  # no name server can say that
        framed = struct.pack(">H", len(message)) + message
        if how == "close":
            return False
        if how == "half":
            connection.sendall(framed[:len(framed) // 2])
            return False
        if how == "trickle":
            for at in range(len(framed)):
                connection.sendall(framed[at:at + 1])
                if self._stopping.wait(1.0):
                    return False
            return True
        connection.sendall(framed)
        return True

    # Answering.

    def _plan(self, message, port, tcp):
        """(delay, messages, how TCP sends them), or None for silence."""
        try:
            asked = Asked(message)
        except (ValueError, IndexError, struct.error):
            return None
        with self._lock:
            self.queries.append(Query(asked.name, asked.type, asked.id, port, tcp, time.monotonic()))
            behaviour = self._behaviour_of(asked)
            if self.down or behaviour.silent:
                return None
            good = self._answer(asked, behaviour)
        if not tcp and (behaviour.truncate or len(good) > MAX_UDP_BYTES) or behaviour.truncate == "always":
            good = asked.answer(flags=0x0200)
        if behaviour.malformed:
            good = MALFORMED[behaviour.malformed](asked, good)
        return behaviour.delay, self._forged(asked, behaviour.forged) + [good], behaviour.tcp

    def _behaviour_of(self, asked):
        for name in self._spellings(asked.name):
            for kind in (asked.type, None):
                behaviour = self._behaviours.get((name, kind))
                if behaviour is None or behaviour.times == 0:
                    continue
                if behaviour.times is not None:
                    behaviour.times -= 1
                return behaviour
        return self.default

    @staticmethod
    def _spellings(name):
        """The name, then the wildcards that stand for it."""
        labels = name.split(".")
        return [name] + ["*." + ".".join(labels[at:]) for at in range(1, len(labels))] + ["*"]

    def _entry(self, name):
        for spelling in self._spellings(name):
            if spelling in self._zone:
                return self._zone[spelling]
        return None

    def _answer(self, asked, behaviour):
        flags = 0x0020 if behaviour.authentic else 0
        if behaviour.rcode:
            authority = [soa()] if behaviour.rcode in ("NXDOMAIN", "NOERROR") else []
            return asked.answer(rcode=behaviour.rcode, authority=authority, flags=flags)
        records, name, entry = [], asked.name, self._entry(asked.name)
        while entry and asked.type not in entry and "CNAME" in entry and len(records) < MAX_ALIASES:
            target = entry["CNAME"][0]
            records.append(wire_record(name, TYPES["CNAME"], self.ttl, wire_name(target)))
            name = target.lower().rstrip(".")
            if behaviour.alone:
                return asked.answer(records, flags=flags)
            entry = self._entry(name)
        values = (entry or {}).get(asked.type, [])
        records += [wire_record(name, asked.number, self.ttl, wire_value(asked.type, value)) for value in values]
        records += [wire_record(name, asked.number, self.ttl, value) for value in self._many(asked.type, behaviour.huge)]
        if entry is None and not behaviour.huge:
            return asked.answer(records, rcode="NXDOMAIN", authority=[soa()], flags=flags)
        authority = [] if values or behaviour.huge else [soa()]
        return asked.answer(records, authority=authority, flags=flags)

    @staticmethod
    def _many(kind, count):
        """`count` different values of a type."""
        if kind == "A":
            return [struct.pack(">I", 0xc6120000 + i) for i in range(count)]  # 198.18.0.0/15
        if kind == "AAAA":
            return [bytes.fromhex("20010db8") + struct.pack(">QI", 0, i) for i in range(count)]
        if kind == "MX":
            return [wire_value("MX", (i % 65536, f"mx{i}.huge.test")) for i in range(count)]
        if kind == "TXT":
            return [wire_value("TXT", "x" * 250) for _ in range(count)]
        return []

    def _forged(self, asked, count):
        false = {"A": ["192.0.2.66"], "AAAA": ["2001:db8::bad"], "MX": ["0 forged.test"], "TXT": ["forged"]}
        records = [wire_record(asked.name, asked.number, 3600, wire_value(asked.type, value))
                   for value in false.get(asked.type, [])]
        ids = random.sample([number for number in range(65536) if number != asked.id], count)
        return [asked.answer(records, id=number) for number in ids]


def main():
    parser = argparse.ArgumentParser(description="A name server for tests.")
    parser.add_argument("--listen", default="127.0.0.1:5300", metavar="ADDRESS:PORT")
    parser.add_argument("--zone", metavar="FILE", help="JSON; read again when it changes")
    arguments = parser.parse_args()
    host, port = arguments.listen.rsplit(":", 1)
    with FakeDns(host=host.strip("[]"), port=int(port)) as dns:
        print(f"listening on {dns.address}", flush=True)
        read_at, told = None, 0
        try:
            while True:
                if arguments.zone and os.stat(arguments.zone).st_mtime_ns != read_at:
                    read_at = os.stat(arguments.zone).st_mtime_ns
                    with open(arguments.zone, encoding="utf-8") as file:
                        dns.load(json.load(file))
                for query in dns.asked()[told:]:
                    print(f"{query.name} {query.type} id={query.id} port={query.port} {'tcp' if query.tcp else 'udp'}",
                          flush=True)
                    told += 1
                time.sleep(0.2)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
