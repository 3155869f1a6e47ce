"""The doctor names what is wrong, says what mends it, and harms nobody: each symptom once, and a healthy relay."""
import json
import subprocess

import pytest

from support.certificates import Authority
from support.dkim_verifiers import DkimKeys
from support.fake_dns import FakeDns
from support.ports import free_port
from support.relay import binary, by_mx, smart_host
from support.scripted_server import EXTENSIONS, Hang, ScriptedServer

US = "203.0.113.7"  # what the world sees
USER, PASSWORD = "relay@here.test", "battery-staple-23"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def dns():
    zone = {"example.com": {"A": ["192.0.2.1"]},
            "mail.here.test": {"A": [US]},
            "7.113.0.203.in-addr.arpa": {"PTR": ["mail.here.test"]},
            "here.test": {"TXT": [f"v=spf1 ip4:{US} -all"]},
            "_dmarc.here.test": {"TXT": ["v=DMARC1; p=reject; rua=mailto:d@here.test"]}}
    with FakeDns(zone) as dns:
        yield dns


@pytest.fixture
def mx(authority, dns):
    """A host that takes mail for there.test."""
    with ScriptedServer(name="mx.there.test", tls=authority.issue("mx.there.test").server_context()) as server:
        dns.set("there.test", MX=["10 mx.there.test"])
        dns.set("mx.there.test", A=[server.address])
        yield server


class Diagnosis:
    def __init__(self, process):
        self.process, self.exit_code = process, process.returncode
        assert process.stdout.startswith("{"), process.stdout + process.stderr
        self.findings = json.loads(process.stdout)["findings"]

    def of(self, check, *levels):
        return [f for f in self.findings if f["check"] == check and (not levels or f["level"] in levels)]

    def errors(self):
        return [f for f in self.findings if f["level"] == "error"]

    def the_error(self, check):
        found = self.of(check, "error")
        assert found, "\n".join(map(str, self.findings))
        assert all(f["fix"] for f in found)
        assert self.exit_code == 1
        return found[0]["text"]


@pytest.fixture
def diagnose(start_relay, dns):
    def run(*arguments, send=(), start=False, settings=None, timeout="2s", where=(f"--address={US}",)):
        settings = dict(settings or {})
        settings.setdefault("top", {}).setdefault("hostname", "mail.here.test")
        settings.setdefault("dns", {}).setdefault("servers", [dns.address])
        relay = start_relay(start=start, send=list(send), **settings)
        relay.data.mkdir(exist_ok=True, mode=0o700)
        relay.write_config()
        return Diagnosis(subprocess.run(
            [binary(), "doctor", "--json", "--timeout", timeout, *where, *arguments, "--config",
             str(relay.config_file)], capture_output=True, text=True, timeout=60))
    return run


def to_there(mx, authority, **more):
    return [by_mx(mx.port, tls="verify", tls_ca_file=authority.file, **more)]


def test_a_healthy_relay_has_no_errors(diagnose, dns, mx, authority, tmp_path):
    keys = DkimKeys(tmp_path / "keys")
    keys.make("here.test", "s1", "--ed25519")
    for name, record in keys.records.items():
        dns.set(name, TXT=[record])
    found = diagnose("there.test", send=to_there(mx, authority), start=True,
                     settings={"extra": {"dkim": keys.sections()}})
    assert found.errors() == [] and found.exit_code == 0
    for check in ("relay", "configuration", "disk", "disk-speed", "data-dir", "dns", "ptr", "spf", "dkim", "dmarc",
                  "mx", "port-25", "destination"):
        assert found.of(check, "ok"), check
    assert all(c.line.split()[0] in ("EHLO", "STARTTLS", "QUIT") for s in mx.sessions for c in s.commands)
    assert not mx.violations


def test_people_get_columns_and_scripts_an_exit_code(diagnose, dns, mx, authority):
    found = diagnose("there.test", "--from=here.test", send=to_there(mx, authority))
    assert found.exit_code == 0 and found.of("relay", "note")
    strict = diagnose("there.test", "--from=here.test", "--strict", send=to_there(mx, authority))
    assert strict.exit_code == 1 and strict.of("dmarc", "warning")
    wrong = subprocess.run([binary(), "doctor", "not a domain"], capture_output=True, text=True, timeout=30)
    assert wrong.returncode == 2 and "no domain" in wrong.stderr


