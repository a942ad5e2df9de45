"""A task looked at again on every save: what `prompt-hub dev` does between two of them.

A question that is, word for word, what was asked before keeps its answer, whatever else has
changed: another example is one call, another expected value none. What was wrong is asked first.
Answers lie where `prompt-hub evaluate` looks for them, so nothing is paid for twice.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from prompt_hub.core import wording
from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.answer_sums import sums_of
from prompt_hub.evaluation.budget import UNPRICED
from prompt_hub.evaluation.budgeted_client import BudgetedClient
from prompt_hub.evaluation.cache import ResponseStore
from prompt_hub.evaluation.example_results import Result, parse_line, scores_of
from prompt_hub.evaluation.inputs import Inputs
from prompt_hub.evaluation.measure import measure
from prompt_hub.evaluation.progress import Progress
from prompt_hub.gate.types import mean_score
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.reporting import words
from prompt_hub.reporting.answers import ALMOST, Answers
from prompt_hub.reporting.attempts import moves_in_words
from prompt_hub.reporting.evaluation import ExampleView
from prompt_hub.reporting.next_steps import losses
from prompt_hub.repository.many_examples import ExampleFacts, facts_of, pick
from prompt_hub.repository.reader import EXAMPLES, METADATA, TEMPLATES, PromptRepository
from prompt_hub.repository.schema import Example, Prompt
from prompt_hub.validation.check import check

POLL_SECONDS = 0.1
REMEMBERED = 16
"""Prompts of a session, the newest, among whose answers each look searches."""
SETTLED_BEFORE_THE_COMMIT = frozenset({"up-to-date", "version-moves", "version-order"})
"""Rules whose breach makes no answer wrong: they are told, and do not stop a look."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at a task has found: `broken` says why there is no more, or is empty."""

    broken: tuple[str, ...] = ()
    """Lines about what keeps the task from being measured."""
    later: tuple[str, ...] = ()
    """Lines about what has to be settled before the commit."""
    version: str = ""
    score: float | None = None
    """None where an answer is missing."""
    threshold: float = 0.0
    scores: Mapping[str, float | None] = field(default_factory=dict)
    """By example."""
    worst: tuple[ExampleView, ...] = ()
    missing: tuple[str, ...] = ()
    asked: int = 0
    """Calls that this look has made; every other answer was there."""
    usd: float | None = None
    """What they cost; None where no price of any is known."""
    unpriced: bool = False
    """Whether models without a price were asked, too."""

    def moved(self, before: Look) -> tuple[list[str], list[str]]:
        """Return the examples that score more than `before`, and those that score less."""
        now = [
            (name, score, earlier)
            for name, score in self.scores.items()
            if score is not None and (earlier := before.scores.get(name)) is not None
        ]
        return (
            [name for name, score, earlier in now if score > earlier],
            [name for name, score, earlier in now if score < earlier],
        )


