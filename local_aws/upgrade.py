"""`make up` in a checkout that has newer commits than its stage: they are merged and pushed.

So a checkout that was brought up to date takes its stage along, as docs/upgrading.md does it by
hand in an author's clone. The checkout itself is only read.
"""

from __future__ import annotations

from pathlib import Path

from local_aws.processes import LocalRunError
from local_aws.stack import LocalStack


def unreleased(stack: LocalStack) -> str | None:
    """Return the commit of the checkout if the pipeline's branch does not have all of it.

    The clone stays where it is: an execution of what it has may be under way.
    """
    if not stack.demo.exists():
        stack.clone(stack.demo)
    where = str(stack.demo)
    stack.git("-C", where, "fetch", "--quiet", "origin")
    shallow = [
        stack.git("-C", folder, "rev-parse", "--is-shallow-repository") == "true"
        for folder in (where, str(stack.root))
    ]
    # What the clone knows as an end of history, it asks for no further by itself.
    how = "--unshallow" if shallow == [True, False] else "--update-shallow"
    stack.git("-C", where, "fetch", "--quiet", how, str(stack.root), "HEAD")
    missing = ("rev-list", "--count", "FETCH_HEAD", f"^refs/remotes/origin/{stack.branch}")
    if stack.git("-C", where, *missing) == "0":
        return None
    return stack.git("-C", where, "rev-parse", "FETCH_HEAD")


def push(stack: LocalStack, commit: str) -> str:
    """Merge a commit that `unreleased` has returned, and push; returns the merge's commit.

    Raises:
        LocalRunError: both sides changed the same lines, which a person has to settle, or there
            was no merging at all.
    """
    where = str(stack.clone(stack.demo))
    message = f"Take up {commit[:8]} of the checkout"
    try:
        stack.git("-C", where, "merge", "--quiet", "--message", message, commit)
    except LocalRunError as error:
        conflicts = stack.git("-C", where, "diff", "--name-only", "--diff-filter=U")
        if conflicts:
            stack.git("-C", where, "reset", "--quiet", "--merge")
            raise LocalRunError(_by_hand(stack, commit, conflicts.split("\n"))) from None
        if "unrelated histories" in str(error):
            raise LocalRunError(
                f"the checkout's {commit[:8]} and what was pushed have no commit in common: the"
                f" history of a shallow clone ends between them. `git fetch --unshallow` in"
                f" {stack.root}, then `make up` again."
            ) from None
        # It did not begin, and git has said why: what lies in the clone stays.
        raise
    stack.git("-C", where, "push", "--quiet", "origin", f"HEAD:{stack.branch}")
    return stack.git("-C", where, "rev-parse", "HEAD")


def _by_hand(stack: LocalStack, commit: str, conflicts: list[str]) -> str:
    shown = ", ".join(conflicts[:3]) + (f" and {len(conflicts) - 3} more" if conflicts[3:] else "")
    return (
        f"the checkout's {commit[:8]} and what was pushed since do not merge: {shown}"
        f" changed on both sides. Merge it in {_short(stack.author)} (`git pull`, `git fetch"
        f" {stack.root} HEAD`, `git merge FETCH_HEAD`, `git push`), then `make up` again."
    )


def _short(path: Path) -> str:
    """Return a path as seen from here where it lies below this folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
