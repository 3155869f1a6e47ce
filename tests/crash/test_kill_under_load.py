"""SIGKILL at any moment: what was acknowledged arrives, and only what was under way may come twice (CD1, CD7)."""
import random
import re
import time
from pathlib import Path

import pytest

from support import confined
from support.compare import compare
from support.load import Load
from support.load_sink import LoadSink
from support.relay import binary, smart_host
from support.waiting import pause, wait_until

MOST_AT_ONCE = 20  # max_connections: what may be past its dot at a kill


def kill_again_and_again(start_relay, tmp_path, kills, at_least, confine=None):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    with LoadSink(tmp_path) as sink:
        relay = start_relay(start=False, send=[smart_host(sink, max_connections=MOST_AT_ONCE)])
        if confine:
            confine(relay)
        relay.start()
        load = Load(relay.port).start()
        slowest, in_flight = 0.0, 0
        for _ in range(kills):
            pause(chance.uniform(0.2, 2.0))
            in_flight += sink.open_sessions()
            relay.kill()
            begin = time.monotonic()
            relay.spawn()
            wait_until(relay._greets, 10, "220 after a kill")
            slowest = max(slowest, time.monotonic() - begin)
        wait_until(lambda: len(load.acknowledged) >= at_least, 60, "enough load")
        load.stop()
        relay.wait_ready()
        relay.drain(120)
        verdict = compare(load.acknowledged, sink.ids(), load.unknown)
        print(f"CD1: {kills} kills, {len(load.acknowledged)} accepted, {len(load.unknown)} unknown, {verdict}, "
              f"at most {in_flight} in flight, slowest 220 after {slowest:.2f} s")
        verdict.assert_clean(dups=kills * MOST_AT_ONCE)
        assert slowest <= 5.0
        return verdict


@pytest.mark.alone
def test_nothing_acknowledged_is_lost(start_relay, tmp_path):
    """CD1, short form."""
    kill_again_and_again(start_relay, tmp_path, 8, 2000)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_in_fifty_kills(start_relay, tmp_path):
    """CD1, long form."""
    kill_again_and_again(start_relay, tmp_path, 50, 20_000)


def within_the_units_limits(relay):
    relay.config["data_dir"] = confined.DATA
    relay.wrapper = confined.wrapper(relay, binary())


def kill_within_the_units_limits(start_relay, tmp_path, kills, at_least):
    if why := confined.why_not():
        pytest.skip(why)
    kill_again_and_again(start_relay, tmp_path, kills, at_least, within_the_units_limits)


@pytest.mark.alone
def test_nothing_acknowledged_is_lost_within_the_limits_of_the_service(start_relay, tmp_path):
    """CF7, short form: CD1 with the shipped unit's system calls, privileges and view of the file system."""
    kill_within_the_units_limits(start_relay, tmp_path, 4, 1000)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(300)
def test_a_minute_of_kills_within_the_limits_of_the_service(start_relay, tmp_path):
    """CF7, long form."""
    kill_within_the_units_limits(start_relay, tmp_path, 50, 10_000)


@pytest.mark.alone
def test_the_limits_of_the_service_are_in_force(start_relay, server):
    """So that the stories above say something: filter, privileges and a file system that is read-only."""
    if why := confined.why_not():
        pytest.skip(why)
    relay = start_relay(start=False, send=[smart_host(server)])
    within_the_units_limits(relay)
    relay.start()
    status = Path(f"/proc/{relay.pid}/status").read_text()
    assert re.search(r"^Seccomp:\s2$", status, re.M) and re.search(r"^NoNewPrivs:\s1$", status, re.M)
    assert re.search(r"^Uid:\s65534\s", status, re.M) and re.search(r"^CapEff:\s0{16}$", status, re.M)
    mounts = [line.split() for line in Path(f"/proc/{relay.pid}/mounts").read_text().splitlines()]
    # What lies below /tmp is hidden by its own /tmp.
    writable = {fields[1] for fields in mounts if "rw" in fields[3].split(",")}
    assert {place for place in writable if not place.startswith(("/dev", "/media/dev", "/tmp/"))} <= {confined.DATA, "/tmp"}


def kill_while_starting(start_relay, tmp_path, queued, kills):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    sink = LoadSink(tmp_path)
    relay = start_relay(send=[smart_host(sink, host_backoff="100ms")])
    load = Load(relay.port, limit=queued).start().join(600)
    assert len(load.acknowledged) == queued
    relay.kill()
    with sink:
        sessions = 0
        for _ in range(kills):
            relay.spawn()
            pause(chance.uniform(0.05, 3.0))
            sessions += sink.open_sessions()
            relay.kill()
        relay.start(60)
        relay.drain(300)
        verdict = compare(load.acknowledged, sink.ids())
        print(f"CD7: {queued} queued, {kills} kills in the first 3 s, {verdict}, {sessions} sessions open at the kills")
        # A session carries one unanswered transaction, or as many as ride on one connection.
        verdict.assert_clean(dups=kills * MOST_AT_ONCE)


@pytest.mark.alone
def test_kills_in_the_first_seconds_of_a_start(start_relay, tmp_path):
    """CD7, short form."""
    kill_while_starting(start_relay, tmp_path, 3000, 6)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(900)
def test_kills_in_the_first_seconds_with_a_full_queue(start_relay, tmp_path):
    """CD7, long form."""
    kill_while_starting(start_relay, tmp_path, 50_000, 20)
