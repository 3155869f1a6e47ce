"""DANE towards destinations (RFC 7672), with a zone that Knot signs and an Unbound that validates it: what is published is
demanded, and what cannot be believed is never used."""
import hashlib
import subprocess

import pytest

from support.certificates import Authority
from support.mail import SENDER, SIMPLE
from support.name_servers import Knot, Unbound
from support.relay import by_mx
from support.scripted_server import ScriptedServer
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized


def digest_of(certificate, whole=False):
    """SHA-256 of a certificate file's first certificate, or of its key."""
    der = subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "der"], capture_output=True, check=True)
    if whole:
        return hashlib.sha256(der.stdout).hexdigest()
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], capture_output=True, check=True)
    spki = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key.stdout, capture_output=True,
                          check=True)
    return hashlib.sha256(spki.stdout).hexdigest()


class Site:
    """A mail host behind signed names, and the name servers that know them."""

    def __init__(self, folder):
        authority = Authority(folder / "ca")
        # Of no authority that the relay knows, out of date, and for another name.
        self.odd = authority.issue("elsewhere.test", key="ec", begin=-9, end=-2)
        self.named = authority.issue("named", ["DNS:mx.anchored.test"])
        chain = folder / "chain.pem"
        chain.write_text(open(self.named.certificate).read() + open(authority.file).read())
        self.named.certificate = str(chain)
        self.host = ScriptedServer(address="127.0.1.1", tls=self.odd.server_context())
        self.anchored = ScriptedServer(address="127.0.1.2", port=self.host.port, tls=self.named.server_context())
        self.plain = ScriptedServer(address="127.0.1.3", port=self.host.port)
        self.servers = [self.host, self.anchored, self.plain]
        self.knot = Knot(folder / "knot", list(self._zone(authority)), signed=True,
                         children={"unsigned.test": ["@ MX 10 mx.wrong.test."],
                                   "forged.test": ["@ MX 10 mx.key.test."],
                                   "_tcp.mx.tampered.test": [f"_{self.host.port} TLSA 3 1 1 {'0' * 64}"],
                                   "_tcp.mx.halfway.test": [f"_{self.host.port} TLSA 3 1 1 {'0' * 64}"]},
                         insecure=["unsigned.test", "_tcp.mx.halfway.test"])

    def _zone(self, authority):
        key = f"3 1 1 {digest_of(self.odd.certificate)}"
        wrong = f"3 1 1 {'0' * 64}"
        published = {"key": [key], "wrong": [wrong], "rolled": [wrong, key],
                     "useless": [f"1 1 1 {'0' * 64}", f"3 1 1 {'0' * 20}"], "bare": []}
        for name, records in published.items():
            yield from self._domain(name, self.host, records)
        yield from self._domain("anchored", self.anchored, [f"2 0 1 {digest_of(authority.file, whole=True)}"])
        # Below the same anchor, but its certificate does not bear this name.
        yield from self._domain("misnamed", self.anchored, [f"2 0 1 {digest_of(authority.file, whole=True)}"])
        yield from self._domain("clear", self.plain, [key])
        yield from self._domain("cleartoo", self.plain, [f"1 1 1 {'0' * 64}"])
        yield from self._domain("tampered", self.host, [])
        yield from self._domain("halfway", self.host, [])
        yield "spare MX 10 mx.wrong.test.\nspare MX 20 mx.key.test."
        yield "aliased MX 10 alias.test.\nalias CNAME mx.key.test."

    def _domain(self, name, server, records):
        yield f"{name} MX 10 mx.{name}.test.\nmx.{name} A {server.address}"
        for record in records:
            yield f"_{self.host.port}._tcp.mx.{name} TLSA {record}"

    def __enter__(self):
        self.knot.__enter__()
        self.resolver = Unbound(self.knot.folder.parent / "unbound", self.knot).__enter__()
        for server in self.servers:
            server.__enter__()
        return self

    def __exit__(self, *what):
        for each in [*self.servers, self.resolver, self.knot]:
            each.__exit__(*what)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Site(tmp_path_factory.mktemp("dane")) as site:
        yield site


@pytest.fixture(scope="module")
def relay(start_shared_relay, site):
    return start_shared_relay(
        send=[by_mx(site.host.port, tls="dane")], queue={"retry_first": "1s", "retry_max": "1h", "lifetime": "1d"},
        dns={"servers": [site.resolver.address], "trust_ad": True, "timeout": "5s"})


