"""Run the tests of the code, unless exactly this code has passed exactly these tests before.

`python -m prompt_hub.release.code_tests COMMAND...` in the pipeline's action Tests: a prompt commit
does not pay for the tests of code that it did not touch. A green run leaves a mark in the results
bucket, under the hash of everything that is code, of the tools and of the command. Whatever keeps
the mark from being read, or the code from being listed, lets the tests run.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.git import head_commit, listed_files
from prompt_hub.core.hashing import sha256_of
from prompt_hub.core.wording import count, minute
from prompt_hub.evaluation.results import (
    Results,
    execution_from_environment,
    results_from_environment,
)
from prompt_hub.repository.json import parse_model
from prompt_hub.repository.reader import BOT_LAYERS, HUMAN_LAYERS, REGISTRY
from prompt_hub.repository.schema import Sha256, Strict

_LAYERS = tuple(f"prompts/{layer}/" for layer in (*HUMAN_LAYERS, *BOT_LAYERS))
_PAGES = re.compile(r"(docs|findings)/.*\.md|(README|CHANGELOG|SECURITY)\.md")


def is_code(path: str) -> bool:
    """Whether a file of the repository is code to the tests.

    Everything is but prompts, what promotion writes, and pages for people: a file that nobody has
    thought of lets the tests run.
    """
    return not (path.startswith(_LAYERS) or path == REGISTRY or _PAGES.fullmatch(path))


class GreenMark(Strict):
    """That something was green, by the hash of all that it depends on.

    `tools` are the versions of Python and of every installed package, `files` counts what was
    looked at.
    """

    digest: Sha256
    command: tuple[str, ...]
    files: int
    tools: dict[str, str]
    execution: str
    commit: str


Mark = TypeVar("Mark", bound=GreenMark)


def green_mark(
    results: Results,
    key: str,
    mark: type[Mark],
    *,
    digest: str,
    command: tuple[str, ...],
    what: str,
) -> Mark:
    """Return the mark of exactly this; `what` was green, in words.

    Raises:
        PromptHubError: there is none, or it does not speak of this.
    """
    text = results.get(key)
    if text is None:
        raise PromptHubError(f"no green {what} is remembered.")
    green = parse_model(text, key, mark, hint="")
    if (green.digest, green.command) != (digest, command):
        raise PromptHubError(f"the mark {key} speaks of another one.")
    return green


class GreenRun(GreenMark):
    """The mark of a run in which every test passed."""

    schema_: Annotated[Literal["prompt-hub/code-tests@1"], Field(alias="schema")]
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True)
class CodeState:
    """What a run of the tests depends on: the hash of each file that is code, tools, command."""

    files: Mapping[str, str]
    tools: Mapping[str, str]
    command: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Hash of all of it: equal where the tests would say the same."""
        return sha256_of(
            {"files": dict(self.files), "tools": dict(self.tools), "command": list(self.command)}
        )

    def green_run(self, results: Results) -> GreenRun:
        """Return the green run of exactly this; raises as `green_mark` does."""
        key = aws_names.code_tests_key(self.digest)
        return green_mark(
            results,
            key,
            GreenRun,
            digest=self.digest,
            command=self.command,
            what="run of this code",
        )


def code_of(root: Path) -> dict[str, str]:
    """Return the hash of every file below `root` that is code, by its path.

    Raises:
        OSError: a file cannot be read.
        PromptHubError: git cannot list the files.
    """
    return {path: _fingerprint(root / path) for path in listed_files(root) if is_code(path)}


def _fingerprint(path: Path) -> str:
    """Hash of what a file holds, of where a link leads, and of whether it may be executed."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return sha256(b"link " + os.fsencode(path.readlink())).hexdigest()
    kind = b"program " if status.st_mode & stat.S_IXUSR else b"file "
    return sha256(kind + path.read_bytes()).hexdigest()


def installed_tools() -> dict[str, str]:
    """Return the versions of Python and of every package that is installed."""
    # Each look at a name or version would parse the package's whole description again.
    metadata = (found.metadata for found in distributions())
    packages = {each["Name"].lower(): each["Version"] for each in metadata}
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": sysconfig.get_platform(),
        **dict(sorted(packages.items())),
    }


class CodeTests:
    """Runs the tests of the code in `root` by `command`, once for each state of it."""

    def __init__(
        self,
        root: Path,
        command: Sequence[str],
        results: Callable[[], Results],
        *,
        execution: str,
        tools: Mapping[str, str],
        say: Callable[[str], None] = print,
    ) -> None:
        self._root = root
        self._command = tuple(command)
        self._results = results
        self._execution = execution
        self._tools = tools
        self._say = say

    def run(self) -> int:
        """Return the tests' exit code, 0 where they were green before and did not run."""
        before = self._code()
        if before is None:
            return self._call()
        try:
            green = before.green_run(self._results())
        except Exception as error:
            # No access, no bucket, a torn mark: never skip on doubt.
            self._say(f"tests: run ({before.digest[:12]}), because {reason_of(error)}")
        else:
            self._say(
                f"tests: skipped, because this code ({before.digest[:12]},"
                f" {count(len(before.files), 'file')}) passed them in execution"
                f" {green.execution} at {minute(green.finished_at)}"
            )
            return 0
        started = datetime.now(UTC)
        code = self._call()
        if code == 0:
            self._remember(before, started)
        return code

    def _code(self) -> CodeState | None:
        try:
            return CodeState(code_of(self._root), self._tools, self._command)
        except (OSError, PromptHubError) as error:
            self._say(f"tests: run, because the code could not be listed: {reason_of(error)}")
            return None

    def _call(self) -> int:
        self._say(f"tests: {shlex.join(self._command)}")
        # Started in the same group: whoever ends this ends the tests, and no mark is written.
        return subprocess.run(self._command, cwd=self._root, check=False).returncode

    def _remember(self, before: CodeState, started: datetime) -> None:
        if self._code() != before:
            self._say("tests: green, but not remembered: files changed while they ran")
            return
        green = GreenRun(
            schema_="prompt-hub/code-tests@1",
            digest=before.digest,
            command=before.command,
            files=len(before.files),
            tools=dict(before.tools),
            execution=self._execution,
            commit=head_commit(self._root),
            started_at=started,
            finished_at=datetime.now(UTC),
        )
        try:
            self._results().put(aws_names.code_tests_key(before.digest), green.to_json())
        except Exception as error:  # they are green all the same; the next execution runs them
            self._say(f"tests: green, but not remembered: {reason_of(error)}")
            return
        self._say(
            f"tests: green; the next execution with this code ({before.digest[:12]}) skips them"
        )


def reason_of(error: Exception) -> str:
    """Say why something could not be had, whatever was raised."""
    words = error.message if isinstance(error, PromptHubError) else str(error)
    return words.strip() or type(error).__name__


def main(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run the tests by `command` in the working directory, or say who had them green."""
    if not command:
        print("code_tests: name the command that runs the tests.", file=sys.stderr)
        return ExitCode.USAGE
    root = Path.cwd()
    return CodeTests(
        root,
        command,
        lambda: results_from_environment(root, environment),
        execution=execution_from_environment(environment),
        tools=installed_tools(),
        say=lambda line: print(line, flush=True),
    ).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
