"""A stage as a test says it is, and a repository beside it: what the console asks, without AWS."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from botocore.exceptions import ClientError
from fastapi.testclient import TestClient

from prompt_hub.console.pages import Console
from prompt_hub.console.stage import Action, Alarm, Execution, Recent, StageReader
from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import RESULTS_DIR, FolderResults, ReadableResults
from prompt_hub.gate.types import Status
from prompt_hub.ledger.items import (
    Event,
    EventKind,
    Notify,
    Pointer,
    ReleaseRef,
    ScoreSample,
    VersionRecord,
    VersionRef,
    VersionState,
    timestamp,
)
from prompt_hub.promotion.promoter import Promotion, TaskOutcome
from tests.unit.reporting.evaluations import Spec, written
from tests.unit.reporting.history import TASK

START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
EXECUTION = "0f0e1b7a-5a3c-4c52-9d0c-2f6f1d8a7b11"
SMALL = Spec(examples=24)
PORT = 7717
TOKEN = "t0ken" * 8
JUDGE = """\
schema: prompt-hub/prompt@1
task: brand-judge
version: 0.1.0
description: Grades brands.
model: {alias: catalogue-pinned, parameters: {temperature: 0}}
input:
  type: object
  required: [input, expected, answer]
  properties: {input: {type: string}, expected: {type: string}, answer: {type: string}}
output:
  type: object
  additionalProperties: false
  required: [grade]
  properties: {grade: {type: integer, minimum: 1, maximum: 5}, reason: {type: string}}
messages: [{role: user, content: "5 is the same, 1 another: {{ expected }} {{ answer }}"}]
"""
Browse = Callable[[Console], TestClient]
T = TypeVar("T")


def at(minutes: float) -> datetime:
    """A moment so many minutes after the test's stage began."""
    return START + timedelta(minutes=minutes)


def version(number: str) -> VersionRef:
    return VersionRef(version=number, sha256=f"{number:0>64}")


def sample(task: str, number: str, score: float, minutes: float) -> ScoreSample:
    return ScoreSample(
        task=task,
        version=number,
        score=score,
        threshold=0.8,
        n=48,
        interval=(max(score - 0.05, 0), min(score + 0.05, 1)),
        evaluation=f"round-{minutes}",
        at=timestamp(at(minutes)),
    )


def evidence(task: str, fallen: str, way_back: str, minutes: float) -> dict[str, object]:
    """What the rollback Lambda keeps of a round of the score watch that it decided on."""
    return {
        "alarm": aws_names.score_alarm("dev", task),
        "trigger": {"kind": "round", "at": ""},
        "active": sample(task, fallen, 0.58, minutes).to_attributes(),
        "control": sample(task, way_back, 0.86, minutes).to_attributes(),
    }


def event(task: str, revision: int, kind: EventKind, way: tuple[str, str], minutes: float) -> Event:
    left, reached = way
    return Event(
        task=task,
        revision=revision,
        kind=kind,
        left=version(left) if left else None,
        reached=version(reached),
        by="rollback" if kind is EventKind.ROLLED_BACK else "pipeline",
        code="fallen",
        reason=f"{left or reached} is below its threshold: 0.58 of 0.80",
        at=timestamp(at(minutes)),
        notify=Notify.SENT,
        evidence=evidence(task, left or reached, reached, minutes),
    )


def pointer(
    task: str, number: str, *, previous: str | None = None, frozen: bool = False
) -> Pointer:
    return Pointer(
        task=task,
        active=version(number),
        previous=version("0.9.0"),
        frozen=frozen,
        revision=9,
        changed_by="pipeline",
        reason="released",
        at=timestamp(at(0)),
        release=ReleaseRef(release="r-1", made_at=timestamp(at(0))),
    )


def denied(operation: str) -> ClientError:
    """What boto3 raises where a role may not ask; its words name the account."""
    text = "User: arn:aws:sts::111122223333:assumed-role/ann is not authorized"
    return ClientError({"Error": {"Code": "AccessDenied", "Message": text}}, operation)


