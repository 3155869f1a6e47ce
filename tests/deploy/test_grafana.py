"""Does every panel of the Grafana dashboard ask for what the relay has?"""
import json
import re
import shutil
import subprocess

import pytest
import yaml

from support.relay import smart_host
from support.source_tree import ROOT
from support.waiting import wait_until

DASHBOARD = ROOT / "deploy/grafana/dashboards/sluice.json"
OF_PROMETHEUS = {"job", "instance", "le"}


@pytest.fixture(scope="module")
def dashboard():
    return json.loads(DASHBOARD.read_text())


def expressions(dashboard):
    """(panel's title, expression) of each."""
    return [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]


def metrics_in(expression):
    return set(re.findall(r"\bsluice_\w+", expression))


def base(metric):
    return re.sub(r"_(bucket|sum|count)$", "", metric)


def declared():
    """Name -> labels, of metrics/names.h."""
    text = (ROOT / "metrics/names.h").read_text()
    found = re.findall(r'\{\s*"(sluice_\w+)",\s*Type::\w+,\s*\{([^}]*)\}', text)
    return {name: set(re.findall(r'"(\w+)"', labels)) for name, labels in found}


def test_panels_ask_for_metrics_that_exist_by_labels_that_exist(dashboard):
    known = declared()
    assert len(known) > 20, "names.h is not understood"
    documented = set(re.findall(r"`(sluice_\w+)`", (ROOT / "docs/metrics.md").read_text()))
    for title, expression in expressions(dashboard):
        used = {base(metric) for metric in metrics_in(expression)}
        assert used and used <= known.keys() and used <= documented, f"{title}: {expression}"
        labels = set(re.findall(r"(\w+)(?:=~|!=|=)\"", expression))
        for group in re.findall(r"\bby \(([^)]*)\)", expression):
            labels |= set(re.split(r"[, ]+", group))
        allowed = OF_PROMETHEUS.union(*(known[metric] for metric in used))
        assert labels <= allowed, f"{title}: {labels - allowed}"


def test_every_metric_that_one_should_watch_is_on_it(dashboard):
    shown = {base(metric) for _, expression in expressions(dashboard) for metric in metrics_in(expression)}
    alerts = (ROOT / "deploy/prometheus/alerts.yml").read_text()
    assert {base(metric) for metric in metrics_in(alerts)} <= shown, "an alert without a picture"


def test_a_running_relay_has_what_the_panels_ask_for(dashboard, start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    server.on("rcpt", "451 4.7.1 come back", times=1)
    message_id = relay.deliver_in("<a@here.test>", ["<b@there.test>"], b"Subject: x\r\n\r\nhi\r\n")
    relay.log.wait_for(event="deferred", id=message_id)
    seen = {sample.name for sample in relay.samples()}
    wanted = {metric for _, expression in expressions(dashboard) for metric in metrics_in(expression)}
    # Only with certificates, users, look-ups or handshakes; each is fed where it is told of in tests of its own.
    optional = {"sluice_certificate_expiry_seconds", "sluice_dns_seconds_bucket"}
    wait_until(lambda: wanted - optional <= {s.name for s in relay.samples()}, 10,
               lambda: f"missing: {sorted(wanted - optional - seen)}")


def test_prometheus_understands_every_expression(dashboard, tmp_path):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (package prometheus)")
    rules = [{"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
             for number, (_, expression) in enumerate(expressions(dashboard))]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    result = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_panels_do_not_overlap_and_have_their_own_number(dashboard):
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(numbers) == len(set(numbers))
    taken = set()
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        cells = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])}
        assert grid["x"] + grid["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
