"""Records in, lines out: bounded, in any order, each finished record journalled at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from pydantic import JsonValue

from prompt_hub.batch.backends import Backend, RecordAnswer
from prompt_hub.batch.cells import is_blank
from prompt_hub.batch.journal import Journal
from prompt_hub.batch.mapping import RecordError, assign, names_of, no_record, to_fields
from prompt_hub.batch.numbers import NumberReader
from prompt_hub.batch.output_lines import usage_to_json
from prompt_hub.batch.readers import Record
from prompt_hub.core.bounded import Bounded
from prompt_hub.core.concurrency import map_concurrently
from prompt_hub.core.errors import PromptHubError
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.response import Usage
from prompt_hub.repository.contracts import properties, schema_problem
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import JsonObject

logger = logging.getLogger(__name__)

GIVE_UP_AFTER = 3
"""So many records without an answer, one after the other, mean that the model is gone."""
REFUSED_IN_A_ROW = 100
"""After so many refused requests without an answer between them an example of the task is asked."""
ASKED_AGAIN = 10
"""So many records without an answer are asked once more at the end of a run: it ends in time."""
HEADERS = 1000
"""So many headers are remembered: a table has one, and of JSON lines each may have its own."""


@dataclass
class BatchStats:
    """What became of the records.

    `resumed` of them were finished by an earlier run; `blank` rows ask nothing and do not count.
    """

    records: int = 0
    answered: int = 0
    failed: int = 0
    resumed: int = 0
    blank: int = 0
    unanswered: int = 0
    reason: str = ""


class _Header(NamedTuple):
    """What is known of the columns of a record."""

    places: dict[str, int]
    """Which of them holds each field."""
    names: dict[int, set[str]]
    """What each of these may be called, normalised."""


class RecordMapper:
    """Turns records into the fields of one task, remembering where each header's columns go."""

    def __init__(
        self,
        columns: Mapping[str, Sequence[str]],
        schema: JsonObject,
        numbers: NumberReader | None = None,
    ) -> None:
        self._columns = columns
        self._schema = schema
        self._numbers = numbers or NumberReader()
        self._headers: Bounded[tuple[str, ...], _Header] = Bounded(HEADERS)

    def places(self, header: tuple[str, ...]) -> Mapping[str, int]:
        """Which column of `header` holds each field; raises `RecordError`."""
        return self._known(header).places

    def _known(self, header: tuple[str, ...]) -> _Header:
        known = self._headers.get(header)
        if known is None:
            places = assign(header, self._columns, self._schema)
            names = {place: names_of(field, self._columns) for field, place in places.items()}
            known = _Header(places, names)
            self._headers.put(header, known)
        return known

    def asks_nothing(self, row: Record) -> bool:
        """Whether every cell that belongs to a field is blank, whatever other columns hold."""
        if row.problem is not None:
            return False
        try:
            places = self.places(row.columns)
        except RecordError:
            return row.blank
        return (
            all(is_blank(row.values[place]) for place in places.values()) if places else row.blank
        )

    def fields(self, record: Record) -> JsonObject:
        """Fields that fit the input schema; raises `RecordError`."""
        if record.problem is not None:
            raise RecordError(record.problem)
        places, names = self._known(record.columns)
        what = no_record(record.columns, record.values, len(properties(self._schema)), names)
        try:
            fields = to_fields(record.values, places, self._schema, self._numbers)
        except RecordError as error:
            raise RecordError(f"{error}; {what}" if what else str(error)) from None
        if what:
            raise RecordError(what)
        if places and all(value is None for value in fields.values()):
            raise RecordError("none of its fields has a value")
        problem = schema_problem(fields, self._schema)
        if problem is not None:
            raise RecordError(problem)
        return fields


