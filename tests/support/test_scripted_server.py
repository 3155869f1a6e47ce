"""Does the scripted server do what its rules say, and see what a client does wrong?"""
import pytest

from support.scripted_server import Close, Endless, Hang, Reset, Say, ScriptedServer
from support.smtp_client import SmtpClient, stuff
from support.waiting import wait_until


def client_of(server, **settings):
    client = SmtpClient((server.address, server.port), **settings)
    return client


def test_takes_a_message_byte_for_byte(server):
    with client_of(server) as client:
        client.expect(220)
        client.hello()
        client.envelope("<a@x.test>", ["<b@y.test>", "<c@y.test>"])
        client.command("DATA", 354)
        client.send(stuff(b".one\r\n..two\r\n\r\n"))
        client.expect(250)
        client.command("QUIT", 221)
    message = server.wait_messages(1)[0]
    assert message.content == b".one\r\n..two\r\n\r\n"
    assert message.raw == b"..one\r\n...two\r\n\r\n"
    assert (message.sender, message.paths) == ("<a@x.test>", ["<b@y.test>", "<c@y.test>"])


def test_a_rule_is_used_as_often_as_it_says(server):
    server.on("rcpt", "451 4.7.1 later", when=lambda a: "b@" in a, times=1)
    with client_of(server) as client:
        client.expect(220)
        client.hello()
        client.command("MAIL FROM:<a@x.test>", 250)
        client.command("RCPT TO:<c@y.test>", 250)
        assert client.command("RCPT TO:<b@y.test>", 451).status == "4.7.1"
        client.command("RCPT TO:<b@y.test>", 250)


def test_pipelined_commands_share_a_batch(server):
    with client_of(server) as client:
        client.expect(220)
        client.hello()
        client.send(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n")
        for _ in range(3):
            client.reply()
        client.send(b"x\r\n.\r\n")
        client.expect(250)
    wait_until(lambda: server.sessions[0].closed_at, what="the session's end")
    ehlo, mail, rcpt, data = server.sessions[0].commands
    assert ehlo.batch < mail.batch == rcpt.batch == data.batch


def test_chunks_make_one_content(server):
    server.extensions = (*server.extensions, "CHUNKING")
    with client_of(server) as client:
        client.expect(220)
        client.hello()
        client.envelope("<a@x.test>", ["<b@y.test>"])
        client.send(b"BDAT 4\r\nab\r\nBDAT 4 LAST\r\n.\r\nc")
        client.expect(250)
        client.expect(250)
    assert server.delivered[0].content == b"ab\r\n.\r\nc"


@pytest.mark.parametrize("content", [b"a\nb\r\n.\r\n", b"a\rb\r\n.\r\n", b"a\0\r\n.\r\n",
                                     b"x\r\n.y\r\n.\r\n"])
def test_what_no_client_may_send_is_a_violation(content):
    server = ScriptedServer()
    with client_of(server) as client:
        client.expect(220)
        client.hello()
        client.envelope("<a@x.test>", ["<b@y.test>"])
        client.command("DATA", 354)
        client.send(content)
        client.expect(250)
    server.close()
    assert len(server.violations) == 1


def test_hang_close_reset_endless_and_trickle(server):
    server.on("ehlo", Close(), times=1).on("ehlo", Reset(), times=1)
    server.on("ehlo", Endless(b"250-more\r\n"), times=1).on("ehlo", Say("250 slow", every=0.01), times=1)
    server.on("ehlo", Hang(), times=1)
    for expected in ("end", "reset"):
        with client_of(server) as client:
            client.expect(220)
            client.send(b"EHLO x\r\n")
            if expected == "end":
                assert client.socket.recv(1) == b""
            else:
                with pytest.raises(ConnectionResetError):
                    client.socket.recv(1)
    with client_of(server) as client:
        client.expect(220)
        client.send(b"EHLO x\r\n")
        while len(client.buffer) < 200_000:
            client._more()
    with client_of(server) as client:
        client.expect(220)
        assert client.command("EHLO x").text == "slow"
    with client_of(server, timeout=0.2) as client:
        client.expect(220)
        client.send(b"EHLO x\r\n")
        with pytest.raises(TimeoutError):
            client.reply()
    wait_until(lambda: server.open_now == 0, what="all sessions ended")
