"""Does the README's first command give a stranger a relay that works? With a binary that is built already in the
short form; from a fresh clone in the long one."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.ports import free_port
from support.relay import binary
from support.source_tree import ROOT
from support.waiting import wait_until

SCRIPT = ROOT / "deploy/quickstart"


class Quickstart:
    """deploy/quickstart of a checkout, with ports and a state folder of its own; without `program` it builds."""

    def __init__(self, checkout, state, program=""):
        self.checkout, self.state = checkout, state
        self.port = free_port()
        self.environment = os.environ | {
            "QUICKSTART_STATE": str(state), "QUICKSTART_PORT": str(self.port), "QUICKSTART_BINARY": program,
            "QUICKSTART_SINK_PORT": str(free_port()), "QUICKSTART_ADMIN_PORT": str(free_port())}

    def __call__(self, *arguments, code=0, timeout=120):
        result = subprocess.run([self.checkout / "deploy/quickstart", *arguments], env=self.environment,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        assert result.returncode == code, result.stdout[-3000:] + result.stderr[-3000:]
        return result.stdout + result.stderr

    def pid(self, name):
        return int((self.state / f"{name}.pid").read_text())

    def log(self):
        return (self.state / "relay.log").read_text()


@pytest.fixture
def quickstart(tmp_path):
    if not Path(binary()).exists():
        pytest.skip("no binary is built")
    quickstart = Quickstart(ROOT, tmp_path / "state", str(Path(binary()).resolve()))
    yield quickstart
    quickstart("stop")


def first_message(quickstart):
    said = quickstart("send", "someone@example.net")
    identity = re.search(r"Queued as (\S+)", said)
    assert identity, said
    wait_until(lambda: '"event":"delivered"' in quickstart.log() and identity[1] in quickstart.log(), 10,
               quickstart.log)


def test_the_shell_script_has_no_mistake_that_shellcheck_finds():
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    result = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_it_starts_delivers_a_message_and_stops(quickstart):
    said = quickstart()
    assert f"127.0.0.1:{quickstart.port}" in said
    first_message(quickstart)
    assert "delivered" in quickstart.log()
    relay = quickstart.pid("relay")
    assert quickstart("stop").strip() == "stopped"
    assert not Path(f"/proc/{relay}").exists() or "Z" in Path(f"/proc/{relay}/stat").read_text()
    assert quickstart("stop").strip() == "it was not running"
    assert '"event":"stopped"' in quickstart.log()


def test_run_again_it_leaves_the_running_relay_alone(quickstart):
    quickstart()
    relay = quickstart.pid("relay")
    assert f"it runs already (pid {relay})" in quickstart()
    assert quickstart.pid("relay") == relay


def test_run_again_it_mends_what_is_half_there(quickstart):
    quickstart()
    os.kill(quickstart.pid("sink"), 9)
    relay = quickstart.pid("relay")
    quickstart()
    assert quickstart.pid("relay") != relay
    first_message(quickstart)


def test_a_port_that_is_taken_is_named(quickstart):
    import socket
    with socket.create_server(("127.0.0.1", quickstart.port)):
        assert f"port {quickstart.port} is in use" in quickstart(code=1)


def test_status_and_send_say_when_nothing_runs(quickstart):
    assert "not running" in quickstart("status", code=1)
    assert "start it with deploy/quickstart" in quickstart("send", code=1)


@pytest.mark.long_form
@pytest.mark.timeout(2400)
def test_a_fresh_clone_needs_one_command(tmp_path):
    subprocess.run(["git", "clone", "-q", ROOT, tmp_path / "clone"], check=True)
    quickstart = Quickstart(tmp_path / "clone", tmp_path / "clone/build/quickstart")
    try:
        quickstart(timeout=2300)
        first_message(quickstart)
        status = subprocess.run(["git", "-C", tmp_path / "clone", "status", "--porcelain"],
                                capture_output=True, text=True).stdout
        assert status == "", "what it makes is ignored by git"
    finally:
        quickstart("stop")
