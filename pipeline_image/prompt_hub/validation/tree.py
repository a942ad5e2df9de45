"""Every file of the prompt repository, read once, and what kept some from being read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import JsonValue

from prompt_hub.llm.config import ModelAliases
from prompt_hub.repository.documents import (
    Document,
    Problem,
)
from prompt_hub.repository.examples import ExampleLines
from prompt_hub.repository.includes import BlockError, ExpandedTemplate
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.many_examples import NumberedExamples
from prompt_hub.repository.reader import (
    ARCHIVE,
    EVALS,
    EXAMPLES,
    METADATA,
    PRODUCTION,
    REGISTRY,
    PromptRepository,
)
from prompt_hub.repository.registry import RegisteredTask, Registry
from prompt_hub.repository.schema import Example, Prompt
from prompt_hub.repository.templates import TemplateAnalysis
from prompt_hub.scoring.fields import leaves
from prompt_hub.scoring.metadata import ScoringMetadata

ContentT = TypeVar("ContentT")


@dataclass(frozen=True)
class Finding:
    """A problem, which knows its rule; `task` where the rule looked at one task.

    A mistake in a file that several tasks share is one finding, whichever task met it.
    """

    problem: Problem
    task: str | None = field(default=None, compare=False)

    @property
    def rule(self) -> str:
        """The id of the rule that the problem breaks."""
        return self.problem.rule

    @property
    def is_error(self) -> bool:
        """Whether the repository is not valid because of it."""
        return self.problem.severity == "error"


@dataclass(frozen=True)
class Source(Generic[ContentT]):
    """A file that could be read: what it holds, and where in it."""

    path: Path
    document: Document
    content: ContentT

    def problem(
        self, location: Location, found: str, expected: str, *, rule: str = "", suggestion: str = ""
    ) -> Problem:
        """Return a problem at `location` in this file."""
        return self.document.problem(location, found, expected, rule=rule, suggestion=suggestion)

    def key_problem(
        self, location: Location, found: str, expected: str, *, suggestion: str = ""
    ) -> Problem:
        """Return a problem with the key at the end of `location`."""
        return self.document.key_problem(location, found, expected, suggestion=suggestion)


@dataclass(frozen=True)
class MessageTemplate:
    """One message of a prompt with its building blocks in place, and what was read in it."""

    source: Source[Prompt]
    index: int
    whole: ExpandedTemplate
    reading: TemplateAnalysis

    def problem(self, offset: int, found: str, expected: str, *, suggestion: str = "") -> Problem:
        """Return a problem with the character at `offset`, told where that was written."""
        place = self.whole.place(offset)
        if place.file:
            where = (place.file, place.line, place.column, "")
            return Problem(*where, found, expected, suggestion=suggestion)
        return self._here(place.offset, found, expected, "", suggestion)

    def block_problem(self, error: BlockError) -> Problem:
        """Return what keeps a block out of this message."""
        place = error.place
        if place.file:
            where = (place.file, place.line, place.column, "")
            return Problem(*where, error.found, error.expected, error.rule)
        return self._here(place.offset, error.found, error.expected, error.rule, "")

    def _here(self, offset: int, found: str, expected: str, rule: str, meant: str) -> Problem:
        document, location = self.source.document, ("messages", self.index, "content")
        content = self.source.content.messages[self.index].content
        line, column = document.place_inside(location, content, offset)
        field = ".".join(map(str, location))
        return Problem(document.file, line, column, field, found, expected, rule, meant)


@dataclass(frozen=True, kw_only=True)
class TaskFiles:
    """All that the repository says about one task; None or empty where a file could not be used.

    `whole` is the candidate with building blocks and shots inlined, `templates` are its messages,
    `judge` is the released version that the metadata pins. `evaluations` are the records in
    04-evals by the version that their file is named after, `evidence` the hashes of them with
    their details. `layers` names the layers that have a file of this task, readable or not.
    """

    task: str
    layers: frozenset[str]
    metadata: Source[ScoringMetadata] | None
    candidate: Source[Prompt] | None
    whole: Prompt | None
    templates: tuple[MessageTemplate, ...]
    examples: Sequence[tuple[int, Example]]
    examples_file: str
    no_examples: bool
    """Whether the file is there and blank."""
    example_lines: ExampleLines | NumberedExamples
    """Says what stands on a line of it."""
    judge: Source[Prompt] | None
    production: Source[Prompt] | None
    archive: tuple[Source[Prompt], ...]
    evaluations: Mapping[str, Source[JsonValue]]
    evidence: Mapping[str, str]
    texts: Mapping[str, str]
    registry: Source[Registry] | None
    prompts: Path
    models: ModelAliases | None = None
    """What aliases mean here, where that is known."""
    aliases: frozenset[str] | None = None
    """The aliases that the repository's own settings give a meaning, where it has settings."""

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

    @property
    def people_write(self) -> tuple[Source[Prompt], ...]:
        """The candidate and the judge."""
        return tuple(source for source in (self.candidate, self.judge) if source is not None)

    def example_problem(
        self, line: int, location: Location, found: str, expected: str, *, suggestion: str = ""
    ) -> Problem:
        """Return a problem in the example on `line`."""
        document = self.example_lines.document(line)
        return document.problem(location, found, expected, suggestion=suggestion)

    @cached_property
    def expected_names(self) -> tuple[str, ...]:
        """Paths of all values that examples expect, in the order in which they are met."""
        return tuple(
            dict.fromkeys(name for _, example in self.examples for name in leaves(example.expected))
        )

    def without_examples(self) -> TaskFiles:
        """Return what is kept of a task when its rules have been asked."""
        nothing = ExampleLines("", self.examples_file)
        return replace(self, examples=(), no_examples=False, example_lines=nothing)

    def registry_problem(self, location: Location, found: str, expected: str) -> Problem:
        """Return a problem in the registry, below this task's entry."""
        here = ("tasks", self.task, *location)
        if self.registry is None:
            return Problem(REGISTRY, 1, 1, ".".join(map(str, here)), found, expected)
        return self.registry.problem(here, found, expected)


@dataclass
class Tree:
    """The repository as found on disk.

    `texts` holds every file that is text, hidden ones too, but for examples: these are read with
    their task and dropped again. `keys` says where something in a file looks like a key, and
    `unreadable` what the reading itself found wrong.
    """

    repository: PromptRepository
    files: tuple[str, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    keys: dict[str, tuple[tuple[int, int, str], ...]] = field(default_factory=dict)
    tasks: dict[str, TaskFiles] = field(default_factory=dict)
    drafts: list[Source[Prompt]] = field(default_factory=list)
    unreadable: list[Finding] = field(default_factory=list)

    def touches(self, task: str, finding: Finding) -> bool:
        """Whether a finding is about `task`."""
        if finding.task is not None:
            return finding.task == task
        folder, _, rest = finding.problem.file.removeprefix("prompts/").partition("/")
        if folder in {EXAMPLES, METADATA, PRODUCTION, EVALS, ARCHIVE}:
            return rest.split("/")[0].split(".")[0] == task
        owners = {
            files.task for files in self.tasks.values() if finding.problem.file in files.named
        }
        # A registry that cannot be read, and building blocks, are everybody's.
        return not owners or task in owners
