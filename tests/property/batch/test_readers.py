"""Records as files hold them: quoting, byte order marks, bad rows among good ones."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.batch.records import records

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
TRICKY = st.text(st.sampled_from('ab ",\n\r'), max_size=8)
PLAIN = st.text(st.sampled_from("ab5 µ"), min_size=1, max_size=4)
QUOTING = st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
WIDTHS = st.integers(1, 3)


def tables(cells: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[str, ...]]]:
    return WIDTHS.flatmap(lambda wide: st.lists(st.tuples(*[cells] * wide), min_size=1, max_size=8))


def written(row: tuple[str, ...], quoting: int) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=quoting).writerow(row)  # type: ignore[arg-type]
    return text.getvalue()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables(CELLS | TRICKY), quoting=QUOTING)
def test_whatever_a_csv_writer_writes_comes_back(
    tmp_path: Path, rows: list[tuple[str, ...]], quoting: int
) -> None:
    table = [tuple("abc"[: len(rows[0])]), *rows]
    read = records(tmp_path / "parts.csv", "".join(written(row, quoting) for row in table))
    assert [record.values for record in read] == rows
    assert [record.problem for record in read] == [None] * len(rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(data=st.data(), plain=st.booleans(), quoting=QUOTING)
def test_a_broken_line_costs_no_record_but_its_own(
    tmp_path: Path, data: st.DataObject, plain: bool, quoting: int
) -> None:
    rows = data.draw(tables(PLAIN if plain else TRICKY))
    quoting = csv.QUOTE_MINIMAL if plain else quoting
    lines = [[*io.StringIO(written(row, quoting), newline="")] for row in rows]
    starts = [2 + sum(map(len, lines[:index])) for index in range(len(rows))]
    broken = data.draw(st.integers(0, len(rows) - 1))
    at = data.draw(st.integers(0, len(lines[broken]) - 1))
    end = re.search(r"[\r\n]+$", lines[broken][at])
    lines[broken][at] = data.draw(st.text(st.sampled_from('a",'), min_size=1, max_size=6)) + end[0]  # type: ignore[index]
    header = written(tuple("abc"[: len(rows[0])]), quoting)
    read = records(tmp_path / "parts.csv", header + "".join(map("".join, lines)))
    at_line = {record.line: record for record in read}
    for index, (row, start) in enumerate(zip(rows, starts, strict=True)):
        if index != broken and (plain or start in at_line):
            assert at_line[start].values == row
            assert at_line[start].problem is None
        elif index != broken:
            # Truly ambiguous: it lies inside of what is a whole record by all rules of CSV.
            around = max(line for line in at_line if line < start)
            assert at_line[around].problem is None
