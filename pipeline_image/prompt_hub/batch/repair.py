"""Records that a bad version answered, made again: which they are, what that costs, what comes out.

A repair reads nothing but the output of a run: each line has the fields that were asked about, and
the version that answered. What other versions answered stays as it is, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import BinaryIO, cast

from pydantic import JsonValue

from prompt_hub.batch.backends import VersionInfo
from prompt_hub.batch.changes import ChangeTally
from prompt_hub.batch.forecast import Forecast
from prompt_hub.batch.journal import Journal
from prompt_hub.batch.mapping import RecordError
from prompt_hub.batch.objects import Objects
from prompt_hub.batch.output_lines import Line, parse_line, usage_from_json, was_refused
from prompt_hub.batch.readers import Record
from prompt_hub.batch.run_manifest import RunManifest, Spent, read_manifest, runs_of
from prompt_hub.batch.runner import RecordMapper
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.hashing import sha256_of
from prompt_hub.core.json_log import json_line
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.schema_support import types_of
from prompt_hub.repository.contracts import properties, resolve, schema_problem, worst_violation
from prompt_hub.repository.rendering import Renderer, RenderError
from prompt_hub.repository.schema import JsonObject, Prompt

ANSWERS = "answers.jsonl"
"""Name in the folder of a repair of the lines that are made again."""
SAMPLES = 200
"""Records whose questions are measured before the first call."""
_PLACE = re.compile(r"(?:line (\d+)|record \d+): (.*)", re.DOTALL)


Written = tuple[str, str]
"""A run, and the hash of what it has written: on a machine it may write the same output anew."""


def repair_name(run: RunManifest, bad: str, by: VersionInfo) -> str:
    """Return the name of the run that repairs the output of `run`: the same repair has the same."""
    return sha256_of({**_repair(run, bad, by), "output": run.json_lines.sha256})


def earlier_name(run: RunManifest, bad: str, by: VersionInfo) -> str:
    """Return the name that a repair had when it was that of a run, whatever this has written."""
    return sha256_of(_repair(run, bad, by))


def _repair(run: RunManifest, bad: str, by: VersionInfo) -> JsonObject:
    return {"repair": run.run, "version": bad, "by": by.sha256, "model": by.model}


def repair_folder(
    objects: Objects, work: Path, run: RunManifest, bad: str, by: VersionInfo
) -> Path:
    """Return where below `work` a repair is made, called as the run that it will be.

    One that was begun under its earlier name goes on there: its answers are paid for.
    """
    earlier = work / earlier_name(run, bad, by)
    if read_manifest(objects, run.task, earlier.name) is None:
        # What is older was answered for an output that this one has taken the place of.
        answered = (path.stat().st_mtime for path in earlier.glob(f"{ANSWERS}*"))
        begun = any(moment >= run.ended.timestamp() for moment in answered)
        stored = objects.keys(aws_names.run_key(run.task, earlier.name, "part/"))
        if begun or any(stored):
            return earlier
    return work / repair_name(run, bad, by)


def find_repair(
    objects: Objects, run: RunManifest, bad: str, by: VersionInfo
) -> RunManifest | None:
    """Return the repair by the model of `by` of what `run` has written; None if there is none."""
    for name in (repair_name(run, bad, by), earlier_name(run, bad, by)):
        done = read_manifest(objects, run.task, name)
        if done is not None and done.source.sha256 == run.json_lines.sha256:
            return done
    return None


def finished_repairs(
    objects: Objects, task: str, bad: str, by: VersionInfo
) -> dict[Written, RunManifest]:
    """Return the repairs of what `bad` answered that version `by` has made, by what is repaired."""
    return {
        (repair.run, manifest.source.sha256): manifest
        for manifest in runs_of(objects, task, by.version)
        if (repair := manifest.repair_of) is not None and repair.version == bad
        if by.sha256 in {count.sha256 for count in manifest.answered_by}
        # The index is written before it: a repair that was killed in between goes on.
        if read_manifest(objects, task, manifest.run) is not None
    }


def open_repairs(objects: Objects, task: str, bad: str, by: VersionInfo) -> list[RunManifest]:
    """Return the runs whose records of `bad` were not made again with version `by` yet.

    A run that a repair of another version has taken the place of is left out: the repair is there.
    """
    answered = runs_of(objects, task, bad)
    done = finished_repairs(objects, task, bad, by).keys()
    replaced = {(each.repair_of.run, each.source.sha256) for each in answered if each.repair_of}
    return [each for each in answered if (each.run, each.json_lines.sha256) not in done | replaced]


# --- The lines of an output ----------------------------------------------------------------------


def read_lines(path: Path) -> Iterator[tuple[bytes, Line]]:
    """Yield each line of an output as it stands and as it reads; raises `PromptHubError`."""
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            try:
                line = parse_line(raw)
            except ValueError as error:
                line = str(error)
            match line:
                case {"record": int(), "input": dict(), "error": str() | None, "version": str()}:
                    yield raw, cast(Line, line)
                case _:
                    raise PromptHubError(
                        f"{path}:{number} is no line of a run's output.",
                        exit_code=ExitCode.BLOCKED,
                    )


class LineReader(RecordMapper):
    """Takes the fields of a record from the line that a run has written of it."""

    def __init__(self, contract: JsonObject) -> None:
        super().__init__({}, contract)
        self._contract = contract

    def fields(self, record: Record) -> JsonObject:
        """Fields that fit the input schema; raises `RecordError`."""
        if record.problem is not None:
            raise RecordError(record.problem)
        # The bad version may have taken more, and contracts are closed: a run leaves it out, too.
        known = properties(self._contract)
        given = zip(record.columns, record.values, strict=True)
        fields = {name: value for name, value in given if not known or name in known}
        problem = schema_problem(fields, self._contract)
        if problem is not None:
            raise RecordError(problem)
        if record.columns and not fields:
            raise RecordError("none of its fields has a value")
        return fields


def to_record(line: Line) -> Record:
    """Return the record of a line; one that was never asked about has its problem still."""
    number, fields, error = line["record"], _fields(line), line["error"]
    assert isinstance(number, int)
    found = _PLACE.fullmatch(str(error)) if error is not None else None
    place, reason = found.groups() if found else (None, error)
    return Record(
        number=number,
        line=int(place or 0),
        columns=tuple(fields),
        values=tuple(fields.values()),
        problem=str(reason) if was_refused(line) else None,
    )


def records_of(path: Path, version: str) -> Iterator[Record]:
    """Yield the records that `version` answered, in the order of the output at `path`."""
    return (to_record(line) for _, line in read_lines(path) if line["version"] == version)


# --- What it will cost ---------------------------------------------------------------------------


@dataclass
class RepairSurvey:
    """What a repair of an output has to do."""

    lines: int = 0
    """Lines of the whole output."""
    again: int = 0
    """Lines that are made again."""
    calls: int = 0
    """Of these, how many a model is asked about."""
    measured: int = 0
    """Of these, how many say what their call took then."""
    input_tokens: int = 0
    output_tokens: int = 0
    samples: list[JsonObject] = field(default_factory=list)
    """Some of the fields that a model is asked about, from everywhere in the file."""


def survey_repair(path: Path, version: str) -> RepairSurvey:
    """Count what `version` answered in the output at `path`."""
    found, step = RepairSurvey(), 1
    for _, line in read_lines(path):
        found.lines += 1
        if line["version"] != version:
            continue
        found.again += 1
        if was_refused(line):
            continue
        if found.calls % step == 0:
            found.samples.append(_fields(line))
        found.calls += 1
        if len(found.samples) == 2 * SAMPLES:
            # Every second one is enough from here on: they stay spread over all that was read.
            found.samples, step = found.samples[::2], 2 * step
        if (usage := usage_from_json(line.get("usage"))) is not None:
            found.measured += 1
            found.input_tokens += usage.input_tokens
            found.output_tokens += usage.output_tokens
    return found


def foresee(
    found: RepairSurvey,
    run: RunManifest,
    bad: Prompt | None,
    by: Prompt,
    *,
    on: ModelConfig,
    by_evaluation: Callable[[], Forecast],
) -> Spent:
    """Return what a repair will come to, by what the same records have come to before.

    Answers are taken to be as long as those were; questions are longer or shorter by as much as the
    two prompts are. Where the run has measured nothing, the evaluation of `by` says it.

    Args:
        found: what is to be asked.
        run: the run that has asked before.
        bad: the prompt that answered then; None where the repository has it no longer.
        by: the prompt that will answer.
        on: the model that it asks here.
        by_evaluation: makes what knows what calls of `by` take, for which it reads all examples.
    """
    if not found.measured:
        forecast = by_evaluation()
        for fields in found.samples:
            forecast.add(fields)
        evaluated = forecast.spent()
        share = found.calls / max(1, evaluated.calls)
        tokens_in, tokens_out = share * evaluated.input_tokens, share * evaluated.output_tokens
    else:
        share = found.calls / found.measured
        before = _characters(bad, found.samples) if bad is not None else None
        after = _characters(by, found.samples)
        longer = after / before if before and after else 1.0
        tokens_in, tokens_out = share * longer * found.input_tokens, share * found.output_tokens
    seconds = run.spent.seconds
    return Spent(
        calls=found.calls,
        input_tokens=round(tokens_in),
        output_tokens=round(tokens_out),
        usd=on.cost(round(tokens_in), round(tokens_out)),
        seconds=None if seconds is None else round(seconds * found.calls / max(1, run.records), 3),
    )


def made_before(answers: Path) -> int:
    """Return how many calls an interrupted repair has made whose lines `answers` will have.

    What another machine has stored of it is not counted: it is fetched when the repair goes on.
    """
    calls = 0
    path = answers if answers.exists() else Journal(answers, {}).path
    with suppress(FileNotFoundError), path.open("rb") as stream:
        for raw in stream:
            with suppress(ValueError):  # A line that is torn is asked for again.
                line = parse_line(raw)
                calls += isinstance(line, dict) and "record" in line and not was_refused(line)
    return calls


def left_of(expected: Spent, made: int) -> Spent:
    """Return what a repair will still come to of which so many calls are made."""
    calls = max(0, expected.calls - made)
    part = calls / max(1, expected.calls)
    return Spent(
        calls=calls,
        input_tokens=round(part * expected.input_tokens),
        output_tokens=round(part * expected.output_tokens),
        usd=None if expected.usd is None else part * expected.usd,
        seconds=None if expected.seconds is None else round(part * expected.seconds, 3),
    )


def _characters(prompt: Prompt, inputs: Sequence[JsonObject]) -> float | None:
    """Return the mean length of a prompt's messages; None where none can be rendered."""
    renderer, lengths = Renderer(prompt), []
    for fields in inputs:
        with suppress(RenderError):
            messages = renderer.render(fields)
            lengths.append(sum(len(message["content"]) for message in messages))
    return fmean(lengths) if lengths else None


