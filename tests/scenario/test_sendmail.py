"""Programs that call sendmail are served, and what was exported goes back into a queue."""
import os
import socket
import subprocess

import pytest

from support.odd_mail import odd_message
from support.relay import binary, smart_host
from support.waiting import wait_until


@pytest.fixture
def relay(start_relay, server):
    return start_relay(send=[smart_host(server)])


@pytest.fixture
def sendmail(tmp_path, relay):
    """The program as others find it: a link of that name."""
    link = tmp_path / "sendmail"
    link.symlink_to(binary())

    def run(*arguments, text="", check=0, environment=None):
        result = subprocess.run([str(link), *arguments], input=text.encode() if isinstance(text, str) else text,
                                capture_output=True, timeout=30, env=os.environ | {
                                    "SLUICE_CONFIG": str(relay.config_file)} | (environment or {}))
        assert check is None or result.returncode == check, result
        return result
    return run


def test_a_program_sends_by_its_header(sendmail, server):
    sendmail("-t", "-i", "-f", "app@here.test",
             text="To: Ann <a@there.test>\nBcc: b@there.test\nSubject: hi\n\nline\n.\nlast\n")
    message = server.wait_messages(1)[0]
    assert message.sender == "<app@here.test>" and sorted(message.paths) == ["<a@there.test>", "<b@there.test>"]
    assert message.content.endswith(b"Subject: hi\r\n\r\nline\r\n.\r\nlast\r\n")
    assert b"Bcc" not in message.content and b"b@there.test" not in message.content
    assert message.header("From") == "app@here.test" and message.header("Date") and message.header("Message-ID")
    assert not server.violations


def test_names_without_a_domain_are_of_this_machine(sendmail, server):
    sendmail("-f", "app", "root", text="Subject: cron\n\noutput\n.\nnot any more\n")
    message = server.wait_messages(1)[0]
    assert message.sender == "<app@relay.test>" and message.paths == ["<root@relay.test>"]
    assert message.content.endswith(b"\r\noutput\r\n")


def test_reports_can_be_asked_for_and_the_sender_can_be_null(start_relay, sendmail, server):
    sendmail("-i", "-f", "", "-N", "success,delay", "-R", "hdrs", "-V", "id=1", "a@there.test", text="Subject: x\n\n\n")
    message = server.wait_messages(1)[0]
    assert message.sender == "<>" and "NOTIFY=SUCCESS,DELAY" in message.recipients[0]
    assert "RET=HDRS" in message.mail and "ENVID=id+3D1" in message.mail


def test_a_dialogue_passes_through(sendmail, server):
    said = sendmail("-bs", text="EHLO x\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<b@there.test>\r\nDATA\r\n"
                                "Subject: x\r\n\r\nhi\r\n.\r\nQUIT\r\n").stdout.decode()
    assert said.startswith("220 ") and "Queued as" in said and said.rstrip().splitlines()[-1].startswith("221 ")
    assert server.wait_messages(1)[0].paths == ["<b@there.test>"]


def test_exit_codes_are_those_that_callers_know(sendmail, relay, start_relay, server):
    text = "Subject: x\n\nhi\n"
    assert sendmail(text=text, check=64).stderr.startswith(b"sendmail: no recipients")
    sendmail("-t", text=text, check=65)
    sendmail("not an address@@", text=text, check=65)
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))  # nobody listens
    sendmail("a@there.test", text=text, check=75,
             environment={"SLUICE_RELAY": "127.0.0.1:%d" % closed.getsockname()[1]})
    narrow = start_relay(send=[smart_host(server, address_spaces=["there.test"])])
    where = {"SLUICE_RELAY": f"127.0.0.1:{narrow.port}"}
    assert b"5.4.4" in sendmail("a@elsewhere.test", text=text, check=69, environment=where).stderr
    assert b"<a@elsewhere.test>" in sendmail("a@elsewhere.test", "b@there.test", text=text, check=67,
                                             environment=where).stderr
    assert server.wait_messages(1)[0].paths == ["<b@there.test>"]
    small = start_relay(send=[smart_host(server)], receive={"max_message_size": "10KiB"})
    assert b"5.3.4" in sendmail("a@there.test", text=text + "x" * 70 + "\n" * 20000, check=69,
                                environment={"SLUICE_RELAY": f"127.0.0.1:{small.port}"}).stderr


def test_a_large_message_and_odd_bytes_come_whole(sendmail, server):
    body = b"".join(b"%07d \xe4\xf6 .\n.leading dot\n" % n for n in range(150_000))
    sendmail("-i", "-f", "a@here.test", "b@there.test", text=b"From: x\nDate: x\nMessage-ID: <x@x>\n\n" + body)
    content = server.wait_messages(1, timeout=30)[0].content
    assert content.endswith(b"\r\n\r\n" + body.replace(b"\n", b"\r\n"))
    assert not server.violations


def test_what_was_exported_goes_into_a_queue_again(start_relay, server, tmp_path):
    old = start_relay(send=[smart_host(server)])
    server.on("rcpt", "451 4.7.1 later")
    odd = [odd_message(number) for number in (1, 5, 9, 14)]
    with old.smtp() as client:
        client.hello()
        for content in odd:
            assert client.pipelined("<a@here.test>", ["<b@there.test>", "<c@there.test>"], content).code == 250
    wait_until(lambda: len(old.messages(state="deferred")) == len(odd), 10, "deferred")
    old.stop()
    folder = tmp_path / "export"
    old.cli("spool", "export", str(folder))
    new = start_relay(send=[smart_host(server)])
    server.forget()
    files = sorted(str(path) for path in folder.glob("*.eml"))
    exported = [folder.joinpath(file).read_bytes() for file in files]
    assert len(files) == len(odd)
    sent = new.cli("send", "--remove", *files)
    assert sent.stdout.count("Queued as") == len(odd) and not list(folder.glob("*.eml"))
    messages = server.wait_messages(len(odd))
    assert all(sorted(m.paths) == ["<b@there.test>", "<c@there.test>"] for m in messages)
    new.drain()
    for content in exported:
        assert any(m.content.endswith(content) for m in messages), content[:200]


def test_a_file_that_cannot_be_sent_stays_and_is_named(relay, server, tmp_path):
    good, alone = tmp_path / "good.eml", tmp_path / "alone.eml"
    for path in (good, alone):
        path.write_text("Subject: x\n\nhi\n")
    (tmp_path / "good.json").write_text('{"sender": "<>", "recipients": [{"recipient": "b@there.test"}]}')
    result = relay.cli("send", str(alone), str(good), check=False)
    assert result.returncode == 1 and "alone.json" in result.stderr and "1 of 2" in result.stderr
    assert server.wait_messages(1)[0].sender == "<>"
    relay.cli("send", "--sender", "a@here.test", "--recipient", "c@there.test", str(alone))
    assert server.wait_messages(2)[1].paths == ["<c@there.test>"] and good.exists() and alone.exists()
