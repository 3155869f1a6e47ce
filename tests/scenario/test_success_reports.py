"""Who asks for a report of success gets one: `relayed` where the next hop cannot promise it itself."""
import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE, report_of, without_trace
from support.relay import smart_host
from support.scripted_server import EXTENSIONS
from support.waiting import stays

pytestmark = pytest.mark.sanitized
WITHOUT_DSN = tuple(word for word in EXTENSIONS if word != "DSN")


def test_a_next_hop_without_dsn_makes_it_relayed(start_relay, server):
    """RFC 3461 section 5.2.2."""
    server.extensions = WITHOUT_DSN
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE, mail="RET=HDRS ENVID=AB+3D12",
                     rcpt="NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@there.test")
    message, notice = sorted(server.wait_messages(2), key=lambda m: m.sender == "<>")
    assert "NOTIFY" not in message.recipients[0] and "ENVID" not in message.mail
    report = report_of(notice.content)
    fields = report.recipient("recipient@there.test")
    assert fields["action"] == "relayed" and fields["status"].startswith("2.")
    assert report.about["original-envelope-id"] == "AB=12"
    assert fields["original-recipient"].replace(" ", "") == "rfc822;first@there.test"
    assert b"A line." not in report.original and b"simple" in report.original
    assert relay.metric("sluice_notices_total", kind="success") == 1


def test_a_next_hop_with_dsn_is_asked_and_we_say_nothing(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE, mail="ENVID=X1", rcpt="NOTIFY=SUCCESS")
    message = server.wait_messages(1)[0]
    assert "NOTIFY=SUCCESS" in message.recipients[0] and "ENVID=X1" in message.mail
    assert stays(lambda: len(server.messages) == 1, 0.5)


def test_the_whole_message_comes_back_when_asked_for(start_relay, server):
    server.on("rcpt", "550 5.1.1 no", when=lambda a: "nobody@" in a)
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, ["<nobody@there.test>"], SIMPLE, mail="RET=FULL")
    report = report_of(server.wait_messages(1)[0].content)
    assert report.parts[2].get_content_type() == "message/rfc822"
    assert without_trace(report.original).rstrip() == SIMPLE.rstrip()


def test_only_the_header_section_comes_back_when_asked_for(start_relay, server):
    server.on("rcpt", "550 5.1.1 no", when=lambda a: "nobody@" in a)
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, ["<nobody@there.test>"], SIMPLE, mail="RET=HDRS")
    report = report_of(server.wait_messages(1)[0].content)
    assert report.parts[2].get_content_type() in ("text/rfc822-headers", "message/global-headers")
    assert b"A line." not in report.original


def test_a_large_message_does_not_come_back_whole(start_relay, server):
    server.on("rcpt", "550 5.1.1 no", when=lambda a: "nobody@" in a)
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, ["<nobody@there.test>"], SIMPLE + b"filling\r\n" * 200_000)
    notice = server.wait_messages(1)[0]
    report_of(notice.content)
    assert len(notice.content) <= 65536


@pytest.mark.parametrize("rcpt,mail,code", [
    ("NOTIFY=NEVER,SUCCESS", "", 501), ("NOTIFY=", "", 501), ("NOTIFY=SOMETIMES", "", 501),
    ("NOTIFY=NEVER NOTIFY=NEVER", "", 501), ("", "RET=SOME", 501), ("", "RET=FULL RET=FULL", 501)])
def test_bad_dsn_parameters_are_refused(start_relay, server, rcpt, mail, code):
    relay = start_relay(send=[smart_host(server)])
    with relay.smtp() as client:
        client.hello()
        reply = client.command(f"MAIL FROM:{SENDER} {mail}".strip())
        if rcpt:
            assert reply.code == 250
            reply = client.command(f"RCPT TO:{RECIPIENT} {rcpt}")
        assert reply.code == code and reply.status.startswith("5.5."), reply
