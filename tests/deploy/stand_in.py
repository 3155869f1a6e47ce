#!/usr/bin/python3
"""Stands in for a program that a guide calls and that is not here (docker, helm, kubectl, sudo): says whether what
it is asked makes sense for this tree, and does nothing. $GUIDE_ROOT is the tree, $GUIDE_BINARY the relay."""
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ["GUIDE_ROOT"])


def fail(text):
    print(f"{Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}: {text}", file=sys.stderr)
    sys.exit(1)


def need_file(path):
    if not (ROOT / path).exists():
        fail(f"no {path}")


def check_sluice(words):
    """A command of the relay that somebody would run in a container."""
    known = [word for word in words[1:3] if not word.startswith("-")]
    for count in range(len(known), 0, -1):
        found = subprocess.run([os.environ["GUIDE_BINARY"], *known[:count], "--help"], capture_output=True, text=True)
        if found.returncode == 0 and known[0] in found.stdout:
            for option in (word for word in words if word.startswith("--")):
                if option not in found.stdout:
                    fail(f"no {option}")
            return
    fail("no such command")


def docker(words):
    if words[0] in ("build", "compose"):
        need_file(words[words.index("-f") + 1])
    elif words[0] == "exec":
        check_sluice(words[words.index("sluice") + 1:])  # behind the container's name
    elif words[0] == "run":
        source = (ROOT / "relay/config/environment.cc").read_text()
        for value in (words[n + 1] for n, word in enumerate(words) if word == "-e"):
            if f'"{value.split("=")[0]}"' not in source:
                fail(f"the relay reads no {value}")
    elif words[0] not in ("logs", "stop", "rm"):
        fail("not a command that we know")


def helm(words):
    chart = words[2]
    need_file(f"{chart}/Chart.yaml")
    values = (ROOT / chart / "values.yaml").read_text()
    for value in (words[n + 1] for n, word in enumerate(words) if word == "--set"):
        name, *inner = value.split("=")[0].split(".")
        block = re.search(rf"^{name}:.*\n((?:[ #].*\n|\n)*)", values, re.M)
        if not block or (inner and f"{inner[0]}:" not in block[1]):
            fail(f"the chart has no {value}")


def kubectl(words):
    if "exec" in words:
        check_sluice(words[words.index("--") + 1:])


if __name__ == "__main__":
    program, words = Path(sys.argv[0]).name, sys.argv[1:]
    if program == "sudo":
        os.execvp(words[0], words)
    {"docker": docker, "helm": helm, "kubectl": kubectl}[program](words)