class DevSession:
    """Looks at one task, and remembers what it saw."""

    def __init__(
        self,
        repository: PromptRepository,
        task: str,
        client: ModelClient,
        aliases: ModelAliases,
        store: ResponseStore,
        say: Callable[[str], None] = print,
    ) -> None:
        self.looks: list[Look] = []
        """Those that were measured, oldest first."""
        self._repository = repository
        self._task = task
        self._client = client
        self._aliases = aliases
        self._store = store
        self._say = say
        self._shown = ""
        """Digest of what the last look was about; empty where it has to be looked at again."""
        self._earlier: dict[str, Prompt] = {}
        """Prompts that were asked with, by their hash, the newest last."""

    @property
    def last(self) -> Look | None:
        """The last look that was measured."""
        return self.looks[-1] if self.looks else None

    def files(self) -> Iterator[Path]:
        """Yield every file that the task is made of, and building blocks that it may include."""
        prompts = self._repository.prompts
        # A folder may go while it is read, as another branch is checked out.
        with suppress(OSError):
            yield from (path for path in (prompts / TEMPLATES).rglob("*") if path.is_file())
        yield from (prompts / EXAMPLES).glob(f"{self._task}.*")
        yield prompts / METADATA / f"{self._task}.yaml"
        with suppress(PromptHubError):
            yield self._repository.candidate_path(self._task)

    async def look(self) -> Look | None:
        """Validate and measure the task as it lies there; None where nothing has changed."""
        try:
            return await self._look()
        except PromptHubError as error:
            self._shown = ""
            return Look(broken=(str(error),))

    async def _look(self) -> Look | None:
        _, findings = check(self._repository, self._task, models=self._aliases)
        errors = [finding for finding in findings if finding.is_error]
        later = [item for item in errors if item.rule in SETTLED_BEFORE_THE_COMMIT]
        broken = [item for item in errors if item.rule not in SETTLED_BEFORE_THE_COMMIT]
        if broken:
            self._shown = ""
            return Look(broken=tuple(f"{item.problem} [{item.rule}]" for item in broken))
        inputs = Inputs.of(self._repository, self._task)
        digest = inputs.digest(lambda prompt: self._client.resolve(prompt).identity)
        if digest == self._shown:
            return None
        look = await self._measure(inputs, tuple(f"{i.problem} [{i.rule}]" for i in later))
        self._shown = "" if look.missing else digest
        self.looks.append(look)
        return look

    async def _measure(self, inputs: Inputs, later: tuple[str, ...]) -> Look:
        prompt, examples = inputs.candidate, inputs.scored
        self._keep_answers(prompt, examples)
        budgeted = BudgetedClient.within(inputs.metadata, self._client, self._store)
        tracker = budgeted.tracker
        progress = Progress(budgeted)
        details: list[Result] = []
        for part, were_wrong in self._in_turn(examples):
            measured = await measure(
                prompt,
                part,
                inputs.metadata,
                budgeted,
                judge=inputs.judge,
                progress=progress.arm(f"{prompt.task} {prompt.version}"),
            )
            progress.finish()
            details += measured.details
            if were_wrong and tracker.calls and len(part) < len(examples):
                right = sum(_is_right(detail.score) for detail in details)
                known = wording.count(len(part), "example")
                self._say(f"of {known} that lost something, {right} now right")
        scores = {detail.id: detail.score for detail in details}
        whole = bool(scores) and None not in scores.values()
        return Look(
            later=later,
            version=prompt.version,
            score=_score(details, facts_of(examples)) if whole else None,
            threshold=inputs.metadata.threshold,
            scores=scores,
            worst=tuple(_worst(examples, details)),
            missing=tuple(sums_of(details).missing(prompt.version)),
            asked=tracker.calls,
            usd=tracker.usd if tracker.unpriced < tracker.calls else None,
            unpriced=tracker.unpriced > 0,
        )

    def _in_turn(self, examples: Sequence[Example]) -> Iterator[tuple[Sequence[Example], bool]]:
        """Yield the examples that were not right in the last look, then all others."""
        scores = self.last.scores if self.last else {}
        wrong = [not _is_right(scores.get(facts.id, 1.0)) for facts in facts_of(examples)]
        for were_wrong in (True, False):
            places = [place for place, value in enumerate(wrong) if value is were_wrong]
            if places:
                yield pick(examples, places), were_wrong

    def _keep_answers(self, now: Prompt, examples: Sequence[Example]) -> None:
        """Take over answers to questions that an earlier prompt has put in the same words."""
        model = self._client.resolve(now)
        new = self._store.cache_file(now, model)
        before = [prompt for sha256, prompt in self._earlier.items() if sha256 != now.sha256]
        olds = [self._store.cache_file(prompt, model) for prompt in reversed(before)]
        for example in examples if olds else ():
            # It covers schema and parameters, too: with other ones nothing is found.
            key = new.key(self._client.request(now, example.input).messages, 0)
            if key in new:
                continue
            answers = (old.get(key) for old in olds)
            if (answer := next(filter(None, answers), None)) is not None:
                new.put(key, answer)
        # Noted before it is asked with: a save may end the look at any moment.
        newest = [*before, now][-REMEMBERED:]
        self._earlier = {prompt.sha256: prompt for prompt in newest}