def require_fields(found: RepairSurvey, bad: Prompt | None, by: Prompt, version: str) -> None:
    """Raise `PromptHubError` where an output may not have all that `by` would read in the source.

    Args:
        found: what is to be asked.
        bad: the prompt that answered then; None where the repository has it no longer.
        by: the prompt that will answer.
        version: the version of the prompt that answered then.
    """
    if names := _other_fields(found.samples, bad, by):
        raise PromptHubError(
            f"{by.task} {by.version} takes {', '.join(names)}, which {version} was not given, or"
            " was given as another type.",
            hint="Run the source again: its lines here do not have what it says.",
            exit_code=ExitCode.BLOCKED,
        )


def _other_fields(samples: Sequence[JsonObject], bad: Prompt | None, by: Prompt) -> list[str]:
    """Return the names of the fields that `by` takes and `bad` did not, or not as that type."""
    wanted = properties(by.input)
    if bad is not None:
        given = properties(bad.input)
        # Without declared properties a version takes whatever a record has.
        return [
            name
            for name, schema in wanted.items()
            if given and (name not in given or _are_other_types(schema, by, given[name], bad))
        ]
    closest = (
        worst_violation({name: value for name, value in fields.items() if name in wanted}, by.input)
        for fields in samples
        if wanted
    )
    broken = (each for each in closest if each and each.keyword in {"required", "type"})
    return sorted({str(name) for each in broken for name in each.names or each.location[:1]})


