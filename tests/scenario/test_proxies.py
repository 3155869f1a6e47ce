"""Clients that come through a proxy are who the proxy says they are, and nobody else can say so: PROXY headers and
XCLIENT, as HAProxy, nginx and Postfix send them."""
import contextlib
import socket
import struct

import pytest

from support.certificates import Authority
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.scripted_server import ScriptedServer
from support.smtp_client import SmtpClient, queue_id, stuff
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized

PROXY = "127.0.0.20"      # listed: speaks for others
STRANGER = "127.0.0.66"   # not listed for anything
FRIEND = "192.0.2.7"      # in relay_networks, and not of this machine
OTHER = "203.0.113.9"     # a client that may not relay
V2 = b"\r\n\r\n\0\r\nQUIT\n"
NETWORKS = {"relay_networks": ["192.0.2.0/24", "2001:db8::/32", PROXY], "max_errors": 100, "error_delay": "0s"}


def v1(address, to="198.51.100.1", port=4660):
    return f"PROXY TCP{6 if ':' in address else 4} {address} {to} {port} 25\r\n".encode()


def v2(address, port=4660, command=0x21, tlvs=b""):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    body = socket.inet_pton(family, address) * 2 + struct.pack("!HH", port, 25) + tlvs
    return V2 + struct.pack("!BBH", command, 0x21 if ":" in address else 0x11, len(body)) + body


@pytest.fixture(scope="module")
def shared_server():
    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="module")
def relay(start_shared_relay, shared_server):
    return start_shared_relay(send=[smart_host(shared_server)], receive=NETWORKS | {
        "proxy_protocol_networks": [PROXY], "xclient_networks": ["127.0.0.30", FRIEND]})


@contextlib.contextmanager
def through(relay, header, source=PROXY):
    """A session behind a proxy that sends this first."""
    with SmtpClient(("127.0.0.1", relay.port), source=source) as client:
        client.send(header)
        yield client


def rcpt(client):
    client.hello()
    client.command(f"MAIL FROM:{SENDER}", 250)
    return client.command(f"RCPT TO:{RECIPIENT}")


def gone(relay):
    """The relay's count of connections is back at nothing."""
    wait_until(lambda: relay.metric("sluice_smtp_connections", direction="in") == 0, 10)


# PROXY


@pytest.mark.parametrize("header", [
    v1(FRIEND), v2(FRIEND), v2(FRIEND, tlvs=b"\x04\x00\x10" + b"x" * 16), v2(FRIEND, tlvs=b"y" * 60_000),
    v1("2001:db8::7", "2001:db8::1"), v2("2001:db8::7")], ids=["v1", "v2", "tlv", "much", "v1-6", "v2-6"])
def test_a_client_is_who_the_header_says(relay, shared_server, header):
    with through(relay, header) as client:
        client.expect(220)
        client.hello()
        message_id = client.transaction(SENDER, [RECIPIENT], SIMPLE)
    event = relay.log.wait_for(event="accepted", id=message_id)
    address = event["address"].rsplit(":", 1)[0].strip("[]")
    assert address in (FRIEND, "2001:db8::7") and event["address"].endswith(":4660")
    wait_until(lambda: any(message_id in m.header("Received") for m in shared_server.messages), 10)
    received = next(m.header("Received") for m in shared_server.messages if message_id in m.header("Received"))
    assert f"[{'IPv6:' if ':' in address else ''}{address}]" in received


@pytest.mark.parametrize("header", [v1(OTHER), v2(OTHER), v1("127.0.0.1"), v2("127.0.0.1"), v2("::1")])
def test_what_the_proxy_may_the_client_behind_it_may_not(relay, header):
    with through(relay, header) as client:
        client.expect(220)
        assert rcpt(client).status == "5.7.1"


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 192.0.2.7 192.0.2.8 1 2\r\n",
                                    v2(FRIEND, command=0x20), V2 + b"\x20\0\0\0", V2 + b"\x21\0\0\x05abcde"])
def test_a_health_check_is_greeted_and_relays_nothing(relay, header):
    with through(relay, header) as client:
        client.expect(220)
        assert rcpt(client).status == "5.7.1"
        client.command("QUIT", 221)


