"""Does the Helm chart render to manifests that Kubernetes would take, that fit each other, and that start our
relay? Helm is not in Debian: the templates are rendered by Go's template engine with sprig's functions, which is
what Helm is made of (tests/deploy/helm_render). Not shown here: `helm lint`'s opinions, and a live cluster."""
import base64
import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest
import yaml

from support.ports import free_port
from support.relay import binary
from support.source_tree import ROOT
from support.waiting import wait_until

CHART = ROOT / "deploy/helm/sluice"
FULL = {
    "replicas": 3, "hostname": "relay.example.com", "relayNetworks": ["10.42.0.0/16", "fd00::/8"],
    "senderDomains": ["example.com", ".example.com"], "smartHosts": ["smtp.example.net:587"], "username": "relay",
    "passwordSecret": "smtp", "extraConfig": '[[destination]]\nmatch = ["example.org"]\nmax_connections = 2\n',
    "secretMounts": ["relay-tls"], "service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["192.0.2.0/24"]},
    "persistence": {"storageClass": "fast"}, "drain": {"emptySeconds": 60},
    "networkPolicy": {"from": [{"podSelector": {"matchLabels": {"mail": "yes"}}}]},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "tolerations": [{"key": "mail", "operator": "Exists"}], "nodeSelector": {"disk": "ssd"},
    "podAnnotations": {"a": "b"}, "podLabels": {"team": "mail"},
}
FEW = {"networkPolicy": {"enabled": False}, "adminTokenSecret": "mine", "config": "[admin]\nlisten = \"0.0.0.0:8025\"\n"
       "token = \"${SLUICE_ADMIN_TOKEN}\"\n"}


@pytest.fixture(scope="session")
def renderer(tmp_path_factory):
    if not shutil.which("go") or not os.path.exists("/usr/share/gocode/src/github.com/Masterminds/sprig"):
        pytest.skip("needs golang-go, golang-github-masterminds-sprig-dev and golang-k8s-sigs-yaml-dev")
    folder = tmp_path_factory.mktemp("renderer")
    environment = os.environ | {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "",
                                "GOCACHE": str(folder / "cache")}
    subprocess.run(["go", "build", "-o", folder / "helm_render", "./tests/deploy/helm_render"], check=True, cwd=ROOT,
                   env=environment)
    return folder / "helm_render"


@pytest.fixture
def render(renderer, tmp_path):
    def run(values=None, check=True):
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(values or {}))
        result = subprocess.run([renderer, CHART, "mail", "prod", file], capture_output=True, text=True)
        if not check:
            return result
        assert result.returncode == 0, result.stderr
        text = re.sub(r"# Source: templates/NOTES.txt\n.*?\n---\n", "", result.stdout, flags=re.S)
        return [manifest for manifest in yaml.safe_load_all(text) if manifest]
    return run


def of_kind(manifests, kind):
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def container_of(manifests):
    stateful, = of_kind(manifests, "StatefulSet")
    container, = stateful["spec"]["template"]["spec"]["containers"]
    return stateful, stateful["spec"]["template"], container


@pytest.mark.parametrize("values", [{}, FULL, FEW], ids=["defaults", "full", "few"])
def test_kubernetes_would_take_the_manifests(render, values):
    models = pytest.importorskip("support.kubernetes_models", reason="python3-kubernetes is not installed")
    manifests = render(values)
    for manifest in manifests:
        if manifest["kind"] != "ServiceMonitor":  # of the Prometheus operator
            assert models.mistakes_in(manifest) == []
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("values", [{}, FULL, FEW], ids=["defaults", "full", "few"])
def test_the_parts_fit_each_other(render, values):
    manifests = render(values)
    stateful, pod, container = container_of(manifests)
    labels = pod["metadata"]["labels"]
    ports = {port["name"] for port in container["ports"]}
    services = {service["metadata"]["name"]: service for service in of_kind(manifests, "Service")}
    assert stateful["spec"]["serviceName"] in services
    assert stateful["spec"]["selector"]["matchLabels"].items() <= labels.items()
    for service in services.values():
        assert service["spec"]["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]} | {
        claim["metadata"]["name"] for claim in stateful["spec"]["volumeClaimTemplates"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    for policy in of_kind(manifests, "NetworkPolicy"):
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} <= ports
    for monitor in of_kind(manifests, "ServiceMonitor"):
        found = [service for service in services.values()
                 if monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()]
        assert len(found) == 1, "each pod is scraped once"
        endpoint, = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in found[0]["spec"]["ports"]}
    secrets = {manifest["metadata"]["name"] for manifest in of_kind(manifests, "Secret")}
    token, = [entry for entry in container["env"] if entry["name"] == "SLUICE_ADMIN_TOKEN"]
    assert token["valueFrom"]["secretKeyRef"]["name"] in secrets | {values.get("adminTokenSecret")}