def _score(details: Sequence[Result], examples: Sequence[ExampleFacts]) -> float:
    """Return the mean score of examples, each of which was answered."""
    weights = [facts.weight for facts in examples]
    return float(mean_score(scores_of(details, examples), range(len(weights)), weights))


def _is_right(score: float | None) -> bool:
    return score is not None and score >= 1 - ALMOST


def _worst(examples: Sequence[Example], details: Sequence[Result]) -> Iterator[ExampleView]:
    """Yield the examples that lost something, the worst first."""
    places = {facts.id: place for place, facts in enumerate(facts_of(examples))}
    lost = [item for item in details if item.score is not None and not _is_right(item.score)]
    for detail in sorted(lost, key=lambda detail: detail.score or 0.0):
        answers = Answers((parse_line(detail.to_line("candidate")),))
        yield ExampleView(detail.id, examples[places[detail.id]], answers, None)


def in_words(look: Look, before: Look | None) -> Iterator[str]:
    """Yield what a look has found, beside the one `before` it, as lines for people."""
    if look.broken:
        yield from look.broken
        yield "waiting for the next save"
        return
    beside = ""
    if before is not None and look.score is not None and before.score is not None:
        beside = f" ({words.signed(look.score - before.score)})"
    yield (
        f"{look.version}  {words.score(look.score, look.threshold)}{beside}"
        f"  threshold {words.score(look.threshold, look.score)}"
        f" · {wording.count(len(look.scores), 'example')}, {look.asked} asked{_cost([look])}"
    )
    yield from (f"  not measured: {line}" for line in look.missing)
    if before is not None:
        yield from moves_in_words(*look.moved(before))
    yield from losses(look.worst)
    yield from (f"  before the commit: {line}" for line in look.later)


def summary(task: str, looks: Sequence[Look]) -> str:
    """Return the last line: from where to where the score went, and what it cost."""
    if not looks:
        return f"{task}: nothing was measured"
    first, last = looks[0].score, looks[-1].score
    way = (
        f"{words.score(first, last)} to {words.score(last, first)}"
        if len(looks) > 1
        else words.score(last)
    )
    calls = wording.count(sum(look.asked for look in looks), "call")
    return (
        f"{task}: {wording.count(len(looks), 'look')}, {way}, {calls}{_cost(looks)}."
        f" The gate's word, beside the champion: prompt-hub evaluate {task}"
    )


def _cost(looks: Sequence[Look]) -> str:
    """Return what calls have cost, as it follows their number; empty where nobody knows any."""
    prices = [look.usd for look in looks if look.usd is not None]
    unpriced = UNPRICED if any(look.unpriced for look in looks) else ""
    return f", {words.money(math.fsum(prices))}{unpriced}" if prices else ""


async def follow(
    session: DevSession, saves: AsyncIterator[None], show: Callable[[Look, Look | None], None]
) -> None:
    """Look, and look again after each save, until there is no more.

    A save ends a look that is still asking; the answers that have come are kept.
    """
    more = True
    while more:
        before = session.last
        saved = asyncio.ensure_future(_next(saves))
        look = asyncio.ensure_future(session.look())
        try:
            await asyncio.wait({look, saved}, return_when=asyncio.FIRST_COMPLETED)
            if look.done() and (found := look.result()) is not None:
                show(found, before)
            more = await saved
        finally:
            for task in (look, saved):
                task.cancel()
            await asyncio.gather(look, saved, return_exceptions=True)


async def _next(saves: AsyncIterator[None]) -> bool:
    async for _ in saves:
        return True
    return False


async def saves_of(
    files: Callable[[], Iterable[Path]], *, every: float = POLL_SECONDS
) -> AsyncIterator[None]:
    """Yield whenever one of `files` has changed, came or went."""
    before = _state(files())
    while True:
        await asyncio.sleep(every)
        now = _state(files())
        if now != before:
            before = now
            yield


def _state(files: Iterable[Path]) -> dict[Path, object]:
    found: dict[Path, object] = {}
    for path in files:
        with suppress(OSError):
            state = path.stat()
            found[path] = (state.st_mtime_ns, state.st_size, state.st_ino)
    return found