def test_a_blocked_port_25_is_told_from_one_dead_host(diagnose, dns):
    dns.set("there.test", MX=["10 mx.there.test"])
    dns.set("elsewhere.example", MX=["10 mx.elsewhere.example"])
    for host in ("mx.there.test", "mx.elsewhere.example"):
        dns.set(host, A=["127.0.1.1"])
    send = [by_mx(free_port())]
    assert "is blocked outwards" in diagnose("there.test", "elsewhere.example", send=send).the_error("port-25")
    assert "or they are down" in diagnose("there.test", send=send).the_error("port-25")


def test_a_redirected_port_25_is_seen_by_its_greeting(diagnose, dns):
    with ScriptedServer(name="proxy.provider.test") as proxy:
        for domain in ("there.test", "elsewhere.example"):
            dns.set(domain, MX=[f"10 mx.{domain}"])
            dns.set(f"mx.{domain}", A=[proxy.address])
        found = diagnose("there.test", "elsewhere.example", send=[by_mx(proxy.port)])
        text = found.the_error("port-25")
        assert "is redirected" in text and "proxy.provider.test" in text
        own = diagnose("there.test", send=[by_mx(proxy.port)])
        assert not own.of("port-25", "error")  # one destination may call itself what it likes


def test_a_host_that_says_nothing_is_waited_for_no_longer_than_asked(diagnose, dns, mx, authority):
    mx.on("connect", Hang())
    found = diagnose("there.test", send=to_there(mx, authority), timeout="300ms")
    assert "gives no greeting" in found.the_error("destination")


def test_an_address_without_a_name_or_with_one_that_does_not_lead_back(diagnose, dns, mx, authority):
    send = to_there(mx, authority)
    dns.set("7.113.0.203.in-addr.arpa", PTR=["forged.here.test"])
    assert "does not lead back" in diagnose("there.test", send=send).the_error("ptr")
    dns.remove("7.113.0.203.in-addr.arpa")
    assert "has no name" in diagnose("there.test", send=send).the_error("ptr")
    dns.set("7.113.0.203.in-addr.arpa", PTR=["other.here.test"])
    dns.set("other.here.test", A=[US])
    assert diagnose("there.test", send=send).of("ptr", "note")
    dns.set("mail.here.test", A=["203.0.113.99"])
    assert diagnose("there.test", send=send).of("helo", "warning")


def test_an_ipv6_address_is_looked_up_by_its_nibbles(diagnose, dns, mx, authority):
    name = ".".join(reversed("20010db8000000000000000000000007")) + ".ip6.arpa"
    dns.set(name, PTR=["mail.here.test"])
    dns.set("mail.here.test", A=[US], AAAA=["2001:db8::7"])
    found = diagnose("there.test", send=to_there(mx, authority), where=("--address=2001:db8::7",))
    assert [f["subject"] for f in found.of("ptr", "ok")] == ["2001:db8::7"]


def test_spf_that_is_missing_or_lacks_our_address(diagnose, dns, mx, authority):
    send = to_there(mx, authority)
    dns.set("here.test", TXT=["v=spf1 ip4:192.0.2.0/24 -all"])
    found = diagnose("--from=here.test", "there.test", send=send)
    assert "forged" in found.the_error("spf") and f"ip4:{US}" in found.of("spf")[0]["fix"]
    dns.remove("here.test")
    missing = diagnose("--from=here.test", "there.test", send=send)
    assert [f["level"] for f in missing.of("spf")] == ["warning"] and f"ip4:{US}" in missing.of("spf")[0]["fix"]


def test_a_dkim_record_of_another_key(diagnose, dns, mx, authority, tmp_path):
    keys, others = DkimKeys(tmp_path / "keys"), DkimKeys(tmp_path / "others")
    keys.make("here.test", "s1", "--ed25519")
    others.make("here.test", "s1", "--ed25519")
    for name, record in others.records.items():
        dns.set(name, TXT=[record])
    found = diagnose("there.test", send=to_there(mx, authority), settings={"extra": {"dkim": keys.sections()}})
    assert "another key" in found.the_error("dkim")
    assert keys.records["s1._domainkey.here.test"].split("p=")[1][:40] in found.of("dkim", "error")[0]["fix"]


