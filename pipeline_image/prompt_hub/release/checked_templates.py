"""Synthesise the app, and have its templates checked unless these very ones were green before.

`cdk synth --app "python -m prompt_hub.release.checked_templates COMMAND"` in the pipeline's action
Synth: COMMAND is the app. It runs without CDK's validators first, which are most of a synthesis.
What it wrote is hashed together with the code, the tools and the command. Where the results bucket
has no mark of that hash, the app runs again with them, and a green report leaves the mark. Whatever
keeps the mark from being read, or something from being hashed, lets the validators run. Where none
of its templates was ever green, code runs with them at once: no mark can be there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.git import head_commit
from prompt_hub.core.hashing import canonical, sha256_of
from prompt_hub.core.wording import minute
from prompt_hub.evaluation.results import Results, results_from_environment
from prompt_hub.release.code_tests import (
    GreenMark,
    code_of,
    green_mark,
    installed_tools,
    reason_of,
)

_SWITCH = "CDK_VALIDATION"
"""CDK's own, which `app.py` goes by as well."""
ENV_OUTPUT = "CDK_OUTDIR"
"""Where the CDK command line lets the app write."""
REPORT = "validation-report.json"
_LOCK = "synth.lock"
"""Of the CDK command line, with its process id, while the app runs."""
_EXECUTION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MASK = b"<the release>"
_CREATION = "aws:cdk:creationStack"


class GreenTemplates(GreenMark):
    """The mark of templates in which the validators found nothing; `files` were synthesised."""

    schema_: Annotated[Literal["prompt-hub/green-templates@1"], Field(alias="schema")]
    checked_at: datetime


