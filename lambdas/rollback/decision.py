"""What to do about a task: pure, from what was read to a decision with its reason.

A round, an alarm or the sweep only asks to look. Whether the active version is to blame is decided
here, on the score samples in the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from prompt_hub.core import aws_names, wording
from prompt_hub.core.foreign_text import one_line
from prompt_hub.ledger.detector import RUNS_READ, Evidence, has_fallen, is_better
from prompt_hub.ledger.items import (
    NO_WAY_BACK,
    Deployed,
    Event,
    EventKind,
    Pointer,
    ScoreSample,
    VersionState,
)

RECOVERED_ROUNDS = 8
"""Good rounds in a row that end a fall which people were paged for: two hours by default."""
_NAMED = 3
"""Models that a reason names, the first; a router may have asked any number of them."""
_LONGEST_NAME = 100
"""Characters of such a name."""


class Action(StrEnum):
    """What the Lambda does."""

    ROLL_BACK = "roll-back"
    FREEZE = "freeze"
    PAGE = "page"
    COMPARE = "compare"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """An action and why: `code` for programs, `reason` for people, `evidence` the numbers."""

    action: Action
    code: str
    reason: str
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Window:
    """How many bad samples of the active version, among how many, are a breach; and how often."""

    to_alarm: int
    of_last: int
    every_minutes: int = 15


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A CloudWatch alarm, as its own event or DescribeAlarms tells of it.

    `since` is when it went into its present state, as it was written there.
    """

    name: str
    state: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    since: str

    @property
    def of_calls(self) -> bool:
        """Whether it fires on live calls that break their contract."""
        found = (self.namespace, self.metric)
        return found == (aws_names.calls_namespace(), aws_names.CALL_CONTRACT_FAILED)

    @property
    def of_scores(self) -> bool:
        """Whether it fires on scores below their threshold."""
        found = (self.namespace, self.metric)
        return found == (aws_names.metric_namespace(), aws_names.METRIC_SCORE_MARGIN)

    @property
    def stage(self) -> str | None:
        """The stage that the alarm watches."""
        return self.dimensions.get(self._dimensions[0])

    @property
    def task(self) -> str:
        """The task that the alarm watches; empty if it watches none."""
        return self.dimensions.get(self._dimensions[1], "")

    @property
    def _dimensions(self) -> tuple[str, str]:
        if self.of_calls:
            return aws_names.CALL_TASK_DIMENSIONS
        return aws_names.DIMENSION_STAGE, aws_names.DIMENSION_TASK


@dataclass(frozen=True, kw_only=True)
class AlarmContext:
    """Everything that decides: what a breach is, and what the ledger says about the task."""

    task: str
    window: Window
    pointer: Pointer | None
    states: Mapping[str, VersionState]
    samples: Sequence[ScoreSample]
    """Newest first, controls among them."""
    events: Sequence[Event]
    deployed: Deployed | None


def refusal(alarm: Alarm, stage: str) -> Decision | None:
    """Why this alarm is not acted on; `None` for a firing alarm on scores or calls of `stage`."""
    if alarm.state != "ALARM":
        return nothing("not-firing", f"{alarm.name} is {alarm.state} by now")
    if not (alarm.of_scores or alarm.of_calls):
        return nothing("other-metric", f"{alarm.name} watches {alarm.namespace}/{alarm.metric}")
    if alarm.stage != stage:
        return nothing("other-stage", f"{alarm.name} watches stage {alarm.stage}, this is {stage}")
    if not alarm.task:
        return nothing("no-task", f"{alarm.name} names no task in its metric's dimensions")
    return None


def samples_wanted(window: Window) -> int:
    """Return how many of the newest samples decide, each run with its control."""
    return 2 * max(RUNS_READ, window.of_last)


def decide(context: AlarmContext) -> Decision:
    """Return the decision on a task that was asked for; who asked makes no difference."""
    decision = _judge(context)
    if decision.action in {Action.PAGE, Action.FREEZE} and _told(context, decision):
        return nothing("people-know", f"people were told since it went bad: {decision.reason}")
    return decision


def _judge(context: AlarmContext) -> Decision:
    task, pointer = context.task, context.pointer
    if pointer is None:
        return nothing("nothing-active", f"no version of {task} is active in the ledger")
    # What was measured before the pointer came here says nothing about now: the version may have
    # been repaired by its provider and restored by a person since.
    moved = moved_at(context, pointer)
    samples = [sample for sample in context.samples if sample.at >= moved]
    own = [sample for sample in samples if sample.version == pointer.version]
    if not own:
        return nothing(
            "no-sample",
            f"there is no score sample of {pointer.version}, the active version, since the pointer "
            f"moved at {moved}",
        )
    newest = own[0]
    if not newest.below_threshold:
        return nothing(
            "active-passes",
            f"the newest sample of {pointer.version} passes: {in_words(newest)}; the breach "
            "belongs to another version or is over",
        )
    if newest.evidence is not None:
        waiting = _not_shown(own, newest, newest.evidence)
    else:
        # The image of before the detector: its rounds are decided as they were then.
        waiting = _too_few(context, own, pointer)
    if waiting is not None:
        return waiting
    return _way_back(context, pointer, newest, samples)


