"""Breaks of metadata."""

from __future__ import annotations

import json
from collections.abc import Callable

from prompt_hub.core.aws_names import DRILL_TASK
from tests.unit.building import RepositoryFolder
from tests.unit.validation.breaking import (
    CANDIDATE,
    EXAMPLES,
    METADATA,
    Case,
    Fine,
    append,
    delete,
    edit,
    first,
)


def _with_a_hidden_draft(folder: RepositoryFolder) -> None:
    """Misspell the candidate, most like a file that is nobody's."""
    folder.write("prompts/00-templates/.part.yaml", "")
    folder.edit(METADATA, "00-templates/part-class.yaml", "00-templates/part.yaml")


def _new_task(task: str) -> Callable[[RepositoryFolder], None]:
    """Copy a healthy task to another name."""

    def copy(folder: RepositoryFolder) -> None:
        for name in ("00-templates/{}.yaml", "03-metadata/{}.yaml", "01-examples/{}.jsonl"):
            text = folder.read(f"prompts/{name.format('brand')}")
            text = text.replace("task: brand", f"task: {task}")
            text = text.replace("/brand.yaml", f"/{task}.yaml")
            folder.write(f"prompts/{name.format(task)}", text)
        folder.stamp(task)

    return copy


def _repeats(margin: float, temperature: float) -> Callable[[RepositoryFolder], None]:
    """Let examples be asked three times, and state margin and temperature."""

    def state(folder: RepositoryFolder) -> None:
        folder.edit(METADATA, "margin: 0.5,", f"margin: {margin}, repeats: 3,")
        folder.edit(CANDIDATE, "temperature: 0,", f"temperature: {temperature},")

    return state


def _attacked(share: float, *, budget: int) -> Callable[[RepositoryFolder], None]:
    """Attack a share of the examples, and allow so many calls."""

    def attack(folder: RepositoryFolder) -> None:
        fields = "{type: json_fields, fields: {part_class: 1.0}}"
        scorer = f"{{type: injection, fields: [title], share: {share}}}"
        folder.edit(METADATA, fields, f"{fields}\n  - {scorer}")
        folder.edit(METADATA, "margin: 0.5,", f"margin: 0.5, budget: {{calls: {budget}}},")

    return attack


def _many_examples(count: int, margin: float = 0.5) -> Callable[[RepositoryFolder], None]:
    """Label so many examples more, and state a margin."""

    def label(folder: RepositoryFolder) -> None:
        first_line, *_ = folder.read(EXAMPLES).splitlines()
        example = {**json.loads(first_line), "split": "eval"}
        more = [json.dumps({**example, "id": f"more-{number}"}) for number in range(count)]
        folder.write(EXAMPLES, folder.read(EXAMPLES) + "\n".join(more) + "\n")
        folder.edit(METADATA, "margin: 0.5,", f"margin: {margin},")
        folder.stamp("part-class")

    return label


CASES = [
    Case(
        "live",
        delete("prompts/01-examples/brand.jsonl"),
        "prompts/01-examples/brand.jsonl",
        "no examples, though 02-production, 03-metadata has 'brand'",
    ),
    Case(
        "live",
        delete("prompts/03-metadata/brand.yaml"),
        "prompts/03-metadata/brand.yaml",
        "no metadata",
    ),
    Case(
        "metadata-task", edit(METADATA, "task: part-class", "task: part"), METADATA, "found 'part'"
    ),
    Case(
        "candidate",
        edit(METADATA, "candidate: 00-templates/part-class.yaml", "candidate: ../app.py"),
        METADATA,
        "outside prompts/",
    ),
    Case(
        "candidate",
        edit(METADATA, "candidate: 00-templates/part-class.yaml", "candidate: 00-templates/x.yaml"),
        METADATA,
        "which does not exist",
        at=(7, 12),
    ),
    Case(
        "candidate",
        _with_a_hidden_draft,
        METADATA,
        "which does not exist (did you mean '00-templates/part-class.yaml'?)",
    ),
    Case(
        "candidate-task",
        edit(CANDIDATE, "task: part-class", "task: part"),
        CANDIDATE,
        "found 'part'; expected 'part-class'",
        at=(2, 7),
    ),
    Case(
        "candidate-lock",
        append(
            CANDIDATE,
            f"lock: {{sha256: {'a' * 64}, promoted_at: '2026-01-01T00:00:00Z',"
            " evaluation: e, commit: c}\n",
        ),
        CANDIDATE,
        "promotion writes it",
    ),
    Case(
        "candidate-version",
        edit(METADATA, "version: 1.2.0", "version: 1.3.0"),
        METADATA,
        "version: found 1.3.0; expected 1.2.0",
        at=(6, 10),
    ),
    Case(
        "up-to-date",
        edit(CANDIDATE, "title: {type: string}", "title: {type: string, maxLength: 200}"),
        METADATA,
        "prompt-hub validate --stamp part-class",
    ),
    Case(
        "reserved-task",
        _new_task(DRILL_TASK),
        "prompts/03-metadata/prompt-hub-drill.yaml",
        "another name: the product has such a task",
    ),
    Case(
        "score-watch",
        edit(METADATA, "datapoints_to_alarm: 1", "datapoints_to_alarm: 2"),
        METADATA,
        "at most evaluation_periods, 1",
    ),
    Case(
        "value",
        edit(METADATA, "evaluation_periods: 1", "evaluation_periods: 1000000"),
        METADATA,
        "1440",
    ),
    Case(
        "score-watch",
        edit(METADATA, "datapoints_to_alarm: 1", "calls_a_day: 5"),
        METADATA,
        "calls_a_day: found 5; expected at least 6, what one round takes",
    ),
    Case(
        "score-watch",
        edit(METADATA, "datapoints_to_alarm: 1", "part: 0.5, calls_a_day: 2"),
        METADATA,
        "calls_a_day: found 2; expected at least 3, what one round takes",
    ),
    Case(
        "score-watch",
        edit(
            METADATA,
            "{every_minutes: 15, datapoints_to_alarm: 1, evaluation_periods: 1}",
            "{every_minutes: 60, datapoints_to_alarm: 1, evaluation_periods: 169}",
        ),
        METADATA,
        "found 169 with a sample every 60 minutes; expected at most 168: CloudWatch looks back",
    ),
    Case(
        "records",
        edit(METADATA, "    title: [Description]", "    name: [Description]"),
        METADATA,
        "found 'name'; expected a property of the input",
    ),
    Case(
        "records",
        edit(METADATA, "title: [Description]", "title: [Description, part no]"),
        METADATA,
        "'part no', which 'part_number' claims too",
    ),
    Case(
        "candidate",
        edit(METADATA, "candidate: 00-templates/part-class.yaml", 'candidate: "a\\0.yaml"'),
        METADATA,
        "outside prompts/",
    ),
    Case(
        "candidate",
        edit(METADATA, "00-templates/part-class.yaml", "00-templates/part-clas.yaml"),
        METADATA,
        "(did you mean '00-templates/part-class.yaml'?)",
    ),
    Case(
        "live",
        lambda folder: (
            folder.path(METADATA).unlink(),
            folder.path(METADATA).mkdir(),
        ),
        METADATA,
        "no metadata",
    ),
]

