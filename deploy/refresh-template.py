#!/usr/bin/env python3
"""Updates the tables, the data collection rule and the functions in azuredeploy.json to those that a build prints.

    deploy/refresh-template.py target/release/mdatp-forward

Run it after a change of the columns: the tests compare the two.
"""

import json
import pathlib
import subprocess
import sys

TEMPLATE = pathlib.Path(__file__).with_name("azuredeploy.json")
WIDTH = 112
PARAMETERS = "// Parameters: "


def printed(*arguments):
    command = [sys.argv[1], "schema", "--log-name", "MDATPAlerts", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def functions():
    """Yields name, parameters (or None) and query of each function, which begins with a line `// Function: NAME`."""
    for part in (printed("--format", "kql") + printed("--format", "asim")).split("// Function: ")[1:]:
        name, query = part.split("\n", 1)
        parameters = None
        if query.startswith(PARAMETERS):
            parameters, query = query.removeprefix(PARAMETERS).split("\n", 1)
        yield name.strip(), parameters, query.strip() + "\n"


def text(value, indent=0):
    """Returns JSON in which short, flat values are on one line."""
    line = json.dumps(value, ensure_ascii=False)
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    flat = not any(isinstance(child, (dict, list)) and child for child in children)
    if not children or (flat and len(value) < 4 and indent + len(line) <= WIDTH):
        return line
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        lines = [f"{pad}{json.dumps(key)}: {text(child, indent + 2)}" for key, child in value.items()]
        opening, closing = "{", "}"
    else:
        lines = [pad + text(child, indent + 2) for child in value]
        opening, closing = "[", "]"
    return opening + "\n" + ",\n".join(lines) + "\n" + " " * indent + closing


def ordered(column):
    return {key: column[key] for key in ("name", "type", "description") if key in column}


template = json.loads(TEMPLATE.read_text())
by_comment = {resource["comments"]: resource for resource in template["resources"]}

for comment, arguments in (("table", []), ("health table", ["--health"])):
    table = json.loads(printed("--format", "table", *arguments))["properties"]
    table["schema"]["columns"] = [ordered(column) for column in table["schema"]["columns"]]
    # The retention of the table is set by parameters of the template, and kept.
    by_comment[comment]["properties"] |= table

rule = json.loads(printed("--format", "dcr", "--health", "--location", "[parameters('location')]"))["properties"]
for stream in rule["streamDeclarations"].values():
    stream["columns"] = [ordered(column) for column in stream["columns"]]
by_comment["rule"]["properties"] = rule

for name, parameters, query in functions():
    properties = by_comment[f"function {name}"]["properties"]
    properties["query"] = query
    if parameters is not None:
        properties["functionParameters"] = parameters

TEMPLATE.write_text(text(template) + "\n")
