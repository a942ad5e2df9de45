"""Plain Jinja2: every message a template, compiled once; no contract, no limits, no ledger."""

from __future__ import annotations

import json
import sys

from jinja2 import Environment, StrictUndefined

from benchmarks.loader.timing import Record, measure


def main() -> None:
    """Measure the templates and the records that standard input names."""
    asked = json.load(sys.stdin)
    environment = Environment(undefined=StrictUndefined, autoescape=False)
    templates = [
        (message["role"], environment.from_string(message["template"]), message["fields"])
        for message in asked["templates"]
    ]

    def render(record: Record) -> list[dict[str, str]]:
        return [
            {"role": role, "content": template.render(record if fields is None else fields)}
            for role, template, fields in templates
        ]

    assert render(asked["records"][0]) == asked["messages"], "all must make the same messages"
    print(measure(render, asked["records"]))


if __name__ == "__main__":
    main()
