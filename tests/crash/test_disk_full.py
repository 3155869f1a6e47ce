"""The disk is full, has no inodes, or fails: refused in time, delivered on, back by itself (DF1, DF3, DF6, DF7,
AD10)."""
import os
import threading

import pytest

from support.compare import compare
from support.disks import LoopDisk, TmpfsDisk
from support.load import Load
from support.load_sink import LoadSink
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.strace import Strace
from support.waiting import wait_until

RESERVE = 48 << 20


def on_disk(disk):
    return {"data_dir": str(disk.mount / "data")}


def mail_reply(relay):
    with relay.smtp() as client:
        client.hello()
        return client.command(f"MAIL FROM:{SENDER}")


@pytest.mark.alone
@pytest.mark.parametrize("kind", [TmpfsDisk, LoopDisk], ids=["tmpfs", "ext4"])
def test_below_the_reserve_mail_is_refused_and_deliveries_go_on(start_relay, tmp_path, needs_loop_disk, kind):
    """DF1 and AD10: 452 4.3.1 at MAIL, live and not ready, back within 10 s of space."""
    with kind(tmp_path, mib=300) as disk, LoadSink(tmp_path) as sink:
        relay = start_relay(send=[smart_host(sink)], top=on_disk(disk), queue={"disk_reserve": "48MiB"})
        load = Load(relay.port).start()
        wait_until(lambda: len(load.acknowledged) >= 100, 30, "some load")
        ballast = disk.fill(leave=RESERVE // 2)
        wait_until(lambda: any(r.code == 452 and r.status == "4.3.1" for r in load.refused.values()), 20,
                   "452 4.3.1")
        wait_until(lambda: not relay.is_ready(), 5, "not ready")
        assert relay.api("GET", "/livez")[0] == 200
        assert mail_reply(relay).code == 452
        load.stop()
        relay.drain()
        ballast.unlink()
        wait_until(lambda: mail_reply(relay).code == 250, 10, "input back")
        wait_until(relay.is_ready, 5, "ready again")
        verdict = compare(load.acknowledged, sink.ids(), load.unknown)
        print(f"DF1: {len(load.acknowledged)} accepted, {len(load.refused)} refused, {verdict}")
        verdict.assert_clean()
        relay.stop()


@pytest.mark.alone
def test_a_disk_that_is_full_in_the_middle(start_relay, tmp_path, needs_loop_disk):
    """DF1 without a reserve to speak of: nothing acknowledged is lost when writing itself fails."""
    with LoopDisk(tmp_path, mib=400) as disk:
        sink = LoadSink(tmp_path)
        relay = start_relay(send=[smart_host(sink)], top=on_disk(disk), queue={"disk_reserve": "1MiB",
                                                                              "database_memory": "32MiB"})
        load = Load(relay.port, size=20_000, timeout=20).start()
        disk.fill(leave=4 << 20)
        wait_until(lambda: load.refused or not relay.running(), 40, "the first refusal")
        load.stop()
        (disk.mount / "ballast").unlink()
        if not relay.running():
            relay.start()
        with sink:
            wait_until(lambda: mail_reply(relay).code == 250, 20, "input back")
            relay.drain()
            verdict = compare(load.acknowledged, sink.ids(), load.unknown)
            print(f"full disk: {len(load.acknowledged)} accepted, {len(load.refused)} refused, {verdict}")
            verdict.assert_clean()
        relay.stop()


def take_all(disk, stop, path):
    """A neighbour that takes whatever is free, again and again, until told to stop."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        while not stop.is_set():
            try:
                os.write(fd, bytes(65536))
            except OSError:
                try:
                    os.write(fd, bytes(1024))
                except OSError:
                    stop.wait(0.01)
    finally:
        os.close(fd)


@pytest.mark.alone
def test_a_neighbour_takes_the_last_byte(start_relay, tmp_path, needs_loop_disk):
    """DF1 with nothing left at all, also for RocksDB's own log: it waits for room and never ends by itself; a start
    without room says so."""
    with TmpfsDisk(tmp_path, mib=200) as disk:
        sink = LoadSink(tmp_path)
        relay = start_relay(send=[smart_host(sink)], top=on_disk(disk),
                            queue={"disk_reserve": "0", "database_memory": "32MiB"})
        pid = relay.pid
        load = Load(relay.port, size=20_000, timeout=20).start()
        for full in range(3):
            count = len(load.acknowledged)
            wait_until(lambda: len(load.acknowledged) >= count + 100 or not relay.running(), 30, "load goes on")
            seen, stop, path = relay.log.mark(), threading.Event(), disk.mount / "neighbour"
            neighbour = threading.Thread(target=take_all, args=(disk, stop, path), daemon=True)
            neighbour.start()
            relay.log.wait_for(event="store_reopen_failed", after=seen, count=3, timeout=40)
            assert relay.running() and relay.pid == pid and not relay.is_ready()
            if full == 2:
                load.stop()
                relay.kill()
                relay.spawn()
                assert relay.wait(20) == 1
                assert "no space" in relay.errors().lower()
            stop.set()
            neighbour.join()
            path.unlink()
            if full == 2:
                relay.start()
            wait_until(lambda: mail_reply(relay).code == 250, 20, "input back")
        with sink:
            relay.drain()
            verdict = compare(load.acknowledged, sink.ids(), load.unknown)
            print(f"the last byte: {len(load.acknowledged)} accepted, {len(load.refused)} refused, {verdict}")
            verdict.assert_clean()
        relay.stop()


def write_fails(start_relay, tmp_path, when):
    folder = tmp_path / str(when)
    folder.mkdir()
    sink = LoadSink(folder)
    relay = start_relay(send=[smart_host(sink)])
    load = Load(relay.port, clients=4).start()
    wait_until(lambda: len(load.acknowledged) >= 10, 30, "some load")
    logs = [p for p in relay.data.rglob("*.log") if p.name[:1].isdigit()]
    assert logs
    with Strace(folder, "pwrite64,write", inject=[f"pwrite64,write:error=ENOSPC:when={when}"],
                paths=logs).attach(relay.pid):
        wait_until(lambda: any(r.code in (451, 452, 421) for r in load.refused.values()) or not relay.running(),
                   30, "a refusal")
    load.stop()
    if not relay.running():
        relay.start()
    later = Load(relay.port, clients=2, limit=20).start().join()
    wait_until(lambda: len(later.acknowledged) >= 10, 20, "later mail accepted")
    relay.restart(kill=True)
    with sink:
        relay.drain()
        verdict = compare(load.acknowledged.keys() | later.acknowledged.keys(), sink.ids(), load.unknown)
    print(f"DF3: the {when}th write failed: {len(load.acknowledged)} accepted, {len(load.refused)} refused, {verdict}")
    verdict.assert_clean()
    relay.stop()


@pytest.mark.alone
@pytest.mark.parametrize("when", [1, 2, 7])
def test_a_write_to_the_log_fails(start_relay, tmp_path, needs_strace, when):
    """DF3, short form: 451, ghosts 0, later mail works."""
    write_fails(start_relay, tmp_path, when)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(900)
def test_each_of_thirty_writes_fails(start_relay, tmp_path, needs_strace):
    """DF3, long form."""
    for when in range(1, 31):
        write_fails(start_relay, tmp_path, when)


@pytest.mark.alone
def test_no_inodes_left(start_relay, tmp_path, needs_loop_disk):
    """DF6: as a full disk; nothing lost."""
    with LoopDisk(tmp_path, mib=200, inodes=64) as disk, LoadSink(tmp_path) as sink:
        relay = start_relay(send=[smart_host(sink)], top=on_disk(disk), queue={"disk_reserve": "8MiB",
                                                                              "database_memory": "1MiB"})
        taken = []
        try:
            for n in range(200):
                path = disk.mount / f"empty{n}"
                path.touch()
                taken.append(path)
        except OSError:
            pass
        load = Load(relay.port, size=20_000, limit=1000, timeout=30).start().join()
        for path in taken:
            path.unlink()
        if not relay.running():
            relay.start()
        wait_until(lambda: mail_reply(relay).code == 250, 20, "input back")
        relay.drain()
        verdict = compare(load.acknowledged, sink.ids(), load.unknown)
        print(f"DF6: {len(load.acknowledged)} accepted, {len(load.refused)} refused, {verdict}")
        verdict.assert_clean()
        relay.stop()


@pytest.mark.alone
def test_a_file_cannot_be_opened(start_relay, tmp_path, needs_strace):
    """DF6: EMFILE when a table is made."""
    sink = LoadSink(tmp_path)
    relay = start_relay(send=[smart_host(sink)], queue={"database_memory": "1MiB"})
    load = Load(relay.port, size=20_000, clients=4, timeout=30).start()
    wait_until(lambda: len(load.acknowledged) >= 10, 30, "some load")
    with Strace(tmp_path, "openat", inject=["openat:error=EMFILE:when=1..5"]).attach(relay.pid):
        count = len(load.acknowledged)
        wait_until(lambda: len(load.acknowledged) >= count + 400 or load.refused or not relay.running(), 60,
                   "the failure met, or not")
    load.stop()
    if not relay.running():
        relay.start()
    wait_until(lambda: mail_reply(relay).code == 250, 20, "input back")
    relay.restart(kill=True)
    with sink:
        relay.drain()
        compare(load.acknowledged, sink.ids(), load.unknown).assert_clean()


@pytest.mark.alone
def test_content_that_cannot_be_read_defers_that_message(start_relay, tmp_path, needs_strace):
    """DF7: deferred and flagged; never bounced or dropped."""
    sink = LoadSink(tmp_path)
    relay = start_relay(send=[smart_host(sink)], queue={"database_memory": "1MiB", "memory": "1MiB"})
    load = Load(relay.port, limit=300, size=20_000).start().join()
    relay.restart()
    blobs = list(relay.data.rglob("*.blob"))
    assert blobs, "content lies in the log only"
    with Strace(tmp_path, "pread64", inject=["pread64:error=EIO:when=5"], paths=blobs).attach(relay.pid):
        with sink:
            wait_until(lambda: sink.count() >= 200, 60, "most delivered")
    with sink:
        relay.api("POST", "/api/v1/messages/release", {})
        relay.api("POST", "/api/v1/messages/retry", {})
        wait_until(lambda: len(set(sink.ids())) + relay.metric("sluice_quarantined_messages") >= 300, 30,
                   lambda: f"all delivered or flagged: {len(set(sink.ids()))}")
        assert not relay.log.find(event="bounced") and not relay.log.find(event="expired")
        verdict = compare(load.acknowledged, sink.ids())
        print(f"DF7: {verdict}, {relay.metric('sluice_quarantined_messages'):.0f} quarantined")
        assert len(verdict.lost) <= relay.metric("sluice_quarantined_messages")


@pytest.mark.sanitized
def test_a_message_that_has_no_room_is_refused_at_mail(start_relay, server, tmp_path, needs_loop_disk):
    with TmpfsDisk(tmp_path, mib=150) as disk:
        relay = start_relay(send=[smart_host(server)], top=on_disk(disk), queue={"disk_reserve": "40MiB"})
        with relay.smtp() as client:
            client.hello()
            client.command(f"MAIL FROM:{SENDER} SIZE=1000", 250)
            client.command("RSET", 250)
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        server.wait_messages(1)
        relay.stop()
