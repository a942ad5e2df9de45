"""What a service needs of its image, small enough for a great many versions.

A manifest of 200,000 versions is 80 MB of text and half a gigabyte of models; a parsed prompt takes
ten kilobytes. Neither is held: of the manifest hashes remain, and of the prompts only those that
are served, packed; a version that a pointer moves to is read from its file then.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter

from prompt_hub.core import aws_names
from prompt_hub.core.bounded import Bounded
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.ledger.items import VersionRef
from prompt_hub.release.drill_repository import repository_of
from prompt_hub.release.manifest import (
    CarriedTask,
    Release,
    VersionKey,
    load,
    unreadable_manifest,
)
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Prompt, TaskName

CHECKED_AT_START = 1000
"""Versions whose content is checked before the start: all of an ordinary image.

A larger one checks what git has released, and that the others are there; their content is checked
when a pointer moves to them. It takes 0.6 ms each.
"""
PARSED = 1024
"""Prompts that are held parsed; unpacking another takes 20 µs."""

_TASKS = TypeAdapter(dict[TaskName, CarriedTask])


@dataclass(frozen=True, kw_only=True)
class CarriedHashes:
    """A release as far as a service needs it."""

    release: str
    carries: Mapping[str, Mapping[str, str]]
    """Hash by version by task."""
    champions: Mapping[str, VersionRef]
    """What git has released."""
    snapshot: Mapping[str, VersionRef]
    """What is served where no ledger can be asked (`Release.snapshot`)."""

    @classmethod
    def of(cls, release: Release) -> CarriedHashes:
        """Return what a service needs of a release."""
        return cls(
            release=release.release,
            carries=release.carries(),
            champions=release.champions(),
            snapshot=release.snapshot(),
        )


def carried_hashes(root: Path) -> CarriedHashes:
    """Return what `load` returns, as far as a service needs it: one task at a time is read."""
    path = root / aws_names.RELEASE_FILE
    if not path.exists():
        return CarriedHashes.of(load(root))
    try:
        return _read(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise unreadable_manifest(path, error) from None


def _read(text: str) -> CarriedHashes:
    head: dict[str, object] = {"tasks": {}}
    places: dict[str, slice] = {}
    carries: dict[str, Mapping[str, str]] = {}
    champions: dict[str, VersionRef] = {}
    cursor = _Cursor(text)
    for name in cursor.members():
        if name != "tasks":
            head[name] = cursor.value()
            continue
        for task in cursor.members():
            start = cursor.at
            cursor.value()
            places[task] = slice(start, cursor.at)
            carried = _task(text, task, places[task])
            carries[task] = {version.version: version.sha256 for version in carried.versions}
            if (champion := carried.version(carried.champion)) is not None:
                champions[task] = champion.reference
    cursor.end()
    release = Release.model_validate_json(json.dumps(head))
    snapshot = dict(champions)
    # What did harm stands behind the tasks: the few that have some are read once more.
    harmed = {name: _task(text, name, places[name]) for name in release.quarantined.keys() & places}
    for task in harmed:
        snapshot.pop(task, None)
    snapshot |= release.model_copy(update={"tasks": harmed}).snapshot()
    return CarriedHashes(
        release=release.release, carries=carries, champions=champions, snapshot=snapshot
    )


def _task(text: str, name: str, place: slice) -> CarriedTask:
    return _TASKS.validate_json(f"{{{json.dumps(name)}:{text[place]}}}")[name]


class _Cursor:
    """A place in a JSON text, which is read value by value."""

    def __init__(self, text: str) -> None:
        self.at = 0
        self._text = text
        self._decode = json.JSONDecoder().raw_decode
        self._skip_space()

    def members(self) -> Iterator[str]:
        """Yield each name of the object here; its value is to be read before the next one."""
        self._skip("{")
        if self._peek() != "}":
            while True:
                name = self.value()
                if not isinstance(name, str):
                    raise json.JSONDecodeError("Expecting a name", self._text, self.at)
                self._skip(":")
                yield name
                if self._peek() == "}":
                    break
                self._skip(",")
        self._skip("}")

    def value(self) -> object:
        """Read the value here, and go behind it."""
        found, self.at = self._decode(self._text, self.at)
        self._skip_space()
        return found

    def end(self) -> None:
        """Raise `ValueError` if anything follows."""
        if self._peek():
            raise json.JSONDecodeError("Extra data", self._text, self.at)

    def _peek(self) -> str:
        return self._text[self.at : self.at + 1]

    def _skip(self, expected: str) -> None:
        if self._peek() != expected:
            raise json.JSONDecodeError(f"Expecting {expected!r}", self._text, self.at)
        self.at += 1
        self._skip_space()

    def _skip_space(self) -> None:
        while self._peek().isspace():
            self.at += 1


class CarriedPrompts(Mapping[VersionKey, Prompt]):
    """Every prompt that an image carries, read from its file when it is needed first."""

    def __init__(
        self,
        repository: PromptRepository,
        hashes: CarriedHashes,
    ) -> None:
        """Read from `repository` the prompts that a release carries, by `hashes`."""
        self._repository = repository
        self._carries = hashes.carries
        self._champions = hashes.champions
        self._packed: dict[VersionKey, bytes] = {}
        self._parsed: Bounded[VersionKey, Prompt] = Bounded(PARSED)
        self._coming: Bounded[VersionKey, Prompt] = Bounded(PARSED)
        """Parsed before a pointer leads there, so that no call waits for it."""

    def __getitem__(self, key: VersionKey) -> Prompt:
        """Return a prompt, its hash that of the manifest.

        Raises `PromptHubError` if its file is missing, broken, or has another content.
        """
        found = self._parsed.get(key)
        if found is None:
            found = self._coming.get(key)
            if found is None:
                packed = self._packed.get(key)
                found = self._from_file(*key) if packed is None else _unpacked(packed)
            self._coming.drop(key)
            self._parsed.put(key, found)
        return found

    def __contains__(self, key: object) -> bool:
        """Whether the image carries it; its file is not read."""
        return isinstance(key, tuple) and key[1] in self._carries.get(key[0], {})

    def __iter__(self) -> Iterator[VersionKey]:
        """Iterate over task and version of each."""
        return ((task, version) for task, has in self._carries.items() for version in has)

    def __len__(self) -> int:
        """Return how many versions are carried."""
        return sum(map(len, self._carries.values()))

    def prepare(self, task: str, version: str) -> bytes:
        """Have a prompt at hand, and return it packed; raises as reading it does."""
        packed = self._packed.get((task, version))
        if packed is None:
            packed = pickle.dumps(self._from_file(task, version))
            self._packed[task, version] = packed
        return packed

    def take(self, packed: Mapping[VersionKey, bytes], left: Collection[VersionKey]) -> None:
        """Take over what another process of this service has prepared.

        `left` is what pointers lead to until now: what comes instead of a prompt that is held
        parsed is parsed here, in the thread of the pointers.
        """
        self._packed.update(packed)
        called = {task for task, version in left if self._parsed.get((task, version)) is not None}
        for key in packed:
            if key[0] in called:
                self._coming.put(key, _unpacked(packed[key]))

    def forget(self, keys: Collection[VersionKey]) -> None:
        """Hold these no longer, as no pointer leads to them."""
        for key in keys:
            self._packed.pop(key, None)
            self._parsed.drop(key)
            self._coming.drop(key)

    def require_all(self) -> None:
        """Raise `PromptHubError` unless every file is there, and champions are what was promoted.

        Of an image with no more than `CHECKED_AT_START` versions each is what was promoted.
        """
        every = len(self) <= CHECKED_AT_START
        for task, has in self._carries.items():
            champion = self._champions.get(task)
            if champion is not None:
                self.prepare(task, champion.version)
            source = repository_of(task, self._repository)
            there = source.archived_files(task)
            for version in has:
                if champion is not None and version == champion.version:
                    continue
                if every or version not in there:
                    self._from_file(task, version)

    def _from_file(self, task: str, version: str) -> Prompt:
        promised = self._carries[task][version]
        source = repository_of(task, self._repository)
        champion = self._champions.get(task)
        if champion is not None and champion.version == version:
            prompt = source.version(task, version)
        else:
            # The champion's file need not be read to know that it is another version.
            prompt = source.archived_version(task, version) or source.version(task, version)
        if prompt is None or prompt.sha256 != promised:
            found = "is missing" if prompt is None else f"has the hash {prompt.sha256}"
            raise PromptHubError(
                f"{task} {version} {found}; {aws_names.RELEASE_FILE} promises {promised}.",
                hint="Build the image from a promoted tree.",
                exit_code=ExitCode.BLOCKED,
            )
        return prompt


def _unpacked(packed: bytes) -> Prompt:
    # Packed by this service itself, in this process or in its supervisor.
    return cast(Prompt, pickle.loads(packed))  # noqa: S301


def carried_prompts(repository: PromptRepository, hashes: CarriedHashes) -> CarriedPrompts:
    """Return every prompt that a release names.

    Raises `PromptHubError` if a prompt is missing or is not the one that was promoted, as far as
    `CarriedPrompts.require_all` looks.
    """
    prompts = CarriedPrompts(repository, hashes)
    prompts.require_all()
    return prompts
