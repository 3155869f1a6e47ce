"""Is every file small, used, and does it say first which question it answers?"""
import re
import subprocess

from support.source_tree import ROOT, includes, name, sources

MOST_LINES = 500


def test_no_file_holds_two_questions():
    long = [f"{name(p)}: {n} lines" for p in sources()
            if (n := len(p.read_text().splitlines())) > MOST_LINES]
    assert not long, "\n".join(long)


def test_each_file_says_first_what_it_is_for():
    # A .cc may leave it to its header; a unit test is explained by its folder and name.
    silent = [name(p) for p in sources("metrics", "net", "queue", "relay", "tests/fuzz", "tests/bench")
              if not p.read_text().startswith("// ")
              and not (p.suffix == ".cc" and p.with_suffix(".h").exists())]
    assert not silent, silent


def test_each_test_file_in_python_says_what_it_is_for():
    silent = [str(p.relative_to(ROOT)) for p in (ROOT / "tests").rglob("*.py")
              if p.stat().st_size and not re.match(r'(#!.*\n)?"""', p.read_text())]
    assert not silent, silent


def test_each_header_is_guarded():
    bare = [name(p) for p in sources() if p.suffix == ".h" and "#pragma once" not in p.read_text()]
    assert not bare, bare


def test_names_are_unique():
    seen, twice = {}, []
    for path in sources():
        if path.name in seen and path.name != "main.cc":
            twice.append(f"{name(seen[path.name])} and {name(path)}")
        seen[path.name] = path
    assert not twice, twice


def test_each_header_is_included_by_more_than_its_own_file_and_tests():
    product = {header for path in sources() for header in includes(path)[0]
               if path.with_suffix(".h") != ROOT / header}
    unused = sorted(name(p) for p in sources() if p.suffix == ".h" and name(p) not in product)
    assert not unused, f"used by nobody but tests: {unused}"


def test_no_test_sleeps_instead_of_waiting_for_something():
    sleep = re.compile(r"\bsleep_for\b|\busleep\(|\btime\.sleep\(|\basyncio\.sleep\(")
    sleepy = []
    for path in [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "tests").rglob("*_test.cc")]:
        if path.name != "test_files.py" and sleep.search(path.read_text()):
            sleepy.append(str(path.relative_to(ROOT)))
    assert not sleepy, sleepy


def test_nothing_is_left_for_later():
    later = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    files = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True)
    found = []
    for entry in files.stdout.splitlines():
        path = ROOT / entry
        if path.name != "test_files.py" and path.is_file():
            found += [entry] if later.search(path.read_text(errors="replace")) else []
    assert not found, found
