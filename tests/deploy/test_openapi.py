"""Does docs/openapi.yaml describe the API that a running relay has: every path, every field, every error?"""
import re

import pytest
import yaml

from support.relay import smart_host
from support.source_tree import ROOT

jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
METHODS = {"get", "post", "put", "delete", "patch"}


@pytest.fixture(scope="module")
def api():
    return yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())


def resolved(api, node):
    while isinstance(node, dict) and "$ref" in node:
        target = api
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def operations(api):
    return [(path, method, operation) for path, methods in api["paths"].items()
            for method, operation in methods.items() if method in METHODS]


def schema_of(api, operation, status):
    """(content type, schema) of a described answer."""
    response = resolved(api, operation["responses"][str(status)])
    (kind, media), = response["content"].items()
    return kind, media["schema"]


def must_fit(api, schema, body):
    whole = {"components": api["components"], **schema}
    errors = list(jsonschema.Draft202012Validator(whole).iter_errors(body))
    assert not errors, "\n".join(f"{list(e.absolute_path)}: {e.message}" for e in errors) + f"\n{body}"


def test_references_lead_somewhere_and_operations_have_what_they_need(api):
    for node in re.findall(r'\$ref: "?#/([\w/]+)', (ROOT / "docs/openapi.yaml").read_text()):
        resolved(api, {"$ref": "#/" + node})
    for path, method, operation in operations(api):
        assert operation["summary"], (path, method)
        placed = {p["name"] for p in map(lambda p: resolved(api, p), operation.get("parameters", [])) if p["in"] == "path"}
        assert placed == set(re.findall(r"\{(\w+)\}", path)), path
        assert any(status.startswith("2") for status in operation["responses"])


def test_it_has_the_paths_of_the_page_and_of_no_others(api):
    """docs/api.md and docs/openapi.yaml speak of the same requests."""
    def shape(path):
        return re.sub(r"\{[^}]*\}|(?<=/)(suspend|resume|retry|hold|release|bounce|discard|expire|redirect)$", "*", path.split("?")[0])
    page = (ROOT / "docs/api.md").read_text().replace("`…/resume`", "").replace("`…/retry`", "")
    page = re.sub(r"`GET /page/\S*?`", "", page)  # the dashboard's files
    told = {(method, shape(path)) for method, path in re.findall(r"`(GET|POST|PUT|DELETE) (/\S+?)`", page)}
    described = {(method.upper(), shape(path)) for path, method, _ in operations(api)}
    assert told == described, sorted(told ^ described)


def test_errors_have_the_statuses_of_the_page(api):
    page = (ROOT / "docs/api.md").read_text()
    for path, _, operation in operations(api):
        for status in operation["responses"]:
            assert status == "200" or re.search(rf"\b{status}\b", page), f"{path}: {status}"


@pytest.fixture
def relay_with_mail(start_relay, server):
    """A message that is deferred, one that is ready for a suspended destination."""
    server.on("rcpt", "451 4.7.1 come back later")
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "1h", "retry_max": "1h"})
    message_id = relay.deliver_in("<a@here.test>", ["<b@there.test>", "<c@there.test>"], b"Subject: x\r\n\r\nhi\r\n")
    relay.log.wait_for(event="deferred", id=message_id)
    relay.message_id = message_id
    relay.destination = next(iter(relay.queues()))
    return relay


def ask(relay, path, method, **settings):
    values = {"destination": relay.destination, "id": relay.message_id, **settings.pop("values", {})}
    return relay.api(method.upper(), re.sub(r"\{(\w+)\}", lambda m: values[m[1]], path), **settings)


def test_every_path_answers_as_described(api, relay_with_mail):
    relay = relay_with_mail
    # What ends the message comes last.
    order = {"suspend": 1, "resume": 2, "retry": 3, "hold": 4, "release": 5, "redirect": 6, "bounce": 7, "discard": 8,
             "expire": 9}
    todo = []
    for path, method, operation in operations(api):
        actions = [resolved(api, p)["schema"]["enum"] for p in operation.get("parameters", [])
                   if resolved(api, p)["name"] == "action"]
        for action in (actions[0] if actions else [None]):
            todo.append((order.get(action, 0), path, method, operation, action))
    assert len(todo) > 15
    for _, path, method, operation, action in sorted(todo, key=lambda each: each[0]):
        body = {"ids": [relay.message_id]} if "requestBody" in operation else None
        if action == "redirect":
            body["connector"] = "out"
        asked = path + "?samples=1" if path.endswith("/stream") else path  # which has no end otherwise
        status, answer = ask(relay, asked, method, body=body, values={"action": action})
        assert status == 200, f"{method} {path} {action}: {status} {answer}"
        kind, schema = schema_of(api, operation, 200)
        if kind == "application/json":
            must_fit(api, schema, answer)
        else:
            assert isinstance(answer, str) and answer
        if body:
            must_fit(api, {"$ref": "#/components/schemas/Choice"}, body)


def test_parameters_are_taken_and_others_are_not(api, relay_with_mail):
    relay = relay_with_mail
    examples = {"destination": relay.destination, "sender": "a@here.test", "recipient": "b@there.test",
                "state": "deferred", "older_than": "1s", "limit": "5", "cursor": None, "younger_than": "1d",
                "sender_domain": "here.test", "received_by": "apps", "larger_than": "1", "smaller_than": "1MiB",
                "attempts": "1", "mx": "*.test", "reply": "later", "sort": "hurt", "match": "127", "any": "b@there.test",
                "message_id": "x@here.test", "since": "1d", "until": "1s", "samples": "1"}
    for path, method, operation in operations(api):
        for parameter in map(lambda p: resolved(api, p), operation.get("parameters", [])):
            value = examples.get(parameter["name"])
            if parameter["in"] == "query" and value:
                assert relay.api("GET", f"{path}?{parameter['name']}={value}")[0] == 200, parameter["name"]
    for path in ("/api/v1/queues", "/api/v1/messages"):
        status, answer = relay.api("GET", path + "?nonsense=1")
        assert status == 400
        must_fit(api, schema_of(api, api["paths"][path]["get"], 400)[1], answer)


def test_errors_are_as_described(api, relay_with_mail):
    relay = relay_with_mail
    paths = api["paths"]
    cases = [("GET", "/api/v1/queues/nobody.test", paths["/api/v1/queues/{destination}"]["get"], 404, None),
             ("GET", "/api/v1/messages/nonsense", paths["/api/v1/messages/{id}"]["get"], 404, None),
             ("GET", "/api/v1/messages/nonsense/content", paths["/api/v1/messages/{id}/content"]["get"], 404, None),
             ("POST", "/api/v1/messages/bounce", paths["/api/v1/messages/{action}"]["post"], 400, {})]
    for method, path, operation, expected, body in cases:
        status, answer = relay.api(method, path, body=body)
        assert status == expected, (path, status, answer)
        must_fit(api, schema_of(api, operation, expected)[1], answer)
