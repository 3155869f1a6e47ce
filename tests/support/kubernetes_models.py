"""Is a manifest one that Kubernetes would take? Held against the models of the official Python client (made of the
API's own description): no unknown field, no missing one, every value of its type. What only the API server knows
(defaults, admission, names that exist) is not asked."""
import re

import kubernetes.client as api

_PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}


def _check(kind, value, where):
    """Mistakes of a value of the model type `kind`, which is spelled as the client spells it."""
    if kind.startswith("list["):
        if not isinstance(value, list):
            return [f"{where}: not a list"]
        return [m for n, item in enumerate(value) for m in _check(kind[5:-1], item, f"{where}[{n}]")]
    if kind.startswith("dict("):
        inner = re.match(r"dict\(str, (.*)\)", kind)[1]
        if not isinstance(value, dict):
            return [f"{where}: not a table"]
        return [m for key, item in value.items() for m in _check(inner, item, f"{where}.{key}")]
    if kind in _PLAIN:
        wrong = not isinstance(value, _PLAIN[kind]) or (kind == "int" and isinstance(value, bool))
        return [f"{where}: {value!r} is no {kind}"] if wrong else []
    model = getattr(api, kind, None)
    if model is None:  # dates and the like
        return []
    return check_model(model, value, where)


def check_model(model, value, where):
    if not isinstance(value, dict):
        return [f"{where}: not a table"]
    fields = {spelling: name for name, spelling in model.attribute_map.items()}
    mistakes = [f"{where}: {key} is unknown" for key in value if key not in fields]
    arguments = {}
    for key, item in value.items():
        if key not in fields:
            continue
        kind = model.openapi_types[fields[key]]
        if key in ("port", "targetPort") and kind == "object":  # a number or a name
            kind = "int" if isinstance(item, int) else "str"
        mistakes += _check(kind, item, f"{where}.{key}")
        arguments[fields[key]] = item
    try:
        model(**arguments)  # says what is missing
    except ValueError as error:
        mistakes.append(f"{where}: {error}")
    return mistakes


def mistakes_in(manifest):
    group, _, version = manifest["apiVersion"].rpartition("/")
    name = version.capitalize() + manifest["kind"]
    model = getattr(api, name, None)
    if model is None:
        return [f"{manifest['apiVersion']} {manifest['kind']}: not known"]
    return check_model(model, manifest, manifest["kind"])
