"""A new task in the shape of another: its prompt, contracts, scorers, gate and examples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from prompt_hub.authoring.task_files import (
    FIRST_VERSION,
    examples_path,
    metadata_path,
    template_path,
)
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.documents import read_text
from prompt_hub.repository.edit import without_block
from prompt_hub.repository.reader import EXAMPLES, METADATA, TEMPLATES, PromptRepository
from prompt_hub.repository.yaml import parse_yaml
from prompt_hub.validation.check import check


def copied(repository: PromptRepository, source: str, task: str) -> dict[str, str]:
    """Return the files of `task`, made from those of `source` with every comment kept.

    Raises:
        PromptHubError: there is no such task, or something is wrong with it.
    """
    repository.require_task(source)
    findings = [finding for finding in check(repository, source)[1] if finding.is_error]
    if findings:
        raise PromptHubError(
            f"{source} is not valid itself: {findings[0].problem}.",
            hint=f"Mend it first: prompt-hub validate {source}.",
            exit_code=ExitCode.BLOCKED,
        )

    def text(path: Path) -> str:
        return read_text(path, repository.relative(path)).replace("\r\n", "\n")

    prompt = repository.candidate_path(source)
    metadata = repository.path(METADATA, f"{source}.yaml")
    name = {"task": task, "version": FIRST_VERSION}
    moved = {**name, "candidate": f"{TEMPLATES}/{task}.yaml"}
    return {
        template_path(task): _with(text(prompt), name, repository.relative(prompt)),
        metadata_path(task): _with(
            without_block(text(metadata), "override"), moved, repository.relative(metadata)
        ),
        examples_path(task): text(repository.path(EXAMPLES, f"{source}.jsonl")),
    }


def _with(text: str, values: Mapping[str, str], file: str) -> str:
    """Return the text of a YAML file with these top-level values, and nothing else, changed."""
    fresh = text
    for key, value in values.items():
        pattern = rf"^({key}[ \t]*:[ \t]*)(\"[^\"]*\"|'[^']*'|[^\s#]+)"
        fresh = re.sub(pattern, rf"\g<1>{value}", fresh, flags=re.MULTILINE)
    before, after = parse_yaml(text, file).data, parse_yaml(fresh, file).data
    if not isinstance(before, dict) or after != {**before, **values}:
        raise PromptHubError(
            f"{file} is written in a way that cannot be copied.",
            hint=f"Write {', '.join(values)} as plain values at the start of a line.",
            exit_code=ExitCode.BLOCKED,
        )
    return fresh
