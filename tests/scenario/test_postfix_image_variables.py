"""The environment of a Postfix container starts a relay that does what that container did: its relay host, its sender
domains, its name. No file, no other setting."""
import os
import subprocess

import pytest

from support.mail import RECIPIENT, SIMPLE
from support.ports import free_port
from support.relay import binary
from support.smtp_client import SmtpClient
from support.waiting import wait_until


@pytest.fixture
def relay(tmp_path, server):
    if os.path.exists("/etc/sluice/sluice.toml"):
        pytest.skip("this machine has a configuration file")
    port = free_port()
    variables = {"RELAYHOST": f"[{server.address}]:{server.port}", "ALLOWED_SENDER_DOMAINS": "here.test other.test",
                 "POSTFIX_myhostname": "mail.here.test", "POSTFIX_message_size_limit": "2000",
                 "SLUICE_LISTEN": f"127.0.0.1:{port}", "SLUICE_DATA_DIR": str(tmp_path / "data"),
                 "SLUICE_ADMIN_LISTEN": f"127.0.0.1:{free_port()}"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([binary(), "serve"], env=inherited | variables, stdout=log, stderr=log)

    def greets():
        assert process.poll() is None, (tmp_path / "log").read_text()
        try:
            SmtpClient(("127.0.0.1", port)).__exit__()
            return True
        except OSError:
            return False
    wait_until(greets, 20, "it listens")
    yield port
    process.terminate()
    assert process.wait(40) == 0


def test_its_mail_goes_the_way_it_went(relay, server):
    with SmtpClient(("127.0.0.1", relay)) as client:
        assert "mail.here.test" in client.expect(220).text
        client.hello()
        client.transaction("<app@sub.here.test>", [RECIPIENT], SIMPLE)
        refused = client.command("MAIL FROM:<app@elsewhere.test>")
        assert (refused.code, refused.status) == (550, "5.7.1")
        too_large = client.command("MAIL FROM:<app@other.test> SIZE=2001")
        assert (too_large.code, too_large.status) == (552, "5.3.4")
    assert len(server.wait_messages(1)) == 1
