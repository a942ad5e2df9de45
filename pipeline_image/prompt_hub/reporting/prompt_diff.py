"""What differs between two prompt versions, word by word."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, assert_never

from pydantic import JsonValue

from prompt_hub.repository.schema import FewShot, JsonObject, Message, Prompt

Kind = Literal["same", "removed", "added"]
SHOTS = "few_shot.examples"
"""Where the worked examples differ: one line each."""

# Japanese and Chinese have no spaces. Katakana writes words; of Han and Hiragana each character is
# compared as one.
_KATAKANA = r"\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_SINGLE = r"\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORDS = rf"[{_KATAKANA}]+|[{_SINGLE}]|[^\W{_KATAKANA}{_SINGLE}]+"
_TOKEN = re.compile(rf"\s+|(?:{_WORDS})(?:[.,]\d+)*|[^\w\s]")
_CLAUSE = re.compile(r"\s+|\w+(?:[.,]\d+)*|[^\w\s]")
"""For texts that are too long to be compared by character."""
_WORD = re.compile(_WORDS)
_MOST_COMPARISONS = 25_000_000
"""Texts with more pairs of tokens than this are shown as replaced: nobody waits for a diff."""
_LEAST_IN_COMMON = 0.5
"""Texts that share less are shown as replaced, too: a patchwork of two sentences says nothing."""


@dataclass(frozen=True)
class Run:
    """A stretch of text that both versions have, or only one of them."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Difference:
    """One place in which two prompts differ; the runs are its whole text."""

    where: str
    runs: tuple[Run, ...]

    @property
    def kind(self) -> Literal["removed", "added", "changed"]:
        """Whether the place is in one of the prompts only."""
        kinds = {run.kind for run in self.runs}
        if kinds == {"removed"}:
            return "removed"
        return "added" if kinds == {"added"} else "changed"

    def words(self, kind: Kind) -> int:
        """How many words were added or removed."""
        return sum(len(_WORD.findall(run.text)) for run in self.runs if run.kind == kind)

    def lines(self, kind: Kind) -> int:
        """How many lines were added or removed."""
        return sum(run.text.count("\n") for run in self.runs if run.kind == kind)


def differences(before: Prompt, after: Prompt) -> tuple[Difference, ...]:
    """Every difference between two prompts: description, model, contracts, shots, messages."""
    found = [
        *_texts("description", before.description, after.description),
        *_texts("model", before.model.alias, after.model.alias),
        *_trees("parameters", _parameters(before), _parameters(after)),
        *_trees("input", before.input, after.input),
        *_trees("output", before.output, after.output),
        *_orders("output", before.output, after.output),
        *_texts("output_fence", before.output_fence, after.output_fence),
        *_shots(before.few_shot, after.few_shot),
        *_messages(before.messages, after.messages),
    ]
    return tuple(found)


def word_runs(before: str, after: str) -> tuple[Run, ...]:
    """Two texts as one sequence of runs.

    Without the added runs it is `before`, without the removed ones `after`.
    """
    for token in (_TOKEN, _CLAUSE):
        old, new = token.findall(before), token.findall(after)
        start = _common(old, new)
        end = _common(old[start:][::-1], new[start:][::-1])
        middle_old, middle_new = old[start : len(old) - end], new[start : len(new) - end]
        if len(middle_old) * len(middle_new) <= _MOST_COMPARISONS:
            break
    return _tidy(
        [
            Run("same", "".join(old[:start])),
            *_opcodes(middle_old, middle_new),
            Run("same", "".join(old[len(old) - end :])),
        ]
    )


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next(
        (index for index, (text, other) in pairs if text != other), min(len(first), len(second))
    )


def _opcodes(old: list[str], new: list[str], least: float = _LEAST_IN_COMMON) -> Iterator[Run]:
    """Yield what to do to make `old` into `new`; all of it where less than `least` is shared."""
    replaced = (Run("removed", "".join(old)), Run("added", "".join(new)))
    if len(old) * len(new) > _MOST_COMPARISONS:
        yield from replaced
        return
    # White space is junk to the matcher: it aligns words, and so many blanks would be slow.
    matcher = SequenceMatcher(str.isspace, old, new, autojunk=False)
    if matcher.ratio() < least:
        yield from replaced
        return
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            yield Run("same", "".join(old[i1:i2]))
        else:
            yield Run("removed", "".join(old[i1:i2]))
            yield Run("added", "".join(new[j1:j2]))


