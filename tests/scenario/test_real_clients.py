"""Programs that people use speak to it, and it to them: swaks, msmtp, smtplib, aiosmtpd, Postfix, Exim, OpenSMTPD;
with pipelining and without, and in the SMTP of before ESMTP."""
import shutil
import smtplib
import subprocess

import pytest

from support import peers
from support.certificates import Authority
from support.mail import SENDER, corpus, without_trace, without_traces
from support.ports import free_port
from support.relay import smart_host
from support.waiting import wait_until

SEND = [("swaks", "swaks"), ("msmtp", "msmtp"), ("smtplib", None)]


def send_with(program, relay, recipient, content, folder):
    if program == "swaks":
        path = folder / "message"
        path.write_bytes(content)
        # swaks takes a file of LF or CRLF lines, and needs to be told that its text is whole.
        subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(relay.port), "--from", "sender@here.test", "--to",
                        recipient, "--data", f"@{path}", "--silent", "1"], check=True, timeout=30)
    elif program == "msmtp":
        subprocess.run(["msmtp", "--host=127.0.0.1", f"--port={relay.port}", "--from=sender@here.test", "--auth=off",
                        "--tls=off", "--file=/dev/null", recipient], input=content.replace(b"\r\n", b"\n"), check=True,
                       timeout=30)
    else:
        with smtplib.SMTP("127.0.0.1", relay.port, timeout=30) as client:
            assert client.sendmail("sender@here.test", [recipient], content) == {}


@pytest.mark.parametrize("program,needs", SEND, ids=[p for p, _ in SEND])
def test_a_client_that_people_use(start_relay, server, tmp_path, program, needs):
    if needs and not shutil.which(needs):
        pytest.skip(f"{needs} is not installed")
    relay = start_relay(send=[smart_host(server)])
    sent = dict(corpus())
    for name, content in sent.items():
        if program == "swaks" and name in ("spaces", "no_body"):
            continue  # it trims what it is given
        send_with(program, relay, f"{name}@there.test", content, tmp_path)
    expected = len(sent) - (2 if program == "swaks" else 0)
    for message in server.wait_messages(expected):
        name = message.paths[0][1:].split("@")[0]
        got, wanted = without_trace(message.content), sent[name]
        if program == "swaks":
            got, wanted = got.rstrip(b"\r\n"), wanted.rstrip(b"\r\n")  # it adds an empty line
        assert got == wanted, name


def test_a_server_that_people_use(start_relay, tmp_path):
    """aiosmtpd as destination."""
    controller = pytest.importorskip("aiosmtpd.controller")
    got = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            got.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
            return "250 2.0.0 taken"
    server = controller.Controller(Handler(), hostname="127.0.1.1", port=free_port(), enable_SMTPUTF8=True)
    server.start()
    try:
        server.address = "127.0.1.1"
        relay = start_relay(send=[smart_host(server)])
        sent = dict(corpus())
        for name, content in sent.items():
            relay.deliver_in(SENDER, [f"<{name}@there.test>"], content)
        wait_until(lambda: len(got) == len(sent), what="all arrived")
        for sender, recipients, content in got:
            assert sender == "sender@here.test"
            assert without_trace(content) == sent[recipients[0].split("@")[0]]
    finally:
        server.stop()


@pytest.fixture(scope="module")
def peer_root():
    return peers.unpack()


# OpenSMTPD pipelines never.
RELAYS = [(kind, pipelining) for kind in peers.KINDS for pipelining in (True, False) if kind != "opensmtpd" or pipelining]
of_relays = pytest.mark.parametrize("kind,pipelining", RELAYS, ids=[f"{k}{'' if p else '-plain'}" for k, p in RELAYS])


@pytest.mark.alone
@of_relays
def test_a_relay_that_people_use_behind_us(start_relay, server, tmp_path, peer_root, kind, pipelining):
    """sluice -> peer -> sink: the content arrives as it was, but for the trace fields."""
    peer = peers.make(kind, peer_root, tmp_path / "peer", next_hop=server, pipelining=pipelining)
    with peer:
        relay = start_relay(send=[smart_host(peer)])
        for name, content in corpus():
            relay.deliver_in(SENDER, [f"<{name}@there.test>"], content)
        compare_contents(server, dict(corpus()), hops=2, kind=kind)
        relay.drain()


@pytest.mark.alone
@of_relays
def test_a_relay_that_people_use_in_front_of_us(start_relay, server, tmp_path, peer_root, kind, pipelining):
    """client -> peer -> sluice -> sink."""
    relay = start_relay(send=[smart_host(server)])
    relay.address = "127.0.0.1"
    with peers.make(kind, peer_root, tmp_path / "peer", next_hop=relay, pipelining=pipelining) as peer:
        with smtplib.SMTP(peer.address, peer.port, timeout=30) as client:
            for name, content in corpus():
                client.sendmail("sender@here.test", [f"{name}@there.test"], content)
        compare_contents(server, dict(corpus()), hops=2, kind=kind)


