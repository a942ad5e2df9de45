"""What an evaluation report shows: record, details and repository read into one typed view.

Everything is read and counted here; the page, the JUnit file and the Markdown summary only say it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from statistics import fmean
from typing import TypeVar

from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.example_results import ArmName, ExampleResult
from prompt_hub.evaluation.record import Arm, FieldScore, Slice
from prompt_hub.evaluation.store import Evaluation, logged_record
from prompt_hub.gate.types import Difference
from prompt_hub.llm.response import Usage
from prompt_hub.reporting import prompt_diff
from prompt_hub.reporting.answers import Answers, Change, Outcome, by_example, change
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.repository.examples import examples_sha256
from prompt_hub.repository.many_examples import named
from prompt_hub.repository.reader import EXAMPLES, PromptRepository
from prompt_hub.repository.registry import Registry
from prompt_hub.repository.rendering import Renderer
from prompt_hub.repository.schema import Example, Prompt, version_key
from prompt_hub.scoring.metadata import ScoringMetadata, read_metadata

LONGEST_HISTORY = 20
"""Newest versions that the history shows; an older one that the report is about is shown, too."""

Messages = list[dict[str, str]]
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class ExampleView:
    """One example: what was asked, expected and answered.

    `example` is None where the repository no longer has it, or cannot read it.
    """

    id: str
    example: Example | None
    candidate: Answers | None
    champion: Answers | None

    @property
    def outcome(self) -> Outcome:
        """How the candidate did."""
        return self.candidate.outcome if self.candidate else Outcome.UNMEASURED

    @property
    def change(self) -> Change | None:
        """How the candidate did beside the champion."""
        return change(self.candidate, self.champion)

    @property
    def tags(self) -> tuple[str, ...]:
        """The example's tags."""
        return self.example.tags if self.example else ()


@dataclass(frozen=True)
class ArmView:
    """One measured version with its calls; `prompt` is None where its text is no longer here."""

    name: ArmName
    arm: Arm
    calls: tuple[ExampleResult, ...]
    prompt: Prompt | None

    @cached_property
    def answers(self) -> dict[str, Answers]:
        """The calls by example."""
        return by_example(self.calls)

    @cached_property
    def seconds(self) -> list[float]:
        """Latency of every call of which it is known, sorted."""
        return sorted(usage.seconds for usage in self._usages if usage.seconds is not None)

    @cached_property
    def usd(self) -> list[float]:
        """Cost of every call, sorted; empty where no price is known."""
        return sorted(usage.usd for usage in self._usages if usage.usd is not None)

    @cached_property
    def tokens(self) -> list[float]:
        """Tokens of every call, sent and received together, sorted."""
        return sorted(float(usage.tokens) for usage in self._usages)

    @property
    def _usages(self) -> list[Usage]:
        return [call.usage for call in self.calls if call.usage is not None]

    @property
    def usd_per_thousand(self) -> float | None:
        """What a thousand calls cost."""
        return 1000 * fmean(self.usd) if self.usd else None

    def messages(self, example: Example) -> Messages | None:
        """Return the prompt as this arm sent it; None where it can no longer be rendered."""
        renderer = self._renderer
        if example.id not in self._rendered:
            self._rendered[example.id] = (
                _read(lambda: renderer.render(example.input)) if renderer is not None else None
            )
        return self._rendered[example.id]

    @cached_property
    def _renderer(self) -> Renderer | None:
        return Renderer(self.prompt) if self.prompt is not None else None

    @cached_property
    def _rendered(self) -> dict[str, Messages | None]:
        """What was rendered before, by example: a page is tried with several lengths of text."""
        return {}


@dataclass(frozen=True)
class FieldRow:
    """One output field in both arms."""

    name: str
    candidate: FieldScore | None
    champion: FieldScore | None
    examples_wrong: int


@dataclass(frozen=True)
class TagRow:
    """The examples of one tag in both arms; `least` is the score that the gate asked of them."""

    name: str
    candidate: Slice | None
    champion: Slice | None
    difference: Difference | None
    least: float | None


@dataclass(frozen=True)
class Past:
    """One version as it was judged, and when; `here` marks the one that the report is about."""

    version: str
    state: str
    score: float | None
    interval: tuple[float, float] | None
    threshold: float
    at: datetime
    here: bool


@dataclass(frozen=True)
class Watched:
    """One measurement of the score watch."""

    version: str
    score: float
    threshold: float
    at: datetime


