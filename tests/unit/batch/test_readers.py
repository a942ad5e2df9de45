"""Records as files hold them: quoting, byte order marks, bad rows among good ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.batch.layout import find_layout
from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.schema import Records
from tests.unit.batch.records import records


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
    assert short.problem == "1 cell, where the header has 2"
    assert long.problem == "3 cells, where the header has 2"
    assert (good.problem, good.line) == (None, 4)


def test_a_row_that_is_not_utf8_does_not_stop_the_next(tmp_path: Path) -> None:
    bad, good = records(tmp_path / "parts.csv", b"a\n10 \xb5F\n10 uF\n")
    assert bad.problem == "not UTF-8 text: save the file as UTF-8, or state records.encoding"
    assert bad.line == 2
    assert good.values == ("10 uF",)


def test_a_broken_quote_is_said_with_its_line(tmp_path: Path) -> None:
    bad, good = records(tmp_path / "parts.csv", 'a\n"x"y\nz\n')
    assert bad.line == 2
    assert bad.problem is not None
    assert "broken quoting" in bad.problem
    assert good.values == ("z",)


@pytest.mark.parametrize("last", ["P9,end\n", 'P9,"end, quoted"\n', 'P9,"",too wide\n'])
def test_a_quote_that_never_ends_costs_its_own_record_only(tmp_path: Path, last: str) -> None:
    rows = [f"P{number},title {number}\n" for number in range(20_000)]
    content = "".join(["mpn,title\n", "A1,good\n", 'A2,"1/4 inch, steel\n', *rows, last])
    good, bad, *rest = records(tmp_path / "parts.csv", content)
    assert good.values == ("A1", "good")
    assert (bad.number, bad.line, bad.values) == (2, 3, ())
    assert "broken quoting" in str(bad.problem)
    assert "a quoted cell runs on to line" in str(bad.problem)
    assert [record.line for record in rest] == list(range(4, 20_005))
    assert all(record.problem is None for record in rest[:-1])
    assert rest[19_999].values == ("P19999", "title 19999")


def test_a_record_that_a_stray_quote_made_too_wide_gives_its_lines_back(tmp_path: Path) -> None:
    content = 'mpn,title\nA2,"1/4 inch\nP1,t1\nP2 5",t2\nP3,t3\n'
    bad, *rest = records(tmp_path / "parts.csv", content)
    assert bad.problem == "3 cells, where the header has 2 (a quoted cell runs on to line 4)"
    assert [record.values for record in rest] == [("P1", "t1"), ('P2 5"', "t2"), ("P3", "t3")]


def test_memory_is_bounded_when_every_line_leaves_a_quote_open(tmp_path: Path) -> None:
    # Seen from inside a quoted cell, each of these closes it and opens another: no cell is long.
    line = '5","' + "x" * 1_000 + "\n"
    first, *rest = records(tmp_path / "parts.csv", "a,b\n" + line * 300)
    assert "more than 131072 characters in a record" in str(first.problem)
    assert "runs on to line 133)" in str(first.problem)
    assert len(rest) == 299


def test_a_nul_character_is_no_text(tmp_path: Path) -> None:
    bad, good = records(tmp_path / "parts.csv", "a,b\n1\0,2\n1,2\n")
    assert bad.problem == "a NUL character, which no text has"
    assert good.values == ("1", "2")


@pytest.mark.parametrize("name", ["parts.csv", "parts.jsonl"])
@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-16-be", "is UTF-16, or no text at all"),
        ("utf-16-le", "is UTF-16, or no text at all"),
        ("utf-32", "is UTF-32"),
    ],
)
def test_other_kinds_of_unicode_are_named(
    tmp_path: Path, name: str, encoding: str, words: str
) -> None:
    with pytest.raises(PromptHubError, match=rf"{words}\. Save it as UTF-8"):
        records(tmp_path / name, '{"MPN": "Ω"}\n'.encode(encoding))


def test_old_line_ends_and_odd_columns(tmp_path: Path) -> None:
    first, last = records(tmp_path / "parts.csv", "a,a\r1,2\r3,4\r")
    assert (first.columns, first.values, first.line) == (("a", "a"), ("1", "2"), 2)
    assert (last.values, last.line) == (("3", "4"), 3)


def test_the_header_is_known_before_the_records(tmp_path: Path) -> None:
    table, lines = tmp_path / "parts.csv", tmp_path / "parts.jsonl"
    table.write_text('"MPN"," Title"\nbroken"')
    lines.write_text("[]")
    assert find_layout(table, Records()).header == ("MPN", "Title")
    assert find_layout(lines, Records()).header is None


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a,\xb5\n", b'a,"b\n'])
def test_a_table_without_a_header_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(PromptHubError, match="no header"):
        records(tmp_path / "parts.csv", content)


def test_json_lines_with_bad_ones_among_them(tmp_path: Path) -> None:
    content = (
        b'\xef\xbb\xbf{"MPN": "A-1", "Stock": 3}\n\nnonsense\n[1]\n{"a": NaN}\n\xff\n{"MPN": 2}'
    )
    good, broken, no_object, not_json, not_text, last = records(tmp_path / "parts.jsonl", content)
    assert (good.columns, good.values, good.line) == (("MPN", "Stock"), ("A-1", 3), 1)
    assert broken.problem == "not JSON: Expecting value at character 1"
    assert (broken.number, broken.line) == (2, 3)
    assert no_object.problem == "not a JSON object"
    assert not_json.problem is not None
    assert "NaN" in not_json.problem
    assert not_text.problem is not None
    assert not_text.problem.startswith("not UTF-8 text")
    assert (last.number, last.values) == (6, (2,))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"MPN": "A-', "Unterminated string starting at character 9"),
        ('{"MPN": "A\t1"}', "Invalid control character at character 11"),
    ],
)
def test_a_line_that_ends_in_the_middle_of_a_text_says_where(
    tmp_path: Path, text: str, problem: str
) -> None:
    [record] = records(tmp_path / "parts.jsonl", text)
    assert record.problem == f"not JSON: {problem}"


def test_line_separators_inside_a_json_string_end_no_record(tmp_path: Path) -> None:
    text = json.dumps({"title": "a\u2028b\u0085c"}, ensure_ascii=False)
    [record] = records(tmp_path / "parts.jsonl", text + "\n")
    assert record.values == ("a\u2028b\u0085c",)


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    [record] = records(tmp_path / "parts.jsonl", '{"title": "\\ud83d"}\n')
    assert record.problem is not None
    assert "half a character" in record.problem


def test_an_unknown_kind_of_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptHubError, match=r"'\.xlsx' is not one of .* save it as CSV"):
        records(tmp_path / "parts.xlsx", b"")


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("1,2,3,,", ("1", "2", "3", "")),
        ("1,2,3", ("1", "2", "3", "")),
        (" , ", ("", "", "", "")),
        (",,,,,,", ("", "", "", "")),
        (" ,,,", (" ", "", "", "")),
    ],
)
def test_cells_that_say_nothing_make_no_other_width(
    tmp_path: Path, row: str, values: tuple[str, ...]
) -> None:
    [record] = records(tmp_path / "parts.csv", f"a,b,c,\n{row}\n")
    assert (record.problem, record.values) == (None, values)


@pytest.mark.parametrize("row", ["1,2", "1,2,3,,5", "1,,", "x"])
def test_a_row_of_another_width_is_no_record_where_a_named_column_is_without_its_cell(
    tmp_path: Path, row: str
) -> None:
    [record] = records(tmp_path / "parts.csv", f"a,b,c,d\n{row}\n")
    assert "where the header has 4" in str(record.problem)


def test_rows_and_objects_that_say_nothing_are_blank(tmp_path: Path) -> None:
    table = records(tmp_path / "parts.csv", "a,b\n,\n \u00a0,\t\n1,\n\u200b, \n")
    assert [record.blank for record in table] == [True, True, False, True]
    lines = records(tmp_path / "parts.jsonl", '{"a": null, "b": " "}\n{"a": 0}\n{"a": []}\n[]\n')
    assert [record.blank for record in lines] == [True, False, False, False]
