"""Git's side, as it lies in this clone: what is released, what is a candidate, what was evaluated.

Nothing is fetched and nothing is written here, not even what a cut-off promotion left behind.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from math import inf
from pathlib import Path

from prompt_hub.console.known import Aside, Asker, Known
from prompt_hub.core import aws_names
from prompt_hub.core.bounded import Bounded
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.git import UNKNOWN_COMMIT, head_commit
from prompt_hub.core.hashing import sha256_of
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import (
    LOCAL_EXECUTION,
    RESULTS_DIR,
    FolderResults,
    ReadableResults,
)
from prompt_hub.evaluation.store import evaluation_by, logged_evaluation, logged_record
from prompt_hub.reporting.diff import PromptComparison, compare
from prompt_hub.reporting.evaluation import EvaluationView, read_view
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.repository.reader import (
    EXAMPLES,
    METADATA,
    REGISTRY,
    TEMPLATES,
    PromptRepository,
    evaluation_path,
)
from prompt_hub.repository.registry import Registry
from prompt_hub.repository.schema import TASK_PATTERN, Metadata
from prompt_hub.scoring.scorers.judge import contract_complaints

EVALUATIONS = 3
"""Evaluations that are held at once: one of 20,000 examples takes some 200 MB."""
_State = tuple[int, int] | None
"""Time and size of a file: they differ once it was changed."""


class Clone:
    """Reads the repository in a folder; what was read is kept until its file changes."""

    patience = 0.25
    """Seconds that a page waits for a long file; then it says that the file is being read."""

    def __init__(self, root: Path, asker: Asker) -> None:
        self.root = root
        self._ask = asker.ask
        self.repository = PromptRepository(root)
        self._views: Bounded[Hashable, EvaluationView] = Bounded(EVALUATIONS)
        self._records: Bounded[str, str] = Bounded(EVALUATIONS)
        """Hashes of records as the results bucket last had them, by their keys."""
        self._reading = threading.Lock()
        self._aside = Aside()
        self._released: tuple[_State, Known[Registry]] = (None, Known(None))

    @property
    def exists(self) -> bool:
        """Whether there are prompts in the folder at all, not behind a link."""
        return self.repository.prompts.is_dir() and self.repository.link_problem() is None

    @property
    def _evaluations(self) -> Evaluations:
        """What lies in `04-evals`, and what was evaluated on this machine."""
        results = FolderResults(self.root / RESULTS_DIR)
        return Evaluations(self.repository, results, LOCAL_EXECUTION)

    def commit(self) -> str:
        """Return the commit that is checked out, shortened; nothing where it is not known."""
        try:
            commit = head_commit(self.root)
        except PromptHubError:  # there is no git here
            return ""
        return "" if commit == UNKNOWN_COMMIT else commit[:8]

    def registry(self, *, wait: bool = False) -> Known[Registry]:
        """Return what git has released; while a changed file is read, what it said before.

        With `wait` it is waited for.
        """
        if not self.exists:
            problem = f"{self.root} is no clone of the prompts' repository."
            return Known(None, f"what git has released: {problem} Start the console in one.")
        state = state_of(self.root / REGISTRY)
        read_of, before = self._released
        if read_of == state and before.value is not None:
            return before
        ask = partial(self._ask, "what git has released", self.repository.registry)
        read = partial(ask, seconds=inf, state=state)
        found = self._aside.read((REGISTRY, state), read, None if wait else self.patience)
        if found is None:
            problem = f"what git has released: {REGISTRY} has changed and is being read;"
            return Known(before.value, f"{problem} this is what it said.", reading=True)
        self._released = state, found
        return found

    def tasks(self) -> tuple[str, ...]:
        """Return the tasks, without what no task can be called: pages have commands to copy."""
        names = self.repository.tasks() if self.exists else ()
        return tuple(name for name in names if re.fullmatch(TASK_PATTERN, name))

    def metadata(self, task: str) -> Known[Metadata | None]:
        """Return what people decided about a task; None where there is no such file."""
        state = state_of(self.repository.path(METADATA, f"{task}.yaml"))
        if state is None:
            return Known(None)
        read = partial(self.repository.metadata, task)
        return self._ask(f"metadata of {task}", read, seconds=inf, state=state)

    def metadata_may_say(self, task: str, words: Sequence[str]) -> bool:
        """Whether the metadata could have words in lower case: most files need not be parsed."""
        try:
            text = self.repository.path(METADATA, f"{task}.yaml").read_text("utf-8").lower()
        except (OSError, ValueError):
            return False
        # A backslash may write any letter by its number.
        return "\\" in text or all(word in text for word in words)

    def evaluated(self, task: str, version: str) -> bool:
        """Whether `04-evals` has the evaluation of a version."""
        return (self.repository.prompts / evaluation_path(task, version)).is_file()

    def evaluations(self, task: str) -> tuple[str, ...]:
        """Return the versions of a task with an evaluation in `04-evals`, the oldest first."""
        return tuple(self._evaluations.logged(task)) if self.exists else ()

    def record(self, task: str, version: str) -> Known[EvaluationRecord | None]:
        """Return the record of a version in `04-evals`; None where it has none."""
        state = state_of(self.repository.prompts / evaluation_path(task, version))
        read = partial(logged_record, self.repository, task, version)
        return self._ask(f"evaluation of {task} {version}", read, seconds=inf, state=state)

    def judges(self) -> Known[tuple[str, ...]]:
        """Return the tasks that grade answers, or will when people have graded enough of them."""
        return self._ask("judges", partial(_judges, self.repository), seconds=60)

    def comparison(self, task: str, first: str, second: str) -> Known[PromptComparison]:
        """Compare two versions, as `prompt-hub diff` does."""
        read = partial(compare, self._evaluations, task, first, second)
        return self._ask("the difference", read, seconds=0, key=(task, first, second))

    def logged(self, task: str, version: str, *, wait: bool = False) -> Known[EvaluationView]:
        """Return the evaluation of a version in `04-evals`, or that it is being read.

        With `wait` it is waited for.
        """

        def read() -> EvaluationView:
            found = logged_evaluation(self.repository, task, version)
            if found is None:
                raise none
            return read_view(self._evaluations, found, registry=self.registry().value)

        none = _no_evaluation(f"{task} {version} in this clone")
        if not self.evaluated(task, version):
            return Known(None, str(none), absent=True)
        state = state_of(self.repository.prompts / evaluation_path(task, version))
        return self._view(task, (version, state), read, wait)

    def of_execution(
        self,
        results: Callable[[], ReadableResults],
        task: str,
        execution: str,
        *,
        wait: bool = False,
    ) -> Known[EvaluationView]:
        """Return what an execution evaluated, by the results bucket; see `logged`."""

        def read() -> EvaluationView:
            found = evaluation_by(results(), execution, task)
            if found is None:
                raise none
            return read_view(self._evaluations, found, registry=self.registry().value)

        none = _no_evaluation(f"{task} by execution {execution}")
        # A stage of the pipeline that is tried again evaluates again, by the same execution.
        name = aws_names.evaluation_key(execution, task)
        record = self._ask("the evaluation", lambda: results().get(name), key=name)
        if record.problem is None:
            if record.value is None:
                return Known(None, str(none), absent=True)
            self._records.put(name, sha256_of(record.value))
        sha256 = self._records.get(name)
        # Who grades what is read already goes on, also where credentials have expired meanwhile.
        if sha256 is None:
            return Known(None, record.problem)
        return self._view(task, (execution, sha256), read, wait)

    def _view(
        self, task: str, made: Hashable, read: Callable[[], EvaluationView], wait: bool
    ) -> Known[EvaluationView]:
        """Return an evaluation; `made` says which it is, and tells it from one in its place."""
        # Beside the answers stand the examples as they are now.
        key = task, made, state_of(self.repository.path(EXAMPLES, f"{task}.jsonl"))

        def kept() -> EvaluationView:
            with self._reading:
                held = self._views.get(key)
                if held is None:
                    held = read()
                    # The key is that of the file: with other credentials a set may be readable.
                    if not held.unreadable:
                        self._views.put(key, held)
            return held

        read_it = partial(self._ask, "the evaluation", kept, seconds=0, key=key)
        found = self._aside.read(key, read_it, None if wait else self.patience)
        return Known(None, reading=True) if found is None else found


def state_of(path: Path) -> _State:
    """Return time and size of a file, which differ once it was changed; None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _judges(repository: PromptRepository) -> tuple[str, ...]:
    found = []
    for task in repository.tasks():
        path = repository.path(TEMPLATES, f"{task}.yaml")
        # Few of many prompts speak of grades: the others need not be parsed.
        if path.is_file() and b"grade" in path.read_bytes():
            found += [] if [*contract_complaints(repository.draft(task))] else [task]
    return tuple(found)


def _no_evaluation(what: str) -> PromptHubError:
    return PromptHubError(
        f"there is no evaluation of {what}.",
        hint="Pull, or look at another version.",
        exit_code=ExitCode.NOT_MEASURED,
    )
