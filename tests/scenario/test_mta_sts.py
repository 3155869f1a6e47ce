"""What a domain says by MTA-STS about its mail hosts is fetched, believed, kept and kept to (RFC 8461); and a domain
whose policy cannot be had does not lose its mail, nor hold up another's."""
import hashlib
import os
import ssl
import subprocess
import threading

import pytest

from support.certificates import Authority
from support.fake_dns import FakeDns
from support.mail import SENDER, SIMPLE
from support.relay import Relay, binary, by_mx, smart_host
from support.scripted_server import ScriptedServer
from support.waiting import wait_until
from support.web_server import WebServer

pytestmark = pytest.mark.sanitized
TO = "<b@there.test>"
LONG = 604800


def policy(mode="enforce", mx=("mx.there.test",), max_age=LONG):
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {name}" for name in mx), f"max_age: {max_age}"]
    return (200, {"Content-Type": "text/plain"}, "".join(line + "\r\n" for line in lines).encode())


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificates(authority):
    return {"good": authority.issue("mx.there.test"), "wrong": authority.issue("elsewhere.test"),
            "host": authority.issue("mta-sts.there.test", ["DNS:mta-sts.there.test", "DNS:mta-sts.slow.test"]),
            "wrong host": authority.issue("there.test")}


class Domain:
    """there.test: its record, its policy host, its mail host."""

    def __init__(self, dns, web, server):
        self.dns, self.web, self.server = dns, web, server
        self.publish("1", policy())
        dns.set("mta-sts.there.test", A=[web.address])
        dns.set("there.test", MX=["10 mx.there.test"])
        dns.set("mx.there.test", A=[server.address])

    def publish(self, record_id, answer):
        self.web.answer = lambda asked: answer
        self.dns.set("_mta-sts.there.test", TXT=[f"v=STSv1; id={record_id};"])

    def vanish(self):
        """Neither record nor policy host, as somebody on the way would have it."""
        self.web.answer = lambda asked: (503, {}, b"")
        self.dns.set("_mta-sts.there.test")
        self.dns.behave("_mta-sts.there.test", rcode="SERVFAIL")


def mails(server):
    return [c for s in server.sessions for c in s.commands if c.line.upper().startswith("MAIL")]


@pytest.fixture
def make_domain(certificates):
    """A domain whose mail host has the `good` or a `wrong` certificate, or offers no TLS."""
    opened = []

    def make(certificate="good", host="host"):
        address = f"127.44.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
        dns = FakeDns({})
        dns.ttl = 1
        opened.append(dns)
        try:
            web = WebServer(certificates[host], address, 443)
        except PermissionError:
            pytest.skip("port 443 is not for us here")
        opened.append(web)
        tls = certificates[certificate].server_context() if certificate else None
        server = ScriptedServer(tls=tls)
        server.__enter__()
        opened.append(server)
        return Domain(dns, web, server)
    yield make
    for one in reversed(opened):
        one.__exit__(None, None, None)


@pytest.fixture
def relay_for(start_relay, authority):
    def start(domain, dns=None, **more):
        return start_relay(send=[by_mx(domain.server.port, tls="mta-sts", tls_ca_file=authority.file)],
                           dns={"servers": [domain.dns.address]} | (dns or {}), **more)
    return start


def test_enforced_and_kept(make_domain, relay_for):
    domain = make_domain()
    relay = relay_for(domain)
    for _ in range(3):
        message_id = relay.deliver_in(SENDER, [TO], SIMPLE)
        assert "TLS" in relay.log.wait_for(event="delivered", id=message_id)["tls"]
    said = relay.log.wait_for(event="mta_sts_policy")
    assert (said["domain"], said["mode"], said["id"], said["max_age_s"]) == ("there.test", "enforce", "1", LONG)
    assert [asked.path for asked in domain.web.asked] == ["/.well-known/mta-sts.txt"], "fetched once"
    assert domain.web.asked[0].headers["Host"] == "mta-sts.there.test"


