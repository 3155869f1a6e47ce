"""A configuration that is wrong stops the start, at once, naming file, line and key; at reload the old one
stays (CF1, CF3, CF5, CF6, CF10)."""
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import binary, smart_host
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized
BASE = 'hostname = "relay.test"\ndata_dir = "{data}"\n'

# Text, the line that is at fault (0: any), and a word that the message must hold.
BROKEN = [
    ('hostnam = "x"', 1, "hostnam"), ('hostname = 5', 1, "hostname"), ('hostname = "a b"', 1, "hostname"),
    ('shards = -1', 1, "shards"), ('shards = 1.5', 1, "shards"), ('shards = 99999999999', 1, "shards"),
    ('shards = "two"', 1, "shards"), ('data_dir = 1', 1, "data_dir"), ('[queue]\nretry_first = "5 parsecs"', 2, "retry_first"),
    ('[queue]\nretry_first = "-5s"', 2, "retry_first"), ('[queue]\nretry_first = 5', 2, "retry_first"),
    ('[queue]\nretry_first = "99999999999999999999d"', 2, "retry_first"), ('[queue]\nretry_factor = 0.1', 2, "retry_factor"),
    ('[queue]\nretry_jitter = 7.0', 2, "retry_jitter"), ('[queue]\nmemory = "150%"', 2, "memory"),
    ('[queue]\ndisk_reserve = "5 XB"', 2, "disk_reserve"), ('[queue]\nlifetime = "0"', 2, "lifetime"),
    ('[queue]\nlifetme = "1d"', 2, "lifetme"), ('[quue]\nlifetime = "1d"', 1, "quue"),
    ('[dns]\nservers = ["nonsense"]', 2, "servers"), ('[dns]\nservers = "127.0.0.1:53"', 2, "servers"),
    ('[dns]\nattempts = 0', 2, "attempts"), ('[admin]\nlisten = "127.0.0.1"', 2, "listen"),
    ('[admin]\nlisten = "127.0.0.1:99999"', 2, "listen"), ('[log]\nlevel = "loud"', 2, "level"),
    ('[log]\nformat = "xml"', 2, "format"), ('[[receive]]\nname = "a"\nlisten = ["127.0.0.1:0x19"]', 3, "listen"),
    ('[[receive]]\nname = "a"\nlisten = ["127.0.0.1:2525"]\nrelay_networks = ["10.0.0.0/33"]', 4, "relay_networks"),
    ('[[receive]]\nname = "a"\nlisten = ["127.0.0.1:2525"]\nrelay_networks = ["10.0.0"]', 4, "relay_networks"),
    ('[[receive]]\nname = "a"\nlisten = ["127.0.0.1:2525"]\ntls = "maybe"', 4, "tls"),
    ('[[receive]]\nname = "a"\nlisten = ["127.0.0.1:2525"]\ntls = "implicit"', 0, "tls_certificate"),
    ('[[receive]]\nname = "a"\nlisten = ["127.0.0.1:2525"]\nusers_file = "/no/such/file"', 4, "users_file"),
    ('[[receive]]\nname = "a"\nlisten = ["127.0.0.1:2525"]\n[[receive]]\nname = "a"\nlisten = ["127.0.0.1:2526"]', 5, "name"),
    ('[[receive]]\nname = "a"\nlisten = ["127.0.0.1:2525"]\n[[receive]]\nname = "b"\nlisten = ["127.0.0.1:2525"]', 6, "listen"),
    ('[[send]]\nname = "a"\naddress_spaces = ["a b"]', 3, "address_spaces"),
    ('[[send]]\nname = "a"\nroute = "smart-host"', 0, "smart_hosts"),
    ('[[send]]\nname = "a"\nroute = "pigeon"', 3, "route"), ('[[send]]\nname = "a"\nport = 70000', 3, "port"),
    ('[[send]]\nname = "a"\nmax_connections = 0', 3, "max_connections"), ('[[send]]\nname = "a"\nrate = "100/parsec"', 3, "rate"),
    ('[[send]]\nname = "a"\npassword_file = "/no/such/file"\nusername = "u"', 3, "password_file"),
    ('[[send]]\nname = "a"\nsource_addresses = ["300.1.1.1"]', 3, "source_addresses"),
    ('[[dkim]]\ndomain = "x.test"\nselector = "s"\nkey = "/no/such/key"', 4, "key"),
    ('hostname = "a"\nhostname = "b"', 2, ""), ('[queue]\n[queue]', 2, ""), ('hostname = "unended', 1, ""), ('= 5', 1, ""),
    ('hostname = "a" trailing', 1, ""), ('hostname = "\\q"', 1, ""), ('hostname = "${NO_SUCH_VARIABLE_HERE}"', 1, "NO_SUCH_VARIABLE_HERE"),
    ("\x00", 1, ""), ("a = [" * 5000, 0, "")]


