"""Every file of the prompt repository, read once, and what kept some from being read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar, cast

from pydantic import JsonValue

from prompt_hub.errors import PromptHubError
from prompt_hub.prompts.documents import (
    Document,
    InvalidDocuments,
    Location,
    Problem,
    parse_jsonl,
    parse_yaml,
    read_text,
    strict_json,
    to_model,
)
from prompt_hub.prompts.models import Example, Metadata, Prompt, RegisteredTask, Registry
from prompt_hub.prompts.repository import (
    ARCHIVE,
    EVALS,
    EXAMPLES,
    METADATA,
    PRODUCTION,
    REGISTRY,
    REVIEWS,
    PromptRepository,
    sealed,
)

ContentT = TypeVar("ContentT")


@dataclass(frozen=True)
class Finding:
    """A problem and the id of the rule that found it; `task` where the rule looked at one task."""

    rule: str
    problem: Problem
    task: str | None = None


@dataclass(frozen=True)
class Source(Generic[ContentT]):
    """A file that could be read: what it holds, and where in it."""

    path: Path
    document: Document
    content: ContentT

    def problem(self, location: Location, found: str, expected: str) -> Problem:
        """A problem at `location` in this file."""
        return self.document.problem(location, found, expected)


@dataclass(frozen=True, kw_only=True)
class TaskFiles:
    """All that the repository says about one task; None or empty where a file could not be used.

    `whole` is the candidate with building blocks and shots inlined, `judge` the released version
    that the metadata pins. `evaluations` are the records
    in 04-evals by the version that their file is named after. `layers` names the layers that have
    a file of this task, readable or not.
    """

    task: str
    layers: frozenset[str]
    metadata: Source[Metadata] | None
    candidate: Source[Prompt] | None
    whole: Prompt | None
    examples: tuple[tuple[int, Example], ...]
    examples_file: str
    judge: Source[Prompt] | None
    production: Source[Prompt] | None
    archive: tuple[Source[Prompt], ...]
    evaluations: Mapping[str, Source[JsonValue]]
    registry: Source[Registry] | None
    prompts: Path

    @property
    def registered(self) -> RegisteredTask | None:
        """What the registry says about the task."""
        return self.registry.content.tasks.get(self.task) if self.registry else None

    @property
    def named(self) -> frozenset[str]:
        """The drafts that the metadata names."""
        if self.metadata is None:
            return frozenset()
        return frozenset({f"prompts/{self.metadata.content.candidate}"})

    @property
    def released(self) -> tuple[Source[Prompt], ...]:
        """Every released or archived version."""
        return (*((self.production,) if self.production else ()), *self.archive)

    def example_problem(self, line: int, location: Location, found: str, expected: str) -> Problem:
        """A problem in the example on `line`."""
        return Problem(self.examples_file, line, 1, ".".join(map(str, location)), found, expected)

    def registry_problem(self, location: Location, found: str, expected: str) -> Problem:
        """A problem in the registry, below this task's entry."""
        here = ("tasks", self.task, *location)
        if self.registry is None:
            return Problem(REGISTRY, 1, 1, ".".join(map(str, here)), found, expected)
        return self.registry.problem(here, found, expected)


@dataclass
class Tree:
    """The repository as found on disk.

    `texts` holds every file that is text, `unreadable` what the reading itself found wrong.
    """

    repository: PromptRepository
    files: tuple[str, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, TaskFiles] = field(default_factory=dict)
    unreadable: list[Finding] = field(default_factory=list)

    def touches(self, task: str, finding: Finding) -> bool:
        """Whether a finding is about `task`."""
        if finding.task is not None:
            return finding.task == task
        folder, _, rest = finding.problem.file.removeprefix("prompts/").partition("/")
        if folder in {EXAMPLES, METADATA, PRODUCTION, EVALS, ARCHIVE}:
            return rest.split("/")[0].split(".")[0] == task
        owners = {one.task for one in self.tasks.values() if finding.problem.file in one.named}
        # A registry that cannot be read, and building blocks, are everybody's.
        return not owners or task in owners


