"""SCRAM-SHA-256-PLUS: who authenticates is at the other end of this very TLS connection. The client is OpenSSL's, which
exports what both ends share (RFC 9266), and the exchange is written once more in Python."""
import re
import select
import subprocess

import pytest

from support.certificates import Authority
from support.mail import RECIPIENT, SENDER
from support.scram import ScramClient
from support.users import PASSWORD, passwd

pytestmark = pytest.mark.sanitized


class OpenSslClient:
    """openssl s_client as a line-by-line SMTP client. Lines must not begin with Q or R, which are orders to it."""

    def __init__(self, port, version="-tls1_3"):
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-starttls", "smtp", "-crlf", version,
             "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def wait_for(self, pattern):
        """What it shows until then; forgotten."""
        while not (match := re.search(pattern, self.seen, re.M)):
            assert select.select([self.process.stdout], [], [], 20)[0], self.seen
            data = self.process.stdout.read(65536)
            assert data, self.seen
            self.seen += data
        self.seen = self.seen[match.end():]
        return match

    def exporter(self):
        exporter = bytes.fromhex(self.wait_for(rb"Keying material: ([0-9A-F]{64})")[1].decode())
        self.wait_for(rb"^250 .*\n")  # of the EHLO that it said before STARTTLS
        return exporter

    def say(self, line):
        """Its last reply line, code and text."""
        self.process.stdin.write(line.encode() + b"\n")
        return self.wait_for(rb"^(\d{3}) (.*)\r\n")[0].decode().strip()


@pytest.fixture(scope="module")
def relay(start_shared_relay, tmp_path_factory):
    folder = tmp_path_factory.mktemp("binding")
    leaf = Authority(folder).issue("relay.test")
    users = folder / "users"
    users.write_text(passwd("ann"))
    users.chmod(0o600)
    return start_shared_relay(send=[], receive={
        "relay_networks": [], "tls": "starttls", "tls_certificate": leaf.certificate, "tls_key": leaf.key,
        "users_file": str(users), "auth_failure_delay": "0s"})


def authenticate(client, scram, mechanism="SCRAM-SHA-256-PLUS"):
    """The reply that ends the exchange."""
    reply = client.say(f"AUTH {mechanism} {scram.first()}")
    if not reply.startswith("334 "):
        return reply
    reply = client.say(scram.on_challenge(reply[4:]))
    if not reply.startswith("334 "):
        return reply
    assert scram.on_final(reply[4:]), "the server does not know the password"
    return client.say("")


def test_a_client_that_binds_is_let_in(relay):
    with OpenSslClient(relay.port) as client:
        exporter = client.exporter()
        client.say("EHLO client.test")
        assert authenticate(client, ScramClient("ann", PASSWORD, exporter)).startswith("235 ")
        client.say(f"MAIL FROM:{SENDER}")
        assert client.say(f"rcpt TO:{RECIPIENT}").startswith("250 ")


def test_what_was_exported_elsewhere_is_refused(relay):
    """As somebody in between would pass it on."""
    with OpenSslClient(relay.port) as other, OpenSslClient(relay.port) as client:
        client.exporter()
        client.say("EHLO client.test")
        assert authenticate(client, ScramClient("ann", PASSWORD, other.exporter())).startswith("535 ")


def test_a_wrong_password_is_refused_however_well_bound(relay):
    with OpenSslClient(relay.port) as client:
        scram = ScramClient("ann", "wrong", client.exporter())
        client.say("EHLO client.test")
        assert authenticate(client, scram).startswith("535 ")


def test_who_was_told_that_nothing_can_be_bound_to_was_lied_to(relay):
    """RFC 5802 section 6: "y" says that the offer of -PLUS did not arrive."""
    with OpenSslClient(relay.port) as client:
        client.exporter()
        client.say("EHLO client.test")
        assert authenticate(client, ScramClient("ann", PASSWORD, flag="y"), "SCRAM-SHA-256")[:3] in ("535", "501")
        assert authenticate(client, ScramClient("ann", PASSWORD), "SCRAM-SHA-256").startswith("235 ")


@pytest.mark.parametrize("flag", ["p=tls-unique", "p=tls-server-end-point", "n", "y"])
def test_other_bindings_are_refused(relay, flag):
    with OpenSslClient(relay.port) as client:
        scram = ScramClient("ann", PASSWORD, client.exporter(), flag)
        client.say("EHLO client.test")
        assert authenticate(client, scram)[:3] in ("501", "535")


def test_binding_is_offered_under_tls_1_3_only(relay):
    for version, offered in (("-tls1_3", True), ("-tls1_2", False)):
        with OpenSslClient(relay.port, version) as client:
            client.exporter()
            client.process.stdin.write(b"EHLO client.test\n")
            line = client.wait_for(rb"^250-AUTH .*\r\n")[0].decode()
            assert ("SCRAM-SHA-256-PLUS" in line) == offered, (version, line)
            assert client.wait_for(rb"^250 ")
            if not offered:
                assert client.say("AUTH SCRAM-SHA-256-PLUS biws").startswith("504 ")
