"""Clients that come with TLS: mail is taken under it, nothing said in clear counts, certificates are replaced while
sessions live, and no handshake holds anything up (TL2, TL4, TL9)."""
import os
import re
import shutil
import socket
import ssl
import subprocess

import pytest

from support.certificates import Authority
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.ports import free_port
from support.relay import smart_host
from support.smtp_client import Refused, SmtpClient, any_certificate

pytestmark = pytest.mark.sanitized


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.issue("relay.test")


def with_tls(leaf, tls="starttls", **more):
    return {"tls": tls, "tls_certificate": leaf.certificate, "tls_key": leaf.key} | more


def shown_name(relay, name="relay.test"):
    """Common name of the certificate that a new client is shown."""
    with relay.smtp() as client:
        client.hello()
        client.starttls(any_certificate(), name)
        der = client.socket.getpeercert(binary_form=True)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der, capture_output=True,
                          check=True).stdout.decode()
    return re.search(r"CN\s*=\s*(\S+)", text)[1]


def implicit_client(relay, timeout=10.0):
    """A connection to a relay with implicit TLS that has said nothing yet."""
    return SmtpClient(("127.0.0.1", relay.tls_port), timeout=timeout)


def start_with_implicit(start_relay, server, leaf, **more):
    """A relay whose second connector speaks TLS from the first byte."""
    port = free_port()
    relay = start_relay(start=False, send=[smart_host(server)])
    relay.config["receive"].append({"name": "tls", "listen": [f"127.0.0.1:{port}"]}
                                   | with_tls(leaf, tls="implicit", **more))
    relay.tls_port = port
    return relay.start()


def test_mail_is_taken_under_tls(start_relay, server, authority, leaf):
    relay = start_relay(send=[smart_host(server)], receive=with_tls(leaf))
    with relay.smtp() as client:
        assert "STARTTLS" in client.hello().lines
        client.starttls(authority.client_context(), "relay.test")
        assert "STARTTLS" not in client.hello().lines
        message_id = client.transaction(SENDER, [RECIPIENT], SIMPLE)
        client.command("QUIT", 221)
    event = relay.log.wait_for(event="accepted", id=message_id)
    assert event["tls"] == "TLSv1.3"
    message = server.wait_messages(1)[0]
    assert re.search(r"with ESMTPS \(TLSv1\.3 TLS_\w+\) id " + message_id, message.header("Received"))
    assert relay.metric("sluice_tls_sessions_total", direction="in", version="TLSv1.3", resumed="false") == 1
    assert 28 * 86400 < relay.metric("sluice_certificate_expiry_seconds", name="apps") < 31 * 86400


def test_tls_from_the_first_byte(start_relay, server, leaf):
    relay = start_with_implicit(start_relay, server, leaf)
    with implicit_client(relay) as client:
        client.secure(name="relay.test")
        client.expect(220)
        assert "STARTTLS" not in client.hello().lines
        client.transaction(SENDER, [RECIPIENT], SIMPLE * 2000)
        client.command("QUIT", 221)
        assert client.at_end()
    assert server.wait_messages(1)[0].content.endswith(SIMPLE[-20:])


def test_large_content_both_ways_of_being_slow(start_relay, server, leaf):
    relay = start_relay(send=[smart_host(server)], receive=with_tls(leaf))
    body = b"Subject: large\r\n\r\n" + b"".join(b"%07d %s\r\n" % (n, b"x" * 60) for n in range(150_000))
    with relay.smtp(timeout=60) as client:
        client.hello()
        client.starttls()
        client.hello()
        client.transaction(SENDER, [RECIPIENT], body)
    message = server.wait_messages(1, timeout=60)[0]
    assert message.content.endswith(body[-1000:]) and len(message.content) > len(body)


def test_no_mail_in_clear_where_tls_is_required(start_relay, server, leaf):
    relay = start_relay(send=[smart_host(server)], receive=with_tls(leaf, tls="starttls-required"))
    with relay.smtp() as client:
        client.hello()
        assert client.command(f"MAIL FROM:{SENDER}", 530).status == "5.7.0"
        client.starttls()
        client.hello()
        client.transaction(SENDER, [RECIPIENT], SIMPLE)


# TL2

def test_what_is_sent_behind_starttls_is_never_answered(start_relay, server, leaf):
    relay = start_relay(send=[smart_host(server)], receive=with_tls(leaf))
    with relay.smtp() as client:
        client.hello()
        client.send(b"STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@evil.test>\r\n")
        assert client.reply().code == 421
        assert client.at_end()


