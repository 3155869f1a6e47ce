"""Does what README and the guides tell people to type work? Every `sh` and `python` block is run, in the order of its
page, against a relay; programs that are not here (docker, helm, kubectl) are stood in for by one that knows what
makes sense. What is only to be read is marked `text`."""
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from docs_pages import blocks

from support.ports import free_port
from support.relay import binary, smart_host
from support.source_tree import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/guides").glob("*.md"))]
LANGUAGES = {"sh", "python", "toml", "yaml", "text"}
STARTS_ITS_OWN = "deploy/quickstart"


def page_name(page):
    return page.name


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_each_block_says_what_it_is(page):
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{page.name}:{block.line}: {block.language!r}"


class Scene:
    """A folder that looks like the checkout to who types, with ports and paths of its own."""

    def __init__(self, folder, ports):
        self.folder, self.ports = folder, ports
        (folder / "bin").mkdir()
        (folder / "build").mkdir()
        (folder / "etc").mkdir()
        for name in ("deploy", "docs", "tests"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "build/release").symlink_to(Path(binary()).parent)
        for name in ("docker", "helm", "kubectl", "sudo"):
            (folder / "bin" / name).symlink_to(ROOT / "tests/deploy/stand_in.py")
        (folder / "bin/sluice").symlink_to(binary())
        self.environment = os.environ | {
            "PATH": f"{folder}/bin:{os.environ['PATH']}", "GUIDE_ROOT": str(ROOT), "GUIDE_BINARY": binary(),
            "QUICKSTART_BINARY": binary(), "QUICKSTART_PORT": str(ports[2525]),
            "QUICKSTART_SINK_PORT": str(ports[2526]), "QUICKSTART_ADMIN_PORT": str(ports[8025])}

    def fitted(self, text):
        for port, mine in self.ports.items():
            text = re.sub(rf"(?<![\d.]){port}(?!\d)", str(mine), text)
        return text.replace("/tmp/", f"{self.folder}/").replace("/etc/sluice", f"{self.folder}/etc")

    def run(self, command, text):
        return subprocess.run(command, input=self.fitted(text), text=True, capture_output=True, cwd=self.folder,
                              env=self.environment, timeout=120)


@pytest.fixture
def scene(tmp_path, start_relay, request):
    page = request.param
    ports = {port: free_port() for port in (2525, 2526, 8025)}
    if STARTS_ITS_OWN not in page.read_text():
        sink = SimpleNamespace(address="127.0.0.1", port=ports[2526])
        relay = start_relay(send=[smart_host(sink)])
        ports |= {2525: relay.port, 8025: relay.admin_port}
    made = Scene(tmp_path, ports)
    yield page, made
    if STARTS_ITS_OWN in page.read_text():
        made.run(["bash"], "deploy/quickstart stop")


RUNNABLE = [page for page in PAGES if any(block.language in ("sh", "python") for block in blocks(page))]


@pytest.mark.parametrize("scene", RUNNABLE, indirect=True, ids=page_name)
def test_what_the_page_says_works(scene):
    page, scene = scene
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.language == "toml" and not (scene.folder / "etc/sluice.toml").exists():
            (scene.folder / "etc/sluice.toml").write_text(scene.fitted(block.text))
        elif block.language == "sh":
            result = scene.run(["bash", "-eo", "pipefail"], block.text)
            assert result.returncode == 0, f"{where}\n{result.stdout[-3000:]}{result.stderr[-3000:]}"
            assert "sluice: " not in result.stderr, f"{where}\n{result.stderr}"
        elif block.language == "python":
            result = scene.run([sys.executable, "-"], block.text)
            assert result.returncode == 0, f"{where}\n{result.stderr[-3000:]}"


def test_yaml_examples_set_variables_that_are_read():
    source = (ROOT / "relay/config/environment.cc").read_text()
    found = 0
    for page in PAGES:
        for block in (b for b in blocks(page) if b.language == "yaml"):
            for service in yaml.safe_load(block.text)["services"].values():
                for name in service["environment"]:
                    found += 1
                    assert f'"{name.removesuffix("_FILE")}"' in source, f"{page.name}:{block.line}: {name}"
    assert found >= 5


def test_the_mapping_from_postfix_names_settings_that_exist():
    page = (ROOT / "docs/guides/from-postfix.md").read_text()
    table = page[page.index("## Settings"):page.index("## Commands")]
    known = set(re.findall(r'^\| `(\w+)` \|', (ROOT / "docs/configuration.md").read_text(), re.M)) | {"cost"}
    for line in (line for line in table.splitlines() if line.startswith("| `")):
        ours = line.split("|")[2]
        for cell in re.findall(r"`([^`]+)`", ours):
            key = re.match(r"(?:\[+\w+\]+ )?(\w+)( =|$)", cell)
            if key and not re.fullmatch(r"\[+\w+\]+", cell):
                assert key[1] in known, f"{key[1]} in {line}"


def test_the_figures_of_readme_are_those_that_were_measured():
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("## What it is good for"):readme.index("## Try it")]
    measured = (ROOT / "docs/performance.md").read_text()
    figures = re.findall(r"\d[\d,.]*\d", table[table.index("| --- |"):])
    assert len(figures) > 8
    for figure in figures:
        assert figure in measured, f"{figure} is not in docs/performance.md"


def test_the_disk_table_is_right():
    page = (ROOT / "docs/guides/capacity.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (\d+) KiB \| ([\d.]+) GiB \| ([\d.]+) GiB \|$", page, re.M)
    assert len(rows) == 3
    for rate, kib, *told in rows:
        for seconds, figure in zip((3600, 86400), map(float, told)):
            gib = int(rate) * int(kib) * seconds / (1 << 20) * 4 / 3 + 1
            assert abs(figure - gib) <= max(0.05, gib * 0.01), (rate, kib, seconds, gib)
