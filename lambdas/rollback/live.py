"""Live calls that break their contract, and what they are evidence for.

Before and after a release differ in more than the version: callers send other things, and providers
change. So live calls alone move no pointer. They ask the score watch to measure both versions side
by side, and decide together with what it finds. See docs/watch.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from decision import (
    Action,
    AlarmContext,
    Decision,
    blocked_way_back,
    control_of,
    in_words,
    moved_at,
    nothing,
)
from prompt_hub.core import aws_names, wording
from prompt_hub.ledger.detector import (
    FOLLOW_UPS,
    RUNS_A_COMPARISON,
    Evidence,
    keeps_contract_better,
)
from prompt_hub.ledger.items import Pointer, ScoreSample, timestamp
from prompt_hub.ledger.live_calls import Calls, breaks_more

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef, MetricTypeDef
    from mypy_boto3_events import EventBridgeClient

RECENT = timedelta(hours=1)
"""How far back the active version's calls count, but not to before it was active."""
OF_THE_ALARM = timedelta(minutes=aws_names.CONTRACT_WINDOW_MINUTES)
"""How far back they count where the hour does not show what the alarm has seen."""
ITS_OWN_TIME = timedelta(days=7)
"""How much of the time before that shows what the previous version did."""
TOLD_FOR = timedelta(days=1)
"""How long people are not told the same of a version again."""


@dataclass(frozen=True, kw_only=True)
class LiveCalls:
    """What the active version's calls came to lately, and its way back's in its own time."""

    active: Calls
    since: str
    previous: Calls


def wants_calls(context: AlarmContext, decision: Decision, *, asked: bool) -> bool:
    """Whether live calls may change a `decision` that was made on scores.

    They are `asked` about by an alarm of theirs. Else only a comparison is a reason to read them:
    the round that brings it must decide, whatever its score is.
    """
    if decision.action is not Action.NOTHING or decision.code == "people-know":
        return False
    return asked or _is_comparison(context)


def _is_comparison(context: AlarmContext) -> bool:
    """Whether the newest run was to compare, or has measured the way back, too."""
    pointer = context.pointer
    if pointer is None:
        return False
    own = [sample for sample in context.samples if sample.version == pointer.version]
    if not own:
        return False
    asked = own[0].evidence is not None and own[0].evidence.compared
    return asked or control_of(own[0], pointer, context.samples) is not None


def read_calls(
    client: CloudWatchClient, stage: str, pointer: Pointer, *, moved: str, now: datetime
) -> LiveCalls:
    """Read how many calls each version answered, and how many of them broke its contract."""
    became_active = datetime.fromisoformat(moved)
    # An hour shows most; what has begun a few minutes ago is little of it.
    for back in (RECENT, OF_THE_ALARM):
        since = max(became_active, now - back).replace(second=0, microsecond=0)
        active = _count(client, stage, pointer.task, pointer.version, (since, now), 60)
        if active.many_broken or since <= became_active:
            break
    if pointer.previous is None:
        return LiveCalls(active=active, since=timestamp(since), previous=Calls(calls=0, broken=0))
    # By the hour: that is how long CloudWatch keeps what a version did months ago.
    hour = became_active.replace(minute=0, second=0, microsecond=0)
    its_time = (hour - ITS_OWN_TIME, hour + timedelta(hours=1))
    previous = _count(client, stage, pointer.task, pointer.previous.version, its_time, 3600)
    return LiveCalls(active=active, since=timestamp(since), previous=previous)


def _count(
    client: CloudWatchClient,
    stage: str,
    task: str,
    version: str,
    when: tuple[datetime, datetime],
    period: int,
) -> Calls:
    dimensions = zip(aws_names.CALL_DIMENSIONS, (stage, task, version), strict=True)
    metric: MetricTypeDef = {
        "Namespace": aws_names.calls_namespace(),
        "MetricName": aws_names.CALL_CONTRACT_FAILED,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
    }
    queries: list[MetricDataQueryTypeDef] = [
        {"Id": name, "MetricStat": {"Metric": metric, "Period": period, "Stat": statistic}}
        for name, statistic in (("broken", "Sum"), ("calls", "SampleCount"))
    ]
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=when[0], EndTime=when[1]
    )
    counts = {"broken": 0.0, "calls": 0.0}
    for page in pages:
        for result in page["MetricDataResults"]:
            counts[result["Id"]] += math.fsum(result["Values"])
    return Calls(calls=round(counts["calls"]), broken=round(counts["broken"]))


def decide_on_calls(
    context: AlarmContext, live: LiveCalls, *, stage: str, now: datetime
) -> Decision:
    """Return the decision on a task whose score does not decide."""
    decision = _judge(context, live, stage=stage, now=now)
    pointer = context.pointer
    if decision.action is Action.PAGE and any(
        event.code == decision.code
        and pointer is not None
        and event.reached == pointer.active
        and event.at >= timestamp(now - TOLD_FOR)
        for event in context.events
    ):
        return nothing("people-know", f"people were told within a day: {decision.reason}")
    return decision


