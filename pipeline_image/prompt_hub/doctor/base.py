"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names

if TYPE_CHECKING:
    from prompt_hub.doctor.readers import Readers

DEPLOY = "make deploy"


def start() -> str:
    """Return what starts an execution, which deploys, activates and reconciles."""
    return f"aws codepipeline start-pipeline-execution --name {aws_names.pipeline()}"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what was found and is expected, what to do, what to run."""

    problem: str
    mend: str
    command: str
    """Words in capitals are for whoever runs it."""


class NotCheckedError(Exception):
    """A check could not be made, and why: neither healthy nor a fault."""


@dataclass(frozen=True)
class Check:
    """One question about a stage; the registry finds it as `CHECK` of its module.

    `examine` yields what is wrong, and changes nothing that stays. It raises `NotCheckedError`
    where nobody can tell, and `PromptHubError` for what is missing, which is a finding then, with
    `remedy` as what to run.
    """

    name: str
    examine: Callable[[Readers], Iterator[Finding]]
    remedy: Callable[[], str]
