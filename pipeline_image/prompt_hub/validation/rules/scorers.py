"""The rules about scorers and judges."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.json_strict import MAX_DEPTH
from prompt_hub.repository import schema
from prompt_hub.repository.contracts import properties, required, resolve, schema_problems
from prompt_hub.repository.documents import Problem
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.schema import Comparison, JsonObject, Prompt, Scorer
from prompt_hub.validation.rules.base import Rule, task_rule
from prompt_hub.validation.tree import TaskFiles

Complaint = tuple[Location, str, str]
"""Location below the scorer, what was found, what is expected."""


@task_rule("scorers")
def _scorers_fit(files: TaskFiles) -> Iterator[Problem]:
    """Every scorer looks at properties that the prompt has, in a way that suits their type.

    Name a property of the candidate's output (of its input for an attack), or give the scorer
    another type; docs/scorers.md has the options of each.
    """
    if not (files.metadata and files.candidate):
        return
    prompt = files.candidate.content
    if schema_problems(prompt.input) or schema_problems(prompt.output):
        return  # said by `schema`
    scorers = files.metadata.content.scorers
    for index, scorer in enumerate(scorers):
        for location, found, expected in _complaints(scorer, files, prompt):
            yield files.metadata.problem(("scorers", index, *location), found, expected)
    if all(scorer.type == "injection" for scorer in scorers):
        expected = "another scorer, which says whether an attacked answer is still right"
        yield files.metadata.problem(("scorers",), "injection scorers only", expected)


def _complaints(scorer: Scorer, files: TaskFiles, prompt: Prompt) -> Iterator[Complaint]:
    match scorer:
        case schema.ExactScorer():
            if scorer.field is not None:
                yield from _field(prompt, scorer.field, ("field",))
        case schema.TextScorer():
            yield from _field(prompt, scorer.field, ("field",), "string")
        case schema.NumberScorer():
            yield from _field(prompt, scorer.field, ("field",), "number", "integer")
        case schema.SetScorer():
            yield from _field(prompt, scorer.field, ("field",), *_compared(scorer), lists="set")
        case schema.FieldsScorer():
            for name, rule in (scorer.fields or {}).items():
                yield from _field(prompt, name, ("fields", name), *_compared(rule), lists=rule.list)
        case schema.RegexScorer():
            yield from _field(prompt, scorer.field, ("field",), "string")
            yield from _pattern(scorer)
        case schema.SchemaScorer():
            # Without a schema of its own it is the output's, which the rule `schema` looks at.
            if scorer.schema_ is not None:
                for problem in schema_problems(scorer.schema_):
                    yield ("schema", *problem.location), problem.found, problem.expected
        case schema.InjectionScorer():
            yield from _attacked(scorer, prompt)
        case schema.PythonScorer():
            yield from _entry(scorer, files)
        case schema.JudgeScorer():
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
    schema = _schema_at(prompt.output, path)
    if schema is None:
        outputs = properties(prompt.output)
        known = f"a property of the output: {', '.join(outputs) or 'it has none'}"
        yield location, repr(name), known
        return
    if lists:
        is_list = _may_be(schema, "array") or _through_a_list(prompt, path)
        if lists == "set" and not is_list:
            yield location, f"{name!r}, which is no list in the output", "a list, or no set"
            return
        if _may_be(schema, "array") and isinstance(schema, dict):
            schema = schema.get("items", {}) if schema.get("type") else {}
    if types and not _may_be(schema, *types):
        kind = "text" if types == ("string",) else "number"
        yield location, f"{name!r}, which is no {kind} in the output", " or ".join(types)


def _through_a_list(prompt: Prompt, path: list[str]) -> bool:
    return any(
        _may_be(_schema_at(prompt.output, path[:end]), "array") for end in range(1, len(path))
    )


def _pattern(scorer: schema.RegexScorer) -> Iterator[Complaint]:
    from prompt_hub.scoring.patterns import matcher

    try:
        matcher(scorer.pattern)
    except ValueError as error:
        yield ("pattern",), f"{scorer.pattern!r}: {error}", "a pattern in RE2's syntax"


def _attacked(scorer: schema.InjectionScorer, prompt: Prompt) -> Iterator[Complaint]:
    inputs = properties(prompt.input)
    for index, name in enumerate(scorer.fields):
        location = ("fields", index)
        if name not in inputs:
            known = f"a property of the input: {', '.join(inputs) or 'it has none'}"
            yield location, repr(name), known
        elif not _may_be(inputs[name], "string"):
            yield location, f"{name!r}, which is no text in the input", "a string"


def _entry(scorer: schema.PythonScorer, files: TaskFiles) -> Iterator[Complaint]:
    from prompt_hub.scoring.function import find

    root = files.prompts.parent
    function = scorer.entry.partition(":")[2]
    try:
        path = find(scorer.entry, root)
        if not path.is_relative_to(root):
            return  # an installed package: what it defines shows when it is imported
        # Read and never run: validation must be safe on anybody's change.
        tree = ast.parse(path.read_bytes(), str(path))
    except PromptHubError as error:
        expected = "a module of this repository or an installed one"
        yield ("entry",), error.message.rstrip("."), expected
        return
    except (SyntaxError, ValueError, RecursionError) as error:
        yield ("entry",), f"a module that does not parse ({error})", "Python"
        return
    if function not in set(_defined(tree)):
        expected = f"def {function}(output, expected, input) in it"
        yield ("entry",), f"{path.name}, which has no {function!r}", expected


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module defines or imports, as far as they can be read off."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from (name.asname or name.name for name in node.names)


@task_rule("judge")
def _judge_fits(files: TaskFiles) -> Iterator[Problem]:
    """A judge is a released version of another task; it grades input, expected and answer.

    Promote the judge's task first, then name its task and version under `judge`.
    """
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
    from prompt_hub.evaluation.judge import INPUTS, grade_bounds

    assert files.metadata is not None
    other = sorted(required(judge.input) - set(INPUTS))
    if other:
        found = f"{name}, which needs the input {', '.join(other)}"
        yield files.metadata.problem(("judge",), found, f"no more than {', '.join(INPUTS)}")
    if grade_bounds(judge.output) is None:
        found = f"{name}, which answers no integer 'grade' with minimum and maximum"
        yield files.metadata.problem(("judge",), found, "such a grade")


# --- Schemas along a path -----------------------------------------------------------------------


def _schema_at(schema: JsonObject, path: Sequence[str]) -> JsonValue:
    """The schema of the value at `path`, through lists to their items; None where there is none.

    An empty schema where the schema does not say: it allows anything, or is put together of parts.
    """
    here: JsonValue = schema
    for step in path:
        here = _items(_resolved(here, schema), schema)
        if not isinstance(here, dict):
            return None
        if "properties" not in here and {"anyOf", "oneOf", "allOf", "$ref"} & here.keys():
            return {}
        declared = properties(here)
        if step not in declared:
            is_open = here.get("type", "object") == "object" and "properties" not in here
            return {} if is_open else None
        here = declared[step]
    return _resolved(here, schema)


def _items(schema: JsonValue, whole: JsonObject) -> JsonValue:
    for _ in range(MAX_DEPTH):
        if not (isinstance(schema, dict) and _may_be(schema, "array") and "items" in schema):
            return schema
        schema = _resolved(schema["items"], whole)
    return {}  # a list of itself, without end


def _resolved(schema: JsonValue, whole: JsonObject) -> JsonValue:
    found = resolve(schema, whole)
    return {} if found is None else found


def _may_be(schema: JsonValue, *types: str) -> bool:
    """Whether a value of the schema may be of one of `types`; so it may where it names none."""
    named = schema.get("type") if isinstance(schema, dict) else None
    if named is None:
        return True
    return bool(set(named if isinstance(named, list) else [named]) & set(types))


TASK_RULES: tuple[Rule[TaskFiles], ...] = (
    _scorers_fit,
    _judge_fits,
)
