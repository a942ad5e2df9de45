"""Reading a prompt repository into a tree that rules look at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple, cast

from pydantic import JsonValue

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.hashing import evidence_sha256
from prompt_hub.core.json_strict import is_text
from prompt_hub.repository.documents import (
    Document,
    InvalidDocumentsError,
    Problem,
    open_bytes,
    read_bytes,
    to_model,
)
from prompt_hub.repository.example_sets import LONGEST_REFERENCE, examples_of, reference_in
from prompt_hub.repository.examples import ExampleLines, parse_examples, read_examples
from prompt_hub.repository.includes import BlockError, ExpandedTemplate
from prompt_hub.repository.json import parse_json
from prompt_hub.repository.many_examples import NumberedExamples, numbered_facts
from prompt_hub.repository.reader import (
    ARCHIVE,
    EXAMPLES,
    METADATA,
    PRODUCTION,
    REGISTRY,
    REVIEWS,
    TEMPLATES,
    PromptRepository,
    path_inside,
    sealed,
)
from prompt_hub.repository.registry import Registry
from prompt_hub.repository.schema import Example, Prompt
from prompt_hub.repository.templates import TemplateAnalysis, read
from prompt_hub.repository.yaml import parse_yaml
from prompt_hub.scoring.metadata import ScoringMetadata
from prompt_hub.validation import secrets
from prompt_hub.validation.rules.reading import UNREACHABLE
from prompt_hub.validation.text_scan import BOM, TextScan, pieces
from prompt_hub.validation.tree import ContentT, Finding, MessageTemplate, Source, TaskFiles, Tree

LARGE = 4_000_000
"""Bytes of a file of examples above which neither its text nor they are held in memory."""


class _ExampleFile(NamedTuple):
    """What a file of examples holds."""

    examples: Sequence[tuple[int, Example]] = ()
    lines: ExampleLines | NumberedExamples | None = None
    blank: bool = False
    """Whether it could be read, and nothing stands in it."""


def read_tree(
    repository: PromptRepository,
    look_at: Callable[[TaskFiles], None],
    proposed: Mapping[str, str] | None = None,
) -> Tree:
    """Read everything below `prompts/` and the registry; never raises for what a file holds.

    `look_at` is called with each task, which has its examples only then: those of all tasks
    together may not fit into memory. `proposed` are texts of files of tasks that are read as if
    they lay there already.
    """
    return _Reader(repository, proposed or {}).read(look_at)


class _Reader:
    def __init__(self, repository: PromptRepository, proposed: Mapping[str, str]) -> None:
        self._repository = repository
        self._proposed = {repository.root / name: text for name, text in proposed.items()}
        self._tree = Tree(repository)
        self._sources: dict[Path, Source[Prompt] | None] = {}
        self._documents: dict[Path, Document] = {}
        self._evidence_bytes: dict[Path, bytes] = {}
        self._unread: set[Path] = set()
        self._evaluations: dict[str, dict[str, Source[JsonValue]]] = {}

    def read(self, look_at: Callable[[TaskFiles], None]) -> Tree:
        tree = self._tree
        if problem := self._repository.link_problem():
            self._note(problem)
            return tree
        paths = [path for path in _walk(self._repository.prompts) if self._is_ours(path)]
        registry = self._repository.root / REGISTRY
        if (registry.exists() or registry.is_symlink()) and self._is_ours(registry):
            paths.append(registry)
        paths += self._proposed
        tree.files = tuple(map(self._repository.relative, filter(self._is_visible, paths)))
        for path in paths:
            if self._is_examples(path):
                self._unread.add(path)
            else:
                self._read(path)
        found = self._registry(registry)
        for task in sorted(self._names(found)):
            files = self._task(task, found)
            look_at(files)
            tree.tasks[task] = files.without_examples()
        self._drafts()
        return tree

    def _note(self, *problems: Problem, task: str | None = None) -> None:
        self._tree.unreadable += [Finding(problem, task) for problem in problems]

    def _is_visible(self, path: Path) -> bool:
        return not any(
            part.startswith(".") for part in path.relative_to(self._repository.root).parts
        )

    def _is_examples(self, path: Path) -> bool:
        folder = self._repository.prompts / EXAMPLES
        return path.parent == folder and path.suffix == ".jsonl" and self._is_visible(path)

    def _is_ours(self, path: Path) -> bool:
        """Whether a path is a plain file inside the tree; notes what else it is."""
        name = self._repository.relative(path)
        if not is_text(name):
            shown = name.encode("utf-8", "backslashreplace").decode()
            found, expected = "a file name that is not UTF-8", "a name of plain letters"
            self._note(Problem(shown, 1, 1, "", found, expected, "utf-8"))
            return False
        if not path.is_symlink():
            if path.is_file():
                return True
            found = "something that is no file"
            self._note(Problem(name, 1, 1, "", found, "a file", "not-a-file"))
            return False
        base = self._repository.prompts
        base = base if path.is_relative_to(base) else self._repository.root
        rule, expected = "symlink", "the file itself"
        if path_inside(base, str(path.relative_to(base))) is None:
            found = "a symbolic link out of the tree"
        elif path.is_file():
            return True
        elif path.is_dir():
            found, expected = "a symbolic link to a folder", "the folder itself"
        elif not path.exists():
            found = "a symbolic link to nothing"
        else:
            rule, found, expected = "not-a-file", "something that is no file", "a file"
        self._note(Problem(name, 1, 1, "", found, expected, rule))
        return False

    def _read(self, path: Path) -> None:
        """Read one file as text and, where its name says what it is, parse it."""
        name = self._repository.relative(path)
        try:
            raw = self._bytes(path, name)
            if path.suffix in {".json", ".jsonl"}:
                self._evidence_bytes[path] = raw
            if not self._is_visible(path):
                text = self._tree.texts[name] = raw.decode("utf-8", errors="replace")
                self._note_keys(name, tuple(secrets.find(text)))
                return
            scan = self._scanned(name, [(0, raw)])
            text = self._tree.texts[name] = scan.text
            if scan.conflict is not None:
                pass  # What the parser says of the markers follows from them.
            elif path.suffix in {".yaml", ".yml"}:
                self._documents[path] = parse_yaml(text, name)
            elif path.suffix == ".json" and path.parent.name == REVIEWS:
                parse_json(text, name)
            elif path.suffix == ".json":
                document = parse_json(text, name)
                records = self._evaluations.setdefault(path.parent.name, {})
                records[path.stem] = Source(path, document, cast(JsonValue, document.data))
        except InvalidDocumentsError as error:
            self._note(*error.problems)

    def _bytes(self, path: Path, name: str) -> bytes:
        proposed = self._proposed.get(path)
        return read_bytes(path, name) if proposed is None else proposed.encode("utf-8")

    @contextmanager
    def _opened(self, path: Path, name: str) -> Iterator[IO[bytes]]:
        if (proposed := self._proposed.get(path)) is not None:
            yield BytesIO(proposed.encode("utf-8"))
        else:
            with open_bytes(path, name) as stream:
                yield stream

    def _scanned(self, name: str, parts: Iterable[tuple[int, bytes]]) -> TextScan:
        """Look for what no text should have in it, and note that."""
        scan = TextScan(name)
        for before, raw in parts:
            scan.look(raw, before)
        self._note(*scan.odd.values(), *([scan.conflict] if scan.conflict else ()))
        self._note_keys(name, tuple(scan.keys))
        return scan

    def _note_keys(self, name: str, keys: tuple[secrets.Found, ...]) -> None:
        if keys:
            self._tree.keys[name] = keys

    def _names(self, registry: Source[Registry] | None) -> set[str]:
        prompts = self._repository.prompts
        found = {path.stem for path in (prompts / METADATA).glob("[!.]*.yaml")}
        found |= {path.stem for path in (prompts / EXAMPLES).glob("[!.]*.jsonl")}
        found |= {path.stem for path in (prompts / PRODUCTION).glob("[!.]*.yaml")}
        found |= {path.parent.name for path in (prompts / ARCHIVE).glob("[!.]*/[!.]*.yaml")}
        found |= {path.stem for path in self._proposed}
        return found | set(registry.content.tasks if registry else ())

    def _registry(self, path: Path) -> Source[Registry] | None:
        if not path.exists():
            nothing = Document(REGISTRY, {})
            return Source(path, nothing, Registry(schema_="prompt-hub/registry@1"))
        return self._modelled(path, lambda document: to_model(document, Registry))

    def _modelled(
        self, path: Path, read: Callable[[Document], ContentT]
    ) -> Source[ContentT] | None:
        document = self._documents.get(path)
        if document is None:
            return None
        try:
            return Source(path, document, read(document))
        except InvalidDocumentsError as error:
            self._note(*error.problems)
            return None

    def _prompt(self, path: Path) -> Source[Prompt] | None:
        if path not in self._sources:
            self._sources[path] = self._modelled(path, lambda document: to_model(document, Prompt))
        return self._sources[path]

    def _named(self, name: str) -> Source[Prompt] | None:
        path = path_inside(self._repository.prompts, name)
        return self._prompt(path) if path is not None else None

    def _pinned(self, task: str, version: str) -> Source[Prompt] | None:
        """Return a released or archived version of a task, None where there is none to be read."""
        released = self._repository.path(PRODUCTION, f"{task}.yaml")
        archived = self._repository.path(ARCHIVE, f"{task}/{version}.yaml")
        sources = (self._modelled(path, sealed) for path in (released, archived))
        return next(
            (source for source in sources if source and source.content.version == version), None
        )

    def _drafts(self) -> None:
        """Check that what calls itself a prompt is one, even where no metadata names it yet."""
        folder = self._repository.prompts / TEMPLATES
        for path, document in self._documents.items():
            data = document.data
            if not path.is_relative_to(folder) or path in self._sources:
                continue
            if isinstance(data, dict) and "schema" in data and (draft := self._prompt(path)):
                self._tree.drafts.append(draft)

    def _examples(self, task: str) -> _ExampleFile:
        """Return what the file of a task's examples holds; no examples where a line is none."""
        path = self._repository.path(EXAMPLES, f"{task}.jsonl")
        name = self._repository.relative(path)
        if path not in self._unread:
            return _ExampleFile()
        self._unread.remove(path)
        try:
            with self._opened(path, name) as stream:
                raw = stream.read(LARGE + 1)
                if len(raw) > LARGE:
                    return self._many_examples(stream, name)
            scan = self._scanned(name, [(0, raw)])
            return _ExampleFile() if scan.conflict else self._few_examples(scan.text, name)
        except InvalidDocumentsError as error:
            self._note(*error.problems)
            return _ExampleFile()

    def _few_examples(self, text: str, name: str) -> _ExampleFile:
        if (in_s3 := self._set(text[:LONGEST_REFERENCE].encode("utf-8"), name)) is not None:
            return in_s3
        examples, problems = parse_examples(text, name)
        self._note(*problems)
        lines = ExampleLines(text, name)
        return _ExampleFile(() if problems else tuple(examples), lines, blank=not text.strip())

    def _many_examples(self, stream: IO[bytes], name: str) -> _ExampleFile:
        """Return the examples in a large file: neither its text nor they are held in memory."""
        stream.seek(0)
        if self._scanned(name, pieces(stream)).conflict:
            return _ExampleFile()
        stream.seek(0)
        start = len(BOM) if stream.read(len(BOM)) == BOM else 0
        stream.seek(start)
        if (in_s3 := self._set(stream.read(LONGEST_REFERENCE), name)) is not None:
            return in_s3
        stream.seek(start)
        examples = read_examples(stream, name)
        return _ExampleFile(examples, examples, blank=not examples)

    def _set(self, beginning: bytes, name: str) -> _ExampleFile | None:
        """Return the examples in S3 that a file names, None where it has its own."""
        try:
            reference = reference_in(beginning, name)
            if reference is None:
                return None
            examples = examples_of(reference, name, self._repository.root)
            return _ExampleFile(examples, examples)
        except InvalidDocumentsError as error:
            self._note(*error.problems)
        except PromptHubError as error:
            found = error.message.removeprefix(f"{name}: ").removesuffix(".")
            expected = f"examples in S3; {error.hint}".removesuffix(".")
            self._note(Problem(name, 1, 1, "", found, expected, UNREACHABLE))
        return _ExampleFile()

    def _task(self, task: str, registry: Source[Registry] | None) -> TaskFiles:
        repository = self._repository
        places = {
            METADATA: repository.path(METADATA, f"{task}.yaml"),
            EXAMPLES: repository.path(EXAMPLES, f"{task}.jsonl"),
            PRODUCTION: repository.path(PRODUCTION, f"{task}.yaml"),
            ARCHIVE: repository.path(ARCHIVE, task),
        }
        metadata = self._modelled(
            places[METADATA], lambda document: to_model(document, ScoringMetadata)
        )
        found = self._examples(task)
        examples_file = repository.relative(places[EXAMPLES])
        candidate = self._named(metadata.content.candidate) if metadata else None
        named = metadata and metadata.content.judge
        archive = (self._modelled(path, sealed) for path in sorted(places[ARCHIVE].glob("*.yaml")))
        templates = self._templates(candidate)
        records = self._evaluations.get(task, {})
        return TaskFiles(
            task=task,
            layers=frozenset(
                layer
                for layer, path in places.items()
                if path in self._proposed or _is_there(layer, path)
            ),
            metadata=metadata,
            candidate=candidate,
            whole=self._whole(candidate, templates, found.examples),
            templates=templates,
            examples=found.examples,
            examples_file=examples_file,
            no_examples=found.blank,
            example_lines=found.lines or ExampleLines("", examples_file),
            judge=self._pinned(named.task, named.version) if named else None,
            production=self._modelled(places[PRODUCTION], sealed),
            archive=tuple(source for source in archive if source is not None),
            evaluations=records,
            evidence={version: self._evidence(source.path) for version, source in records.items()},
            texts=self._tree.texts,
            registry=registry,
            prompts=repository.prompts,
        )

    def _evidence(self, record: Path) -> str:
        read = self._evidence_bytes
        return evidence_sha256(read[record], read.get(record.with_suffix(".jsonl"), b""))

    def _templates(self, source: Source[Prompt] | None) -> tuple[MessageTemplate, ...]:
        found = []
        for index, message in enumerate(source.content.messages if source else ()):
            assert source is not None
            try:
                whole = self._repository.inlined(message.content)
                found.append(MessageTemplate(source, index, whole, read(whole.text)))
            except BlockError as error:
                nothing = MessageTemplate(
                    source, index, ExpandedTemplate("", ()), TemplateAnalysis()
                )
                self._note(nothing.block_problem(error))
        return tuple(found)

    def _whole(
        self,
        candidate: Source[Prompt] | None,
        templates: tuple[MessageTemplate, ...],
        examples: Sequence[tuple[int, Example]],
    ) -> Prompt | None:
        if candidate is None or len(templates) < len(candidate.content.messages):
            return None
        draft = candidate.content
        shots = [examples[place][1] for place in _shots(examples)]
        if draft.few_shot and len(shots) < draft.few_shot.count:
            if examples:
                expected = f"at most {len(shots)}: so many examples have split: shot"
                found = str(draft.few_shot.count)
                location = ("few_shot", "count")
                self._note(candidate.problem(location, found, expected, rule="few-shot"))
            return None
        return self._repository.whole(draft, shots)


def _shots(examples: Sequence[tuple[int, Example]]) -> list[int]:
    facts = enumerate(numbered_facts(examples))
    return [place for place, (_, each) in facts if each.split == "shot"]


def _is_there(layer: str, path: Path) -> bool:
    return path.is_dir() if layer == ARCHIVE else path.is_file()


def _walk(folder: Path) -> Iterator[Path]:
    """Every file and every link below `folder`, in order."""
    for parent, folders, files in os.walk(folder, onerror=_raise_denial):
        here = Path(parent)
        folders.sort()
        yield from (here / name for name in folders if (here / name).is_symlink())
        yield from (here / name for name in sorted(files))


def _raise_denial(error: OSError) -> None:
    """Have no folder that may not be read taken for an empty one."""
    if isinstance(error, PermissionError):
        raise error
