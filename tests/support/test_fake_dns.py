"""The fake name server keeps its word, so that a scenario that fails tells of the relay."""
import json
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import fake_dns
from support.fake_dns import FakeDns, wire_name


def query(name, kind, number=4711):
    question = wire_name(name) + struct.pack(">HH", fake_dns.TYPES[kind], 1)
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + question


def ask_all(dns, name, kind, wait=2.0, number=4711):
    """Every UDP message that comes, the first within `wait`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(wait)
        client.sendto(query(name, kind, number), (dns.host, dns.port))
        messages = []
        try:
            while True:
                messages.append(client.recv(4096))
                client.settimeout(0.05)
        except TimeoutError:
            return messages


def ask(dns, name, kind):
    message, = ask_all(dns, name, kind)
    return message


def ask_tcp(dns, name, kind, timeout=2.0):
    with socket.create_connection((dns.host, dns.port), timeout=timeout) as client:
        message = query(name, kind)
        client.sendall(struct.pack(">H", len(message)) + message)
        answer = b""
        while len(answer) < 2 or len(answer) < 2 + struct.unpack(">H", answer[:2])[0]:
            piece = client.recv(65536)
            if not piece:
                return None
            answer += piece
        return answer[2:]


def rcode(message):
    return message[3] & 15


def counts(message):
    return struct.unpack(">HHHH", message[4:12])


@pytest.fixture
def dns():
    with FakeDns({"example.org": {"MX": ["10 mx.example.org", [20, "mx2.example.org"]]},
                  "mx.example.org": {"A": ["127.0.0.2"], "AAAA": ["::1"]}}) as server:
        yield server


def test_answers_from_the_zone(dns):
    message = ask(dns, "Example.ORG", "MX")
    assert rcode(message) == 0 and counts(message) == (1, 2, 0, 0)
    assert b"\x00\x0a" + wire_name("mx.example.org") in message
    assert ask(dns, "mx.example.org", "A").endswith(bytes([127, 0, 0, 2]))
    assert dns.count("example.org", "MX") == 1 and dns.count("mx.example.org") == 1 and dns.count() == 2


def test_tells_nothing_from_no_such_type(dns):
    assert rcode(ask(dns, "nowhere.test", "A")) == 3
    message = ask(dns, "mx.example.org", "MX")
    assert rcode(message) == 0 and counts(message) == (1, 0, 1, 0)


def test_can_be_changed_at_any_time(dns):
    dns.set("new.test", A="192.0.2.1")
    assert ask(dns, "new.test", "A").endswith(bytes([192, 0, 2, 1]))
    dns.remove("new.test")
    assert rcode(ask(dns, "new.test", "A")) == 3
    dns.set("*.wild.test", A=["192.0.2.9"])
    assert ask(dns, "a.b.wild.test", "A").endswith(bytes([192, 0, 2, 9]))


def test_refuses_a_zone_with_a_mistake(dns):
    with pytest.raises((ValueError, OSError)):
        dns.set("bad.test", A=["not an address"])


def test_follows_aliases_unless_told_not_to(dns):
    dns.set("a.test", CNAME="b.test")
    dns.set("b.test", CNAME="mx.example.org")
    assert counts(ask(dns, "a.test", "A")) == (1, 3, 0, 0)
    dns.behave("a.test", alone=True)
    assert counts(ask(dns, "a.test", "A")) == (1, 1, 0, 0)
    dns.set("loop.test", CNAME="loop.test")
    assert counts(ask_tcp(dns, "loop.test", "A"))[1] == fake_dns.MAX_ALIASES


@pytest.mark.parametrize("name", ["SERVFAIL", "REFUSED", "FORMERR", "NXDOMAIN"])
def test_fails_by_name(dns, name):
    dns.behave("example.org", rcode=name)
    assert rcode(ask(dns, "example.org", "MX")) == fake_dns.RCODES[name]


def test_behaves_for_one_type_and_for_some_time_only(dns):
    dns.behave("mx.example.org", "A", rcode="SERVFAIL", times=1)
    assert rcode(ask(dns, "mx.example.org", "AAAA")) == 0
    assert rcode(ask(dns, "mx.example.org", "A")) == 2
    assert rcode(ask(dns, "mx.example.org", "A")) == 0


def test_keeps_silent_and_counts(dns):
    dns.behave("example.org", silent=True)
    assert ask_all(dns, "example.org", "MX", wait=0.2) == []
    dns.behave("example.org")
    dns.down = True
    assert ask_all(dns, "example.org", "MX", wait=0.2) == []
    assert dns.count("example.org") == 2


def test_answers_late_without_keeping_others_waiting(dns):
    dns.behave("example.org", delay=0.5)
    begun = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(query("example.org", "MX"), (dns.host, dns.port))
        ask(dns, "mx.example.org", "A")
        assert time.monotonic() - begun < 0.5
        client.recv(4096)
        assert time.monotonic() - begun >= 0.5


def test_truncates_what_is_asked_for_or_does_not_fit(dns):
    dns.behave("example.org", truncate="udp")
    assert ask(dns, "example.org", "MX")[2] & 2
    assert not ask_tcp(dns, "example.org", "MX")[2] & 2
    dns.behave("example.org", truncate="always")
    assert ask_tcp(dns, "example.org", "MX")[2] & 2
    dns.behave("example.org", huge=1000)
    assert ask(dns, "example.org", "MX")[2] & 2
    assert counts(ask_tcp(dns, "example.org", "MX"))[1] == 1002


def test_misbehaves_over_tcp(dns):
    for how in ("close", "half"):
        dns.behave("example.org", tcp=how)
        assert ask_tcp(dns, "example.org", "MX") is None
    dns.behave("example.org", tcp="trickle")
    with pytest.raises(TimeoutError):
        ask_tcp(dns, "example.org", "MX", timeout=0.3)


def test_sends_forged_answers_first(dns):
    dns.behave("mx.example.org", forged=100)
    messages = ask_all(dns, "mx.example.org", "A", number=77)
    assert len(messages) == 101
    assert all(message[:2] != b"\x00\x4d" and bytes([192, 0, 2, 66]) in message for message in messages[:-1])
    assert messages[-1][:2] == b"\x00\x4d"


@pytest.mark.parametrize("kind", sorted(fake_dns.MALFORMED))
def test_breaks_messages_in_every_way(dns, kind):
    good = ask(dns, "example.org", "MX")
    dns.behave("example.org", malformed=kind)
    broken, = ask_all(dns, "example.org", "MX")
    assert broken != good


def test_records_ids_and_ports(dns):
    ask_all(dns, "example.org", "MX", number=1)
    ask_all(dns, "example.org", "MX", number=2)
    first, second = dns.asked("example.org", "MX")
    assert (first.id, second.id) == (1, 2) and first.port and not first.tcp


def test_runs_by_hand(tmp_path):
    zone = tmp_path / "zone.json"
    zone.write_text(json.dumps({"a.test": {"A": ["192.0.2.1"]}, "b.test": {"behave": {"rcode": "SERVFAIL"}}}))
    process = subprocess.Popen([sys.executable, str(Path(fake_dns.__file__)), "--listen", "127.0.0.1:0", "--zone",
                                str(zone)], stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        server = type("Server", (), {"host": "127.0.0.1", "port": port})
        deadline = time.monotonic() + 5
        while rcode(ask(server, "a.test", "A")) == 3 and time.monotonic() < deadline:
            pass  # the zone is being read
        assert ask(server, "a.test", "A").endswith(bytes([192, 0, 2, 1]))
        assert rcode(ask(server, "b.test", "A")) == 2
    finally:
        process.kill()
        process.wait()