@pytest.mark.parametrize("header", [v1(FRIEND), v2(FRIEND, tlvs=b"\x04\0\x01x")], ids=["v1", "v2"])
def test_a_header_cut_anywhere_is_one_header(relay, header):
    for at in range(1, len(header)):
        with SmtpClient(("127.0.0.1", relay.port), source=PROXY) as client:
            client.send_split(header, [at], apart=0.005)
            client.expect(220)
            assert rcpt(client).code == 250, at


@pytest.mark.parametrize("bytes_", [
    b"EHLO client.test\r\n", b"\r\nEHLO", b"\0", b"PROXY\r\n", b"PROXY TCP4 1 2 3 4\r\n", b"PROXY " + b"x" * 5000, V2 + b"\x31\x11\0\0",
    V2 + b"\x21\x11\0\x04abcd", v1(FRIEND)[:-2] + b"\n", b"\x16\x03\x01\x02\0\x01", v1(FRIEND).lower()], ids=repr)
def test_a_proxy_that_sends_no_header_hears_nothing(relay, bytes_):
    with through(relay, bytes_) as client:
        assert client.at_end(5)
    gone(relay)


def test_a_proxy_that_sends_nothing_is_cut_in_time(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive=NETWORKS | {
        "proxy_protocol_networks": [PROXY], "command_timeout": "300ms"})
    with SmtpClient(("127.0.0.1", relay.port), source=PROXY) as silent, \
            SmtpClient(("127.0.0.1", relay.port), source=PROXY) as slow:
        slow.send(b"PROXY TCP4 ")
        assert silent.at_end(10) and slow.at_end(10)
    gone(relay)
    assert relay.metric("sluice_client_faults_total", fault="proxy_header") == 2
    relay.log.wait_for(event="connection_refused", reason="proxy_header")


@pytest.mark.parametrize("header", [v1(FRIEND), v2(FRIEND)], ids=["v1", "v2"])
@pytest.mark.parametrize("greeted", [False, True])
def test_a_stranger_forges_no_header(relay, header, greeted):
    """Before the greeting it is early talk; behind it, it is no SMTP, or (in version 2) a QUIT."""
    with SmtpClient(("127.0.0.1", relay.port), source=STRANGER) as client:
        if greeted:
            client.expect(220)
        client.send(header + b"EHLO client.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@there.test>\r\n")
        replies = client.rest(10)
    assert b"250 2.1.5" not in replies
    assert any(end in replies for end in (b"421 4.7.0", b"554 5.5.0", b"221 2.0.0"))


def test_a_header_does_not_count_twice(relay):
    with through(relay, v1(OTHER)) as client:
        client.expect(220)
        assert client.command(v1(FRIEND).strip(), 421).status == "4.7.0"


def test_tls_begins_behind_the_header(start_relay, server, tmp_path):
    leaf = Authority(tmp_path / "ca").issue("relay.test")
    relay = start_relay(start=False, send=[smart_host(server)], receive=NETWORKS | {
        "proxy_protocol_networks": [PROXY], "tls": "implicit", "tls_certificate": leaf.certificate,
        "tls_key": leaf.key})
    relay.spawn()
    wait_until(relay.is_ready, 20)
    for header in (v1(FRIEND), v2(FRIEND)):
        with SmtpClient(("127.0.0.1", relay.port), source=PROXY) as client:
            client.send(header)
            client.secure(name="relay.test")
            client.expect(220)
            client.hello()
            message_id = client.transaction(SENDER, [RECIPIENT], SIMPLE)
        event = relay.log.wait_for(event="accepted", id=message_id)
        assert event["address"] == f"{FRIEND}:4660" and event["tls"]


def test_limits_are_for_the_client_behind_the_proxy(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive=NETWORKS | {
        "proxy_protocol_networks": [PROXY], "max_connections_per_client": 2})
    with through(relay, v1(FRIEND)) as a, through(relay, v1(FRIEND)) as b, through(relay, v1(OTHER)) as c:
        for client in (a, b, c):
            client.expect(220)
        with through(relay, v1(FRIEND)) as one_too_many:
            assert one_too_many.reply().status == "4.7.0"
        a.close()
        wait_until(lambda: relay.metric("sluice_smtp_connections", direction="in") == 2, 10)
        with through(relay, v1(FRIEND)) as again:
            again.expect(220)


# XCLIENT


