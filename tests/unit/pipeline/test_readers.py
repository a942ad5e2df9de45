"""Records as files hold them: quoting, byte order marks, bad rows among good ones."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_hub.errors import PromptHubError
from prompt_hub.pipeline.readers import Record, read_records


def records(path: Path, content: bytes | str) -> list[Record]:
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return list(read_records(path))


def test_a_table_with_byte_order_mark_quotes_and_blank_lines(tmp_path: Path) -> None:
    content = '\ufeffMPN,Title\r\nA-1,"5 V, 1 A ""slim""\r\nregulator"\r\n\r\nB-2,Ω\r\n'
    first, second = records(tmp_path / "parts.csv", content)
    assert first.columns == ("MPN", "Title")
    assert first.values == ("A-1", '5 V, 1 A "slim"\r\nregulator')
    assert (first.number, first.line) == (1, 2)
    assert (second.number, second.line, second.values) == (2, 5, ("B-2", "Ω"))


def test_a_tab_separated_table(tmp_path: Path) -> None:
    assert records(tmp_path / "parts.tsv", "MPN\tTitle\nA-1\t1,5 kΩ\n")[0].values == (
        "A-1",
        "1,5 kΩ",
    )


def test_a_row_of_another_width_does_not_stop_the_next(tmp_path: Path) -> None:
    short, long, good = records(tmp_path / "parts.csv", "a,b\n1\n1,2,3\n1,2\n")
    assert short.problem == "1 cells, where the header has 2"
    assert long.problem == "3 cells, where the header has 2"
    assert (good.problem, good.line) == (None, 4)


def test_a_row_that_is_not_utf8_does_not_stop_the_next(tmp_path: Path) -> None:
    bad, good = records(tmp_path / "parts.csv", b"a\n10 \xb5F\n10 uF\n")
    assert (bad.problem, bad.line) == ("not UTF-8 text", 2)
    assert good.values == ("10 uF",)


def test_a_broken_quote_is_said_with_its_line(tmp_path: Path) -> None:
    bad, good = records(tmp_path / "parts.csv", 'a\n"x"y\nz\n')
    assert bad.line == 2
    assert bad.problem is not None
    assert "broken quoting" in bad.problem
    assert good.values == ("z",)


def test_a_quote_that_never_ends_is_a_bad_row(tmp_path: Path) -> None:
    [bad] = records(tmp_path / "parts.csv", 'a\n"x\ny\n')
    assert bad.line == 2
    assert bad.problem is not None


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfea\x00,\x00"])
def test_a_table_without_a_header_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(PromptHubError, match="no header"):
        records(tmp_path / "parts.csv", content)


def test_json_lines_with_bad_ones_among_them(tmp_path: Path) -> None:
    content = (
        b'\xef\xbb\xbf{"MPN": "A-1", "Stock": 3}\n\nnonsense\n[1]\n{"a": NaN}\n\xff\n{"MPN": 2}'
    )
    good, broken, no_object, not_json, not_text, last = records(tmp_path / "parts.jsonl", content)
    assert (good.columns, good.values, good.line) == (("MPN", "Stock"), ("A-1", 3), 1)
    assert broken.problem is not None
    assert (broken.number, broken.line) == (2, 3)
    assert no_object.problem == "not a JSON object"
    assert not_json.problem is not None
    assert "NaN" in not_json.problem
    assert not_text.problem == "not UTF-8 text"
    assert (last.number, last.values) == (6, (2,))


def test_line_separators_inside_a_json_string_end_no_record(tmp_path: Path) -> None:
    text = json.dumps({"title": "a\u2028b\u0085c"}, ensure_ascii=False)
    [record] = records(tmp_path / "parts.jsonl", text + "\n")
    assert record.values == ("a\u2028b\u0085c",)


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    [record] = records(tmp_path / "parts.jsonl", '{"title": "\\ud83d"}\n')
    assert record.problem is not None
    assert "half a character" in record.problem


def test_an_unknown_kind_of_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptHubError, match=r"'\.xlsx' is not one of"):
        records(tmp_path / "parts.xlsx", b"")


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=8))
def test_whatever_a_csv_writer_quotes_comes_back(
    tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    read = records(tmp_path / "parts.csv", text.getvalue())
    assert [record.values for record in read] == rows
    assert [record.problem for record in read] == [None] * len(rows)
