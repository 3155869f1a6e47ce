"""Reply text that tries to become something else: the notice stays a notice with three parts, the log one line
an event (HS14, LG1)."""
import json

import pytest

from support.mail import SENDER, SIMPLE, report_of
from support.relay import smart_host
from support.scripted_server import Say

pytestmark = pytest.mark.sanitized
EVIL = {
    "MIME boundaries": b"550 5.1.1 --=_boundary\r\n",
    "lines that look like fields": b"550-5.1.1 no\r\n550-Subject: forged\r\n550-\r\n550 Content-Type: text/html\r\n",
    "escape sequences": b"550 5.1.1 \x1b[2J\x1b]0;pwned\x07 red\r\n",
    "a carriage return": b"550 5.1.1 one\rAction: delivered\r\n",
    "a line feed": b"550 5.1.1 one\nAction: delivered\r\n",
    "NUL and DEL": b"550 5.1.1 a\0b\x7fc\r\n",
    "bad UTF-8": b"550 5.1.1 \xff\xfe\xc3\x28 \xed\xa0\x80\r\n",
    "U+2028": "550 5.1.1 a\u2028b\u2029c\u0085d\r\n".encode(),
    "many lines": b"550-5.1.1 line\r\n" * 90 + b"550 5.1.1 last\r\n",
    "a long line": b"550 5.1.1 " + b"x" * 30_000 + b"\r\n",
    "JSON": b'550 5.1.1 "},{"event":"delivered","id":"forged"}\r\n',
    "a script": b"550 5.1.1 <script>alert(1)</script> ${jndi:ldap://x} %n%s\r\n",
    "nothing": b"550\r\n",
    "a blank": b"550 \r\n",
}


@pytest.mark.parametrize("name", EVIL)
def test_the_notice_and_the_log_stay_whole(start_relay, server, name):
    server.on("rcpt", Say(EVIL[name]), when=lambda a: "nobody@" in a)
    relay = start_relay(send=[smart_host(server, command_timeout="2s")],
                        queue={"retry_first": "200ms", "lifetime": "2s"})
    relay.deliver_in(SENDER, ["<nobody@there.test>"], SIMPLE)
    notice = server.wait_messages(1, 15)[0]
    relay.drain()
    report = report_of(notice.content)
    assert len(report.recipients) == 1
    assert report.recipients[0]["action"] == "failed"
    assert len(notice.content) <= 65536
    assert not any(b in notice.content for b in (b"\x1b", b"\x07", b"\x7f"))
    assert report.message["Subject"] and "forged" not in str(report.message["Subject"])
    relay.log.poll()  # checks every line: JSON, no control bytes
    assert not relay.log.find(id="forged") and not relay.log.find(event="delivered", recipient="nobody@there.test")


def test_a_reply_of_100_kb_in_one_line(start_relay, server):
    server.on("rcpt", Say(b"550 5.1.1 " + b"x" * 100_000 + b"\r\n"), when=lambda a: "nobody@" in a)
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "200ms", "lifetime": "2s"})
    relay.deliver_in(SENDER, ["<nobody@there.test>"], SIMPLE)
    notice = server.wait_messages(1, 15)[0]
    report_of(notice.content)
    assert len(notice.content) <= 65536
    for line in relay.log_file.read_bytes().splitlines():
        assert len(line) <= 70_000


NASTY = [b"\x1b[31m", b"\xff\xfe", "\u2028".encode(), b"\x7f", b"%s%n", b'"},{"event":"x', b"\\u000a", b"\t"]


@pytest.mark.parametrize("nasty", NASTY, ids=repr)
def test_what_clients_say_cannot_forge_a_line(start_relay, server, nasty):
    """LG1: one event, one line, JSON, no byte below 0x20 or 0x7f."""
    relay = start_relay(send=[smart_host(server)])
    with relay.smtp() as client:
        for line in (b"EHLO a" + nasty, b"HELO a" + nasty, b"EHLO good.test", b"MAIL FROM:<a" + nasty + b"@b.test>",
                     b"MAIL FROM:<a@b.test>", b"RCPT TO:<a" + nasty + b"@b.test>", b'RCPT TO:<"a' + nasty + b'"@b.test>',
                     b"AUTH PLAIN " + nasty, b"VRFY " + nasty, b"FROB" + nasty, b"RSET"):
            assert client.command(line).raw.endswith(b"\r\n")
        client.transaction(SENDER, ["<r@there.test>"], b"Subject: " + nasty.replace(b"\0", b"") + SIMPLE)
    server.wait_messages(1)
    relay.log.wait_for(event="delivered")
    lines = relay.log_file.read_bytes().split(b"\n")[:-1]
    for line in lines:
        assert not any(byte < 0x20 or byte == 0x7F for byte in line)
        json.loads(line)
    for line in lines:
        assert "\u2028" not in line.decode() and "\u0085" not in line.decode()
