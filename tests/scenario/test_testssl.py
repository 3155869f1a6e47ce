"""testssl.sh, as an auditor runs it, against both kinds of TLS listener: nothing HIGH or CRITICAL."""
import json
import shutil
import subprocess

import pytest

from support.certificates import Authority
from support.ports import free_port
from support.relay import smart_host

# What it says of the test's own authority, which publishes no revocation lists and which nobody else knows.
OF_THE_AUTHORITY = {"cert_chain_of_trust", "cert_crlDistributionPoints", "cert_ocspURL", "cert_revocation"}


@pytest.fixture(scope="module")
def program():
    found = shutil.which("testssl")
    if not found:
        pytest.skip("testssl is not installed (package testssl.sh)")
    return found


@pytest.fixture(scope="module")
def relay(start_shared_relay, tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("ca"))
    leaf = authority.issue("localhost", ["DNS:localhost", "DNS:relay.test"], end=300)
    tls = {"tls_certificate": leaf.certificate, "tls_key": leaf.key}
    port = free_port()
    relay = start_shared_relay(start=False, send=[], receive={"tls": "starttls"} | tls)
    relay.config["receive"].append({"name": "tls", "tls": "implicit", "listen": [f"127.0.0.1:{port}"]} | tls)
    relay.tls_port, relay.authority = port, authority
    return relay.start()


def findings(program, relay, tmp_path, port, *options):
    report = tmp_path / "report.json"
    result = subprocess.run(
        [program, "--quiet", "--warnings", "batch", "--color", "0", "--add-ca", relay.authority.file, "--ip", "127.0.0.1",
         "--jsonfile", str(report), *options, f"localhost:{port}"], capture_output=True, text=True, timeout=1500)
    assert report.exists(), result.stdout + result.stderr
    return json.loads(report.read_text())


def assert_clean(all_findings):
    bad = [f"{finding['id']}: {finding['severity']} {finding['finding']}" for finding in all_findings
           if finding["severity"] in ("HIGH", "CRITICAL", "FATAL") and finding["id"] not in OF_THE_AUTHORITY]
    print("\n".join(f"{f['severity']:8} {f['id']}: {f['finding']}" for f in all_findings))
    assert not bad, "\n".join(bad)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(300)
def test_old_protocols_are_not_spoken(program, relay, tmp_path):
    assert_clean(findings(program, relay, tmp_path, relay.port, "--starttls", "smtp", "--protocols"))


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["starttls", "implicit"])
def test_an_audit_finds_nothing_grave(program, relay, tmp_path, kind):
    if kind == "starttls":
        result = findings(program, relay, tmp_path, relay.port, "--starttls", "smtp")
    else:
        result = findings(program, relay, tmp_path, relay.tls_port)
    assert len(result) > 50, "it did not look at much"
    assert_clean(result)
