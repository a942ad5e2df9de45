"""Whether the repository takes a push like the bot's: a throw-away branch, deleted again.

It is pushed with the rights of this clone: those of the connection are in no other place than a
build. The branch that releases come from is never touched.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from prompt_hub.core.git import run_git
from prompt_hub.doctor.base import Check, Finding, NotCheckedError
from prompt_hub.doctor.readers import Readers
from prompt_hub.promotion.git_promotion import Checkout, RemoteSilentError

_TIME = "%Y%m%dT%H%M"
_PREFIX = "refs/heads/prompt-hub-doctor-"
_LEFT_BEHIND = timedelta(hours=1)
"""Of an age at which no doctor is at work any more."""


def _examine(readers: Readers) -> Iterator[Finding]:
    if run_git(readers.root, "remote", "get-url", "origin").returncode != 0:
        raise NotCheckedError("this folder is no clone with a remote called origin")
    checkout = Checkout(readers.root)
    ref = f"{_PREFIX}{readers.now:{_TIME}}-{secrets.token_hex(6)}"
    branch = ref.removeprefix("refs/heads/")
    try:
        # Of a doctor that was killed; what is not deleted now is tried again by the next one.
        for old in checkout.refs_of_the_remote(f"{_PREFIX}*"):
            if _is_left_behind(old, readers.now):
                checkout.delete(old)
        if refusal := checkout.try_push(ref):
            yield Finding(
                f"The repository refused a push of the throw-away branch {branch}: {refusal}.",
                "Let whoever pushes here write to the repository, and the bot past what refused"
                " this.",
                f"git push origin HEAD:{ref} && git push origin --delete {branch}",
            )
        elif left := checkout.delete(ref):
            yield Finding(
                f"The throw-away branch {branch} could not be deleted again: {left}.",
                "Delete it.",
                f"git push origin --delete {branch}",
            )
    except RemoteSilentError as error:
        # It may have taken the branch and lost its answer.
        with suppress(RemoteSilentError):
            checkout.delete(ref)
        raise NotCheckedError(str(error)) from None


def _is_left_behind(ref: str, now: datetime) -> bool:
    try:
        made = datetime.strptime(ref.removeprefix(_PREFIX).partition("-")[0], _TIME)
    except ValueError:
        return False
    return now - made.replace(tzinfo=UTC) > _LEFT_BEHIND


CHECK = Check("push", _examine, lambda: "git remote --verbose")