def _tidy(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return the same change in fewer runs: a lone blank between two changes is part of them."""
    tidied: list[Run] = []
    removed = added = ""
    filled = [run for run in runs if run.text]
    for index, run in enumerate(filled):
        match run.kind:
            case "removed":
                removed += run.text
            case "added":
                added += run.text
            case "same":
                if run.text.isspace() and removed and added and _changes(filled, index + 1):
                    removed += run.text
                    added += run.text
                else:
                    tidied += _changed(removed, added)
                    removed = added = ""
                    tidied.append(run)
            case _:
                assert_never(run.kind)
    tidied += _changed(removed, added)
    return tuple(tidied)


def _changes(runs: Sequence[Run], index: int) -> bool:
    return index < len(runs) and runs[index].kind != "same"


def _changed(removed: str, added: str) -> Iterator[Run]:
    if removed:
        yield Run("removed", removed)
    if added:
        yield Run("added", added)


def _texts(where: str, before: str | None, after: str | None) -> Iterator[Difference]:
    if before != after:
        yield Difference(where, word_runs(before or "", after or ""))


def _trees(where: str, before: JsonValue, after: JsonValue) -> Iterator[Difference]:
    """Differences of two JSON values, each at the deepest place that holds it."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            place = f"{where}.{key}"
            if key not in before:
                yield Difference(place, (Run("added", _json(after[key])),))
            elif key not in after:
                yield Difference(place, (Run("removed", _json(before[key])),))
            else:
                yield from _trees(place, before[key], after[key])
    elif before != after:
        yield Difference(where, word_runs(_json(before), _json(after)))


def _orders(where: str, before: JsonValue, after: JsonValue) -> Iterator[Difference]:
    """Yield where keys that both have stand in another order: models answer in the schema's."""
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = [key for key in before if key in after], [key for key in after if key in before]
        if old != new:
            yield Difference(f"{where} (order)", word_runs(", ".join(old), ", ".join(new)))
        for key in new:
            yield from _orders(f"{where}.{key}", before[key], after[key])
    # Lists that differ in more are shown whole by `_trees`.
    elif isinstance(before, list) and isinstance(after, list) and before == after:
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _orders(f"{where}.{place}", one, other)


def _parameters(prompt: Prompt) -> JsonObject:
    return {str(name): value for name, value in prompt.model.parameters.items()}


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)


def _shots(before: FewShot | None, after: FewShot | None) -> Iterator[Difference]:
    counts = [str(shots.count) if shots else None for shots in (before, after)]
    yield from _texts("few_shot.count", *counts)
    old, new = (
        [
            f"{_json(shot.input)} → {_json(shot.expected)}\n"
            for shot in (shots.examples or () if shots else ())
        ]
        for shots in (before, after)
    )
    if old != new:
        yield Difference(SHOTS, _tidy(list(_opcodes(old, new, least=0.0))))


def _messages(before: Sequence[Message], after: Sequence[Message]) -> Iterator[Difference]:
    """Messages in pairs: those of the same role that stand at the same place."""
    roles = SequenceMatcher(None, [m.role for m in before], [m.role for m in after], autojunk=False)
    for tag, i1, i2, j1, j2 in roles.get_opcodes():
        if tag == "equal":
            for old, new, place in zip(before[i1:i2], after[j1:j2], range(j1, j2), strict=True):
                yield from _texts(_called(after, place), old.content, new.content)
            continue
        for place in range(i1, i2):
            removed = Run("removed", before[place].content)
            yield Difference(_called(before, place), (removed,))
        for place in range(j1, j2):
            yield Difference(_called(after, place), (Run("added", after[place].content),))


def _called(messages: Sequence[Message], place: int) -> str:
    """Return what people call a message: its role, numbered where the role has several."""
    role = messages[place].role
    if sum(message.role == role for message in messages) == 1:
        return f"{role} message"
    return f"{role} message {sum(message.role == role for message in messages[: place + 1])}"