# OpenSMTPD, unpacked as it is here, ends every client's handshake with an internal error.
@pytest.mark.alone
@pytest.mark.parametrize("kind", ["postfix", "exim"])
def test_a_relay_that_people_use_behind_us_under_tls(start_relay, server, tmp_path, peer_root, kind):
    """Postfix with OpenSSL, Exim with GnuTLS; verified, with an RSA key."""
    authority = Authority(tmp_path)
    leaf = authority.issue("peer.test", ["IP:127.0.0.1"], key="rsa:2048")
    with peers.make(kind, peer_root, tmp_path / "peer", next_hop=end_of(server, authority), tls=leaf) as peer:
        relay = start_relay(send=[smart_host(peer, tls="verify", tls_ca_file=authority.file)])
        for name, content in corpus():
            message_id = relay.deliver_in(SENDER, [f"<{name}@there.test>"], content)
            assert relay.log.wait_for(event="delivered", id=message_id)["tls"] == "TLSv1.3"
        compare_contents(server, dict(corpus()), hops=2, kind=kind)


@pytest.mark.alone
@pytest.mark.parametrize("kind", peers.KINDS)
def test_a_relay_that_people_use_in_front_of_us_under_tls(start_relay, server, tmp_path, peer_root, kind):
    leaf = Authority(tmp_path).issue("relay.test", ["DNS:relay.test", "IP:127.0.0.1"])
    relay = start_relay(send=[smart_host(server)], receive={
        "tls": "starttls-required", "tls_certificate": leaf.certificate, "tls_key": leaf.key})
    relay.address = "127.0.0.1"
    with peers.make(kind, peer_root, tmp_path / "peer", next_hop=relay, tls=leaf) as peer:
        with smtplib.SMTP(peer.address, peer.port, timeout=30) as client:
            for name, content in corpus():
                client.sendmail("sender@here.test", [f"{name}@there.test"], content)
        compare_contents(server, dict(corpus()), hops=2, kind=kind)
    assert all(event["tls"] == "TLSv1.3" for event in relay.log.find(event="accepted"))


def end_of(server, authority):
    """The same sink, which now offers TLS: the peer demands it of its next hop."""
    server.tls = authority.issue("sink.test", [f"IP:{server.address}"]).server_context()
    return server


def compare_contents(server, sent, hops, kind):
    """Each once, as it was."""
    delivered = server.wait_messages(len(sent), 60)
    assert sorted(m.paths[0][1:].split("@")[0] for m in delivered) == sorted(sent)
    for message in delivered:
        name = message.paths[0][1:].split("@")[0]
        assert without_traces(message.content, hops) == sent[name], (kind, name)


@pytest.mark.alone
def test_a_relay_that_says_helo(start_relay, server, tmp_path, peer_root):
    """Postfix in the SMTP of before ESMTP."""
    relay = start_relay(send=[smart_host(server)])
    relay.address = "127.0.0.1"
    with peers.make("postfix", peer_root, tmp_path / "peer", next_hop=relay, esmtp=False) as peer:
        with smtplib.SMTP(peer.address, peer.port, timeout=30) as client:
            client.sendmail("sender@here.test", ["plain@there.test"], dict(corpus())["plain"])
        message = server.wait_messages(1)[0]
    assert "with SMTP id" in message.header("Received"), message.header("Received")
    assert without_traces(message.content, 2) == dict(corpus())["plain"]


def test_a_client_that_says_helo(start_relay, server):
    if not shutil.which("swaks"):
        pytest.skip("swaks is not installed")
    relay = start_relay(send=[smart_host(server)])
    subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(relay.port), "--from", "sender@here.test", "--to",
                    "a@there.test", "--protocol", "SMTP", "--silent", "1"], check=True, timeout=30)
    assert "with SMTP id" in server.wait_messages(1)[0].header("Received")


def test_a_server_that_knows_helo_only(start_relay):
    """aiosmtpd without EHLO: 7-bit mail passes byte for byte, and 8-bit mail is reported to its sender, never sent raw."""
    controller = pytest.importorskip("aiosmtpd.controller")
    smtp = pytest.importorskip("aiosmtpd.smtp")
    got = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            got.append((list(envelope.rcpt_tos), envelope.original_content))
            return "250 taken"

    class Old(smtp.SMTP):
        async def smtp_EHLO(self, hostname):
            await self.push("500 what?")

    class OldController(controller.Controller):
        def factory(self):
            return Old(self.handler)
    server = OldController(Handler(), hostname="127.0.1.1", port=free_port())
    server.start()
    try:
        server.address = "127.0.1.1"
        relay = start_relay(send=[smart_host(server)])
        sent = dict(corpus())
        for name, content in sent.items():
            relay.deliver_in(SENDER, [f"<{name}@there.test>"], content)
        bounced = relay.log.wait_for(event="bounced")
        assert (bounced["recipient"], bounced["status"]) == ("eight_bit@there.test", "5.6.3")
        relay.drain()
        arrived = {paths[0].split("@")[0]: content for paths, content in got}
        assert arrived.keys() == sent.keys() - {"eight_bit"} | {"sender"}
        for name in sent.keys() - {"eight_bit"}:
            assert without_trace(arrived[name]) == sent[name], name
    finally:
        server.stop()
