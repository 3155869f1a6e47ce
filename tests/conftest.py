"""Fixtures of all tests, and what decides which of them run."""
import pytest

from support import disks, strace
from support.relay import Relay
from support.scripted_server import ScriptedServer


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="the long forms too")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="a long form: tests/run --long")
    for item in items:
        if item.get_closest_marker("long_form"):
            item.add_marker(skip)


@pytest.fixture
def server():
    """A good destination on an address and port of its own."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def start_relay(tmp_path):
    """start_relay(send=[...], ...) gives a running relay; all are ended with the test. With
    `start=False` it is only configured."""
    relays = []

    def start(start=True, **settings):
        relay = Relay(tmp_path / f"relay{len(relays)}", **settings)
        relays.append(relay)
        return relay.start() if start else relay

    start.relays = relays
    yield start
    failures = []
    for relay in relays:
        try:
            relay.end()
        except Exception as error:
            failures.append(error)
    if failures:
        raise failures[0]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed story shows the ends of its relays' logs."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed and "start_relay" in item.funcargs:
        for relay in item.funcargs["start_relay"].relays:
            report.sections.append((f"log of {relay.directory}", relay.story()))


@pytest.fixture(scope="session")
def needs_power_cut(tmp_path_factory):
    reason = disks.why_no_power_cut(tmp_path_factory.mktemp("probe"))
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def needs_loop_disk(tmp_path_factory):
    reason = disks.why_no_loop_disk(tmp_path_factory.mktemp("probe"))
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def needs_strace():
    reason = strace.why_no_strace()
    if reason:
        pytest.skip(reason)
