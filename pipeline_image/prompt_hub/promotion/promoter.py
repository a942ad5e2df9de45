"""Promotion inside the pipeline: each task alone, one bot commit, never by force."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import ReadableResults, Results
from prompt_hub.evaluation.store import evaluation_by, logged_record
from prompt_hub.gate.types import Status
from prompt_hub.ledger.messages import SIGNED
from prompt_hub.promotion import transitions
from prompt_hub.promotion.git_promotion import Base, Checkout, PushRejectedError
from prompt_hub.promotion.overrides import used_override
from prompt_hub.promotion.registry_view import TaskRegistryView
from prompt_hub.promotion.release_check import taken_out
from prompt_hub.promotion.states import NotAllowedError, State
from prompt_hub.promotion.write_back import StageWord, WrittenBack, write_back
from prompt_hub.repository.json import parse_model
from prompt_hub.repository.reader import EXAMPLES, METADATA, PromptRepository
from prompt_hub.repository.schema import Prompt, Strict, version_key
from prompt_hub.repository.transaction import apply

PUSH_ATTEMPTS = 6
"""Two executions rarely race more than once; six lost races mean something else is wrong."""

Outcome = Literal[
    "promoted",
    "requalified",
    "refused",
    "unchanged",
    "released already",
    "champion changed",
    "taken out",
    "not allowed",
]


class TaskOutcome(Strict):
    """What became of one task's candidate; `requalified`: the champion, on another model."""

    outcome: Outcome
    version: str
    status: Status
    remembered: bool
    """Whether it was judged before; of a refusal, also whether git knows it already."""
    reasons: tuple[str, ...]
    author: str = ""
    """Who changed the task last, where it was not released."""
    champion: str | None = None
    """What it was held against, where it was not released."""


class Promotion(Strict):
    """What one execution promoted: `commit` was evaluated, `released_commit` holds the result."""

    schema_: Annotated[Literal["prompt-hub/promotion@1"], Field(alias="schema")]
    execution: str
    commit: str
    released_commit: str
    tasks: dict[str, TaskOutcome]
    at: datetime
    written_back: tuple[WrittenBack, ...] = ()
    """What stages had decided and git did not know."""


def promotion_by(results: Results, execution: str) -> Promotion:
    """Return what an execution promoted.

    Raises:
        PromptHubError: it left no promotion record, or the record is not what it should be.
    """
    promotion = find_promotion(results, execution)
    if promotion is None:
        raise PromptHubError(
            f"execution {execution} has no promotion record.",
            hint=_LOOK_THERE,
        )
    return promotion


def find_promotion(results: ReadableResults, execution: str) -> Promotion | None:
    """Return what an execution promoted; None before its Promote. Else as `promotion_by`."""
    key = aws_names.promotion_key(execution)
    text = results.get(key)
    return None if text is None else parse_model(text, key, Promotion, hint=_LOOK_THERE)


_LOOK_THERE = "Look at its Promote action."