FINE = [
    Fine("scorers", edit(METADATA, "type: json_fields, fields: {part_class: 1.0}", "type: exact")),
    Fine("live", delete("prompts/00-templates/never-existed.yaml", missing_ok=True)),
    Fine("metadata-task"),
    Fine("candidate"),
    Fine("candidate-task"),
    Fine("candidate-lock", append(CANDIDATE, "# lock: none yet\n")),
    Fine("candidate-version", lambda folder: folder.bump("part-class", "1.2.0", "2.0.0")),
    Fine("up-to-date", first(EXAMPLES, '"input": {', '"input":   {')),
    Fine("reserved-task", _new_task(f"{DRILL_TASK}s")),
    Fine("score-watch", edit(METADATA, "evaluation_periods: 1", "evaluation_periods: 3")),
    Fine("score-watch", edit(METADATA, "every_minutes: 15", "every_minutes: 1440")),
    Fine("score-watch", edit(METADATA, "datapoints_to_alarm: 1", "calls_a_day: 6")),
    Fine("score-watch", edit(METADATA, "datapoints_to_alarm: 1", "part: 0.5, calls_a_day: 3")),
    Fine("records", edit(METADATA, "[Description]", "[Description, description]")),
]
"""What comes close to a rule, and breaks none."""

CASES += [
    Case(
        "gate-margin",
        edit(METADATA, "margin: 0.5,", "margin: 0.3,"),
        METADATA,
        "gate.margin: found the margin 0.3; expected 0.319 or more, what 6 scored examples can",
        at=(11, 16),
    ),
    Case(
        "gate-margin",
        _repeats(0.32, 0.7),
        METADATA,
        "expected 0.394 or more, what 6 scored examples can show of equal answers before they are",
    ),
    Case(
        "gate-margin",
        edit("prompts/03-metadata/brand.yaml", "gate: {margin: 0.6}  # four", "# four"),
        "prompts/03-metadata/brand.yaml",
        "found the margin 0.05; expected 0.438 or more",
    ),
    Case(
        "gate-margin",
        _many_examples(70),
        METADATA,
        "found the margin 0.5; expected a narrower one: 0.12 at most; 0.03 is the least",
    ),
    Case(
        "gate-margin",
        _many_examples(24, 0.3),
        METADATA,
        "found the margin 0.3; expected a narrower one: 0.296 at most; 0.074 is the least",
    ),
    Case(
        "score-watch-budget",
        edit(METADATA, "margin: 0.5,", "margin: 0.5, budget: {calls: 5},"),
        METADATA,
        "gate.budget.calls: found 5; expected at least 6, what a round of the score watch may take",
    ),
    Case(
        "score-watch-budget",
        _attacked(0.5, budget=8),
        METADATA,
        "gate.budget.calls: found 8; expected at least 9, what a round of the score watch may take",
    ),
    # Two of the six are among the tenth that is attacked.
    Case(
        "score-watch-budget",
        _attacked(0.1, budget=7),
        METADATA,
        "gate.budget.calls: found 7; expected at least 8, what a round of the score watch may take",
    ),
    Case(
        "evaluation-time",
        edit(METADATA, "margin: 0.5,", "margin: 0.5, budget: {seconds: 129001},"),
        METADATA,
        "gate.budget.seconds: found 129001; expected at most 129,000",
    ),
]

FINE += [
    Fine("gate-margin", edit(METADATA, "margin: 0.5,", "margin: 0.32,")),
    Fine("gate-margin", _repeats(0.32, 0)),
    Fine("gate-margin", _repeats(0.4, 0.7)),
    Fine("gate-margin", _many_examples(8)),
    Fine("score-watch-budget", _attacked(0.5, budget=9)),
    Fine(
        "evaluation-time",
        edit(METADATA, "margin: 0.5,", "margin: 0.5, budget: {seconds: 129000},"),
    ),
    Fine("gate-margin", _many_examples(24, 0.296)),
]
