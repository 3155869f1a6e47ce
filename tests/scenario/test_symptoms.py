"""What docs/troubleshoot.md describes, brought about: the event, the words of `sluice queue`, the metric and the alert
that tell it. A healthy relay raises none of them."""
import os
import subprocess

import pytest

from support.alerts import firing
from support.certificates import Authority
from support.fake_dns import FakeDns
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.ports import free_port
from support.relay import binary, by_mx, smart_host
from support.scripted_server import ScriptedServer
from support.smtp_client import SmtpClient
from support.waiting import wait_until


class Watch:
    """A scrape now, and what would have fired by the time of fired()."""

    def __init__(self, relay, folder):
        self.relay, self.folder, self.before = relay, folder, relay.samples()

    def fired(self):
        return firing(self.before, self.relay.samples(), self.folder)


def send(relay, count, domain="there{}.test"):
    with relay.smtp() as client:
        client.hello()
        for n in range(count):
            client.transaction(SENDER, [f"<r@{domain.format(n)}>"], SIMPLE)


def deferred(relay):
    return relay.metric("sluice_deliveries_total", result="deferred")


def test_a_healthy_relay_raises_no_alert(start_relay, server, tmp_path):
    relay = start_relay(send=[smart_host(server)])
    watch = Watch(relay, tmp_path)
    send(relay, 30)
    relay.drain()
    assert watch.fired() - {"SluiceDiskNearlyFull"} == set()  # how full this machine is, is not ours to say


def test_dns_is_down(start_relay, tmp_path):
    relay = start_relay(send=[by_mx(free_port())], dns={"servers": [f"127.0.0.1:{free_port()}"], "timeout": "100ms"})
    watch = Watch(relay, tmp_path)
    send(relay, 15)
    event = relay.log.wait_for(event="deferred")
    assert event["status"] == "4.4.3", event
    wait_until(lambda: deferred(relay) >= 15, 30, "every domain deferred")
    assert relay.metric("sluice_dns_seconds_count", result="failed") > 0
    replies = {r["last_reply"] for m in relay.messages() for r in m["recipients"]}
    assert any("name servers" in reply for reply in replies if reply), replies
    assert {"SluiceNamesNotFound", "SluiceNothingGetsThrough"} <= watch.fired()


def test_port_25_is_blocked(start_relay, tmp_path):
    """A provider that drops our packets: names are found, no host answers."""
    silent = free_port()
    with FakeDns() as dns:
        for n in range(15):
            dns.set(f"there{n}.test", MX=[(10, f"mx{n}.there{n}.test")])
            dns.set(f"mx{n}.there{n}.test", A=[f"127.0.7.{n + 1}"])
        relay = start_relay(send=[by_mx(silent, connect_timeout="300ms")], dns={"servers": [f"127.0.0.1:{dns.port}"]})
        watch = Watch(relay, tmp_path)
        send(relay, 15)
        event = relay.log.wait_for(event="destination_unreachable")
        assert "connect" in event["reason"], event
        wait_until(lambda: deferred(relay) >= 15, 30, "every destination deferred")
        assert relay.metric("sluice_dns_seconds_count", result="failed") == 0
        wait_until(lambda: any(q["state"] == "resting" for q in relay.queues().values()), 10, "a host that rests")
        fired = watch.fired()
        assert "SluiceNothingGetsThrough" in fired and "SluiceNamesNotFound" not in fired