def test_certificates_that_have_expired_ours_and_theirs(diagnose, dns, authority):
    old = authority.issue("mail.here.test", begin=-20, end=-3)
    theirs = authority.issue("mx.there.test", begin=-20, end=-3)
    with ScriptedServer(name="mx.there.test", tls=theirs.server_context()) as mx:
        dns.set("there.test", MX=["10 mx.there.test"])
        dns.set("mx.there.test", A=[mx.address])
        found = diagnose("there.test", send=to_there(mx, authority), settings={
            "receive": {"tls": "starttls", "tls_certificate": old.certificate, "tls_key": old.key}})
        assert "expired 3 days ago" in found.the_error("certificate")
        assert "expired 3 days ago" in found.the_error("destination")
        tolerant = diagnose("there.test", send=[by_mx(mx.port, tls="opportunistic", tls_ca_file=authority.file)])
        assert "nobody demands" in tolerant.of("destination", "note")[0]["text"]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN"])
def test_credentials_are_tried_without_sending_mail(diagnose, authority, tmp_path, mechanism):
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    certificate = authority.issue("smart.test", ["IP:127.0.1.1"])
    with ScriptedServer(tls=certificate.server_context(), accounts={USER: PASSWORD}, mechanisms=(mechanism,)) as smart:
        def ask(password):
            secret.write_text(password + "\n")
            return diagnose(send=[smart_host(smart, tls="verify", tls_ca_file=authority.file, username=USER,
                                             password_file=str(secret))])
        right = ask(PASSWORD)
        assert right.of("log-in", "ok") and not right.errors()
        wrong = ask("guess")
        assert USER in wrong.the_error("log-in") and "guess" not in wrong.process.stdout
        assert not [c for s in smart.sessions for c in s.commands if c.line.upper().startswith("MAIL")]
        assert not smart.violations


def test_credentials_are_never_shown_to_a_host_without_tls(diagnose, tmp_path):
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(PASSWORD + "\n")
    with ScriptedServer(accounts={USER: PASSWORD}, auth_in_clear=True,
                        extensions=(*EXTENSIONS, "AUTH PLAIN")) as smart:
        connector = smart_host(smart, username=USER, password_file=str(secret))
        del connector["tls"]
        found = diagnose(send=[connector])
        assert "does not offer STARTTLS" in found.the_error("smart-host")
        assert "587" in found.of("smart-host")[0]["fix"]
        assert not [c for s in smart.sessions for c in s.commands if c.line.upper().startswith("AUTH")]


def test_name_servers_that_are_down_or_fail(diagnose, dns, mx, authority):
    dns.down = True
    found = diagnose("there.test", send=to_there(mx, authority), timeout="300ms")
    assert "does not answer" in found.the_error("dns")
    assert not mx.sessions
    dns.down = False
    with FakeDns() as dead:
        dead.down = True
        one_of_two = diagnose("there.test", send=to_there(mx, authority), timeout="300ms",
                              settings={"dns": {"servers": [dns.address, dead.address]}})
        assert one_of_two.of("dns", "warning") and not one_of_two.of("dns", "error")


def test_a_disk_that_is_nearly_full(diagnose):
    found = diagnose("--offline", settings={"queue": {"disk_reserve": "1000TiB"}})
    assert "452 4.3.1" in found.the_error("disk")


def test_mail_that_other_users_could_read(diagnose, start_relay, dns):
    relay = start_relay(start=False, dns={"servers": [dns.address]})
    relay.data.mkdir(mode=0o755)
    relay.write_config()
    result = relay.cli("doctor", "--offline", "--json")
    assert [f["level"] for f in json.loads(result.stdout)["findings"] if f["check"] == "data-dir"] == ["warning"]


def test_mistakes_of_the_configuration_are_findings(diagnose):
    found = diagnose("--offline", settings={"queue": {"retry_frist": "1s"}})
    assert "retry_first" in found.the_error("configuration")


def test_destinations_that_cannot_get_mail(diagnose, dns, mx, authority):
    dns.set("null.test", MX=["0 ."])
    dns.set("inside.test", MX=["10 inside.test"], A=["10.0.0.1"])
    dns.behave("broken.test", rcode="SERVFAIL")
    found = diagnose("null.test", "inside.test", "broken.test", "missing.test", send=to_there(mx, authority))
    by_subject = {f["subject"]: f for f in found.of("mx", "error", "warning")}
    assert "null MX" in by_subject["null.test"]["text"]
    assert "no public address" in by_subject["inside.test"]["text"]
    assert "cannot be looked up" in by_subject["broken.test"]["text"]
    assert "neither MX" in by_subject["missing.test"]["text"]
