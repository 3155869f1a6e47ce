"""The relay proves itself to smart hosts that want it, never in clear, and says what is wrong when they do not take it."""
import base64
import subprocess

import pytest

from support.certificates import Authority
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import Relay, binary, smart_host
from support.scripted_server import ScriptedServer
from support.waiting import pause, wait_until

pytestmark = pytest.mark.sanitized
USER, PASSWORD = "relay@here.test", "battery-staple-23"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def good(authority):
    return authority.issue("smart.test", ["IP:127.0.1.1"])


@pytest.fixture
def smart(good):
    """A smart host that wants AUTH."""
    def listen(**more):
        return ScriptedServer(**{"tls": good.server_context(), "accounts": {USER: PASSWORD}} | more)
    return listen


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def out(authority, secret):
    """A connector with credentials, whose TLS is what it is by default."""
    def connector(server, **more):
        connector = smart_host(server, username=USER, password_file=str(secret), tls_ca_file=authority.file,
                               **more)
        if "tls" not in more:
            del connector["tls"]
        return [connector]
    return connector


def auths(server):
    return [c for s in server.sessions for c in s.commands if c.line.startswith("AUTH")]


@pytest.mark.parametrize("offered,used", [(("PLAIN", "LOGIN", "SCRAM-SHA-256"), "SCRAM-SHA-256"),
                                          (("LOGIN", "PLAIN"), "PLAIN"), (("XOAUTH2", "LOGIN"), "LOGIN")])
def test_the_best_that_is_offered_is_used(start_relay, smart, out, offered, used):
    with smart(mechanisms=offered) as server:
        relay = start_relay(send=out(server))
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        message = server.wait_messages(1)[0]
        assert message.session.user == USER
        assert auths(server)[0].line.split()[1] == used
        assert all(command.tls for command in auths(server))
        assert not server.violations


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
def test_the_mechanism_can_be_chosen(start_relay, smart, out, mechanism):
    with smart() as server:
        relay = start_relay(send=out(server, auth_mechanism=mechanism))
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        server.wait_messages(1)
        assert auths(server)[0].line.split()[1].lower() == mechanism


@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
def test_a_token_is_read_again_at_each_connection(start_relay, smart, out, secret, mechanism):
    with smart(mechanisms=(mechanism.upper(),), accounts={USER: "token-1"}) as server:
        secret.write_text("token-1\n")
        relay = start_relay(send=out(server, auth_mechanism=mechanism, max_messages_per_connection=1))
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        server.wait_messages(1)
        server.accounts[USER] = "token-2"
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        wait_until(lambda: len(auths(server)) >= 2, 10)
        secret.write_text("token-2\n")
        server.wait_messages(2, timeout=20)
        assert not server.violations


def test_credentials_are_never_sent_in_clear(start_relay, smart, out):
    with smart(tls=None, auth_in_clear=True) as server:
        relay = start_relay(send=out(server))
        message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        assert relay.log.wait_for(event="deferred", id=message_id)["status"] == "4.7.4"
        assert not auths(server)


def test_credentials_are_not_sent_to_one_who_only_pretends(start_relay, smart, out, tmp_path):
    other = Authority(tmp_path / "other").issue("smart.test", ["IP:127.0.1.1"])
    with smart(tls=other.server_context()) as server:
        relay = start_relay(send=out(server))
        message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        assert relay.log.wait_for(event="deferred", id=message_id)["status"] == "4.7.5"
        assert not auths(server)


@pytest.mark.parametrize("tls", ["off", "opportunistic"])
def test_a_configuration_that_might_send_them_in_clear_is_refused(tmp_path, server, out, tls):
    relay = Relay(tmp_path / "relay", send=out(server, tls=tls))
    relay.write_config()
    result = subprocess.run([binary(), "check", "--config", str(relay.config_file)], capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == 1 and "credentials are not sent without TLS" in result.stderr


REFUSALS = [("auth", "535 5.7.8 Authentication credentials invalid", "Check username and password_file"),
            ("auth", "535 5.7.30 Basic authentication is not supported", "xoauth2"),
            ("auth", "534-5.7.9 Application-specific password required", "application password"),
            ("mail", "530 5.7.57 Client not authenticated to send mail", "Set username and password_file"),
            ("rcpt", "550 5.7.64 TenantAttribution; Relay Access Denied", "inbound connector"),
            ("mail", "530 5.7.0 Authentication Required", "Set username and password_file")]


@pytest.mark.parametrize("stage,reply,advice", REFUSALS, ids=[reply[:10] for _, reply, _ in REFUSALS])
def test_a_fault_of_the_configuration_is_named_and_costs_no_mail(start_relay, smart, out, stage, reply, advice):
    with smart() as server:
        server.on(stage, reply.replace("534-", "534 "), times=1)
        relay = start_relay(send=out(server))
        message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        said = relay.log.wait_for(event="deferred", id=message_id)
        assert "a fault of this relay's configuration" in said["reply"] and advice in said["reply"]
        assert said["status"].startswith("4.7.")
        server.wait_messages(1, timeout=20)  # once it has been set right
        assert not relay.log.find(event="bounced")


def test_a_host_that_refuses_is_left_alone_for_a_while(start_relay, smart, out):
    with smart(accounts={USER: "another"}) as server:
        relay = start_relay(send=out(server, host_backoff="1m"), queue={"retry_first": "1m", "retry_max": "1m"})
        for _ in range(50):
            relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        relay.log.wait_for(event="destination_unreachable")
        assert "Check username and password_file" in relay.cli("queue", "--json").stdout
        begun = len(auths(server))
        pause(1.0)
        # At most the five first connections of each of the two shards.
        assert begun <= 10 and len(auths(server)) <= begun + 2, "50 messages are no 50 attempts"


def test_no_credential_is_written_down(start_relay, smart, out):
    with smart(mechanisms=("PLAIN",)) as server:
        relay = start_relay(send=out(server), extra={"log": {"level": "debug"}})
        server.on("auth", "535 5.7.8 no", times=1)
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        server.wait_messages(1, timeout=20)
        printed = subprocess.run([binary(), "check", "--config", str(relay.config_file), "--print"],
                                 capture_output=True, timeout=60)
        everything = relay.log_file.read_bytes() + relay.error_file.read_bytes() + printed.stdout + printed.stderr
        everything += open(f"/proc/{relay.pid}/cmdline", "rb").read()
        for text in (PASSWORD, base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()):
            assert text.encode() not in everything
