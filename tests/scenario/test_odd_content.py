"""Content at the edge of what mail may be: passes byte for byte, or is refused; never costs more than its
size (HC9, HC10, HC17)."""

import pytest

from support import process_view
from support.mail import RECIPIENT, SENDER, SIMPLE, report_of, without_trace
from support.relay import smart_host
from support.scripted_server import EXTENSIONS
from support.waiting import stays

HEAD = b"From: a@here.test\r\nSubject: odd\r\n"
ODD = {
    "a name of letters and underscores": b"__proto__: x\r\n" + HEAD + b"\r\nbody\r\n",
    "an empty name": HEAD + b": x\r\n\r\nbody\r\n",
    "an 8-bit name": HEAD + b"Gr\xc3\xbc\xc3\x9fe: x\r\n\r\nbody\r\n",
    "a name of 100 KB": HEAD + b"N" * 100_000 + b": x\r\n\r\nbody\r\n",
    "a body and no header": b"\r\nonly a body\r\n",
    "no header at all": b"no header field here\r\nand none here\r\n",
    "only CRLF": b"\r\n",
    "nothing": b"",
    "a line of 998": HEAD + b"\r\n" + b"x" * 998 + b"\r\n",
    "a line of 999": HEAD + b"\r\n" + b"x" * 999 + b"\r\n",
    "a line of 64 K": HEAD + b"\r\n" + b"x" * 65536 + b"\r\n",
    "a field of 64 K": HEAD + b"X-Long: " + b"x" * 65536 + b"\r\n\r\nbody\r\n",
    "a folded line of blanks": HEAD + b"X-A: b\r\n \t \r\n c\r\n\r\nbody\r\n",
    "a folded line in front": b" folded: x\r\n" + HEAD + b"\r\nbody\r\n",
    "two Subjects": HEAD + HEAD + b"\r\nbody\r\n",
    "all bytes but NUL, CR, LF": HEAD + b"\r\n" + bytes(b for b in range(1, 256) if b not in b"\r\n") + b"\r\n",
    "no colon in the middle": HEAD + b"this is no field\r\nX-A: b\r\n\r\nbody\r\n",
    "From as mbox": b"From a@here.test Mon Jan  1 00:00:00 2024\r\n" + HEAD + b"\r\nFrom x\r\n",
}


@pytest.mark.sanitized
@pytest.mark.parametrize("name", ODD)
def test_it_passes_as_it_came_or_is_refused(start_relay, server, name):
    """HC10: long lines are never silently broken."""
    relay = start_relay(send=[smart_host(server)])
    content = ODD[name]
    with relay.smtp() as client:
        client.hello()
        client.envelope(SENDER, [RECIPIENT], mail="BODY=8BITMIME")
        client.command("DATA", 354)
        client.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        reply = client.reply()
        if reply.code != 250:
            assert (reply.code, reply.status) in ((554, "5.6.0"), (552, "5.3.4")), reply
            return
    got = without_trace(server.wait_messages(1)[0].content)
    # What begins with no header field is set off by an empty line.
    assert got == content or got == b"\r\n" + content


@pytest.mark.sanitized
def test_a_blank_in_front_does_not_extend_our_trace(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, [RECIPIENT], b" by evil.test; forged\r\nSubject: x\r\n\r\nbody\r\n")
    content = server.wait_messages(1)[0].content
    header = content.split(b"\r\n\r\n", 1)[0]
    assert b"evil" not in header


def cpu_for(start_relay, server, content, code=250):
    relay = start_relay(send=[smart_host(server)], receive={"max_message_size": "64MiB"})
    before = process_view.cpu_seconds(relay.pid)
    with relay.smtp(timeout=60) as client:
        client.hello()
        client.envelope(SENDER, [RECIPIENT])
        client.command("DATA", 354)
        client.send(content + b".\r\n")
        reply = client.reply()
    assert reply.code == code or (reply.code, reply.status) in ((552, "5.3.4"), (554, "5.6.0")), reply
    if reply.code == 250:
        relay.log.wait_for(event="delivered", timeout=60)
    return process_view.cpu_seconds(relay.pid) - before


