"""The power goes: what was acknowledged is on the disk (CD3, and the end of DF4)."""
import pytest

from support.compare import compare
from support.disks import LoopDisk
from support.load import Load
from support.load_sink import LoadSink
from support.relay import smart_host
from support.waiting import pause, wait_until


def cut_again_and_again(start_relay, tmp_path, rounds):
    acknowledged, unknown = set(), set()
    sink = LoadSink(tmp_path)  # down until the end
    with LoopDisk(tmp_path, mib=1024) as disk:
        relay = start_relay(start=False, send=[smart_host(sink)],
                            top={"data_dir": str(disk.mount / "data")}, queue={"retry_max": "500ms"})
        relay.start()
        for _ in range(rounds):
            load = Load(relay.port).start()
            wait_until(lambda: len(load.acknowledged) >= 200, 30, "some load")
            pause(0.3)
            disk.cut_power(relay.process)
            load.stop()
            acknowledged |= load.acknowledged.keys()
            unknown |= load.unknown
            relay.start()
        with sink:
            relay.drain(120)
            verdict = compare(acknowledged, sink.ids(), unknown)
            print(f"CD3: {rounds} power cuts, {len(acknowledged)} accepted, {verdict}")
            verdict.assert_clean(dups=0)
        relay.stop()


@pytest.mark.alone
def test_nothing_acknowledged_is_lost(start_relay, tmp_path, needs_power_cut):
    """CD3, short form."""
    cut_again_and_again(start_relay, tmp_path, 3)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_in_ten_cuts(start_relay, tmp_path, needs_power_cut):
    """CD3, long form."""
    cut_again_and_again(start_relay, tmp_path, 10)


@pytest.mark.alone
def test_a_cut_while_delivering_repeats_only_the_last_second(start_relay, tmp_path, needs_power_cut):
    """Section 4, 5: after power loss those in flight and the completions of the last second may come twice."""
    with LoopDisk(tmp_path, mib=512) as disk, LoadSink(tmp_path, rate=200) as sink:
        relay = start_relay(start=False, send=[smart_host(sink)], top={"data_dir": str(disk.mount / "data")})
        relay.start()
        load = Load(relay.port, limit=1500).start().join()
        wait_until(lambda: sink.count() >= 500, 30, "a third delivered")
        disk.cut_power(relay.process)
        relay.start()
        relay.drain(60)
        verdict = compare(load.acknowledged, sink.ids())
        print(f"power cut while delivering at 200/s: {verdict}")
        verdict.assert_clean(dups=200 * 1.5 + 40)
        relay.stop()


@pytest.mark.alone
def test_a_failed_sync_and_then_a_cut(start_relay, tmp_path, needs_power_cut, needs_strace):
    """DF4: one fdatasync fails; that batch is 451, nothing later relies on the same file; cut: nothing lost."""
    from support.strace import Strace
    sink = LoadSink(tmp_path)
    with LoopDisk(tmp_path, mib=512) as disk:
        relay = start_relay(start=False, send=[smart_host(sink)], top={"data_dir": str(disk.mount / "data")})
        relay.start()
        load = Load(relay.port, clients=4).start()
        wait_until(lambda: len(load.acknowledged) >= 50, 30, "some load")
        with Strace(tmp_path, "fdatasync,fsync", inject=["fdatasync,fsync:error=EIO:when=20"]).attach(relay.pid):
            wait_until(lambda: any(r.code in (451, 421) for r in load.refused.values()) or not relay.running(),
                       30, "the failed batch answered 451")
        if not relay.running():
            relay.start()
        count = len(load.acknowledged)
        wait_until(lambda: len(load.acknowledged) >= count + 50, 30, "later mail accepted")
        disk.cut_power(relay.process)
        load.stop()
        relay.start()
        with sink:
            relay.drain(120)
            verdict = compare(load.acknowledged, sink.ids(), load.unknown)
            print(f"DF4: {len(load.acknowledged)} accepted, {len(load.refused)} refused, {verdict}")
            verdict.assert_clean()
        relay.stop()
