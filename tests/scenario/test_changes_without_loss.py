"""A relay is changed and restarted while mail flows: two hundred reloads, and restarts behind sockets that the
service manager holds. No client is refused, nothing is lost; what is under way at the end can be seen."""
import os
import re
import shutil
import signal
import socket
from pathlib import Path

import pytest

from support.compare import compare
from support.load import Load
from support.load_sink import LoadSink
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.ports import free_port
from support.relay import smart_host
from support.waiting import stays, wait_until

# As systemd does: the sockets stay open here while one relay after the other has them.
KEEP_RUNNING = r"""
trap 'last=1; kill -TERM $child' TERM
while [ -z "$last" ]; do
  bash -c 'LISTEN_PID=$$ exec setpriv --pdeathsig KILL "$@"' bash "$@" &
  child=$!
  while kill -0 $child 2> /dev/null; do wait $child; code=$?; done
done
exit $code
"""


@pytest.mark.alone
def test_two_hundred_reloads_under_load(start_relay, tmp_path):
    """New connections all the time, every setting of the send connector anew: none refused, none lost, none twice."""
    with LoadSink(tmp_path) as sink:
        relay = start_relay(send=[smart_host(sink)])
        load = Load(relay.port, per_connection=5).start()
        for n in range(200):
            relay.config["send"][0]["max_connections"] = 10 + n % 7
            relay.config["receive"][0]["max_recipients"] = 100 + n
            seen = relay.log.mark()
            relay.reload()
            relay.log.wait_for(event="reloaded", after=seen)
            target = len(load.acknowledged) + 5
            wait_until(lambda: len(load.acknowledged) >= target, 30, "load between reloads")
        load.stop()
        assert not load.refused and not load.broken and not load.connect_failures
        assert relay.metric("sluice_reload_failures_total") == 0
        relay.drain()
        verdict = compare(load.acknowledged, sink.ids()).assert_clean()
        print(f"200 reloads, {len(load.acknowledged)} accepted, {verdict}")


def test_what_needs_a_restart_is_said_before_anything_changes(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"max_recipients": 5})
    relay.config["receive"][0]["max_recipients"] = 2
    relay.config["shards"] = 1
    relay.config["receive"].append({"name": "another", "listen": [f"127.0.0.1:{free_port()}"]})
    relay.write_config()
    said = relay.cli("reload", check=False)
    assert said.returncode == 1
    assert "needs a restart, nothing was changed" in said.stderr + said.stdout
    for name in ("shards", '[[receive]] "another"'):
        assert name in said.stderr + said.stdout, said.stderr
    with relay.smtp() as client:
        client.hello()
        client.command(f"MAIL FROM:{SENDER}", 250)
        assert [client.command(f"RCPT TO:<r{n}@there.test>").code for n in range(3)] == [250] * 3, "the old limit"


def greets(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as client:
            client.settimeout(5)
            return client.recv(100).startswith(b"220 ")
    except OSError:
        return False


def test_a_reload_moves_the_listeners(start_relay, server):
    """New addresses are open before old ones close; who is connected to one that goes stays connected."""
    relay = start_relay(send=[smart_host(server)])
    first, second = relay.port, free_port()
    with relay.smtp() as client:
        client.hello()
        relay.config["receive"][0]["listen"] = [f"127.0.0.1:{second}"]
        relay.reload()
        relay.log.wait_for(event="reloaded")
        assert relay.log.wait_for(event="listening_ended")["address"] == f"127.0.0.1:{first}"
        assert greets(second) and not greets(first)
        message_id = client.transaction(SENDER, [RECIPIENT], SIMPLE)
        relay.log.wait_for(event="delivered", id=message_id)
    relay.config["receive"][0]["listen"] = [f"127.0.0.1:{first}", f"127.0.0.1:{second}"]
    seen = relay.log.mark()
    relay.reload()
    relay.log.wait_for(event="reloaded", after=seen)
    assert greets(first) and greets(second)


def test_a_new_address_that_is_taken_changes_nothing(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"max_recipients": 5})
    fds = relay.fds()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        relay.config["receive"][0]["max_recipients"] = 2
        relay.config["receive"][0]["listen"] = [f"127.0.0.1:{free_port()}", "127.0.0.1:%d" % other.getsockname()[1]]
        relay.write_config()
        said = relay.cli("reload", check=False)
    assert said.returncode == 1 and "in use" in said.stderr + said.stdout
    assert greets(relay.port) and relay.metric("sluice_reload_failures_total") == 1
    wait_until(lambda: relay.fds() <= fds, 5, "sockets that were bound for nothing are closed")
    with relay.smtp() as client:
        client.hello()
        client.command(f"MAIL FROM:{SENDER}", 250)
        assert [client.command(f"RCPT TO:<r{n}@there.test>").code for n in range(3)] == [250] * 3, "the old limit"