def test_the_pod_is_confined_as_the_image_allows(render):
    _, pod, container = container_of(render())
    image_user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "deploy/container/Dockerfile").read_text(), re.M)
    security = pod["spec"]["securityContext"]
    assert security["runAsNonRoot"] and security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (str(security["runAsUser"]), str(security["fsGroup"])) == image_user.groups()
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_the_grace_period_is_longer_than_everything_in_it(render):
    for values in ({}, FULL, {"drain": {"delaySeconds": 20, "timeoutSeconds": 120}}):
        _, pod, container = container_of(render(values))
        script = container["lifecycle"]["preStop"]["exec"]["command"][2]
        delay, empty = int(re.search(r"sleep (\d+)", script)[1]), int(re.search(r"left=(\d+)", script)[1])
        config, = of_kind(render(values), "ConfigMap")
        drain = int(re.search(r'drain_timeout = "(\d+)s"', config["data"]["sluice.toml"])[1])
        assert pod["spec"]["terminationGracePeriodSeconds"] > delay + empty + drain
        subprocess.run(["sh", "-n", "-c", script], check=True)


def test_a_changed_configuration_rolls_the_pods(render):
    def checksum(values):
        return container_of(render(values))[1]["metadata"]["annotations"]["checksum/config"]
    assert checksum({}) == checksum({}) != checksum({"hostname": "other.example.com"})


@pytest.mark.parametrize("values", [{}, FULL], ids=["defaults", "full"])
def test_the_configuration_is_right(render, values, tmp_path):
    config, = of_kind(render(values), "ConfigMap")
    file = tmp_path / "sluice.toml"
    file.write_text(config["data"]["sluice.toml"])
    result = subprocess.run([binary(), "check", "--print", "--config", file], capture_output=True, text=True,
                            env=os.environ | {"SLUICE_ADMIN_TOKEN": "t", "SLUICE_SMTP_PASSWORD": "p"})
    assert result.returncode == 0, result.stderr
    for network in values.get("relayNetworks", []):
        assert network in result.stdout
    for host in values.get("smartHosts", []):
        assert host in result.stdout


def test_the_pod_would_run(render, tmp_path):
    """Its command line, its configuration and its environment start the relay here; its probes and the commands of
    its pre-stop are answered."""
    manifests = render({"relayNetworks": ["127.0.0.0/8"]})
    _, _, container = container_of(manifests)
    secret, = of_kind(manifests, "Secret")
    config, = of_kind(manifests, "ConfigMap")
    smtp, admin = free_port(), free_port()
    file = tmp_path / "sluice.toml"
    file.write_text(f'data_dir = "{tmp_path}/data"\n' + config["data"]["sluice.toml"]
                    .replace("0.0.0.0:2525", f"127.0.0.1:{smtp}").replace("0.0.0.0:8025", f"0.0.0.0:{admin}")
                    .replace('[queue]', '[queue]\ndisk_reserve = "64MiB"'))
    arguments = [str(file) if word == "/etc/sluice/sluice.toml" else word for word in container["args"]]
    environment = os.environ | {"SLUICE_ADMIN_TOKEN": base64.b64decode(secret["data"]["token"]).decode()}
    log = tmp_path / "log"
    with open(log, "wb") as out:
        relay = subprocess.Popen([binary(), *arguments], env=environment, stdout=out, stderr=out)
    try:
        def status():
            assert relay.poll() is None, log.read_text()
            return subprocess.run([binary(), "status", "--config", file], capture_output=True, text=True,
                                  env=environment)
        wait_until(lambda: status().returncode == 0, 20, "ready", every=0.1)
        assert re.search(r"^0 messages", status().stdout, re.M), "what the pre-stop looks for"
        for probe in ("livenessProbe", "readinessProbe"):
            path = container[probe]["httpGet"]["path"]
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}{path}", timeout=10) as answer:
                assert answer.status == 200
    finally:
        relay.terminate()
        assert relay.wait(40) == 0


def test_mistakes_stop_the_rendering(render):
    result = render({"smartHosts": ["a.example"], "username": "u"}, check=False)
    assert result.returncode != 0 and "passwordSecret" in result.stderr


def test_values_are_described_by_their_schema():
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    check = jsonschema.Draft7Validator(schema)
    for values in (defaults, FULL, FEW):
        assert not list(check.iter_errors(values))
    assert set(defaults) == set(schema["properties"]) - {"global"}, "a value without a description"
    for wrong in ({"replica": 1}, {"replicas": "two"}, {"relayNetworks": "10.0.0.0/8"}, {"service": {"type": "x"}}):
        assert list(check.iter_errors(wrong)), wrong


def test_every_value_is_used():
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    text = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    for name, value in defaults.items():
        assert f".Values.{name}" in text, name
        # Tables that are taken as a whole are not looked into.
        if isinstance(value, dict) and value and name != "resources":
            for inner in value:
                assert f".Values.{name}.{inner}" in text, f"{name}.{inner}"


def test_the_chart_is_of_this_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r"project\(sluice VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert chart["apiVersion"] == "v2" and chart["type"] == "application"
    assert chart["appVersion"] == version and re.fullmatch(r"\d+\.\d+\.\d+", chart["version"])
