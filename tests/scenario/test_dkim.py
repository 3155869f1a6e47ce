"""What leaves bears a signature that others verify: over odd mail, large mail, notices, restarts and reloads."""
import re
import subprocess

import pytest

from support.dkim_verifiers import DkimKeys, holds, refused_by_opendkim, signatures, verified
from support.fake_dns import FakeDns
from support.mail import RECIPIENT, SENDER, SIMPLE, report_of
from support.odd_mail import odd_message
from support.relay import binary, smart_host
from support.scripted_server import EXTENSIONS
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized
CHUNKING = EXTENSIONS + ("CHUNKING",)


@pytest.fixture
def keys(tmp_path):
    return DkimKeys(tmp_path / "keys")


def start_signing(start_relay, server, keys, **settings):
    return start_relay(send=[smart_host(server)], extra={"dkim": keys.sections()}, **settings)


@pytest.mark.parametrize("kinds", [[[]], [["--ed25519"]], [[], ["--ed25519"]]], ids=["rsa", "ed25519", "both"])
def test_a_message_is_signed_by_all_keys_of_its_author(start_relay, server, keys, kinds):
    for number, options in enumerate(kinds):
        keys.make("here.test", f"s{number}", *options)
    keys.make("other.test", "s9", "--ed25519")
    relay = start_signing(start_relay, server, keys)
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    content = server.wait_messages(1)[0].content
    assert verified(content, keys) == [f"s{number}/here.test" for number in range(len(kinds))]
    assert content.startswith(b"DKIM-Signature: ") and content.endswith(SIMPLE)
    assert signatures(content)[0]["h"].split(":").count("from") == 2
    assert relay.metric("sluice_dkim_messages_total", connector="apps", result="signed") == 1


def test_no_field_can_be_added_or_changed_unseen(start_relay, server, keys):
    keys.make("here.test", "s", "--ed25519")
    relay = start_signing(start_relay, server, keys)
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    content = server.wait_messages(1)[0].content
    assert verified(content, keys)
    head, body = content.split(b"\r\n\r\n", 1)
    for forged in (b"From: evil@here.test\r\n" + content, b"Subject: evil\r\n" + content,
                   b"Reply-To: evil@evil.test\r\n" + content, head + b"\r\nCc: evil@evil.test\r\n\r\n" + body,
                   head + b"\r\n\r\nevil\r\n" + body, content + b"evil\r\n"):
        assert not holds(forged, keys), forged
    assert holds(b"Received: from elsewhere\r\n" + content, keys)


def test_a_domain_below_is_signed_for_by_the_one_above_unless_it_has_its_own(start_relay, server, keys):
    keys.make("here.test", "up", "--ed25519")
    keys.make("own.here.test", "own", "--ed25519")
    relay = start_signing(start_relay, server, keys)
    expected = {b"a@sub.here.test": ["up/here.test"], b"a@x.own.here.test": ["own/own.here.test"],
                b"a@nothere.test": [], b"a@test": []}
    for author in expected:
        relay.deliver_in(SENDER, [RECIPIENT], b"From: " + author + b"\r\n\r\nbody\r\n")
    for message in server.wait_messages(len(expected)):
        author = message.header("From").encode()
        assert verified(message.content, keys) == expected[author], author
    assert relay.metric("sluice_dkim_messages_total", connector="apps", result="unsigned") == 2


def send_odd(relay, numbers):
    with relay.smtp(timeout=60) as client:
        client.hello()
        for number in numbers:
            reply = client.pipelined(SENDER, [RECIPIENT], odd_message(number))
            assert reply.code == 250, (number, reply)


def check_odd(start_relay, server, keys, tmp_path, count, opendkim):
    keys.make("here.test", "rsa")
    relay = start_signing(start_relay, server, keys)
    send_odd(relay, range(count))
    contents = [message.content for message in server.wait_messages(count, timeout=60 + count / 20)]
    for content in contents:
        assert verified(content, keys) == ["rsa/here.test"]
    assert {int(re.search(rb"X-Number: (\d+)", content)[1]) for content in contents} == set(range(count))
    assert refused_by_opendkim(contents[:opendkim], keys, tmp_path / "opendkim") == {}


