"""A configuration in Python's words, written as TOML."""


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    return "[" + ", ".join(_value(v) for v in value) + "]"


def to_toml(config):
    """`config` maps keys to values, tables (dict) or arrays of tables (list of dict)."""
    scalars, tables = [], []
    for key, value in config.items():
        if isinstance(value, dict):
            tables.append(f"[{key}]\n" + _lines(value))
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            tables.extend(f"[[{key}]]\n" + _lines(v) for v in value)
        else:
            scalars.append(f"{key} = {_value(value)}")
    return "\n".join(scalars) + "\n\n" + "\n".join(tables)


def _lines(table):
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())