def test_what_is_sent_before_the_handshake_is_never_answered(start_relay, server, leaf):
    relay = start_relay(send=[smart_host(server)], receive=with_tls(leaf))
    with relay.smtp() as client:
        client.hello()
        client.command("STARTTLS", 220)
        client.send(b"EHLO evil.test\r\nMAIL FROM:<evil@evil.test>\r\n")
        with pytest.raises(OSError):
            client.secure()
    assert relay.log.wait_for(event="tls_failed")["connector"] == "apps"


def test_what_was_said_in_clear_is_forgotten(start_relay, server, leaf):
    relay = start_relay(send=[smart_host(server)], receive=with_tls(leaf))
    with relay.smtp() as client:
        client.hello()
        client.starttls()
        client.command(f"MAIL FROM:{SENDER}", 503)


# TL4

GARBAGE = {
    "smtp": b"EHLO client.test\r\nMAIL FROM:<a@b.test>\r\n",
    "http": b"GET / HTTP/1.1\r\nHost: relay.test\r\n\r\n",
    "sslv2": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0") + b"\0" * 16,
    "huge-hello": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + b"\0" * 16379,
    "one-byte-records": b"".join(b"\x16\x03\x01\x00\x01" + bytes([byte]) for byte in b"\x01\xff\xff\xff" + b"\0" * 2000),
    "empty-records": b"\x16\x03\x01\x00\x00" * 1000,
    "zeros": b"\0" * 70_000,
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_in_place_of_a_handshake(start_relay, server, leaf, name):
    relay = start_with_implicit(start_relay, server, leaf, command_timeout="2s")
    with implicit_client(relay) as client:
        try:
            client.send(GARBAGE[name])
        except OSError:
            pass  # closed before it had taken all of it
        assert b"220" not in client.rest()
    relay.log.wait_for(event="tls_failed")
    assert relay.running()


def test_hundreds_of_stalled_handshakes_hinder_nobody(start_relay, server, leaf):
    relay = start_with_implicit(start_relay, server, leaf, command_timeout="3s")
    before = relay.vitals()
    stalled = [socket.create_connection(("127.0.0.1", relay.tls_port)) for _ in range(500)]
    for connection in stalled[::2]:
        connection.send(b"\x16\x03\x01\x02\x00\x01\x00")
    grown = relay.rss() - before["rss"]
    with implicit_client(relay) as client:
        client.secure()
        client.expect(220)
        client.hello()
        client.transaction(SENDER, [RECIPIENT], SIMPLE)
    assert grown <= 500 * 64 * 1024
    for connection in stalled:
        connection.settimeout(20)
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
        connection.close()
    relay.assert_alive(before, server)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_and_other_protocols_are_refused(start_relay, server, leaf):
    relay = start_relay(send=[smart_host(server)], receive=with_tls(leaf))
    for prepare in (lambda c: setattr(c, "maximum_version", ssl.TLSVersion.TLSv1_1),
                    lambda c: c.set_alpn_protocols(["h2", "http/1.1"])):
        context = any_certificate()
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        prepare(context)
        with relay.smtp() as client:
            client.hello()
            client.command("STARTTLS", 220)
            with pytest.raises(OSError):
                client.secure(context)
    context = any_certificate()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with relay.smtp() as client:
        client.hello()
        client.starttls(context)
        assert client.socket.version() == "TLSv1.2"
        client.hello()
        client.transaction(SENDER, [RECIPIENT], SIMPLE)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_resumes_its_session(start_relay, server, leaf, tmp_path, version):
    relay = start_relay(send=[smart_host(server)], receive=with_tls(leaf))
    command = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{relay.port}", version,
               "-servername", "relay.test", "-ign_eof"]
    session = str(tmp_path / "session")
    for more in (["-sess_out", session], ["-sess_in", session]):
        result = subprocess.run([*command, *more], input=b"EHLO c\r\nQUIT\r\n", capture_output=True, timeout=30)
        assert b"221 2.0.0" in result.stdout, result.stdout[-3000:] + result.stderr[-2000:]
    assert b"Reused, TLSv1" in result.stdout, result.stdout[-3000:]
    assert relay.metric("sluice_tls_sessions_total", direction="in", resumed="true") == 1


# Certificates

def test_the_certificate_for_the_name_that_is_asked_for(start_relay, server, authority, leaf):
    other = authority.issue("other.test")
    relay = start_relay(send=[smart_host(server)], receive={
        "tls": "starttls", "tls_certificate": [leaf.certificate, other.certificate], "tls_key": [leaf.key, other.key]})
    assert shown_name(relay, "relay.test") == "relay.test"
    assert shown_name(relay, "other.test") == "other.test"
    assert shown_name(relay, "third.test") == "relay.test"


def replace(target, source):
    """As tools do that renew certificates: in place of the old file, at once."""
    for path in ("certificate", "key"):
        new = getattr(target, path) + ".new"
        shutil.copy(getattr(source, path), new)
        os.chmod(new, 0o600)
        os.rename(new, getattr(target, path))


