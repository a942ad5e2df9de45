"""Finds and reads evaluations: a record, and beside it one detail line a call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prompt_hub import names
from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.evaluate.record import EvaluationRecord
from prompt_hub.evaluate.results import Results
from prompt_hub.evaluate.scorers import Part
from prompt_hub.prompts.documents import Document, read_text, strict_json, to_model
from prompt_hub.prompts.models import VERSION_PATTERN, Fraction, version_key
from prompt_hub.prompts.repository import EVALS, PromptRepository

ArmName = Literal["candidate", "champion"]


class Call(BaseModel):
    """One detail line: one call for one example, and what its answer was worth.

    `tokens` are those sent and received, `seconds` the call's own latency, `cached` says that an
    earlier run paid for it. What later versions add to a line does not matter to a reader.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    arm: ArmName
    id: str
    score: Fraction | None
    repeat: Annotated[int, Field(ge=0)] = 0
    error: str | None = None
    answer: str | None = None
    parts: tuple[Part, ...] = ()
    tokens: tuple[int, int] | None = None
    usd: float | None = None
    seconds: float | None = None
    attempts: int = 1
    cached: bool = False


@dataclass(frozen=True)
class Evaluation:
    """A record with its details; `name` says where it was read."""

    name: str
    record: EvaluationRecord
    calls: tuple[Call, ...]

    def of(self, arm: ArmName) -> tuple[Call, ...]:
        """The calls of one arm."""
        return tuple(call for call in self.calls if call.arm == arm)


def read_evaluation(path: Path, name: str | None = None) -> Evaluation:
    """The record in a file, and the details that lie beside it as `.jsonl`.

    Raises:
        PromptHubError: a file is missing, or is not what it should be.
    """
    shown = name or str(path)
    details = path.with_suffix(".jsonl")
    text = read_text(details, str(Path(shown).with_suffix(".jsonl"))) if details.exists() else None
    return parse_evaluation(shown, read_text(path, shown), text)


def parse_evaluation(name: str, record_text: str, details: str | None) -> Evaluation:
    """A record and its details from their texts; raises `PromptHubError` for what is wrong."""
    record = parse_record(name, record_text)
    if details is None:
        if record.candidate is not None:
            raise PromptHubError(
                f"{name} has no details: {Path(name).with_suffix('.jsonl').name} is not beside it.",
                hint=f"Evaluate the task again: prompt-hub evaluate {record.task}.",
            )
        details = ""
    file = str(Path(name).with_suffix(".jsonl"))
    return Evaluation(name, record, tuple(_calls(file, details, record.task)))


def parse_record(name: str, text: str) -> EvaluationRecord:
    """An evaluation record from its text; raises `PromptHubError` for what is wrong."""
    try:
        data = strict_json(text)
    except ValueError as error:
        raise PromptHubError(f"{name} is not JSON: {error}.") from None
    return to_model(Document(name, data), EvaluationRecord)


def _calls(file: str, text: str, task: str) -> Iterator[Call]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield Call.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise PromptHubError(
                f"{file}:{number}: {where} is not as evaluations write it: {first['msg']}.",
                hint=f"Evaluate the task again: prompt-hub evaluate {task}.",
                exit_code=ExitCode.BLOCKED,
            ) from None


@dataclass(frozen=True)
class Evaluations:
    """All evaluations that can be found from here: those of this execution, and `04-evals`."""

    repository: PromptRepository
    results: Results
    execution: str

    def find(self, task: str, version: str | None = None) -> Evaluation:
        """The newest evaluation of `task`, or that of one version.

        What this execution (or this machine) evaluated last comes before what promotion logged.

        Raises:
            PromptHubError: there is none, or no such task.
        """
        recent = self.recent(task)
        if recent is not None and version in (None, recent.record.version):
            return recent
        logged = self.logged(task)
        if version is None and logged:
            version = logged[-1]
        found = self.archived(task, version) if version is not None else None
        if found is None:
            self.repository.require_task(task, retired=True)
            known = ", ".join(logged) or "none"
            what = f"{task} {version}" if version is not None else task
            raise PromptHubError(
                f"there is no evaluation of {what} (in {EVALS}: {known}).",
                hint=f"Make one: prompt-hub evaluate {task}.",
                exit_code=ExitCode.NOT_MEASURED,
            )
        return found

    def recent(self, task: str) -> Evaluation | None:
        """What this execution evaluated, None if it has not."""
        key = names.evaluation_key(self.execution, task)
        text = self.results.get(key)
        if text is None:
            return None
        details = self.results.get(names.evaluation_details_key(self.execution, task))
        return parse_evaluation(key, text, details)

    def logged(self, task: str) -> list[str]:
        """Versions of `task` with a record in `04-evals`, oldest first."""
        stems = (path.stem for path in self.repository.path(EVALS, task).glob("*.json"))
        return sorted(filter(re.compile(VERSION_PATTERN).match, stems), key=version_key)

    def archived(self, task: str, version: str) -> Evaluation | None:
        """The evaluation in `04-evals`, None if there is none."""
        path = self._path(task, version)
        return read_evaluation(path, self.repository.relative(path)) if path.exists() else None

    def archived_record(self, task: str, version: str) -> EvaluationRecord | None:
        """The record in `04-evals` without its details, None if there is none."""
        path = self._path(task, version)
        if not path.exists():
            return None
        name = self.repository.relative(path)
        return parse_record(name, read_text(path, name))

    def _path(self, task: str, version: str) -> Path:
        return self.repository.path(EVALS, f"{task}/{version}.json")