def read_tree(repository: PromptRepository) -> Tree:
    """Read everything below `prompts/` and the registry; never raises for what a file holds."""
    return _Reader(repository).read()


class _Reader:
    def __init__(self, repository: PromptRepository) -> None:
        self._repository = repository
        self._tree = Tree(repository)
        self._sources: dict[Path, Source[Prompt] | None] = {}
        self._documents: dict[Path, Document] = {}
        self._evaluations: dict[str, dict[str, Source[JsonValue]]] = {}

    def read(self) -> Tree:
        tree = self._tree
        paths = [path for path in _walk(self._repository.prompts) if self._is_ours(path)]
        registry = self._repository.root / REGISTRY
        if registry.exists():
            paths.append(registry)
        tree.files = tuple(map(self._repository.relative, paths))
        for path in paths:
            self._read(path)
        found = self._registry(registry)
        for task in sorted(self._names(found)):
            tree.tasks[task] = self._task(task, found)
        return tree

    def _note(self, rule: str, *problems: Problem) -> None:
        self._tree.unreadable += [Finding(rule, problem) for problem in problems]

    def _is_ours(self, path: Path) -> bool:
        """Whether a path is a plain file inside the tree; notes what else it is."""
        name = self._repository.relative(path)
        if not path.resolve().is_relative_to(self._repository.prompts.resolve()):
            found, expected = "a symbolic link out of the tree", "the file itself"
        elif not path.exists():
            found, expected = "a symbolic link to nothing", "the file itself"
        elif path.is_file():
            return True
        elif path.is_dir():
            found, expected = "a symbolic link to a folder", "the folder itself"
        else:
            found, expected = "something that is no file", "a file"
        self._note("link", Problem(name, 1, 1, "", found, expected))
        return False

    def _read(self, path: Path) -> None:
        """Read one file as text and, where its name says what it is, parse it."""
        name = self._repository.relative(path)
        try:
            text = self._tree.texts[name] = read_text(path, name)
            if path.suffix in {".yaml", ".yml"}:
                self._documents[path] = parse_yaml(text, name)
            elif path.suffix == ".json" and path.parent.name == REVIEWS:
                _parse_json(text, name)
            elif path.suffix == ".json":
                document = Document(name, _parse_json(text, name))
                records = self._evaluations.setdefault(path.parent.name, {})
                records[path.stem] = Source(path, document, cast(JsonValue, document.data))
            elif path.suffix == ".jsonl" and path.parent.name != EXAMPLES:
                for _ in parse_jsonl(text, name):
                    pass
        except InvalidDocuments as error:
            self._note("parse", *error.problems)

    def _names(self, registry: Source[Registry] | None) -> set[str]:
        prompts = self._repository.prompts
        found = {path.stem for path in (prompts / METADATA).glob("*.yaml")}
        found |= {path.stem for path in (prompts / EXAMPLES).glob("*.jsonl")}
        found |= {path.stem for path in (prompts / PRODUCTION).glob("*.yaml")}
        found |= {path.parent.name for path in (prompts / ARCHIVE).glob("*/*.yaml")}
        return found | set(registry.content.tasks if registry else ())

    def _registry(self, path: Path) -> Source[Registry] | None:
        if not path.exists():
            nothing = Document(REGISTRY, {})
            return Source(path, nothing, self._repository.registry())
        return self._modelled(path, lambda it: to_model(it, Registry))

    def _modelled(
        self, path: Path, read: Callable[[Document], ContentT]
    ) -> Source[ContentT] | None:
        document = self._documents.get(path)
        if document is None:
            return None
        try:
            return Source(path, document, read(document))
        except InvalidDocuments as error:
            broken_lock = any(problem.field.startswith("lock") for problem in error.problems)
            self._note("lock" if broken_lock else "model", *error.problems)
            return None

    def _prompt(self, path: Path) -> Source[Prompt] | None:
        if path not in self._sources:
            self._sources[path] = self._modelled(path, lambda it: to_model(it, Prompt))
        return self._sources[path]

    def _named(self, name: str) -> Source[Prompt] | None:
        return self._prompt((self._repository.prompts / name).resolve())

    def _pinned(self, task: str, version: str) -> Source[Prompt] | None:
        """A released or archived version of a task, None where there is none to be read."""
        released = self._repository.path(PRODUCTION, f"{task}.yaml")
        archived = self._repository.path(ARCHIVE, f"{task}/{version}.yaml")
        sources = (self._modelled(path, sealed) for path in (released, archived))
        return next((one for one in sources if one and one.content.version == version), None)

    def _examples(self, task: str) -> tuple[tuple[int, Example], ...]:
        path = self._repository.path(EXAMPLES, f"{task}.jsonl")
        if self._repository.relative(path) not in self._tree.texts:
            return ()
        try:
            return self._repository.numbered_examples(task)
        except InvalidDocuments as error:
            self._note("example", *error.problems)
            return ()

    def _task(self, task: str, registry: Source[Registry] | None) -> TaskFiles:
        repository = self._repository
        places = {
            METADATA: repository.path(METADATA, f"{task}.yaml"),
            EXAMPLES: repository.path(EXAMPLES, f"{task}.jsonl"),
            PRODUCTION: repository.path(PRODUCTION, f"{task}.yaml"),
            ARCHIVE: repository.path(ARCHIVE, task),
        }
        metadata = self._modelled(places[METADATA], lambda it: to_model(it, Metadata))
        examples = self._examples(task)
        candidate = self._named(metadata.content.candidate) if metadata else None
        judge = metadata and metadata.content.judge
        archive = (self._modelled(path, sealed) for path in sorted(places[ARCHIVE].glob("*.yaml")))
        return TaskFiles(
            task=task,
            layers=frozenset(layer for layer, path in places.items() if path.exists()),
            metadata=metadata,
            candidate=candidate,
            whole=self._whole(candidate, examples),
            examples=examples,
            examples_file=repository.relative(places[EXAMPLES]),
            judge=self._pinned(judge.task, judge.version) if judge else None,
            production=self._modelled(places[PRODUCTION], sealed),
            archive=tuple(source for source in archive if source is not None),
            evaluations=self._evaluations.get(task, {}),
            registry=registry,
            prompts=repository.prompts,
        )

    def _whole(
        self, candidate: Source[Prompt] | None, examples: tuple[tuple[int, Example], ...]
    ) -> Prompt | None:
        if candidate is None:
            return None
        draft = candidate.content
        for index, message in enumerate(draft.messages):
            try:
                self._repository.inlined(message.content)
            except PromptHubError as error:
                location = ("messages", index, "content")
                found = error.message.splitlines()[0]
                expected = "building blocks in 00-templates"
                self._note("building-block", candidate.problem(location, found, expected))
                return None
        shots = sum(1 for _, example in examples if example.split == "shot")
        if draft.few_shot and shots < draft.few_shot.count:
            if examples:
                expected = f"at most {shots}: so many examples have split: shot"
                found = str(draft.few_shot.count)
                self._note("few-shot", candidate.problem(("few_shot", "count"), found, expected))
            return None
        return self._repository.whole(draft, [example for _, example in examples])


def _walk(folder: Path) -> Iterator[Path]:
    """Every file and every link below `folder`, in order; hidden ones are not prompts."""
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (here / name for name in folders if (here / name).is_symlink())
        yield from (here / name for name in sorted(files) if not name.startswith("."))


def _parse_json(text: str, name: str) -> object:
    try:
        return strict_json(text)
    except ValueError as error:
        raise InvalidDocuments([Problem(name, 1, 1, "", str(error), "valid JSON")]) from None
