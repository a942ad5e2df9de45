"""The files that make a task live, checked before any of them is written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.hashing import sha256_of
from prompt_hub.core.hidden_characters import has_hidden
from prompt_hub.core.wording import count
from prompt_hub.repository.examples import examples_sha256
from prompt_hub.repository.reader import (
    ARCHIVE,
    EVALS,
    EXAMPLES,
    METADATA,
    PRODUCTION,
    TEMPLATES,
    PromptRepository,
)
from prompt_hub.repository.schema import LONGEST_TASK, TASK_PATTERN, Example, Gate, JsonObject
from prompt_hub.repository.transaction import exclusive
from prompt_hub.repository.yaml_writer import as_yaml, schema_line
from prompt_hub.validation.check import check
from prompt_hub.validation.folding import folded
from prompt_hub.validation.tree import Finding

FIRST_VERSION = "0.1.0"


@dataclass(frozen=True, kw_only=True)
class NewTask:
    """What is particular about a task; schema, task, version and stamp are the same for all.

    `prompt` and `metadata` are the rest of the files of those names; `comment` stands above both.
    """

    task: str
    owner: str
    comment: str
    prompt: JsonObject
    metadata: JsonObject
    examples: Sequence[Example]

    def files(self) -> dict[str, str]:
        """Return the task's files by path, up to date with one another."""
        prompt = {
            "schema": "prompt-hub/prompt@1",
            "task": self.task,
            "version": FIRST_VERSION,
            **self.prompt,
        }
        metadata = {
            "schema": "prompt-hub/metadata@1",
            "task": self.task,
            "owner": self.owner,
            "description": self.prompt["description"],
            "version": FIRST_VERSION,
            "candidate": f"{TEMPLATES}/{self.task}.yaml",
            "up_to_date": {
                "examples": examples_sha256(self.examples),
                "input": sha256_of(self.prompt["input"]),
                "output": sha256_of(self.prompt["output"]),
            },
            **self.metadata,
        }
        gate = self._gate()
        comment = "".join(f"# {line}\n" for line in self.comment.splitlines())
        return {
            template_path(self.task): _text("prompt", comment, prompt),
            metadata_path(self.task): _text("metadata", comment, metadata) + gate,
            examples_path(self.task): jsonl(self.examples),
        }

    def _gate(self) -> str:
        """Return the lines of a gate that these examples can pass; none where the default does."""
        from prompt_hub.evaluation.inputs import scored
        from prompt_hub.gate.least_margin import least_margin

        examples = scored(self.examples)
        least = least_margin(examples, Gate(), sampled=True) if examples else None
        if least is None or least <= Gate().margin:
            return ""
        return (
            f"# {count(len(examples), 'example')} can show no less: label more, then make it"
            f" narrower (docs/gate.md).\ngate: {{margin: {math.ceil(least * 100) / 100:g}}}\n"
        )


def _text(kind: str, comment: str, value: object) -> str:
    return schema_line(kind, up="../") + comment + as_yaml(value, compact=True)


def template_path(task: str) -> str:
    """Where the candidate of a new task is written."""
    return f"prompts/{TEMPLATES}/{task}.yaml"


def metadata_path(task: str) -> str:
    """Where the metadata of a task lie."""
    return f"prompts/{METADATA}/{task}.yaml"


def examples_path(task: str) -> str:
    """Where the examples of a task lie."""
    return f"prompts/{EXAMPLES}/{task}.jsonl"


def jsonl(examples: Sequence[Example]) -> str:
    """Examples as lines, without what is as usual."""
    lines = (example.model_dump(mode="json", exclude_defaults=True) for example in examples)
    return "".join(json_text(line) + "\n" for line in lines)


def json_text(value: object) -> str:
    """Return a value as JSON on one line, all in ASCII where it holds what nobody sees."""
    text = json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if has_hidden(text) else text


def findings_about(
    repository: PromptRepository, files: Mapping[str, str], task: str
) -> list[Finding]:
    """Return what would make a new task's files invalid if they lay in the repository."""
    findings = check(repository, task, proposed=files)[1]
    # An alias may be configured afterwards: whoever makes the task is told so.
    errors = (item for item in findings if item.is_error and item.rule != "model-alias")
    return [item for item in errors if item.problem.file in files]


def refuse_what_is_not_valid(
    repository: PromptRepository, task: str, files: Mapping[str, str]
) -> None:
    """Raise `PromptHubError` where validation would refuse files of a task."""
    if findings := findings_about(repository, files, task):
        message = ""
        for finding, more in folded(findings):
            message += f"\n  {finding.problem} [{finding.rule}]"
            message += f"\n  and {len(more)} more like it" if more else ""
        raise PromptHubError(
            f"nothing was written: {task} would not be valid.{message}",
            exit_code=ExitCode.BLOCKED,
        )


def refuse_a_taken_name(repository: PromptRepository, task: str) -> None:
    """Raise `PromptHubError` for a name that is none, or that any layer has already."""
    if not re.fullmatch(TASK_PATTERN, task) or len(task) > LONGEST_TASK:
        raise PromptHubError(
            f"{task!r} is no name for a task.",
            hint=f"Use lower-case words joined by hyphens, at most {LONGEST_TASK} characters.",
        )
    places = [
        template_path(task),
        metadata_path(task),
        examples_path(task),
        f"prompts/{PRODUCTION}/{task}.yaml",
        f"prompts/{EVALS}/{task}",
        f"prompts/{ARCHIVE}/{task}",
    ]
    taken = [place for place in places if (repository.root / place).exists()]
    if not taken and task in repository.registry().tasks:
        taken = ["the registry"]
    if taken:
        raise PromptHubError(
            f"there is {task!r} already: {', '.join(taken)}.",
            hint="Choose another name; a task is changed in its files, not made again.",
            exit_code=ExitCode.BLOCKED,
        )


def write(repository: PromptRepository, task: str, files: Mapping[str, str]) -> None:
    """Write a new task's files, all or none.

    Raises:
        PromptHubError: the name is taken, or validation would refuse the files.
    """
    with exclusive(repository.root) as writer:
        refuse_a_taken_name(repository, task)
        refuse_what_is_not_valid(repository, task, files)
        writer.apply(files)
