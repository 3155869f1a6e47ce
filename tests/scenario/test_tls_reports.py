"""Domains that ask for it are told once a day how TLS with their hosts went (RFC 8460)."""
import datetime
import email
import email.policy
import gzip
import json
import re

import pytest

from support.certificates import Authority
from support.dkim_verifiers import DkimKeys, verified
from support.fake_dns import FakeDns
from support.mail import SENDER, SIMPLE
from support.relay import by_mx
from support.scripted_server import ScriptedServer
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized
RESULT_TYPES = {"starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "tlsa-invalid",
                "dnssec-invalid", "dane-required", "certificate-not-trusted", "sts-policy-fetch-error",
                "sts-policy-invalid", "sts-webpki-invalid", "validation-failure"}
DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def check_report(report):
    """RFC 8460 section 4.4: every member that must be there, of its type, and no other."""
    assert set(report) == {"organization-name", "date-range", "contact-info", "report-id", "policies"}
    assert all(isinstance(report[name], str) and report[name] for name in ("organization-name", "contact-info",
                                                                           "report-id"))
    assert set(report["date-range"]) == {"start-datetime", "end-datetime"}
    assert all(re.fullmatch(DATE, moment) for moment in report["date-range"].values())
    assert report["policies"]
    for entry in report["policies"]:
        assert {"policy", "summary"} <= set(entry) <= {"policy", "summary", "failure-details"}
        policy = entry["policy"]
        assert {"policy-type", "policy-domain"} <= set(policy) \
            <= {"policy-type", "policy-string", "policy-domain", "mx-host"}
        assert policy["policy-type"] in ("tlsa", "sts", "no-policy-found")
        assert all(isinstance(line, str) for name in ("policy-string", "mx-host") for line in policy.get(name, []))
        assert set(entry["summary"]) == {"total-successful-session-count", "total-failure-session-count"}
        assert all(isinstance(count, int) for count in entry["summary"].values())
        for detail in entry.get("failure-details", []):
            assert {"result-type", "failed-session-count"} <= set(detail) <= {
                "result-type", "sending-mta-ip", "receiving-mx-hostname", "receiving-mx-helo", "receiving-ip",
                "failed-session-count", "additional-information", "failure-reason-code"}
            assert detail["result-type"] in RESULT_TYPES and isinstance(detail["failed-session-count"], int)
        assert sum(detail["failed-session-count"] for detail in entry.get("failure-details", [])) \
            == entry["summary"]["total-failure-session-count"]


def report_in(message):
    """The report that a mail holds, whose form is checked (section 5.3)."""
    mail = email.message_from_bytes(message.content, policy=email.policy.SMTP)
    assert mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "tlsrpt"
    assert mail["TLS-Required"] == "No" and mail["TLS-Report-Submitter"] == "reports.test"
    part = list(mail.iter_parts())[1]
    assert part.get_content_type() == "application/tlsrpt+gzip"
    sender, domain, begin, end, _ = part.get_filename().split("!")
    assert (sender, domain, int(end) - int(begin)) == ("reports.test", mail["TLS-Report-Domain"], 86399)
    assert re.fullmatch(rf"Report Domain: {domain} Submitter: reports.test Report-ID: <\S+@relay.test>",
                        mail["Subject"])
    report = json.loads(gzip.decompress(part.get_content()))
    check_report(report)
    return report


def days_ago(relay, days):
    """What the stopped relay has counted is of another day."""
    file = relay.data / "tls-results.json"
    ledger = json.loads(file.read_text())
    for entry in ledger["entries"]:
        entry["day"] -= days
    file.write_text(json.dumps(ledger))
    return [entry["domain"] for entry in ledger["entries"]]


@pytest.fixture
def site(tmp_path):
    """A host under TLS, one without, and domains of all kinds; there.test and clear.test ask for reports."""
    leaf = Authority(tmp_path / "ca").issue("mx.there.test")
    with ScriptedServer(tls=leaf.server_context()) as host, \
            ScriptedServer(address="127.0.1.2", port=host.port) as plain, FakeDns() as dns:
        for name, server in (("there.test", host), ("silent.test", host), ("clear.test", plain),
                             ("collector.test", plain)):
            dns.set(name, MX=[f"10 mx.{name}"])
            dns.set(f"mx.{name}", A=[server.address])
        dns.set("_smtp._tls.there.test", TXT=["v=TLSRPTv1; rua=mailto:tls@collector.test"])
        dns.set("_smtp._tls.clear.test", TXT=["v=TLSRPTv1;rua=mailto:clear@collector.test,https://r.test/"])
        dns.set(f"_{host.port}._tcp.mx.there.test", TLSA=[f"3 1 1 {'00' * 32}"])
        dns.default.authentic = True
        yield host, plain, dns