def test_a_backlog_builds_up(start_relay, server, tmp_path):
    """Delivery is slower than acceptance."""
    relay = start_relay(send=[smart_host(server, rate="1/s")])
    watch = Watch(relay, tmp_path)
    result = subprocess.run([binary(), "load", "--to", f"127.0.0.1:{relay.port}", "--messages", "1200", "--size", "1KiB"],
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    wait_until(lambda: relay.metric("sluice_queue_recipients", state="ready") > 1000, 20, "a backlog")
    queue = next(iter(relay.queues().values()))
    assert queue["state"] == "limited" and queue["ready"] > 1000
    assert "SluiceQueueGrows" in watch.fired()
    relay.cli("discard", "--destination", queue["destination"])


def test_the_disk_is_nearly_full(start_relay, server, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("cannot mount a tmpfs")
    try:
        relay = start_relay(send=[smart_host(server)], top={"data_dir": str(disk / "data")})
        watch = Watch(relay, tmp_path)
        assert relay.metric("sluice_disk_free_bytes") < 600 << 20
        assert "SluiceDiskNearlyFull" in watch.fired()
        relay.config["queue"]["disk_reserve"] = "700MiB"
        relay.stop()
        relay.spawn()
        wait_until(relay._greets, 20, "a greeting")
        watch = Watch(relay, tmp_path)
        for _ in range(3):
            with SmtpClient(("127.0.0.1", relay.port)) as client:
                client.expect(220)
                client.hello()
                reply = client.command(f"MAIL FROM:{SENDER}")
                assert (reply.code, reply.status) == (452, "4.3.1")
        assert relay.log.wait_for(event="not_accepting")["status"] == "4.3.1"
        status = relay.cli("status", check=False)
        assert status.returncode == 1 and "disk" in status.stdout
        assert relay.metric("sluice_messages_refused_total", status="4.3.1") == 3
        assert "SluiceRefusesForLackOfRoom" in watch.fired()
        relay.end()
    finally:
        subprocess.run(["umount", "-l", disk])


def test_a_certificate_has_expired(start_relay, server, tmp_path):
    old = Authority(tmp_path).issue("relay.test", begin=-10, end=-1)
    relay = start_relay(send=[smart_host(server)],
                        receive={"tls": "starttls", "tls_certificate": old.certificate, "tls_key": old.key})
    watch = Watch(relay, tmp_path)
    assert relay.metric("sluice_certificate_expiry_seconds", name="apps") < 0
    with SmtpClient(("127.0.0.1", relay.port)) as client:
        client.expect(220)
        client.hello()
        client.command("STARTTLS", 220)
        check = subprocess.run(["openssl", "verify", "-CAfile", str(tmp_path / "Test-CA/ca.pem"), old.certificate],
                               capture_output=True, text=True)
        assert "expired" in check.stdout + check.stderr, "what a client thinks of it"
    assert "SluiceCertificateExpires" in watch.fired()


def test_the_credentials_are_wrong(start_relay, tmp_path):
    authority = Authority(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("not-the-password\n")
    secret.chmod(0o600)
    with ScriptedServer(tls=authority.issue("smart.test", ["IP:127.0.1.1"]).server_context(),
                        accounts={"relay": "the-password"}) as smart:
        connector = smart_host(smart, username="relay", password_file=str(secret), tls_ca_file=authority.file)
        del connector["tls"]
        relay = start_relay(send=[connector])
        watch = Watch(relay, tmp_path)
        send(relay, 12)
        event = relay.log.wait_for(event="destination_unreachable")
        assert "fault of this relay's configuration" in event["reason"] and "535" in event["reason"], event
        queue = next(iter(relay.queues().values()))
        assert "535" in f"{queue['last_reply']} {queue['why']}"
        wait_until(lambda: deferred(relay) >= 11, 60, "attempts enough")
        assert relay.metric("sluice_deliveries_total", result="bounced") == 0, "mail waits for the operator"
        assert "SluiceNothingGetsThrough" in watch.fired()
        relay.cli("discard", "--sender", SENDER)


def test_a_destination_throttles_us(start_relay, server, tmp_path):
    server.on("rcpt", "450 4.7.1 You are sending too fast, slow down")
    relay = start_relay(send=[smart_host(server)])
    watch = Watch(relay, tmp_path)
    send(relay, 10)
    event = relay.log.wait_for(event="deferred")
    assert event["status"] == "4.7.1" and "too fast" in event["reply"]
    wait_until(lambda: relay.metric("sluice_destination_deliveries_total", result="deferred") >= 10, 20, "all deferred")
    queue = next(iter(relay.queues().values()))
    assert "too fast" in queue["last_reply"]
    assert "SluiceDestinationDefers" in watch.fired()
