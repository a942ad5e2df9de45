"""The rules about scorers and judges."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cached_property, partial

from prompt_hub.core.slots import Slots
from prompt_hub.repository.contracts import schema_problems
from prompt_hub.repository.documents import Problem
from prompt_hub.repository.json_positions import Location
from prompt_hub.scoring.base import ComparedField, RuleContext
from prompt_hub.scoring.comparison import Leaf, lost, unread, without_unit
from prompt_hub.scoring.fields import at
from prompt_hub.scoring.registry import sort_scorers
from prompt_hub.scoring.scorers.judge import contract_complaints
from prompt_hub.scoring.tally import MANY
from prompt_hub.validation.rules.base import Rule, task_rule
from prompt_hub.validation.tree import TaskFiles


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
    metadata = files.metadata.content
    context = RuleContext(
        prompt=prompt, root=files.prompts.parent, has_judge=metadata.judge is not None
    )
    for index, scorer in enumerate(metadata.scorers):
        for location, found, expected in scorer.complaints(context):
            yield files.metadata.problem(("scorers", index, *location), found, expected)
    kinds = sort_scorers(metadata.scorers)
    if not kinds.pure and not kinds.judges:
        expected = "another scorer, which says whether an attacked answer is still right"
        yield files.metadata.problem(("scorers",), "injection scorers only", expected)


@task_rule("judge")
def _judge_fits(files: TaskFiles) -> Iterator[Problem]:
    """A judge is a released version of another task; it grades input, expected and answer.

    Promote the judge's task first, then name its task and version under `judge`.
    """
    settings = files.metadata.content.judge if files.metadata else None
    if files.metadata is None or settings is None:
        return
    if not sort_scorers(files.metadata.content.scorers).judges:
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
    for found, expected in contract_complaints(files.judge.content):
        yield files.metadata.problem(("judge",), found, expected)


@task_rule("lost-difference", "warning")
def _differences_count(files: TaskFiles) -> Iterator[Problem]:
    """No two expected values of a field differ only by what its comparison throws away.

    Compare values with units as `quantity`, keep case with `case: keep`, or state what is meant
    (`case: fold`); if both values are the same, spell them alike.
    """
    for location, field, values in _compared(files):
        how = field.how
        known, seen = _FirstOfEach(), set[str]()
        for line, text in values():
            if not isinstance(text, str) or text in seen:
                continue
            if len(seen) < MANY:
                seen.add(text)
            kept = lost(how, text)
            if kept is None:
                break
            same = how.canonical(text)
            if known.differs(same, kept):
                where, other = next(each for each in values() if how.canonical(each[1]) == same)
                found = (
                    f"{other!r} and {text!r} expected as {field.path} in lines {where} and {line}"
                    f" of the examples, which {how.compare} calls the same"
                )
                expected = "a comparison that tells them apart, or one spelling"
                yield _in_metadata(files, location, found, expected)
                break


class _FirstOfEach:
    """What is kept of the first of all texts that count as the same; of very many a hash."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, str] = {}

    @cached_property
    def _hashes(self) -> Slots:
        return Slots()

    def differs(self, same: Hashable, kept: str) -> bool:
        """Whether something else was kept of the first text that counts as the same."""
        if len(self._kept) < MANY or same in self._kept:
            return self._kept.setdefault(same, kept) != kept
        number = 1 + hash(kept) % 2**52
        first = self._hashes[hash(same)]
        if not first:
            self._hashes[hash(same)] = number
        return first not in (0, number)


@task_rule("unread-quantity", "warning")
def _quantities_are_read(files: TaskFiles) -> Iterator[Problem]:
    """Every expected value of a field that is compared as a quantity is one.

    Spell it as docs/scorers.md says, declare `unit` or `decimal`, or leave out what is no value;
    what is no quantity is compared as text.
    """
    for location, field, values in _compared(files):
        if field.how.compare != "quantity":
            continue
        units: dict[bool, Leaf] = {}
        for line, value in values():
            if reason := unread(field.how, value):
                found = f"{value!r} expected in line {line} of the examples: {reason}"
                yield _in_metadata(files, location, found, "a quantity, or another comparison")
                break
            has_unit = not without_unit(field.how, value)
            units.setdefault(has_unit, value)
        if len(units) > 1:
            found = f"{units[True]!r} with a unit and {units[False]!r} without one expected"
            yield _in_metadata(files, location, found, "`unit`, or a unit in every value")


def _compared(
    files: TaskFiles,
) -> Iterator[tuple[Location, ComparedField, Callable[[], Iterator[tuple[int, Leaf]]]]]:
    """Yield the fields that scorers name, where, and what yields the values expected in them."""
    if files.metadata is None:
        return
    for index, scorer in enumerate(files.metadata.content.scorers):
        for field in scorer.compared(files.expected_names):
            path = field.path.split(".")
            yield ("scorers", index, *field.location), field, partial(_expected, files, path)


def _expected(files: TaskFiles, path: Sequence[str]) -> Iterator[tuple[int, Leaf]]:
    """Yield the texts and numbers that are expected in a field, each with its line."""
    # Most paths are one name.
    name = path[0] if len(path) == 1 else None
    for line, example in files.examples:
        value = at(example.expected, path) if name is None else example.expected.get(name)
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, str | int | float) and not isinstance(item, bool):
                yield line, item


def _in_metadata(files: TaskFiles, location: Location, found: str, expected: str) -> Problem:
    assert files.metadata is not None
    return files.metadata.problem(location, found, expected)


TASK_RULES: tuple[Rule[TaskFiles], ...] = (
    _scorers_fit,
    _judge_fits,
    _differences_count,
    _quantities_are_read,
)
