"""Commands that no honest client sends: each gets the right reply or a closed connection, memory stays
bounded, and the next client notices nothing (HC3, HC4, HC11, HC13, HC14, HC16, AR10)."""
import signal

import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.smtp_client import SmtpClient
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized
KIB = 1024


@pytest.mark.parametrize("length", [513, 2 * KIB, 10 * KIB, 1024 * KIB])
def test_a_command_line_that_is_too_long(start_relay, server, length):
    """HC3."""
    relay = start_relay(send=[smart_host(server)])
    with relay.smtp() as client:
        client.hello()
        client.send(b"NOOP " + b"x" * (length - 7) + b"\r\n")
        reply = client.reply()
        assert (reply.code, reply.status) == (500, "5.5.2") or reply.code == 421, reply
    with relay.smtp() as client:
        client.hello()


def test_a_command_line_without_end_fills_no_memory(start_relay, server):
    """HC3: buffered at most 64 KiB, then 500 or 421 and the end."""
    relay = start_relay(send=[smart_host(server)])
    before = relay.vitals()
    clients = [relay.smtp() for _ in range(20)]
    block = b"x" * 65536
    for client in clients:
        try:
            for _ in range(64):
                client.send(block)
        except OSError:
            pass  # closed on us: as it should
    assert relay.rss() - before["rss"] <= 20 * 64 * KIB + 8 * 1024 * KIB
    for client in clients:
        client.close()
    relay.assert_alive(before, server, idle_cpu=False)


def test_a_text_line_of_the_greatest_legal_length_is_taken(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    with relay.smtp() as client:
        client.hello()
        client.command(b"NOOP " + b"x" * (512 - 7), 250)


@pytest.mark.parametrize("argument", [
    b"x" * 12_000, b"a\0b", "grüße.test".encode(), b"a\rb", b"a\x1b[2Jb", b"%n%s%n%s", b"${run{/bin/sh}}",
    b"a;b|c`d`$(e)", b"a b", b"[127.0.0.1]", b"[IPv6:::1]", b"a)(b", b'"quoted"', b"-dash_", b""],
    ids=lambda a: repr(a[:16]))
def test_a_strange_name_in_ehlo(start_relay, server, argument):
    """HC4: 250 or 501; Received and log stay clean."""
    relay = start_relay(send=[smart_host(server)])
    with relay.smtp() as client:
        client.send(b"EHLO " + argument + b"\r\n")
        reply = client.reply()
        assert reply.code in (250, 500, 501), reply
        if reply.code == 250:
            client.transaction(SENDER, [RECIPIENT], SIMPLE)
            trace = server.wait_messages(1)[0].content.split(b"\r\nFrom:")[0]
            assert not any(byte < 0x20 and byte not in b"\r\n\t" or byte > 0x7E for byte in trace), trace
            assert trace.count(b"\r\n") == trace.count(b"\r\n\t") + trace.count(b"\r\n ")
            assert len(trace) < 2000
    relay.log.poll()  # checks every line
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)


def test_a_thousand_recipients_and_not_one_more(start_relay, server):
    """HC11: the next gets 452 4.5.3, and the first thousand are still good."""
    relay = start_relay(send=[smart_host(server, max_recipients_per_transaction=1000)])
    with relay.smtp(timeout=30) as client:
        client.hello()
        client.command(f"MAIL FROM:{SENDER}", 250)
        client.send(b"".join(b"RCPT TO:<r%d@there.test>\r\n" % n for n in range(1001)))
        for _ in range(1000):
            client.expect(250)
        assert client.expect(452).status == "4.5.3"
        client.command("DATA", 354)
        client.send(SIMPLE + b".\r\n")
        client.expect(250)
    wait_until(lambda: sum(len(m.paths) for m in server.delivered) == 1000, 30, "1000 recipients")
    relay.drain()


def test_endless_bad_recipients_end_at_the_error_limit(start_relay, server):
    """HC11: 421 when there were too many errors."""
    relay = start_relay(send=[smart_host(server)], receive={"max_errors": 20, "error_delay": "0s"})
    with relay.smtp() as client:
        client.hello()
        client.command(f"MAIL FROM:{SENDER}", 250)
        codes = []
        for n in range(100_000):
            reply = client.command(f"RCPT TO:<bad@@{n}>")
            codes.append(reply.code)
            if reply.code == 421:
                break
        assert codes[-1] == 421 and len(codes) <= 22, codes
        assert client.at_end(5)


