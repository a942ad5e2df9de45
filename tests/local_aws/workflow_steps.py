"""A workflow of GitHub, read from its file, whose `run:` steps run here as they stand in it.

Only as much of GitHub's expressions is known as our workflows use; anything else is an error.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_PLACE = re.compile(r"[a-z_]+(\.[A-Za-z0-9_-]+)+")
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")

Context = dict[str, Any]
Action = Callable[["Job", Mapping[str, str]], None]
"""What stands in for an action, given its job and its inputs."""


def read_workflow(path: Path) -> dict[str, Any]:
    """A workflow's document; YAML 1.1 takes the key `on` for true."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def value_of(expression: str, context: Context) -> Any:
    """What an expression comes to, where nobody cancels anything."""
    if "&&" in expression:
        found: Any = True
        for part in expression.split("&&"):
            found = value_of(part, context)
            if not found:
                return found
        return found
    if "==" in expression:
        left, right = expression.split("==")
        return value_of(left, context) == value_of(right, context)
    word = expression.strip()
    if word == "!cancelled()":
        return True
    if word.startswith("'"):
        return word.strip("'")
    assert _PLACE.fullmatch(word), f"not known here: {word}"
    found = context
    for name in word.split("."):
        found = found.get(name, "") if isinstance(found, dict) else ""
    return found


def filled(text: object, context: Context) -> str:
    """A text with the values of its expressions."""
    return _EXPRESSION.sub(lambda found: str(value_of(found[1], context)), str(text))


@dataclass
class Job:
    """One job on a machine of its own: a folder, and an environment without anything of ours."""

    name: str
    definition: Mapping[str, Any]
    folder: Path
    environment: dict[str, str]
    context: Context
    actions: Mapping[str, Action]
    changed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Variables laid over a step's own, by its name: where it cannot run in full."""
    ran: list[str] = field(default_factory=list)
    output: str = ""
    failed: bool = False

    def run(self) -> None:
        """Run the steps in order, as GitHub does; after a failure only those that say so."""
        assert self.wanted(self.definition)
        own = {k: filled(v, self.context) for k, v in self.definition.get("env", {}).items()}
        self.environment.update(own)
        steps: Context = self.context.setdefault("steps", {})
        for number, step in enumerate(self.definition["steps"]):
            condition = str(step.get("if", ""))
            if self.failed and "!cancelled()" not in condition:
                continue
            if not self.wanted(step):
                continue
            if "uses" in step:
                action = step["uses"].partition("@")[0]
                inputs = {
                    k: filled(v, self.context)
                    for k, v in step.get("with", {}).items()
                    if "hashFiles" not in str(v)
                }
                self.actions[action](self, inputs)
                self.ran.append(action)
                continue
            steps[step.get("id", str(number))] = {"outputs": self._run(step)}

    def wanted(self, item: Mapping[str, Any]) -> bool:
        """Whether the condition of a step or a job holds."""
        if "if" not in item:
            return True
        # A condition is an expression with its braces, and without.
        written = _EXPRESSION.fullmatch(item["if"])
        return bool(value_of(written[1] if written else item["if"], self.context))

    def _run(self, step: Mapping[str, Any]) -> dict[str, str]:
        name = step["name"]
        outputs = self.folder.parent / f"{self.name}-output"
        outputs.write_text("")
        variables = {k: filled(v, self.context) for k, v in step.get("env", {}).items()}
        # What GitHub runs a step of more lines than one with, too.
        done = subprocess.run(
            ["bash", "-e", "-c", filled(step["run"], self.context)],
            cwd=self.folder,
            env={
                **self.environment,
                **variables,
                **self.changed.get(name, {}),
                "GITHUB_OUTPUT": str(outputs),
                "GITHUB_STEP_SUMMARY": str(self.summary),
            },
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        self.output += done.stdout + done.stderr
        self.ran.append(name)
        self.failed = self.failed or done.returncode != 0
        lines = outputs.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def summary(self) -> Path:
        """What the job says on its page."""
        return self.folder.parent / f"{self.name}-summary.md"


def nothing_to_do(job: Job, inputs: Mapping[str, str]) -> None:
    """Stand in for an action that only prepares a machine, as this one is already."""


def path_of(*folders: Path) -> str:
    """A PATH with these folders first."""
    return os.pathsep.join([*map(str, folders), os.environ["PATH"]])
