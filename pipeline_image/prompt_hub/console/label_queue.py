"""What there is to grade: examples whose label is doubted, records, answers for a judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from prompt_hub.authoring.labels import Labels, key_of, key_of_input
from prompt_hub.batch.mapping import RecordError
from prompt_hub.batch.reading import Reading
from prompt_hub.core.hashing import canonical, sha256_of
from prompt_hub.core.wording import count
from prompt_hub.evaluation.example_results import ExampleResult
from prompt_hub.evaluation.judge import question
from prompt_hub.reporting.answers import Outcome, object_in
from prompt_hub.reporting.evaluation import EvaluationView
from prompt_hub.repository.contracts import fits
from prompt_hub.repository.schema import Example, JsonObject, Prompt, Records


@dataclass(frozen=True, kw_only=True)
class Item:
    """One input, and what is known of its answer."""

    input: JsonObject
    example: Example | None = None
    """The example that it is; None for a new one."""
    answers: Mapping[str, ExampleResult] = field(default_factory=dict)
    """Who answered what, where that is no secret to whoever grades."""

    @property
    def digest(self) -> str:
        """Hash of what is graded: another one is not what a person saw."""
        return sha256_of([self.input, self.example and self.example.expected])


@dataclass(frozen=True, kw_only=True)
class Queue:
    """What can be graded, and what of it is asked for; each item goes by its key."""

    words: str
    """What is asked for."""
    items: Mapping[str, Item]
    order: Sequence[str]
    labelled: Mapping[str, str] = field(default_factory=dict)
    """What has a label already: its key, and that of the example that it is."""
    note: str = ""

    def left(self, labels: Labels, after: str = "") -> list[str]:
        """Return what is not graded, from behind `after` on and then from the beginning."""
        place = self.order.index(after) + 1 if after in self.order else 0
        turned = [*self.order[place:], *self.order[:place]]
        return [key for key in turned if not _is_graded(key, self.items[key].example, labels)]


def _is_graded(key: str, example: Example | None, labels: Labels) -> bool:
    """Whether somebody said what is right: of an example that still has that label, or will."""
    serial, grade = labels.last.get(key, (0, None))
    if grade is None or serial in labels.pending:
        return grade is not None
    return example is not None and canonical(example.expected) == canonical(grade.expected)


def known_examples(examples: Sequence[Example], view: EvaluationView | None) -> Queue:
    """Return every example; of an evaluation those that both versions miss, the worst first."""
    items = {key_of(example): Item(input=example.input, example=example) for example in examples}
    if view is None:
        return Queue(words="every example", items=items, order=[*items])
    for one in view.examples:
        if one.example and (key := key_of(one.example)) in items:
            arms = (("candidate", one.candidate), ("champion", one.champion))
            worst = {whose: arm.worst for whose, arm in arms if arm}
            answers = {whose: call for whose, call in worst.items() if call}
            items[key] = replace(items[key], answers=answers)
    missed = (
        key_of(one.example)
        for one in view.worst
        if one.example and (not one.champion or one.champion.outcome is Outcome.WRONG)
    )
    words = "candidate and champion both miss them" if view.champion else "the candidate misses"
    return Queue(words=words, items=items, order=[key for key in missed if key in items])


def new_records(path: Path, records: Records, prompt: Prompt, examples: Sequence[Example]) -> Queue:
    """Return the records of a file that are no examples yet; raises what reading it raises."""
    reading = Reading.of(path, records, prompt.input, prompt.task)

    def read() -> Iterator[JsonObject | str]:
        for record in reading.records():
            try:
                yield reading.mapper.fields(record)
            except RecordError as error:
                yield f"{record.place}: {error}"

    return _new(f"records of {path.name}", "record", read(), examples)


def judge_pairs(view: EvaluationView, judge: Prompt, examples: Sequence[Example]) -> Queue:
    """Return every answer of an evaluation as the judge would be asked about it.

    Nobody is told whose answer it is, and their order says nothing about it either.
    """

    def asked() -> Iterator[JsonObject | str]:
        for one in view.examples:
            for call in (
                call for arm in (one.candidate, one.champion) if arm for call in arm.calls
            ):
                output = object_in(call)
                if one.example and output is not None:
                    fields = question(one.example, output)
                    is_fit = fits(fields, judge.input)
                    yield fields if is_fit else "the judge cannot be asked about it"

    record = view.evaluation.record
    queue = _new(f"answers to {record.task} {record.version}", "answer", asked(), examples)
    return replace(queue, order=sorted(queue.order))


def _new(
    words: str, kind: str, found: Iterable[JsonObject | str], examples: Sequence[Example]
) -> Queue:
    """Return the inputs that are no examples yet; a text says why something is none."""
    items: dict[str, Item] = {}
    left_out: list[str] = []
    for each in found:
        if isinstance(each, str):
            left_out.append(each)
        else:
            items[key_of_input(each)] = Item(input=each)
    known = {key_of_input(example.input): example for example in examples}
    labelled = {key: known[key] for key in items if key in known}
    for key in labelled:
        del items[key]
    order = [*items]
    # Who comes back to one corrects the example, and stays among what is graded here.
    items |= {key_of(one): Item(input=one.input, example=one) for one in labelled.values()}
    note = f"{count(len(left_out), kind)} left out; {left_out[0]}" if left_out else ""
    examples_of = {key: key_of(example) for key, example in labelled.items()}
    return Queue(words=words, items=items, order=order, labelled=examples_of, note=note)
