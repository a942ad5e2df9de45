"""What git holds about a version: read from commits, never from the working tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.hashing import evidence_sha256
from prompt_hub.evaluation.replay import FILES, PROGRAM, Change, ReplayError, replay
from prompt_hub.evaluation.results import LOCAL_EXECUTION
from prompt_hub.evaluation.store import Evaluation
from prompt_hub.repository.commits import Commit, Commits
from prompt_hub.repository.documents import to_model
from prompt_hub.repository.reader import (
    ARCHIVE,
    METADATA,
    PRODUCTION,
    REGISTRY,
    PromptRepository,
    evaluation_path,
    sealed,
)
from prompt_hub.repository.registry import RegisteredVersion, Registry
from prompt_hub.repository.schema import Prompt
from prompt_hub.repository.yaml import parse_yaml


@dataclass(frozen=True, kw_only=True)
class GitEvidence:
    """Everything that git holds of one version; what is missing is None."""

    registered: RegisteredVersion | None
    prompt_sha256: str | None
    """Recomputed from the content of the released or archived prompt."""
    prompt_problem: str = ""
    evaluation: Evaluation | None = None
    evaluation_problem: str = ""
    seal: str | None = None
    """Recomputed from record and example results."""
    evaluated: Commit | None = None
    """The commit that the record names."""
    changes: Sequence[Change] = ()
    """What of the record does not come out again from the inputs of then."""
    inputs_at: Commit | None = None
    """The commit that has these inputs: `evaluated`, but for what a machine measured early."""
    recorded: Commit | None = None
    """The commit that wrote the record last: that of its promotion, or of its refusal.

    Promotion's own, as with `released`.
    """
    released: Commit | None = None
    """The first commit that had the version among what is, or was, released.

    Promotion's own, which has the tag, where people took it over by a squash or a rebase.
    """
    released_as: str | None = None
    """The version's hash, recomputed from its content at `released`."""
    released_by: str | None = None
    """Who answered for it at `released`, where it was not the gate: the registry of then says it.

    Each later move of the version, as out of production, puts another name into the registry.
    """
    tag: str | None = None
    """The commit that the version's tag points to, but for one of an earlier task of its name."""


