"""Do the man pages and docs/commands.md say what the commands say of themselves, in a form that `man` takes?"""
import re
import shutil
import subprocess

import pytest

from support.relay import binary
from support.source_tree import ROOT


def sluice(*arguments):
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, timeout=30)


def commands():
    """Those that --help shows."""
    return re.findall(r"^  ([a-z][a-z-]*) {2,}", sluice("--help").stdout.partition("Subcommands:")[2], re.M)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("man")
    assert sluice("manual", "--directory", folder).returncode == 0
    return {path.name: path for path in folder.iterdir()}


def test_each_command_has_its_page_and_no_other_has(pages):
    assert len(commands()) > 10
    assert set(pages) == {"sluice.1"} | {f"sluice-{command}.1" for command in commands()}


def test_each_option_of_help_is_in_the_page(pages):
    for command in commands():
        help_text = sluice(command, "--help").stdout
        page = pages[f"sluice-{command}.1"].read_text().replace("\\-", "-")
        options = re.findall(r"^  (?:-\w,)?(--[a-z][\w-]*)", help_text.partition("Options:")[2], re.M)
        assert options, command
        for option in options:
            assert re.search(rf"{option}\b", page), f"{command} {option}"


def test_man_has_nothing_to_complain_of(pages):
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages.values()], capture_output=True, text=True)
    # No date: the same source gives the same page.
    complaints = [line for line in result.stdout.splitlines() if "missing date" not in line]
    assert not complaints, "\n".join(complaints)


def test_people_can_read_them(pages):
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    shown = subprocess.run(["mandoc", "-T", "ascii", pages["sluice-message.1"]], capture_output=True, text=True).stdout
    shown = re.sub(r".\x08", "", shown)
    assert re.search(r"^SYNOPSIS\n +sluice message \[OPTIONS\] SUBCOMMAND$", shown, re.M), shown[:500]
    assert "sluice message list" in shown and "--older-than" in shown and "EXIT STATUS" in shown


def test_commands_page_is_the_one_that_the_program_writes():
    made = sluice("manual", "--markdown").stdout
    assert made == (ROOT / "docs/commands.md").read_text(), \
        "write it anew: build/release/sluice manual --markdown > docs/commands.md"


def test_what_cannot_be_written_is_said(tmp_path):
    result = sluice("manual", "--directory", tmp_path / "none")
    assert result.returncode == 1 and "cannot write" in result.stderr
