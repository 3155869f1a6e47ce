"""Root is needed to bind a port, and for nothing else: what the process has given up before the first client comes."""
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import Relay, binary, smart_host
from support.toml import to_toml

USER = "nobody"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
without_sanitizers = pytest.mark.skipif("san" in Path(binary()).parent.name, reason="sanitizers need what is forbidden")


@pytest.fixture
def folder():
    """One that every user may enter."""
    path = Path(tempfile.mkdtemp(prefix="sluice-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


def threads(pid):
    """What /proc says of each thread."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield dict(re.findall(r"^(\w+):\s*(.*)$", (task / "status").read_text(), re.M))


def on_a_low_port(folder, server, **settings):
    relay = Relay(folder, send=[smart_host(server)], **settings)
    relay.config["receive"][0]["listen"].append("127.0.0.77:587")
    return relay


def assert_confined(relay):
    for status in threads(relay.pid):
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status["Name"]


@needs_root
@without_sanitizers
def test_root_is_given_up_once_the_listeners_are_bound(folder, server):
    with on_a_low_port(folder, server, extra={"process": {"user": USER}}) as relay:
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        server.wait_messages(1)
        user = pwd.getpwnam(USER)
        for status in threads(relay.pid):
            assert set(status["Uid"].split()) == {str(user.pw_uid)}
            assert set(status["Gid"].split()) == {str(user.pw_gid)}
            assert "0" not in status["Groups"].split()
            assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapInh"], 16) == 0
        assert_confined(relay)
        assert relay.data.stat().st_uid == user.pw_uid
        relay.config_file.chmod(0o644)
        relay.signal(1)
        relay.log.wait_for(event="reloaded")
        assert relay.stop() == 0


@without_sanitizers
def test_system_calls_are_forbidden_whoever_it_runs_as(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    assert_confined(relay)
    if os.geteuid() == 0:
        relay.log.wait_for(event="running_as_root")
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(1)


@without_sanitizers
def test_the_sandbox_can_be_left_out(start_relay, server):
    relay = start_relay(send=[smart_host(server)], extra={"process": {"sandbox": False}})
    assert all(status["Seccomp"] == "0" and status["NoNewPrivs"] == "1" for status in threads(relay.pid))


@needs_root
def test_a_capability_to_bind_is_given_up(folder, server):
    """As the systemd unit starts it: another user, with CAP_NET_BIND_SERVICE alone."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed (package util-linux)")
    wrapper = ["setpriv", "--reuid", USER, "--clear-groups", "--inh-caps=-all,+net_bind_service",
               "--ambient-caps=+net_bind_service", "--bounding-set=-all,+net_bind_service"]
    with on_a_low_port(folder, server, wrapper=wrapper) as relay:
        for status in threads(relay.pid):
            assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapAmb"], 16) == 0


@needs_root
def test_who_is_not_root_becomes_nobody_else(folder):
    config = folder / "sluice.toml"
    config.write_text(to_toml({"data_dir": str(folder / "data"), "process": {"user": "daemon"},
                               "receive": [{"listen": ["127.0.0.1:0"]}]}))
    config.chmod(0o644)
    result = subprocess.run(["setpriv", "--reuid", USER, "--clear-groups", binary(), "serve", "--config", str(config)],
                            capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and "[process] user: only root can become" in result.stderr
