"""Addresses on the web of what an evaluation was made from, where they can be known from here."""

from __future__ import annotations

import os
import re
from pathlib import Path

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.git import UNKNOWN_COMMIT, run_git
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.reporting.evaluation import Links

_GITHUB = re.compile(
    r"(?:https://(?:[^@/]*@)?|git@|ssh://git@)github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?"
)
"""A remote at GitHub: `owner/name` alone, for the rest may hold a token."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_EXECUTION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def links_of(root: Path, record: EvaluationRecord) -> Links:
    """Return the pages of a record's commit at GitHub, and of its execution in the AWS console."""
    return Links(commit=_commit(root, record.commit), execution=_execution(record.execution))


def _commit(root: Path, commit: str) -> str | None:
    if commit == UNKNOWN_COMMIT or not _COMMIT.fullmatch(commit):
        return None
    try:
        remote = run_git(root, "config", "--get", "remote.origin.url").stdout
    except PromptHubError:
        # Without git the commit is named all the same.
        return None
    found = _GITHUB.fullmatch(os.fsdecode(remote).strip())
    return f"https://github.com/{found[1]}/commit/{commit}" if found else None


def _execution(execution: str) -> str | None:
    """Return the address in the console; a local AWS has none."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region or "AWS_ENDPOINT_URL" in os.environ or not _EXECUTION.fullmatch(execution):
        return None
    return (
        f"https://{region}.console.aws.amazon.com/codesuite/codepipeline/pipelines/"
        f"{aws_names.pipeline()}/executions/{execution}/timeline?region={region}"
    )