def test_odd_mail_verifies(start_relay, server, keys, tmp_path):
    """Odd names, folds, blanks, 8-bit, empty bodies, dots, no line end at the end."""
    check_odd(start_relay, server, keys, tmp_path, 300, opendkim=300)


@pytest.mark.long_form
@pytest.mark.timeout(3600)
def test_very_much_odd_mail_verifies(start_relay, server, keys, tmp_path):
    check_odd(start_relay, server, keys, tmp_path, 10_000, opendkim=10_000)


def test_odd_mail_verifies_with_ed25519_in_chunks(start_relay, server, keys):
    """Contents in and out by BDAT, cut anywhere: a content may end without a line end then."""
    keys.make("here.test", "ed", "--ed25519")
    server.extensions = CHUNKING
    relay = start_signing(start_relay, server, keys)
    with relay.smtp() as client:
        client.hello()
        for number in range(1000, 1100):
            content = odd_message(number).rstrip(b" \t")
            client.envelope(SENDER, [RECIPIENT])
            cut = number % len(content)
            client.send(b"BDAT %d\r\n" % cut + content[:cut])
            client.expect(250)
            client.send(b"BDAT %d LAST\r\n" % (len(content) - cut) + content[cut:])
            client.expect(250)
    for message in server.wait_messages(100):
        assert verified(message.content, keys) == ["ed/here.test"]


@pytest.mark.parametrize("extensions", [EXTENSIONS, CHUNKING], ids=["data", "bdat"])
def test_large_mail_is_signed_and_its_size_is_what_is_sent(start_relay, server, keys, extensions):
    """Most of it is on disk before the signature is known."""
    keys.make("here.test", "s")
    server.extensions = extensions
    relay = start_signing(start_relay, server, keys)
    content = SIMPLE + b"".join(b"line  %d \t of a large message  \r\n" % n for n in range(60_000))
    message_id = relay.deliver_in(SENDER, [RECIPIENT], content)
    message = server.wait_messages(1, timeout=30)[0]
    assert verified(message.content, keys) == ["s/here.test"]
    assert message.content.endswith(content)
    assert int(re.search(r"SIZE=(\d+)", message.mail)[1]) == len(message.content)
    assert relay.log.wait_for(event="accepted", id=message_id)["size"] == len(message.content)


def test_what_is_made_clean_is_signed_as_it_is_sent(start_relay, server, keys):
    keys.make("here.test", "s", "--ed25519")
    relay = start_signing(start_relay, server, keys, receive={"add_missing_headers": True})
    with relay.smtp() as client:
        client.hello()
        client.envelope(SENDER, [RECIPIENT])
        client.command("DATA", 354)
        client.send(b"From: a@here.test\nSubject: bare\rCR\n\nline\n  line \r\r\n..dot\r\n\n\r\n.\r\n")
        client.expect(250)
    content = server.wait_messages(1)[0].content
    assert verified(content, keys) == ["s/here.test"]
    assert "date" in signatures(content)[0]["h"] and "message-id" in signatures(content)[0]["h"]


def test_a_message_that_waits_over_a_restart_leaves_as_it_was_signed(start_relay, server, keys, tmp_path):
    server.on("rcpt", "451 4.7.1 later", times=1)
    keys.make("here.test", "s")
    relay = start_signing(start_relay, server, keys, queue={"retry_first": "2s"})
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    relay.log.wait_for(event="deferred", id=message_id)
    status, shown = relay.api("GET", f"/api/v1/messages/{message_id}/content")
    assert status == 200 and verified(shown.encode(), keys) == ["s/here.test"]
    assert relay.api("GET", f"/api/v1/messages/{message_id}")[1]["size"] == len(shown)
    relay.stop()
    exported = tmp_path / "exported"
    subprocess.run([binary(), "spool", "export", str(exported), "--config", str(relay.config_file)], check=True,
                   capture_output=True, timeout=60)
    assert (exported / f"{message_id}.eml").read_bytes() == shown.encode()
    relay.start()
    assert server.wait_messages(1)[0].content == shown.encode()


