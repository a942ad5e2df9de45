"""Repairs to be shown: lines before and after, and what the run was."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import JsonValue

from prompt_hub.batch.changes import ChangeTally
from prompt_hub.batch.run_manifest import RepairOf, RunFile, RunManifest, Spent, VersionCount
from prompt_hub.reporting.repair_page import RepairView

AT = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
SHA256 = "0123456789abcdef" * 4
CLASSES = ("diode", "capacitor", "transistor", "connector", "inductor")


def line(number: int, title: str, part_class: JsonValue) -> dict[str, JsonValue]:
    """A line of an output; without a class it says an error."""
    return {
        "record": number,
        "input": {"part_number": f"P-{number}", "title": title},
        "output": None if part_class is None else {"part_class": part_class, "mount": "smd"},
        "error": f"line {number + 1}: the answer is empty" if part_class is None else None,
    }


def tally(records: int, title: str = "Schottky diode 30 V") -> ChangeTally:
    """Every second record was a resistor and is something else; the tenth had an error."""
    found = ChangeTally()
    for number in range(1, records + 1):
        new = CLASSES[number // 2 % len(CLASSES)] if number % 2 == 0 else "resistor"
        old = None if number == 10 else "resistor"
        found.add(line(number, title, old), line(number, title, new))
    return found


def view(changes: ChangeTally, reason: str = "1.1.0 is quarantined: its score fell") -> RepairView:
    """What the page of a repair is made of."""
    count = VersionCount(
        version="1.0.0", sha256=SHA256, release=None, model="openai:small", records=changes.records
    )
    spent = Spent(
        calls=changes.records, input_tokens=12_000, output_tokens=700, usd=0.25, seconds=9.0
    )
    manifest = RunManifest(
        schema_="prompt-hub/run-manifest@1",
        run="fedcba98" * 8,
        task="part-class",
        stage="dev",
        versions="pin",
        source=RunFile(uri="s3://bucket/runs/part-class/1/output.jsonl", sha256=SHA256, bytes=1),
        outputs=(),
        records=changes.records + 7,
        answered=changes.records + 7,
        failed=0,
        blank=0,
        errors={},
        answered_by=(count,),
        spent=spent,
        forecast=spent,
        shards=1,
        read_as=(),
        started=AT,
        ended=AT,
        repair_of=RepairOf(run="76543210" * 8, version="1.1.0", reason=reason),
    )
    return RepairView(manifest, changes, count, "changes.jsonl")
