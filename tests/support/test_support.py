"""Do the small tools of the stories themselves work?"""
import json
import os
import subprocess
import time

import pytest

from support import metrics_text, strace
from support.compare import compare
from support.disks import LoopDisk, TmpfsDisk
from support.load import Load, content, id_of
from support.load_sink import LoadSink
from support.log_reader import BadLine, LogReader
from support.scripted_server import BlackHole
from support.smtp_client import SmtpClient, stuff
from support.strace import Strace
from support.toml import to_toml
from support.waiting import TooLate, wait_until


def test_compare_tells_lost_dups_and_ghosts():
    verdict = compare({"a", "b", "c"}, ["a", "a", "u", "u", "g"], unknown={"u"}, reported={"b"})
    assert (verdict.lost, verdict.dups, verdict.ghosts) == ({"c"}, {"a": 2, "u": 2}, {"g"})
    assert verdict.extra_copies == 2


def test_stuffing_doubles_dots_behind_crlf_only():
    assert stuff(b".a\r\n.b\n.c\r\n") == b"..a\r\n..b\n.c\r\n.\r\n"
    assert stuff(b"x") == b"x\r\n.\r\n"


def test_toml_is_what_a_reader_reads():
    tomllib = pytest.importorskip("tomllib")
    config = {"hostname": 'a"b', "shards": 2, "queue": {"retry_jitter": 0.0},
              "send": [{"name": "x", "address_spaces": ["*", {"domain": "a.test", "cost": 10}]}]}
    assert tomllib.loads(to_toml(config)) == config


def test_log_reader_waits_and_refuses_control_bytes(tmp_path):
    log = LogReader(tmp_path / "log")
    with pytest.raises(TooLate):
        log.wait_for(event="accepted", timeout=0.05)
    log.path.write_text(json.dumps({"time": "t", "event": "accepted", "id": "1"}) + "\n{\"half")
    assert log.wait_for(event="accepted")["id"] == "1"
    log.path.write_bytes(log.path.read_bytes() + b"\x1b\n")
    with pytest.raises(BadLine):
        log.poll()


@pytest.mark.parametrize("text", ["a 1", "a{b=\"c} 1\n", "a x\n", "a 1\na 1\n", "a 1\nb 1\na{x=\"y\"} 1\n",
                                  "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n",
                                  "# TYPE h histogram\nh_bucket{le=\"1\"} 2\n"])
def test_metrics_that_a_scraper_would_refuse_are_refused(text):
    with pytest.raises(metrics_text.Malformed):
        metrics_text.parse(text)


def test_metrics_are_summed_over_labels():
    samples = metrics_text.parse('a{x="1",y="p"} 2\na{x="2",y="p"} 3\n')
    assert metrics_text.total(samples, "a", y="p") == 5
    assert metrics_text.total(samples, "a", x="2") == 3
    assert metrics_text.total(samples, "b") == 0


def test_load_and_sink_agree(tmp_path):
    with LoadSink(tmp_path) as sink:
        load = Load(sink.port, clients=4, limit=400, host=sink.address).start().join()
        assert len(load.acknowledged) == 400
        compare(load.acknowledged, sink.ids()).assert_clean()
        wait_until(lambda: sink.open_sessions() == 0, what="all sessions closed")
        assert 1 <= sink.peak() <= 4 and sink.sessions() >= 8
    assert len(content("t-1")) in range(1400, 1600) and id_of(content("t-1")) == "t-1"


def test_a_slow_sink_is_as_slow_as_it_says(tmp_path):
    with LoadSink(tmp_path, rate=100) as sink:
        begin = time.monotonic()
        Load(sink.port, clients=8, limit=50, host=sink.address).start().join()
        assert time.monotonic() - begin >= 0.45


def test_a_black_hole_completes_no_connection():
    with BlackHole() as hole, pytest.raises(TimeoutError):
        SmtpClient((hole.address, hole.port), timeout=0.3)


def test_a_power_cut_takes_what_was_not_synced(tmp_path, needs_power_cut):
    with LoopDisk(tmp_path, mib=32) as disk:
        script = (f"import os\nfd = os.open('{disk.mount}/a', os.O_CREAT | os.O_WRONLY)\n"
                  f"os.write(fd, b'kept'); os.fsync(fd)\n"
                  f"d = os.open('{disk.mount}', os.O_RDONLY); os.fsync(d)\n"
                  f"os.write(fd, b'lost'); open('{disk.mount}/b', 'w').write('lost')\n"
                  "print('ready', flush=True); input()\n")
        writer = subprocess.Popen(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "ready\n"
        disk.cut_power(writer)
        assert (disk.mount / "a").read_text() == "kept"
        assert not (disk.mount / "b").exists() or (disk.mount / "b").read_text() == ""


def test_small_disks_fill_up(tmp_path, needs_loop_disk):
    with TmpfsDisk(tmp_path, mib=8) as disk:
        ballast = disk.fill(leave=1 << 20)
        assert disk.free() <= 2 << 20
        ballast.unlink()
        assert disk.free() > 6 << 20


def test_strace_counts_joins_and_injects(tmp_path, needs_strace):
    script = "import os\nprint(1, flush=True); input()\nfd = os.open('f', 65, 0o600)\n" \
             "os.fdatasync(fd)\ntry: os.fdatasync(fd)\nexcept OSError: print('EIO', flush=True)\n"
    process = subprocess.Popen(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    process.stdout.readline()
    with Strace(tmp_path, "fdatasync", inject=["fdatasync:error=EIO:when=2"]).attach(process.pid) as trace:
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "EIO\n"
        process.wait(5)
        calls = trace.calls()
    assert [call.result.split()[0] for call in calls] == ["0", "-1"]
    assert str(tmp_path) in calls[0].arguments


def test_strace_puts_interrupted_calls_together():
    calls = strace.parse(["7 1.0 fdatasync(4</a> <unfinished ...>", "8 1.1 write(5<s>, \"x\", 1) = 1",
                          "7 1.2 <... fdatasync resumed>) = 0"])
    assert [(c.name, c.begin, c.end, c.result) for c in calls] == [("fdatasync", 0, 2, "0"),
                                                                   ("write", 1, 1, "1")]


def test_a_wrapped_process_is_our_own_child(tmp_path, needs_strace):
    trace = Strace(tmp_path, "getppid")
    process = subprocess.Popen([*trace.wrapper(), "/usr/bin/python3", "-c",
                                "import os; print(os.getpid(), os.getppid())"],
                               stdout=subprocess.PIPE, text=True)
    pid, parent = map(int, process.communicate()[0].split())
    assert (pid, parent) == (process.pid, os.getpid())
