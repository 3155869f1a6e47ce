"""How many instructions of ours, and of the libraries, one message costs: accepted, made durable, delivered. Counted by
callgrind, so the number hardly depends on what else the machine does. Where it grows by a tenth, somebody added work to
every message: take it out, or write down here, with the change, why it is worth it.

    callgrind_annotate FILE      shows where they went; pytest's --basetemp keeps the files"""
import re
import shutil

import pytest

from support.relay import smart_host
from support.sluice_tools import Sink, load

# 4 KiB, one recipient, 20 connections, one shard; Debian 12's libraries, whose RocksDB asserts.
# 11,000 of them are for tracking: two events encoded, six names hashed, 300 bytes more in the log.
RECORDED = 148_000
FEW, MANY = 500, 2500


def _instructions(start_relay, directory, messages):
    """Of the whole process that carried so many messages."""
    out = directory / f"callgrind.{messages}"
    with Sink(directory) as sink:
        relay = start_relay(send=[smart_host(sink)], top={"shards": 1},
                            wrapper=["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"])
        load(relay, messages, "--pipeline", connections=20, size="4KiB")
        relay.drain(60)
        assert sink.counts()["distinct"] <= messages
        assert relay.stop() == 0
    return int(re.search(r"^summary: (\d+)", out.read_text(), re.MULTILINE).group(1))


@pytest.mark.alone
@pytest.mark.skipif(not shutil.which("valgrind"), reason="needs valgrind")
def test_a_message_costs_no_more_instructions_than_recorded(start_relay, tmp_path):
    few, many = (_instructions(start_relay, tmp_path, messages) for messages in (FEW, MANY))
    each = (many - few) / (MANY - FEW)
    print(f"{each:,.0f} instructions a message")
    assert each <= 1.1 * RECORDED, f"{each:,.0f} instructions a message"
    assert each >= 0.75 * RECORDED, f"{each:,.0f}: much better than recorded; record it"
