"""A smart host that wants OAuth 2 gets tokens that the relay asks for itself, in time, once for all connections; what is
wrong with the endpoint costs no mail and is said."""
import json
import subprocess
import threading
import urllib.parse

import pytest

from support.certificates import Authority
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import Relay, binary, smart_host
from support.scripted_server import ScriptedServer
from support.waiting import wait_until
from support.web_server import WebServer

pytestmark = pytest.mark.sanitized
USER, SECRET = "relay@here.test", "client/secret+42"


class Endpoint:
    """A token endpoint: numbers its tokens, and knows which one the smart host takes."""

    def __init__(self, web, smart):
        self.web, self.smart = web, smart
        self.lifetime, self.given, self.fault = 3600, 0, None
        self.lock = threading.Lock()
        web.answer = self

    def __call__(self, asked):
        if self.fault:
            return self.fault
        with self.lock:
            self.given += 1
            token = f"secret-token-{self.given}"
            self.smart.accounts[USER] = token
        return (200, {"Content-Type": "application/json"},
                json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}).encode())

    @property
    def forms(self):
        return [dict(urllib.parse.parse_qsl(asked.body.decode())) for asked in self.web.asked]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("both", ["IP:127.0.1.1", "IP:127.0.0.1"])


@pytest.fixture
def smart(certificate):
    with ScriptedServer(tls=certificate.server_context(), accounts={USER: "nothing"},
                        mechanisms=("XOAUTH2",)) as server:
        yield server


@pytest.fixture
def endpoint(certificate, smart):
    with WebServer(certificate) as web:
        yield Endpoint(web, smart)


@pytest.fixture
def out(authority, smart, endpoint, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)

    def connector(**more):
        connector = smart_host(smart, username=USER, tls_ca_file=authority.file, oauth_ca_file=authority.file,
                               oauth_token_url=endpoint.web.url + "/tenant/token", oauth_client_id="client 1",
                               oauth_client_secret_file=str(secret), oauth_scope="https://mail.test/.default", **more)
        del connector["tls"]
        return [connector]
    return connector


def auths(server):
    return [c for s in server.sessions for c in s.commands if c.line.startswith("AUTH")]


def test_a_token_is_fetched_and_used_by_all_connections(start_relay, smart, endpoint, out):
    relay = start_relay(send=out(max_messages_per_connection=1))
    for _ in range(20):
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    for message in smart.wait_messages(20, timeout=30):
        assert message.session.user == USER
    assert endpoint.given == 1, "one request at a time, and its token for both shards"
    assert endpoint.web.asked[0].method == "POST" and endpoint.web.asked[0].path == "/tenant/token"
    assert endpoint.forms == [{"grant_type": "client_credentials", "client_id": "client 1", "client_secret": SECRET,
                               "scope": "https://mail.test/.default"}]
    assert not smart.violations


def test_tokens_that_end_in_mid_run_are_renewed_before_they_do(start_relay, smart, endpoint, out):
    endpoint.lifetime = 4
    relay = start_relay(send=out(max_messages_per_connection=1), top={"shards": 1})
    sent = 0
    while endpoint.given < 3:
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        sent += 1
        smart.wait_messages(sent)
        assert sent < 5000
    relay.drain()
    assert not relay.log.find(event="deferred"), "nobody noticed"
    assert {message.session.user for message in smart.wait_messages(sent)} == {USER}


def test_a_token_that_is_taken_back_is_replaced_at_once(start_relay, smart, endpoint, out):
    relay = start_relay(send=out(max_messages_per_connection=1, host_backoff="1h"), top={"shards": 1})
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    smart.wait_messages(1)
    smart.accounts[USER] = "taken back"
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    smart.wait_messages(2)
    assert endpoint.given == 2
    assert not relay.log.find(event="deferred"), "not even the host rested"


def test_a_fresh_token_that_is_refused_is_not_asked_for_again(start_relay, smart, endpoint, out):
    smart.on("auth", "535 5.7.3 Authentication unsuccessful")
    relay = start_relay(send=out(host_backoff="1h"), top={"shards": 1}, queue={"retry_first": "1h", "retry_max": "1h"})
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    said = relay.log.wait_for(event="deferred", id=message_id)
    assert "a fault of this relay's configuration" in said["reply"], said
    assert endpoint.given == 1


