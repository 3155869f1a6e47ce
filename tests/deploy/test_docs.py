"""Do the pages tell the truth: do links lead somewhere, does each command and setting that they show exist, and
does what they tell a newcomer to type work?"""
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from docs_pages import anchors, blocks, links

from support.relay import binary, smart_host
from support.source_tree import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page_name(page):
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def sluice():
    if not Path(binary()).exists():
        pytest.skip("no binary is built")

    def run(*arguments):
        return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=30)
    return run


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page):
    for link in links(page):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_files_that_are_named_exist(page):
    for path in re.findall(r"`((?:deploy|tests|relay|net|queue|metrics)/[\w./-]+)`", page.read_text()):
        candidates = [ROOT / path, ROOT / f"{path}.h", ROOT / f"{path}.cc"]
        assert any(candidate.exists() for candidate in candidates), path


def test_metrics_and_events_in_troubleshoot_exist():
    text = (ROOT / "docs/troubleshoot.md").read_text() + (ROOT / "docs/operate.md").read_text() + \
        (ROOT / "docs/life-of-a-message.md").read_text()
    declared = set(re.findall(r'"(sluice_\w+)"', (ROOT / "metrics/names.h").read_text()))
    assert set(re.findall(r"sluice_\w+", text)) <= declared
    source = "".join(path.read_text() for path in (ROOT / "relay").rglob("*.cc"))
    for event in re.findall(r"events? `(\w+)`", text):
        assert f'"{event}"' in source, event


# Commands that a page shows but that README says are not there yet.
NOT_YET = set()


def commands_shown():
    """(page, words of a `sluice ...` command), from code blocks and from text."""
    for page in PAGES:
        text = page.read_text()
        shown = [line.split("#")[0] for block in blocks(page) for line in block.text.splitlines()]
        shown += re.findall(r"`([^`\n]+)`", text)
        for line in shown:
            match = re.search(r"(?:^|[ /])sluice ([a-z].*)$", line.strip())
            if not match or "docker" in line or "systemctl" in line or match[1].startswith("sluice "):
                continue
            yield page_name(page), shlex.split(match[1].split("|")[0].split(">")[0].replace("…", ""))


def test_commands_and_their_options_exist(sluice):
    # Help for a command that there is not is the help above it.
    helped, wrong = {(): sluice("--help").stdout}, []

    def options_of(words):
        command = []
        for word in words[:2]:
            trial = (*command, word)
            if trial not in helped:
                result = sluice(*trial, "--help")
                helped[trial] = result.stdout if result.returncode == 0 else None
            if word.startswith("-") or helped[trial] is None or helped[trial] == helped.get(tuple(command)):
                break
            command.append(word)
        return tuple(command)

    for page, words in commands_shown():
        if words[0] in NOT_YET or not re.fullmatch(r"[a-z]+", words[0]):
            continue
        command = options_of(words)
        if not command:
            wrong.append(f"{page}: sluice {' '.join(words)}: no such command")
            continue
        for option in (word for word in words if word.startswith("--")):
            if not re.search(rf"(?<![\w-]){option}\b", helped[command]):
                wrong.append(f"{page}: sluice {' '.join(words)}: no {option}")
    assert not wrong, "\n".join(wrong)


def test_each_command_that_readme_calls_missing_is_missing(sluice):
    known = sluice("--help").stdout
    for command in NOT_YET:
        assert not re.search(rf"^\s+{command}\b", known, re.M), command


def test_configuration_examples_are_right(sluice, tmp_path):
    for page in PAGES:
        for number, block in enumerate(b for b in blocks(page) if b.language == "toml"):
            if "…" in block.text:
                continue
            file = tmp_path / f"{page.stem}-{number}.toml"
            file.write_text(block.text)
            result = sluice("check", "--config", str(file))
            mistakes = [line for line in result.stderr.splitlines() if "cannot read" not in line]
            assert not mistakes, f"{page_name(page)}:{block.line}\n{result.stderr}"


def test_settings_that_are_named_exist():
    # `key = value` in running text.
    known = "".join((ROOT / "relay/config" / name).read_text()
                    for name in ("relay_keys.cc", "receive_keys.cc", "send_keys.cc"))
    for page in PAGES:
        for key in re.findall(r"`(\w+) = [^`]*`", page.read_text()):
            assert f'"{key}"' in known, f"{page_name(page)}: {key}"


def test_the_operators_commands_work_on_a_running_relay(sluice, start_relay, server):
    """Those of operate.md's "The queue by hand", on a message that waits."""
    page = next(b for b in blocks(ROOT / "docs/operate.md") if "sluice suspend" in b.text)
    relay = start_relay(send=[smart_host(server)])
    relay.cli("suspend", "127.0.0.1:%d" % server.port, check=False)
    message_id = relay.deliver_in("<app@example.com>", ["<b@example.net>"], b"Subject: x\r\n\r\nhi\r\n")
    wrong = []
    for line in page.text.splitlines():
        words = shlex.split(line.split("#")[0].split(">")[0].replace("ID...", message_id).replace(
            "ID", message_id))[1:]
        result = relay.cli(*words, check=False)
        if result.returncode == 2 or "Usage" in result.stderr:
            wrong.append(f"{line}: {result.stderr}")
    assert not wrong, "\n".join(wrong)
