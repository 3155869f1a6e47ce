"""No 250 before the sync that covers the message, and many messages share one sync (CD5)."""
import re

import pytest

from support.load import Load
from support.load_sink import LoadSink
from support.relay import smart_host
from support.strace import Strace

WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2")


def syncs_and_replies(calls):
    """(syncs of the log, writes to it, replies that acknowledge) in the order of the trace."""
    log = [c for c in calls if re.search(r"^\d+<[^>]*\.log>", c.arguments)]
    syncs = [c for c in log if c.name in ("fdatasync", "fsync") and c.result == "0"]
    writes = [c for c in log if c.name in WRITES]
    for call in calls:  # a reply may lie in two pieces of one write
        call.arguments = re.sub(r'", iov_len=\d+\}, \{iov_base="', "", call.arguments)
    replies = [c for c in calls if "Queued as" in c.arguments and "TCP" in c.arguments[:60]]
    return syncs, writes, replies


@pytest.mark.alone
@pytest.mark.parametrize("clients", [1, 4, 16])
def test_each_250_stands_on_a_completed_sync(start_relay, tmp_path, needs_strace, clients):
    messages = 500
    sink = LoadSink(tmp_path)  # down: only accepting is traced
    relay = start_relay(send=[smart_host(sink)], queue={"retry_first": "1h", "retry_max": "1h"})
    trace = Strace(tmp_path, ",".join(WRITES) + ",fdatasync,fsync,sendmsg,sendto", strings=400_000)
    with trace.attach(relay.pid):
        load = Load(relay.port, clients=clients, limit=messages, size=600).start().join()
    assert len(load.acknowledged) == messages
    syncs, writes, replies = syncs_and_replies(trace.calls())
    assert syncs and writes and replies
    written = {}  # test id -> end of the write that holds it
    for call in writes:
        for test_id in re.findall(r"X-Test-Id: (t[0-9a-f]+-\d+)", call.arguments):
            written[test_id] = max(written.get(test_id, 0), call.end)
    replied = {}  # queue id -> begin of the reply
    for call in replies:
        for queue_id in re.findall(r"Queued as (\S+?)\\r", call.arguments):
            replied[queue_id] = call.begin
    spans = sorted((s.begin, s.end) for s in syncs)
    # The log's blocks end anywhere, also in the middle of an id: such a message cannot be followed.
    followed = {test_id: queue_id for test_id, queue_id in load.acknowledged.items() if test_id in written}
    assert len(followed) >= 0.97 * messages
    uncovered = [test_id for test_id, queue_id in followed.items()
                 if not any(begin > written[test_id] and end < replied[queue_id] for begin, end in spans)]
    print(f"CD5: {clients} clients, {messages} messages, {len(syncs)} syncs")
    assert not uncovered, uncovered[:5]
    if clients == 16:
        assert len(syncs) <= messages / 2


@pytest.mark.alone
def test_the_metric_counts_the_syncs(start_relay, tmp_path):
    sink = LoadSink(tmp_path)
    relay = start_relay(send=[smart_host(sink)], queue={"retry_first": "1h", "retry_max": "1h"})
    before = relay.metric("sluice_syncs_total")
    Load(relay.port, clients=8, limit=400).start().join()
    assert 1 <= relay.metric("sluice_syncs_total") - before <= 450
    assert relay.metric("sluice_commit_messages_sum") >= 400
