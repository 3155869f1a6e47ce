"""Clients that authenticate may relay, and nobody else learns anything: programs that people use, wrong and odd answers,
who is shut out, users that come and go (AR3, AR4, AR6)."""
import base64
import os
import shutil
import smtplib
import subprocess

import pytest

from support.certificates import Authority
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.ports import free_port
from support.relay import Relay, binary, smart_host
from support.scram import ScramClient
from support.smtp_client import SmtpClient, any_certificate
from support.users import PASSWORD, passwd, plain
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca")).issue("relay.test")


@pytest.fixture(scope="module")
def lines():
    return {"ann": passwd("ann"), "bob": passwd("bob", "hush-hush-hush", "--sender", "bob@here.test")}


@pytest.fixture
def users(tmp_path, lines):
    path = tmp_path / "users"
    path.write_text("".join(lines.values()))
    path.chmod(0o600)
    return path


@pytest.fixture
def relay_with(start_relay, server, users, leaf):
    """A relay that takes mail of strangers by AUTH only."""
    def start(**settings):
        receive = {"users_file": str(users), "auth_failure_delay": "0s", "relay_networks": [], "tls": "starttls",
                   "tls_certificate": leaf.certificate, "tls_key": leaf.key} | settings
        if receive["tls"] == "off":
            del receive["tls_certificate"], receive["tls_key"]
        return start_relay(send=[smart_host(server)], receive=receive)
    return start


@pytest.fixture
def in_clear(relay_with):
    return lambda **settings: relay_with(tls="off", auth_plaintext=True, **settings)


def secure(relay, source=None):
    client = SmtpClient(("127.0.0.1", relay.port), source=source)
    client.reply()
    client.hello()
    client.starttls(any_certificate(), "relay.test")
    return client


def log_in(relay, user="ann", password=PASSWORD, source=None):
    """The reply to AUTH in a session of its own, in clear."""
    with relay.smtp(source=source) as client:
        client.hello()
        return client.command("AUTH PLAIN " + plain(user, password))


# Programs that people use


def assert_taken(relay, server, mechanism):
    message = server.wait_messages(1)[0]
    assert " with ESMTPSA " in message.header("Received"), mechanism
    event = relay.log.wait_for(event="accepted")
    assert event["user"] == "ann" and event["tls"].startswith("TLS")


@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_python_authenticates(relay_with, server, mechanism):
    relay = relay_with()
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=30) as client:
        client.starttls(context=any_certificate())
        client.ehlo()
        client.user, client.password = "ann", PASSWORD
        assert client.auth(mechanism, getattr(client, "auth_" + mechanism))[0] == 235
        client.sendmail(SENDER.strip("<>"), [RECIPIENT.strip("<>")], SIMPLE)
    assert_taken(relay, server, mechanism)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_authenticates(relay_with, server, mechanism):
    if not shutil.which("swaks"):
        pytest.skip("swaks is not installed")
    relay = relay_with()
    subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(relay.port), "--from", SENDER.strip("<>"), "--to",
                    RECIPIENT.strip("<>"), "--tls", "--auth", mechanism, "--auth-user", "ann", "--auth-password",
                    PASSWORD, "--silent", "1"], check=True, timeout=60)
    assert_taken(relay, server, mechanism)


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
def test_msmtp_authenticates(relay_with, server, mechanism):
    if not shutil.which("msmtp"):
        pytest.skip("msmtp is not installed")
    relay = relay_with()
    subprocess.run(["msmtp", "--host=127.0.0.1", f"--port={relay.port}", f"--from={SENDER.strip('<>')}",
                    f"--auth={mechanism}", "--user=ann", f"--passwordeval=echo {PASSWORD}", "--tls=on",
                    "--tls-starttls=on", "--tls-certcheck=off", "--file=/dev/null", RECIPIENT.strip("<>")],
                   input=SIMPLE.replace(b"\r\n", b"\n"), check=True, timeout=60)
    assert_taken(relay, server, mechanism)


def test_scram_by_another_hand(relay_with):
    relay = relay_with(auth_mechanisms=["scram-sha-256"])
    with secure(relay) as client:
        assert "AUTH SCRAM-SHA-256" in client.hello().lines
        for password in ("wrong", PASSWORD):
            scram = ScramClient("ann", password)
            challenge = client.command("AUTH SCRAM-SHA-256 " + scram.first(), 334)
            reply = client.command(scram.on_challenge(challenge.text))
            if password == "wrong":
                assert (reply.code, reply.status) == (535, "5.7.8")
                continue
            assert reply.code == 334 and scram.on_final(reply.text)
            assert client.command("", 235).status == "2.7.0"
        client.transaction(SENDER, [RECIPIENT], SIMPLE)


