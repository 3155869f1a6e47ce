"""What messages wish of TLS (RFC 8689): REQUIRETLS goes to proven hosts that pass it on or comes back, and
`TLS-Required: No` goes in any case."""
import pytest

from support.certificates import Authority
from support.fake_dns import FakeDns
from support.mail import RECIPIENT, SENDER, SIMPLE, report_of
from support.relay import by_mx, smart_host
from support.scripted_server import EXTENSIONS, ScriptedServer
from support.smtp_client import any_certificate

pytestmark = pytest.mark.sanitized
PASSING_ON = EXTENSIONS + ("REQUIRETLS",)
SECRET = b"From: sender@here.test\r\nSubject: secret\r\n\r\nthe secret\r\n"
URGENT = b"From: sender@here.test\r\nTLS-Required: No\r\nSubject: your certificate\r\n\r\nhas expired\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.issue("mx.there.test", ["DNS:mx.there.test", "DNS:relay.test", "IP:127.0.1.1"])


@pytest.fixture
def host(leaf):
    """A destination that offers STARTTLS and REQUIRETLS."""
    with ScriptedServer(tls=leaf.server_context(), extensions=PASSING_ON) as server:
        yield server


def start(start_relay, leaf, send, **settings):
    return start_relay(send=[send], receive={"tls": "starttls", "tls_certificate": leaf.certificate,
                                             "tls_key": leaf.key}, **settings)


def send_demanding(relay, content=SECRET, mail="REQUIRETLS", recipient=RECIPIENT):
    """By a client under TLS; gives the queue id."""
    with relay.smtp() as client:
        client.hello()
        client.starttls(any_certificate())
        offered = client.command("EHLO client.test", 250).text
        assert "REQUIRETLS" in offered
        return client.transaction(SENDER, [recipient], content, mail)


def mail_lines(server):
    return [line for line in server.commands("MAIL")]


def test_the_demand_is_taken_under_tls_only(start_relay, host, leaf):
    relay = start(start_relay, leaf, smart_host(host))
    with relay.smtp() as client:
        assert "REQUIRETLS" not in client.command("EHLO client.test", 250).text
        assert client.command(f"MAIL FROM:{SENDER} REQUIRETLS", 530).status == "5.7.10"


def test_the_demand_is_passed_on_to_a_proven_host(start_relay, host, leaf, authority):
    relay = start(start_relay, leaf, smart_host(host, tls="opportunistic", tls_ca_file=authority.file))
    message_id = send_demanding(relay)
    assert relay.log.wait_for(event="delivered", id=message_id)["tls"] == "TLSv1.3 requiretls"
    assert [line for line in mail_lines(host) if "REQUIRETLS" in line]
    plain = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert relay.log.wait_for(event="delivered", id=plain)["tls"] == "TLSv1.3"
    assert "REQUIRETLS" not in mail_lines(host)[-1]


def test_the_demand_outlives_a_crash(start_relay, host, leaf, authority):
    relay = start(start_relay, leaf, smart_host(host, tls_ca_file=authority.file))
    host.stop_listening()
    message_id = send_demanding(relay)
    relay.log.wait_for(event="deferred", id=message_id)
    relay.kill()
    host.listen()
    relay.start()
    relay.log.wait_for(event="delivered", id=message_id, timeout=20)
    assert "REQUIRETLS" in mail_lines(host)[-1]


@pytest.mark.parametrize("lack", ["REQUIRETLS", "certificate", "STARTTLS"])
def test_it_comes_back_without_its_body_where_the_host_cannot_promise_it(start_relay, leaf, authority, tmp_path, lack):
    strange = Authority(tmp_path, "Strange CA").issue("elsewhere.test")
    context = {"REQUIRETLS": leaf, "certificate": strange, "STARTTLS": None}[lack]
    extensions = EXTENSIONS if lack == "REQUIRETLS" else PASSING_ON
    with ScriptedServer(tls=context and context.server_context(), extensions=extensions) as server:
        relay = start(start_relay, leaf, smart_host(server, tls="opportunistic", tls_ca_file=authority.file))
        message_id = send_demanding(relay)
        event = relay.log.wait_for(event="bounced", id=message_id)
        assert event["status"] == "5.7.30" and "REQUIRETLS" in event["reply"]
        notice = server.wait_messages(1)[0]
        assert notice.sender == "<>" and b"the secret" not in notice.content
        report = report_of(notice.content)
        assert b"transport encryption" in notice.content
        assert report
        assert ("REQUIRETLS" in mail_lines(server)[-1]) == (lack == "certificate"), "said where it can be"


def test_an_mx_host_that_nobody_vouches_for_is_not_even_connected_to(start_relay, host, leaf, authority):
    zone = {"there.test": {"MX": ["10 mx.there.test"]}, "mx.there.test": {"A": [host.address]}}
    with FakeDns(zone) as dns:
        relay = start(start_relay, leaf, by_mx(host.port, tls="verify", tls_ca_file=authority.file),
                      dns={"servers": [dns.address]})
        message_id = send_demanding(relay)
        event = relay.log.wait_for(event="bounced", id=message_id)
        assert event["status"] == "5.7.30" and "DNSSEC" in event["reply"]
        assert not host.sessions


def test_dnssec_vouches_for_an_mx_host(start_relay, host, leaf, authority):
    zone = {"there.test": {"MX": ["10 mx.there.test"]}, "mx.there.test": {"A": [host.address]}}
    with FakeDns(zone) as dns:
        dns.default.authentic = True
        relay = start(start_relay, leaf, by_mx(host.port, tls_ca_file=authority.file),
                      dns={"servers": [dns.address], "trust_ad": True})
        message_id = send_demanding(relay)
        assert relay.log.wait_for(event="delivered", id=message_id)["tls"] == "TLSv1.3 requiretls"


def test_mail_that_can_do_without_tls_goes_where_the_published_key_is_not(start_relay, leaf):
    """The destination's DANE records are wrong: others' mail waits, the mail that tells of it arrives."""
    with ScriptedServer(tls=leaf.server_context()) as server:
        zone = {"there.test": {"MX": ["10 mx.there.test"]}, "mx.there.test": {"A": [server.address]},
                f"_{server.port}._tcp.mx.there.test": {"TLSA": [f"3 1 1 {'00' * 32}"]}}
        with FakeDns(zone) as dns:
            dns.default.authentic = True
            relay = start_relay(send=[by_mx(server.port, tls="dane")], dns={"servers": [dns.address], "trust_ad": True})
            waits = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
            assert relay.log.wait_for(event="deferred", id=waits)["status"] == "4.7.5"
            goes = relay.deliver_in(SENDER, [RECIPIENT], URGENT)
            assert relay.log.wait_for(event="delivered", id=goes)["tls"] == "TLSv1.3"
            assert relay.queues()["there.test"]["deferred"] + relay.queues()["there.test"]["ready"] >= 1


def test_the_demand_goes_before_the_field(start_relay, host, leaf, authority):
    relay = start(start_relay, leaf, smart_host(host, tls_ca_file=authority.file))
    message_id = send_demanding(relay, content=URGENT)
    assert relay.log.wait_for(event="delivered", id=message_id)["tls"] == "TLSv1.3 requiretls"


def test_the_field_changes_nothing_of_what_is_configured_here(start_relay, server):
    relay = start_relay(send=[smart_host(server, tls="required")])
    message_id = relay.deliver_in(SENDER, [RECIPIENT], URGENT)
    assert relay.log.wait_for(event="deferred", id=message_id)["status"] == "4.7.4"
