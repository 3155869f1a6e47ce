"""The open-relay battery: one list of addresses, tricks and all, from every kind of client. Those who may not relay get
none of it taken; those who may get just what is well formed, delivered to the domain that is written."""
import contextlib
import hashlib
import ssl

import pytest

from support.certificates import Authority
from support.mail import SIMPLE
from support.relay import smart_host
from support.scripted_server import ScriptedServer
from support.smtp_client import SmtpClient, any_certificate
from support.users import PASSWORD, passwd, plain
from support.waiting import stays

pytestmark = pytest.mark.sanitized

FRIEND, STRANGER = "127.0.0.50", "127.0.0.66"
PROXY, XCLIENT = "127.0.0.20", "127.0.0.30"
FAR = "203.0.113.9"  # a client behind a proxy that may not relay

SENDERS = ["<a@here.test>", "<>", "<postmaster@relay.test>", "<root@localhost>", '<"a@out.test"@here.test>']
TAKEN = [  # by whoever may relay: well formed, and for the domain behind the last "@"
    "<u@out.test>", "<u%out.test@hub.test>", "<out.test!u@hub.test>", '<"u@out.test"@hub.test>', "<u%out.test%x.test@hub.test>",
    "<U@OUT.TEST>", '<"u"@out.test>', '<"u v"@out.test>', "<u+x@out.test>", "<a!b!c@out.test>", "<u@[127.0.9.9]>",
    "<u@[IPv6:2001:db8::9]>", "<u@localhost>", "<u@relay.test>", "<u@xn--gre-6ka8i.test>", "<|/bin/sh@hub.test>",
    "<:include:/etc/passwd@hub.test>".replace(":include:", "include=")]
MALFORMED = [  # by nobody
    "<@relay.test:u@out.test>", "<@relay.test,@x.test:u@out.test>", "<u@out.test@relay.test>", "<u@[out.test]>",
    "<u@[127.0.0.1]@out.test>", "<u@[127.0.0.256]>", "<u@[IPv6:zz::1]>", "<u@[::1]>", "<u@out..test>", "<u@>",
    "<@out.test>", '<"u@out.test>', '<"u@out.test">', "<u v@out.test>", "<<u@out.test>>", "<u@out.test", "<u@out.test;relay.test>",
    "<u@relay.test,u@out.test>", "<:include:/etc/passwd@hub.test>", "<u(c)@out.test>", "<u%[127.0.0.1]@hub.test>", "<u@out.test>x"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.issue("relay.test")


@pytest.fixture(scope="module")
def pinned(tmp_path_factory):
    """A client's certificate that no authority of ours has signed."""
    return Authority(tmp_path_factory.mktemp("other-ca")).issue("app.test")


def fingerprint(certificate):
    pem = open(certificate.certificate, encoding="ascii").read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


@pytest.fixture(scope="module")
def sink():
    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="module")
def relay(start_shared_relay, sink, leaf, pinned, tmp_path_factory):
    users = tmp_path_factory.mktemp("users") / "users"
    users.write_text(passwd("ann"))
    users.chmod(0o600)
    return start_shared_relay(send=[smart_host(sink)], receive={
        "relay_networks": [FRIEND, PROXY, XCLIENT], "max_errors": 1000, "tls": "starttls", "tls_certificate": leaf.certificate,
        "tls_key": leaf.key, "tls_client_fingerprints": [fingerprint(pinned)], "users_file": str(users),
        "auth_failure_delay": "0s", "proxy_protocol_networks": [PROXY], "xclient_networks": [XCLIENT]})


@contextlib.contextmanager
def client_from(relay, source, header=b""):
    with SmtpClient(("127.0.0.1", relay.port), source=source) as client:
        if header:
            client.send(header)
        client.expect(220)
        client.hello()
        yield client


def by_proxy(address):
    return f"PROXY TCP4 {address} 127.0.0.1 4660 25\r\n".encode()


def with_certificate(client, certificate):
    context = any_certificate()
    if certificate:
        context.load_cert_chain(certificate.certificate, certificate.key)
    client.starttls(context, "relay.test")
    client.hello()


# Who may


