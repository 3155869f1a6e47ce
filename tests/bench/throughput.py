#!/usr/bin/python3
"""How fast is the relay, end to end? `sluice load` -> relay -> `sluice sink`, all on this machine's loopback, each
scenario in turn for each relay (Postfix for comparison, if its packages can be had), as a Markdown table.

    tests/bench/throughput.py                            # the relay alone, every scenario
    tests/bench/throughput.py --relays sluice,postfix --scenario small,tiny --repeat 3 --work /mnt/ext4/bench

Put --work on the file system that is to be judged: what a 250 costs is what its fdatasync costs. Root is needed for
Postfix (it runs in a mount namespace of its own, tuned for many sessions). Numbers compare within one run only.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support import peers  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.relay import ROOT, Relay, smart_host  # noqa: E402
from support.waiting import wait_until  # noqa: E402

BINARY = os.environ.setdefault("SLUICE_BIN", str(ROOT / "build/release/sluice"))

# What `sluice load` and `sluice sink` are told.
SCENARIOS = {
    "small": (["-n", "30000", "-c", "50", "--size", "4KiB"], []),
    "tiny": (["-n", "40000", "-c", "100", "--size", "1KiB"], []),
    "large": (["-n", "3000", "-c", "20", "--size", "100KiB"], []),
    "huge": (["-n", "60", "-c", "4", "--size", "10MiB"], []),
    "recipients": (["-n", "3000", "-c", "20", "--size", "4KiB", "--recipients", "50"], []),
    "one-client": (["-n", "3000", "-c", "1", "--size", "4KiB"], []),
    "slow-host": (["-n", "1500", "-c", "20", "--size", "4KiB"], ["--delay", "100ms"]),
}
COLUMNS = ("scenario", "relay", "accepted/s", "delivered/s", "CPU us/message", "250 after, ms (p50, p99)",
           "end to end, ms (p50)", "bytes written/message")


class BenchPostfix(peers.Postfix):
    """Tuned as one would tune it for this."""

    def prepare(self):
        script = super().prepare()
        with open(self.folder / "conf/main.cf", "a") as file:
            file.write("default_process_limit = 300\ndefault_destination_concurrency_limit = 50\n"
                       "initial_destination_concurrency = 50\nsmtpd_client_connection_count_limit = 0\n"
                       "in_flow_delay = 0\nqmgr_message_active_limit = 60000\nsmtpd_recipient_limit = 10000\n"
                       "default_destination_recipient_limit = 1000\nsmtp_connection_cache_on_demand = yes\n")
        return script


def processes(root):
    """Ids of a process and all that it began."""
    children, found = {}, []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    todo = [root]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def cpu_seconds(root):
    """Of a process and all below it, those that have ended included."""
    ticks = 0
    for pid in processes(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def written_bytes(root):
    total = 0
    for pid in processes(root):
        try:
            io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        except OSError:
            continue
        total += int(io["write_bytes"]) - int(io["cancelled_write_bytes"])
    return total


class Sink:
    def __init__(self, folder, options):
        self.address, self.port = "127.0.0.1", free_port()
        self.stats = Path(folder) / "sink.json"
        self.command = [BINARY, "sink", "--listen", f"{self.address}:{self.port}", "--stats", str(self.stats), *options]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.stats.exists, 10, "the sink")
        return self

    def counts(self):
        return json.loads(self.stats.read_text())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


def start(kind, folder, sink):
    if kind == "postfix":
        return BenchPostfix(peers.unpack(), folder, sink, port=free_port())
    return Relay(folder, send=[smart_host(sink, max_connections=50)], receive={"max_recipients": 10000},
                 top={"shards": 0}, queue={"retry_first": "2m", "retry_max": "1h"})


def run(kind, scenario, work):
    load_options, sink_options = SCENARIOS[scenario]
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=work))
    try:
        with Sink(folder, sink_options) as sink, start(kind, folder / "relay", sink) as relay:
            root = relay.process.pid
            cpu, written = cpu_seconds(root), written_bytes(root)
            loaded = subprocess.run([BINARY, "load", "--to", f"127.0.0.1:{relay.port}", "--pipeline", "--json", *load_options],
                                    capture_output=True, text=True)
            report = json.loads(loaded.stdout)
            wanted = report["accepted_recipients"]
            wait_until(lambda: sink.counts()["distinct"] >= wanted, 900, lambda: f"all delivered: {sink.counts()}")
            cpu, written, counts = cpu_seconds(root) - cpu, written_bytes(root) - written, sink.counts()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    messages = report["accepted"]
    if counts["duplicates"] or counts["damaged"] or loaded.returncode != 0:
        sys.exit(f"{kind} {scenario}: not all went well: {report} {counts}")
    return {"accepted/s": report["messages_per_s"], "delivered/s": counts["messages_per_s"],
            "CPU us/message": 1e6 * cpu / messages,
            "250 after, ms (p50, p99)": (report["commit"]["p50_ms"], report["commit"]["p99_ms"]),
            "end to end, ms (p50)": counts["end_to_end"]["p50_ms"], "bytes written/message": written / messages}


def shown(value):
    if isinstance(value, tuple):
        return ", ".join(f"{part:.2f}" for part in value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def median(results, column):
    values = [result[column] for result in results]
    if isinstance(values[0], tuple):
        return tuple(statistics.median(parts) for parts in zip(*values))
    return statistics.median(values)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--relays", default="sluice")
    parser.add_argument("--scenario", default=",".join(SCENARIOS))
    parser.add_argument("--repeat", type=int, default=1, help="each in turn; medians are shown")
    parser.add_argument("--work", default=None, help="a folder on the file system to be judged")
    options = parser.parse_args()
    relays = options.relays.split(",")
    print("| " + " | ".join(COLUMNS) + " |\n" + "| --- " * len(COLUMNS) + "|", flush=True)
    for scenario in options.scenario.split(","):
        results = {kind: [] for kind in relays}
        for _ in range(options.repeat):
            for kind in relays:
                results[kind].append(run(kind, scenario, options.work))
        for kind in relays:
            cells = [shown(median(results[kind], column)) for column in COLUMNS[2:]]
            print("| " + " | ".join([scenario, kind, *cells]) + " |", flush=True)


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"\n{os.cpu_count()} cores, {time.monotonic() - began:.0f} s", file=sys.stderr)