class Promoter:
    """Promotes what one execution has evaluated."""

    def __init__(
        self,
        checkout: Checkout,
        results: Results,
        *,
        execution: str,
        branch: str,
        waits_in: str | None = None,
        stage_words: Callable[[], Sequence[StageWord]] = tuple,
        say: Callable[[str], None] = print,
    ) -> None:
        """Promote into `branch`; `stage_words` asks every stage what git may not know.

        With `waits_in` it is that branch which is written, for people to merge into `branch`.
        """
        self._checkout = checkout
        self._results = results
        self._execution = execution
        self._branch = branch
        self._waits_in = waits_in
        self._stage_words = stage_words
        self._say = say

    def run(self, *, push: bool) -> Promotion:
        """Promote, and leave the working tree as the tree to release.

        Human layers and code are this execution's, bot layers the branch head's plus what waits to
        be merged into it plus what is promoted now. A lost race starts over from the new head.

        Raises:
            PromptHubError: a record is missing, or the branch keeps moving.
        """
        commit = self._checkout.head()
        for _ in range(PUSH_ATTEMPTS):
            base = self._base()
            self._checkout.checkout_generated_layers(base.commit)
            repository = PromptRepository(self._checkout.root)
            # First, so that a candidate is held against what the stages really have active.
            written = write_back(repository, self._stage_words(), self._say)
            outcomes = self._promote_each(repository, base.commit)
            message = commit_message(written, outcomes, self._execution)
            released = self._checkout.commit_bot_layers(base.commit, message)
            try:
                if released == base.commit and base.known_as is not None:
                    released = base.known_as
                elif push:
                    self._push(released, _tags(outcomes))
            except PushRejectedError:
                self._say("the branch moved meanwhile; starting over from its new head")
                continue
            promotion = Promotion(
                schema_="prompt-hub/promotion@1",
                execution=self._execution,
                commit=commit,
                released_commit=released,
                tasks=outcomes,
                at=datetime.now(UTC),
                written_back=written,
            )
            self._results.put(aws_names.promotion_key(self._execution), promotion.to_json())
            return promotion
        raise PromptHubError(
            f"the branch {self._written} moved {PUSH_ATTEMPTS} times while promoting.",
            hint="Release the pipeline's change again.",
            exit_code=ExitCode.UNEXPECTED,
        )

    @property
    def _written(self) -> str:
        return self._waits_in or self._branch

    def _base(self) -> Base:
        waiting = self._checkout.waiting(self._waits_in) if self._waits_in else None
        head = self._checkout.fetch(self._branch)
        if self._waits_in is None:
            return Base(commit=head, known_as=head)
        return self._checkout.with_waiting(head, waiting, self._waits_in)

    def _push(self, released: str, tags: Sequence[str]) -> None:
        for tag in self._checkout.push(released, self._written, tags):
            self._say(f"the tag {tag} is there already and stays where it is")

    def _promote_each(self, repository: PromptRepository, base: str) -> dict[str, TaskOutcome]:
        outcomes = {}
        for task in repository.tasks():
            promoted = self._promote_one(repository, task, base)
            outcome = self._with_author(repository, task, promoted)
            self._say(f"{task} {outcome.version}: {outcome.outcome} ({'; '.join(outcome.reasons)})")
            outcomes[task] = outcome
        return outcomes

    def _with_author(
        self, repository: PromptRepository, task: str, outcome: TaskOutcome
    ) -> TaskOutcome:
        """Name whom it concerns, and what it was held against, where a candidate stays behind."""
        if outcome.outcome in ("promoted", "requalified", "unchanged", "released already"):
            return outcome
        candidate = repository.relative(repository.candidate_path(task))
        files = (candidate, *_human_files(repository, task))
        champion = repository.production(task)
        return outcome.model_copy(
            update={
                "author": self._checkout.author_of(files),
                "champion": champion.version if champion else None,
            }
        )

    def _went_back(
        self, view: TaskRegistryView, record: EvaluationRecord, champion: Prompt
    ) -> bool:
        """Whether this commit went back from what was released only after its evaluation.

        An execution that a later commit has overtaken did not: it knows nothing of that version.
        """
        return (
            view.state(record.version) is State.SUPERSEDED
            and champion.lock is not None
            and self._checkout.descends_from(champion.lock.commit)
        )

    def _promote_one(self, repository: PromptRepository, task: str, base: str) -> TaskOutcome:
        found = evaluation_by(self._results, self._execution, task)
        if found is None:
            raise PromptHubError(
                f"execution {self._execution} has no evaluation record of {task}.",
                hint="Look at its Evaluate action.",
                exit_code=ExitCode.NOT_MEASURED,
            )
        record = found.record

        def ended(outcome: Outcome, *reasons: str, known: bool = True) -> TaskOutcome:
            return TaskOutcome(
                outcome=outcome,
                version=record.version,
                status=record.verdict.status,
                remembered=record.remembered and known,
                reasons=reasons or record.verdict.reasons,
            )

        champion = repository.production(task)
        view = TaskRegistryView(repository.registry(), task)
        gone = taken_out(repository, view, record.version)
        if record.verdict.status is Status.UNCHANGED:
            # What was released when it was evaluated may have been taken out since.
            if gone is None:
                return ended("unchanged")
            if champion is not None and self._went_back(view, record, champion):
                return ended("champion changed", _superseded_meanwhile(record, champion))
            return ended("taken out", gone)
        if _released_already(view, record):
            return ended("released already", "an execution has promoted it already")
        if not self._checkout.has_files(base, _human_files(repository, task)):
            return ended("taken out", f"the branch has no files of {task} any more")
        if record.champion_sha256 != (champion.sha256 if champion else None):
            why = _number_is_taken(repository, record, champion)
            return ended("champion changed", why or _compared_with_another(record, champion))
        if gone is not None:
            return ended("taken out", gone)
        if record.verdict.status is Status.NOT_MEASURED:
            return ended("refused")
        used = used_override(repository, record)
        promotes = record.verdict.promotes and used is None
        change = transitions.promote if promotes else transitions.refuse
        try:
            changes = change(repository, record, found.details_text, datetime.now(UTC))
        except NotAllowedError as error:  # one task never holds up another's release
            return ended("not allowed", error.message)
        apply(repository.root, changes)
        if not promotes:
            # An execution that ended red elsewhere has judged it and told nobody; and a retry of
            # this Promote meets its own refusal.
            known = not changes and logged_record(repository, task, record.version) != record
            reasons = record.verdict.reasons if used is None else (used, *record.verdict.reasons)
            return ended("refused", *reasons, known=known)
        return ended("requalified" if view.state(record.version) is State.RELEASED else "promoted")