def fate(relay, domain):
    """What becomes of a message to that domain: its first attempt."""
    message_id = relay.deliver_in(SENDER, [f"<b@{domain}>"], SIMPLE)
    return relay.log.wait_for(lambda event: event["event"] in ("delivered", "deferred", "bounced"), timeout=20,
                              id=message_id)


def mails_in_clear(*servers):
    return [c for server in servers for s in server.sessions for c in s.commands
            if c.line.upper().startswith("MAIL") and not c.tls]


@pytest.mark.parametrize("domain", ["key.test", "rolled.test", "aliased.test"])
def test_a_host_with_the_published_key_is_believed_whatever_its_certificate_says(relay, site, domain):
    """DANE-EE: expired, self-signed for all we know, and for another name."""
    event = fate(relay, domain)
    assert (event["event"], event["tls"]) == ("delivered", "TLSv1.3 dane")


def test_a_host_below_the_published_anchor_is_believed_by_its_name(relay, site):
    event = fate(relay, "anchored.test")
    assert (event["event"], event["tls"]) == ("delivered", "TLSv1.3 dane")
    assert site.anchored.delivered
    event = fate(relay, "misnamed.test")
    assert (event["event"], event["status"]) == ("deferred", "4.7.5")
    assert "not for this host's name" in event["reply"] and "DANE" in event["reply"]


def test_a_host_with_another_key_gets_nothing(relay, site):
    before = relay.metric("sluice_tls_policies_total", policy="dane", result="failed")
    taken = len(site.host.delivered)
    event = fate(relay, "wrong.test")
    assert (event["event"], event["status"]) == ("deferred", "4.7.5")
    assert "no TLSA record" in event["reply"] and "mx.wrong.test" in event["reply"]
    wait_until(lambda: relay.metric("sluice_tls_policies_total", policy="dane", result="failed") > before, 5)
    assert len(site.host.delivered) == taken and not mails_in_clear(site.host)


def test_the_next_host_is_tried_when_one_is_not_the_published(relay, site):
    event = fate(relay, "spare.test")
    assert (event["event"], event["mx"], event["tls"]) == ("delivered", "mx.key.test", "TLSv1.3 dane")


def test_records_that_nobody_can_use_still_demand_tls(relay, site):
    event = fate(relay, "useless.test")
    assert (event["event"], event["tls"]) == ("delivered", "TLSv1.3")
    event = fate(relay, "cleartoo.test")
    assert (event["event"], event["status"]) == ("deferred", "4.7.4")


def test_a_host_with_records_and_without_starttls_gets_nothing(relay, site):
    event = fate(relay, "clear.test")
    assert (event["event"], event["status"]) == ("deferred", "4.7.4")
    assert "DANE" in event["reply"] and not mails_in_clear(site.plain)


def test_a_signed_host_without_records_is_mailed_opportunistically(relay, site):
    event = fate(relay, "bare.test")
    assert (event["event"], event["tls"]) == ("delivered", "TLSv1.3")


def test_records_that_were_not_validated_count_for_nothing(relay, site):
    """An MX that anybody could have put there, and TLSA records below a delegation without DNSSEC: both wrong."""
    for domain in ("unsigned.test", "halfway.test"):
        event = fate(relay, domain)
        assert (event["event"], event["tls"]) == ("delivered", "TLSv1.3"), domain


def test_a_host_whose_records_were_tampered_with_is_not_used(relay, site):
    connections = len(site.host.sessions)
    event = fate(relay, "tampered.test")
    assert (event["event"], event["status"]) == ("deferred", "4.4.3")
    assert "TLSA records cannot be had or were tampered with" in event["reply"]
    event = fate(relay, "forged.test")
    assert (event["event"], event["status"]) == ("deferred", "4.4.3")
    assert len(site.host.sessions) == connections


def test_a_resolver_that_is_not_trusted_is_not_believed(start_relay, site):
    """`sluice check` refuses `dane` without trust_ad; a resolver without it says nothing of DANE to other levels."""
    relay = start_relay(start=False, send=[by_mx(site.host.port, tls="dane")],
                        dns={"servers": [site.resolver.address]})
    relay.write_config()
    refused = relay.cli("check", check=False)
    assert refused.returncode == 1 and "trust_ad" in refused.stdout + refused.stderr