@contextlib.contextmanager
def friend(way, relay, pinned):
    if way == "network":
        with client_from(relay, FRIEND) as client:
            yield client
    elif way == "proxy":
        with client_from(relay, PROXY, by_proxy(FRIEND)) as client:
            yield client
    elif way.startswith("xclient"):
        with client_from(relay, XCLIENT) as client:
            client.command(f"XCLIENT ADDR={FRIEND}" if way == "xclient" else f"XCLIENT ADDR={FAR} LOGIN=ann", 220)
            client.hello()
            yield client
    else:
        with client_from(relay, STRANGER) as client:
            with_certificate(client, pinned if way == "certificate" else None)
            if way == "auth":
                client.command("AUTH PLAIN " + plain("ann", PASSWORD), 235)
            yield client


FRIENDS = ["network", "auth", "certificate", "proxy", "xclient", "xclient-login"]


@pytest.mark.parametrize("way", FRIENDS)
def test_who_may_relay_may_send_anywhere_and_gets_no_address_taken_apart(relay, pinned, way):
    with friend(way, relay, pinned) as client:
        for sender in SENDERS:
            client.command(f"MAIL FROM:{sender}", 250)
            for recipient in TAKEN:
                assert client.command(f"RCPT TO:{recipient}").code == 250, recipient
            for recipient in MALFORMED:
                assert client.command(f"RCPT TO:{recipient}").code in (501, 553), recipient
            client.command("RSET", 250)


@pytest.mark.parametrize("recipient", [r for r in TAKEN if "hub.test" in r])
def test_mail_goes_to_the_domain_that_is_written(relay, sink, pinned, recipient):
    with friend("network", relay, pinned) as client:
        message_id = client.transaction("<a@here.test>", [recipient], SIMPLE)
    relay.log.wait_for(event="delivered", id=message_id)
    assert sink.messages[-1].paths == [recipient]


# Who may not


@contextlib.contextmanager
def stranger(way, relay, leaf):
    if way == "plain":
        with client_from(relay, STRANGER) as client:
            yield client
    elif way == "proxy":
        with client_from(relay, PROXY, by_proxy(FAR)) as client:
            yield client
    elif way == "health-check":
        with client_from(relay, PROXY, b"PROXY UNKNOWN\r\n") as client:
            yield client
    elif way.startswith("xclient"):
        with client_from(relay, XCLIENT) as client:
            client.command(f"XCLIENT ADDR={'[UNAVAILABLE]' if way == 'xclient-unknown' else FAR}", 220)
            client.hello()
            if way == "xclient-nobody":
                client.command(f"XCLIENT ADDR={FAR} LOGIN=nobody", 535)
                client.hello()
            yield client
    elif way == "forged-xclient":
        with client_from(relay, STRANGER) as client:
            client.command(f"XCLIENT ADDR={FRIEND} LOGIN=ann", 550)
            yield client
    else:
        with client_from(relay, STRANGER) as client:
            with_certificate(client, leaf if way == "certificate" else None)
            if way == "wrong-password":
                client.command("AUTH PLAIN " + plain("ann", "wrong"), 535)
            yield client


STRANGERS = ["plain", "tls", "wrong-password", "certificate", "proxy", "health-check", "xclient", "xclient-unknown",
             "xclient-nobody", "forged-xclient"]


@pytest.mark.parametrize("way", STRANGERS)
def test_who_may_not_relay_gets_nothing_taken(relay, sink, leaf, way):
    before = len(sink.sessions)
    with stranger(way, relay, leaf) as client:
        for sender in SENDERS:
            client.command(f"MAIL FROM:{sender}", 250)
            for recipient in TAKEN:
                reply = client.command(f"RCPT TO:{recipient}")
                assert (reply.code, reply.status) == (550, "5.7.1"), recipient
            for recipient in MALFORMED:
                assert client.command(f"RCPT TO:{recipient}").code in (501, 550, 553), recipient
            assert client.command("DATA").code in (503, 554)
            client.command("RSET", 250)
    assert stays(lambda: len(sink.sessions) == before, 0.1)


@pytest.mark.parametrize("header", [by_proxy(FRIEND), by_proxy("127.0.0.1"), b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\x7f\0\0\x32" * 3])
def test_who_forges_a_proxy_header_is_sent_away(relay, sink, header):
    before = len(sink.sessions)
    with SmtpClient(("127.0.0.1", relay.port), source=STRANGER) as client:
        client.send(header + b"EHLO a.test\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<u@out.test>\r\nDATA\r\nx\r\n.\r\n")
        replies = client.rest(10)
    assert b"250 2.1.5" not in replies and b"354" not in replies and b"Queued" not in replies
    assert len(sink.sessions) == before