def _human_files(repository: PromptRepository, task: str) -> tuple[str, str]:
    """Return the files that make a task live."""
    examples = repository.path(EXAMPLES, f"{task}.jsonl")
    metadata = repository.path(METADATA, f"{task}.yaml")
    return repository.relative(examples), repository.relative(metadata)


def _superseded_meanwhile(record: EvaluationRecord, champion: Prompt) -> str:
    """Say that a way back by hand came too late, and what leads back now."""
    return (
        f"{record.version} was superseded by {champion.version} meanwhile, which is released;"
        f" raise the version, or go back to it: prompt-hub promote downgrade {record.task}"
        f" --to {record.version} {SIGNED}"
    )


def _number_is_taken(
    repository: PromptRepository, record: EvaluationRecord, champion: Prompt | None
) -> str | None:
    """Why no later execution can promote this number either, None where one can."""
    if champion is None or version_key(record.version) > version_key(champion.version):
        return None
    if record.version != champion.version:
        return f"{champion.version} was released meanwhile; raise the version above it"
    if repository.candidate(record.task).content_sha256 == champion.content_sha256:
        return None
    return f"{record.version} was released meanwhile with other content; raise the version"


def _compared_with_another(record: EvaluationRecord, champion: Prompt | None) -> str:
    """Say what a candidate was compared with, what is released now, and what judges it again."""
    before = record.champion.version if record.champion else "another version"
    now = f"{champion.version} is" if champion else "nothing is"
    return (
        f"it was compared with {before}, and {now} released since; an execution that starts now"
        " compares it with that (the rollback of a stage starts one)"
    )


def _released_already(view: TaskRegistryView, record: EvaluationRecord) -> bool:
    entry, arm = view.entry, record.candidate
    if entry is None or entry.model is None or arm is None:
        return False
    released = (entry.released, entry.sha256, entry.model.identity)
    return released == (arm.version, arm.sha256, arm.model)


def commit_message(
    written: Sequence[WrittenBack], outcomes: Mapping[str, TaskOutcome], execution: str
) -> str:
    """Return the bot commit's message: what was done in a line, each rollback with its reason."""
    parts = [
        f"{'roll back' if back.action == 'quarantined' else 'restore'} {back.task} {back.version}"
        for back in written
    ]
    parts += [
        f"{verb} {', '.join(found)}"
        for verb, outcome in (
            ("promote", "promoted"),
            ("requalify", "requalified"),
            ("log the refusal of", "refused"),
        )
        if (
            found := [
                f"{task} {o.version}"
                for task, o in outcomes.items()
                # A refusal that git knows already is in no file of this commit.
                if o.outcome == outcome and not (outcome == "refused" and o.remembered)
            ]
        )
    ]
    subject = "; ".join(parts) or "nothing promoted"
    rollbacks = "".join(f"{_told(back)}\n\n" for back in written)
    return f"{subject[0].upper()}{subject[1:]}\n\n{rollbacks}Execution: {execution}\n"


def _told(back: WrittenBack) -> str:
    """Return what git took over from a stage, and how a person takes it back."""
    lines = [f"{back.task} {back.version} is {back.action}; released is {back.to or 'nothing'}."]
    lines += [f"Decided: {back.person}, {back.at.isoformat()}", f"Why: {back.reason}"]
    if back.action == "quarantined":
        lines += [
            f"Undo it in {back.stage} while an image from before this commit runs there, and git"
            " follows with the next execution:",
            f"  prompt-hub ledger activate {back.task} --stage {back.stage}"
            f" --to {back.version} {SIGNED}",
            f"or in git first, then start the pipeline; {back.stage} and later stages wait for the"
            " command above, which works again when that release runs there:",
            f"  prompt-hub promote downgrade {back.task} --to {back.version} --override {SIGNED}",
        ]
    return "\n".join(lines)


def _tags(outcomes: Mapping[str, TaskOutcome]) -> tuple[str, ...]:
    """Return a tag for each version that became the champion now.

    One that qualifies again has its own.
    """
    return tuple(f"{task}/v{o.version}" for task, o in outcomes.items() if o.outcome == "promoted")