# Who may what


def test_only_who_has_authenticated_relays(relay_with):
    relay = relay_with()
    with secure(relay) as client:
        client.hello()
        client.command(f"MAIL FROM:{SENDER}", 250)
        assert client.command(f"RCPT TO:{RECIPIENT}", 550).status == "5.7.1"
        client.command("RSET", 250)
        client.command("AUTH PLAIN " + plain("ann", PASSWORD), 235)
        client.transaction(SENDER, [RECIPIENT], SIMPLE)


def test_a_connector_that_requires_authentication_takes_no_mail_without(relay_with):
    relay = relay_with(auth="required", relay_networks=["127.0.0.0/8"])
    with secure(relay) as client:
        client.hello()
        assert client.command(f"MAIL FROM:{SENDER}", 530).status == "5.7.0"
        client.command("AUTH PLAIN " + plain("ann", PASSWORD), 235)
        client.transaction(SENDER, [RECIPIENT], SIMPLE)


def test_a_public_listener_may_demand_authentication_but_not_be_open(tmp_path, users, leaf):
    public = {"listen": [f"0.0.0.0:{free_port()}"], "users_file": str(users), "tls": "starttls",
              "tls_certificate": leaf.certificate, "tls_key": leaf.key, "relay_networks": ["0.0.0.0/0"]}
    relay = Relay(tmp_path / "relay", receive=public | {"auth": "required"})
    relay.write_config()
    check = [binary(), "check", "--config", str(relay.config_file)]
    assert subprocess.run(check, capture_output=True, timeout=60).returncode == 0
    relay.config["receive"][0]["auth"] = "optional"
    relay.write_config()
    result = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and "an open relay" in result.stderr


def test_a_user_is_held_to_its_senders(in_clear):
    relay = in_clear()
    with relay.smtp() as client:
        client.hello()
        client.command("AUTH PLAIN " + plain("bob", "hush-hush-hush"), 235)
        assert client.command("MAIL FROM:<boss@here.test>", 550).status == "5.7.1"
        client.transaction("<bob@here.test>", [RECIPIENT], SIMPLE)
    assert relay.log.wait_for(event="refused")["sender"] == "boss@here.test"


# Nobody learns anything


def test_no_password_is_asked_for_or_looked_up_in_clear(relay_with, users):
    relay = relay_with()
    users.write_text("broken")
    with relay.smtp() as client:
        assert not [line for line in client.hello().lines if line.startswith("AUTH")]
        assert client.command("AUTH PLAIN " + plain("ann", PASSWORD), 538).status == "5.7.11"
        client.command("NOOP", 250)
    assert not relay.log.find(event="users_failed"), "the users file was read"
    assert relay.metric("sluice_authentications_total") == 0


def test_a_wrong_user_and_a_wrong_password_are_answered_alike(in_clear):
    relay = in_clear()
    assert log_in(relay, "ann", "wrong").raw == log_in(relay, "nobody", PASSWORD).raw
    assert log_in(relay, "ann", "wrong").status == "5.7.8"
    assert relay.metric("sluice_authentications_total", result="failed") == 3


@pytest.mark.parametrize("answer", ["A", "AB", "ABC", "ABCD", "ABCDE", "=", "AGE=", "====", plain("ann", ""),
                                    plain("", "x"), "AAAAAA==", base64.b64encode(b"\0a\0b\0").decode(), "*"],
                         ids=lambda answer: answer[:12])
def test_odd_answers_are_refused_and_the_third_one_ends_the_session(in_clear, answer):
    relay = in_clear()
    with relay.smtp() as client:
        client.hello()
        for _ in range(2):
            client.command("AUTH PLAIN", 334)
            assert client.command(answer).code in (501, 535)
        client.command("AUTH PLAIN", 334)
        assert client.command(answer, 421).status == "4.7.0"
        assert client.at_end()
    with relay.smtp() as client:
        client.hello()
        client.command("AUTH PLAIN " + plain("ann", PASSWORD), 235)


def test_an_endless_answer_ends_the_session(in_clear):
    relay = in_clear()
    with relay.smtp() as client:
        client.hello()
        client.command("AUTH PLAIN", 334)
        try:
            client.send(b"A" * (1 << 20) + b"\r\n")
        except OSError:
            pass  # closed before all was said
        assert client.rest(timeout=10)[:3] in (b"500", b"421", b"")
    assert log_in(relay).code == 235


