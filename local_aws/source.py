"""The connection source: bare git repositories on this machine, and who hears of a push to them.

A repository `owner/name` of a connection is looked up in `settings.repositories`. Nothing is
written to it, and a person's checkout is never touched.
"""

from __future__ import annotations

import logging
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_aws.globs import glob_matches

POLL_SECONDS = 0.2

log = logging.getLogger("local_aws.source")

Heads = dict[str, dict[str, str]]
"""Repository → branch → commit."""
Stamp = tuple[tuple[str, int, int], ...]
"""The files that hold a repository's branches, each with its number and time."""


class SourceError(Exception):
    """A repository, branch or commit is not there; says which."""


@dataclass(frozen=True)
class Push:
    """A branch of a repository that points somewhere else than before."""

    repository: str
    branch: str
    before: str | None
    after: str


@dataclass(frozen=True)
class Commit:
    """What the source action tells of a commit, in the names of its output variables."""

    id: str
    message: str
    author: str
    email: str
    date: str


def git(where: Path, *arguments: str) -> str:
    """Return what `git` prints when run on the repository `where`.

    Raises `SourceError` if it fails.
    """
    done = subprocess.run(
        ["git", "-C", str(where), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SourceError(f"git {arguments[0]} in {where}: {done.stderr.strip()}")
    return done.stdout


def heads(where: Path) -> dict[str, str]:
    """Every branch of the repository `where` with its commit."""
    listed = git(where, "for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads")
    return {
        branch: commit
        for commit, branch in (line.split(" ", 1) for line in listed.split("\n") if line)
    }


def stamp_of(where: Path) -> Stamp:
    """Return what changes whenever a branch of the bare repository `where` moves.

    A look at some files, where asking git starts a process. Git never writes into a file of
    references: it puts another one in its place.
    """
    files = [where / "packed-refs", where / "reftable" / "tables.list"]
    for folder, _, names in os.walk(where / "refs" / "heads"):
        files += [Path(folder, name) for name in names if not name.endswith(".lock")]
    found: list[tuple[str, int, int]] = []
    for file in sorted(files):
        # Meanwhile it may be gone, or `one/two` may have made room for a branch `one`.
        with suppress(FileNotFoundError, NotADirectoryError):
            status = file.stat()
            found.append((str(file), status.st_ino, status.st_mtime_ns))
    return tuple(found)


def describe(where: Path, revision: str) -> Commit:
    """Return the commit that `revision` names; raises `SourceError` if there is none."""
    text = git(
        where, "show", "-s", "--format=%H%x00%an%x00%ae%x00%aI%x00%B", f"{revision}^{{commit}}"
    )
    commit, author, email, date, message = text.split("\0", 4)
    return Commit(id=commit, author=author, email=email, date=date, message=message.strip())


def archive(where: Path, commit: str, target: Path) -> None:
    """Write the tree of `commit` to the zip file `target`."""
    git(where, "archive", "--format=zip", "-1", f"--output={target}", commit)


def clone(where: Path, branch: str, commit: str, target: Path) -> None:
    """Clone all of `where` into `target`, detached at `commit`, with `origin` to push to."""
    target.rmdir()  # git wants to make it itself
    subprocess.run(
        ["git", "clone", "--quiet", "--branch", branch, str(where), str(target)],
        check=True,
        capture_output=True,
    )
    git(target, "checkout", "--quiet", "--detach", commit)


def changed_files(where: Path, push: Push) -> list[str]:
    """Paths that `push` changed; those of the whole tree if the branch is new."""
    if push.before is None:
        return git(where, "ls-tree", "-r", "--name-only", "-z", push.after).split("\0")[:-1]
    return git(where, "diff", "--name-only", "-z", push.before, push.after).split("\0")[:-1]


def starts(
    declaration: Mapping[str, Any], action: Mapping[str, Any], push: Push, repository: Path
) -> bool:
    """Whether `push` starts a pipeline by its source action: by a V2 trigger's push filters, else
    by `DetectChanges` and the branch that the action names.
    """
    triggers = [element["gitConfiguration"] for element in declaration.get("triggers", ())]
    mine = [entry for entry in triggers if entry["sourceActionName"] == action["name"]]
    filters = [item for trigger in mine for item in trigger.get("push", ())]
    if filters:
        return filters_match(filters, push, changed_files(repository, push))
    configuration = action["configuration"]
    watched = bool(mine) or configuration.get("DetectChanges", "true").lower() == "true"
    return watched and bool(configuration.get("BranchName") == push.branch)


def filters_match(
    filters: Iterable[Mapping[str, Mapping[str, list[str]]]], push: Push, files: list[str]
) -> bool:
    """Whether one of a V2 trigger's push filters lets `push` start the pipeline.

    Within one filter branches and file paths must both match; an exclusion wins over an
    inclusion. Filters on tags never match: a push of a tag starts nothing here.
    """
    for item in filters:
        if "tags" in item:
            continue
        if "branches" in item and not _selected(item["branches"], [push.branch]):
            continue
        if "filePaths" in item and not _selected(item["filePaths"], files):
            continue
        return True
    return False


def _selected(filter_: Mapping[str, list[str]], names: list[str]) -> bool:
    includes, excludes = filter_.get("includes", ["**"]), filter_.get("excludes", [])
    return any(
        any(glob_matches(pattern, name) for pattern in includes)
        and not any(glob_matches(pattern, name) for pattern in excludes)
        for name in names
    )


class Watcher:
    """Calls `on_push` for every branch that moves in one of `repositories`.

    `seen` is what was known before, so that a push made while nobody watched is noticed at the
    next start; a repository that is not in it is taken as it is found. It is kept up to date.
    `lock` is held while it looks and calls.
    """

    def __init__(
        self,
        repositories: Mapping[str, Path],
        seen: Heads,
        on_push: Callable[[Push], None],
        lock: AbstractContextManager[object],
    ) -> None:
        self._repositories = repositories
        self._seen = seen
        self._on_push = on_push
        self._lock = lock
        self._stamps: dict[str, Stamp] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="source-watcher", daemon=True)

    def start(self) -> None:
        """Take what is not known yet as it is, and watch from now on."""
        self._look(announce_new=False)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; returns once nobody is being called any more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Tell of every push that was made until now."""
        with self._lock:
            self._look(announce_new=True)

    def _run(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            self.look()

    def _look(self, *, announce_new: bool) -> None:
        for name, where in self._repositories.items():
            if not where.exists():
                continue
            # Taken before the branches are read: what moves meanwhile is seen in the next round.
            stamp = stamp_of(where)
            if self._stamps.get(name) == stamp:
                continue
            try:
                now = heads(where)
            except SourceError as error:
                log.warning("cannot watch %s: %s", name, error)
                continue
            self._stamps[name] = stamp
            known = self._seen.get(name)
            self._seen[name] = now
            if known is None and not announce_new:
                continue
            for branch, commit in now.items():
                before = (known or {}).get(branch)
                if before != commit:
                    self._announce(Push(name, branch, before, commit))

    def _announce(self, push: Push) -> None:
        try:
            self._on_push(push)
        except Exception:
            log.exception("the push of %s to %s starts nothing", push.after, push.repository)