def test_xclient_is_offered_to_those_who_may_only(relay):
    with SmtpClient(("127.0.0.1", relay.port), source="127.0.0.30") as proxy:
        proxy.expect(220)
        assert "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT" in proxy.hello().lines
    with SmtpClient(("127.0.0.1", relay.port), source=STRANGER) as stranger:
        stranger.expect(220)
        assert "XCLIENT" not in stranger.hello().text
        assert stranger.command(f"XCLIENT ADDR={FRIEND}", 550).status == "5.7.0"
        assert rcpt(stranger).status == "5.7.1"


def test_xclient_as_nginx_sends_it(relay, shared_server):
    with SmtpClient(("127.0.0.1", relay.port), source="127.0.0.30") as proxy:
        proxy.expect(220)
        proxy.command("EHLO nginx.test", 250)
        assert proxy.command(f"XCLIENT PROTO=ESMTP ADDR={FRIEND} NAME=app.example HELO=app PORT=77", 220)
        proxy.command("EHLO app", 250)
        message_id = proxy.transaction(SENDER, [RECIPIENT], SIMPLE)
        # The next client of the same connection.
        proxy.command(f"XCLIENT ADDR={OTHER} NAME=[UNAVAILABLE]", 220)
        assert proxy.command(f"MAIL FROM:{SENDER}").code == 503
        assert rcpt(proxy).status == "5.7.1"
    event = relay.log.wait_for(event="accepted", id=message_id)
    assert event["address"] == f"{FRIEND}:77"
    wait_until(lambda: any(message_id in m.header("Received") for m in shared_server.messages), 10)
    received = next(m.header("Received") for m in shared_server.messages if message_id in m.header("Received"))
    assert received.startswith(f"from app (app.example [{FRIEND}])")


def test_xclient_behind_a_proxy_header(relay):
    """The header's client is a proxy itself, and is listed."""
    with through(relay, v1(FRIEND)) as client:
        client.expect(220)
        assert "XCLIENT" in client.hello().text
        client.command(f"XCLIENT ADDR={OTHER}", 220)
        assert rcpt(client).status == "5.7.1"


@pytest.mark.parametrize("line,code", [
    ("XCLIENT", 501), ("XCLIENT ADDR", 501), ("XCLIENT ADDR=host.test", 501), ("XCLIENT ADDR=2001:db8::1", 501),
    ("XCLIENT HELO=a+0D+0Ab", 501), ("XCLIENT COLOUR=red", 501), ("XCLIENT PORT=99999", 501),
    ("XCLIENT NAME=a NAME=b", 501), ("XCLIENT ADDR=IPV6:2001:db8::1", 220), ("XCLIENT ADDR=[UNAVAILABLE]", 220),
    ("XCLIENT NAME=[TEMPUNAVAIL] HELO=x+2By", 220), ("xclient addr=192.0.2.7", 220)])
def test_xclient_line_by_line(relay, line, code):
    with SmtpClient(("127.0.0.1", relay.port), source="127.0.0.30") as proxy:
        proxy.expect(220)
        proxy.hello()
        proxy.command(line, code)
        proxy.command("NOOP", 250)


def test_xclient_waits_for_the_end_of_a_transaction(relay):
    with SmtpClient(("127.0.0.1", relay.port), source="127.0.0.30") as proxy:
        proxy.expect(220)
        proxy.hello()
        proxy.command(f"MAIL FROM:{SENDER}", 250)
        proxy.command(f"XCLIENT ADDR={FRIEND}", 503)
        proxy.command("RSET", 250)
        proxy.command(f"XCLIENT ADDR={FRIEND}", 220)
        assert rcpt(proxy).code == 250


def test_xclient_tells_who_logged_in(relay):
    with SmtpClient(("127.0.0.1", relay.port), source="127.0.0.30") as proxy:
        proxy.expect(220)
        proxy.command(f"XCLIENT ADDR={OTHER} LOGIN=ann HELO=app.test", 220)
        proxy.command(f"MAIL FROM:{SENDER}", 250)
        proxy.command(f"RCPT TO:{RECIPIENT}", 250)
        proxy.command("DATA", 354)
        proxy.send(stuff(SIMPLE))
        message_id = queue_id(proxy.expect(250))
    assert relay.log.wait_for(event="accepted", id=message_id)["user"] == "ann"
