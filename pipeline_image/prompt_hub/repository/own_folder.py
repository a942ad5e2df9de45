"""`.prompt-hub`, what a machine keeps for itself in a clone: nothing there comes from others.

A commit, or an archive that was unpacked, may bring such a folder along. Answers in it would be
taken for the model's, and what is written through a link in it would land elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.git import tracks
from prompt_hub.repository.transaction import STATE


def require_own(root: Path) -> None:
    """Raise `PromptHubError` where git tracks `.prompt-hub`, or something in it leads out of it."""
    if tracks(root, STATE.name):
        raise PromptHubError(
            f"git tracks {STATE}, where a machine keeps what it has found out itself:"
            " answers of models, and half-made changes.",
            hint="Nothing there is taken from somebody else. Look at who committed it, then:"
            f" git rm -r --cached {STATE}",
            exit_code=ExitCode.BLOCKED,
        )
    for path, found in _foreign(root.resolve() / STATE):
        raise PromptHubError(
            f"{path.relative_to(root.resolve()).as_posix()} is {found}; expected a file or a folder"
            " of this machine's own.",
            hint="Nothing is read or written through it. Find out who put it there, then remove"
            " it.",
            exit_code=ExitCode.BLOCKED,
        )


@contextmanager
def _listed(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as entries:
            yield entries
    except PermissionError as error:
        raise PromptHubError(
            f"{folder} cannot be read: {error.strerror}.",
            hint=f"Another user ran a command here, or closed it: give {STATE} to yourself (chown)."
            " Do not remove it lightly: it has answers that were paid for.",
        ) from None


def _foreign(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield what is neither file nor folder, and links that lead out; asks no file for anything."""
    if folder.is_symlink():
        yield folder, "a symbolic link"
        return
    waiting = [folder] if folder.is_dir() else []
    while waiting:
        # What another process removes meanwhile leads nowhere.
        with suppress(FileNotFoundError), _listed(waiting.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.is_symlink():
                    target = Path(os.path.realpath(path))
                    if not target.is_relative_to(folder):
                        yield path, f"a symbolic link out of {STATE}"
                    elif target.is_symlink():
                        yield path, "a symbolic link that leads in a circle"
                elif entry.is_dir():
                    waiting.append(path)
                elif not entry.is_file() and os.path.lexists(path):
                    yield path, "no file"
