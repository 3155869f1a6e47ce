"""Is the binary hardened (CF9), and free of libraries that would clash with BoringSSL?"""
import re
import subprocess
from pathlib import Path

import pytest

from support.relay import binary


@pytest.fixture(scope="module")
def program():
    if not Path(binary()).exists():
        pytest.skip("no binary is built")
    return binary()


def readelf(program, *options):
    return subprocess.run(["readelf", "-W", *options, program], capture_output=True, text=True,
                          check=True).stdout


def test_no_openssl_in_the_process(program):
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for line in libraries.splitlines():
        if re.search(r"lib(ssl|crypto)\.so", line):
            assert "/android/" in line, line
    assert "not found" not in libraries


def test_it_is_position_independent(program):
    assert re.search(r"Type:\s+DYN", readelf(program, "-h"))


def test_relocations_are_read_only_and_the_stack_is_not_executable(program):
    headers = readelf(program, "-l")
    assert "GNU_RELRO" in headers
    assert re.search(r"GNU_STACK\s.*\sRW\s", headers)
    assert re.search(r"BIND_NOW|\bNOW\b", readelf(program, "-d"))


def test_stacks_are_protected_and_calls_fortified(program):
    symbols = readelf(program, "--dyn-syms")
    assert "__stack_chk_fail" in symbols
    if not re.search(r"__(a|t|ub)san_init", symbols):
        assert re.search(r"__\w+_chk\b", symbols.replace("__stack_chk_fail", ""))


def test_libraries_come_from_the_system_only(program):
    paths = re.findall(r"R(?:UN)?PATH.*\[(.*)\]", readelf(program, "-d"))
    for folder in ":".join(paths).split(":"):
        assert not folder or folder.startswith("/usr/lib/"), folder