def test_our_own_notices_are_signed_and_return_the_signed_original(start_relay, server, keys):
    server.on("rcpt", "550 5.1.1 no", when=lambda a: "nobody@" in a)
    keys.make("here.test", "s")
    keys.make("relay.test", "post")
    relay = start_signing(start_relay, server, keys)
    relay.deliver_in(SENDER, ["<nobody@there.test>"], SIMPLE, mail="RET=FULL")
    notice = server.wait_messages(1)[0]
    assert notice.sender == "<>" and verified(notice.content, keys) == ["post/relay.test"]
    assert int(re.search(r"SIZE=(\d+)", notice.mail)[1]) == len(notice.content)
    assert verified(report_of(notice.content).original.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), keys) \
        == ["s/here.test"]


def test_a_reload_replaces_keys_and_a_bad_key_keeps_the_old_ones(start_relay, server, keys):
    old = keys.make("here.test", "old", "--ed25519")
    relay = start_signing(start_relay, server, keys)
    with relay.smtp() as client:  # one session all along
        client.hello()
        client.transaction(SENDER, [RECIPIENT], SIMPLE)
        new = keys.make("here.test", "new", "--ed25519")
        relay.config["dkim"] = [new]
        relay.reload()
        relay.log.wait_for(event="reloaded")
        client.transaction(SENDER, [RECIPIENT], SIMPLE)
        with open(old["key"], "w", encoding="ascii") as file:
            file.write("no key\n")
        relay.config["dkim"] = [new, old]
        relay.reload()
        failed = relay.log.wait_for(event="reload_failed")
        assert "[[dkim]] key: " in failed["reason"] and "no private key" in failed["reason"]
        client.transaction(SENDER, [RECIPIENT], SIMPLE)
    signed_by = [verified(message.content, keys) for message in server.wait_messages(3)]
    assert sorted(signed_by) == sorted([["old/here.test"], ["new/here.test"], ["new/here.test"]])


def test_a_client_that_leaves_while_its_message_is_signed_loses_nothing(start_relay, server, keys):
    keys.make("here.test", "s")
    relay = start_signing(start_relay, server, keys)
    for _ in range(20):
        with relay.smtp() as client:
            client.hello()
            client.envelope(SENDER, [RECIPIENT])
            client.command("DATA", 354)
            client.send(SIMPLE + b".\r\n")
    accepted = wait_until(lambda: server.messages if len(server.messages) == 20 else None, 30, "20 messages")
    assert all(verified(message.content, keys) == ["s/here.test"] for message in accepted)


def check_dns(relay):
    return subprocess.run([binary(), "check", "--dns", "--config", str(relay.config_file)], capture_output=True, text=True,
                          timeout=60)


def test_check_compares_the_published_record_with_the_key(start_relay, server, keys):
    keys.make("here.test", "s1")
    keys.make("here.test", "s2", "--ed25519")
    with FakeDns() as dns:
        relay = start_relay(start=False, send=[smart_host(server)], dns={"servers": [dns.address]},
                            extra={"dkim": keys.sections()})
        relay.write_config()
        for name, record in keys.records.items():
            dns.set(name, TXT=[record])
        good = check_dns(relay)
        assert good.returncode == 0, good.stderr
        assert "s1._domainkey.here.test: ok" in good.stdout and "s2._domainkey.here.test: ok" in good.stdout
        dns.remove("s1._domainkey.here.test")
        dns.set("s2._domainkey.here.test", TXT=[keys.records["s2._domainkey.here.test"].replace("p=", "p=A")])
        bad = check_dns(relay)
    assert bad.returncode == 1
    assert "s1._domainkey.here.test: there is no TXT record" in bad.stderr
    assert "s2._domainkey.here.test: the record holds another key" in bad.stderr