@dataclass(frozen=True)
class AppState:
    """What the validators' findings depend on: what was synthesised, the code, tools, command.

    Before anything is synthesised, `assembly` is empty: a digest of the app alone.
    """

    assembly: Mapping[str, str]
    code: Mapping[str, str]
    tools: Mapping[str, str]
    command: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Hash of all of it: equal where the validators would find the same."""
        return sha256_of(
            {
                "assembly": dict(self.assembly),
                "code": dict(self.code),
                "tools": dict(self.tools),
                "command": list(self.command),
            }
        )

    def green_templates(self, results: Results) -> GreenTemplates:
        """Return the mark of exactly this; raises as `green_mark` does."""
        key = aws_names.green_templates_key(self.digest)
        return green_mark(
            results,
            key,
            GreenTemplates,
            digest=self.digest,
            command=self.command,
            what="check of these templates",
        )


def assembly_of(folder: Path, release: str) -> dict[str, str]:
    """Return the hash of every file that a synthesis wrote, by its path, whatever the release.

    Masked is the release, and the hashes of templates that name it, by which other files know
    them. Left out are stack traces, which name a temporary folder of each run.

    Raises:
        OSError: a file cannot be read.
        PromptHubError: `release` is no id of the pipeline's.
        ValueError: a file that CDK writes as JSON is none.
    """
    if not _EXECUTION.fullmatch(release):
        # A shorter word might stand anywhere, and templates that differ would look the same.
        raise PromptHubError(f"the release {release!r} is not the id of an execution.")
    files = {
        name: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (name := path.relative_to(folder).as_posix()) not in (REPORT, _LOCK)
    }
    masks = {release.encode(): _MASK}
    for name, raw in files.items():
        if name.endswith(".template.json") and release.encode() in raw:
            masked = raw.replace(release.encode(), _MASK)
            masks[sha256(raw).hexdigest().encode()] = sha256(masked).hexdigest().encode()
    return {name: sha256(_same(name, raw, masks)).hexdigest() for name, raw in files.items()}


def _same(name: str, raw: bytes, masks: Mapping[bytes, bytes]) -> bytes:
    """Return what a file says without what differs between two executions of the same app."""
    for found, mask in masks.items():
        raw = raw.replace(found, mask)
    if name.endswith(".metadata.json"):
        metadata: dict[str, list[dict[str, object]]] = json.loads(raw)
        return canonical(
            {
                path: [
                    {key: value for key, value in entry.items() if key != "trace"}
                    for entry in entries
                    if entry["type"] != _CREATION
                ]
                for path, entries in metadata.items()
            }
        )
    if name.endswith(".assets.json"):
        manifest = json.loads(raw)
        for asset in (*manifest["files"].values(), *manifest["dockerImages"].values()):
            # The name of a destination is a hash of what it says, as it was before the mask.
            asset["destinations"] = sorted(map(sha256_of, asset["destinations"].values()))
        return canonical(manifest)
    return raw


def _require_green(report: Path) -> None:
    """Raise unless validators have written `report`, and each of them found nothing."""
    plugins = json.loads(report.read_bytes())["pluginReports"]
    failed = [each["pluginName"] for each in plugins if each["conclusion"] != "success"]
    if failed or not plugins:
        raise PromptHubError(f"{report.name} is not green: {', '.join(failed) or 'no check'}.")


class TemplateCheck:
    """Synthesises the app in `root` by `command`, checked once for each state of it."""

    def __init__(
        self,
        root: Path,
        command: Sequence[str],
        results: Callable[[], Results],
        *,
        environment: Mapping[str, str],
        tools: Mapping[str, str],
        say: Callable[[str], None] = print,
    ) -> None:
        self._root = root
        self._command = tuple(command)
        self._results = results
        self._environment = dict(environment)
        self._output = root / self._environment[ENV_OUTPUT]
        self._release = self._environment.get(aws_names.ENV_RELEASE, "")
        self._tools = dict(tools)
        self._say = say

    def run(self) -> int:
        """Return the app's exit code: what it wrote is checked where that is 0, now or before."""
        (self._output / REPORT).unlink(missing_ok=True)
        try:
            app = self._app()
        except Exception as error:
            self._say(f"templates: checked, because they cannot be compared: {reason_of(error)}")
            return self._synthesise(checked=True)
        try:
            self._require_known(app)
            if code := self._synthesise(checked=False):
                return code
            state = self._synthesised(app)
            green = state.green_templates(self._results())
        except Exception as error:
            # No access, no bucket, a torn mark: never skip on doubt.
            self._say(f"templates: checked ({app.digest[:12]}), because {reason_of(error)}")
        else:
            self._say(
                f"templates: not checked again, because these ({state.digest[:12]}) were green in"
                f" execution {green.execution} at {minute(green.checked_at)}"
            )
            return 0
        code = self._synthesise(checked=True)
        if code == 0:
            self._remember(app)
        return code

    def _app(self) -> AppState:
        """Return what is known before the synthesis."""
        return AppState({}, code_of(self._root), self._tools, self._command)

    def _synthesised(self, app: AppState) -> AppState:
        return replace(app, assembly=assembly_of(self._output, self._release))

    def _require_known(self, app: AppState) -> None:
        """Raise where nothing of `app` was ever green: to run it without the checks tells nothing.

        It would run a second time with them, whatever it wrote.
        """
        if self._results().get(aws_names.green_app_key(app.digest)) is None:
            raise PromptHubError("no green templates of this code are remembered.")

    def _synthesise(self, *, checked: bool) -> int:
        # Said by absence, so that nobody's switch turns the checks off.
        environment = {key: self._environment[key] for key in self._environment.keys() - {_SWITCH}}
        if not checked:
            environment[_SWITCH] = "false"
        return subprocess.run(
            self._command, cwd=self._root, env=environment, check=False
        ).returncode

    def _remember(self, app: AppState) -> None:
        try:
            _require_green(self._output / REPORT)
            state = self._synthesised(app)
            if self._app() != app:
                raise PromptHubError("code changed meanwhile.")
            green = GreenTemplates(
                schema_="prompt-hub/green-templates@1",
                digest=state.digest,
                command=state.command,
                files=len(state.assembly),
                tools=dict(state.tools),
                execution=self._release,
                commit=head_commit(self._root),
                checked_at=datetime.now(UTC),
            )
            self._results().put(aws_names.green_templates_key(state.digest), green.to_json())
            self._results().put(aws_names.green_app_key(app.digest), green.to_json())
        except Exception as error:  # what the app said counts; the next execution checks again
            self._say(f"templates: checked, but not remembered: {reason_of(error)}")
            return
        self._say(f"templates: green; an execution with the same ({state.digest[:12]}) skips them")


def main(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Synthesise the app of the working directory by `command`, checked now or before."""
    chosen = os.environ if environment is None else environment
    if not command or not chosen.get(ENV_OUTPUT):
        print(
            "checked_templates: name the app's command, and let `cdk synth --app` start this.",
            file=sys.stderr,
        )
        return ExitCode.USAGE
    root = Path.cwd()
    return TemplateCheck(
        root,
        command,
        lambda: results_from_environment(root, chosen),
        environment=chosen,
        tools=installed_tools(),
        # The CDK command line takes an app's output for its own.
        say=lambda line: print(line, file=sys.stderr, flush=True),
    ).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
