"""Does docs/events.md list the events that the relay logs, at their level, and no others?"""
import re

from support.source_tree import ROOT

LEVELS = {"Debug": "debug", "Info": "info", "Warn": "warn", "Error": "error"}


def sources():
    return {path: path.read_text() for path in (ROOT / "relay").rglob("*.cc")}


def logged():
    """Name -> levels, of those that a source names with its level."""
    found = {}
    for text in sources().values():
        for level, event in re.findall(r'LogLevel::(\w+),\s*"([a-z_]+)"', text):
            found.setdefault(event, set()).add(LEVELS[level])
    return found


def rows(chapter):
    page = (ROOT / "docs/events.md").read_text()
    part = re.search(rf"^## {chapter}\n(.*?)(?=^## |\Z)", page, re.M | re.S)[1]
    return [re.split(r"\s*(?<!\\)\|\s*", line.strip("| ")) for line in part.splitlines() if line.startswith("| `")]


def documented():
    return {name: cells[1] for cells in rows("Other events") for name in re.findall(r"`(\w+)`", cells[0])}


def test_every_event_is_in_the_page_with_its_level():
    page = documented()
    for event, levels in logged().items():
        assert event in page, f"{event} is not documented"
        assert page[event] in levels, f"{event}: {page[event]}, but {levels} in the source"


def test_every_event_of_the_page_is_logged():
    text = "".join(sources().values())
    told = rows("Message events")
    fields = [cells[0] for cells in told].index("`id`")  # where the table of fields begins
    message_events = {name for cells in told[:fields] for name in re.findall(r"`(\w+)`", cells[0])}
    assert {"accepted", "delivered"} <= message_events
    for event in message_events | set(documented()):
        assert f'"{event}"' in text, f"{event} is logged nowhere"
