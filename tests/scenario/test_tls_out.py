"""TLS towards destinations: used where it is offered, demanded where it is required, and never left for plaintext where
the policy forbids that (TL6, TL7, HS12)."""
import ssl

import pytest

from support.certificates import Authority
from support.fake_dns import FakeDns
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import by_mx, smart_host
from support.scripted_server import Close, Hang, Say, ScriptedServer
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def good(authority):
    """A certificate for the address that scripted servers listen on, and for a name."""
    return authority.issue("mx.there.test", ["DNS:mx.there.test", "IP:127.0.1.1"])


@pytest.fixture
def secure(good):
    """A destination that offers STARTTLS."""
    with ScriptedServer(tls=good.server_context()) as server:
        yield server


# Not in one segment with the reply to STARTTLS: then it would be an injection (below).
GARBAGE = Say(b"\x15garbage that is no TLS\r\n", after=0.3)


def out(server, tls, **more):
    return [smart_host(server, tls=tls, **more)]


def zone_for(server, *domains):
    """Domains whose mail goes to mx.there.test, which is the server."""
    zone = {domain: {"MX": ["10 mx.there.test"]} for domain in domains}
    return FakeDns(zone | {"mx.there.test": {"A": [server.address]}})


def mails(server, clear_only=False):
    return [c for s in server.sessions for c in s.commands
            if c.line.upper().startswith("MAIL") and not (clear_only and c.tls)]


def test_mail_leaves_under_tls_where_it_is_offered(start_relay, secure):
    relay = start_relay(send=out(secure, "opportunistic"), top={"shards": 1})
    for _ in range(3):
        message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        assert relay.log.wait_for(event="delivered", id=message_id)["tls"] == "TLSv1.3"
    assert len(secure.sessions) == 1, "a connection under TLS is used again like any other"
    lines = secure.sessions[0].lines()
    assert [line.split()[0] for line in lines[:4]] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
    assert not mails(secure, clear_only=True)
    assert relay.metric("sluice_tls_sessions_total", direction="out", version="TLSv1.3") == 1


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_sessions_are_resumed_by_later_connections(start_relay, good, version):
    context = good.server_context()
    context.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    with ScriptedServer(tls=context) as server:
        relay = start_relay(send=out(server, "opportunistic", max_messages_per_connection=1), top={"shards": 1})
        for n in range(4):
            relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
            server.wait_messages(n + 1)
        assert [s.tls for s in server.sessions] == [version] * 4
        assert [s.tls_resumed for s in server.sessions] == [False, True, True, True]
        wait_until(lambda: relay.metric("sluice_tls_sessions_total", direction="out", version=version,
                                        resumed="true") == 3, 5)


def test_large_mail_under_tls(start_relay, secure):
    relay = start_relay(send=out(secure, "required"))
    body = b"Subject: large\r\n\r\n" + b"".join(b"%07d %s\r\n" % (n, b"y" * 60) for n in range(150_000))
    relay.deliver_in(SENDER, [RECIPIENT], body)
    assert secure.wait_messages(1, timeout=60)[0].content.endswith(body[-1000:])


def test_mail_goes_in_clear_where_tls_is_not_offered(start_relay, server):
    relay = start_relay(send=out(server, "opportunistic"))
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert "tls" not in relay.log.wait_for(event="delivered", id=message_id)


def test_off_means_off(start_relay, secure):
    relay = start_relay(send=out(secure, "off"))
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    secure.wait_messages(1)
    assert not any("STARTTLS" in s.lines() for s in secure.sessions)


# TL6

def test_any_certificate_will_do_when_opportunistic(start_relay, tmp_path):
    strange = Authority(tmp_path, "Strange CA").issue("elsewhere.test", key="rsa:2048", begin=-9, end=-2)
    with ScriptedServer(tls=strange.server_context()) as server:
        relay = start_relay(send=out(server, "opportunistic"))
        message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        assert relay.log.wait_for(event="delivered", id=message_id)["tls"].startswith("TLSv1")


@pytest.mark.parametrize("how", ["garbage", "close", "hang"])
def test_a_failed_handshake_is_tried_again_in_clear(start_relay, secure, how):
    secure.on("handshake", {"garbage": GARBAGE, "close": Close(), "hang": Hang()}[how])
    relay = start_relay(send=out(secure, "opportunistic", connect_timeout="1s"), top={"shards": 1})
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert "tls" not in relay.log.wait_for(event="delivered", id=message_id)
    assert relay.log.wait_for(event="tls_fallback")["mx"] == "127.0.1.1"
    assert len(secure.sessions) == 2, "in clear on a new connection"
    assert "STARTTLS" not in secure.sessions[1].lines()
    secure.hang_up()
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    secure.wait_messages(2)
    assert not any("STARTTLS" in s.lines() for s in secure.sessions[1:]), "it is remembered"


@pytest.mark.parametrize("how", ["garbage", "close", "not offered", "454"])
def test_required_tls_never_falls_back(start_relay, secure, how):
    if how == "not offered":
        secure.on("ehlo", "250 sink.test\nPIPELINING")
    elif how == "454":
        secure.on("starttls", "454 4.7.0 not today")
    else:
        secure.on("handshake", {"garbage": GARBAGE, "close": Close()}[how])
    relay = start_relay(send=out(secure, "required"))
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    event = relay.log.wait_for(event="deferred", id=message_id)
    assert event["status"] == ("4.7.4" if how in ("not offered", "454") else "4.7.5"), event
    assert not mails(secure)
    secure.forget()
    assert relay.log.wait_for(event="delivered", id=message_id, timeout=20)["tls"] == "TLSv1.3"