def start(start_relay, site, extra, **send):
    host, _, dns = site
    return start_relay(send=[by_mx(host.port, **{"tls": "dane"} | send)], top={"shards": 2}, extra=extra,
                       dns={"servers": [dns.address], "trust_ad": True}, queue={"retry_first": "1h", "retry_max": "1h"})


def test_yesterdays_sessions_are_reported_to_who_asks(start_relay, site, tmp_path):
    _, plain, _ = site
    keys = DkimKeys(tmp_path / "keys")
    keys.make("reports.test", "s", "--ed25519")
    relay = start(start_relay, site, {"tls_report": {"from": "tls@reports.test", "organization": "Reporters"},
                                      "dkim": keys.sections()})
    failed = relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    relay.log.wait_for(event="deferred", id=failed)
    for domain in ("silent.test", "clear.test"):
        message_id = relay.deliver_in(SENDER, [f"<a@{domain}>"], SIMPLE)
        relay.log.wait_for(event="delivered", id=message_id)
    relay.stop()
    before = len(plain.delivered)
    assert set(days_ago(relay, 3)) >= {"there.test", "silent.test", "clear.test"}
    relay.start()
    plain.wait_messages(before + 2, timeout=30)
    mails = {message.paths[0]: message for message in plain.delivered[before:]}
    assert set(mails) == {"<tls@collector.test>", "<clear@collector.test>"}
    for message in mails.values():
        assert message.sender == "<>" and verified(message.content, keys) == ["s/reports.test"]

    report = report_in(mails["<tls@collector.test>"])
    assert report["organization-name"] == "Reporters" and report["contact-info"] == "tls@reports.test"
    entry, = report["policies"]
    assert entry["policy"]["policy-type"] == "tlsa" and entry["policy"]["policy-domain"] == "there.test"
    assert re.match(r"_\d+\._tcp\.mx\.there\.test\. IN TLSA 3 1 1 0000", entry["policy"]["policy-string"][0])
    assert entry["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": 1}
    detail, = entry["failure-details"]
    assert detail["result-type"] == "validation-failure" and detail["receiving-mx-hostname"] == "mx.there.test"
    assert detail["receiving-ip"] == "127.0.1.1" and "no TLSA record" in detail["failure-reason-code"]
    day = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=3)).date()
    assert abs((datetime.date.fromisoformat(report["date-range"]["start-datetime"][:10]) - day).days) <= 1

    entry, = report_in(mails["<clear@collector.test>"])["policies"]
    assert entry["policy"]["policy-type"] == "no-policy-found"
    assert entry["failure-details"][0]["result-type"] == "starttls-not-supported"
    wait_until(lambda: relay.metric("sluice_tls_reports_total", result="sent") == 2, 10)
    relay.restart()
    assert not relay.log.find(event="tls_report_failed")
    assert len(relay.log.find(event="tls_report_queued")) == 2, "once a day and domain"


def test_what_was_counted_outlives_a_restart(start_relay, site):
    relay = start(start_relay, site, {"tls_report": {"from": "tls@reports.test"}})
    for n in range(2):
        message_id = relay.deliver_in(SENDER, ["<a@silent.test>"], SIMPLE)
        relay.log.wait_for(event="delivered", id=message_id)
        relay.restart()
    relay.stop()
    entry, = json.loads((relay.data / "tls-results.json").read_text())["entries"]
    assert entry["domain"] == "silent.test"
    assert sum(policy["successes"] for policy in entry["policies"].values()) == 2


def test_nothing_is_counted_unless_asked_for(start_relay, site):
    relay = start(start_relay, site, {})
    message_id = relay.deliver_in(SENDER, ["<a@silent.test>"], SIMPLE)
    relay.log.wait_for(event="delivered", id=message_id)
    relay.stop()
    assert not (relay.data / "tls-results.json").exists()


def test_a_broken_file_of_results_stops_nothing(start_relay, site):
    relay = start(start_relay, site, {"tls_report": {"from": "tls@reports.test"}})
    relay.stop()
    (relay.data / "tls-results.json").write_text('{"entries": [{"day": 1,')
    relay.start()
    relay.log.wait_for(event="tls_results_lost")