COSTLY = {
    "one header line": lambda n: b"X: " + b"x" * n + b"\r\n\r\nbody\r\n",
    "many header lines": lambda n: b"X: y\r\n" * (n // 6) + b"\r\nbody\r\n",
    "many Received": lambda n: b"Subject: x\r\n" + b"Received-SPF: y\r\n" * (n // 17) + b"\r\nbody\r\n",
    "many addresses": lambda n: b"To: " + b"a@b.test,\r\n " * (n // 12) + b"z@b.test\r\n\r\nbody\r\n",
    "deep MIME": lambda n: b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (d, d)
                                    for d in range(n // 60)) + b"x\r\n",
    "many dots": lambda n: b"Subject: x\r\n\r\n" + b"..\r\n" * (n // 4),
    "many blank lines": lambda n: b"Subject: x\r\n\r\n" + b"\r\n" * (n // 2),
    "many bare LF": lambda n: b"Subject: x\r\n\r\n" + b"\n" * n + b"\r\n",
    "many bare CR": lambda n: b"Subject: x\r\n\r\n" + b"x\r" * (n // 2) + b"\r\n",
}


@pytest.mark.alone
@pytest.mark.parametrize("name", COSTLY)
def test_cost_grows_with_size_and_no_faster(start_relay, server, name):
    """HC9: time(2n) <= 2.5 time(n), at most 1 s of CPU for 10 MB, or refused before that."""
    one = cpu_for(start_relay, server, COSTLY[name](5_000_000))
    two = cpu_for(start_relay, server, COSTLY[name](10_000_000))
    print(f"HC9 {name}: {one:.2f} s for 5 MB, {two:.2f} s for 10 MB")
    assert two <= 1.0, two
    assert two <= 2.5 * one + 0.15


@pytest.mark.sanitized
def test_a_message_over_the_limit_is_refused_in_step(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"max_message_size": "100KiB"})
    with relay.smtp() as client:
        client.hello()
        client.envelope(SENDER, [RECIPIENT])
        client.command("DATA", 354)
        client.send(b"Subject: x\r\n\r\n" + b"x" * 200 * 1024 + b"\r\n.\r\n")
        assert client.expect(552).status == "5.3.4"
        client.transaction(SENDER, [RECIPIENT], SIMPLE)
    assert len(server.wait_messages(1)) == 1


@pytest.mark.sanitized
def test_8_bit_mail_to_a_server_without_8bitmime(start_relay, server):
    """HC17: converted, or bounced 5.6.3; never sent raw, never retried for ever."""
    server.extensions = tuple(w for w in EXTENSIONS if w not in ("8BITMIME", "SMTPUTF8"))
    relay = start_relay(send=[smart_host(server)])
    content = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" \
              "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n".encode()
    relay.deliver_in(SENDER, ["<eight@there.test>"], content, mail="BODY=8BITMIME")
    message = server.wait_messages(1)[0]
    relay.drain()
    assert "BODY" not in message.mail
    if message.paths == [SENDER]:
        assert report_of(message.content).recipient("eight@there.test")["status"] == "5.6.3"
    else:
        assert all(byte < 0x80 for byte in message.content)
    assert not any(b"\xc3" in m.content for m in server.messages)


@pytest.mark.sanitized
def test_an_internationalised_address_to_a_server_without_smtputf8(start_relay, server):
    """HC17: bounced 5.6.7."""
    server.extensions = tuple(w for w in EXTENSIONS if w != "SMTPUTF8")
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, ["<grüße@there.test>"], SIMPLE, mail="BODY=8BITMIME SMTPUTF8")
    message = server.wait_messages(1)[0]
    relay.drain()
    assert message.paths == [SENDER]
    report = report_of(message.content)
    assert report.recipients[0]["status"] == "5.6.7", report.recipients
    assert not any("grüße" in line for line in server.commands("RCPT"))


@pytest.mark.sanitized
def test_an_internationalised_address_to_a_server_with_smtputf8(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, ["<grüße@there.test>"], SIMPLE, mail="BODY=8BITMIME SMTPUTF8")
    message = server.wait_messages(1)[0]
    assert message.paths == ["<grüße@there.test>"] and "SMTPUTF8" in message.mail


@pytest.mark.sanitized
def test_a_message_that_says_smtputf8_is_never_sent_as_such_where_it_is_not_offered(start_relay, server):
    """HC17: plain where ASCII would do, or bounced 5.6.7."""
    server.extensions = tuple(w for w in EXTENSIONS if w != "SMTPUTF8")
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE, mail="SMTPUTF8")
    message = server.wait_messages(1)[0]
    assert "SMTPUTF8" not in message.mail
    if message.paths != [RECIPIENT]:
        assert report_of(message.content).recipients[0]["status"] == "5.6.7"
    assert stays(lambda: len(server.messages) == 1, 0.3)


EIGHT_BIT_HEADER = "From: a@here.test\r\nSubject: Grüße\r\n\r\nbody\r\n".encode()
EIGHT_BIT_BODY = "From: a@here.test\r\nSubject: x\r\n\r\nGrüße\r\n".encode()


@pytest.mark.sanitized
def test_an_8_bit_body_needs_no_smtputf8(start_relay, server):
    """Only a header section or a path that is not ASCII asks the next host for it."""
    server.extensions = tuple(w for w in EXTENSIONS if w != "SMTPUTF8")
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, [RECIPIENT], EIGHT_BIT_BODY, mail="BODY=8BITMIME SMTPUTF8")
    message = server.wait_messages(1)[0]
    assert message.paths == [RECIPIENT] and without_trace(message.content) == EIGHT_BIT_BODY
    assert "BODY=8BITMIME" in message.mail and "SMTPUTF8" not in message.mail


@pytest.mark.sanitized
def test_an_8_bit_header_needs_smtputf8(start_relay, server):
    """HC17: bounced 5.6.7 where it is not offered, sent as such where it is."""
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, [RECIPIENT], EIGHT_BIT_HEADER, mail="BODY=8BITMIME SMTPUTF8")
    message = server.wait_messages(1)[0]
    assert "SMTPUTF8" in message.mail and without_trace(message.content) == EIGHT_BIT_HEADER
    server.extensions = tuple(w for w in EXTENSIONS if w != "SMTPUTF8")
    server.hang_up()
    relay.deliver_in(SENDER, [RECIPIENT], EIGHT_BIT_HEADER, mail="BODY=8BITMIME SMTPUTF8")
    notice = server.wait_messages(2)[1]
    assert notice.paths == [SENDER] and report_of(notice.content).recipients[0]["status"] == "5.6.7"


@pytest.mark.sanitized
def test_missing_date_and_message_id_are_added_only_where_asked(start_relay, server):
    plain = start_relay(send=[smart_host(server)])
    plain.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert without_trace(server.wait_messages(1)[0].content) == SIMPLE
    adding = start_relay(send=[smart_host(server)], receive={"add_missing_headers": True})
    adding.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    message = server.wait_messages(2)[1]
    assert message.header("Date") and message.header("Message-ID").startswith("<")
    assert message.content.endswith(SIMPLE) or SIMPLE.split(b"\r\n\r\n")[1] in message.content