# TL7

def test_a_verified_name(start_relay, secure, authority):
    relay = start_relay(send=out(secure, "verify", tls_ca_file=authority.file))
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert relay.log.wait_for(event="delivered", id=message_id)["tls"] == "TLSv1.3"


BAD = {
    "expired": dict(begin=-9, end=-2),
    "future": dict(begin=5, end=9),
    "wrong name": dict(names=["DNS:elsewhere.test"]),
    "common name only": dict(names=[]),
    "two-level wildcard": dict(names=["DNS:*.test"]),
    "short key": dict(key="rsa:1024"),
    "self-signed": None,
}


@pytest.mark.parametrize("fault", BAD)
def test_a_certificate_that_is_not_to_be_trusted(start_relay, authority, tmp_path, fault):
    if BAD[fault] is None:
        certificate = Authority(tmp_path, "Strange CA").issue("mx.there.test")
    else:
        certificate = authority.issue("mx.there.test", **BAD[fault])
    with ScriptedServer(tls=certificate.server_context()) as server, zone_for(server, "there.test") as dns:
        relay = start_relay(send=[by_mx(server.port, tls="verify", tls_ca_file=authority.file)],
                            dns={"servers": [dns.address]})
        message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        event = relay.log.wait_for(event="deferred", id=message_id)
        assert event["status"] == "4.7.5" and "certificate" in event["reply"], event
        assert not mails(server)


def test_a_destination_may_demand_more(start_relay, authority, good):
    """[[destination]] tls over the connector's, for a domain that shares its host with another."""
    strange = authority.issue("other.test")
    with ScriptedServer(tls=strange.server_context()) as server, \
            zone_for(server, "there.test", "strict.test") as dns:
        relay = start_relay(send=[by_mx(server.port, tls="opportunistic", tls_ca_file=authority.file)],
                            dns={"servers": [dns.address]},
                            extra={"destination": [{"match": ["strict.test"], "tls": "verify"}]})
        lax = relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
        strict = relay.deliver_in(SENDER, ["<a@strict.test>"], SIMPLE)
        assert relay.log.wait_for(event="delivered", id=lax)["tls"]
        assert relay.log.wait_for(event="deferred", id=strict)["status"] == "4.7.5"
        assert all("strict.test" not in path for m in server.messages for path in m.paths)


# HS12

def test_plaintext_behind_the_reply_to_starttls(start_relay, secure):
    """Injected in clear, to be taken for the answer to EHLO under TLS: the connection is left."""
    secure.on("starttls", Say(b"220 2.0.0 go\r\n250-evil.test\r\n250 AUTH PLAIN\r\n"), times=1)
    relay = start_relay(send=out(secure, "opportunistic"))
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert relay.log.wait_for(event="deferred", id=message_id)["status"] == "4.7.5"
    assert relay.log.wait_for(event="delivered", id=message_id, timeout=20)["tls"] == "TLSv1.3"
    assert not [c for c in secure.sessions[0].commands if c.line.startswith("MAIL")]


def test_what_was_offered_in_clear_is_forgotten(start_relay, secure):
    """PIPELINING and SIZE in clear, nothing under TLS: nothing of it is used."""
    secure.on("ehlo", "250 sink.test\nSTARTTLS\nPIPELINING\nSIZE 1\nDSN", times=1)
    secure.on("ehlo", "250 sink.test")
    relay = start_relay(send=out(secure, "opportunistic"))
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE, rcpt="NOTIFY=FAILURE")
    secure.wait_messages(1)
    under_tls = [c for c in secure.sessions[0].commands if c.tls]
    assert [c.line.split()[0] for c in under_tls[:4]] == ["EHLO", "MAIL", "RCPT", "DATA"]
    assert len({c.batch for c in under_tls[:4]}) == 4, "not pipelined"
    assert "SIZE" not in under_tls[1].line and "NOTIFY" not in under_tls[2].line


def test_a_smart_hosts_port_465_speaks_tls_at_once(start_relay, good, authority):
    try:
        server = ScriptedServer(port=465, tls=good.server_context(), implicit=True)
    except OSError:
        pytest.skip("port 465 cannot be had")
    with server:
        relay = start_relay(send=out(server, "verify", tls_ca_file=authority.file))
        message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        assert relay.log.wait_for(event="delivered", id=message_id)["tls"] == "TLSv1.3"
        assert "STARTTLS" not in server.sessions[0].lines()


def test_two_relays_speak_tls_with_each_other(start_relay, server, authority):
    leaf = authority.issue("relay.test", ["IP:127.0.0.1"])
    second = start_relay(send=[smart_host(server)], receive={
        "tls": "starttls-required", "tls_certificate": leaf.certificate, "tls_key": leaf.key})
    first = start_relay(top={"hostname": "first.test"}, send=[
        smart_host(server, smart_hosts=[f"127.0.0.1:{second.port}"], tls="verify", tls_ca_file=authority.file)])
    message_id = first.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert first.log.wait_for(event="delivered", id=message_id)["tls"] == "TLSv1.3"
    server.wait_messages(1)
