"""Evaluations as they are stored: a record, and beside it its details, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.example_results import (
    ArmName,
    ExampleResult,
    details_path,
    parse_details,
)
from prompt_hub.evaluation.large_details import LargeDetails, large_details_in
from prompt_hub.evaluation.record import EvaluationRecord, parse_record
from prompt_hub.evaluation.results import ReadableResults
from prompt_hub.repository.documents import read_text
from prompt_hub.repository.reader import PromptRepository, evaluation_path


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A record with its details, and the texts that they were read from.

    `name` says where. An arm without details was not measured, unless these are too large for git
    and for memory (`large`): who needs them reads them one by one.
    """

    name: str
    text: str
    record: EvaluationRecord
    details_text: str
    details: Mapping[ArmName, tuple[ExampleResult, ...]]
    large: LargeDetails | None = None

    @classmethod
    def of(cls, name: str, text: str, details_text: str | None) -> Evaluation:
        """Return a record and its details from their texts.

        Raises `PromptHubError` for what is wrong.
        """
        record = parse_record(text, name)
        beside = details_path(name)
        if details_text is None and record.candidate is not None:
            raise PromptHubError(
                f"{name} has no details: {Path(beside).name} is not beside it.",
                hint=f"Evaluate the task again: prompt-hub evaluate {record.task}.",
                exit_code=ExitCode.BLOCKED,
            )
        large = large_details_in(details_text or "", beside)
        return cls(
            name=name,
            text=text,
            record=record,
            details_text=details_text or "",
            details=parse_details("" if large else details_text or "", beside),
            large=large,
        )


def read_evaluation(path: Path, name: str | None = None) -> Evaluation:
    """Return the record in a file, shown as `name`, and the details that lie beside it.

    Raises:
        PromptHubError: a file is missing, or is not what it should be.
    """
    shown = name or str(path)
    beside = Path(details_path(str(path)))
    details = read_text(beside, details_path(shown)) if beside.exists() else None
    return Evaluation.of(shown, read_text(path, shown), details)


def evaluation_by(results: ReadableResults, execution: str, task: str) -> Evaluation | None:
    """Return what an execution evaluated, None if it has no record.

    Raises as `read_evaluation` does.
    """
    key = aws_names.evaluation_key(execution, task)
    return _under(results, key, aws_names.evaluation_details_key(execution, task))


def remembered_evaluation(results: ReadableResults, digest: str) -> Evaluation | None:
    """Return what the same inputs came to before, None if nothing is remembered.

    Raises as those do.
    """
    return _under(results, aws_names.verdict_key(digest), aws_names.verdict_details_key(digest))


def _under(results: ReadableResults, key: str, details_key: str) -> Evaluation | None:
    text = results.get(key)
    return None if text is None else Evaluation.of(key, text, results.get(details_key))


def logged_evaluation(repository: PromptRepository, task: str, version: str) -> Evaluation | None:
    """Return an evaluation in `04-evals`, None if there is none.

    Raises as `read_evaluation` does.
    """
    path = repository.prompts / evaluation_path(task, version)
    return read_evaluation(path, repository.relative(path)) if path.exists() else None


def logged_details(
    repository: PromptRepository, task: str, version: str
) -> Mapping[ArmName, tuple[ExampleResult, ...]] | None:
    """Return the details of a record in `04-evals`, None where they are not beside it.

    An image has records alone. Raises as `read_evaluation` does.
    """
    if not Path(details_path(str(repository.prompts / evaluation_path(task, version)))).exists():
        return None
    evaluation = logged_evaluation(repository, task, version)
    return None if evaluation is None or evaluation.large is not None else evaluation.details


def logged_record(repository: PromptRepository, task: str, version: str) -> EvaluationRecord | None:
    """Return a record in `04-evals` without its details; raises as `read_evaluation` does."""
    path = repository.prompts / evaluation_path(task, version)
    if not path.exists():
        return None
    name = repository.relative(path)
    return parse_record(read_text(path, name), name)