@dataclass
class Runner:
    """One run over the records of a file.

    `say` is told of every record that fails; `progress` after every record. `example` finds the
    fields of a record that the model is known to take: where it refuses all others, it is asked
    about this one. Where one is answered and a record is not, it is the record's fault.

    Nobody is told of a record where a log keeps what is said (`logged`), and the reason why records
    have no answer is without the provider's words: a log has no value and no answer.
    """

    mapper: RecordMapper
    backend: Backend
    journal: Journal
    concurrency: int
    say: Callable[[str], None]
    progress: Callable[[BatchStats], None]
    example: Callable[[], JsonObject | None] = lambda: None
    logged: bool = False
    asks_again: bool = True
    """Whether what had no answer is asked once more. Not where answers are stored: that of an
    example says nothing of now."""
    stats: BatchStats = field(default_factory=BatchStats)
    last: int = 0
    """Number of the last record that was read."""
    _silent: int = 0
    _refused: list[tuple[Record, JsonObject, RecordAnswer]] = field(default_factory=list)
    """Records whose request was refused since the last answer, with their fields and why."""
    _refuses_all: bool = False
    _unheard: list[tuple[Record, JsonObject]] = field(default_factory=list)
    """Some of the records without an answer, with their fields."""

    async def run(self, records: Iterator[Record], limit: int | None = None) -> BatchStats:
        """Answer the first `limit` records; those that the journal has are left alone.

        A record that the model did not answer gets no line, so that the next run asks again; after
        `GIVE_UP_AFTER` of them in a row the rest is not asked. One whose request is refused while
        others are answered gets a line with an error: no run would end that has such a record.
        So does one without an answer, where it has none at the end either and an example has one.
        Where very many are refused in a row, an example tells a model that refuses all.
        """
        await map_concurrently(self._wanted(records, limit), self._one, self.concurrency)
        few = self._refused and not self._refuses_all
        if few and (self.journal.has_answers or await self._answers_example()):
            self._write_refused()
        self.stats.unanswered += len(self._refused)
        if self._unheard and self.asks_again:
            await self._ask_again()
        return self.stats

    async def _ask_again(self) -> None:
        """Ask once more about records without an answer; stop where it is an outage."""
        if not await self._answers_example(with_output=True):
            return
        for record, fields in self._unheard:
            try:
                answer = await self.backend.answer(fields, record.number)
            except ModelUnavailableError as error:
                answer = self._without_output(error.message, error.usage)
                # An outage may have begun again between the example and the record.
                if not await self._answers_example(with_output=True):
                    return
            self.stats.unanswered -= 1
            self._write(record, fields, answer)

    async def _answers_example(self, *, with_output: bool = False) -> bool:
        """Whether the model answers at all, so that what it refuses is the fault of a record.

        Where no example can be asked about, the records before tell. With an output it is there
        beyond doubt: an error may come without a call, and the records before say nothing of now.
        """
        fields = await asyncio.to_thread(self.example)
        if fields is None:
            return self.journal.has_answers and not with_output
        try:
            answer = await self.backend.answer(fields)
        except ModelUnavailableError:
            # Its words may quote what was sent.
            logger.info("an example of the task has no answer either")
            return False
        return answer.output is not None or not with_output

    def _wanted(self, records: Iterator[Record], limit: int | None) -> Iterator[Record]:
        """Yield the records that have no line yet; those that have one are counted."""
        finished, failed = self.journal.finished, self.journal.failed
        for record in records:
            if limit is not None and self.stats.records >= limit:
                return
            self.last = record.number
            self.stats.records += 1
            if record.number in finished:
                self.stats.resumed += 1
                self.stats.failed += record.number in failed
                self.stats.answered += record.number not in failed
            else:
                yield record

    async def _one(self, record: Record) -> None:
        if self._silent >= GIVE_UP_AFTER or self._refuses_all:
            self.stats.unanswered += 1
            return
        try:
            fields = self.mapper.fields(record)
        except RecordError as error:
            raw = _as_it_came(record)
            self._write(record, raw, self._without_output(str(error)), asked=False)
            return
        try:
            reply = await self.backend.answer(fields, record.number)
        except ModelUnavailableError as error:
            self.stats.reason = error.public_message if self.logged else error.message
            if error.of_request:
                answer = self._without_output(error.message, error.usage)
                self._refused.append((record, fields, answer))
                if len(self._refused) == REFUSED_IN_A_ROW:
                    self._refuses_all = not await self._answers_example()
                    if not self._refuses_all:
                        self._write_refused()
                return
            self._silent += 1
            self.stats.unanswered += 1
            if len(self._unheard) < ASKED_AGAIN:
                self._unheard.append((record, fields))
            logger.info("record %d: no answer, %d in a row", record.number, self._silent)
            return
        self._silent = 0
        self._write_refused()
        self._write(record, fields, reply)

    def _without_output(self, error: str, usage: Usage | None = None) -> RecordAnswer:
        answered_by = self.backend.answered_by
        return RecordAnswer(output=None, error=error, answered_by=answered_by, usage=usage)

    def _write_refused(self) -> None:
        """Give every record that was refused its line."""
        refused, self._refused = self._refused, []
        for record, fields, answer in refused:
            self._write(record, fields, answer)

    def _write(
        self, record: Record, fields: JsonObject, answer: RecordAnswer, *, asked: bool = True
    ) -> None:
        problem = answer.error and f"{record.place}: {answer.error}"
        line: dict[str, JsonValue] = {
            "record": record.number,
            "input": fields,
            "output": answer.output,
            "error": problem,
            "usage": usage_to_json(answer.usage),
            **asdict(answer.answered_by),
        }
        if not asked:
            # A repair leaves such a line alone: its input is what came, and no fields.
            line["asked"] = False
        if answer.trace_id is not None:
            line["trace_id"] = answer.trace_id
        self.journal.append(line)
        logger.debug("record %d: %s", record.number, "failed" if problem else "answered")
        if problem:
            self.stats.failed += 1
            if not self.logged:
                self.say(problem)
        else:
            self.stats.answered += 1
        self.progress(self.stats)


def known_example(
    repository: PromptRepository, task: str, contract: JsonObject
) -> JsonObject | None:
    """Return the fields of the first example of a task that fit `contract`; None without one."""
    inputs = (example.input for example in repository.stream_examples(task))
    try:
        return next((each for each in inputs if schema_problem(each, contract) is None), None)
    except PromptHubError as error:
        logger.warning("%s So the model is not asked about an example.", error)
        return None


def _as_it_came(record: Record) -> JsonObject:
    """Return a record's values by column; of columns with one name all are kept."""
    raw: JsonObject = {}
    for place, (name, value) in enumerate(zip(record.columns, record.values, strict=True), 1):
        raw[f"{name} (column {place})" if name in raw else name] = value
    return raw