def check(tmp_path, text):
    path = tmp_path / "broken.toml"
    path.write_text(text)
    begin = time.monotonic()
    result = subprocess.run([binary(), "check", "--config", str(path)], capture_output=True, text=True, timeout=20)
    return result, time.monotonic() - begin, path


@pytest.mark.parametrize("text,line,word", BROKEN, ids=[re.sub(r"\W+", "-", t)[:40] for t, _, _ in BROKEN])
def test_each_mistake_is_named_with_its_place(tmp_path, text, line, word):
    """CF1."""
    result, took, path = check(tmp_path, text)
    said = result.stdout + result.stderr
    assert result.returncode == 1, (result.returncode, said)
    assert re.search(rf"^{re.escape(str(path))}:{line or r'[0-9]+'}:\d+: ", said, re.M), said
    assert word in said, said
    serve = subprocess.run([binary(), "serve", "--config", str(path)], capture_output=True, text=True, timeout=20)
    assert serve.returncode != 0
    assert str(path) in serve.stdout + serve.stderr


def test_all_mistakes_are_told_together(tmp_path):
    result, _, _ = check(tmp_path, 'hostnam = "x"\n[queue]\nretry_first = "x"\n[dns]\nattempts = 0\n')
    assert (result.stdout + result.stderr).count("broken.toml:") == 3


def test_a_misspelt_key_gets_a_hint(tmp_path):
    result, _, _ = check(tmp_path, '[queue]\nlifetme = "1d"\n')
    assert re.search(r"did you mean.*lifetime", (result.stdout + result.stderr), re.I)


def test_a_byte_order_mark_is_taken_or_named(tmp_path):
    result, _, path = check(tmp_path, "\ufeffhostname = \"relay.test\"\n")
    assert result.returncode == 0 or str(path) in result.stdout + result.stderr


def test_a_file_that_is_not_there(tmp_path):
    result = subprocess.run([binary(), "serve", "--config", str(tmp_path / "none.toml")], capture_output=True, text=True,
                            timeout=20)
    assert result.returncode != 0 and "none.toml" in result.stdout + result.stderr


def test_an_empty_file_is_a_good_one(tmp_path):
    result, _, _ = check(tmp_path, "")
    assert result.returncode == 0, result.stdout + result.stderr


