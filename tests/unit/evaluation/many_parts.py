"""A task with as many examples as a test needs."""

from __future__ import annotations

import json

from tests.unit.building import RepositoryFolder


def with_many_parts(
    folder: RepositoryFolder,
    examples: int,
    *,
    first_look: int,
    wrong: int = 0,
    champion: bool = False,
) -> RepositoryFolder:
    """Let `part-class` have so many examples, of which `wrong` expect what nobody answers."""
    path = "prompts/01-examples/part-class.jsonl"
    lines = [json.loads(line) for line in folder.read(path).splitlines()]
    shots = [json.dumps(line) for line in lines if line.get("split") == "shot"]
    scored = [
        json.dumps(
            {
                "id": f"part-{number}",
                "input": {"part_number": f"P{number}", "title": "Resistor"},
                "expected": {"part_class": "transistor" if number < wrong else "resistor"},
            }
        )
        for number in range(examples)
    ]
    folder.write(path, "\n".join([*shots, *scored]) + "\n")
    production = folder.path("prompts/02-production/part-class.yaml")
    if not champion:
        production.unlink(missing_ok=True)
    metadata = folder.read("prompts/03-metadata/part-class.yaml")
    gate, _, rest = metadata.partition("gate: {")
    rest = rest.removeprefix(rest.partition("first_look: ")[1] and rest.split(", ", 1)[0] + ", ")
    metadata = f"{gate}gate: {{first_look: {first_look}, {rest}"
    folder.write("prompts/03-metadata/part-class.yaml", metadata)
    return folder
