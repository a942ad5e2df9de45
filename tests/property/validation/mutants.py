"""Damaged copies of a prompt repository."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Files = dict[str, bytes]


@dataclass(frozen=True)
class SpecialFile:
    """Something in a file's place that is no file: `symlink`, `fifo`, `folder` or `sparse`."""

    kind: str
    target: str = ""


@dataclass(frozen=True)
class Mutant:
    """One damage: which operator made it, and what lies under each changed path (None: nothing)."""

    operator: str
    changes: Mapping[str, bytes | SpecialFile | None]

    def apply(self, root: Path) -> None:
        for name, content in self.changes.items():
            path = root / os.fsdecode(os.fsencode(name))
            remove(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            match content:
                case bytes():
                    path.write_bytes(content)
                case SpecialFile("symlink"):
                    path.symlink_to(content.target)
                case SpecialFile("fifo"):
                    os.mkfifo(path)
                case SpecialFile("folder"):
                    path.mkdir()
                case SpecialFile("sparse"):
                    path.touch()
                    os.truncate(path, 10**11)

    def undo(self, root: Path, originals: Files) -> None:
        for name in self.changes:
            path = root / os.fsdecode(os.fsencode(name))
            remove(path)
            if name in originals:
                path.write_bytes(originals[name])
            else:
                prune(path.parent, root)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def prune(folder: Path, root: Path) -> None:
    """Remove folders that a mutant made."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


# --- Operators ---------------------------------------------------------------------------------

SPLINTERS = [
    b"\t", b"\x00", b"\xff", b"{", b"}", b"[", b"'", b'"', b": ", b"- ", b"\n", b"&a ", b"*a", b"#",
    b"!!python/object:x ", b"\xef\xbb\xbf", b"{{", b"%}", b"---\n", b".nan", b"1e999", b"? ", b"|",
    b"<<: ", b"\r", b"\\u0000", b"\\ud800", b"yes", b"010", b"null", b"@", b"`", b"\x1b[0m", b",",
]  # fmt: skip
ODD_TEXT = [
    "\u202e",
    "\u200b",
    "\ufeff",
    "\u2028",
    "e\u0301",
    "а",
    "\U000e0041",
    "\u0085",
    "\ufffd",
]
VALUES: list[object] = [
    None, True, False, 0, -1, 1, 2, 10**18, 10**400, 1.5, -0.5, 1e308, "", "x", "yes", " ", "../x",
    "{{ x }}", "a" * 5000, [], {}, [None], {"a": 1}, [[[]]], "2026-01-01", "0.7", "1.0", "9.9.9",
    "NaN", "\u202e", "released", "PASS", "user", "f" * 64, "0" * 64,
]  # fmt: skip
Edit = Callable[[random.Random, bytes], bytes]


def flip_a_bit(rng: random.Random, raw: bytes) -> bytes:
    at = rng.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]


def _span(rng: random.Random, raw: bytes, most: int = 60) -> tuple[int, int]:
    start = rng.randrange(len(raw))
    return start, min(len(raw), start + rng.randint(1, most))


def delete_bytes(rng: random.Random, raw: bytes) -> bytes:
    start, end = _span(rng, raw)
    return raw[:start] + raw[end:]


def repeat_bytes(rng: random.Random, raw: bytes) -> bytes:
    start, end = _span(rng, raw)
    return raw[:end] + raw[start:end] * rng.randint(1, 3) + raw[end:]


def random_bytes(rng: random.Random, raw: bytes) -> bytes:
    start, end = _span(rng, raw, 8)
    return raw[:start] + rng.randbytes(end - start) + raw[end:]


def insert_splinter(rng: random.Random, raw: bytes) -> bytes:
    at = rng.randint(0, len(raw))
    return raw[:at] + rng.choice(SPLINTERS) + raw[at:]


def truncate(rng: random.Random, raw: bytes) -> bytes:
    return raw[: rng.randrange(len(raw))]


def other_encoding(rng: random.Random, raw: bytes) -> bytes:
    encoding = rng.choice(["utf-16", "utf-16-be", "utf-32", "utf-8-sig", "cp1252", "cp037"])
    return raw.decode("utf-8").encode(encoding, errors="replace")


def windows_lines(rng: random.Random, raw: bytes) -> bytes:
    return raw.replace(b"\n", b"\r\n" if rng.random() < 0.7 else b"\r")


def odd_characters(rng: random.Random, raw: bytes) -> bytes:
    text = raw.decode("utf-8")
    at = rng.randint(0, len(text))
    return (text[:at] + rng.choice(ODD_TEXT) + text[at:]).encode()


def decomposed(rng: random.Random, raw: bytes) -> bytes:
    form = rng.choice(["NFD", "NFKC", "NFKD"])
    return unicodedata.normalize(form, raw.decode("utf-8")).encode()


def _lines(edit: Callable[[random.Random, list[str], int], None]) -> Edit:
    def apply(rng: random.Random, raw: bytes) -> bytes:
        lines = raw.decode("utf-8").splitlines(keepends=True)
        edit(rng, lines, rng.randrange(len(lines)))
        return "".join(lines).encode()

    apply.__name__ = edit.__name__
    return apply


@_lines
def delete_a_line(rng: random.Random, lines: list[str], at: int) -> None:
    del lines[at]


@_lines
def repeat_a_line(rng: random.Random, lines: list[str], at: int) -> None:
    lines.insert(at, lines[at])


@_lines
def move_a_line(rng: random.Random, lines: list[str], at: int) -> None:
    lines.insert(rng.randrange(len(lines)), lines.pop(at))


@_lines
def indent_a_line(rng: random.Random, lines: list[str], at: int) -> None:
    line = lines[at]
    lines[at] = rng.choice(["  " + line, "\t" + line, " " + line, line.removeprefix("  ")])


@_lines
def comment_a_line_out(rng: random.Random, lines: list[str], at: int) -> None:
    lines[at] = "#" + lines[at]


@_lines
def join_two_lines(rng: random.Random, lines: list[str], at: int) -> None:
    lines[at] = lines[at].rstrip("\n")


_KEYS = re.compile(rb'"?\b[a-z_0-9]{2,}\b"?(?=:)')
_SCALARS = re.compile(rb"(?<=: )[^\n,{}\[\]]+")


def misspell_a_key(rng: random.Random, raw: bytes) -> bytes:
    found = list(_KEYS.finditer(raw))
    if not found:
        return flip_a_bit(rng, raw)
    match = rng.choice(found)
    word = bytearray(match[0])
    at = rng.randrange(len(word) - 1)
    rng.choice(
        [
            lambda: word.pop(at),
            lambda: word.insert(at, word[at]),
            lambda: word.__setitem__(slice(at, at + 2), word[at : at + 2][::-1]),
            lambda: word.__setitem__(at, ord(chr(word[at]).upper())),
            lambda: word.__setitem__(at, ord("x")),
        ]
    )()
    return raw[: match.start()] + bytes(word) + raw[match.end() :]


def other_scalar(rng: random.Random, raw: bytes) -> bytes:
    found = list(_SCALARS.finditer(raw))
    if not found:
        return flip_a_bit(rng, raw)
    match = rng.choice(found)
    values = [
        b"", b"null", b"true", b"-1", b"1.5", b"'7'", b"[]", b"{}", b"1e999", b"NaN", b"9" * 30,
        b"0x10", b"~", b"[1, 2]", b"{a: 1}", match[0] + b"0", match[0][:-1], b'"' + match[0],
    ]  # fmt: skip
    return raw[: match.start()] + rng.choice(values) + raw[match.end() :]


def other_digit(rng: random.Random, raw: bytes) -> bytes:
    found = [at for at, byte in enumerate(raw) if chr(byte).isdigit()]
    if not found:
        return flip_a_bit(rng, raw)
    at = rng.choice(found)
    return raw[:at] + str((raw[at] - 48 + rng.randint(1, 9)) % 10).encode() + raw[at + 1 :]


BYTES: list[Edit] = [
    flip_a_bit, delete_bytes, repeat_bytes, random_bytes, insert_splinter, truncate, other_encoding,
    windows_lines, odd_characters, decomposed, delete_a_line, repeat_a_line, move_a_line,
    indent_a_line, comment_a_line_out, join_two_lines, misspell_a_key, misspell_a_key, other_scalar,
    other_digit,
]  # fmt: skip

Place = tuple[Any, str | int]


def _places(value: object, found: list[Place] | None = None) -> list[Place]:
    """Every `(container, key)` inside a parsed value."""
    places: list[Place] = [] if found is None else found
    if isinstance(value, dict):
        for key in value:
            places.append((value, key))
            _places(value[key], places)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            places.append((value, index))
            _places(item, places)
    return places


def _structural(rng: random.Random, data: object) -> str:
    """Change one place of a parsed file; returns what was done."""
    places = _places(data)
    container, key = rng.choice(places)
    other, other_key = rng.choice(places)
    value = container[key]
    kind = rng.choice(["remove", "replace", "copy", "nudge", "add", "rename"])
    if kind == "remove":
        del container[key]
    elif kind == "copy":
        container[key] = json.loads(json.dumps(other[other_key], default=str))
    elif kind == "nudge" and isinstance(value, int | float) and not isinstance(value, bool):
        container[key] = rng.choice([value + 1, -value, value * 10, value / 3, value + 1e-9])
    elif kind == "nudge" and isinstance(value, str) and value:
        at = rng.randrange(len(value))
        container[key] = value[:at] + rng.choice("xZ9 -.{}") + value[at + 1 :]
    elif kind == "add" and isinstance(container, dict):
        container[rng.choice(["x", "note", "tasks", "lock", "schema"])] = rng.choice(VALUES)
    elif kind == "add":
        container.append(value)
    elif kind == "rename" and isinstance(container, dict):
        container[f"{key}{rng.choice('sx_')}"] = container.pop(key)
    else:
        container[key] = rng.choice(VALUES)
    return kind


def structural(rng: random.Random, name: str, raw: bytes) -> tuple[str, bytes]:
    text = raw.decode("utf-8")
    if name.endswith(".jsonl"):
        lines = text.splitlines()
        at = rng.randrange(len(lines))
        data = json.loads(lines[at])
        kind = _structural(rng, data)
        lines[at] = json.dumps(data, ensure_ascii=False)
        return kind, ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")
    data = json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
    kind = _structural(rng, data)
    if name.endswith(".json"):
        return kind, json.dumps(data, indent=2, ensure_ascii=False).encode()
    return kind, yaml.safe_dump(data, allow_unicode=True, sort_keys=False).encode()


SPECIAL_FILES = [
    *(SpecialFile("symlink", target) for target in ("/etc/hostname", "nowhere", ".", "/dev/zero")),
    SpecialFile("fifo"),
    SpecialFile("folder"),
    SpecialFile("sparse"),
]


def among_files(rng: random.Random, files: Files) -> Mutant:
    """A file is gone, elsewhere, doubled, swapped, or no file any more."""
    name, other = rng.sample(sorted(files), 2)
    layers = ["00-templates", "01-examples", "02-production", "03-metadata", "05-more", "Prompts"]
    inside = name.removeprefix("prompts/").partition("/")[2] or name
    moved = rng.choice(
        [
            f"prompts/{rng.choice(layers)}/{inside.split('/')[-1]}",
            f"prompts/04-evals/{inside}",
            f"prompts/99-archive/{inside}",
            f"{name}.bak",
            name.replace(".yaml", ".yml").replace(".json", ".JSON"),
            name.replace("part-class", "part class").replace("brand", "Brand"),
        ]
    )
    kind = rng.choice(["delete", "move", "copy", "swap", "same", "empty", "odd", "name"])
    changes: dict[str, bytes | SpecialFile | None] = {}
    match kind:
        case "delete":
            changes = {name: None}
        case "move":
            changes = {name: None, moved: files[name]}
        case "copy":
            changes = {moved: files[name]}
        case "swap":
            changes = {name: files[other], other: files[name]}
        case "same":
            changes = {name: files[other]}
        case "empty":
            changes = {name: rng.choice([b"", b"\n", b"{}", b"[]", b"null\n", b"# nothing\n"])}
        case "name":
            changes = {f"prompts/00-templates/caf\udce9{rng.randrange(9)}.txt": b"x"}
        case _:
            changes = {name: rng.choice(SPECIAL_FILES)}
    return Mutant(f"file: {kind}", changes)


def mutants(files: Files, number: int, seed: int) -> Iterator[Mutant]:
    """`number` mutants, the same ones for the same seed."""
    rng = random.Random(seed)
    names = sorted(files)
    made = 0
    while made < number:
        name = rng.choice([*names, "prompt_registry.yaml"])
        draw = rng.random()
        if draw < 0.15:
            mutant = among_files(rng, files)
        elif draw < 0.5:
            kind, raw = structural(rng, name, files[name])
            mutant = Mutant(f"value: {kind}", {name: raw})
        else:
            edit = rng.choice(BYTES)
            mutant = Mutant(f"bytes: {edit.__name__}", {name: edit(rng, files[name])})
        if any(files.get(path) != content for path, content in mutant.changes.items()):
            made += 1
            yield mutant