class FakeStage(StageReader):
    """Answers what its fields say; what is in `broken` raises that instead."""

    def __init__(self, root: Path, tasks: Iterable[str] = (TASK,)) -> None:
        self.stage = "dev"
        self.asked: Counter[str] = Counter()
        self.broken: dict[str, Exception] = {}
        self.folder = FolderResults(root / RESULTS_DIR)
        self.all_pointers = {
            task: pointer(task, "1.2.0" if task == TASK else "1.0.0") for task in tasks
        }
        self.all_alarms: list[Alarm] = []
        self.all_recent: dict[str, Recent] = {}
        self.states: dict[str, VersionRecord] = {}
        self.usd: dict[str, float] = {}
        self.runs: list[Execution] = []
        self.done: list[Action] = []
        self.promoted: Promotion | None = None
        self.lines: list[str] = []

    def _answer(self, name: str, value: Callable[[], T]) -> T:
        self.asked[name] += 1
        if name in self.broken:
            raise self.broken[name]
        return value()

    def results(self) -> ReadableResults:
        return self._answer("results", lambda: self.folder)

    def pointers(self) -> dict[str, Pointer]:
        return self._answer("pointers", lambda: self.all_pointers)

    def recent(self, task: str, samples: int, events: int | None) -> Recent:
        return self._answer("recent", lambda: self.all_recent.get(task, Recent()))

    def versions(self, task: str) -> dict[str, VersionRecord]:
        return self._answer("versions", lambda: self.states)

    def alarms(self) -> tuple[Alarm, ...]:
        return self._answer("alarms", lambda: tuple(self.all_alarms))

    def spent(self, versions: Iterable[tuple[str, str]]) -> dict[str, float]:
        return self._answer("spent", lambda: self.usd)

    def executions(self) -> tuple[Execution, ...]:
        return self._answer("executions", lambda: tuple(self.runs))

    def actions(self, execution: str) -> tuple[Action, ...]:
        return self._answer("actions", lambda: tuple(self.done))

    def promotion(self, execution: str) -> Promotion | None:
        return self._answer("promotion", lambda: self.promoted)

    def log(self, build: str) -> tuple[str, ...]:
        return self._answer("log", lambda: tuple(self.lines))


def action(name: str, status: str = "Succeeded", *, category: str = "Build") -> Action:
    return Action(
        id=f"id-{name}",
        stage="Evaluate" if category == "Build" else "prod",
        name=name,
        category=category,
        status=status,
        started=at(100),
        updated=at(101),
        summary="exit status 1" if status == "Failed" else "",
        external=f"project:{name}" if category == "Build" else "",
    )


def add_judge(root: Path) -> None:
    """Write the draft of a judge, which has one example."""
    prompts = root / "prompts"
    (prompts / "00-templates" / "brand-judge.yaml").write_text(JUDGE)
    metadata = (prompts / "03-metadata" / f"{TASK}.yaml").read_text()
    (prompts / "03-metadata" / "brand-judge.yaml").write_text(metadata.replace(TASK, "brand-judge"))
    pair = {"input": "{}", "expected": "{}", "answer": "{}"}
    line = json.dumps({"id": "a", "input": pair, "expected": {"grade": 5}})
    (prompts / "01-examples" / "brand-judge.jsonl").write_text(line + "\n")


def lived_stage(root: Path, spec: Spec = SMALL, poison: str = "") -> Console:
    """A stage with one rollback behind it, one execution that waits, and one alarm; its console.

    `poison` stands wherever a text comes from outside.
    """
    written(root, spec)
    stage = FakeStage(root)
    scores = [0.93, 0.92, 0.94, 0.91, 0.62, 0.58]
    samples = [sample(TASK, "1.3.0", score, 15 * n) for n, score in enumerate(scores)]
    samples += [sample(TASK, "1.2.0", 0.86, 76), sample(TASK, "1.2.0", 0.87, 90)]
    rolled_back = event(TASK, 12, EventKind.ROLLED_BACK, ("1.3.0", "1.2.0"), 77)
    stage.all_recent[TASK] = Recent(
        samples=tuple(sorted(samples, key=lambda item: item.at)),
        events=(
            event(TASK, 7, EventKind.ACTIVATED, ("1.2.0", "1.3.0"), 1),
            Event(**{**vars(rolled_back), "reason": rolled_back.reason + poison}),
        ),
    )
    stage.states = {
        number: VersionRecord(
            task=TASK,
            version=number,
            sha256="a" * 64,
            state=state,
            by=f"rollback{poison}",
            reason=f"below its threshold{poison}",
            at=timestamp(at(77)),
        )
        for number, state in (
            ("1.3.0", VersionState.QUARANTINED),
            ("1.2.0", VersionState.ACTIVE),
        )
    }
    name = aws_names.score_alarm("dev", TASK)
    stage.all_alarms = [
        Alarm(name=name, reason=f"0.58{poison}", since=at(76)),
        Alarm(name="prompt-hub-dev-down", reason=f"3 of 3{poison}", since=at(80)),
    ]
    stage.usd = {TASK: 0.0421}
    stage.runs = [
        Execution(
            id=EXECUTION,
            status="InProgress",
            started=at(100),
            revision=f"5ddc7f08 Name the package{poison}",
        ),
        Execution(id="before-that", status="Succeeded", started=at(1), revision="1c0ffee5"),
    ]
    stage.done = [
        action(TASK),
        action("Tests", "Failed"),
        action("Approve", "InProgress", category="Approval"),
    ]
    stage.promoted = Promotion(
        schema_="prompt-hub/promotion@1",
        execution=EXECUTION,
        commit="5ddc7f08" + "0" * 32,
        released_commit="5ddc7f08" + "0" * 32,
        tasks={
            TASK: TaskOutcome(
                outcome="refused",
                version="1.3.0",
                status=Status.BLOCK,
                remembered=False,
                reasons=(f"score 0.690 is below the threshold 0.800{poison}",),
                author=f"Ann{poison}",
            )
        },
        at=at(101),
    )
    stage.lines = [f"line {n}{poison}" for n in range(80)]
    return Console(stage, root)
