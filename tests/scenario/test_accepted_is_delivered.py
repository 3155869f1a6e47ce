"""What an application hands over comes out at the destination, once, byte for byte, and every step is
told in the log and in the metrics."""
import re

import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE, corpus, without_trace
from support.relay import smart_host

pytestmark = pytest.mark.sanitized


def test_a_message_is_accepted_delivered_and_forgotten(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    message = server.wait_messages(1)[0]
    assert (message.sender, message.paths) == (SENDER, [RECIPIENT])
    assert without_trace(message.content) == SIMPLE
    accepted = relay.log.wait_for(event="accepted", id=message_id)
    assert accepted["sender"] == "sender@here.test" and accepted["connector"] == "apps"
    assert accepted["size"] >= len(SIMPLE)
    delivered = relay.log.wait_for(event="delivered", id=message_id)
    assert delivered["recipient"] == "recipient@there.test" and delivered["code"] == 250
    assert delivered["connector"] == "out" and delivered["delay_s"] >= 0
    assert server.address in delivered["address"]
    relay.drain()
    assert relay.message(message_id) is None
    assert relay.metric("sluice_messages_accepted_total", connector="apps") == 1
    assert relay.metric("sluice_deliveries_total", connector="out", result="delivered") == 1
    assert relay.metric("sluice_delivery_delay_seconds_count") == 1


def test_the_trace_field_says_who_gave_it_and_when(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    trace = server.wait_messages(1)[0].header("Received")
    # RFC 5321 section 4.4; the id is what the log calls the message.
    assert re.search(r"from client\.test \(.*\[?127\.0\.0\.1\]?.*\)", trace), trace
    assert "by relay.test" in trace and message_id in trace and "ESMTP" in trace
    assert re.search(r"; \w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", trace), trace


def test_mime_mail_comes_out_byte_for_byte(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    sent = dict(corpus())
    with relay.smtp() as client:
        client.hello()
        for name, content in sent.items():
            client.transaction(SENDER, [f"<{name}@there.test>"], content)
    for message in server.wait_messages(len(sent)):
        name = message.paths[0][1:].split("@")[0]
        assert without_trace(message.content) == sent[name], name


def test_mail_given_in_chunks_comes_out_byte_for_byte(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    sent = dict(corpus())
    with relay.smtp() as client:
        client.hello()
        for name, content in sent.items():
            client.envelope(SENDER, [f"<{name}@there.test>"])
            middle = len(content) // 2
            client.send(b"BDAT %d\r\n" % middle + content[:middle])
            client.send(b"BDAT %d\r\n" % (len(content) - middle) + content[middle:])
            client.expect(250)
            client.expect(250)
            client.send(b"BDAT 0 LAST\r\n")
            client.expect(250)
    for message in server.wait_messages(len(sent)):
        name = message.paths[0][1:].split("@")[0]
        assert without_trace(message.content) == sent[name], name


def test_mail_leaves_in_chunks_where_they_are_taken(start_relay, server):
    server.extensions = (*server.extensions, "CHUNKING")
    relay = start_relay(send=[smart_host(server)])
    sent = dict(corpus())
    for name, content in sent.items():
        relay.deliver_in(SENDER, [f"<{name}@there.test>"], content)
    for message in server.wait_messages(len(sent)):
        assert without_trace(message.content) == sent[message.paths[0][1:].split("@")[0]]


def test_a_large_message_passes_whole(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    content = b"Subject: large\r\n\r\n" + (b"." + b"0123456789abcdef" * 60 + b"\r\n") * 20_000
    relay.deliver_in(SENDER, [RECIPIENT], content)
    assert without_trace(server.wait_messages(1, 30)[0].content) == content


def test_many_recipients_share_a_transaction(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    recipients = [f"<r{n}@there.test>" for n in range(50)]
    relay.deliver_in(SENDER, recipients, SIMPLE)
    assert sorted(server.wait_messages(1)[0].paths) == sorted(recipients)
    assert relay.log.wait_for(event="delivered", count=50)
    assert len(server.messages) == 1


def test_a_transaction_carries_no_more_recipients_than_configured(start_relay, server):
    relay = start_relay(send=[smart_host(server, max_recipients_per_transaction=20)])
    recipients = [f"<r{n}@there.test>" for n in range(50)]
    relay.deliver_in(SENDER, recipients, SIMPLE)
    relay.log.wait_for(event="delivered", count=50)
    taken = [path for message in server.delivered for path in message.paths]
    assert sorted(taken) == sorted(recipients)
    assert all(len(message.paths) <= 20 for message in server.delivered)


def test_the_null_reverse_path_and_parameters_travel(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    content = "Subject: Grüße\r\n\r\nüber\r\n".encode()
    relay.deliver_in("<>", [RECIPIENT], content, mail="BODY=8BITMIME RET=HDRS ENVID=QQ314159",
                     rcpt="NOTIFY=FAILURE ORCPT=rfc822;orig+40here.test@there.test")
    message = server.wait_messages(1)[0]
    assert message.mail.startswith("FROM:<>") and "BODY=8BITMIME" in message.mail
    assert "RET=HDRS" in message.mail and "ENVID=QQ314159" in message.mail
    assert "NOTIFY=FAILURE" in message.recipients[0]
    assert "ORCPT=rfc822;orig+40here.test@there.test" in message.recipients[0]
    assert without_trace(message.content) == content


def test_ehlo_offers_what_it_should(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"max_message_size": "1MiB"})
    with relay.smtp() as client:
        offered = client.hello().lines
        assert offered[0].startswith("relay.test")
        words = [line.upper() for line in offered[1:]]
        for keyword in ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "ENHANCEDSTATUSCODES"):
            assert keyword in words, words
        assert f"SIZE {1 << 20}" in words
        assert not any(word.startswith(("STARTTLS", "AUTH")) for word in words)
        assert client.command(f"MAIL FROM:<a@b.test> SIZE={2 << 20}", 552).status == "5.3.4"


def test_postmaster_without_a_domain_is_somebody(start_relay, server):
    relay = start_relay(send=[smart_host(server)], top={"postmaster": "boss@here.test"})
    relay.deliver_in(SENDER, ["<postmaster>"], SIMPLE)
    assert server.wait_messages(1)[0].paths == ["<boss@here.test>"]