@pytest.mark.alone
def test_listeners_move_to_and_fro_under_load(start_relay, tmp_path):
    """An address beside the one that clients use comes and goes, fifty times: none of them notices."""
    with LoadSink(tmp_path) as sink:
        relay = start_relay(send=[smart_host(sink)])
        beside = free_port()
        load = Load(relay.port, per_connection=5).start()
        for n in range(50):
            ports = [relay.port, beside] if n % 2 == 0 else [relay.port]
            relay.config["receive"][0]["listen"] = [f"127.0.0.1:{port}" for port in ports]
            seen = relay.log.mark()
            relay.reload()
            relay.log.wait_for(event="reloaded", after=seen)
            assert greets(beside) == (n % 2 == 0)
        load.stop()
        assert not load.refused and not load.broken and not load.connect_failures
        relay.drain()
        compare(load.acknowledged, sink.ids()).assert_clean()


def held_relay(start_relay, sink, name="apps"):
    """A relay whose socket systemd-socket-activate opened and holds, and that is started again whenever it ends."""
    if not shutil.which("systemd-socket-activate"):
        pytest.skip("systemd-socket-activate is not installed (package systemd)")
    relay = start_relay(start=False, send=[smart_host(sink)], queue={"drain_timeout": "20s"})
    relay.wrapper = ["systemd-socket-activate", f"--listen=127.0.0.1:{relay.port}", f"--fdname={name}",
                     "bash", "-c", KEEP_RUNNING, "bash"]
    relay.spawn()

    def listens():
        try:
            socket.create_connection(("127.0.0.1", relay.port), 1).close()
            return True
        except OSError:
            return False
    wait_until(listens, 10, "systemd-socket-activate listens")
    return relay.wait_ready()


def serving(relay):
    """Process id of the relay proper."""
    children = Path(f"/proc/{relay.pid}/task/{relay.pid}/children").read_text().split()
    return int(children[0]) if children else None


def restart(relay):
    old = serving(relay)
    seen = relay.log.mark()
    os.kill(old, signal.SIGTERM)
    relay.log.wait_for(event="stopped", after=seen, timeout=40)
    wait_until(lambda: serving(relay) not in (None, old), 20, "another process")


@pytest.mark.alone
def test_restarts_behind_a_held_socket_refuse_nobody(start_relay, tmp_path):
    """systemd's socket activation: a client that comes between two relays waits for its greeting."""
    with LoadSink(tmp_path) as sink:
        relay = held_relay(start_relay, sink)
        listening = relay.log.wait_for(event="listening")
        assert listening["inherited"] is True and listening["connector"] == "apps"
        load = Load(relay.port, per_connection=5).start()
        for _ in range(5):
            target = len(load.acknowledged) + 50
            wait_until(lambda: len(load.acknowledged) >= target, 30, "load between restarts")
            restart(relay)
        target = len(load.acknowledged) + 50
        wait_until(lambda: len(load.acknowledged) >= target, 30, "load after the last restart")
        load.stop()
        assert load.connect_failures == 0, "a connection was refused"
        assert not load.unknown, "whoever was past the dot got an answer"
        relay.wait_ready()
        relay.drain()
        verdict = compare(load.acknowledged, sink.ids()).assert_clean(dups=0)
        print(f"5 restarts, {len(load.acknowledged)} accepted, {load.broken} sessions ended by 421, {verdict}")


