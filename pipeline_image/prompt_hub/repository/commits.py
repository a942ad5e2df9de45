"""What commits hold: read by git, never from the working tree."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.git import run_git
from prompt_hub.repository.reader import REGISTRY, PromptRepository

_FORMAT = "%H%x1f%an <%ae>%x1f%aI%x1f%s%x1f%(trailers:key=Execution,valueonly)%x1e"
_CARRIED = ("prompts", REGISTRY, "scorers")
"""What a verdict depends on; code of the product is not run from an old commit."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit; `execution` is that of the pipeline that made it, None where a person did."""

    sha: str
    author: str
    at: str
    subject: str
    execution: str | None


class Commits:
    """Reads commits of the repository in `root`; changes nothing."""

    def __init__(self, root: Path) -> None:
        """Look at `root`, whether or not git knows of it."""
        self._root = root

    def find(self, name: str) -> Commit | None:
        """Return a commit by its hash or name; None if this clone does not have it."""
        text = self.ask("log", "-1", f"--format={_FORMAT}", name, "--")
        return _parsed(text.decode()) if text else None

    def log(self, *words: str, revisions: Sequence[str] = ()) -> Iterator[Commit]:
        """Yield commits that touched paths; options of `git log` stand before them."""
        options = [word for word in words if word.startswith("-")]
        paths = [word for word in words if not word.startswith("-")]
        text = self.ask("log", *options, f"--format={_FORMAT}", *revisions, "--", *paths) or b""
        yield from map(_parsed, text.decode().split("\x1e")[:-1])

    @contextmanager
    def tree(self, commit: str) -> Iterator[PromptRepository]:
        """Lay the prompts of a commit out in a folder of their own, for as long as it is used."""
        there = [
            name
            for name in _CARRIED
            if self.ask("cat-file", "-e", f"{commit}:./{name}") is not None
        ]
        packed = self.ask("archive", "--format=tar", commit, *there)
        if packed is None:
            raise PromptHubError(f"git cannot lay out {commit}.", exit_code=ExitCode.UNEXPECTED)
        with tempfile.TemporaryDirectory() as folder:
            unpack(packed, Path(folder))
            yield PromptRepository(Path(folder))

    def ask(self, *arguments: str) -> bytes | None:
        """Return what git prints; None where it refuses, for what is asked is not there."""
        done = run_git(self._root, *arguments)
        return done.stdout if done.returncode == 0 else None


def unpack(packed: bytes, folder: Path) -> None:
    """Lay out in `folder` what `git archive` packed.

    Raises:
        PromptHubError: something in it would land, or leads, outside `folder`.
    """
    root = folder.resolve()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        # Python has such a filter only since 3.11.4: what leads out is refused here.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        for member in archive:
            place = root / member.name
            ends = [place, place.parent / member.linkname] if member.issym() else [place]
            if not all(Path(os.path.realpath(end)).is_relative_to(root) for end in ends):
                raise PromptHubError(
                    f"{member.name} leads out of the tree as git has it; it is not laid out."
                )
            archive.extract(member, root)


def _parsed(text: str) -> Commit:
    sha, author, at, subject, execution = text.strip("\n\x1e").split("\x1f", 4)
    return Commit(
        sha=sha, author=author, at=at, subject=subject, execution=execution.strip() or None
    )
