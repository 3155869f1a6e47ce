"""A sync hangs past commit_timeout, the client is answered, and the process or the power goes before the disk
answers again: what got 451 is never delivered; where even that cannot be made sure, no answer is given."""
import pytest

from support.compare import compare
from support.disks import LoopDisk
from support.load import Load
from support.load_sink import LoadSink
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.smtp_client import stuff
from support.strace import Strace
from support.waiting import wait_until

HANG = 20_000_000  # microseconds, well beyond every wait below


def log_files(relay):
    return [p for p in relay.data.rglob("*.log") if p.name[:1].isdigit()]


def queue(**more):
    return {"commit_timeout": "500ms", "retry_first": "300ms", "retry_max": "500ms"} | more


@pytest.mark.alone
@pytest.mark.parametrize("cut", [False, True], ids=["killed", "power cut"])
def test_a_message_that_got_451_during_a_hanging_sync(start_relay, tmp_path, needs_strace, needs_power_cut, cut):
    sink = LoadSink(tmp_path)  # down until the end
    with LoopDisk(tmp_path, mib=300) as disk:
        relay = start_relay(start=False, send=[smart_host(sink)], queue=queue(),
                            top={"data_dir": str(disk.mount / "data")})
        relay.data = disk.mount / "data"
        relay.start()
        before = Load(relay.port, clients=2, limit=20).start().join()
        # A kill keeps what was written; a cut what the disk has, whether it has said so or not.
        where = "delay_exit" if cut else "delay_enter"
        trace = Strace(tmp_path, "fdatasync,fsync", inject=[f"fdatasync,fsync:{where}={HANG}"],
                       paths=log_files(relay))
        trace.attach(relay.pid)
        load = Load(relay.port, clients=4, limit=4).start()
        wait_until(lambda: len(load.refused) == 4, 15, lambda: f"refusals, not {load.acknowledged}")
        assert {r.code for r in load.refused.values()} == {451}
        disk.cut_power(relay.process) if cut else relay.kill()
        load.stop()
        relay.start()
        with sink:
            relay.drain()
            verdict = compare(before.acknowledged, sink.ids(), load.unknown)
            print(f"hanging sync, {'cut' if cut else 'killed'}: {len(load.refused)} refused, {verdict}")
            verdict.assert_clean()
        relay.stop()


@pytest.mark.alone
def test_no_answer_is_given_when_every_sync_hangs(start_relay, server, tmp_path, needs_strace):
    """Neither 250 nor 451 would be safe: the connection ends, and the log says so."""
    relay = start_relay(send=[smart_host(server)], queue=queue())
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(1)
    with Strace(tmp_path, "fdatasync,fsync", inject=[f"fdatasync,fsync:delay_enter={HANG}"]).attach(relay.pid):
        with relay.smtp(timeout=15) as client:
            client.hello()
            client.envelope(SENDER, [RECIPIENT])
            client.command("DATA", 354)
            client.send(stuff(SIMPLE))
            with pytest.raises((OSError, AssertionError)):
                client.reply()
        assert relay.log.wait_for(event="unanswered")["id"]
        relay.kill()
    relay.start()
    relay.drain()
    assert len(server.messages) <= 2
    relay.stop()
