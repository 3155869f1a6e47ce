"""Does the Debian package hold what it should, and does it install, run, and go away again without taking mail
with it? The short form looks into it; the long form installs it in a Debian root of its own."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.ports import free_port
from support.relay import binary
from support.source_tree import ROOT

BUILD = ROOT / "build/release"
SCRIPTS = ["postinst", "prerm", "postrm"]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The .deb, made of the binary that stands."""
    if not (BUILD / "CPackConfig.cmake").exists() or not Path(binary()).exists():
        pytest.skip("build/release is not built")
    for tool in ("cpack", "dpkg-shlibdeps", "dpkg-deb"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    if Path(binary()).resolve() != (BUILD / "sluice").resolve():
        pytest.skip("the package is of build/release only")
    folder = tmp_path_factory.mktemp("package")
    subprocess.run(["cmake", "--build", str(BUILD), "--target", "man"], check=True, capture_output=True)
    result = subprocess.run(["cpack", "-G", "DEB", "--config", BUILD / "CPackConfig.cmake", "-B", folder],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    made = list(folder.glob("*.deb"))
    assert len(made) == 1, made
    return made[0]


def fields_of(package):
    text = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^([A-Z][\w-]+): (.*)$", text, re.M))


def files_of(package):
    """Path -> mode and owner."""
    listing = subprocess.run(["dpkg-deb", "--contents", package], capture_output=True, text=True, check=True).stdout
    lines = (line.split(maxsplit=5) for line in listing.splitlines())
    return {path.removeprefix(".").rstrip("/"): (mode, owner) for mode, owner, _, _, _, path in lines}


def test_it_says_what_it_is_and_needs_what_the_binary_needs(package):
    fields = fields_of(package)
    version = re.search(r"project\(sluice VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert fields["Package"] == "sluice" and fields["Version"] == version
    runtime = {line for line in (ROOT / "deploy/container/runtime-packages.txt").read_text().splitlines()
               if line and not line.startswith("#")}
    needed = set(re.findall(r"(?:^|, )([a-z0-9.+-]+)", fields["Depends"]))
    assert runtime - needed == set(), "what the image needs, the package needs"


def test_everything_is_where_debian_wants_it(package):
    files = files_of(package)
    for path in ("/usr/bin/sluice", "/lib/systemd/system/sluice.service", "/lib/systemd/system/sluice.socket",
                 "/etc/sluice/sluice.toml", "/usr/lib/sysusers.d/sluice.conf", "/usr/share/man/man1/sluice.1.gz",
                 "/usr/share/man/man1/sluice-queue.1.gz", "/usr/share/doc/sluice/copyright",
                 "/usr/share/doc/sluice/docs/operate.md"):
        assert path in files, path
    assert all(owner == "root/root" for _, owner in files.values())
    assert not any(path.startswith(("/usr/local", "/usr/include", "/usr/lib/x86")) for path in files)


def test_the_unit_starts_the_program_that_the_package_brings(package, tmp_path):
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path], check=True)
    unit = (tmp_path / "lib/systemd/system/sluice.service").read_text()
    programs = set(re.findall(r"^Exec\w+=(\S+)", unit, re.M))
    assert programs == {"/usr/bin/sluice", "/bin/kill"}
    run = subprocess.run([tmp_path / "usr/bin/sluice", "check", "--config", tmp_path / "etc/sluice/sluice.toml"],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_configuration_is_the_administrators(package, tmp_path):
    subprocess.run(["dpkg-deb", "--control", package, tmp_path], check=True)
    assert (tmp_path / "conffiles").read_text().split() == ["/etc/sluice/sluice.toml"]
    for script in SCRIPTS:
        assert (tmp_path / script).stat().st_mode & 0o111


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_are_clean(script):
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    subprocess.run(["shellcheck", ROOT / "deploy/debian" / script], check=True)


@pytest.mark.long_form
@pytest.mark.timeout(900)
def test_it_installs_runs_and_goes_away_in_a_clean_debian(package, tmp_path):
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("needs root and debootstrap")
    result = subprocess.run([ROOT / "tests/deploy/package_steps", "--package", package, "--root", tmp_path / "root",
                             "--port", str(free_port()), "--admin-port", str(free_port())],
                            capture_output=True, text=True, timeout=880)
    print(result.stdout)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