@pytest.mark.parametrize("line", [
    "MAIL FROM:<a@b.test> SIZE=99999999999999999999", "MAIL FROM:<a@b.test> SIZE=-1",
    "MAIL FROM:<a@b.test> SIZE=1x", "MAIL FROM:<a@b.test> SIZE=", "MAIL FROM:<a@b.test> SIZE=1 SIZE=1",
    "MAIL FROM:<a@b.test> BODY=8BITMIME BODY=7BIT", "MAIL FROM:<a@b.test> BODY=9BIT",
    "MAIL FROM:<a@b.test> FROB=1", "MAIL FROM:<a@b.test> FROB", "MAIL FROM:<a@b.test> =1",
    "MAIL FROM:<a@b.test> ENVID=" + "x" * 300,
    "MAIL FROM:<a@b.test> ENVID=+ZZ", "MAIL FROM:<a@b.test> ENVID=", "MAIL FROM:<a@b.test> SMTPUTF8=1",
    "MAIL FROM:<a@b.test> BODY=BINARYMIME", "MAIL FROM: a@b.test", "MAIL FROM:<a@b.test", "MAIL <a@b.test>",
    "MAIL", "MAIL FROM:", "MAIL TO:<a@b.test>", "MAIL FROM:<@>", "MAIL FROM:<a@>", "MAIL FROM:<@b.test>",
    "MAIL FROM:<a b@b.test>", "MAIL FROM:<a@b..test>", "MAIL FROM:<" + "a" * 65 + "@b.test>",
    "MAIL FROM:<a@" + "b" * 64 + ".test>", "MAIL FROM:<a@" + "b." * 130 + "test>",
    'MAIL FROM:<"a@b.test>', "MAIL FROM:<a@[1.2.3]>", "MAIL FROM:<a@[1.2.3.4>", "MAIL FROM:<é@b.test>"])
def test_mail_with_bad_arguments_is_refused(start_shared_relay, line):
    """HC13: 501 or 555 (or 552 for a size), never taken."""
    relay = shared(start_shared_relay)
    with relay.smtp() as client:
        client.hello()
        reply = client.command(line)
        assert reply.code in (501, 503, 550, 552, 553, 555), reply
        assert reply.status and reply.status.startswith("5.")


@pytest.mark.parametrize("line", [
    "RCPT TO:<r@there.test> ORCPT=a@x.test",
    "RCPT TO:<r@there.test> ORCPT=rfc822;" + "x" * 600, "RCPT TO:<r@there.test> SIZE=1",
    "RCPT TO:<r@there.test> NOTIFY=NEVER ORCPT=rfc822;+", "RCPT TO:<>", "RCPT TO:", "RCPT", "RCPT TO:r",
    "RCPT FROM:<r@there.test>", "RCPT TO:<r@there.test>x", "RCPT TO:<r@there.test> <s@there.test>"])
def test_rcpt_with_bad_arguments_is_refused(start_shared_relay, line):
    """HC13."""
    relay = shared(start_shared_relay)
    with relay.smtp() as client:
        client.hello()
        client.command(f"MAIL FROM:{SENDER}", 250)
        reply = client.command(line)
        assert reply.code in (501, 550, 553, 555), reply
        client.command("RSET", 250)


def shared(start_shared_relay):
    """One relay for the stories that only talk to it."""
    if not start_shared_relay.relays:
        start_shared_relay(send=[{"name": "out", "address_spaces": ["*"], "route": "smart-host",
                                  "tls": "off", "smart_hosts": ["127.0.1.1:9"]}])
    return start_shared_relay.relays[0]


def test_encoded_parameters_stay_encoded(start_relay, server):
    """HC13: what xtext hides is never written out raw."""
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE, mail="ENVID=a+2Bb+3Dc",
                     rcpt="ORCPT=rfc822;a+2Bb@x.test")
    message = server.wait_messages(1)[0]
    assert "ENVID=a+2Bb+3Dc" in message.mail and "ORCPT=rfc822;a+2Bb@x.test" in message.recipients[0]


@pytest.mark.parametrize("mail,rcpt", [("ENVID=a+0D+0ARSET", ""), ("", "ORCPT=rfc822;a+0D+0ARSET@x.test"),
                                       ("", "ORCPT=utf-8;gr+C3+BC+C3+9Fe@x.test")])
def test_line_ends_hidden_in_parameters_reach_nobody(start_relay, server, mail, rcpt):
    """HC13: refused, or passed still encoded (what the server's own check of each line shows)."""
    relay = start_relay(send=[smart_host(server)])
    with relay.smtp() as client:
        client.hello()
        reply = client.command(f"MAIL FROM:{SENDER} {mail}".strip())
        if reply.code == 250:
            reply = client.command(f"RCPT TO:{RECIPIENT} {rcpt}".strip())
        if reply.code != 250:
            assert reply.code in (501, 555)
            return
        client.command("DATA", 354)
        client.send(SIMPLE + b".\r\n")
        client.expect(250)
    message = server.wait_messages(1)[0]
    assert (mail or rcpt) in message.mail + message.recipients[0]


def test_a_whole_session_in_one_segment(start_relay, server):
    """HC14: taken, since each command that must be the last of its group may only be answered late."""
    relay = start_relay(send=[smart_host(server)])
    with relay.smtp() as client:
        client.send(b"EHLO client.test\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<b@there.test>\r\nDATA\r\n"
                    b"Subject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n")
        codes = []
        try:
            while True:
                codes.append(client.reply().code)
        except ConnectionError:
            pass
    assert codes in ([250, 250, 250, 354, 250, 221], [250, 503], [503], [250, 421], [421]), codes


