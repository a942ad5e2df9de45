"""An evaluation of `part-class` on a server of batches, and what goes wrong in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from prompt_hub.core import aws_names
from prompt_hub.evaluation import batch_provider
from prompt_hub.evaluation.cache import CACHE_DIR, ResponseStore
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.llm.retry import Retries
from tests.unit.building import COMMIT, RepositoryFolder
from tests.unit.llm.batch_server import BatchServer, Fault


@dataclass
class Run:
    """An evaluation of `part-class`, its record and its details."""

    record: EvaluationRecord
    details: str
    said: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        return "\n".join(self.said)

    @property
    def reasons(self) -> str:
        return "; ".join(self.record.verdict.reasons)


def evaluate(
    folder: RepositoryFolder,
    server: BatchServer,
    *,
    in_batches: bool = True,
    fresh: bool = False,
    **settings: object,
) -> Run:
    said: list[str] = []
    results = FolderResults(folder.root / ".prompt-hub/results")

    async def main() -> EvaluationRecord:
        store = ResponseStore(folder.root / CACHE_DIR, fresh=fresh)
        aliases = ModelAliases.parse(server.models(**settings))
        async with ModelClient(aliases, retries=Retries(first=0.0001)) as caller:
            evaluator = Evaluator(
                folder.repository,
                caller,
                results,
                execution="local",
                commit=COMMIT,
                store=store,
                fresh=fresh,
                in_batches=in_batches,
                say=said.append,
            )
            try:
                return await evaluator.evaluate("part-class")
            finally:
                store.close()

    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(batch_provider, "FIRST_PAUSE", 0.002)
        record = asyncio.run(main())
    details = results.get(aws_names.evaluation_details_key("local", "part-class")) or ""
    return Run(record, details, said)


def first_batch(fault: Fault, *, every: int = 1) -> Callable[[str, int], Fault]:
    """Let every so many questions of the first batch go wrong."""
    seen: list[str] = []

    def faults(question: str, batch: int) -> Fault:
        if batch > 1:
            return ""
        seen.append(question)
        return fault if len(seen) % every == 0 else ""

    return faults
