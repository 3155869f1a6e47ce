"""A queue that was damaged: said, named, worked around; never replaced by an empty one (UP3, UP5, UP7)."""
import email
import json
import random
import shutil
import subprocess

import pytest

from support.compare import compare
from support.load import Load, id_of
from support.load_sink import LoadSink
from support.relay import binary, smart_host
from support.waiting import wait_until


def filled(start_relay, sink, count, size=1500, **settings):
    """A stopped relay with so many messages in its queue, and their ids."""
    relay = start_relay(send=[smart_host(sink)], **settings)
    load = Load(relay.port, limit=count, size=size).start().join()
    assert len(load.acknowledged) == count
    return relay, load


def files(relay, suffix):
    return sorted(p for p in relay.data.rglob("*") if p.name.endswith(suffix) and p.stat().st_size)


def chop(start_relay, tmp_path, times):
    """UP3: the log's tail is gone: it starts, says how many bytes it dropped, delivers all before."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    for number in range(times):
        folder = tmp_path / str(number)
        folder.mkdir()
        sink = LoadSink(folder)
        relay, load = filled(start_relay, sink, 60)
        relay.kill()
        log = max(files(relay, ".log"), key=lambda p: p.name)
        data = log.read_bytes().rstrip(b"\0")  # space may lie ready behind the records
        cut = chance.randrange(1, 4097)
        log.write_bytes(data[:-cut])
        with sink:
            relay.start()
            dropped = relay.metric("sluice_recovery_dropped_bytes")
            relay.drain()
            verdict = compare(load.acknowledged, sink.ids())
        print(f"UP3: {cut} bytes chopped, {dropped:.0f} reported, {verdict}")
        # A record holds up to 8 messages here, of about 2 KB each.
        assert len(verdict.lost) <= 8 + cut // 1500
        assert not verdict.ghosts and not verdict.dups
        if verdict.lost:
            assert dropped > 0 or relay.log.find(where=lambda e: "drop" in json.dumps(e))
        relay.stop()


@pytest.mark.alone
def test_a_chopped_log_loses_its_tail_only(start_relay, tmp_path):
    chop(start_relay, tmp_path, 4)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(300)
def test_a_log_chopped_twenty_times(start_relay, tmp_path):
    chop(start_relay, tmp_path, 20)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x55]))


@pytest.mark.alone
@pytest.mark.parametrize("suffix", [".sst", ".blob"])
def test_a_flipped_byte_costs_the_messages_it_hit_and_no_other(start_relay, tmp_path, suffix):
    """UP5: affected ids quarantined and named, the rest delivered, no crash loop, input goes on or is 451."""
    sink = LoadSink(tmp_path)
    relay, load = filled(start_relay, sink, 400, size=6000,
                         queue={"retry_first": "300ms", "retry_max": "1s", "database_memory": "1MiB"})
    relay.stop()
    candidates = files(relay, suffix)
    assert candidates, f"the queue keeps no {suffix} file"
    victim = max(candidates, key=lambda p: p.stat().st_size)
    flip(victim, victim.stat().st_size // 3)
    with sink:
        relay.spawn()
        wait_until(lambda: relay._greets() or not relay.running(), 20, "a start or its refusal")
        wait_until(lambda: relay.metric("sluice_quarantined_messages") > 0 or sink.count() == 400
                   or not relay.is_ready(), 30, "the damage met")
        with relay.smtp() as client:
            client.hello()
            assert client.command("MAIL FROM:<a@here.test>").code in (250, 451, 452)
        wait_until(lambda: len(set(sink.ids())) >= 400 - relay.metric("sluice_quarantined_messages"), 90,
                   lambda: f"the rest delivered: {len(set(sink.ids()))} of 400, "
                           f"{relay.metric('sluice_quarantined_messages')} quarantined", every=0.1)
        verdict = compare(load.acknowledged, sink.ids())
        print(f"UP5 {suffix}: {relay.metric('sluice_quarantined_messages'):.0f} quarantined, {verdict}")
        assert not verdict.ghosts
        quarantined = relay.metric("sluice_quarantined_messages")
        assert len(verdict.lost) <= quarantined
        # A damaged block is lost whole: 4 KiB hold the places of some 113 contents.
        assert len(verdict.lost) < 150
    assert relay.running()


def export(relay, folder):
    result = subprocess.run([binary(), "spool", "export", str(folder), "--config", str(relay.config_file)],
                            capture_output=True, text=True, timeout=60)
    return result, sorted(folder.glob("**/*.eml"))


@pytest.mark.sanitized
def test_check_and_export_of_a_stopped_queue(start_relay, tmp_path):
    """UP7: every readable message as .eml with its envelope; counts match."""
    relay, load = filled(start_relay, LoadSink(tmp_path), 50)
    relay.stop()
    checked = relay.cli("spool", "check")
    assert "50" in checked.stdout, checked.stdout
    result, exported = export(relay, tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert {id_of(p.read_bytes()) for p in exported} == load.acknowledged.keys()
    message = email.message_from_bytes(exported[0].read_bytes())
    assert message["Subject"] == "load"
    envelopes = "".join(p.read_text(errors="replace") for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert "load@here.test" in envelopes and "r@there.test" in envelopes
    relay.start()
    assert relay.queued() == 50


@pytest.mark.sanitized
def test_export_refuses_a_queue_in_use(start_relay, tmp_path):
    relay, _ = filled(start_relay, LoadSink(tmp_path), 1)
    result, exported = export(relay, tmp_path / "out")
    assert result.returncode != 0 and not exported
    assert relay.running()


@pytest.mark.alone
def test_export_of_a_damaged_copy(start_relay, tmp_path):
    """UP7: works on a damaged copy, and leaves it as it was."""
    relay, load = filled(start_relay, LoadSink(tmp_path), 200, size=6000, queue={"database_memory": "1MiB"})
    relay.stop()
    copy = tmp_path / "copy"
    shutil.copytree(relay.data, copy)
    damaged = [p for p in copy.rglob("*") if p.name.endswith((".sst", ".blob")) and p.stat().st_size > 20_000]
    if not damaged:
        log = max((p for p in copy.rglob("*.log") if p.stat().st_size), key=lambda p: p.stat().st_size)
        damaged = [log]
    flip(damaged[0], damaged[0].stat().st_size // 2)
    other = start_relay(start=False, top={"data_dir": str(copy)})
    other.write_config()
    result, exported = export(other, tmp_path / "out")
    ids = {id_of(p.read_bytes()) for p in exported}
    print(f"UP7: {len(ids)} of 200 exported from a damaged copy, exit code {result.returncode}")
    assert ids <= load.acknowledged.keys() and len(ids) >= 50
    checked = other.cli("spool", "check", check=False)
    assert checked.returncode != 0, checked.stdout


@pytest.mark.sanitized
def test_a_queue_that_cannot_be_read_is_not_replaced(start_relay, tmp_path):
    """Section 4, 9."""
    relay, _ = filled(start_relay, LoadSink(tmp_path), 5)
    relay.stop()
    current = [p for p in relay.data.rglob("CURRENT")]
    assert current
    current[0].unlink()
    before = sorted(p.name for p in relay.data.rglob("*"))
    relay.spawn()
    assert relay.wait(20) != 0
    assert relay.errors() + relay.story()
    after = sorted(p.name for p in relay.data.rglob("*"))
    assert {n for n in before if n.endswith((".sst", ".blob"))} <= set(after)
    assert "CURRENT" not in after
