"""The evaluations that a report can be about: where they are, and which is the newest."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.results import ReadableResults
from prompt_hub.evaluation.store import Evaluation, evaluation_by, logged_evaluation
from prompt_hub.repository.reader import EVALS, PromptRepository
from prompt_hub.repository.schema import VERSION_PATTERN, version_key


@dataclass(frozen=True)
class Evaluations:
    """All evaluations that can be found from here: those of this execution, and `04-evals`."""

    repository: PromptRepository
    results: ReadableResults
    execution: str

    def find(self, task: str, version: str | None = None) -> Evaluation:
        """Return the newest evaluation of `task`, or the newest of one version.

        Without a version, what this execution (or this machine) evaluated last comes before what
        promotion logged. Of a version that both know the later one is taken: a clone that has
        judged it before asks what the pipeline said of it.

        Raises:
            PromptHubError: there is none, or no such task.
        """
        recent = self.recent(task)
        if recent is not None and version is None:
            return recent
        logged = self.logged(task)
        if version is None and logged:
            version = logged[-1]
        kept = logged_evaluation(self.repository, task, version) if version is not None else None
        own = recent if recent is not None and recent.record.version == version else None
        found = _later(own, kept)
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
        """Return what this execution evaluated, None if it has not."""
        return evaluation_by(self.results, self.execution, task)

    def logged(self, task: str) -> list[str]:
        """Versions of `task` with a record in `04-evals`, oldest first."""
        stems = (path.stem for path in self.repository.path(EVALS, task).glob("*.json"))
        return sorted(filter(re.compile(VERSION_PATTERN).match, stems), key=version_key)


def _later(own: Evaluation | None, logged: Evaluation | None) -> Evaluation | None:
    """Return the later of two evaluations; one that measured nothing only if there is no other."""
    return max(
        (found for found in (own, logged) if found is not None),
        key=lambda found: (found.record.candidate is not None, found.record.finished_at),
        default=None,
    )
