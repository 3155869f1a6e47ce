"""Golden queues: what a release left on disk, kept so that every later binary can show that it reads it (UP1).

    PYTHONPATH=tests python3 -m support.golden_queue VERSION

makes tests/data/queues/VERSION.tar.xz with the binary that $SLUICE_BIN names, or that of build/release: a
stopped relay's queue with a message of each kind, and MANIFEST.json beside it in the archive, which says what
must come out of it.
"""
import hashlib
import json
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from support.load import content
from support.relay import ROOT, Relay, smart_host
from support.scripted_server import ScriptedServer

FOLDER = ROOT / "tests/data/queues"
SENDER = "<load@here.test>"
# Recipients that the destination takes, puts off, and that are held; each in another domain.
TAKEN, PUT_OFF, HELD = "<taken@taken.test>", "<later@later.test>", "<held@held.test>"


def settings(server):
    """Of the relay that writes it and of the one that reads it: connectors' names are in the queue."""
    return {"send": [smart_host(server, host_backoff="1h"),
                     smart_host(server, name="later", address_spaces=["later.test"], host_backoff="1h")],
            "queue": {"retry_first": "1h", "retry_max": "1h", "lifetime": "365d", "delay_notice": "0",
                      "database_memory": "1MiB"}}


def age_seconds(manifest):
    """Beyond `lifetime` its mail would expire: then it is read by a clock of its own time."""
    return time.time() - manifest["made"]


def digest(data):
    return hashlib.sha256(data).hexdigest()


def fill(relay, server):
    """Messages of every kind; gives the manifest."""
    server.on("rcpt", "451 4.7.1 later", when=lambda a: "@later.test" in a)
    several = relay.deliver_in(SENDER, [TAKEN, PUT_OFF], content("several"), mail="RET=HDRS ENVID=golden",
                               rcpt="NOTIFY=FAILURE,DELAY")
    relay.log.wait_for(event="delivered", id=several)
    relay.log.wait_for(event="deferred", id=several)
    server.stop_listening()
    server.hang_up()
    ids = [several]
    ids += [relay.deliver_in(SENDER, [PUT_OFF], content(f"waiting-{n}")) for n in range(20)]
    ids.append(relay.deliver_in("<>", [f"<r{n}@many.test>" for n in range(40)], content("many")))
    ids.append(relay.deliver_in(SENDER, [TAKEN], content("large", 300_000)))
    held = relay.deliver_in(SENDER, [HELD], content("held"))
    relay.api("POST", "/api/v1/messages/hold", {"ids": [held]})
    relay.restart()  # what came so far is in table files, what comes now in the log
    ids += [held] + [relay.deliver_in(SENDER, [TAKEN], content(f"logged-{n}")) for n in range(20)]
    messages = []
    for message_id in ids:
        shown = relay.message(message_id)
        text = relay.cli("message", "content", message_id).stdout
        messages.append({"id": message_id, "sender": shown["sender"], "size": shown["size"],
                         "sha256": digest(text.encode().replace(b"\r\n", b"\n")),
                         "held": message_id == held,
                         "recipients": sorted(r["recipient"] for r in shown["recipients"]),
                         "attempts": shown["attempts"]})
    return {"made": int(time.time()), "messages": messages}


def make(version):
    with tempfile.TemporaryDirectory() as folder, ScriptedServer() as server:
        folder = Path(folder)
        relay = Relay(folder / "relay", **settings(server))
        try:
            relay.start()
            manifest = fill(relay, server)
            relay.kill()
        finally:
            relay.end()
        for name in ("lock", "queue/LOG", "queue/LOG.old", "queue/LOCK"):
            (relay.data / name).unlink(missing_ok=True)
        (folder / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"{version}.tar.xz"
        with tarfile.open(path, "w:xz") as archive:
            archive.add(relay.data, "data")
            archive.add(folder / "MANIFEST.json", "MANIFEST.json")
    return path


def unpack(path, data):
    """Puts a golden queue to `data`; gives its manifest."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(path) as archive:
            archive.extractall(folder)
        shutil.copytree(Path(folder) / "data", data)
        return json.loads((Path(folder) / "MANIFEST.json").read_text())


if __name__ == "__main__":
    print(make(sys.argv[1]))
