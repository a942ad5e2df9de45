"""How a file of records is laid out: its encoding, its separator, the line of its header.

What the task declares counts. Of what it leaves open only that is taken which the header proves: a
separator under which every required field finds its column. Guesses from the look of the data are
not made: sniffers take the comma of `0,25` for a separator.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from prompt_hub.batch.cells import is_blank
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.schema import Records

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SEPARATORS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = {".jsonl", ".ndjson"}
SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
COMPRESSED = ".gz"
UNPACKED_BYTES = 16 << 30
"""Most bytes that a compressed file may unpack to: a few kilobytes can hold gigabytes of zeros."""
LINE_CHARACTERS = 16 << 20
"""A line of a file is held whole, and no record of text is as long."""
HEAD_LINES = 100
"""Lines in which a header is looked for."""
_SPREADSHEETS = {".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"}
_NOT_TEXT = {
    b"PK\x03\x04": "an Excel file",  # or another that is a zip archive: none is a table of text
    b"\xd0\xcf\x11\xe0": "an Excel file of the old kind",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "compressed",
}
_MARKUP = re.compile(rb"\s*<(!doctype|html|table|\?xml)", re.IGNORECASE)
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t| )"?\1*')
_CODECS = {"shift_jis": "cp932", "euc-kr": "cp949", "big5": "cp950"}
"""Encodings that spreadsheets write with characters of Windows, which Python's own tables lack.

Some punctuation is read otherwise than by Python's: as the same table has it in UTF-8.
"""
_UNREADABLE = "\udcff"
"""Replaces bytes that are not text in the file's encoding, so that only their record is refused."""