def test_print_shows_every_default(tmp_path):
    path = tmp_path / "good.toml"
    path.write_text('[[send]]\nname = "a"\nroute = "smart-host"\nsmart_hosts = ["x.test:587"]\n')
    result = subprocess.run([binary(), "check", "--print", "--config", str(path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for key in ("retry_first", "lifetime", "max_connections", "command_timeout", "final_reply_timeout", "disk_reserve",
                "max_message_size", "bare_newline", "drain_timeout"):
        assert key in result.stdout, key


def test_environment_variables_are_put_in(tmp_path):
    path = tmp_path / "env.toml"
    path.write_text('hostname = "${SLUICE_TEST_NAME}"\npostmaster = "${NOT_SET_AT_ALL:-boss@x.test}"\n')
    result = subprocess.run([binary(), "check", "--print", "--config", str(path)], capture_output=True, text=True,
                            env=os.environ | {"SLUICE_TEST_NAME": "named.test"})
    assert "named.test" in result.stdout and "boss@x.test" in result.stdout


def test_a_broken_file_at_reload_changes_nothing(start_relay, server):
    """CF3: the old configuration stays, the metric says 1, ALIVE."""
    relay = start_relay(send=[smart_host(server)])
    before = relay.vitals()
    good = relay.config_file.read_text()
    relay.config_file.write_text(good + "\nnonsense = true\n")
    relay.signal(1)
    wait_until(lambda: relay.metric("sluice_reload_failures_total") == 1, 5, "the failure counted")
    relay.log.wait_for(where=lambda e: "nonsense" in str(e))
    status, body = relay.api("POST", "/api/v1/reload")
    assert status == 400 and "nonsense" in body["error"]
    assert relay.cli("reload", check=False).returncode != 0
    relay.assert_alive(before, server, idle_cpu=False)
    relay.config_file.write_text(good)
    assert relay.api("POST", "/api/v1/reload")[0] == 200
    assert relay.metric("sluice_reload_failures_total") == 3


def test_what_a_reload_changes(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"max_recipients": 5})
    relay.config["receive"][0]["max_recipients"] = 2
    seen = relay.log.mark()
    relay.reload()
    relay.log.wait_for(after=seen, where=lambda e: "reload" in e["event"])

    def third_refused():
        with relay.smtp() as client:
            client.hello()
            client.command(f"MAIL FROM:{SENDER}", 250)
            return [client.command(f"RCPT TO:<r{n}@there.test>").code for n in range(3)] == [250, 250, 452]
    wait_until(third_refused, 5, "the new limit")


def test_a_port_that_is_taken(start_relay, server):
    """CF5: exit with the reason, and never half the listeners."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        relay = start_relay(start=False, send=[smart_host(server)])
        port = taken.getsockname()[1]
        relay.config["receive"][0]["listen"].append(f"127.0.0.1:{port}")
        relay.spawn()
        assert relay.wait(10) != 0
        assert str(port) in relay.errors() + relay.story()


def test_an_admin_port_that_is_taken(start_relay, server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        relay = start_relay(start=False, send=[smart_host(server)])
        relay.config["admin"]["listen"] = f"127.0.0.1:{taken.getsockname()[1]}"
        relay.spawn()
        assert relay.wait(10) != 0
        assert str(taken.getsockname()[1]) in relay.errors() + relay.story()


def test_a_second_relay_does_not_share_the_first_ones_port(start_relay, server):
    """SO_REUSEPORT among our own shards must not let a stranger in beside us."""
    first = start_relay(send=[smart_host(server)])
    second = start_relay(start=False, send=[smart_host(server)])
    second.config["receive"][0]["listen"] = [f"127.0.0.1:{first.port}"]
    second.spawn()
    assert second.wait(10) != 0
    assert str(first.port) in second.errors() + second.story()


@pytest.mark.parametrize("make", ["a file", "read-only", "below a file"])
def test_a_queue_directory_that_cannot_be_used(start_relay, server, tmp_path, make):
    """CF5."""
    place = tmp_path / "place"
    if make == "a file":
        place.write_text("x")
    elif make == "below a file":
        place.write_text("x")
        place = place / "data"
    else:
        place = Path("/proc/sluice-test")
    relay = start_relay(start=False, send=[smart_host(server)], top={"data_dir": str(place)})
    relay.spawn()
    assert relay.wait(10) != 0
    assert str(place) in relay.errors() + relay.story()


def unprivileged():
    os.setgid(65534)
    os.setgroups([])
    os.setuid(65534)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_it_runs_as_nobody_with_no_capability(start_relay, server, tmp_path):
    """CF6: no capability, files 0600 and directories 0700."""
    folder = tmp_path / "unprivileged"
    for path in (tmp_path, *tmp_path.parents):
        if path != Path("/") and path.stat().st_uid == os.geteuid() and path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o011)
    if not os.access(binary(), os.X_OK) or any(not p.stat().st_mode & 0o001 for p in Path(binary()).parents):
        pytest.skip("nobody cannot reach the binary")
    relay = start_relay(start=False, send=[smart_host(server)], preexec=unprivileged)
    relay.data.mkdir()
    relay.data.chmod(0o700)
    os.chown(relay.data, 65534, 65534)
    assert folder.parent == tmp_path
    relay.start()
    status = Path(f"/proc/{relay.pid}/status").read_text()
    assert re.search(r"CapEff:\s+0+$", status, re.M) and re.search(r"Uid:\s+65534\s", status)
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(1)
    for path in relay.data.rglob("*"):
        mode = path.stat().st_mode & 0o777
        assert mode & 0o077 == 0 or relay.data.stat().st_mode & 0o077 == 0, (path, oct(mode))


def test_the_data_directory_is_closed_to_others(start_relay, server):
    """CF6."""
    relay = start_relay(send=[smart_host(server)])
    assert relay.data.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("env", [{"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"}, {"LANG": "C", "LC_ALL": "C"},
                                 {"TZ": "Pacific/Apia"}, {"TZ": ":garbage"}, {"LC_ALL": "de_DE.UTF-8"}])
def test_language_and_time_zone_change_nothing(start_relay, server, env):
    """CF10: verbs in any case, dates right, numbers with a dot."""
    relay = start_relay(send=[smart_host(server)], env=env)
    with relay.smtp() as client:
        client.command("eHlO client.test", 250)
        client.command("mAiL fRoM:<i@here.test> sIzE=100 bOdY=8bItMiMe", 250)
        client.command("rCpT tO:<I@THERE.TEST>", 250)
        client.command("dAtA", 354)
        client.send(SIMPLE + b".\r\n")
        client.expect(250)
        client.command("qUiT", 221)
    message = server.wait_messages(1)[0]
    assert re.search(r"; (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d", message.header("Received"))
    relay.samples()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["serve", "--help"], ["queue", "--help"],
                                       ["message", "--help"], ["retry", "--help"], ["check", "--help"],
                                       ["spool", "--help"], ["load", "--help"], ["sink", "--help"]])
def test_every_command_explains_itself(arguments):
    result = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=20)
    assert result.returncode == 0 and len(result.stdout) > 20
    if arguments[-1] == "--help" and len(arguments) > 1:
        assert "sluice " + arguments[0] in result.stdout


def test_an_unknown_command_is_an_error():
    result = subprocess.run([binary(), "frobnicate"], capture_output=True, text=True, timeout=20)
    assert result.returncode != 0 and result.stderr


def test_the_quick_start_by_environment_alone(tmp_path, server, start_relay):
    """Started without any file: SLUICE_… variables are read, also from files."""
    relay = start_relay(start=False)
    relay.data.mkdir()
    secret = tmp_path / "name"
    secret.write_text("from-file.test\n")
    env = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")} | {
        "SLUICE_HOSTNAME_FILE": str(secret), "SLUICE_LISTEN": f"127.0.0.1:{relay.port}",
        "SLUICE_SMART_HOST": f"{server.address}:{server.port}", "SLUICE_DATA_DIR": str(relay.data),
        "SLUICE_ADMIN_LISTEN": f"127.0.0.1:{relay.admin_port}"}
    if Path("/etc/sluice/sluice.toml").exists():
        pytest.skip("this machine has a configuration of its own")
    with open(relay.log_file, "ab") as out, open(relay.error_file, "ab") as error:
        relay.process = subprocess.Popen([binary(), "serve"], env=env, stdout=out, stderr=error)
    relay.wait_ready()
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert "by from-file.test" in server.wait_messages(1)[0].header("Received")
