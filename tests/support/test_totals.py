"""Does the last line of tests/run count what ctest and pytest say?"""
import subprocess
import sys
from pathlib import Path

from support import totals

PYTEST = '<testsuites><testsuite><testcase name="a"/><testcase name="b"><failure/></testcase><testcase name="c">' \
         '<skipped/></testcase><testcase name="d"><error/></testcase></testsuite></testsuites>'
CTEST = '<testsuite><testcase name="a" status="run"/><testcase name="b" status="fail"><failure/></testcase>' \
        '<testcase name="c" status="notrun"><skipped/></testcase></testsuite>'


def test_passed_failed_and_skipped_are_added_up(tmp_path):
    for name, text in (("pytest.xml", PYTEST), ("ctest.xml", CTEST)):
        (tmp_path / name).write_text(text)
    assert totals.count(tmp_path.glob("*.xml")) == (2, 3, 2)


def run(*arguments):
    result = subprocess.run([sys.executable, Path(totals.__file__), *map(str, arguments)], capture_output=True, text=True)
    return result.returncode, result.stdout


def test_the_exit_code_says_whether_all_is_well(tmp_path):
    good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
    good.write_text('<testsuite><testcase name="a" status="run"/></testsuite>')
    bad.write_text(CTEST)
    assert run(good) == (0, "1 passed, 0 failed\n")
    assert run(good, bad) == (1, "2 passed, 1 failed, 1 skipped\n")
    assert run("--broken", good) == (1, "1 passed, 1 failed\n")
    assert run()[0] == 1