def _are_other_types(wanted: JsonValue, by: Prompt, given: JsonValue, bad: Prompt) -> bool:
    types, before = _types(wanted, by), _types(given, bad)
    # A schema that names no type takes what it is given.
    return bool(types and before and types != before)


def _types(schema: JsonValue, prompt: Prompt) -> set[str]:
    """Return the types as which a value is read; a number may be an integer."""
    found = resolve(schema, prompt.input)
    types = {*types_of(found)} if isinstance(found, dict) else set()
    return {"number" if each == "integer" else each for each in types - {"null"}}


# --- The corrected output ------------------------------------------------------------------------


def correct(old: Path, answers: Path, bad: str, output: BinaryIO, changes: BinaryIO) -> ChangeTally:
    """Write an output in which `answers` stand in the place of what the version `bad` answered.

    Args:
        old: the output of the run; its other lines are written as they are.
        answers: the lines that were made again, in the order of their records.
        bad: the version whose lines are left out.
        output: takes the corrected output.
        changes: takes a JSON line for each field that came out otherwise.
    """
    tally, again = ChangeTally(), read_lines(answers)
    for raw, line in read_lines(old):
        if line["version"] != bad:
            output.write(raw)
            continue
        new_raw, new = next(again)
        number = new["record"]
        if not isinstance(number, int) or number != line["record"]:
            raise AssertionError(f"{answers} has no line of record {line['record']}")
        for change in tally.add(line, new):
            changes.write(json_line(change.to_line(number)))
        output.write(new_raw)
    return tally


def _fields(line: Line) -> JsonObject:
    fields = line["input"]
    assert isinstance(fields, dict)
    return fields
