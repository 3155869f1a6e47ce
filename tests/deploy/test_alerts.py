"""Do the alerts parse, fire when they should and only then, and lead to a section that exists?"""
import re
import shutil
import subprocess

import pytest
import yaml
from docs_pages import anchors

from support.source_tree import ROOT

FOLDER = ROOT / "deploy/prometheus"


@pytest.fixture(scope="module")
def alerts():
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def promtool(*arguments):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (package prometheus)")
    result = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_takes_the_configuration_and_the_rules():
    promtool("check", "config", FOLDER / "prometheus.yml")


def test_they_fire_when_they_should_and_only_then():
    promtool("test", "rules", ROOT / "tests/deploy/alerts_test.yml")


def test_each_alert_is_tried(alerts):
    tried = {case["alertname"]
             for test in yaml.safe_load((ROOT / "tests/deploy/alerts_test.yml").read_text())["tests"]
             for case in test["alert_rule_test"] if case.get("exp_alerts")}
    assert set(alerts) == tried


def test_they_ask_for_metrics_that_exist(alerts):
    declared = set(re.findall(r'"(sluice_\w+)"', (ROOT / "metrics/names.h").read_text()))
    for name, rule in alerts.items():
        used = {re.sub(r"_(bucket|sum|count)$", "", metric)
                for metric in re.findall(r"\bsluice_\w+", rule["expr"])}
        assert used <= declared, f"{name}: {used - declared}"


def test_each_leads_to_a_section_that_says_what_to_do(alerts):
    sections = anchors(ROOT / "docs/troubleshoot.md")
    for name, rule in alerts.items():
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page == "docs/troubleshoot.md" and anchor in sections, f"{name}: {anchor}"
