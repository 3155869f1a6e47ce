"""Is the systemd unit valid, confined (CF7), and in step with the relay?"""
import re
import shutil
import subprocess
import tomllib

import pytest

from support.source_tree import ROOT

UNIT = ROOT / "deploy/sluice.service"
SOCKET = ROOT / "deploy/sluice.socket"
MOST_EXPOSURE = 2.0


def settings(unit=UNIT):
    pairs = re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.M)
    return {name: [value for key, value in pairs if key == name] for name, _ in pairs}


def analyze(*arguments):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (package systemd)")
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True)


def test_systemd_finds_no_mistake_in_it(tmp_path):
    # With a program that exists: whether ours is installed is another question.
    unit = tmp_path / "sluice.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/sluice", "/bin/true"))
    (tmp_path / "sluice.socket").write_text(SOCKET.read_text())
    result = analyze("verify", unit, tmp_path / "sluice.socket")
    complaints = [line for line in (result.stdout + result.stderr).splitlines()
                  if "sluice.service" in line or "sluice.socket" in line]
    assert not complaints, complaints


def test_it_is_confined():
    result = analyze("security", "--offline=true", f"--threshold={int(MOST_EXPOSURE * 10)}", UNIT)
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", result.stdout)
    assert exposure, result.stdout + result.stderr
    assert result.returncode == 0 and float(exposure[1]) <= MOST_EXPOSURE


def test_system_calls_are_those_of_a_service_and_none_of_an_administrator():
    assert settings()["SystemCallFilter"] == ["@system-service", "~@privileged @resources", "capset seccomp"]


def test_its_only_privilege_is_low_ports():
    assert settings()["CapabilityBoundingSet"] == ["CAP_NET_BIND_SERVICE"]
    assert settings()["AmbientCapabilities"] == ["CAP_NET_BIND_SERVICE"]
    assert settings()["NoNewPrivileges"] == ["yes"]
    assert settings()["User"] == ["sluice"]


def test_a_reload_with_mistakes_fails_before_it_reaches_the_relay():
    check, signal = settings()["ExecReload"]
    assert " check " in check and signal == "/bin/kill -HUP $MAINPID"


def test_it_is_given_the_time_to_drain():
    assert int(settings()["TimeoutStopSec"][0]) > 30


def test_the_queue_is_where_the_relay_looks_by_default():
    assert settings()["StateDirectory"] == ["sluice"]
    assert '"/var/lib/sluice"' in (ROOT / "relay/config/config.h").read_text()


def test_the_socket_is_one_of_the_example_configuration():
    """FileDescriptorName= is a connector's name, ListenStream= an address of its `listen`."""
    with open(ROOT / "deploy/sluice.example.toml", "rb") as file:
        connectors = {one["name"]: one["listen"] for one in tomllib.load(file)["receive"]}
    unit = settings(SOCKET)
    assert unit["ListenStream"][0] in connectors[unit["FileDescriptorName"][0]]
    assert unit["BindIPv6Only"] == ["ipv6-only"], "as the relay's own sockets are"


def test_systemd_is_told_when_it_is_ready():
    assert settings()["Type"] == ["notify"] and "AF_UNIX" in settings()["RestrictAddressFamilies"][0]
