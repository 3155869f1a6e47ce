"""The wall clock jumps, stands in another century, or the process is stopped for a while (TM1, TM3, TM4)."""
import email.utils
import os
import signal

import pytest

from support import faketime
from support.compare import compare
from support.faketime import FakeClock
from support.load import Load
from support.load_sink import LoadSink
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.waiting import pause, wait_until

needs_faketime = pytest.mark.skipif(faketime.library() is None, reason="libfaketime is not installed")


@needs_faketime
@pytest.mark.parametrize("now,year", [("@1970-01-02 00:00:00", 1970), ("@2038-02-01 00:00:00", 2038),
                                      ("@2106-02-08 00:00:00", 2106)])
def test_starting_in_another_time(start_relay, server, tmp_path, now, year):
    """TM3: starts, Date and Received are valid, ids unique."""
    relay = start_relay(send=[smart_host(server)], receive={"add_missing_headers": True},
                        env=FakeClock(tmp_path, now).env)
    ids = [relay.deliver_in(SENDER, [RECIPIENT], SIMPLE) for _ in range(20)]
    assert len(set(ids)) == 20
    message = server.wait_messages(20)[0]
    received = message.header("Received").rsplit(";", 1)[1].strip()
    for text in (received, message.header("Date")):
        assert email.utils.parsedate_to_datetime(text).year == year, text
    assert relay.log.wait_for(event="accepted")["time"].startswith(str(year))


@needs_faketime
@pytest.mark.parametrize("jump", ["+7200", "-7200"])
def test_the_clock_jumps_by_two_hours(start_relay, server, tmp_path, jump):
    """TM1: no burst of attempts above the cap, and no retry stands still."""
    server.on("rcpt", "451 4.7.1 later", when=lambda a: "@there.test" in a)
    clock = FakeClock(tmp_path)
    relay = start_relay(send=[smart_host(server, max_connections=5)], env=clock.env,
                        queue={"retry_first": "1s", "retry_factor": 1.0, "retry_max": "1s", "lifetime": "30d",
                               "delay_notice": "0"})
    for n in range(50):
        relay.deliver_in(SENDER, [f"<r{n}@there.test>"], SIMPLE)
    relay.log.wait_for(event="deferred", count=50)
    seen = relay.log.mark()
    clock.set(jump)
    relay.log.wait_for(event="deferred", after=seen, count=100, timeout=20)
    assert server.peak <= 5
    server.forget()
    server.wait_messages(50, 20)
    relay.drain()
    assert not relay.log.find(event="expired") and len(server.messages) == 50


def stopped_for(start_relay, tmp_path, seconds):
    with LoadSink(tmp_path) as sink:
        relay = start_relay(send=[smart_host(sink)])
        load = Load(relay.port, timeout=seconds + 60).start()
        wait_until(lambda: len(load.acknowledged) >= 100, 30, "some load")
        os.kill(relay.pid, signal.SIGSTOP)
        sessions = sink.open_sessions()
        pause(seconds)
        os.kill(relay.pid, signal.SIGCONT)
        count = len(load.acknowledged)
        wait_until(lambda: len(load.acknowledged) >= count + 100, 30, "load goes on")
        load.stop()
        relay.drain()
        verdict = compare(load.acknowledged, sink.ids(), load.unknown)
        print(f"TM4: stopped for {seconds} s, {verdict}, {sessions} sessions open")
        verdict.assert_clean(dups=sessions)


@pytest.mark.alone
def test_stopped_and_continued(start_relay, tmp_path):
    """TM4, short form."""
    stopped_for(start_relay, tmp_path, 5)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(400)
def test_stopped_for_two_minutes(start_relay, tmp_path):
    """TM4, long form."""
    stopped_for(start_relay, tmp_path, 120)