@dataclass(frozen=True)
class Links:
    """Where a reader can go on; what is not known is None or not in `pages`.

    `commit` and `execution` are addresses on the web, `catalogue` and `pages` (of evaluations, by
    version) files beside the report.
    """

    commit: str | None = None
    execution: str | None = None
    catalogue: str | None = None
    pages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationView:
    """Everything that a report of one evaluation says.

    `watched` are the score watch's measurements of the task, oldest first; empty where no stage was
    asked. `unreadable` says why the examples cannot be read now; empty where they could be.
    """

    evaluation: Evaluation
    metadata: ScoringMetadata | None
    candidate: ArmView | None
    champion: ArmView | None
    examples: tuple[ExampleView, ...]
    history: tuple[Past, ...]
    notes: tuple[str, ...] = ()
    changes: tuple[prompt_diff.Difference, ...] = ()
    links: Links = Links()
    watched: tuple[Watched, ...] = ()
    unreadable: str = ""

    @property
    def arms(self) -> tuple[ArmView, ...]:
        """The arms that were measured, the candidate first."""
        return tuple(arm for arm in (self.candidate, self.champion) if arm is not None)

    @cached_property
    def judged_by(self) -> ScoringMetadata | None:
        """The metadata that the verdict rests on; None where it has changed since."""
        metadata = self.metadata
        if metadata is None or metadata.sha256 != self.evaluation.record.metadata_sha256:
            return None
        return metadata

    @property
    def margin(self) -> float | None:
        """Loss against the champion that was accepted; None where nobody knows it any more."""
        power = self.evaluation.record.verdict.power
        if power is not None:
            return power.margin
        return self.judged_by.gate.margin if self.judged_by else None

    @cached_property
    def outcomes(self) -> Counter[Outcome]:
        """Examples by how the candidate did."""
        return Counter(example.outcome for example in self.examples)

    @cached_property
    def compared(self) -> Counter[Change]:
        """Examples by how the candidate did beside the champion."""
        return Counter(example.change for example in self.examples if example.change)

    @cached_property
    def fields(self) -> tuple[FieldRow, ...]:
        """Every output field that was scored, in the candidate's order."""
        per_arm = [arm.arm.fields if arm else {} for arm in (self.candidate, self.champion)]
        wrong = Counter(
            name
            for example in self.examples
            if example.candidate is not None
            for name in example.candidate.wrong_fields
        )
        return tuple(
            FieldRow(name, per_arm[0].get(name), per_arm[1].get(name), wrong[name])
            for name in dict.fromkeys([*per_arm[0], *per_arm[1]])
        )

    @cached_property
    def tags(self) -> tuple[TagRow, ...]:
        """Every tag of the measured examples, sorted."""
        per_arm = [arm.arm.tags if arm else {} for arm in (self.candidate, self.champion)]
        least = self.judged_by.gate.tags if self.judged_by else {}
        differences = self.evaluation.record.verdict.tags
        return tuple(
            TagRow(
                name,
                per_arm[0].get(name),
                per_arm[1].get(name),
                differences.get(name),
                least.get(name),
            )
            for name in sorted({*per_arm[0], *per_arm[1]})
        )

    @property
    def worst(self) -> tuple[ExampleView, ...]:
        """Examples with a loss, the worst first; those the champion did better come before."""
        wrong = [example for example in self.examples if example.outcome is Outcome.WRONG]
        return tuple(sorted(wrong, key=badness))


def read_view(
    evaluations: Evaluations,
    evaluation: Evaluation,
    *,
    links: Links = Links(),
    watched: Iterable[Watched] = (),
    registry: Registry | None = None,
) -> EvaluationView:
    """Return the view of one evaluation, with what the repository still knows about it.

    `registry` is the repository's, for whoever has read it already: a large one takes seconds.
    """
    repository, record = evaluations.repository, evaluation.record
    examples: Sequence[Example] = ()
    unreadable = ""
    try:
        examples = repository.examples(record.task)
    except PromptHubError as error:
        if repository.path(EXAMPLES, f"{record.task}.jsonl").exists():
            unreadable = str(error).split("\n")[0]
    metadata = _read(lambda: read_metadata(repository, record.task))
    known = _prompts(repository, record.task)
    candidate = _arm("candidate", record.candidate, evaluation, known)
    champion = _arm("champion", record.champion, evaluation, known)
    changes: tuple[prompt_diff.Difference, ...] = ()
    if candidate and champion and candidate.prompt and champion.prompt:
        changes = prompt_diff.differences(champion.prompt, candidate.prompt)
    return EvaluationView(
        evaluation=evaluation,
        metadata=metadata,
        candidate=candidate,
        champion=champion,
        examples=_examples(examples, candidate, champion),
        history=_history(evaluations, evaluation, registry),
        notes=tuple(_notes(evaluation, examples, unreadable, metadata, (candidate, champion))),
        changes=changes,
        links=links,
        watched=tuple(watched),
        unreadable=unreadable,
    )