def _keep_place(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _UNREADABLE, error.end


codecs.register_error("prompt_hub_unreadable", _keep_place)


@dataclass(frozen=True)
class Layout:
    """How one file is read. Lines are counted from 1, as an editor shows them."""

    encoding: str
    """As it is declared, or as the byte order mark says."""
    separator: str = ""
    """Empty for JSON lines."""
    header_line: int = 1
    header: tuple[str, ...] | None = None
    """The names of the columns; None for JSON lines, where every record names its own."""
    comment: str | None = None
    spaced: bool = False
    """Whether a space follows each separator, as in the header: a quote behind it begins a cell."""
    found: tuple[str, ...] = ()
    """In words, what the task did not declare and the file showed."""


class UnreadableHeaderError(ValueError):
    """No header can be read where it should stand."""


Check = Callable[[tuple[str, ...]], Collection[str]]
"""Returns the fields that find their column in a header; raises `ValueError` if one is lacking."""


def find_layout(
    path: Path, settings: Records, check: Check | None = None, settings_file: str = "the metadata"
) -> Layout:
    """Say how `path` is to be read by a task with `settings`, before any record of it is.

    Without a `check` no header proves anything: what is not declared is as the ending says.

    Raises:
        PromptHubError: the file cannot be opened, is no text, or its header cannot be made out.
    """
    kind = kind_of(path)
    encoding, found = _encoding(path, settings)
    if kind in JSON_LINES:
        return Layout(encoding, comment=settings.comment, found=found)
    with open_text(path, encoding) as stream:
        lines = list(islice(lines_of(stream, path), HEAD_LINES))
    head = _Head(path, lines, encoding, settings, check or (lambda header: ()), settings_file)
    candidates = head.separators(SEPARATORS[kind])[: None if check else 1]
    fitting = [mark for mark in candidates if head.problem(mark) is None]
    separator = head.proved(candidates, fitting)
    if separator is None:
        raise head.refusal(candidates, fitting)
    line, header = head.read(separator)
    if separator != SEPARATORS[kind] and settings.separator is None:
        source = "its first line" if head.named else "its header"
        found += (f"separated by {name_of(separator)} ({source} says so)",)
    if settings.header_line == "search" and line > 1:
        found += (f"the header stands in line {line}",)
    spaced = head.spaced(separator, line)
    return Layout(encoding, separator, line, header, settings.comment, spaced, found)


def name_of(separator: str) -> str:
    """Return a separator's name in words."""
    return SEPARATOR_NAMES.get(separator, repr(separator))


@contextmanager
def open_text(path: Path, encoding: str, newline: str = "") -> Iterator[io.TextIOWrapper]:
    """Open a file of records; bytes that are no text in its encoding come through as surrogates."""
    with opened(path) as stream:
        codec = _CODECS.get(encoding, encoding)
        yield io.TextIOWrapper(stream, codec, errors="prompt_hub_unreadable", newline=newline)


def lines_of(stream: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """Yield the lines of an open file; raises `PromptHubError` for one that is no line of text."""
    while line := stream.readline(LINE_CHARACTERS):
        if len(line) == LINE_CHARACTERS:
            raise _no_table(path, f"has a line of more than {LINE_CHARACTERS:,} characters", "")
        yield line


def kind_of(path: Path) -> str:
    """Return the ending that says what a file is, whether it is compressed or not."""
    compressed = path.suffix.lower() == COMPRESSED
    return Path(path.stem).suffix.lower() if compressed else path.suffix.lower()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file of records; raises `PromptHubError` if it cannot be one."""
    kind = kind_of(path)
    if kind not in {*SEPARATORS, *JSON_LINES}:
        known = ", ".join([*SEPARATORS, *sorted(JSON_LINES)]) + f", with {COMPRESSED} or without"
        hint = "It is a spreadsheet: save it as CSV." if kind in _SPREADSHEETS else ""
        raise PromptHubError(f"{path}: the ending {kind!r} is not one of {known}.", hint=hint)
    try:
        with path.open("rb") as stream:
            yield _unpacked(path, stream) if path.suffix.lower() == COMPRESSED else stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _no_table(path, f"cannot be unpacked: {error}", "Compress it again.") from None
    except OSError as error:
        raise PromptHubError(f"{path} cannot be read: {error.strerror}.") from None


class _Bounded(io.RawIOBase):
    """What a compressed file holds; raises `PromptHubError` where that does not end."""

    def __init__(self, path: Path, packed: IO[bytes]) -> None:
        self._path = path
        self._unpacked = gzip.GzipFile(fileobj=packed)
        self._room = UNPACKED_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = self._unpacked.readinto(buffer)
        self._room -= count
        if self._room < 0:
            raise _no_table(
                self._path, f"unpacks to more than {UNPACKED_BYTES:,} bytes", "Split the file."
            )
        return count


def _unpacked(path: Path, packed: IO[bytes]) -> BinaryIO:
    return io.BufferedReader(_Bounded(path, packed), 1 << 16)


def _encoding(path: Path, settings: Records) -> tuple[str, tuple[str, ...]]:
    """Return a file's encoding, and in words what its byte order mark says against the task."""
    with opened(path) as stream:
        start = stream.read(64)
    for magic, what in _NOT_TEXT.items():
        if start.startswith(magic):
            raise _no_table(path, f"is {what}, not text", "Save it as CSV.")
    if kind_of(path) in SEPARATORS and _MARKUP.match(start.removeprefix(codecs.BOM_UTF8)):
        raise _no_table(path, "is a page of HTML or XML, not a table of text", "Save it as CSV.")
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise _no_table(path, "is UTF-32", "Save it as UTF-8.")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", ("UTF-16, by its byte order mark",)
    if b"\0" in start[:4]:
        raise _no_table(path, "is UTF-16, or no text at all", "Save it as UTF-8.")
    if start.startswith(codecs.BOM_UTF8) and settings.encoding != "utf-8":
        return "utf-8-sig", ("UTF-8, by its byte order mark",)
    return "utf-8-sig" if settings.encoding == "utf-8" else settings.encoding, ()


def _no_table(path: Path, what: str, hint: str) -> PromptHubError:
    return PromptHubError(f"{path} {what}.", hint=hint, exit_code=ExitCode.BLOCKED)


class _Head:
    """The first lines of a table, and the headers that can be read in them."""

    def __init__(
        self,
        path: Path,
        lines: Sequence[str],
        encoding: str,
        settings: Records,
        check: Check,
        settings_file: str,
    ) -> None:
        self._path = path
        self._lines = lines
        self._encoding = encoding
        self._settings = settings
        self._check = check
        self._settings_file = settings_file
        self.named = ""
        """The separator that a first line such as `sep=;` names."""
        first = next((at for at, line in enumerate(lines) if line.strip()), 0)
        separator = _SEPARATOR_LINE.fullmatch(lines[first].rstrip("\r\n")) if lines else None
        if separator:
            self.named = separator[1]
            first += 1
        self._first = first

    def separators(self, by_ending: str) -> list[str]:
        """Return the separators that may be meant, the likeliest first."""
        if self.named:
            return [self.named]
        declared = self._settings.separator
        if declared is not None:
            return ["\t" if declared == "tab" else declared]
        return [by_ending, *(mark for mark in SEPARATOR_NAMES if mark != by_ending)]

    def problem(self, separator: str) -> str | None:
        """Say why no header that fits can be read with this separator; None if one can."""
        try:
            self._check(self.read(separator)[1])
        except ValueError as error:  # of the check, or unreadable
            return str(error)
        return None

    def proved(self, candidates: Sequence[str], fitting: Sequence[str]) -> str | None:
        """Return the one of the `fitting` separators that the header proves; None if none is.

        The first candidate is, unless another one splits the header and finds as many fields. One
        that finds several is, where no other finds more than one.
        """
        if len(fitting) < 2:
            return next(iter(fitting), None)
        found = {mark: len(self._check(self.read(mark)[1])) for mark in fitting}
        first, most = fitting[0], max(found.values())
        rivals = [mark for mark in fitting if found[mark] == most and self._width(mark) > 1]
        if first == candidates[0] and (most == 0 or not rivals or rivals == [first]):
            return first
        others = [fields for mark, fields in found.items() if mark not in rivals]
        return rivals[0] if len(rivals) == 1 and max(others) <= 1 < most else None

    def read(self, separator: str) -> tuple[int, tuple[str, ...]]:
        """Return the header and its line; raises `UnreadableHeaderError`."""
        declared = self._settings.header_line
        if isinstance(declared, int):
            return self._read(separator, declared - 1)
        if declared == "search" and (line := self._search(separator)) is not None:
            return self._read(separator, line)
        return self._read(separator, self._first)

    def spaced(self, separator: str, line: int) -> bool:
        """Whether a space follows each separator of the header in `line`."""
        row = next(csv.reader(iter(self._lines[line - 1 :]), delimiter=separator))
        return len(row) > 1 and all(cell.startswith(" ") for cell in row[1:])

    def refusal(self, candidates: Sequence[str], fitting: Sequence[str]) -> PromptHubError:
        """Say what is wrong with the header, in the words of whoever looks at the file."""
        if fitting:
            words = "it may be separated by " + " or by ".join(map(name_of, fitting))
            return self._refused(words, "State records.separator in {}.")
        widest = max(candidates, key=self._width)  # the first of several
        separator = widest if self._width(widest) > 1 else candidates[0]
        problem = self.problem(separator) or ""
        try:
            self.read(separator)
        except UnreadableHeaderError:
            return PromptHubError(
                f"{self._path} has no header that can be read: {problem}.",
                hint="The first line must name the columns, in UTF-8 or as records.encoding says.",
                exit_code=ExitCode.BLOCKED,
            )
        for other in SEPARATOR_NAMES:
            if other not in candidates and self.problem(other) is None:
                declared = "its first line" if self.named else "records.separator"
                says = name_of(separator)
                words = f"it is separated by {name_of(other)}, where {declared} says {says}"
                return self._refused(
                    words, "Mend the one that is wrong; records.separator stands in {}."
                )
        for mark in candidates:
            line = self._search(mark)
            if line is not None:
                words = f"{problem}. Line {line + 1} does name them"
                return self._refused(
                    words, f"State records.header_line: {line + 1}, or search, in {{}}."
                )
        if separator != candidates[0]:
            problem += f"; it is separated by {name_of(separator)}"
        return self._refused(problem, "Rename the columns, or map them in {} (records.columns).")

    def _refused(self, words: str, hint: str) -> PromptHubError:
        return PromptHubError(
            f"{self._path}: {words}.",
            hint=hint.format(self._settings_file),
            exit_code=ExitCode.BLOCKED,
        )

    def _width(self, separator: str) -> int:
        try:
            return len(self.read(separator)[1])
        except UnreadableHeaderError:
            return 0

    def _search(self, separator: str) -> int | None:
        """Return the first line that names the columns, if there is one."""
        for at in range(self._first, len(self._lines)):
            try:
                line, header = self._read(separator, at)
                self._check(header)
            except ValueError:  # of the check, or unreadable
                continue
            return line - 1
        return None

    def _read(self, separator: str, start: int) -> tuple[int, tuple[str, ...]]:
        """Read the first row at or after `start` that is neither blank nor a comment."""
        comment = self._settings.comment
        lines = self._lines[start:]
        numbers = [
            number
            for number, line in enumerate(lines, start + 1)
            if not (comment and line.startswith(comment))
        ]
        kept = (self._lines[number - 1] for number in numbers)
        reader = csv.reader(kept, delimiter=separator, strict=True, skipinitialspace=True)
        before = 0
        try:
            for row in reader:
                if not all(map(is_blank, row)):
                    return numbers[before], _names(row, self._encoding)
                before = reader.line_num
        except csv.Error as error:
            raise UnreadableHeaderError(str(error)) from None
        raise UnreadableHeaderError("no line has text" if self._lines else "the file is empty")


def _names(row: Sequence[str], encoding: str) -> tuple[str, ...]:
    if odd := not_text("".join(row), encoding):
        raise UnreadableHeaderError(odd)
    return tuple(name.strip() for name in row)


_ODD = re.compile("[\0\ud800-\udfff]")
_SINGLE_BYTE = frozenset({"cp1250", "cp1251", "cp1252", "iso-8859-1", "iso-8859-15"})
"""Encodings in which the bytes of UTF-8 are text, too, though never what was meant."""


def not_text(text: str, encoding: str = "utf-8-sig") -> str:
    """Say why what was read in this encoding is not all text; empty if it is."""
    odd = _ODD.search(text)
    if odd is not None and odd[0] == "\0":
        return "a NUL character, which no text has"
    if odd is not None and encoding == "utf-8-sig":
        return "not UTF-8 text: save the file as UTF-8, or state records.encoding"
    if odd is not None:
        return f"not text in {encoding}"
    if encoding in _SINGLE_BYTE and not text.isascii() and _is_utf8(text.encode(encoding)):
        return f"UTF-8 text, where records.encoding says {encoding}"
    return ""


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