FAULTS = {"wrong certificate": ("wrong", policy(), "4.7.5"),
          "no TLS": (None, policy(), "4.7.4"),
          "not named": ("good", policy(mx=["other.there.test", "*.mx.there.test"]), "4.7.5")}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_host_that_breaks_an_enforced_policy_gets_no_mail(make_domain, relay_for, fault):
    certificate, answer, status = FAULTS[fault]
    domain = make_domain(certificate)
    domain.publish("1", answer)
    relay = relay_for(domain)
    message_id = relay.deliver_in(SENDER, [TO], SIMPLE)
    said = relay.log.wait_for(event="deferred", id=message_id)
    assert said["status"] == status and "MTA-STS" in said["reply"], said
    assert not mails(domain.server)
    domain.publish("2", policy("none", []))  # and once the domain has thought better of it
    relay.log.wait_for(event="delivered", id=message_id, timeout=20)


@pytest.mark.parametrize("mode", ["testing", "none"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_policy_that_is_not_enforced_holds_up_no_mail(make_domain, relay_for, mode, fault):
    domain = make_domain(FAULTS[fault][0])
    domain.publish("1", policy(mode, ["other.there.test"] if fault == "not named" else ["mx.there.test"]))
    relay = relay_for(domain)
    message_id = relay.deliver_in(SENDER, [TO], SIMPLE)
    relay.log.wait_for(event="delivered", id=message_id)
    assert relay.log.wait_for(event="mta_sts_policy")["mode"] == mode
    assert not relay.log.find(event="deferred")


def test_a_domain_without_a_record_is_not_asked_for_a_policy(make_domain, relay_for):
    domain = make_domain("wrong")
    domain.dns.set("_mta-sts.there.test", TXT=["v=spf1 -all"])
    relay = relay_for(domain)
    message_id = relay.deliver_in(SENDER, [TO], SIMPLE)
    relay.log.wait_for(event="delivered", id=message_id)
    assert not domain.web.asked and domain.dns.count("_mta-sts.there.test", "TXT") >= 1


GOOD = policy()[2]
BROKEN = {"redirect": ((302, {"Location": "https://elsewhere.test/"}, b""), "answers 302"),
          "not there": ((404, {"Content-Type": "text/plain"}, GOOD), "answers 404"),
          "type": ((200, {"Content-Type": "text/html"}, GOOD), "text/plain"),
          "no policy": ((200, {"Content-Type": "text/plain"}, b"<html>"), "key: value"),
          "mode": ((200, {"Content-Type": "text/plain"}, GOOD.replace(b"enforce", b"severe")), "mode"),
          "max_age": ((200, {"Content-Type": "text/plain"}, GOOD.replace(b"604800", b"99999999999")), "max_age"),
          "too large": ((200, {"Content-Type": "text/plain"}, GOOD + b"x: y\r\n" * 20_000), "too large"),
          "cut": (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + GOOD, "where the policy ends")}


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_no_policy_is_none(make_domain, relay_for, how):
    domain = make_domain("wrong")
    answer, words = BROKEN[how]
    domain.publish("1", answer)
    relay = relay_for(domain)
    message_id = relay.deliver_in(SENDER, [TO], SIMPLE)
    relay.log.wait_for(event="delivered", id=message_id)
    said = relay.log.wait_for(event="mta_sts_failed")
    assert words in said["reason"] and said["known"] is False, said


def test_a_policy_host_that_only_pretends_is_not_believed(make_domain, relay_for):
    domain = make_domain("wrong", host="wrong host")
    relay = relay_for(domain)
    message_id = relay.deliver_in(SENDER, [TO], SIMPLE)
    relay.log.wait_for(event="delivered", id=message_id)
    assert "not to be trusted" in relay.log.wait_for(event="mta_sts_failed")["reason"]
    assert not domain.web.asked


def test_a_policy_host_that_is_down_holds_up_no_mail(make_domain, relay_for):
    domain = make_domain("wrong")
    domain.web.close()
    relay = relay_for(domain)
    message_id = relay.deliver_in(SENDER, [TO], SIMPLE)
    relay.log.wait_for(event="delivered", id=message_id)
    relay.log.wait_for(event="mta_sts_failed", domain="there.test")


def known_policy(domain, relay):
    """A message that the enforced policy holds back."""
    message_id = relay.deliver_in(SENDER, [TO], SIMPLE)
    relay.log.wait_for(event="deferred", id=message_id)
    return message_id


def test_a_known_policy_outlives_record_host_and_restart(make_domain, relay_for):
    domain = make_domain("wrong")
    relay = relay_for(domain)
    message_id = known_policy(domain, relay)
    domain.vanish()
    mark = relay.log.mark()
    relay.log.wait_for(event="deferred", id=message_id, after=mark, count=3, timeout=20)
    relay.restart(kill=True)
    mark = relay.log.mark()
    relay.log.wait_for(event="deferred", id=message_id, after=mark, timeout=20)
    assert not mails(domain.server)


def test_a_broken_policy_does_not_take_the_place_of_a_known_one(make_domain, relay_for):
    domain = make_domain("wrong")
    relay = relay_for(domain)
    message_id = known_policy(domain, relay)
    domain.publish("2", BROKEN["mode"][0])
    assert relay.log.wait_for(event="mta_sts_failed", timeout=20)["known"] is True
    mark = relay.log.mark()
    relay.log.wait_for(event="deferred", id=message_id, after=mark, timeout=20)
    assert not mails(domain.server)


def test_a_policy_ends_with_its_max_age(make_domain, relay_for):
    domain = make_domain("wrong")
    domain.publish("1", policy(max_age=3))
    relay = relay_for(domain)
    message_id = known_policy(domain, relay)
    domain.vanish()
    relay.log.wait_for(event="delivered", id=message_id, timeout=20)


def test_a_policy_is_renewed_before_it_ends(make_domain, relay_for):
    domain = make_domain("wrong")
    domain.publish("1", policy(max_age=6))
    relay = relay_for(domain)
    message_id = known_policy(domain, relay)
    domain.web.wait_asked(4, timeout=40)
    relay.log.wait_for(event="deferred", id=message_id, after=relay.log.mark(), timeout=20)
    assert not mails(domain.server), "there was no time without"


def test_a_policy_that_is_slow_to_come_holds_up_its_own_domain_only(make_domain, relay_for):
    domain = make_domain()
    come = threading.Event()

    def answer(asked):
        if asked.headers["Host"] == "mta-sts.slow.test":
            come.wait(30)
        return policy(mx=["mx.there.test"])
    domain.web.answer = answer
    domain.dns.set("slow.test", MX=["10 mx.there.test"])
    domain.dns.set("_mta-sts.slow.test", TXT=["v=STSv1; id=1"])
    domain.dns.set("mta-sts.slow.test", A=[domain.web.address])
    relay = relay_for(domain, top={"shards": 1})
    slow = relay.deliver_in(SENDER, ["<b@slow.test>"], SIMPLE)
    wait_until(lambda: domain.web.asked, 10)
    for _ in range(5):
        quick = relay.deliver_in(SENDER, [TO], SIMPLE)
        relay.log.wait_for(event="delivered", id=quick)
    assert not relay.log.find(id=slow, event="delivered")
    come.set()
    relay.log.wait_for(event="delivered", id=slow)


@pytest.mark.parametrize("right", [True, False])
def test_a_hosts_tlsa_records_count_rather_than_the_policy(make_domain, relay_for, certificates, right):
    """RFC 8461 section 2: whether they are kinder than the policy, or stricter."""
    domain = make_domain("wrong" if right else "good")
    domain.dns.default.authentic = True
    with open(certificates["wrong"].certificate, encoding="ascii") as file:
        whole = ssl.PEM_cert_to_DER_cert(file.read().split("-----END")[0] + "-----END CERTIFICATE-----")
    domain.dns.set(f"_{domain.server.port}._tcp.mx.there.test", TLSA=[f"3 0 1 {hashlib.sha256(whole).hexdigest()}"])
    relay = relay_for(domain, dns={"trust_ad": True})
    message_id = relay.deliver_in(SENDER, [TO], SIMPLE)
    said = relay.log.wait_for(lambda event: event["event"] in ("delivered", "deferred"), id=message_id)
    assert said["event"] == ("delivered" if right else "deferred"), said
    if right:
        assert said["tls"].endswith("dane")
    else:
        assert "DANE" in said["reply"]
        assert not mails(domain.server)


def test_a_smart_host_has_no_policy(tmp_path, server):
    relay = Relay(tmp_path / "relay", send=[smart_host(server, tls="mta-sts")])
    relay.write_config()
    result = subprocess.run([binary(), "check", "--config", str(relay.config_file)], capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == 1 and '"mta-sts" is for route = "mx"' in result.stderr
