"""Damaged copies of a prompt repository, and an own opinion on which damage matters.

`harmless` shares no code with validation: it parses with other parsers, and knows from the formats
alone which values people may change without anybody being able to say that they are wrong.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from jsonschema_rs import Draft202012Validator

from prompt_hub.validation.schemas import schemas

Files = dict[str, bytes]


@dataclass(frozen=True)
class Odd:
    """Something in a file's place that is no file: `symlink`, `fifo`, `folder` or `sparse`."""

    kind: str
    target: str = ""


@dataclass(frozen=True)
class Mutant:
    """One damage: which operator made it, and what lies under each changed path (None: nothing)."""

    operator: str
    changes: Mapping[str, bytes | Odd | None]

    def apply(self, root: Path) -> None:
        for name, content in self.changes.items():
            path = root / os.fsdecode(os.fsencode(name))
            remove(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            match content:
                case bytes():
                    path.write_bytes(content)
                case Odd("symlink"):
                    path.symlink_to(content.target)
                case Odd("fifo"):
                    os.mkfifo(path)
                case Odd("folder"):
                    path.mkdir()
                case Odd("sparse"):
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


ODD = [
    *(Odd("symlink", target) for target in ("/etc/hostname", "nowhere", ".", "/dev/zero")),
    Odd("fifo"),
    Odd("folder"),
    Odd("sparse"),
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
    changes: dict[str, bytes | Odd | None] = {}
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
            changes = {name: rng.choice(ODD)}
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


# --- Judging -----------------------------------------------------------------------------------

FREE = {
    # A wording that nobody hashes, released or not.
    "prompt": ("description",),
    # Decisions of people: as good as any other, as long as they are of the right type and range.
    "metadata": (
        "owner", "description", "threshold", "gate", "gate.*", "limits", "limits.*", "override.*",
        "override", "score_watch", "score_watch.*", "scorers*", "records*", "judge*",
    ),
    # Copies of texts, the times of events, and why: no other file says the same.
    "registry": (
        "tasks.*.owner", "tasks.*.description", "tasks.*.versions.*.reason", "tasks.*.at",
        "tasks.*.versions.*.state", "tasks.*.verdict.status",
    ),
    "released": ("description", "lock.promoted_at"),
}  # fmt: skip
"""Places whose new value only their author could call wrong."""
ARCHIVED_STATES = {"superseded", "downgraded", "quarantined", "archived"}
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffd]")


def harmless(files: Files, mutant: Mutant) -> bool:
    """Whether validation may accept a mutant: it says the same, or something equally good."""
    return all(_harmless(files, name, content) for name, content in mutant.changes.items())


def _harmless(files: Files, name: str, content: bytes | Odd | None) -> bool:
    before = files.get(name)
    kind = _kind(name)
    if isinstance(content, Odd):
        # A folder is no draft; git would not even notice it.
        return kind == "draft" and content.kind == "folder"
    if content == before:
        return True
    if kind == "draft":
        return content is None or _is_draft(content)
    if content is None or kind == "sealed":
        return False
    if before is None:
        # Building blocks and drafts may be added; anything else claims a place in a layer.
        return kind == "block" and _is_text(content)
    try:
        old, new = _parse(name, before), _parse(name, content)
    except (ValueError, yaml.YAMLError, RecursionError):
        return False
    return _is_text(content) and _all_free(kind, files, old, new)


def differences(files: Files, mutant: Mutant) -> list[str]:
    """The places whose values a mutant changed, of all files that still parse."""
    found: list[str] = []
    for name, content in mutant.changes.items():
        if isinstance(content, bytes) and name in files:
            try:
                found += _changed(_parse(name, files[name]), _parse(name, content), "")
            except (ValueError, yaml.YAMLError, RecursionError):
                found.append(f"{name} does not parse")
    return found


def _kind(name: str) -> str:
    layer = name.removeprefix("prompts/").split("/")[0]
    if name == "prompt_registry.yaml":
        return "registry"
    if layer == "00-templates":
        named = name.removeprefix("prompts/00-templates/") in {"brand.yaml", "part-class.yaml"}
        return "prompt" if named else "draft" if name.endswith(".yaml") else "block"
    kinds = {"02-production": "released", "99-archive": "released", "03-metadata": "metadata"}
    return "sealed" if layer == "04-evals" else kinds.get(layer, "examples")


def _parse(name: str, raw: bytes) -> object:
    text = raw.decode("utf-8")
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    if name.endswith(".json"):
        return json.loads(text)
    try:
        return yaml.load(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:  # libyaml, rightly, takes tabs where they do not indent
        return yaml.load(text, Loader=yaml.CSafeLoader)


def _is_text(raw: bytes) -> bool:
    try:
        return not CONTROL.search(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _fits(kind: str, value: object) -> bool:
    schema = json.loads(schemas()[f"{kind}.schema.json"])
    return Draft202012Validator(schema).is_valid(json.loads(json.dumps(value, default=str)))


def _is_draft(raw: bytes) -> bool:
    """A draft only has to parse; one that calls itself a prompt has to be one."""
    try:
        value = _parse("draft.yaml", raw)
    except (ValueError, yaml.YAMLError, RecursionError):
        return False
    if not _is_text(raw):
        return False
    return not (isinstance(value, dict) and "schema" in value) or _fits("prompt", value)


def _all_free(kind: str, files: Files, old: object, new: object) -> bool:
    changed = sorted(_changed(old, new, ""))
    if not changed:
        return True
    schema = {"released": "prompt", "examples": "example"}.get(kind, kind)
    if not all(any(fnmatchcase(place, free) for free in FREE.get(kind, ())) for place in changed):
        return False
    if not _fits(schema, new):
        return False
    if kind == "metadata":
        return _decisions_make_sense(files, new)
    return kind != "registry" or _states_make_sense(old, new, changed)


def _changed(old: object, new: object, at: str) -> Iterator[str]:
    """Places, dotted, where two parsed values differ; a key that came or went is one place."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            here = f"{at}.{key}" if at else str(key)
            if key in old and key in new:
                yield from _changed(old[key], new[key], here)
            else:
                yield here
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _changed(*pair, f"{at}.{index}")
    elif isinstance(old, bool) != isinstance(new, bool) or old != new:
        yield at


def _decisions_make_sense(files: Files, new: Any) -> bool:
    prompt = yaml.safe_load(files[f"prompts/00-templates/{new['task']}.yaml"])
    inputs, outputs = prompt["input"]["properties"], prompt["output"]["properties"]
    watch = {"datapoints_to_alarm": 1, "evaluation_periods": 1, **new.get("score_watch", {})}
    columns = new.get("records", {}).get("columns", {})
    claims = [
        ("".join(name.casefold().split()), field)
        for field, names in columns.items()
        for name in names
    ]
    scorers = new["scorers"]
    named = {name for scorer in scorers for name in scorer.get("fields") or {}}
    named |= {scorer["field"] for scorer in scorers if scorer.get("field")}
    return (
        watch["datapoints_to_alarm"] <= watch["evaluation_periods"]
        and columns.keys() <= inputs.keys()
        and len({name for name, _ in claims}) == len(set(claims))
        and named <= outputs.keys()
        and not new.get("gate", {}).get("tags")
        and not new.get("judge")
    )


def _states_make_sense(old: Any, new: Any, changed: list[str]) -> bool:
    for place in changed:
        _, task, *rest = place.split(".")
        if rest[-1] == "state":
            version = ".".join(rest[1:-1])
            states = {item["tasks"][task]["versions"][version]["state"] for item in (old, new)}
            if not states <= ARCHIVED_STATES:
                return False
        if rest == ["verdict", "status"] and new["tasks"][task]["verdict"]["status"] == "PASS":
            return False
    return True
