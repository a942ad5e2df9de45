"""The prompt repository on disk: its layers, read into models."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import links_followed
from prompt_hub.core.wording import count
from prompt_hub.repository.documents import (
    REGISTRY as REGISTRY,
)
from prompt_hub.repository.documents import (
    Document,
    InvalidDocumentsError,
    Problem,
    closest,
    open_bytes,
    read_text,
    to_model,
)
from prompt_hub.repository.example_sets import (
    LONGEST_REFERENCE,
    examples_of,
    lines_of_set,
    reference_in,
)
from prompt_hub.repository.examples import examples_sha256, read_examples, stream_examples
from prompt_hub.repository.includes import (
    BlockError,
    ExpandedTemplate,
    SourceLocation,
    expand_includes,
)
from prompt_hub.repository.own_folder import require_own
from prompt_hub.repository.registry import Registry
from prompt_hub.repository.schema import (
    Example,
    FewShot,
    Message,
    Metadata,
    Prompt,
    Shot,
    version_key,
)
from prompt_hub.repository.transaction import recover
from prompt_hub.repository.yaml import parse_yaml

TEMPLATES = "00-templates"
EXAMPLES = "01-examples"
PRODUCTION = "02-production"
METADATA = "03-metadata"
EVALS = "04-evals"
ARCHIVE = "99-archive"
HUMAN_LAYERS = (TEMPLATES, EXAMPLES, METADATA)
BOT_LAYERS = (PRODUCTION, EVALS, ARCHIVE)
REVIEWS = "reviews"
"""Folder of a task's reviews, beside its evaluation records."""


def evaluation_path(task: str, version: str) -> str:
    """Where the evaluation record of a version lies, relative to `prompts/`."""
    return f"{EVALS}/{task}/{version}.json"


@dataclass(frozen=True)
class AuthoredTask:
    """What people wrote for one task beside its metadata, read together, each file once."""

    examples: Sequence[Example]
    candidate: Prompt
    """Whole: building blocks and shots inlined."""