def test_a_client_between_two_relays_is_greeted_by_the_next(start_relay, tmp_path):
    with LoadSink(tmp_path) as sink:
        relay = held_relay(start_relay, sink)
        with relay.smtp() as first:
            first.hello()
            first.envelope(SENDER, [RECIPIENT])
            first.command("DATA", 354)
            os.kill(serving(relay), signal.SIGTERM)
            relay.log.wait_for(event="draining")
            with socket.create_connection(("127.0.0.1", relay.port), 5) as second:
                second.settimeout(0.3)

                def silent():
                    try:
                        return second.recv(1, socket.MSG_PEEK) == b"never"
                    except TimeoutError:
                        return True
                assert stays(silent, 0.6), "greeted by a relay that drains"
                first.send(b"Subject: x\r\n\r\nhi\r\n.\r\n")
                first.expect(250)
                second.settimeout(20)
                assert second.recv(200).startswith(b"220 ")


@pytest.mark.parametrize("name", ["apps", "sluice.socket"])
def test_a_socket_goes_by_the_connectors_name_or_by_its_address(start_relay, tmp_path, name):
    with LoadSink(tmp_path) as sink:
        relay = held_relay(start_relay, sink, name)
        assert relay.log.wait_for(event="listening")["inherited"] is True


def test_a_socket_that_the_configuration_does_not_list_stops_the_start(start_relay, server):
    if not shutil.which("systemd-socket-activate"):
        pytest.skip("systemd-socket-activate is not installed (package systemd)")
    relay = start_relay(start=False, send=[smart_host(server)])
    other = relay.admin_port
    relay.config["admin"]["listen"] = "127.0.0.1:1"
    relay.wrapper = ["systemd-socket-activate", f"--listen=127.0.0.1:{other}", "--fdname=apps"]
    relay.spawn()

    def touched():
        if relay.process.poll() is not None:
            return True
        try:
            socket.create_connection(("127.0.0.1", other), 1).close()
        except OSError:
            pass
        return False
    wait_until(touched, 20, "an end")
    assert relay.wait(1) == 1
    assert f"127.0.0.1:{other}" in relay.errors() and '[[receive]] "apps"' in relay.errors()


def test_the_service_manager_hears_when_it_is_ready_reloads_and_stops(start_relay, server, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        relay = start_relay(send=[smart_host(server)], env={"NOTIFY_SOCKET": str(tmp_path / "notify")})

        def next_words():
            return manager.recv(1000).decode().split("\n")
        assert "READY=1" in next_words()
        relay.reload()
        reloading = next_words()
        assert "RELOADING=1" in reloading and re.fullmatch(r"MONOTONIC_USEC=\d+", reloading[1])
        assert "READY=1" in next_words()
        relay.signal(signal.SIGTERM)
        assert "STOPPING=1" in next_words()
        assert relay.wait() == 0


def test_status_says_what_a_drain_waits_for(start_relay, server):
    relay = start_relay(send=[smart_host(server)], queue={"drain_timeout": "20s"})
    with relay.smtp() as client:
        client.hello()
        client.envelope(SENDER, [RECIPIENT])
        client.command("DATA", 354)
        relay.signal(signal.SIGTERM)
        draining = relay.log.wait_for(event="draining")
        assert draining["clients"] == 1 and draining["within"] == "20s"
        said = relay.cli("status", check=False)
        assert said.returncode == 1 and "shutting down" in said.stdout
        left = re.search(r"^1 clients and 0 connections to destinations are left, for (\d+) s at most$", said.stdout, re.M)
        assert left and int(left[1]) <= 20, said.stdout
        _, status = relay.api("GET", "/api/v1/status")
        assert status["draining"] and status["connections"] == {"in": 1, "out": 0} and status["drain_left"] <= 20
        client.send(SIMPLE + b"\r\n.\r\n" if not SIMPLE.endswith(b"\r\n") else SIMPLE + b".\r\n")
        client.expect(250)
    assert relay.wait() == 0
