"""How a file is laid out: declared, or proved by its header, or refused with what is wrong."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from prompt_hub.batch.layout import Layout, find_layout
from prompt_hub.batch.mapping import assign
from prompt_hub.batch.readers import Record, read_records
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.schema import JsonObject, Records

SCHEMA: JsonObject = {
    "required": ["part_number", "title"],
    "properties": {"part_number": {"type": "string"}, "title": {"type": "string"}, "qty": True},
}
COLUMNS = {"part_number": ["MPN"], "title": ["Description"]}
ROW = ("A1", "Relay, 5 V")
SEMICOLONS = ("separated by semicolons (its header says so)",)
BY_LINE = ("separated by semicolons (its first line says so)",)
TABS = ("separated by tabs (its header says so)",)


def layout(
    path: Path, content: bytes | str, schema: JsonObject = SCHEMA, /, **settings: Any
) -> Layout:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    records = Records.model_validate({"columns": COLUMNS, **settings})

    def check(header: tuple[str, ...]) -> Collection[str]:
        return assign(header, records.columns, schema)

    return find_layout(path, records, check, "03-metadata/bom.yaml")


def read(path: Path, content: bytes | str, **settings: Any) -> list[Record]:
    return list(read_records(path, layout(path, content, **settings)))


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.csv", 'MPN,Description\nA1,"Relay, 5 V"\n', ()),
        ("a.tsv", "MPN\tDescription\nA1\tRelay, 5 V\n", ()),
        (
            "a.csv",
            "MPN;Description\nA1;Relay, 5 V\n",
            SEMICOLONS,
        ),
        (
            "a.csv",
            '"MPN";"Description"\n"A1";"Relay, 5 V"\n',
            SEMICOLONS,
        ),
        (
            "a.csv",
            "MPN\tDescription\nA1\tRelay, 5 V\n",
            ("separated by tabs (its header says so)",),
        ),
        ("a.csv", "MPN|Description\nA1|Relay, 5 V\n", ("separated by bars (its header says so)",)),
        (
            "a.tsv",
            'MPN,Description\nA1,"Relay, 5 V"\n',
            ("separated by commas (its header says so)",),
        ),
        (
            "a.csv",
            "sep=;\r\nMPN;Description\r\nA1;Relay, 5 V\r\n",
            ("separated by semicolons (its first line says so)",),
        ),
        (
            "a.csv",
            '"sep=^"\nMPN^Description\nA1^Relay, 5 V\n',
            ("separated by '^' (its first line says so)",),
        ),
        (
            "a.csv",
            "\ufeffsep=\t\nMPN\tDescription\nA1\tRelay, 5 V\n",
            ("separated by tabs (its first line says so)",),
        ),
        ("a.csv", "sep=;;;\nMPN;Description\nA1;Relay, 5 V\n", BY_LINE),
        ("a.csv", 'sep=,\nMPN,Description\nA1,"Relay, 5 V"\n', ()),
        ("a.csv", ',,\n\n" "\nMPN,Description\nA1,"Relay, 5 V"\n', ()),
        (
            "a.csv",
            "MPN;Description, short;Description\nA1;x;Relay, 5 V\n",
            SEMICOLONS,
        ),
    ],
)
def test_what_the_header_proves_is_taken_and_said(
    tmp_path: Path, name: str, content: str, found: tuple[str, ...]
) -> None:
    known = layout(tmp_path / name, content)
    assert known.found == found
    [record] = read_records(tmp_path / name, known)
    values = dict(zip(record.columns, record.values, strict=True))
    assert (values["MPN"], values["Description"]) == ROW
    assert record.line == content.count("\n")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, name: str, encoding: str) -> None:
    content = (
        '{"MPN": "Ω1"}\n{"MPN": "Ω2"}\n' if name == "a.jsonl" else "MPN,Description\nΩ1,x\nΩ2,y\n"
    )
    path = tmp_path / name
    assert [record.values[0] for record in read(path, content.encode(encoding))] == ["Ω1", "Ω2"]
    expected = ("UTF-16, by its byte order mark",) if encoding == "utf-16" else ()
    assert layout(path, content.encode(encoding)).found == expected


def test_excels_unicode_text_is_read_though_its_name_says_commas(tmp_path: Path) -> None:
    content = "MPN\tDescription\r\nA1\tRelay, 5 V\r\n".encode("utf-16")
    [record] = read(tmp_path / "a.csv", content)
    assert record.values == ROW


def test_half_a_character_of_utf_16_costs_its_own_record(tmp_path: Path) -> None:
    rows = [b"MPN\tDescription\n", b"A1\tx\n", b"A2\ty\n"]
    raw = [row.decode().encode("utf-16-le") for row in rows]
    content = b"\xff\xfe" + raw[0] + b"\x00\xd8" + raw[1] + raw[2]
    bad, good = read(tmp_path / "a.tsv", content)
    assert bad.problem == "not text in utf-16"
    assert good.values == ("A2", "y")


@pytest.mark.parametrize(
    ("encoding", "text"), [("cp1252", "Würth"), ("gb18030", "立创商城"), ("shift_jis", "抵抗器")]
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_other_encodings_are_read_where_they_are_declared(
    tmp_path: Path, encoding: str, text: str, name: str
) -> None:
    content = f'{{"MPN": "{text}"}}\n' if name == "a.jsonl" else f"MPN,Description\n{text},x\n"
    raw = content.encode(encoding)
    assert read(tmp_path / name, raw, encoding=encoding)[0].values[0] == text
    [undeclared] = read(tmp_path / name, raw)
    assert "not UTF-8 text: save the file as UTF-8, or state records.encoding" in str(
        undeclared.problem
    )


@pytest.mark.parametrize(
    ("encoding", "written", "text"),
    [
        ("shift_jis", "cp932", "㈱髙橋 ① －55～＋155℃"),
        ("euc-kr", "cp949", "똠전자"),
        ("big5", "cp950", "恒裏 3V～20V € ‧"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_what_spreadsheets_write_in_east_asia_is_read_as_it_was_typed(
    tmp_path: Path, encoding: str, written: str, text: str, name: str
) -> None:
    content = f'{{"MPN": "{text}"}}\n' if name == "a.jsonl" else f"MPN,Description\n{text},x\n"
    [record] = read(tmp_path / name, content.encode(written), encoding=encoding)
    assert (record.problem, record.values[0]) == (None, text)


@pytest.mark.parametrize(("encoding", "byte"), [("euc-kr", b"\xff"), ("cp1252", b"\x81")])
def test_a_header_that_is_no_text_is_refused_by_the_declared_encoding(
    tmp_path: Path, encoding: str, byte: bytes
) -> None:
    with pytest.raises(PromptHubError, match=f"not text in {encoding}"):
        layout(tmp_path / "a.csv", b"MPN,Description" + byte + b"\nA1,x\n", encoding=encoding)
    with pytest.raises(PromptHubError, match="not UTF-8 text: save the file as UTF-8"):
        layout(tmp_path / "a.csv", b"MPN,Description" + byte + b"\nA1,x\n")


def test_utf_8_is_not_taken_for_the_declared_encoding(tmp_path: Path) -> None:
    content = "MPN,Description\nWürth,x\nA2,y\n"
    bad, good = read(tmp_path / "a.csv", content, encoding="cp1252")
    assert bad.problem == "UTF-8 text, where records.encoding says cp1252"
    assert good.values == ("A2", "y")
    marked = read(tmp_path / "a.csv", content.encode("utf-8-sig"), encoding="cp1252")
    assert marked[0].values == ("Würth", "x")
    [line] = read(tmp_path / "a.jsonl", '{"MPN": "Würth"}\n', encoding="cp1252")
    assert line.problem == "UTF-8 text, where records.encoding says cp1252"


def test_lines_of_a_title_and_of_comments_are_left_out_where_they_are_declared(
    tmp_path: Path,
) -> None:
    content = (
        'Bill of materials\nDate: 2026-11-27, "draft\n\n# a comment\nMPN,Description\n'
        'A1,"Relay, 5 V"\n# another, "one\nA2,"two\n# lines"\n'
    )
    for at in (5, "search"):
        known = layout(tmp_path / "a.csv", content, header_line=at, comment="#")
        first, second = read_records(tmp_path / "a.csv", known)
        assert (first.number, first.line, first.values) == (1, 6, ROW)
        assert (second.number, second.line, second.values) == (2, 8, ("A2", "two\n# lines"))
    assert known.found == ("the header stands in line 5",)


def test_the_header_is_searched_under_every_separator(tmp_path: Path) -> None:
    content = "Source:;board, rev. 2\nMPN;Description\nA1;Relay, 5 V\n"
    known = layout(tmp_path / "a.csv", content, header_line="search")
    assert (known.separator, known.header_line) == (";", 2)


def test_comments_of_json_lines_are_left_out_where_they_are_declared(tmp_path: Path) -> None:
    [record] = read(tmp_path / "a.jsonl", '# two\n{"MPN": "A1"}\n', comment="#")
    assert (record.number, record.line, record.values) == (1, 2, ("A1",))


@pytest.mark.parametrize(
    ("content", "settings", "words"),
    [
        (
            "Number;Text\nA1;x\n",
            {},
            "no column for the field 'part_number' (one of 'part_number', 'MPN'); the columns are"
            " 'Number', 'Text'; it is separated by semicolons. Rename the columns, or map them in"
            " 03-metadata/bom.yaml (records.columns)",
        ),
        (
            "Number,Text\nA1,x\n",
            {},
            "the columns are 'Number', 'Text'. Rename the columns, or map them in",
        ),
        (
            "MPN;Description\nA1;x\n",
            {"separator": ","},
            "it is separated by semicolons, where records.separator says commas",
        ),
        (
            "sep=,\nMPN;Description\nA1;x\n",
            {},
            "it is separated by semicolons, where its first line says commas",
        ),
        (
            "Parts of the board\n\nMPN,Description\nA1,x\n",
            {},
            "Line 3 does name them. State records.header_line: 3, or search, in 03-metadata",
        ),
        ("Parts\nMPN;Description\nA1;x\n", {}, "Line 2 does name them"),
        ("MPN,Description\n", {"header_line": 7}, "has no header that can be read"),
    ],
)
def test_a_header_that_does_not_fit_is_refused_with_what_it_is(
    tmp_path: Path, content: str, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(PromptHubError) as error:
        layout(tmp_path / "a.csv", content, **settings)
    assert words in str(error.value)
    assert error.value.exit_code == ExitCode.BLOCKED


def test_what_two_separators_may_mean_is_refused(tmp_path: Path) -> None:
    columns = {"part_number": ["p1", "p2"], "title": ["t1", "t2"]}
    content = "p1;t1;x|p2|t2\n"
    with pytest.raises(PromptHubError, match="may be separated by semicolons or by bars"):
        layout(tmp_path / "a.csv", content, columns=columns)
    assert layout(tmp_path / "a.csv", content, columns=columns, separator="|").separator == "|"


OPTIONAL: JsonObject = {"properties": SCHEMA["properties"]}


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        ("Description, long;Qty;MPN\nRes 0,25W;5;A\n", ";"),
        ("Description, long\tQty\tMPN\nRes 0,25W\t5\tA\n", "\t"),
        ("Value, Ohm;Qty;Description;x|MPN\n1,5;5;x;y\n", ";"),
        ("MPN,Qty,Value;Title\nA,5,x\n", ","),
        ("MPN\nA\n", ","),
        ("Description, long\nRes\n", ","),
    ],
)
def test_where_no_field_is_required_the_separator_that_finds_more_fields_counts(
    tmp_path: Path, content: str, separator: str
) -> None:
    known = layout(tmp_path / "a.csv", content, OPTIONAL)
    assert known.separator == separator
    assert len(known.found) == (separator != ",")


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        ("Description, long;MPN\nRes;A\n", {}),  # one field each
        ("Qty;MPN;x,Title,MPN\n5;A\n", {}),  # two
        ("Qty;MPN;Title;x,MPN,Title\n5;A\n", {}),  # three or two
        ("Source\nTitle, long;MPN\nRes;A\n", {"header_line": "search"}),
    ],
)
def test_where_no_field_is_required_separators_that_both_may_be_meant_are_refused(
    tmp_path: Path, content: str, settings: dict[str, object]
) -> None:
    with pytest.raises(PromptHubError) as error:
        layout(tmp_path / "a.csv", content, OPTIONAL, **settings)
    assert "it may be separated by commas or by semicolons. State records.separator in" in str(
        error.value
    )


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "is an Excel file, not text. Save it as CSV."),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1",
            "is an Excel file of the old kind, not text.",
        ),
        (b"%PDF-1.7\n", "is a PDF, not text"),
        (b"\x1f\x8b\x08\x00", "is compressed, not text"),
        (b"\xef\xbb\xbf<html><table>", "is a page of HTML or XML, not a table of text"),
        (b'<?xml version="1.0"?>', "is a page of HTML or XML, not a table of text"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, start: bytes, words: str) -> None:
    with pytest.raises(PromptHubError) as error:
        layout(tmp_path / "a.csv", start)
    assert words in str(error.value)
    assert error.value.exit_code == ExitCode.BLOCKED


def test_a_space_behind_every_separator_of_the_header_is_no_part_of_a_cell(tmp_path: Path) -> None:
    spaced = 'MPN, "Description", Qty\nA1, "Relay, 5 V", 2\nA2,"5"" x",1\n'
    first, second = read(tmp_path / "a.csv", spaced)
    assert (first.values, second.values) == ((*ROW, "2"), ("A2", '5" x', "1"))
    [plain] = read(tmp_path / "a.csv", 'MPN,Description, Qty\nA1, "5 V"" relay,2\n')
    assert plain.values == ("A1", ' "5 V"" relay', "2")