FAULTS = {
    "secret": ((401, {"Content-Type": "application/json"},
                b'{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret\\r\\nTrace"}'),
               ["invalid_client", "AADSTS7000215", "oauth_client_secret_file"]),
    "scope": ((400, {}, b'{"error": "invalid_scope"}'), ["invalid_scope", "oauth_scope"]),
    "busy": ((503, {}, b"try later"), ["503"]),
    "no such page": ((404, {}, b"<html>"), ["404", "oauth_token_url"]),
    "redirect": ((302, {"Location": "https://elsewhere.test/"}, b""), ["302", "oauth_token_url"]),
    "no json": ((200, {}, b"<html>"), ["no JSON"]),
    "no token": ((200, {}, b'{"token_type": "Bearer"}'), ["no access_token"]),
    "injection": ((200, {}, b'{"token_type": "Bearer", "access_token": "a\\r\\nMAIL FROM:<x>"}'), ["no access_token"]),
    "endless": ((200, {}, b" " * 200_000), ["too large"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_endpoint_that_gives_none_is_named_and_costs_no_mail(start_relay, smart, endpoint, out, fault):
    endpoint.fault, words = FAULTS[fault]
    relay = start_relay(send=out())
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    said = relay.log.wait_for(event="deferred", id=message_id)
    assert said["status"] == "4.7.8" and endpoint.web.url in said["reply"]
    for word in words:
        assert word in said["reply"], said
    assert relay.log.wait_for(event="oauth_failed")["connector"] == "out"
    endpoint.fault = None
    smart.wait_messages(1, timeout=20)


def test_a_failing_endpoint_is_left_alone(start_relay, smart, endpoint, out):
    endpoint.fault = FAULTS["busy"][0]
    relay = start_relay(send=out(host_backoff="10m"), queue={"retry_first": "100ms", "retry_max": "100ms"})
    ids = [relay.deliver_in(SENDER, [RECIPIENT], SIMPLE) for _ in range(5)]
    for _ in range(3):
        relay.cli("retry", *ids)
    relay.log.wait_for(event="deferred")
    assert len(endpoint.web.asked) == 1
    assert not auths(smart)


def test_an_endpoint_that_only_pretends_is_told_nothing(start_relay, smart, out, endpoint, tmp_path):
    other = Authority(tmp_path / "other")
    relay = start_relay(send=out() and [out()[0] | {"oauth_ca_file": other.file}])
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert "oauth_ca_file" in relay.log.wait_for(event="deferred", id=message_id)["reply"]
    assert not endpoint.web.asked


def test_a_refresh_token_is_another_way_to_a_token(start_relay, smart, endpoint, out, tmp_path):
    refresh = tmp_path / "refresh"
    refresh.write_text("refresh-7\n")
    refresh.chmod(0o600)
    relay = start_relay(send=out(oauth_refresh_token_file=str(refresh)))
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    smart.wait_messages(1)
    assert endpoint.forms[0]["grant_type"] == "refresh_token" and endpoint.forms[0]["refresh_token"] == "refresh-7"


def test_no_secret_is_written_down(start_relay, smart, endpoint, out):
    relay = start_relay(send=out(), extra={"log": {"level": "debug"}})
    endpoint.fault = FAULTS["secret"][0]
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    relay.log.wait_for(event="oauth_failed")
    endpoint.fault = None
    smart.wait_messages(1, timeout=20)
    relay.log.wait_for(event="oauth_token")
    printed = subprocess.run([binary(), "check", "--config", str(relay.config_file), "--print"], capture_output=True,
                             timeout=60)
    everything = relay.log_file.read_bytes() + relay.error_file.read_bytes() + printed.stdout + printed.stderr
    for text in (SECRET, urllib.parse.quote(SECRET, safe=""), "secret-token"):
        assert text.encode() not in everything


MISTAKES = [({"oauth_token_url": "http://login.test/token"}, "must begin with https://"),
            ({"oauth_token_url": ""}, "needs an oauth_token_url"),
            ({"oauth_client_id": ""}, "needs an oauth_client_id"),
            ({"oauth_client_secret_file": ""}, "needs an oauth_client_secret_file"),
            ({"password": "x"}, "the token is the password"),
            ({"auth_mechanism": "plain"}, "takes no tokens"),
            ({"username": ""}, "needs a username")]


@pytest.mark.parametrize("change,words", MISTAKES, ids=[words for _, words in MISTAKES])
def test_what_cannot_work_is_a_mistake(tmp_path, out, change, words):
    relay = Relay(tmp_path / "relay", send=[out()[0] | change])
    relay.write_config()
    result = subprocess.run([binary(), "check", "--config", str(relay.config_file)], capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == 1 and words in result.stderr, result.stderr


def test_a_relay_stops_while_a_token_is_waited_for(start_relay, smart, endpoint, out):
    endpoint.web.answer = lambda asked: None
    relay = start_relay(send=out(), queue={"drain_timeout": "1s"})
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    endpoint.web.wait_asked(1)
    assert relay.stop(timeout=20) == 0
    wait_until(lambda: relay.log.find(event="stopped"), 5)
