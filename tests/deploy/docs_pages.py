"""The Markdown pages: their headings, links and code blocks."""
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Block:
    language: str
    text: str
    line: int


def without_code(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def anchors(page):
    """What can stand behind the # of a link to it."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", without_code(Path(page).read_text()), re.M):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", lambda m: m[1] or "", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def links(page):
    """Targets of its links."""
    return re.findall(r"\]\(([^)\s]+)\)", without_code(Path(page).read_text()))


def blocks(page):
    """Its fenced code blocks."""
    text = Path(page).read_text()
    return [Block(match[1], match[2], text[:match.start()].count("\n") + 1)
            for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)]
