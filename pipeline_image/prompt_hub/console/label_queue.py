"""What there is to grade: examples whose label is doubted, records, answers for a judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prompt_hub.authoring.labels import Labels, key_of, key_of_input
from prompt_hub.batch.mapping import RecordError
from prompt_hub.batch.reading import Reading
from prompt_hub.core.hashing import canonical
from prompt_hub.core.json_strict import strict_json
from prompt_hub.evaluation.judge import question
from prompt_hub.reporting.answers import Outcome
from prompt_hub.reporting.evaluation import EvaluationView, ExampleView
from prompt_hub.reporting.words import count
from prompt_hub.repository.contracts import fits
from prompt_hub.repository.schema import Example, JsonObject, Prompt, Records


@dataclass(frozen=True, kw_only=True)
class Item:
    """One input, and what is known of its answer."""

    key: str
    input: JsonObject
    example: Example | None = None
    """The example that it is; None for a new one."""
    answers: tuple[tuple[str, str], ...] = ()
    """Who answered what, where that is no secret to whoever grades."""


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Items in the order in which they are graded."""

    words: str
    """What they are."""
    items: Mapping[str, Item]
    others: Mapping[str, Item] = field(default_factory=dict)
    """What can be graded out of turn."""
    labelled: int = 0
    """So many more have a label already."""
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """How many there are, with those that have a label."""
        return self.labelled + len(self.items)

    def left(self, labels: Labels, after: str = "") -> list[str]:
        """Return what is not graded, from behind `after` on and then from the beginning."""
        keys = list(self.items)
        place = keys.index(after) + 1 if after in self.items else 0
        order = [*keys[place:], *keys[:place]]
        return [key for key in order if not is_graded(self.items[key], labels)]


def is_graded(item: Item, labels: Labels) -> bool:
    """Whether somebody said what is right: of an example that still has that label, or will."""
    serial, grade = labels.last.get(item.key, (0, None))
    if grade is None or serial in labels.pending:
        return grade is not None
    return item.example is not None and canonical(item.example.expected) == canonical(
        grade.expected
    )


def every_example(examples: Iterable[Example]) -> Queue:
    """Return every example, in the order of the file."""
    return Queue(words="every example", items=_keyed(map(_item, examples)))


def doubts(view: EvaluationView, examples: Sequence[Example]) -> Queue:
    """Return the examples that neither candidate nor champion answered right, the worst first."""
    by_id = {example.id: example for example in examples}
    answered = {
        one.id: _item(by_id[one.id], tuple(_answers(one)))
        for one in view.examples
        if one.id in by_id
    }
    missed = (one.id for one in view.worst if _both_missed(one))
    return Queue(
        words="candidate and champion both miss them" if view.champion else "the candidate misses",
        items=_keyed(answered[name] for name in missed if name in answered),
        others=_keyed(map(_item, examples)) | _keyed(answered.values()),
    )


def _both_missed(one: ExampleView) -> bool:
    return one.champion is None or one.champion.outcome is Outcome.WRONG


def _answers(one: ExampleView) -> Iterator[tuple[str, str]]:
    for whose, answers in (("candidate", one.candidate), ("champion", one.champion)):
        if answers and answers.worst and answers.worst.answer is not None:
            yield whose, answers.worst.answer


def new_records(path: Path, records: Records, prompt: Prompt, examples: Sequence[Example]) -> Queue:
    """Return the records of a file that are no examples yet; raises what reading it raises."""
    reading = Reading.of(path, records, prompt.input, prompt.task)
    known = {key_of_input(example.input) for example in examples}
    items: dict[str, Item] = {}
    labelled, refused = set[str](), list[str]()
    for record in reading.records():
        if record.blank:
            continue
        try:
            fields = reading.mapper.fields(record)
        except RecordError as error:
            refused.append(f"{record.place}: {error}")
            continue
        key = key_of_input(fields)
        if key in known:
            labelled.add(key)
        else:
            items[key] = Item(key=key, input=fields)
    notes = (f"{count(len(refused), 'record')} left out; {refused[0]}",) if refused else ()
    return Queue(words=f"records of {path.name}", items=items, labelled=len(labelled), notes=notes)


def judge_pairs(view: EvaluationView, judge: Prompt, examples: Sequence[Example]) -> Queue:
    """Return every answer of an evaluation as the judge would be asked about it.

    Nobody is told whose answer it is, and their order says nothing about it either.
    """
    known = {key_of_input(example.input) for example in examples}
    found: dict[str, Item] = {}
    refused = 0
    for one in view.examples:
        for output in _outputs(one):
            fields = question(one.example, output) if one.example else {}
            key = key_of_input(fields)
            if not fits(fields, judge.input):
                refused += 1
                continue
            found[key] = Item(key=key, input=fields)
    record = view.evaluation.record
    return Queue(
        words=f"answers to {record.task} {record.version}",
        items={key: found[key] for key in sorted(found) if key not in known},
        labelled=len(known & found.keys()),
        notes=(f"{count(refused, 'answer')} left out: the judge cannot be asked about it",)
        if refused
        else (),
    )


def _outputs(one: ExampleView) -> Iterator[JsonObject]:
    for answers in (one.candidate, one.champion):
        for call in answers.calls if answers and one.example else ():
            try:
                output = strict_json(call.answer or "")
            except ValueError:
                continue
            if isinstance(output, dict):
                yield output


def _item(example: Example, answers: tuple[tuple[str, str], ...] = ()) -> Item:
    return Item(key=key_of(example), input=example.input, example=example, answers=answers)


def _keyed(items: Iterable[Item]) -> dict[str, Item]:
    return {item.key: item for item in items}