def test_content_behind_a_refused_data_becomes_no_message(start_relay, server):
    """HC14: its lines are commands, and errors, and enough of those cut the connection."""
    relay = start_relay(send=[smart_host(server)], receive={"max_errors": 20})
    with relay.smtp() as client:
        client.hello()
        lines = b"".join(b"line %d of no message\r\n" % n for n in range(100))
        client.send(b"DATA\r\n" + lines + b".\r\n")
        rest = client.rest(10)
    replies = rest.split(b"\r\n")[:-1]
    assert replies[0].startswith(b"503") and replies[-1].startswith(b"421"), replies
    assert len(replies) <= 22 and not any(r.startswith((b"354", b"250")) for r in replies)
    assert relay.metric("sluice_messages_accepted_total") == 0


@pytest.mark.parametrize("local", ["=?utf-8?q?x=40evil.test=3e?=", "xn--80ak6aa92e", "a%40evil.test", "a&#64;evil.test",
                                   "a\\u0040evil.test"])
def test_an_encoded_address_goes_to_the_domain_that_is_written(start_relay, server, local):
    """HC16: never decoded for policy."""
    relay = start_relay(send=[smart_host(server, address_spaces=["there.test"])])
    with relay.smtp() as client:
        client.hello()
        client.command(f"MAIL FROM:{SENDER}", 250)
        reply = client.command(f"RCPT TO:<{local}@there.test>")
        if reply.code != 250:
            assert reply.code in (501, 550, 553)
            return
        client.command("DATA", 354)
        client.send(SIMPLE + b".\r\n")
        client.expect(250)
    assert server.wait_messages(1)[0].paths == [f"<{local}@there.test>"]


@pytest.mark.parametrize("line,codes", [
    ("VRFY root", (252, 502)), ("VRFY nobody-like-this", (252, 502)), ("EXPN staff", (502,)),
    ("ETRN there.test", (502, 500)), ("TURN", (502, 500)), ("WIZ", (502, 500)), ("DEBUG", (502, 500)),
    ("GET / HTTP/1.1", (500, 502, 421, 554)), ("POST / HTTP/1.0", (500, 502, 421, 554)),
    ("XCLIENT ADDR=1.2.3.4", (500, 502, 503, 550)), ("SEND FROM:<a@b.test>", (500, 502)), ("HELP", (214, 502)),
    ("NOOP x", (250,)), ("rset", (250,)), ("QuIt", (221,)), ("", (500,)), (" MAIL", (500,)), ("MAILFROM", (500,))])
def test_each_other_verb_has_its_reply(start_shared_relay, line, codes):
    """AR10."""
    relay = shared(start_shared_relay)
    with relay.smtp() as client:
        client.hello()
        assert client.command(line).code in codes


def test_no_account_can_be_told_apart(start_shared_relay):
    """AR10: the reply to VRFY is the same for everybody."""
    relay = shared(start_shared_relay)
    with relay.smtp() as client:
        client.hello()
        assert client.command("VRFY root").raw == client.command("VRFY nobody-like-this").raw


@pytest.mark.parametrize("lines,code", [
    (["RCPT TO:<a@b.test>"], 503), (["DATA"], 503), (["MAIL FROM:<a@b.test>", "DATA"], 503),
    (["MAIL FROM:<a@b.test>", "MAIL FROM:<a@b.test>"], 503),
    (["MAIL FROM:<a@b.test>", "RCPT TO:<r@there.test>", "EHLO again", "DATA"], 503),
    (["MAIL FROM:<a@b.test>", "RCPT TO:<r@there.test>", "RSET", "DATA"], 503), (["DATA x"], 501),
    (["RSET x"], 501), (["EHLO"], 501), (["HELO"], 501)])
def test_commands_out_of_order(start_shared_relay, lines, code):
    relay = shared(start_shared_relay)
    with relay.smtp() as client:
        client.hello()
        for line in lines[:-1]:
            client.command(line, 250)
        assert client.command(lines[-1]).code == code


def test_mail_before_ehlo_is_refused(start_shared_relay):
    relay = shared(start_shared_relay)
    with relay.smtp() as client:
        assert client.command(f"MAIL FROM:{SENDER}").code == 503


def test_a_client_that_talks_before_the_greeting_is_sent_away(start_relay, server):
    """It does not read replies, so nothing that it says is carried out."""
    relay = start_relay(send=[smart_host(server)])
    relay.signal(signal.SIGSTOP)  # so that its bytes are there before the relay greets
    try:
        client = SmtpClient(("127.0.0.1", relay.port))
        client.send(b"EHLO early.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n" + SIMPLE + b".\r\n")
    finally:
        relay.signal(signal.SIGCONT)
    with client:
        client.expect(554)
        assert client.at_end()
    wait_until(lambda: relay.metric("sluice_client_faults_total", fault="early_talker") == 1, 5, "it is counted")
    with relay.smtp() as client:
        client.hello()
    assert not relay.log.find(event="accepted")


def test_a_client_that_closes_its_side_behind_its_last_command_gets_its_replies(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    with relay.smtp() as client:
        client.hello()
        client.envelope(SENDER, [RECIPIENT])
        client.command(b"DATA", 354)
        client.send(SIMPLE + b".\r\n")
        client.finish_sending()
        client.expect(250)
        assert client.at_end()
    server.wait_messages(1)