def _judge(context: AlarmContext, live: LiveCalls, *, stage: str, now: datetime) -> Decision:
    pointer = context.pointer
    assert pointer is not None
    breach = f"{pointer.version} broke its contract in {live.active} since {live.since}"
    if not live.active.many_broken:
        return nothing(
            "calls-hold",
            f"{breach}: fewer than {aws_names.LEAST_BROKEN} or {aws_names.BROKEN_PERCENT} %; what "
            "broke was another version's, or is over",
        )
    evidence: dict[str, object] = {
        "alarm": aws_names.contract_alarm(stage, context.task),
        "calls": {"since": live.since, "active": asdict(live.active)},
    }
    blocked = blocked_way_back(context, pointer, breach, evidence)
    if blocked is not None:
        # Codes of their own: what people were told of scores says nothing of calls.
        return replace(blocked, code=f"calls-{blocked.code}")
    assert pointer.previous is not None
    previous = pointer.previous.version
    breach += f", and {previous} in {live.previous} of the week before it was replaced"
    evidence["calls"] = {"since": live.since} | {
        "active": asdict(live.active),
        "previous": asdict(live.previous),
    }
    if not breaks_more(live.active, live.previous):
        return nothing(
            "calls-not-worse",
            f"{breach}: so few calls, or so much alike, do not show that {pointer.version} does "
            "worse; looking again with the next sweep",
        )
    return _by_comparison(context, pointer, breach, evidence, now)


def _by_comparison(
    context: AlarmContext,
    pointer: Pointer,
    breach: str,
    evidence: Mapping[str, object],
    now: datetime,
) -> Decision:
    """Decide on what both versions did on the same examples, in the same minutes."""
    moved = moved_at(context, pointer)
    # Each comparison may err, too: there are only so many beside the runs of the schedule.
    speaks_for = timedelta(minutes=context.window.every_minutes * RUNS_A_COMPARISON)
    samples = [sample for sample in context.samples if sample.at >= moved]
    recent = [
        (sample, control)
        for sample in samples
        if sample.version == pointer.version
        and sample.at >= timestamp(now - speaks_for)
        and sample.evidence is not None
        and _speaks_of_contracts(sample.evidence, control := control_of(sample, pointer, samples))
    ]
    assert pointer.previous is not None
    previous = pointer.previous.version
    if not recent:
        return Decision(
            action=Action.COMPARE,
            code="calls-break-contract",
            reason=f"{breach}. The score watch is asked to measure both on the same examples now.",
            evidence=evidence,
        )
    active, control = recent[0]
    if control is None or control.evidence is None or active.evidence is None:
        return Decision(
            action=Action.PAGE,
            code="calls-without-control",
            reason=f"{breach}. {previous} could not be measured on the same examples, so nobody "
            "knows whether the version, its callers or the provider is to blame.",
            evidence=evidence,
        )
    evidence = {**evidence, "active": active.to_attributes(), "control": control.to_attributes()}
    found = (
        f"{breach}. On the same examples it broke {_of_answers(active.evidence)} and {previous} "
        f"{_of_answers(control.evidence)}"
    )
    compared = [
        sample.evidence
        for sample in reversed(samples)
        if sample.version == previous and sample.evidence is not None
    ]
    if not keeps_contract_better(compared, control.evidence.error):
        rounds = control.evidence.rounds
        if rounds < FOLLOW_UPS:
            return Decision(
                action=Action.PAGE,
                code="calls-comparison-broke-off",
                reason=f"{found}. The comparison broke off after {rounds} of "
                f"{wording.count(FOLLOW_UPS, 'fresh round')}, and so far it does not show that "
                f"{previous} would do better.",
                evidence=evidence,
            )
        return Decision(
            action=Action.PAGE,
            code="calls-not-reproduced",
            reason=f"{found}: that does not show that {previous} would do better. Callers may send "
            "what the examples have nothing of, or the provider changed.",
            evidence=evidence,
        )
    active_score = wording.score(active.score, control.score)
    if control.below_threshold:
        # It may score more than the active version all the same: a broken answer scores nothing.
        return Decision(
            action=Action.PAGE,
            code="calls-way-back-below-threshold",
            reason=f"{found}. But {previous} is below its own threshold there: "
            f"{in_words(control)}; {pointer.version} has {active_score}.",
            evidence=evidence,
        )
    # All comparisons are counted; the newest alone may say otherwise.
    scores = (
        f"answer by answer; the newest run has {wording.score(control.score, active.score)} and "
        f"{active_score}"
    )
    if math.fsum(part.won - part.lost for part in compared) < 0:
        return Decision(
            action=Action.PAGE,
            code="calls-way-back-scores-less",
            reason=f"{found}. But {previous} scores less there, {scores}.",
            evidence=evidence,
        )
    return Decision(
        action=Action.ROLL_BACK,
        code="breaks-its-contract",
        reason=f"{found}, which scores no less there, {scores}.",
        evidence=evidence,
    )


def _speaks_of_contracts(active: Evidence, control: ScoreSample | None) -> bool:
    """Whether a run is the comparison of contracts for its time, so that no other is asked for.

    One that was asked for is, however far it came: a provider that fails now and then would else be
    asked without a pause. One that a score has asked for ends when the score is clear, after one
    fresh round or two, and is one only where it was taken to its end.
    """
    if active.compared:
        return True
    if active.rounds == 1:
        return False
    found = None if control is None else control.evidence
    if found is None:
        return True
    return found.rounds >= FOLLOW_UPS or keeps_contract_better([found], found.error)


def _of_answers(evidence: Evidence) -> str:
    return f"{evidence.broke} of {evidence.answers}"


def ask_to_compare(bus: EventBridgeClient, stage: str, task: str) -> None:
    """Ask the score watch to measure `task` beside its way back; raises where nobody hears it."""
    answer = bus.put_events(
        Entries=[
            {
                "Source": aws_names.event_source(),
                "DetailType": aws_names.EVENT_COMPARE,
                "Detail": json.dumps({"stage": stage, "task": task}),
            }
        ]
    )
    (entry,) = answer["Entries"]
    if "EventId" not in entry:
        raise ConnectionError(f"EventBridge refused the event: {entry.get('ErrorMessage')}")
