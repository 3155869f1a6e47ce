"""A stranger gets nothing relayed, however the address is written (AR1), and nothing that is refused is ever bounced
later (AR9)."""
import pytest

from support.load import Load
from support.mail import RECIPIENT, SENDER, SIMPLE, report_of
from support.relay import smart_host
from support.scripted_server import ScriptedServer
from support.smtp_client import SmtpClient
from support.waiting import stays

pytestmark = pytest.mark.sanitized
STRANGER = "127.0.0.66"

SENDERS = ["<a@here.test>", "<>", "<a@relay.test>", "<postmaster@relay.test>", "<@relay.test:a@here.test>"]
RECIPIENTS = [
    b"<u@out.test>", b"<u%out.test@relay.test>", b"<out.test!u@relay.test>", b"<u%out.test@[127.0.0.1]>",
    b'<"u@out.test">', b'<"u@out.test"@relay.test>', b"<u@out.test@relay.test>", b"<@relay.test:u@out.test>",
    b"<@relay.test,@x.test:u@out.test>", b"<u@out.test.>", b"<u@[out.test]>", b"<U@OUT.TEST>", b"<u@OuT.tEsT>",
    b"<u@out.test\t>", b"< u@out.test>", b"<u@out.test >", b"<u\0@out.test>", b"<u@out.test\0>", b"<\xfc@out.test>",
    "<grüße@out.test>".encode(), "<u@grüße.test>".encode(), b"<u@xn--gre-6ka8i.test>", b"u@out.test", b"<<u@out.test>>",
    b"<u@[127.0.1.1]>", b"<u@[IPv6:::1]>", b"<u@127.0.1.1>", b"<u@2130706433>", b"<u@localhost>", b'<"u"@out.test>',
    b'<u."v"@out.test>', b"<u@relay.test>", b"<u>", b"<u%out.test>", b"<u@>", b"<@out.test>", b"<u@out.test>\0",
    b"<u+x@out.test>", b"<u(comment)@out.test>", b"<u@out.test;relay.test>", b"<u@relay.test,u@out.test>",
    b"<|/bin/sh@relay.test>", b"</etc/passwd>", b"<:include:/etc/passwd@relay.test>", b"<u@out.test> NOTIFY=NEVER"]


@pytest.fixture(scope="module")
def sink():
    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="module")
def relay(start_shared_relay, sink):
    return start_shared_relay(send=[smart_host(sink)], receive={"relay_networks": ["127.0.0.1/32"], "max_errors": 1000})


@pytest.mark.parametrize("sender", SENDERS)
def test_a_stranger_relays_nothing(relay, sink, sender):
    """AR1: all refused at RCPT, and no destination sees a connection."""
    with SmtpClient(("127.0.0.1", relay.port), source=STRANGER) as client:
        client.expect(220)
        client.hello()
        reply = client.command(f"MAIL FROM:{sender} SMTPUTF8")
        if reply.code != 250:
            assert reply.code // 100 == 5
            return
        for recipient in RECIPIENTS:
            reply = client.command(b"RCPT TO:" + recipient)
            assert reply.code // 100 == 5, (recipient, reply)
            assert reply.status and reply.status.startswith("5."), (recipient, reply)
        assert client.command(f"RCPT TO:{RECIPIENT}").status == "5.7.1"
        assert client.command("RCPT TO:<postmaster>").code in (250, 550)
        client.command("RSET", 250)
        client.command(f"MAIL FROM:{sender}", 250)
        client.command("RCPT TO:<u@out.test>", 550)
        assert client.command("DATA").code in (503, 554)
    assert stays(lambda: not sink.sessions, 0.2)


@pytest.mark.parametrize("recipient", [r for r in RECIPIENTS if any(
    mark in r for mark in (b"%", b"!", b"@relay.test:", b"@relay.test,@", b'"u@out'))], ids=repr)
def test_tricks_are_no_way_round_for_friends_either(relay, sink, recipient):
    """Nobody's address is taken apart: it is refused, or goes to the domain that is written."""
    with relay.smtp() as client:
        client.hello()
        client.command("MAIL FROM:<a@here.test>", 250)
        reply = client.command(b"RCPT TO:" + recipient)
        assert reply.code in (250, 501, 550, 553), reply
        client.command("RSET", 250)


def test_a_stranger_is_told_so_in_the_log_and_counted(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"relay_networks": ["127.0.0.1/32"]})
    with SmtpClient(("127.0.0.1", relay.port), source=STRANGER) as client:
        client.expect(220)
        client.hello()
        client.command("MAIL FROM:<a@here.test>", 250)
        assert client.command("RCPT TO:<u@out.test>", 550).status == "5.7.1"
    refused = relay.log.wait_for(event="refused")
    assert refused["recipient"] == "u@out.test" and refused["code"] == 550 and STRANGER in refused["address"]
    assert relay.metric("sluice_messages_refused_total", status="5.7.1") == 1


def test_an_open_relay_does_not_start_unless_it_says_so(start_relay, server):
    relay = start_relay(start=False, send=[smart_host(server)], receive={"relay_networks": ["0.0.0.0/0"]})
    relay.config["receive"][0]["listen"] = [f"0.0.0.0:{relay.port}"]
    relay.spawn()
    assert relay.wait(10) != 0
    assert "open_relay" in relay.errors() + relay.story()
    relay.config["receive"][0]["open_relay"] = True
    relay.start()


def failing(start_relay, count):
    """AR9: so many failing messages: no more notices than those, each small, none to the null sender."""
    with ScriptedServer("127.0.1.5") as server:
        server.on("rcpt", "550 5.1.1 no such user", when=lambda a: "@there.test" in a)
        relay = start_relay(send=[smart_host(server)])
        load = Load(relay.port, limit=count, size=40_000).start().join(600)
        server.wait_messages(count, 120)
        relay.deliver_in("<>", ["<nobody@there.test>"], SIMPLE)
        relay.drain(120)
        assert len(server.delivered) == len(load.acknowledged) == count
        for message in server.delivered:
            assert message.sender == "<>" and message.paths == ["<load@here.test>"]
            assert len(message.content) <= 65536
        report_of(server.delivered[-1].content)
        assert relay.metric("sluice_notices_total", kind="failure") == count
        print(f"AR9: {count} failing messages, {len(server.delivered)} notices")


@pytest.mark.alone
def test_failing_messages_make_one_small_notice_each(start_relay):
    failing(start_relay, 100)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(900)
def test_ten_thousand_failing_messages(start_relay):
    failing(start_relay, 10_000)


def test_what_cannot_be_delivered_by_any_connector_is_refused_at_rcpt(start_relay, server):
    """AR9: never bounced later."""
    relay = start_relay(send=[smart_host(server, address_spaces=["there.test"])])
    with relay.smtp() as client:
        client.hello()
        client.command(f"MAIL FROM:{SENDER}", 250)
        client.command("RCPT TO:<a@elsewhere.test>", 550)
        client.command(f"RCPT TO:{RECIPIENT}", 250)
        client.command("DATA", 354)
        client.send(SIMPLE + b".\r\n")
        client.expect(250)
    assert server.wait_messages(1)[0].paths == [RECIPIENT]
    relay.drain()
    assert len(server.messages) == 1
