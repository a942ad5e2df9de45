"""The git work of promotion: bot layers from the head, one commit on it, never a forced push."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.urls import hide_credentials
from prompt_hub.repository.reader import BOT_LAYERS, REGISTRY

BOT_PATHS = (*(f"prompts/{layer}" for layer in BOT_LAYERS), REGISTRY)
_IDENTITY = {
    "GIT_AUTHOR_NAME": "prompt-hub",
    "GIT_AUTHOR_EMAIL": "prompt-hub@users.noreply.github.com",
    "GIT_COMMITTER_NAME": "prompt-hub",
    "GIT_COMMITTER_EMAIL": "prompt-hub@users.noreply.github.com",
}
_RACES = ("fetch first", "non-fast-forward", "cannot lock ref", "already exists")
"""What git says of a push that came too late, by branch or by tag."""
_UNTRACK = ("rm", "--force", "-r", "--quiet", "--cached", "--ignore-unmatch", "--")


def _start_again() -> str:
    command = "aws codepipeline start-pipeline-execution --name"
    return f"Then start the pipeline: {command} {aws_names.pipeline()}"


class PushRejectedError(Exception):
    """The remote moved between fetch and push."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """The commit that promotion builds on; `known_as`: that of the remote with the same tree."""

    commit: str
    known_as: str | None


REMOTE_SECONDS = 60.0
"""How long a person waits for an answer of the remote."""


class RemoteSilentError(Exception):
    """The remote gave no answer: whether it would refuse, nobody can tell."""


class Checkout:
    """A full clone, checked out at the commit of this execution."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def head(self) -> str:
        """Return the commit that is checked out."""
        return self._git("rev-parse", "HEAD")

    def author_of(self, paths: Sequence[str]) -> str:
        """Return name and address of whoever changed one of `paths` last; empty if nobody did."""
        return self._git(
            "log", "-1", "--no-show-signature", "--format=%an <%ae>", "HEAD", "--", *paths
        )

    def descends_from(self, commit: str) -> bool:
        """Whether the commit that is checked out is `commit`, or comes after it."""
        return self._run("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0

    def has_files(self, commit: str, paths: Sequence[str]) -> bool:
        """Whether a commit has every one of `paths`."""
        there = self._git("ls-tree", "--name-only", commit, "--", *paths).splitlines()
        return len(there) == len(paths)

    def fetch(self, branch: str) -> str:
        """Return the newest commit of `branch` at the remote."""
        return self._fetched(branch, "refs/prompt-hub/head")

    def with_waiting(self, head: str, waiting: str | None, branch: str) -> Base:
        """Return `head` with the commit `waiting` in the bot's `branch`, which it may not hold yet.

        Read `waiting` before `head`: else what people merge and delete in between is in neither.

        Whichever way people merge, a file is no conflict that only one of both has changed since.
        The commit descends from both, so that the branch is never pushed by force.

        Raises:
            PromptHubError: both have changed the same file of the bot layers, each in its own way;
                or `branch` is none of the bot's.
        """
        if waiting is None:
            return Base(commit=head, known_as=head)
        common = self._run("merge-base", head, waiting).stdout.strip()
        if not common:
            raise PromptHubError(
                f"{branch} has no commit in common with the branch that it is for.",
                hint=f"Delete it: promotion makes it anew. {_start_again()}",
                exit_code=ExitCode.BLOCKED,
            )
        if common == waiting:
            return Base(commit=head, known_as=head)
        if common == head:
            return Base(commit=waiting, known_as=waiting)
        tree = self._merged(common, head, waiting, branch)
        message = f"Take over what {branch} is for"
        parents = ("-p", waiting, "-p", head)
        merged = self._git("commit-tree", tree, *parents, "-m", message, environment=_IDENTITY)
        # Merged by new commits, nothing waits: to push this would open a pull request without a
        # change, and its merge would start the pipeline again.
        nothing_waits = tree == self._git("rev-parse", f"{head}^{{tree}}")
        return Base(commit=merged, known_as=head if nothing_waits else None)

    def waiting(self, branch: str) -> str | None:
        """Return the newest commit of the bot's `branch`; None if there is no such branch."""

        def there() -> bool:
            return bool(self._git("ls-remote", "--heads", "origin", f"refs/heads/{branch}"))

        if not there():
            return None
        try:
            return self._fetched(branch, "refs/prompt-hub/waiting")
        except PromptHubError:
            if there():
                raise
            return None  # merged, and deleted, a moment ago

    def _fetched(self, branch: str, ref: str) -> str:
        self._git("fetch", "--quiet", "origin", f"+refs/heads/{branch}:{ref}")
        return self._git("rev-parse", ref)

    def _merged(self, common: str, head: str, waiting: str, branch: str) -> str:
        """Return the tree of both, merged file by file."""
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            base = self._merge_base_tree(common, head, waiting)
            self._git(
                "read-tree", "-i", "-m", "--aggressive", base, head, waiting, environment=index
            )
            torn = self._git("ls-files", "--unmerged", "-z", environment=index).split("\0")
            if files := sorted({entry.partition("\t")[2] for entry in torn if entry}):
                raise PromptHubError(
                    f"{_listed(files)} changed both in the pull request that waits in {branch} and"
                    " in the branch that it is for.",
                    hint="Merge or close that pull request and delete its branch."
                    f" {_start_again()}",
                    exit_code=ExitCode.BLOCKED,
                )
            return self._git("write-tree", environment=index)

    def _merge_base_tree(self, common: str, head: str, waiting: str) -> str:
        """Return the tree that both went on from: of `common`, but for what was merged since.

        A squash or a rebase tells git nothing of what it merged. Where `head` once had all bot
        layers as they were in the bot's branch, that is where both went on from.
        """
        merged = {self._layers(commit) for commit in self._changes(common, head)}
        for commit in self._changes(common, waiting):
            if self._layers(commit) in merged:
                return self._with_layers(common, commit)
        return common

    def _changes(self, since: str, until: str) -> Sequence[str]:
        """Return the commits after `since` that changed the bot layers, newest first."""
        found = self._git("rev-list", "--topo-order", f"{since}..{until}", "--", *BOT_PATHS)
        return found.splitlines()

    def _layers(self, commit: str) -> str:
        return self._git("ls-tree", commit, "--", *BOT_PATHS)

    def _with_layers(self, commit: str, source: str) -> str:
        """Return the tree of `commit` with the bot layers of `source`."""
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._git("read-tree", commit, environment=index)
            self._git(*_UNTRACK, *BOT_PATHS, environment=index)
            for entry in self._layers(source).splitlines():
                words, _, name = entry.partition("\t")
                mode, kind, identity = words.split()
                if kind == "tree":
                    self._git("read-tree", f"--prefix={name}/", identity, environment=index)
                else:
                    added = ("--add", "--cacheinfo", f"{mode},{identity},{name}")
                    self._git("update-index", *added, environment=index)
            return self._git("write-tree", environment=index)

    def take_waiting(self, branch: str) -> None:
        """Put the bot layers that promotion will build on into the working tree.

        Raises:
            PromptHubError: see `with_waiting`.
        """
        base = self.with_waiting(self.head(), self.waiting(branch), branch)
        self.checkout_generated_layers(base.commit)

    def checkout_generated_layers(self, commit: str) -> None:
        """Make the bot layers of the working tree those of `commit`, files since gone included."""
        for name in BOT_PATHS:
            path = self.root / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        there = self._git("ls-tree", "--name-only", commit, "--", *BOT_PATHS).splitlines()
        if there:
            self._git("checkout", "--quiet", commit, "--", *there)

    def commit_bot_layers(self, parent: str, message: str) -> str:
        """Return a commit on `parent` that differs from it in the bot layers only.

        Returns `parent` itself if nothing differs. Neither the branch nor the index moves.
        """
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._git("read-tree", parent, environment=index)
            present = [name for name in BOT_PATHS if (self.root / name).exists()]
            self._git(*_UNTRACK, *BOT_PATHS, environment=index)
            self._git("add", "--force", "--", *present, environment=index)
            tree = self._git("write-tree", environment=index)
        if tree == self._git("rev-parse", f"{parent}^{{tree}}"):
            return parent
        return self._git("commit-tree", tree, "-p", parent, "-m", message, environment=_IDENTITY)

    def push(self, commit: str, branch: str, tags: Sequence[str]) -> tuple[str, ...]:
        """Move the remote's `branch` and make `tags`, together.

        Returns the tags that the remote has already: they stay where they are, for a tag that
        somebody made by hand must not hold up every promotion.

        Raises:
            PushRejectedError: the branch moved, or a tag appeared, since it was looked at.
            PromptHubError: the remote refused for another reason.
        """
        there = self._tags_of_the_remote() if tags else frozenset()
        new = [tag for tag in tags if tag not in there]
        refs = [f"{commit}:refs/heads/{branch}", *(f"{commit}:refs/tags/{tag}" for tag in new)]
        done = self._run("push", "--quiet", "--atomic", "origin", *refs)
        if done.returncode == 0:
            return tuple(tag for tag in tags if tag in there)
        if any(words in done.stderr for words in _RACES):
            raise PushRejectedError
        raise PromptHubError(
            f"the bot commit could not be pushed: {_reason(done.stderr)}.",
            hint="Check that the connection may write to the repository, and that the branch's"
            ' rules let its app push; or let people merge it: "promotion": "pull-request" in'
            " cdk.json (docs/deployment.md#a-protected-branch).",
            exit_code=ExitCode.UNEXPECTED,
        )

    def try_push(self, ref: str) -> str:
        """Make a ref at the remote as the bot would; returns why it was refused, empty if not.

        It points to an empty commit without a parent: nothing of this clone reaches the remote.

        Raises:
            RemoteSilentError: the remote gave no answer; it may have made the ref all the same.
        """
        tree = self._git("hash-object", "-t", "tree", "-w", "--stdin")
        commit = self._git(
            "commit-tree", tree, "-m", "Try whether this may be pushed", environment=_IDENTITY
        )
        return self._refusal("push", "--quiet", "--no-verify", "origin", f"{commit}:{ref}")

    def delete(self, ref: str) -> str:
        """Delete a ref at the remote; returns why it was refused, empty if not.

        Raises `RemoteSilentError` as `try_push` does.
        """
        return self._refusal("push", "--quiet", "--no-verify", "origin", f":{ref}")

    def refs_of_the_remote(self, pattern: str) -> list[str]:
        """Return the remote's refs that match; none where it does not let us read them.

        Raises `RemoteSilentError` as `try_push` does.
        """
        done = self._ask_remote("ls-remote", "origin", pattern)
        return [line.partition("\t")[2] for line in done.stdout.splitlines()]

    def _refusal(self, *arguments: str) -> str:
        done = self._ask_remote(*arguments)
        return "" if done.returncode == 0 else _reason(done.stderr)

    def _ask_remote(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Ask the remote for a person who waits: with a limit, and without a question to them."""
        quietly = {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
        try:
            done = self._run(*arguments, environment=quietly, seconds=REMOTE_SECONDS)
        except subprocess.TimeoutExpired:
            raise RemoteSilentError(
                f"the remote did not answer within {REMOTE_SECONDS:g} s"
            ) from None
        if done.returncode != 0 and (found := _UNREACHED.search(done.stderr)):
            raise RemoteSilentError(f"the remote was not reached: {hide_credentials(found[0])}")
        return done

    def _tags_of_the_remote(self) -> frozenset[str]:
        lines = self._git("ls-remote", "--tags", "--refs", "origin").splitlines()
        return frozenset(line.partition("refs/tags/")[2] for line in lines)

    def _git(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        done = self._run(*arguments, environment=environment)
        if done.returncode != 0:
            raise PromptHubError(
                f"git {arguments[0]} failed: {_last_line(done.stderr)}.",
                hint="Promotion inside the pipeline needs a full clone with its remote.",
                exit_code=ExitCode.UNEXPECTED,
            )
        return done.stdout.strip()

    def _run(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            # Of a terminal of its own, which is none, ssh asks nothing; and Ctrl-C, which ends this
            # process, does not end what it has to tidy up.
            start_new_session=seconds is not None,
        )


def _listed(files: Sequence[str]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0]}{more}"


_UNREACHED = re.compile(
    r"^.*(?:Could not resolve host|Failed to connect|Couldn't connect|Connection refused"
    r"|Connection timed out|Operation timed out|Connection reset|Network is unreachable"
    r"|No route to host|Temporary failure in name resolution).*$",
    re.MULTILINE,
)
_REASON = re.compile(r"^(?:remote: .*|.*\[remote rejected\].*|fatal: .*)$", re.MULTILINE)


def _reason(text: str) -> str:
    """Return the first words of a remote's refusal: its last line says only that it refused."""
    found = _REASON.search(text)
    return hide_credentials(found[0].strip().rstrip(".")) if found else _last_line(text)


def _last_line(text: str) -> str:
    """Return the last thing that git says was wrong; its hints are for somebody at a keyboard."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("hint:")]
    return hide_credentials(lines[-1].rstrip(".")) if lines else "no reason given"
