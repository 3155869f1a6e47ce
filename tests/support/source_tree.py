"""The source files as the architecture tests see them."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("metrics", "net", "queue", "relay")  # a layer includes itself and those before it
_INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.M)


def sources(*folders):
    """The .h and .cc files below these folders (default: the layers), in order."""
    found = []
    for folder in folders or LAYERS:
        found += [p for p in (ROOT / folder).rglob("*") if p.suffix in (".h", ".cc")]
    return sorted(found)


def name(path):
    return str(path.relative_to(ROOT))


def includes(path):
    """(own, library) headers that a file includes."""
    pairs = _INCLUDE.findall(path.read_text())
    return [own for own, _ in pairs if own], [library for _, library in pairs if library]
