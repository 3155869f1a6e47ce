"""Queues that earlier releases left on disk are read, shown and delivered (UP1)."""
import re
import time

import pytest

from support import faketime, golden_queue
from support.faketime import FakeClock
from support.waiting import wait_until

MOST_AGE_SECONDS = 300 * 86_400
QUEUES = sorted(golden_queue.FOLDER.glob("*.tar.xz"))


def test_there_is_one():
    assert QUEUES


@pytest.mark.sanitized
@pytest.mark.parametrize("path", QUEUES, ids=lambda p: p.name.removesuffix(".tar.xz"))
def test_a_queue_of_an_earlier_release(start_relay, server, tmp_path, path):
    server.stop_listening()
    relay = start_relay(start=False, **golden_queue.settings(server))
    contents = golden_queue.unpack(path, relay.data)
    if golden_queue.age_seconds(contents) > MOST_AGE_SECONDS:
        if not faketime.library():
            pytest.skip("libfaketime is not installed")
        made = time.strftime("@%Y-%m-%d %H:%M:%S", time.gmtime(contents["made"] + 60))
        relay.env = FakeClock(tmp_path, made).env
    manifest = contents["messages"]
    relay.start()
    shown = {m["id"]: m for m in relay.messages(limit=500)}
    assert shown.keys() == {m["id"] for m in manifest}
    for message in manifest:
        now = shown[message["id"]]
        assert sorted(r["recipient"] for r in now["recipients"]) == message["recipients"]
        for field in ("sender", "size"):
            assert now[field] == message[field], message["id"]
        # Of those that are ready, one is tried to see whether the host is back.
        assert message["attempts"] <= now["attempts"] <= message["attempts"] + 1
        assert (now["state"] == "held") == message["held"]
    server.listen()
    relay.api("POST", "/api/v1/messages/release", {})
    relay.api("POST", "/api/v1/messages/retry", {})
    relay.drain()
    delivered = {}
    for message in server.delivered:
        message_id = re.search(rb"\sid ([0-9a-z]{26})", message.content)[1].decode()
        delivered.setdefault(message_id, []).append(message)
    assert delivered.keys() == {m["id"] for m in manifest}
    for message in manifest:
        copies = delivered[message["id"]]
        paths = sorted(path.strip("<>") for copy in copies for path in copy.paths)
        assert paths == message["recipients"]
        assert all(golden_queue.digest(c.content.replace(b"\r\n", b"\n")) == message["sha256"] for c in copies)
    wait_until(lambda: relay.messages() == [], 5, "an empty queue")