def _not_shown(
    own: Sequence[ScoreSample], newest: ScoreSample, evidence: Evidence
) -> Decision | None:
    if has_fallen(_against_threshold(own), evidence.error):
        return None
    return nothing(
        "not-shown",
        f"{newest.version} is below its threshold: {in_words(newest)}. "
        f"{wording.count(len(own), 'run')} {wording.noun(len(own), 'does', 'do')} not show "
        "yet that this is more than noise; the next run adds its evidence",
    )


def _too_few(
    context: AlarmContext, own: Sequence[ScoreSample], pointer: Pointer
) -> Decision | None:
    breaches = sum(sample.below_threshold for sample in own[: context.window.of_last])
    if breaches >= context.window.to_alarm:
        return None
    return nothing(
        "too-few-samples",
        f"{breaches} of the last "
        f"{wording.count(context.window.of_last, 'sample')} of {pointer.version} below the "
        f"threshold, {context.window.to_alarm} needed; looking again with the next sweep",
    )


def _against_threshold(newest_first: Sequence[ScoreSample]) -> list[tuple[Evidence, float]]:
    return [
        (sample.evidence, sample.threshold)
        for sample in reversed(newest_first)
        if sample.evidence is not None
    ]


def moved_at(context: AlarmContext, pointer: Pointer) -> str:
    """Return when the pointer came to what is active; freezing it since is no move."""
    for event in context.events:
        if _never_undone(event) is not None:
            return event.at
    return pointer.at


def control_of(
    sample: ScoreSample, pointer: Pointer, samples: Sequence[ScoreSample]
) -> ScoreSample | None:
    """Return the sample of the way back that was measured on the same examples as `sample`."""
    return next(
        (
            control
            for control in samples
            if pointer.previous is not None
            and control.version == pointer.previous.version
            and control.evaluation == sample.evaluation
        ),
        None,
    )


def blocked_way_back(
    context: AlarmContext, pointer: Pointer, breach: str, evidence: Mapping[str, object]
) -> Decision | None:
    """Return the page that says why nobody may go back; None where one may."""

    def page(code: str, why: str) -> Decision:
        return Decision(action=Action.PAGE, code=code, reason=f"{breach}. {why}", evidence=evidence)

    previous = pointer.previous
    if previous is None:
        code, why = _no_way_back(context)
        return page(code, f"There is no version to go back to: {why}.")
    state = context.states.get(previous.version)
    if state is not None and state.taken_out:
        return page(
            "way-back-taken-out",
            f"The version to go back to, {previous.version}, is {state.value}.",
        )
    if context.deployed is not None and not context.deployed.has(pointer.task, previous):
        return page(
            "way-back-not-carried",
            f"The running image of release {context.deployed.release.release} does not carry "
            f"{previous.version}, the version to go back to.",
        )
    return None


def _way_back(
    context: AlarmContext, pointer: Pointer, newest: ScoreSample, samples: Sequence[ScoreSample]
) -> Decision:
    breach = f"{pointer.version} is below its threshold: {in_words(newest)}"
    evidence = {"active": newest.to_attributes()}
    blocked = blocked_way_back(context, pointer, breach, evidence)
    previous = pointer.previous
    if blocked is not None:
        return blocked
    assert previous is not None
    control = control_of(newest, pointer, samples)
    if control is None:
        return Decision(
            action=Action.PAGE,
            code="no-control",
            reason=f"{breach}. {previous.version} could not be measured on the same examples, so "
            "nobody knows whether the version, the provider or the data is to blame.",
            evidence=evidence,
        )
    evidence["control"] = control.to_attributes()
    controls = [sample for sample in samples if sample.version == previous.version]
    if _both_fell(controls, control):
        return Decision(
            action=Action.PAGE if pointer.frozen else Action.FREEZE,
            code="provider-or-data",
            reason=f"{breach}. {previous.version}, the version to go back to, scores as badly on "
            f"the same examples: {in_words(control)}. The provider or the data changed.",
            evidence=evidence,
        )
    paired = [sample.evidence for sample in reversed(controls) if sample.evidence is not None]
    if control.evidence is None:
        better = ahead = control.score > newest.score
    else:
        better = is_better(paired, control.evidence.error)
        ahead = math.fsum(part.won - part.lost for part in paired) > 0
    if not better and ahead:
        return nothing(
            "not-better-yet",
            f"{breach}. {previous.version}, the version to go back to, is ahead on the same "
            "examples, but it is not shown yet that this is more than noise",
        )
    if not better and control.below_threshold:
        # A fall of both is shown of the active version first, which has a round more a run. Nobody
        # is left without word: the alarm on the score tells people, once it has its
        # `datapoints_to_alarm`, whatever is decided here. A fall that is never shown is a small
        # one, and a round that the way back passes ends the wait.
        return nothing(
            "way-back-not-shown",
            f"{breach}. {previous.version}, the version to go back to, is below its threshold, "
            f"too: {in_words(control)}. It is not shown yet that this is more than noise",
        )
    if not better:
        # It may have a lower threshold of its own: passing that makes it no better.
        return Decision(
            action=Action.PAGE,
            code="way-back-not-better",
            reason=f"{breach}. {previous.version}, the version to go back to, has not fallen "
            f"but is no better on the same examples: {in_words(control)}.",
            evidence=evidence,
        )
    return Decision(
        action=Action.ROLL_BACK,
        code="below-threshold",
        reason=f"{breach}. {previous.version} is better on the same examples: {in_words(control)}.",
        evidence=evidence,
    )


