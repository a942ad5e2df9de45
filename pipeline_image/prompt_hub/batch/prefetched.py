"""Records that are answered in the provider's batches, within a day and for less.

All answers are got before the first record is written. They lie in a store beside the output, each
under the number of its record, until every record has its line; the journal of the batches lies
beside them. So the same command finds what was paid for, whatever died in between.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from prompt_hub.batch.backends import LocalBackend
from prompt_hub.batch.mapping import RecordError
from prompt_hub.batch.readers import Record
from prompt_hub.batch.run_manifest import Spent
from prompt_hub.batch.runner import RecordMapper
from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.batch_journal import JOURNAL, BatchJournal
from prompt_hub.evaluation.budgeted_client import BudgetedClient
from prompt_hub.evaluation.cache import ResponseStore
from prompt_hub.evaluation.prefetch import BatchPrefetcher
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.response import Answer
from prompt_hub.repository.rendering import RenderError
from prompt_hub.repository.schema import Budget, JsonObject, Prompt

_UNBOUNDED = Budget(calls=2**53, tokens=2**53, usd=1e12, seconds=1e12)
"""A run is held to `records.budget` before its first call, and by nothing later."""


def store_beside(output: Path) -> Path:
    """Return the folder of a run's batches and their answers."""
    return output.with_name(f"{output.name}.batches")


def require_no_batches(output: Path) -> None:
    """Raise `PromptHubError` where an earlier run has paid for batches of this output."""
    folder = store_beside(output)
    if folder.exists():
        raise PromptHubError(
            f"an earlier run of {output} asked for batches, whose answers belong in {folder}.",
            hint="Go on with --backend batch, or delete that folder and pay for them again.",
        )


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """The records that have no line yet."""

    records: Callable[[], Iterable[Record]]
    finished: Container[int]
    limit: int | None

    def __iter__(self) -> Iterator[Record]:
        for record in islice(self.records(), self.limit):
            if record.number not in self.finished:
                yield record


class PrefetchedBackend(LocalBackend):
    """Calls the prompt from this process, from what batches have brought where they did."""

    def __init__(
        self,
        prompt: Prompt,
        client: ModelClient,
        *,
        timeout: float,
        output: Path,
        say: Callable[[str], None],
    ) -> None:
        """Answer with `prompt`; what batches bring is kept beside `output`."""
        super().__init__(prompt, client, timeout=timeout)
        self._say = say
        self._folder = store_beside(output)
        self.earlier = self._folder.exists()
        """Whether an earlier run has left answers here."""
        self._store = ResponseStore(self._folder)
        self._budgeted = BudgetedClient(
            client,
            budget=_UNBOUNDED,
            seconds_per_call=timeout,
            store=self._store,
            # Each record is a question of its own.
            repeats_greedy=True,
            # There is no budget that they could overshoot.
            asks_ahead=False,
        )
        self._prefetcher = BatchPrefetcher(self._budgeted, say)

    def at_batch_price(self, expected: Spent) -> Spent:
        """Return what a run will cost if it is asked in batches; how long it takes is unknown."""
        model = self._client.resolve(self._prompt)
        factor = self._prefetcher.discount(model, expected.calls, [expected.calls])
        usd = None if expected.usd is None else expected.usd * factor
        return expected.model_copy(update={"usd": usd, "seconds": None})

    async def fetch(
        self,
        records: Callable[[], Iterable[Record]],
        mapper: RecordMapper,
        finished: Container[int],
        limit: int | None,
    ) -> None:
        """Get the answers to the first `limit` records, but for those that are finished.

        Raises `PromptHubError` for settings or files that stand in the way.
        """
        wanted = _Wanted(records=records, finished=finished, limit=limit)

        def questions() -> Iterator[tuple[JsonObject, int]]:
            for record in wanted:
                try:
                    fields = mapper.fields(record)
                    self._client.request(self._prompt, fields)
                except (RecordError, RenderError):
                    continue  # It gets a line that says so, when its turn comes.
                yield fields, record.number

        await self._prefetcher.fetch([(self._prompt, questions)])

    def close(self) -> None:
        """Give the files back."""
        self._prefetcher.close()
        self._store.close()

    def forget(self, *, whole: bool) -> None:
        """Delete what was stored, for every record has its line; people hear of open batches.

        Unless the `whole` input was read, what an earlier run has left stays: it may have asked for
        records that this one leaves out.

        Open batches are of another version, which was asked before: what they bring belongs nowhere
        now, and as long as they are under way the provider works on them.
        """
        self.close()
        if self.earlier and not whole:
            self._say(f"{self._folder} stays: an earlier run may have paid for more records.")
            return
        open_batches: list[str] = []
        for cache_file in self._folder.glob("*/*.jsonl"):
            if cache_file.name.endswith(JOURNAL):
                continue
            journal = BatchJournal(cache_file)
            journal.close()
            open_batches += (batch.id or f"one tagged {batch.tag}" for batch in journal.open)
            if not journal.open:
                cache_file.unlink()
                journal.path.unlink()
        if open_batches:
            self._say(
                f"another version was asked before, in batches that may still be under way:"
                f" {', '.join(open_batches)}. Cancel them at the provider, as nothing needs their"
                f" answers, and delete {self._folder}."
            )
        for folder in (*self._folder.iterdir(), self._folder):
            with suppress(OSError):  # What is open stays.
                folder.rmdir()

    async def _ask(self, fields: JsonObject, record: int) -> Answer:
        try:
            return await self._budgeted.ask(self._prompt, fields, repeat=record)
        except ModelUnavailableError as error:
            if error.of_request:
                # The model is there. Whether it refuses all that it is asked, the run finds out.
                self._budgeted.session(self._prompt).consecutive_failures = 0
            raise
