"""A generated configuration: its files, what a note may name of it, and how the model answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import yaml

Message = dict[str, object]


class Effect(StrEnum):
    """What a feature can change between the two programs."""

    MESSAGES = "messages"
    VERDICT = "verdict"
    TEST = "test"
    MORE_TESTS = "more tests"
    IMPORT = "import"


@dataclass(frozen=True)
class Feature:
    """Something that the importer may list; a note names it if it holds one of `words`.

    `test` is the key of the test that has it, empty for what the whole configuration has.
    """

    words: tuple[str, ...]
    effects: frozenset[Effect]
    test: str = ""

    def is_named_in(self, text: str) -> bool:
        """Say whether a note names it."""
        return any(word in text for word in self.words)


@dataclass
class Configuration:
    """One generated configuration; `files` are texts by path, the first is the configuration.

    `answers` are pairs of a text in the last message and the answer to it.
    """

    number: int
    files: dict[str, str] = field(default_factory=dict)
    features: list[Feature] = field(default_factory=list)
    answers: list[tuple[str, str]] = field(default_factory=list)
    fallback: list[str] = field(default_factory=lambda: ["resistor", "I cannot say."])

    def feature(self, words: Sequence[str], *effects: Effect, test: str = "") -> None:
        """Add what a note may name."""
        self.features.append(Feature(tuple(words), frozenset(effects), test))

    def answer(self, messages: Sequence[Message]) -> str:
        """Return the model's answer: the same for the same last message, whoever asks."""
        last = str(messages[-1].get("content", "")) if messages else ""
        for needle, text in self.answers:
            if needle in last:
                return text
        digest = hashlib.sha256(last.encode("utf-8", "surrogatepass")).digest()
        return self.fallback[digest[0] % len(self.fallback)]


class Bare(str):
    """A scalar that is written into YAML as it stands, whatever it means there."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _bare(dumper: _Dumper, value: Bare) -> yaml.Node:
    # The tag that the emitter would resolve it to, so that it writes no quotes around it.
    tag: str = dumper.resolve(yaml.ScalarNode, str(value), (True, False))  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(tag, str(value))


_Dumper.add_representer(Bare, _bare)


def to_yaml(value: object) -> str:
    """Return a value as YAML; `Bare` texts stand there unquoted."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2000)


def to_json(value: object) -> str:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False, indent=1)
