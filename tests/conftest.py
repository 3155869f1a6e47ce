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


class Relays:
    """Calling it gives a running relay; with `start=False` it is only configured."""

    def __init__(self, directory):
        self.directory, self.relays = directory, []

    def __call__(self, start=True, **settings):
        relay = Relay(self.directory / f"relay{len(self.relays)}", **settings)
        self.relays.append(relay)
        return relay.start() if start else relay

    def end(self):
        failures = []
        for relay in self.relays:
            try:
                relay.end()
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]


@pytest.fixture
def start_relay(tmp_path):
    """start_relay(send=[...], ...): relays that are ended with the test."""
    relays = Relays(tmp_path)
    yield relays
    relays.end()


@pytest.fixture(scope="module")
def start_shared_relay(tmp_path_factory):
    """The same for relays that all stories of a file share."""
    relays = Relays(tmp_path_factory.mktemp("shared"))
    yield relays
    relays.end()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed story shows the ends of its relays' logs."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for name in ("start_relay", "start_shared_relay"):
            for relay in getattr(item.funcargs.get(name), "relays", []):
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