class PromptRepository:
    """Reads the layers below `root`, the folder of `prompts/` and `prompt_registry.yaml`.

    Every reader raises `InvalidDocumentsError` for a file that is missing or wrong.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.prompts = self.root / "prompts"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> PromptRepository:
        """Return the repository that `PROMPT_HUB_ROOT` names, or the one in the working directory.

        A promotion that was cut off is finished first: nobody ever reads half of it.
        """
        chosen = os.environ if environment is None else environment
        root = Path(chosen.get(aws_names.ENV_ROOT, "."))
        if not (root / "prompts").is_dir():
            raise PromptHubError(
                f"there is no folder 'prompts' in {links_followed(root)}.",
                hint=f"Run the command in the repository's folder or set {aws_names.ENV_ROOT}.",
            )
        repository = cls(root)
        if problem := repository.link_problem():
            raise InvalidDocumentsError([problem])
        require_own(root)
        recover(root)
        return repository

    def link_problem(self) -> Problem | None:
        """Say what is wrong with `prompts` itself: nobody reads or writes through a link there."""
        if not self.prompts.is_symlink():
            return None
        inside = path_inside(self.root, self.prompts.name) is not None
        found = f"a symbolic link {'to a folder' if inside else 'out of the tree'}"
        return Problem(self.prompts.name, 1, 1, "", found, "the folder itself", "symlink")

    # --- where things are ----------------------------------------------------------------------

    def path(self, layer: str, name: str) -> Path:
        """Return the path of a file in a layer."""
        return self.prompts / layer / name

    def relative(self, path: Path) -> str:
        """Return a path as people see it: from the repository's root."""
        return path.relative_to(self.root).as_posix()

    def document(self, path: Path) -> Document:
        """Parse one YAML file."""
        name = self.relative(path)
        return parse_yaml(read_text(path, name), name)

    # --- reading -------------------------------------------------------------------------------

    def tasks(self) -> tuple[str, ...]:
        """Names of the live tasks, sorted: those that have examples and metadata."""
        # Hidden files are those of systems and editors: `._smd.yaml`, `.#smd.yaml`.
        described = {path.stem for path in (self.prompts / METADATA).glob("[!.]*.yaml")}
        labelled = {path.stem for path in (self.prompts / EXAMPLES).glob("[!.]*.jsonl")}
        return tuple(sorted(described & labelled))

    def require_task(self, task: str, *, retired: bool = False) -> None:
        """Raise `PromptHubError` unless `task` is live, or `retired` and in the registry still."""
        known = {*self.tasks(), *(self.registry().tasks if retired else ())}
        if task not in known:
            raise no_task(task, known)

    def metadata(self, task: str) -> Metadata:
        """Return what people decided about `task`."""
        return to_model(self.document(self.path(METADATA, f"{task}.yaml")), Metadata)

    def examples(self, task: str) -> Sequence[Example]:
        """Every labelled example of `task`, shots included, in file order.

        Where the file names a set in S3 it is fetched; a set that cannot be is NOT_MEASURED.
        """
        path = self.path(EXAMPLES, f"{task}.jsonl")
        name = self.relative(path)
        with open_bytes(path, name) as stream:
            reference = reference_in(stream.read(LONGEST_REFERENCE), name)
            if reference is None:
                stream.seek(0)
                return read_examples(stream, name).examples
        return examples_of(reference, name, self.root).examples

    def stream_examples(self, task: str) -> Iterator[Example]:
        """Yield every labelled example of `task`, as `examples` has them, and keep none.

        What is wrong with them is raised behind the last one.
        """
        path = self.path(EXAMPLES, f"{task}.jsonl")
        name = self.relative(path)
        with open_bytes(path, name) as stream:
            reference = reference_in(stream.read(LONGEST_REFERENCE), name)
            stream.seek(0)
            lines = stream if reference is None else lines_of_set(reference, name, self.root)
            yield from stream_examples(lines, name)

    def draft(self, task: str) -> Prompt:
        """Return the candidate as its author wrote it."""
        return self._draft(self.metadata(task))

    def _draft(self, metadata: Metadata) -> Prompt:
        return to_model(self.document(self._candidate_path(metadata)), Prompt)

    def candidate_path(self, task: str) -> Path:
        """Where the candidate of `task` lies, always inside `prompts/`."""
        return self._candidate_path(self.metadata(task))

    def _candidate_path(self, metadata: Metadata) -> Path:
        path = path_inside(self.prompts, metadata.candidate)
        if path is None:
            raise PromptHubError(
                f"{METADATA}/{metadata.task}.yaml: candidate points outside 'prompts'.",
                hint="Name a file such as 00-templates/TASK.yaml.",
                exit_code=ExitCode.BLOCKED,
            )
        return path

    def candidate(self, task: str) -> Prompt:
        """Return the candidate, whole: building blocks and few-shot examples inlined."""
        draft = self.draft(task)
        return self.whole(draft, self.examples(task) if draft.few_shot else ())

    def authored(self, metadata: Metadata) -> AuthoredTask:
        """Return examples and candidate of the task that `metadata` is about."""
        draft = self._draft(metadata)
        examples = self.examples(metadata.task)
        return AuthoredTask(examples, self.whole(draft, examples))

    def whole(self, draft: Prompt, examples: Sequence[Example]) -> Prompt:
        """Return a draft with building blocks inlined and its shots drawn from `examples`."""
        messages = tuple(
            Message(role=message.role, content=self.inlined(message.content).text)
            for message in draft.messages
        )
        few_shot = draft.few_shot
        if few_shot is not None:
            few_shot = _drawn(draft.task, few_shot, examples)
        return draft.model_copy(update={"messages": messages, "few_shot": few_shot, "lock": None})

    def inlined(self, content: str) -> ExpandedTemplate:
        """Return a template with every building block in its place; raises `BlockError`."""
        return expand_includes(content, self._block)

    def _block(self, name: str, place: SourceLocation) -> tuple[str, str]:
        """File and text of the block `name`, which is included at `place`."""
        base = self.prompts / TEMPLATES
        path = path_inside(base, name)
        file = f"prompts/{TEMPLATES}/{name}"
        expected = f"a file in {TEMPLATES}"
        if path is None:
            found = f"the building block {name!r}, which lies outside {TEMPLATES}"
            raise BlockError(place, found, expected, "building-block")
        try:
            return file, read_text(path, file)
        except InvalidDocumentsError as error:
            found = f"the building block {name!r}: {error.problems[0].found}"
            meant = closest(name, (item.name for item in base.glob("[!.]*")))
            expected += f" (did you mean {meant!r}?)" if meant and meant != name else ""
            raise BlockError(place, found, expected, "building-block") from None

    def production(self, task: str) -> Prompt | None:
        """Return the champion: the released version, its lock verified.

        None before the first release.
        """
        path = self.path(PRODUCTION, f"{task}.yaml")
        return self._locked(path) if path.exists() else None

    def archived(self, task: str) -> tuple[Prompt, ...]:
        """Retired versions, newest first, their locks verified."""
        folder = self.prompts / ARCHIVE / task
        found = [self._locked(path) for path in folder.glob("[!.]*.yaml")]
        return tuple(sorted(found, key=lambda prompt: version_key(prompt.version), reverse=True))

    def version(self, task: str, version: str) -> Prompt | None:
        """Return a released or archived version; None if the repository does not have it."""
        champion = self.production(task)
        if champion is not None and champion.version == version:
            return champion
        return self.archived_version(task, version)

    def archived_version(self, task: str, version: str) -> Prompt | None:
        """Return an archived version, its lock verified; None if there is none."""
        # Where promotion puts it; a file of another name is looked for among all.
        path = self.path(ARCHIVE, f"{task}/{version}.yaml")
        if path.exists() and (old := self._locked(path)).version == version:
            return old
        return next((old for old in self.archived(task) if old.version == version), None)

    def archived_files(self, task: str) -> set[str]:
        """Return the versions that have a file in the archive, by its name alone; none is read."""
        with suppress(FileNotFoundError), os.scandir(self.prompts / ARCHIVE / task) as entries:
            return {
                entry.name.removesuffix(".yaml")
                for entry in entries
                if entry.name.endswith(".yaml") and entry.is_file()
            }
        return set()

    def _locked(self, path: Path) -> Prompt:
        return sealed(self.document(path))

    def registry(self) -> Registry:
        """Return what git has released; an empty registry where there is no file yet."""
        path = self.root / REGISTRY
        if not path.exists():
            return Registry(schema_="prompt-hub/registry@1")
        return to_model(self.document(path), Registry)

    # --- hashes --------------------------------------------------------------------------------

    def examples_sha256(self, task: str) -> str:
        """Hash of the example set, independent of spacing and key order."""
        return examples_sha256(self.examples(task))