def _notes(
    evaluation: Evaluation,
    examples: Sequence[Example],
    unreadable: str,
    metadata: ScoringMetadata | None,
    arms: Iterable[ArmView | None],
) -> Iterator[str]:
    """Yield what the repository no longer has as it was when the record was made."""
    record, large = evaluation.record, evaluation.large
    if large is not None:
        yield (
            f"{large.count:,} answers are too many to be shown: examples, losses and how calls are"
            f" spread are left out. Each has a line in {large.uri}."
        )
    if unreadable:
        yield (
            "The examples cannot be read, so inputs and expected outputs are left out:"
            f" {unreadable}"
        )
    if examples and examples_sha256(examples) != record.examples_sha256:
        yield (
            "The examples have changed since: inputs and expected outputs are today's,"
            " answers and scores are those of the evaluation."
        )
    if metadata is not None and metadata.sha256 != record.metadata_sha256:
        yield (
            "The metadata has changed since; scores and verdict are as they were, and what it asks"
            " for today is left out."
        )
    for arm in arms:
        if arm is not None and arm.prompt is None:
            yield (
                f"The text of {arm.arm.version} ({arm.arm.sha256[:12]}) is no longer in the"
                " repository: its prompts are not shown."
            )


def _read(read: Callable[[], _Read]) -> _Read | None:
    """Return what a reader finds; None where the repository has it no longer, or no longer whole.

    A report is about a record: that the repository has moved on must not hide it.
    """
    try:
        return read()
    except PromptHubError:
        return None


def _prompts(repository: PromptRepository, task: str) -> dict[tuple[str, str], Prompt]:
    """Every version whose text the repository has, by version and hash."""
    found = (
        _read(lambda: repository.candidate(task)),
        _read(lambda: repository.production(task)),
        *(_read(lambda: repository.archived(task)) or ()),
    )
    return {(prompt.version, prompt.sha256): prompt for prompt in found if prompt is not None}


def _arm(
    name: ArmName,
    arm: Arm | None,
    evaluation: Evaluation,
    known: Mapping[tuple[str, str], Prompt],
) -> ArmView | None:
    if arm is None:
        return None
    return ArmView(name, arm, evaluation.details[name], known.get((arm.version, arm.sha256)))


def _examples(
    examples: Sequence[Example], candidate: ArmView | None, champion: ArmView | None
) -> tuple[ExampleView, ...]:
    """Return the measured examples: in file order, then, as asked, those it no longer has."""
    asked = {**(candidate.answers if candidate else {}), **(champion.answers if champion else {})}
    if not asked:
        return ()
    # Of a large set a few were asked.
    labelled = named(examples, asked)
    order = dict.fromkeys((*labelled, *asked))
    return tuple(
        ExampleView(
            name,
            labelled.get(name),
            candidate.answers.get(name) if candidate else None,
            champion.answers.get(name) if champion else None,
        )
        for name in order
    )


def _history(
    evaluations: Evaluations, evaluation: Evaluation, registry: Registry | None
) -> tuple[Past, ...]:
    """Return the newest versions that the registry knows, this one among them, the newest first."""
    record = evaluation.record
    registry = registry or _read(evaluations.repository.registry)
    entry = registry.tasks.get(record.task) if registry else None
    versions = entry.versions if entry else {}
    past = {}
    for version, known in versions.items():
        logged = _read(partial(logged_record, evaluations.repository, record.task, version))
        arm = logged.candidate if logged else None
        past[version] = Past(
            version=version,
            state=known.state,
            score=known.score,
            interval=arm.interval if arm else None,
            threshold=known.threshold,
            at=logged.finished_at if logged else known.at,
            here=False,
        )
    if record.candidate is not None:
        # A blocked version is mended under its number: its state is that of its text alone.
        states = {(version, known.sha256): known.state for version, known in versions.items()}
        past[record.version] = Past(
            version=record.version,
            state=states.get((record.version, record.candidate.sha256), "candidate"),
            score=record.candidate.score,
            interval=record.candidate.interval,
            threshold=record.threshold,
            at=record.finished_at,
            here=True,
        )
    newest = (past[version] for version in sorted(past, key=version_key, reverse=True))
    return tuple(item for place, item in enumerate(newest) if place < LONGEST_HISTORY or item.here)


def badness(example: ExampleView) -> tuple[int, float]:
    """Return what examples are sorted by, those first that a person should look at.

    They are those that were not measured, then those that were lost against the champion.
    """
    score = example.candidate.score if example.candidate else None
    if score is None:
        return 0, 0.0
    return (1 if example.change is Change.LOST else 2), score
