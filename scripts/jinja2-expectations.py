#!/usr/bin/env python3
"""Writes into tests/fixtures/render/jinja2.json what Jinja2 makes of each template there.

Needs Jinja2 3.1.6. A template that fails there has no result, only `"fails": true`.
"""

import json
import pathlib
import sys

import jinja2

FIXTURE = pathlib.Path(__file__).parent.parent / "tests/fixtures/render/jinja2.json"


def expectation(environment, template, variables):
    try:
        return {"template": template, "gives": environment.from_string(template).render(variables)}
    except Exception:  # any failure is a failed rendering
        return {"template": template, "fails": True}


def main():
    if jinja2.__version__ != "3.1.6":
        sys.exit(f"Jinja2 3.1.6 is the reference, this is {jinja2.__version__}")
    fixture = json.loads(FIXTURE.read_text())
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    fixture["cases"] = [
        expectation(environment, case["template"], fixture["variables"]) for case in fixture["cases"]
    ]
    FIXTURE.write_text(json.dumps(fixture, indent=1, ensure_ascii=False) + "\n")


main()