def test_who_fails_too_often_is_shut_out_for_a_time_and_others_are_not(in_clear):
    relay = in_clear(auth_lockout={"failures": 5, "window": "1m", "time": "3s"})
    for n in range(5):
        assert log_in(relay, f"guess{n}", "x", source="127.0.0.2").code == 535
    assert log_in(relay, "ann", source="127.0.0.2").status == "4.7.0"
    assert log_in(relay, "ann", source="127.0.0.3").code == 235
    assert relay.log.wait_for(event="auth_locked_out")["locked_out"] == "client"
    assert relay.metric("sluice_authentications_total", result="shut_out") == 1
    wait_until(lambda: log_in(relay, "ann", source="127.0.0.2").code == 235, 20, "back in", )


def test_an_account_that_is_guessed_at_is_shut_for_all(in_clear):
    relay = in_clear(auth_lockout={"failures": 4, "window": "1m", "time": "10m"})
    for n in range(4):
        log_in(relay, "ann", "x", source=f"127.0.0.{n + 2}")
    assert log_in(relay, "ann", source="127.0.0.9").code == 454
    assert log_in(relay, "bob", "hush-hush-hush", source="127.0.0.9").code == 235


def test_no_credential_is_ever_written_down(start_relay, server, users, tmp_path):
    relay = start_relay(send=[smart_host(server)], extra={"log": {"level": "debug"}},
                        receive={"users_file": str(users), "auth_plaintext": True, "auth_failure_delay": "0s"})
    assert log_in(relay).code == 235
    assert log_in(relay, "ann", PASSWORD + "x").code == 535
    with relay.smtp() as client:
        client.hello()
        client.command("AUTH LOGIN", 334)
        client.command(base64.b64encode(b"ann").decode(), 334)
        client.command(base64.b64encode(PASSWORD.encode()).decode(), 235)
    users.write_text(f"ann {PASSWORD}\n")
    log_in(relay)
    relay.log.wait_for(event="users_failed")
    printed = subprocess.run([binary(), "check", "--config", str(relay.config_file), "--print"], capture_output=True,
                             timeout=60)
    everything = relay.log_file.read_bytes() + relay.error_file.read_bytes() + printed.stdout + printed.stderr
    everything += b"".join(open(f"/proc/{relay.pid}/{name}", "rb").read() for name in ("cmdline", "environ"))
    for secret in (PASSWORD, plain("ann", PASSWORD), base64.b64encode(PASSWORD.encode()).decode()):
        assert secret.encode() not in everything


@pytest.mark.parametrize("user,password,options", [("", "x", ()), ("a b", "x", ()), ("ann", "", ()),
                                                   ("ann", "x\x01", ()), ("ann", "x", ("--sender", "nobody"))])
def test_passwd_makes_no_line_that_could_not_be_read(user, password, options):
    result = subprocess.run([binary(), "passwd", user, *options], input=password + "\n", capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == 1 and result.stdout == "" and result.stderr


def test_passwd_shows_no_password(lines):
    assert PASSWORD not in lines["ann"]
    assert lines["ann"] != passwd("ann"), "every line has a salt of its own"
    assert "scram-sha-256$" not in passwd("ann", PASSWORD, "--no-scram")


# Users come and go


def test_users_change_without_a_reload(in_clear, users, lines):
    relay = in_clear()
    assert log_in(relay, "carl").code == 535
    fresh = users.with_name("fresh")
    fresh.write_text(passwd("carl"))
    fresh.chmod(0o600)
    os.replace(fresh, users)
    assert log_in(relay, "carl").code == 235
    assert log_in(relay, "ann").code == 535, "is not there any more"


def test_a_users_file_that_breaks_leaves_those_who_were_there(in_clear, users):
    relay = in_clear()
    users.write_text("ann scrypt$oops\n")
    assert log_in(relay).code == 235
    assert f"{users}:1:5: " in relay.log.wait_for(event="users_failed")["reason"]
    assert relay.metric("sluice_reload_failures_total") == 1


def test_mistakes_in_a_users_file_stop_the_start(tmp_path, users):
    users.write_text("# staff\nann secret\n")
    relay = Relay(tmp_path / "relay", receive={"users_file": str(users), "auth_plaintext": True})
    relay.spawn()
    assert relay.process.wait(20) == 1
    assert f"{users}:2:5: expected scrypt$" in relay.errors()
    users.chmod(0o644)
    relay.spawn()
    assert relay.process.wait(20) == 1
    assert "open to every user" in relay.errors()
