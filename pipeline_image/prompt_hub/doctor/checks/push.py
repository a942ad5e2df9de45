"""Whether the repository takes a push like the bot's: a throw-away branch, deleted again.

It is pushed with the rights of this clone: those of the connection are in no other place than a
build. The branch that releases come from is never touched.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from prompt_hub.core.git import run_git
from prompt_hub.doctor.base import Check, Finding, NotCheckedError
from prompt_hub.doctor.readers import Readers
from prompt_hub.promotion.git_promotion import Checkout


def _examine(readers: Readers) -> Iterator[Finding]:
    if run_git(readers.root, "remote", "get-url", "origin").returncode != 0:
        raise NotCheckedError("this folder is no clone with a remote called origin")
    checkout = Checkout(readers.root)
    branch = f"prompt-hub-doctor-{secrets.token_hex(6)}"
    if refusal := checkout.try_push(f"refs/heads/{branch}"):
        yield Finding(
            f"The repository refused a push of the throw-away branch {branch}: {refusal}.",
            "Let whoever pushes here write to the repository, and the bot past what refused this.",
            f"git push origin HEAD:refs/heads/{branch}",
        )
    elif left := checkout.delete(f"refs/heads/{branch}"):
        yield Finding(
            f"The throw-away branch {branch} could not be deleted again: {left}.",
            "Delete it.",
            f"git push origin --delete {branch}",
        )


CHECK = Check("push", _examine, "git remote --verbose")