def no_task(task: str, known: Iterable[str]) -> PromptHubError:
    """There is no such task; says which ones there are, and which may have been meant."""
    there = ", ".join(sorted(known)) or "none"
    meant = closest(task, known)
    return PromptHubError(
        f"there is no task {task!r} (known: {there}).",
        hint=f"Did you mean {meant!r}?" if meant else "",
    )


def path_inside(base: Path, name: str) -> Path | None:
    """Return the file `name` below `base`, links followed.

    None if it leads out or is no path at all.
    """
    try:
        path = (base / name).resolve()
        return path if path.is_relative_to(base.resolve()) else None
    except (OSError, RuntimeError, ValueError):  # too long, a circle of links, a NUL
        return None


def sealed(document: Document) -> Prompt:
    """Return the released prompt in a file.

    Raises:
        InvalidDocumentsError: if its lock is missing or broken.
    """
    prompt = to_model(document, Prompt)
    if prompt.lock is None:
        expected = "the lock of a released prompt"
        raise InvalidDocumentsError([document.problem(("lock",), "no lock", expected, rule="lock")])
    if prompt.lock.sha256 != prompt.sha256:
        found = f"content that hashes to {prompt.sha256[:12]}…"
        expected = f"{prompt.lock.sha256[:12]}…, as it was promoted: undo the hand edit"
        location = ("lock", "sha256")
        raise InvalidDocumentsError([document.problem(location, found, expected, rule="lock")])
    return prompt


def _drawn(task: str, few_shot: FewShot, examples: Sequence[Example]) -> FewShot:
    pool = [example for example in examples if example.split == "shot"]
    if len(pool) < few_shot.count:
        raise PromptHubError(
            f"{TEMPLATES}/{task}.yaml: few_shot.count is {few_shot.count}, and"
            f" {count(len(pool), 'example')} with split: shot is all there is.",
            hint="Lower the count or label more examples as shots.",
            exit_code=ExitCode.BLOCKED,
        )
    shots = tuple(Shot(input=e.input, expected=e.expected) for e in pool[: few_shot.count])
    return FewShot(count=few_shot.count, examples=shots)
