"""The rules about scorers and judges."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from prompt_hub.errors import PromptHubError
from prompt_hub.prompts import models
from prompt_hub.prompts.documents import Location, Problem
from prompt_hub.prompts.models import Comparison, Prompt, Scorer
from prompt_hub.validate.schemas import (
    may_be,
    properties,
    required,
    schema_at,
    schema_problems,
)
from prompt_hub.validate.tree import TaskFiles

Complaint = tuple[Location, str, str]
"""Location below the scorer, what was found, what is expected."""


def scorers_fit(files: TaskFiles) -> Iterator[Problem]:
    """Every scorer looks at properties that the prompt has, in a way that suits their type."""
    if not (files.metadata and files.candidate):
        return
    scorers = files.metadata.content.scorers
    for index, scorer in enumerate(scorers):
        for location, found, expected in _complaints(scorer, files, files.candidate.content):
            yield files.metadata.problem(("scorers", index, *location), found, expected)
    if all(scorer.type == "injection" for scorer in scorers):
        expected = "another scorer, which says whether an attacked answer is still right"
        yield files.metadata.problem(("scorers",), "injection scorers only", expected)


def _complaints(scorer: Scorer, files: TaskFiles, prompt: Prompt) -> Iterator[Complaint]:
    match scorer:
        case models.ExactScorer():
            if scorer.field is not None:
                yield from _field(prompt, scorer.field, ("field",))
        case models.TextScorer():
            yield from _field(prompt, scorer.field, ("field",), "string")
        case models.NumberScorer():
            yield from _field(prompt, scorer.field, ("field",), "number", "integer")
        case models.SetScorer():
            yield from _field(prompt, scorer.field, ("field",), *_compared(scorer), lists="set")
        case models.FieldsScorer():
            for name, rule in (scorer.fields or {}).items():
                yield from _field(prompt, name, ("fields", name), *_compared(rule), lists=rule.list)
        case models.RegexScorer():
            yield from _field(prompt, scorer.field, ("field",), "string")
            yield from _pattern(scorer)
        case models.SchemaScorer():
            for location, found, expected in schema_problems(scorer.schema_ or prompt.output):
                # The output's own schema is looked at by the rule `schema`.
                if scorer.schema_ is not None:
                    yield ("schema", *location), found, expected
        case models.InjectionScorer():
            yield from _attacked(scorer, prompt)
        case models.PythonScorer():
            yield from _entry(scorer, files)
        case models.JudgeScorer():
            if files.metadata and files.metadata.content.judge is None:
                expected = "judge: {task: ..., version: ...} in the metadata"
                yield (), "a judge that nobody named", expected


def _compared(how: Comparison) -> tuple[str, ...]:
    """Types that a comparison can be right about; every type where there are none."""
    if how.compare == "number":
        return ("number", "integer")
    return ("string",) if how.similarity is not None else ()


def _field(
    prompt: Prompt, name: str, location: Location, *types: str, lists: str = ""
) -> Iterator[Complaint]:
    path = name.split(".")
    schema = schema_at(prompt.output, path)
    if schema is None:
        outputs = properties(prompt.output)
        yield (
            location,
            repr(name),
            f"a property of the output: {', '.join(outputs) or 'it has none'}",
        )
        return
    if lists:
        is_list = may_be(schema, "array") or _through_a_list(prompt, path)
        if lists == "set" and not is_list:
            yield location, f"{name!r}, which is no list in the output", "a list, or no set"
            return
        if may_be(schema, "array") and isinstance(schema, dict):
            schema = schema.get("items", {}) if schema.get("type") else {}
    if types and not may_be(schema, *types):
        kind = "text" if types == ("string",) else "number"
        yield location, f"{name!r}, which is no {kind} in the output", " or ".join(types)


def _through_a_list(prompt: Prompt, path: list[str]) -> bool:
    return any(may_be(schema_at(prompt.output, path[:end]), "array") for end in range(1, len(path)))


def _pattern(scorer: models.RegexScorer) -> Iterator[Complaint]:
    from prompt_hub.evaluate.scorers.patterns import matcher

    try:
        matcher(scorer.pattern)
    except ValueError as error:
        yield ("pattern",), f"{scorer.pattern!r}: {error}", "a pattern in RE2's syntax"


def _attacked(scorer: models.InjectionScorer, prompt: Prompt) -> Iterator[Complaint]:
    inputs = properties(prompt.input)
    for index, name in enumerate(scorer.fields):
        location = ("fields", index)
        if name not in inputs:
            known = f"a property of the input: {', '.join(inputs) or 'it has none'}"
            yield location, repr(name), known
        elif not may_be(inputs[name], "string"):
            yield location, f"{name!r}, which is no text in the input", "a string"


def _entry(scorer: models.PythonScorer, files: TaskFiles) -> Iterator[Complaint]:
    from prompt_hub.evaluate.scorers.own import find

    function = scorer.entry.partition(":")[2]
    try:
        path = find(scorer.entry, files.prompts.parent)
        # Read and never run: validation must be safe on anybody's change.
        tree = ast.parse(path.read_bytes(), str(path))
    except PromptHubError as error:
        yield (
            ("entry",),
            error.message.rstrip("."),
            "a module of this repository or an installed one",
        )
        return
    except (SyntaxError, ValueError, RecursionError) as error:
        yield ("entry",), f"a module that does not parse ({error})", "Python"
        return
    if function not in set(_defined(tree)):
        expected = f"def {function}(output, expected, input) in it"
        yield ("entry",), f"{path.name}, which has no {function!r}", expected


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module defines at its top, as far as they can be read off."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (one.id for one in node.targets if isinstance(one, ast.Name))
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from (one.asname or one.name for one in node.names)


def judge_fits(files: TaskFiles) -> Iterator[Problem]:
    """A judge is a released version of another task; it grades input, expected and answer."""
    settings = files.metadata.content.judge if files.metadata else None
    if files.metadata is None or settings is None:
        return
    if all(scorer.type != "judge" for scorer in files.metadata.content.scorers):
        found, expected = "a judge without a scorer of type 'judge'", "such a scorer, or no judge"
        yield files.metadata.problem(("judge",), found, expected)
    if settings.task == files.task:
        yield files.metadata.problem(("judge", "task"), "the task itself", "the task of a judge")
        return
    name = f"{settings.task} {settings.version}"
    if files.judge is None:
        found = f"{name}, which is neither in 02-production nor in 99-archive"
        expected = "a released version of a judge's task"
        yield files.metadata.problem(("judge", "version"), found, expected)
        return
    yield from _keeps_the_contract(files, name, files.judge.content)


def _keeps_the_contract(files: TaskFiles, name: str, judge: Prompt) -> Iterator[Problem]:
    from prompt_hub.evaluate.judge import INPUTS, grade_bounds

    assert files.metadata is not None
    other = sorted(required(judge.input) - set(INPUTS))
    if other:
        found = f"{name}, which needs the input {', '.join(other)}"
        yield files.metadata.problem(("judge",), found, f"no more than {', '.join(INPUTS)}")
    if grade_bounds(judge.output) is None:
        found = f"{name}, which answers no integer 'grade' with minimum and maximum"
        yield files.metadata.problem(("judge",), found, "such a grade")
