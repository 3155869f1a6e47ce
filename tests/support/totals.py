"""Adds up JUnit files of ctest and pytest: prints `N passed, N failed, N skipped` and says by its exit code
whether all is well."""
import sys
import xml.etree.ElementTree as ElementTree


def count(paths):
    passed, failed, skipped = 0, 0, 0
    for path in paths:
        for case in ElementTree.parse(path).iter("testcase"):
            kinds = {child.tag for child in case}
            status = case.get("status")
            if kinds & {"failure", "error"} or status == "fail":
                failed += 1
            elif "skipped" in kinds or status in ("notrun", "disabled"):
                skipped += 1
            else:
                passed += 1
    return passed, failed, skipped


if __name__ == "__main__":
    arguments = sys.argv[1:]
    broken = "--broken" in arguments
    totals = count(a for a in arguments if a != "--broken")
    good, bad, left_out = totals[0], totals[1] + broken, totals[2]
    print(f"{good} passed, {bad} failed" + (f", {left_out} skipped" if left_out else ""))
    sys.exit(1 if bad or not good else 0)
