"""A stage in memory whose clock stands, and the score watch in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from prompt_hub.core.errors import ExitCode
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.ledger.rounds import WatchRounds
from prompt_hub.llm.client import ModelClient
from prompt_hub.monitoring.watch import ScoreWatch
from prompt_hub.release.manifest import load
from prompt_hub.repository.schema import JsonObject
from tests.unit.building import RepositoryFolder, catalogue_answer
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.providers import ALIASES, FunctionProvider

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef
    from mypy_boto3_dynamodb import DynamoDBClient

DECIDES_AFTER = 4
"""Looks of the watch until a rollback is decided."""
START = datetime(2026, 11, 3, 9, 3, 20, tzinfo=UTC)


@dataclass
class Metrics:
    """What CloudWatch was sent."""

    data: list[MetricDatumTypeDef] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    """How many data each request had."""

    def put_metric_data(self, *, Namespace: str, MetricData: Iterable[MetricDatumTypeDef]) -> None:  # noqa: N803
        before = len(self.data)
        self.data += MetricData
        self.requests.append(len(self.data) - before)

    def tasks(self, metric: str) -> list[str]:
        """Tasks that a metric came for, without those by version; of the stage alone, empty."""
        found = []
        for datum in self.data:
            names = {entry["Name"]: entry["Value"] for entry in datum.get("Dimensions", ())}
            if datum["MetricName"] == metric and "Version" not in names:
                found.append(names.get("Task", ""))
        return sorted(found)


class Stage:
    """A stage whose clock stands until a test moves it."""

    def __init__(self, folder: RepositoryFolder, results: Path) -> None:
        self.folder = folder
        self.release = load(folder.root)
        self.ledger = FakeLedger()
        self.metrics = Metrics()
        self.now = START
        self.results = FolderResults(results)
        self.answer: Callable[[list[dict[str, str]]], JsonObject | str | None] = catalogue_answer
        self.said: list[str] = []
        self.asked: list[tuple[str, int, int]] = []
        """For which tasks a rollback was asked, with the samples and metrics that were there."""
        self.reached = True
        self.waits: list[float] = []
        self.decides: Callable[[], object] | None = None
        """What is decided on a round, while the watch waits for it."""
        self.provider = FunctionProvider(lambda messages: self.answer(messages))

    @property
    def rounds(self) -> WatchRounds:
        return WatchRounds(cast("DynamoDBClient", self.ledger.table), "ledger")

    @property
    def watch(self) -> ScoreWatch:
        return ScoreWatch(
            stage="dev",
            repository=self.folder.repository,
            release=self.release,
            ledger=self.ledger,
            rounds=self.rounds,
            results=self.results,
            caller=ModelClient(ALIASES, self.provider),
            cloudwatch=cast("CloudWatchClient", self.metrics),
            ask_for_rollback=self._ask,
            say=self.said.append,
            clock=lambda: self.now,
            sleep=self._sleep,
        )

    def _ask(self, task: str) -> bool:
        self.asked.append((task, len(self.ledger.samples(task, 10)), len(self.metrics.data)))
        return self.reached

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if self.decides is not None and len(self.waits) == DECIDES_AFTER:
            self.decides()

    def move(self, task: str, version: str) -> None:
        carried = self.release.tasks[task].version(version)
        assert carried is not None
        self.ledger.move(carried.reference, task)

    def due(self) -> ExitCode:
        self.said.clear()
        self.metrics.data.clear()
        return asyncio.run(self.watch.measure_due())

    def measured(self) -> list[str]:
        """Tasks whose samples the run has added, in order."""
        return [line.split(":")[0] for line in self.said if ": published the margin" in line]
