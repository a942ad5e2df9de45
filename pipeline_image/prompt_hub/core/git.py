"""The little that is asked of git outside promotion."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from prompt_hub.core.errors import PromptHubError

UNKNOWN_COMMIT = "0" * 40
_OF_GIT = (".git", "HEAD")
_FATAL = 128
_NOT_OURS = b"safe.directory"
"""Of what git says where it takes no word from a repository's settings: the setting that mends it,
named by every version since 2.35.2 in every language."""

_AS_READ_HERE = (
    *("-c", "log.showRoot=true"),
    *("-c", "log.showSignature=false"),
    *("-c", "i18n.logOutputEncoding=UTF-8"),
)
"""What people may have set otherwise for their own eyes, and would change what is read here."""


def head_commit(root: Path) -> str:
    """Return the commit of the tree in `root`, by CodeBuild or git; all zeros if unknown."""
    resolved = os.environ.get("CODEBUILD_RESOLVED_SOURCE_VERSION", "")
    if len(resolved) == 40:
        return resolved
    if not _may_be_in_git(root):
        return UNKNOWN_COMMIT
    done = run_git(root, "rev-parse", "HEAD")
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else UNKNOWN_COMMIT


def _may_be_in_git(root: Path) -> bool:
    """Whether git could know of `root`: where it could not, no git need be started, or be there."""
    if "GIT_DIR" in os.environ:
        return True
    if not root.is_dir():
        # Git would be started in it.
        return False
    # A bare repository has no `.git`, but a HEAD.
    here = root.resolve()
    return any((folder / name).exists() for folder in (here, *here.parents) for name in _OF_GIT)


def run_git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git in `root`, whatever it answers.

    Raises:
        PromptHubError: it does not run, or says nothing of a checkout that is another user's.
    """
    command = ["git", *_AS_READ_HERE, *arguments]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    except OSError as error:
        raise PromptHubError(f"git does not run: {error}.") from error
    if done.returncode == _FATAL and _NOT_OURS in done.stderr:
        mend = os.fsdecode(done.stderr).strip().rpartition("\n")[2].strip()
        raise PromptHubError(
            f"git does not read {root.resolve()}, which belongs to another user.",
            hint=f"If you trust what is in it: {mend}",
        )
    return done


def tracks(root: Path, name: str) -> bool:
    """Whether git tracks `name` in `root`, or a file below it; asked only where that is there."""
    if not os.path.lexists(root / name) or not _may_be_in_git(root):
        return False
    return bool(run_git(root, "ls-files", "-z", "--cached", "--", name).stdout)


def added_and_removed(root: Path, *folders: str) -> Iterator[tuple[str, bool]]:
    """Yield every file of `folders` that a commit has added, True, or removed, False; newest first.

    Nothing where there is no git, and of what a shallow clone does not know.
    """
    if not _may_be_in_git(root):
        return
    listing = ("--diff-filter=AD", "--no-renames", "--name-status", "--format=", "--relative", "-z")
    # A parent stands behind all of its children, whatever the clocks were of those who committed.
    done = run_git(root, "log", "--topo-order", *listing, "--", *folders)
    words = iter(os.fsdecode(done.stdout).split("\0"))
    for change, name in zip(words, words, strict=False):
        yield name, change.strip("\n") == "A"


def listed_files(root: Path) -> tuple[str, ...]:
    """Return every file that git tracks below `root`, or would track: not what it ignores.

    Raises:
        PromptHubError: git does not run, `root` is no work tree, or it lies in one that ignores it.
    """
    done = run_git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if done.returncode != 0:
        raise PromptHubError(f"git cannot list the files of {root}: {os.fsdecode(done.stderr)}")
    names = {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}
    if not names:
        # A folder without a repository of its own, inside somebody else's: git answers for that.
        raise PromptHubError(f"git lists no file of {root}: it is no work tree of its own.")
    return tuple(sorted(names))
