"""What a user may do once it is let in: whose name it writes as, how fast, and how much in a day."""
import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.smtp_client import stuff
from support.users import PASSWORD, passwd, plain
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized


@pytest.fixture
def relay_with(start_relay, server, tmp_path):
    """A relay whose user ann has these rights."""
    def start(*options, **settings):
        users = tmp_path / "users"
        users.write_text(passwd("ann", PASSWORD, *options))
        users.chmod(0o600)
        relay = start_relay(send=[smart_host(server)], receive={
            "users_file": str(users), "auth_plaintext": True, "auth_failure_delay": "0s", "relay_networks": []} | settings)
        relay.users = users
        return relay
    return start


def logged_in(relay):
    client = relay.smtp()
    client.hello()
    client.command("AUTH PLAIN " + plain("ann", PASSWORD), 235)
    return client


def submit(client, content=SIMPLE, recipients=1, chunked=False):
    """The final reply."""
    client.envelope(SENDER, [f"<r{n}@there.test>" for n in range(recipients)])
    if chunked:
        client.send(f"BDAT {len(content)} LAST\r\n".encode() + content)
    else:
        client.command("DATA", 354)
        client.send(stuff(content))
    return client.reply()


HEADERS = [
    (b"From: ann@here.test", True), (b"From: Ann <ann@here.test>", True), (b'From: "boss@there.test" <x@HERE.test>', True),
    (b"From: ann@here.test,\r\n bob@own.test", True), (b"From: a@there.test", False), (b"Subject: nobody's", False),
    (b"From: ann@here.test\r\nFrom: a@there.test", False), (b"From: a@there.test, ann@here.test", False),
    (b"From: <@here.test:a@there.test>", False), (b"From: ann@here.test <a@there.test>", False),
    (b"From: <ann@here.test> <a@there.test>", False), (b"From: other@own.test", False),
    (b"From: =?utf-8?q?ann=40here=2Etest?= <a@there.test>", False), (b"From: a@sub.here.test", False)]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_user_writes_as_its_own_authors_only(relay_with, server, chunked):
    relay = relay_with("--from", "@here.test", "--from", "bob@own.test")
    with logged_in(relay) as client:
        for header, allowed in HEADERS:
            content = header + b"\r\nTo: x@there.test\r\n\r\nFrom: ann@here.test\r\n" + b"body\r\n" * 2000
            reply = submit(client, content, chunked=chunked)
            assert (reply.code, reply.status) == ((250, "2.0.0") if allowed else (550, "5.7.1")), header
            assert submit(client, b"From: ann@here.test\r\n\r\nnext\r\n").code == 250, "the session goes on"
    good = len(HEADERS) + sum(allowed for _, allowed in HEADERS)
    assert len(server.wait_messages(good)) == good
    assert relay.log.wait_for(event="refused")["status"] == "5.7.1"


def test_a_user_keeps_to_its_rate(relay_with):
    relay = relay_with("--rate", "3/h")
    with logged_in(relay) as one, logged_in(relay) as other:
        assert [submit(client).code for client in (one, other, one)] == [250] * 3
        reply = other.command(f"MAIL FROM:{SENDER}")
        assert (reply.code, reply.status) == (450, "4.7.1")
    assert relay.metric("sluice_messages_refused_total", status="4.7.1") == 1


def test_a_quota_outlives_a_restart(relay_with):
    relay = relay_with("--quota", "6")
    with logged_in(relay) as client:
        assert submit(client, recipients=3).code == 250
    relay.restart()
    with logged_in(relay) as client:
        assert submit(client, recipients=2).code == 250
        client.command(f"MAIL FROM:{SENDER}", 250)
        client.command(f"RCPT TO:{RECIPIENT}", 250)
        reply = client.command("RCPT TO:<more@there.test>")
        assert (reply.code, reply.status) == (452, "4.7.1")
        client.command("RSET", 250)  # gives back what was not sent
        assert submit(client).code == 250
        client.command(f"MAIL FROM:{SENDER}", 250)
        client.command(f"RCPT TO:{RECIPIENT}", 452)
    relay.restart()
    with logged_in(relay) as client:
        client.command(f"MAIL FROM:{SENDER}", 250)
        client.command(f"RCPT TO:{RECIPIENT}", 452)


def test_rights_change_without_a_reload(relay_with):
    relay = relay_with("--quota", "1")
    with logged_in(relay) as client:
        assert submit(client).code == 250
        client.command(f"MAIL FROM:{SENDER}", 250)
        client.command(f"RCPT TO:{RECIPIENT}", 452)
    fresh = relay.users.with_name("fresh")
    fresh.write_text(passwd("ann", PASSWORD, "--quota", "2"))
    fresh.chmod(0o600)
    fresh.replace(relay.users)

    def more():
        with logged_in(relay) as client:
            client.command(f"MAIL FROM:{SENDER}", 250)
            return client.command(f"RCPT TO:{RECIPIENT}").code == 250
    wait_until(more, 10)


def test_whom_nobody_authenticated_has_no_quota_of_anybodys(relay_with):
    relay = relay_with("--quota", "1", relay_networks=["127.0.0.0/8"])
    with relay.smtp() as client:
        client.hello()
        assert submit(client, recipients=5).code == 250


@pytest.mark.parametrize("parameter", ["AUTH=<>", "AUTH=ann+40x@there.test", "AUTH=boss@elsewhere.test"])
def test_what_mail_says_of_the_submitter_gives_no_right(relay_with, parameter):
    """RFC 4954 section 5: from those who are not trusted it means nothing."""
    relay = relay_with("--sender", "ann@here.test")
    with logged_in(relay) as client:
        assert client.command(f"MAIL FROM:<boss@there.test> {parameter}").status == "5.7.1"
        client.command(f"MAIL FROM:<ann@here.test> {parameter}", 250)
    with relay.smtp() as stranger:
        stranger.hello()
        stranger.command(f"MAIL FROM:<ann@here.test> {parameter}", 250)
        assert stranger.command(f"RCPT TO:{RECIPIENT}").status == "5.7.1"
