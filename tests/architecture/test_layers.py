"""Do includes point one way (metrics <- net <- queue <- relay), and has each library one home?"""
import pytest

from support.source_tree import LAYERS, includes, name, sources

# Library, by the start of its headers -> folders that may include it.
HOMES = {
    "prometheus/": ("metrics/",),
    "uv.h": ("net/",),
    "ares": ("net/dns/",),
    "openssl/": ("net/tls/",),
    "idn2.h": ("net/",),
    "CivetServer.h": ("net/http/",),
    "civetweb.h": ("net/http/",),
    "rocksdb/": ("queue/",),
    "toml++/": ("relay/config/",),
    "CLI/": ("relay/cli/",),
    "spdlog/": ("relay/log/",),
    "re2/": ("relay/admin/",),
    "zlib.h": ("relay/report/",),
    "nlohmann/": ("relay/", "net/http/"),
    "seccomp.h": ("relay/privileges",),
}


def layer_of(text):
    return text.split("/")[0]


def test_there_is_something_to_look_at():
    assert len(sources()) > 20


def test_a_layer_includes_itself_and_those_to_its_left():
    wrong = []
    for path in sources():
        own = LAYERS.index(layer_of(name(path)))
        for header in includes(path)[0]:
            if layer_of(header) not in LAYERS:
                wrong.append(f"{name(path)}: {header} is no path from the root")
            elif LAYERS.index(layer_of(header)) > own:
                wrong.append(f"{name(path)} includes {header}")
    assert not wrong, "\n".join(wrong)


def test_the_smtp_protocols_do_no_io():
    wrong = [f"{name(path)} includes {header}" for path in sources("net/smtp")
             for header in includes(path)[0] + includes(path)[1]
             if header.startswith(("net/loop", "net/tcp", "net/listener", "sys/socket", "unistd", "uv"))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", HOMES)
def test_a_library_stays_in_its_home(library):
    strays = [name(path) for path in sources() if not name(path).startswith(HOMES[library])
              and any(header.startswith(library) for group in includes(path) for header in group)]
    assert not strays, f"{library} belongs to {HOMES[library]}: {strays}"


def test_relay_sees_only_the_face_of_the_queue():
    face = {"queue/queue.h", "queue/envelope.h", "queue/message_id.h", "queue/recipient_state.h",
            "queue/retry_schedule.h", "queue/spool_check.h", "queue/queue_metrics.h",
            "queue/database_version.h"}
    seen = {(name(path), header) for path in sources("relay") for header in includes(path)[0]
            if header.startswith("queue/") and header not in face}
    assert not seen, sorted(seen)