def _both_fell(controls: Sequence[ScoreSample], control: ScoreSample) -> bool:
    """Whether the way back is below its own threshold, too; one noisy round does not show it."""
    if not control.below_threshold or control.evidence is None:
        return control.below_threshold
    return has_fallen(_against_threshold(controls), control.evidence.error)


def _no_way_back(context: AlarmContext) -> tuple[str, str]:
    """Code and words for a pointer without a way back: the change that moved it last knows."""
    older = iter(context.events)
    for event in older:
        why = _never_undone(event)
        if why is not None:
            lost = event.evidence.get(NO_WAY_BACK)
            if isinstance(lost, Mapping):
                return str(lost["code"]), str(lost["reason"])
            if event.kind is EventKind.SEEDED and _was_retired(older):
                why = f"{event.reached.version} is the first version since the task was retired"
            return "no-way-back", why
    return "no-way-back", "the change that moved it last left none"


def _was_retired(events: Iterable[Event]) -> bool:
    return any(event.kind is EventKind.RETIRED for event in events)


def _never_undone(event: Event) -> str | None:
    """Why a change that moved the pointer is not undone; None if it moved nothing."""
    match event.kind:
        case EventKind.ROLLED_BACK:
            return "a rollback is never rolled back"
        case EventKind.SEEDED:
            return f"{event.reached.version} is the first version here"
        case EventKind.ACTIVATED | EventKind.DOWNGRADED:
            return f"{event.by} went to {event.reached.version} by hand, and that is never undone"
        case EventKind.FROZEN | EventKind.UNFROZEN | EventKind.PAGED | EventKind.RETIRED:
            return None
        case _:
            assert_never(event.kind)


def _told(context: AlarmContext, decision: Decision) -> bool:
    """Whether people heard of this reason for this version since it fell."""
    pointer = context.pointer
    if pointer is None:
        return False
    # A version at its threshold is good in one round and bad in the next: a page for each would
    # teach people to look away. A freeze comes again only where a person has lifted it.
    recovered = RECOVERED_ROUNDS if decision.action is Action.PAGE else 1
    since = _fell_at(context, pointer, recovered)
    return any(
        event.code == decision.code and event.reached == pointer.active and event.at >= since
        for event in context.events
    )


def _fell_at(context: AlarmContext, pointer: Pointer, recovered: int) -> str:
    """When the newest fall of the active version began; `recovered` good rounds in a row end one.

    Alarm and sweep know a time of their own, a round does not: only the samples tell all three the
    same. A fall that is older than all samples began when the pointer moved at the earliest.
    """
    moved = moved_at(context, pointer)
    since, good = moved, 0
    for sample in context.samples:
        if sample.version != pointer.version or sample.at < moved:
            continue
        if sample.below_threshold:
            since, good = sample.at, 0
            continue
        good += 1
        if good == recovered:
            return since
    return moved


def nothing(code: str, reason: str) -> Decision:
    """Return that nothing is done, and why."""
    return Decision(action=Action.NOTHING, code=code, reason=reason)


def in_words(sample: ScoreSample) -> str:
    """Say what a sample has measured, beside the threshold that is its version's own."""
    score = wording.score(sample.score, sample.threshold)
    threshold = wording.score(sample.threshold, sample.score)
    measured = f"{score} against {threshold} on {wording.count(sample.n, 'example')}"
    return measured + other_models(sample)


def other_models(sample: ScoreSample) -> str:
    """Say that other models answered than at the gate, by what they call themselves."""
    if not sample.answered_by_others:
        return ""
    now, then = _listed(sample.answered_by), _listed(sample.judged_on)
    return f", answered by {now}; at the gate it was {then}"


def _listed(models: Sequence[str]) -> str:
    """Name the first of some models, each in one line: what they are called is anybody's word."""
    names = [one_line(name, _LONGEST_NAME) for name in models[:_NAMED]]
    if len(models) > _NAMED:
        names.append(f"{len(models) - _NAMED} more")
    return ", ".join(names)