def test_certificates_are_replaced_by_a_reload(start_relay, server, authority):
    """TL9."""
    live = authority.issue("relay.test")
    relay = start_relay(send=[smart_host(server)], receive=with_tls(live))
    with relay.smtp() as old:
        old.hello()
        old.starttls()
        replace(live, authority.issue("renewed.test"))
        relay.cli("reload")
        assert shown_name(relay) == "renewed.test"
        old.hello()
        old.transaction(SENDER, [RECIPIENT], SIMPLE)
        with open(live.certificate, "w") as broken:
            broken.write("-----BEGIN CERTIFICATE-----\nbroken\n")
        assert relay.cli("reload", check=False).returncode != 0
        assert shown_name(relay) == "renewed.test"
        assert relay.metric("sluice_reload_failures_total") == 1
        old.transaction(SENDER, [RECIPIENT], SIMPLE)


def test_certificates_are_replaced_when_their_files_change(start_relay, server, authority):
    live = authority.issue("relay.test")
    relay = start_relay(send=[smart_host(server)], receive=with_tls(live))
    assert shown_name(relay) == "relay.test"
    replace(live, authority.issue("renewed.test"))
    relay.log.wait_for(event="certificates_renewed", timeout=40)
    assert shown_name(relay) == "renewed.test"


def test_a_client_certificate_lets_relay(start_relay, server, authority, leaf, tmp_path):
    stranger = Authority(tmp_path, "Strange CA").issue("app.test")
    relay = start_relay(send=[smart_host(server)],
                        receive=with_tls(leaf, relay_networks=["10.0.0.0/8"], tls_client_ca=authority.file))
    for certificate, allowed in ((None, False), (stranger, False), (authority.issue("app.test"), True)):
        context = any_certificate()
        if certificate:
            context.load_cert_chain(certificate.certificate, certificate.key)
        with relay.smtp() as client:
            client.hello()
            client.starttls(context)
            client.hello()
            client.command(f"MAIL FROM:{SENDER}", 250)
            reply = client.command(f"RCPT TO:{RECIPIENT}")
            assert reply.code == (250 if allowed else 550), (certificate, reply)


def test_mistakes_of_certificates_and_keys_have_their_place(start_relay, server, authority, leaf):
    other = authority.issue("other.test")
    relay = start_relay(start=False, send=[smart_host(server)],
                        receive={"tls": "starttls", "tls_certificate": leaf.certificate, "tls_key": other.key})
    relay.write_config()
    result = relay.cli("check", check=False)
    assert result.returncode == 1
    assert re.search(r"sluice\.toml:\d+:\d+: \[\[receive\]\] tls_key: .*is not the key of the certificate",
                     result.stdout + result.stderr)
    os.chmod(other.key, 0o644)
    result = relay.cli("check", check=False)
    assert re.search(r"tls_key: .*open to every user", result.stdout + result.stderr)


def test_a_wrong_name_is_the_clients_to_refuse(start_relay, server, authority, leaf):
    relay = start_relay(send=[smart_host(server)], receive=with_tls(leaf))
    with relay.smtp() as client:
        client.hello()
        client.command("STARTTLS", 220)
        with pytest.raises(ssl.SSLCertVerificationError):
            client.secure(authority.client_context(), "third.test")
    relay.log.wait_for(event="tls_failed")
    with relay.smtp() as client:
        client.hello()
        with pytest.raises(Refused):
            client.command("STARTTLS now", 220)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("program", ["openssl", "gnutls-cli"])
def test_other_libraries_shake_hands_and_verify(start_relay, server, authority, leaf, program, version):
    """OpenSSL's and GnuTLS's own clients, which believe the test's authority alone."""
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    relay = start_relay(send=[smart_host(server)], receive=with_tls(leaf))
    if program == "openssl":
        command = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{relay.port}", "-CAfile", authority.file,
                   "-verify_return_error", "-verify_hostname", "relay.test", f"-tls{version.replace('.', '_')}", "-ign_eof"]
    else:
        command = ["gnutls-cli", "--starttls-proto=smtp", "--port", str(relay.port), "--x509cafile", authority.file,
                   "--verify-hostname=relay.test", "--sni-hostname=relay.test", f"--priority=NORMAL:-VERS-ALL:+VERS-TLS{version}",
                   "127.0.0.1"]
    result = subprocess.run(command, input="NOOP\r\nQUIT\r\n", capture_output=True, text=True, timeout=60)
    assert "221 2.0.0 Bye" in result.stdout, result.stdout + result.stderr
    assert relay.metric("sluice_tls_sessions_total", direction="in", version=f"TLSv{version}") == 1
