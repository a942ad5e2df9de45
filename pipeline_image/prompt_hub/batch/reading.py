"""How the records of one file become fields of a task: layout, mapping and numbers together."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from prompt_hub.batch.forecast import Forecast
from prompt_hub.batch.layout import Layout, find_layout
from prompt_hub.batch.mapping import RecordError, assign
from prompt_hub.batch.numbers import NumberReader
from prompt_hub.batch.readers import Record, read_records
from prompt_hub.batch.runner import RecordMapper
from prompt_hub.core.hashing import sha256_of
from prompt_hub.repository.reader import METADATA
from prompt_hub.repository.schema import JsonObject, Records

OF_THE_RUN = {"budget", "versions", "formats", "repair"}
"""Settings that change nothing about how a record is read."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How one file is read."""

    path: Path
    layout: Layout
    mapper: RecordMapper
    mapping: str
    """Hash of what makes fields of records."""

    @classmethod
    def of(cls, path: Path, records: Records, contract: JsonObject, task: str) -> Reading:
        """Find out how `path` is read; raises what `find_layout` does."""

        def check(header: tuple[str, ...]) -> Collection[str]:
            return assign(header, records.columns, contract)

        layout = find_layout(path, records, check, settings_file(task))
        return cls(
            path=path,
            layout=layout,
            mapper=mapper_of(records, contract, comma_decimals=comma_decimals(layout)),
            mapping=mapping_sha256(records, contract),
        )

    def records(self) -> Iterator[Record]:
        """Yield the records, from the first on each time; rows that ask nothing are left out."""
        return (row for row in self.rows() if not self.mapper.asks_nothing(row))

    def rows(self) -> Iterator[Record]:
        """Yield all rows, those included that ask nothing."""
        return read_records(self.path, self.layout)


def settings_file(task: str) -> str:
    """Return where a task's `records` stand."""
    return f"{METADATA}/{task}.yaml"


def comma_decimals(layout: Layout) -> bool:
    """Whether a file's form makes a comma a decimal mark."""
    return layout.separator == ";"


def mapper_of(records: Records, contract: JsonObject, *, comma_decimals: bool) -> RecordMapper:
    """Return what makes fields of records."""
    numbers = NumberReader(records.numbers, comma_too=comma_decimals)
    return RecordMapper(records.columns, contract, numbers)


def mapping_sha256(records: Records, contract: JsonObject) -> str:
    """Hash what makes fields of records; settings that are left out do not count."""
    how = records.model_dump(mode="json", exclude_defaults=True, exclude={"columns", *OF_THE_RUN})
    return sha256_of(
        {"columns": records.columns, "contract": contract, **({"records": how} if how else {})}
    )


@dataclass
class Survey:
    """What was counted before the first call."""

    records: int = 0
    blank: int = 0
    unreadable: int = 0


def survey(
    reading: Reading,
    forecast: Forecast | None,
    *,
    limit: int | None = None,
) -> Survey:
    """Count the records of a file and their calls."""
    counts = Survey()
    for row in reading.rows():
        if counts.records == limit:
            break
        if reading.mapper.asks_nothing(row):
            counts.blank += 1
            continue
        counts.records += 1
        try:
            fields = reading.mapper.fields(row)
        except RecordError:
            counts.unreadable += 1
        else:
            if forecast is not None:
                forecast.add(fields)
    return counts
