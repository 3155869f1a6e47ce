"""Is the image small, unprivileged and complete? No container engine is needed to tell; the long form
carries out the image's steps in a Debian root of its own."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from dockerfile import read

from support.ports import free_port
from support.relay import binary
from support.source_tree import ROOT

DOCKERFILE = ROOT / "deploy/container/Dockerfile"
RUNTIME_PACKAGES = ROOT / "deploy/container/runtime-packages.txt"
KNOWN = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL",
         "USER", "VOLUME", "WORKDIR"}


@pytest.fixture(scope="module")
def stages():
    return read(DOCKERFILE)


@pytest.fixture(scope="module")
def image(stages):
    return stages[-1]


def package_list(path):
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def test_instructions_are_known_and_images_have_a_tag(stages):
    assert [stage.name for stage in stages] == ["build", ""]
    for stage in stages:
        assert re.fullmatch(r"[a-z./]+:(?!latest)[\w.-]+", stage.image), stage.image
        assert {i.name for i in stage.instructions} <= KNOWN


def test_installing_packages_leaves_nothing_behind(stages):
    for run in (run for stage in stages for run in stage.all("RUN") if "apt-get" in run.text):
        assert "apt-get update &&" in run.text, "a cached list of packages would be used"
        assert "--no-install-recommends" in run.text
        assert "rm -rf /var/lib/apt/lists/*" in run.text


def test_what_is_copied_is_there_and_not_ignored(stages):
    ignored = (ROOT / ".dockerignore").read_text().split()
    for copy in (copy for stage in stages for copy in stage.all("COPY")):
        if copy.words[0].startswith("--from="):
            assert copy.words[0] == "--from=build"
            continue
        for source in copy.words[:-1]:
            assert (ROOT / source).exists(), source
            assert Path(source).parts[:1] not in [(entry,) for entry in ignored], source


def test_it_runs_without_privileges_on_ports_that_need_none(image):
    user = image.one("USER").text
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), "a number, so that runAsNonRoot can check it"
    uid, gid = user.split(":")
    run = image.one("RUN").text
    assert f"--gid {gid}" in run and f"--uid {uid}" in run
    assert all(int(port) >= 1024 for port in image.one("EXPOSE").words)
    assert image.one("VOLUME").text == "/var/lib/sluice"


def test_nobody_but_loopback_may_relay_until_told(image):
    assert image.environment() == {"SLUICE_LISTEN": "0.0.0.0:2525"}


def test_it_starts_stops_and_tells_its_health(image):
    assert image.one("ENTRYPOINT").words + image.one("CMD").words == ["sluice", "serve"]
    assert image.one("STOPSIGNAL").text == "SIGTERM"
    health = image.one("HEALTHCHECK").text
    assert health.endswith('CMD ["sluice", "status"]')


def libraries_of(program):
    """Packages of the libraries that the loader finds for it, directly or not."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    paths = {os.path.realpath(path) for path in re.findall(r"=> (/\S+)", listing)}
    spellings = sorted(paths | {path.removeprefix("/usr") for path in paths})
    owned = subprocess.run(["dpkg", "-S", *spellings], capture_output=True, text=True).stdout  # one call: each is slow
    owners = {"/usr" + path.removeprefix("/usr"): owner.split(":")[0]
              for owner, path in (line.split(": ", 1) for line in owned.splitlines())}
    unowned = paths - owners.keys()
    assert not unowned, f"no package owns {unowned}"
    return {owners[path] for path in paths}


def test_the_image_has_the_libraries_that_the_binary_needs():
    if not Path(binary()).exists():
        pytest.skip("no binary is built")
    listed = set(package_list(RUNTIME_PACKAGES))
    described = {package: package_depends(package) for package in listed}
    covered = listed.union(*described.values())
    # What every Debian has, sanitizers' libraries aside.
    basic = {"libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libasan8", "libubsan1", "libtsan2"}
    missing = libraries_of(binary()) - covered - basic
    assert not missing, f"not in runtime-packages.txt nor needed by one that is: {missing}"
    unneeded = listed - libraries_of(binary()) - {"ca-certificates"}
    assert not unneeded, f"in runtime-packages.txt for nothing: {unneeded}"


def package_depends(package):
    """Everything that it pulls in."""
    command = ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests",
               "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", "--installed", package]
    listing = subprocess.run(command, capture_output=True, text=True).stdout
    return set(re.findall(r"^([a-z0-9][\w.+-]*)", listing, re.M))


@pytest.mark.long_form
@pytest.mark.timeout(900)
def test_the_steps_of_the_image_give_a_relay_that_runs(tmp_path):
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("needs root and debootstrap")
    result = subprocess.run(
        [ROOT / "tests/deploy/image_steps", "--binary", binary(), "--root", tmp_path / "root",
         "--port", str(free_port()), "--admin-port", str(free_port())],
        capture_output=True, text=True, timeout=880)
    print(result.stdout)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
