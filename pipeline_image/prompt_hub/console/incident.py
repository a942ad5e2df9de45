"""What the page of an incident says: what decided, in words, and what a person may do now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prompt_hub.console.moments import moment
from prompt_hub.ledger.items import NO_WAY_BACK, Event, ScoreSample
from prompt_hub.ledger.live_calls import Calls
from prompt_hub.reporting import words

WHOSE = {"active": "active then", "control": "the way back"}
"""The samples that an event may hold, and what each version was."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a person may do: why, and the commands that do it."""

    words: str
    commands: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EvidenceView:
    """The evidence of one event, as it was read when this was decided."""

    sentences: tuple[str, ...]
    """Who asked to look, and what is no measurement."""
    versions: tuple[tuple[str, str], ...]
    """Each version that was measured, and what it was: the columns of `rows`."""
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """What was measured, and what came out of it for each version."""
    raw: str
    """All of it, as the ledger keeps it."""


def read_steps(told: str) -> tuple[Step, ...]:
    """Return the steps of a message: words, and below them the commands, which are indented."""
    steps: list[Step] = []
    prose: list[str] = []
    commands: list[str] = []
    for line in [*told.splitlines(), ""]:
        if line.startswith(" "):
            commands.append(line.strip())
            continue
        if commands:
            steps.append(Step(words=" ".join(prose), commands=tuple(commands)))
            prose, commands = [], []
        prose.append(line)
    return tuple(steps)


def read_evidence(event: Event) -> EvidenceView | None:
    """Return an event's evidence; None where it has none."""
    if not event.evidence:
        return None
    samples = {name: sample for name in WHOSE if (sample := _sample(event, name)) is not None}
    measured = [dict(_measured(sample)) for sample in samples.values()]
    names = dict.fromkeys(name for each in measured for name in each)
    return EvidenceView(
        sentences=tuple(_sentences(event.evidence)),
        versions=tuple((sample.version, WHOSE[name]) for name, sample in samples.items()),
        rows=tuple(
            (name, tuple(each.get(name, words.NONE) for each in measured)) for name in names
        ),
        raw=json.dumps(event.evidence, ensure_ascii=False, indent=2, default=str),
    )


def _sample(event: Event, name: str) -> ScoreSample | None:
    """Return a sample that decided; None if there is none that we can read."""
    kept = event.evidence.get(name)
    if not isinstance(kept, Mapping):
        return None
    try:
        return ScoreSample.from_attributes(event.task, kept)
    except (KeyError, TypeError, ValueError):
        # Another release wrote it: it stands below, as it was kept.
        return None


def _measured(sample: ScoreSample) -> Iterator[tuple[str, str]]:
    below = "below" if sample.below_threshold else "reaches"
    yield "score", words.score(sample.score, sample.threshold)
    yield "threshold", f"{below} {words.score(sample.threshold, sample.score)}"
    low, high = sample.interval
    yield "interval of the score", f"{words.score(low)} to {words.score(high)}"
    yield "examples", words.number(sample.n)
    found = sample.evidence
    if found is not None:
        yield "rounds of questions", words.number(found.rounds)
        if found.answers:
            broke = f"{words.number(found.broke)} of {words.number(found.answers)}"
            yield "answers that broke the contract", broke
        if found.won or found.lost:
            yield "more than the other, answer by answer", words.number(found.won)
            yield "less than the other, answer by answer", words.number(found.lost)
    yield "measured", f"{moment(sample.at)} UTC"
    if sample.answered_by:
        yield "answered by", ", ".join(sample.answered_by)
    if sample.answered_by_others:
        yield "at the gate answered", ", ".join(sample.judged_on)


def _sentences(evidence: Mapping[str, object]) -> Iterator[str]:
    trigger, alarm = evidence.get("trigger"), evidence.get("alarm")
    if isinstance(trigger, Mapping):
        yield _asked(str(trigger.get("kind")), trigger.get("at"), str(alarm))
    calls = evidence.get("calls")
    if isinstance(calls, Mapping):
        since = f"Live calls since {_moment(calls.get('since'))}"
        for name, before in (("active", since), ("previous", "The version before, in its time")):
            counted = calls.get(name)
            if isinstance(counted, Mapping) and counted.keys() >= {"calls", "broken"}:
                broken = Calls(calls=int(counted["calls"]), broken=int(counted["broken"]))
                yield f"{before}: {broken} broke the contract."
    lost = evidence.get(NO_WAY_BACK)
    if isinstance(lost, Mapping):
        yield f"There is no way back from here: {lost.get('reason')}"


def _asked(kind: str, at: object, alarm: str) -> str:
    match kind:
        case "round":
            return "Looked at when a round of the score watch was over."
        case "alarm":
            return f"Looked at when the alarm {alarm} went off, at {_moment(at)}."
        case "sweep":
            return f"Looked at by the sweep of alarms: {alarm} was red since {_moment(at)}."
        case _:
            return f"Looked at because of: {kind}."


def _moment(at: object) -> str:
    """Say when; a time that is none of ours stands as it was kept."""
    try:
        return f"{moment(str(at))} UTC"
    except ValueError:
        return str(at)
