#!/usr/bin/python3
"""What do TLS and DKIM cost? `sluice load` -> first relay -> second relay -> `sluice sink`, in clear, with TLS 1.3 between
the two relays (one speaks it outwards, the other inwards, on connections that are used again), and with signatures made by
the first one. Each in turn, as a Markdown table.

    tests/bench/secure.py --repeat 3 --work /mnt/ext4/bench

Both relays, load and sink share the machine: the rates compare within one run, the CPU is each relay's own.
"""
import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.certificates import Authority  # noqa: E402
from support.dkim_verifiers import DkimKeys  # noqa: E402
from support.relay import ROOT, Relay, smart_host  # noqa: E402
from support.sluice_tools import Sink, load  # noqa: E402
from support.waiting import wait_until  # noqa: E402
from throughput import cpu_seconds  # noqa: E402

os.environ.setdefault("SLUICE_BIN", str(ROOT / "build/release/sluice"))
QUEUE = {"retry_first": "2m", "retry_max": "1h"}
WAYS = {"in clear": (False, []), "TLS": (True, []), "Ed25519": (False, [["--ed25519"]]), "RSA-2048": (False, [[]]),
        "TLS, Ed25519 and RSA-2048": (True, [["--ed25519"], []])}


def run(folder, way, messages):
    tls, kinds = WAYS[way]
    authority = Authority(folder)
    leaf = authority.issue("relay.test", ["IP:127.0.0.1"])
    keys = DkimKeys(folder / "keys")
    for number, options in enumerate(kinds):
        keys.make("load.test", f"s{number}", *options)
    secure = {"tls": "starttls-required", "tls_certificate": leaf.certificate, "tls_key": leaf.key} if tls else {}
    verify = {"tls": "verify", "tls_ca_file": authority.file} if tls else {}
    extra = {"dkim": keys.sections()} if kinds else {}
    with Sink(folder) as sink, \
            Relay(folder / "second", send=[smart_host(sink)], receive=secure, queue=QUEUE) as second, \
            Relay(folder / "first", top={"hostname": "first.test"}, queue=QUEUE, extra=extra,
                  send=[smart_host(smart_hosts=[f"127.0.0.1:{second.port}"], **verify)]) as first:
        load(first, 2000, connections=50, size="4KiB")  # connections are there, and warm
        wait_until(lambda: sink.counts()["messages"] >= 2000, 120, "the first ones")
        before, begin = [cpu_seconds(relay.pid) for relay in (first, second)], time.monotonic()
        load(first, messages, connections=50, size="4KiB")
        wait_until(lambda: sink.counts()["messages"] >= 2000 + messages, 600, "all delivered", every=0.02)
        took = time.monotonic() - begin
        cpu = [1e6 * (cpu_seconds(relay.pid) - was) / messages for relay, was in zip((first, second), before)]
        assert sink.counts()["messages"] == 2000 + messages
        return messages / took, *cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", help="folder for the queues; default: a temporary one")
    parser.add_argument("--messages", type=int, default=15_000)
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    results = {way: [] for way in WAYS}
    for _ in range(options.repeat):
        for way in WAYS:
            with tempfile.TemporaryDirectory(dir=options.work) as folder:
                results[way].append(run(Path(folder), way, options.messages))
    print("| between two relays | delivered/s | of clear | CPU us/message, first | second |\n|---|---|---|---|---|")
    clear = statistics.median(one[0] for one in results["in clear"])
    for way, runs in results.items():
        rate, first, second = (statistics.median(column) for column in zip(*runs))
        print(f"| {way} | {rate:,.0f} | {rate / clear:.0%} | {first:.0f} | {second:.0f} |")


if __name__ == "__main__":
    main()