class GitHistory:
    """Reads commits of the repository in `root`; changes nothing."""

    def __init__(self, root: Path) -> None:
        """Look at `root`; raises `PromptHubError` where git knows nothing of it."""
        self._root = root
        self.commits = Commits(root)
        if self.commits.ask("rev-parse", "--verify", "--quiet", "HEAD") is None:
            raise PromptHubError(
                f"{root} has no history: a trace is read from git, not from files.",
                hint="Run it in a full clone of the prompt repository.",
            )

    def require_all(self) -> None:
        """Refuse a shallow clone: its oldest commit seems to have written every file."""
        if (self.commits.ask("rev-parse", "--is-shallow-repository") or b"").strip() == b"true":
            raise PromptHubError(
                f"{self._root} lacks older commits: a trace is read from all of them.",
                hint="Fetch them: git fetch --unshallow --tags",
            )

    def blob(self, commit: str, path: str) -> bytes | None:
        """Return a file's bytes at a commit; None if it was not there."""
        return self.commits.ask("show", f"{commit}:./{path}")

    def prompt_sha256(self, commit: str, task: str, version: str) -> str | None:
        """Return the recomputed hash of a released or archived prompt as a commit has it.

        None if the commit does not have it; raises `PromptHubError` where its lock is broken.
        """
        prompt = self._released_prompt(commit, task, version)
        return prompt.sha256 if prompt else None

    def _released_prompt(self, commit: str, task: str, version: str) -> Prompt | None:
        for path in _released_paths(task, version):
            content = self.blob(commit, path)
            if content is not None:
                prompt = sealed(parse_yaml(content.decode(), f"{path} at {commit[:12]}"))
                if prompt.version == version:
                    return prompt
        return None

    def registry(self, commit: str) -> Registry:
        """Return the registry at a commit; an empty one where it had none."""
        content = self.blob(commit, REGISTRY)
        if content is None:
            return Registry(schema_="prompt-hub/registry@1")
        return to_model(parse_yaml(content.decode(), f"{REGISTRY} at {commit[:12]}"), Registry)

    def evidence(self, task: str, version: str) -> GitEvidence:
        """Collect what the checked-out commit and its history say of a version."""
        entry = self.registry("HEAD").tasks.get(task)
        registered = entry.versions.get(version) if entry else None
        prompt_sha256, prompt_problem = None, ""
        try:
            prompt_sha256 = self.prompt_sha256("HEAD", task, version)
        except PromptHubError as error:
            prompt_problem = error.message
        record_path = f"prompts/{evaluation_path(task, version)}"
        evaluation, evaluation_problem, seal = self._evaluation(record_path)
        evaluated = self.commits.find(evaluation.record.commit) if evaluation else None
        recorded = next(self.commits.log("-1", record_path), None)
        changes: Sequence[Change] = ()
        inputs_at = evaluated
        if evaluation is not None and evaluated is not None:
            changes = self._replayed(evaluated.sha, evaluation)
            unlike = any(change.what not in PROGRAM for change in changes)
            if unlike and evaluation.record.execution == LOCAL_EXECUTION and recorded:
                # Measured on a machine, before it was committed: the inputs came with the record.
                later = self._replayed(recorded.sha, evaluation)
                if not any(change.what in FILES for change in later):
                    changes, inputs_at = later, recorded
        before = self._begun_after(task, version)
        released = self._first_release(task, version, before)
        tagged = self.commits.find(f"refs/tags/{task}/v{version}")
        if tagged and before and self._is_ancestor(tagged.sha, before):
            tagged = None
        if tagged and released and self._merged_anew(tagged, released[1], task, version):
            released = (tagged, released[1])
            if self.blob(tagged.sha, record_path) == self.blob("HEAD", record_path):
                # A squash of several promotions names one execution of theirs at most.
                recorded = tagged
        return GitEvidence(
            registered=registered,
            prompt_sha256=prompt_sha256,
            prompt_problem=prompt_problem,
            evaluation=evaluation,
            evaluation_problem=evaluation_problem,
            seal=seal,
            evaluated=evaluated,
            changes=changes,
            inputs_at=inputs_at,
            recorded=recorded,
            released=released[0] if released else None,
            released_as=released[1] if released else None,
            released_by=self._person(released[0].sha, task, version) if released else None,
            tag=tagged.sha if tagged else None,
        )

    def _evaluation(self, path: str) -> tuple[Evaluation | None, str, str | None]:
        record, details = self.blob("HEAD", path), self.blob("HEAD", f"{path}l")
        if record is None:
            return None, f"no {path}", None
        seal = evidence_sha256(record, details or b"")
        try:
            text = None if details is None else details.decode()
            found = Evaluation.of(path, record.decode(), text)
        except (PromptHubError, UnicodeDecodeError) as error:
            return None, str(error), seal
        return found, "", seal

    def _replayed(self, commit: str, stored: Evaluation) -> Sequence[Change]:
        try:
            with self.commits.tree(commit) as repository:
                return _changes(repository, stored)
        except PromptHubError as error:
            return [Change("task", error.message)]

    def _begun_after(self, task: str, version: str) -> str | None:
        """Return the commit that removed an earlier task of this name, None where none did.

        It removed the metadata, as for `evidence-kept`. A version that it had, and that has the
        same lock now, was brought back since: that is the same task.
        """
        kept = self._lock("HEAD", task, version)
        if kept is None:
            return None
        metadata = f"prompts/{METADATA}/{task}.yaml"
        for removal in self.commits.log("--diff-filter=D", "--no-renames", metadata):
            if self._lock(f"{removal.sha}^", task, version) != kept:
                return removal.sha
        return None

    def _lock(self, commit: str, task: str, version: str) -> tuple[datetime, str] | None:
        try:
            prompt = self._released_prompt(commit, task, version)
        except PromptHubError:
            return None
        lock = prompt.lock if prompt else None
        return (lock.promoted_at, lock.commit) if lock else None

    def _first_release(
        self, task: str, version: str, before: str | None
    ) -> tuple[Commit, str] | None:
        since = [f"{before}..HEAD"] if before else []
        for commit in self.commits.log(
            "--reverse", *_released_paths(task, version), revisions=since
        ):
            try:
                sha256 = self.prompt_sha256(commit.sha, task, version)
            except PromptHubError:
                continue
            if sha256 is not None:
                return commit, sha256
        return None

    def _merged_anew(self, tagged: Commit, sha256: str, task: str, version: str) -> bool:
        """Whether an execution made the tagged commit, and the history has it by content only."""
        if tagged.execution is None:
            return False
        if self._is_ancestor(tagged.sha, "HEAD"):
            return False
        try:
            return self.prompt_sha256(tagged.sha, task, version) == sha256
        except PromptHubError:
            return False

    def _is_ancestor(self, commit: str, descendant: str) -> bool:
        return self.commits.ask("merge-base", "--is-ancestor", commit, descendant) is not None

    def _person(self, commit: str, task: str, version: str) -> str | None:
        try:
            entry = self.registry(commit).tasks.get(task)
        except PromptHubError:
            return None
        registered = entry.versions.get(version) if entry else None
        return registered.person if registered else None


def _changes(repository: PromptRepository, stored: Evaluation) -> Sequence[Change]:
    """Return what of a record does not come out again, and what of the program may be why.

    That other scorers score otherwise is no edit; all else must follow from the scores of then.
    """
    try:
        replay(repository, stored)
    except ReplayError as error:
        scorers = [change for change in error.changes if change.what == "scorers"]
        unread = any(change.what in FILES or change.what == "gate" for change in error.changes)
        if unread or not scorers:
            return error.changes
    else:
        return ()
    try:
        replay(repository, stored, as_scored=True)
    except ReplayError as error:
        return [*scorers, *error.changes]
    return scorers


def _released_paths(task: str, version: str) -> tuple[str, str]:
    """Return where a version lies as long as it is the released one, and afterwards."""
    return f"prompts/{PRODUCTION}/{task}.yaml", f"prompts/{ARCHIVE}/{task}/{version}.yaml"
