"""Two versions of a prompt side by side: what they say, and how they scored."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.example_results import ArmName
from prompt_hub.evaluation.record import Arm
from prompt_hub.evaluation.store import Evaluation, logged_evaluation
from prompt_hub.reporting.answers import Answers, Change, by_example, change
from prompt_hub.reporting.attempts import previous_attempt
from prompt_hub.reporting.prompt_diff import Difference, differences
from prompt_hub.reporting.rows import Row, row_of
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.repository.many_examples import named
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Example, Prompt, version_key

CANDIDATE = "candidate"
PREVIOUS = "previous"
"""What a person may say instead of a number: what is now, and what was tried before it."""


@dataclass(frozen=True)
class Measured:
    """How one version scored in one evaluation; `name` says where that was read."""

    name: str
    arm: Arm
    threshold: float | None
    """What it was held to itself; None for a champion whose own evaluation is not at hand."""
    examples_sha256: str
    answers: dict[str, Answers]


@dataclass(frozen=True)
class Compared:
    """One example in both versions; `row` has their answers, the first version's first."""

    id: str
    before: float
    after: float
    change: Change
    losses: tuple[str, ...]
    row: Row


@dataclass(frozen=True)
class PromptComparison:
    """Everything that `prompt-hub diff` says.

    `before` and `after` are None where a version was never evaluated; `notes` say why examples
    are not, or not all, compared.
    """

    task: str
    prompts: tuple[Prompt, Prompt]
    differences: tuple[Difference, ...]
    before: Measured | None
    after: Measured | None
    examples: tuple[Compared, ...]
    notes: tuple[str, ...]

    def of(self, kind: Change) -> tuple[Compared, ...]:
        """Examples that the second version won, lost, or did as well as the first."""
        return tuple(example for example in self.examples if example.change is kind)


def compare(evaluations: Evaluations, task: str, first: str, second: str) -> PromptComparison:
    """Compare two versions, each a number, `candidate`, `champion` or `previous`.

    `previous` is what was judged on this machine before the candidate became what it is.

    Raises:
        PromptHubError: a version is not in the repository, or a record is not what it should be.
    """
    repository = evaluations.repository
    attempted: list[Evaluation] = []

    def meant(name: str) -> Prompt:
        if name != PREVIOUS:
            return version_of(repository, task, name)
        candidate = version_of(repository, task, CANDIDATE)
        prompt, evaluation = previous_attempt(repository.root, candidate)
        attempted.append(evaluation)
        return prompt

    before, after = meant(first), meant(second)
    sources = [*attempted, *_sources(evaluations, task, (before, after))]
    old, new = (_held_to_its_own(arm, sources) for arm in _measured(sources, before, after))
    return PromptComparison(
        task=task,
        prompts=(before, after),
        differences=differences(before, after),
        before=old,
        after=new,
        examples=_examples(repository, task, old, new),
        notes=_notes(before, after, old, new),
    )


def version_of(repository: PromptRepository, task: str, name: str) -> Prompt:
    """Return the prompt that a person means by a version, `candidate` or `champion`."""
    repository.require_task(task, retired=True)
    if name == CANDIDATE:
        return repository.candidate(task)
    champion = repository.production(task)
    if name == "champion":
        if champion is None:
            raise PromptHubError(f"{task} has no released version.")
        return champion
    found = repository.version(task, name)
    if found is None and task in repository.tasks():
        candidate = repository.candidate(task)
        found = candidate if candidate.version == name else None
    if found is None:
        versions = [old.version for old in repository.archived(task)]
        versions += [champion.version] if champion is not None else []
        known = ", ".join(["candidate", *sorted(versions, key=version_key, reverse=True)])
        raise PromptHubError(
            f"the text of {task} {name} is not in the repository.", hint=f"There are: {known}."
        )
    return found


def _sources(evaluations: Evaluations, task: str, prompts: Iterable[Prompt]) -> list[Evaluation]:
    """Return evaluations that may have measured these prompts, the newest first."""
    found = [evaluations.recent(task)]
    versions = sorted({prompt.version for prompt in prompts}, key=version_key, reverse=True)
    found += [logged_evaluation(evaluations.repository, task, version) for version in versions]
    return [evaluation for evaluation in found if evaluation is not None]


def _measured(
    sources: list[Evaluation], before: Prompt, after: Prompt
) -> tuple[Measured | None, Measured | None]:
    """Both versions from one evaluation if there is one, else each from its newest."""
    for source in sources:
        pair = _in(source, before), _in(source, after)
        if all(pair):
            return pair
    return _newest(sources, before), _newest(sources, after)


def _newest(sources: list[Evaluation], prompt: Prompt) -> Measured | None:
    return next((found for source in sources if (found := _in(source, prompt))), None)


def _in(source: Evaluation, prompt: Prompt) -> Measured | None:
    record = source.record
    arms: tuple[tuple[ArmName, Arm | None], ...] = (
        ("candidate", record.candidate),
        ("champion", record.champion),
    )
    for name, arm in arms:
        if arm and (arm.version, arm.sha256) == (prompt.version, prompt.sha256):
            answers = by_example(source.details[name])
            threshold = record.threshold if name == "candidate" else None
            return Measured(source.name, arm, threshold, record.examples_sha256, answers)
    return None


def _held_to_its_own(found: Measured | None, sources: Sequence[Evaluation]) -> Measured | None:
    """Give a champion the threshold of its own evaluation, not that of whom it stood beside."""
    if found is None or found.threshold is not None:
        return found
    own = (
        source.record.threshold
        for source in sources
        if (arm := source.record.candidate) and arm.sha256 == found.arm.sha256
    )
    return replace(found, threshold=next(own, None))


def _labelled(
    repository: PromptRepository, task: str, ids: Container[str]
) -> Mapping[str, Example]:
    """Return today's examples; none where they are not what they should be: scores still are."""
    try:
        return named(repository.examples(task), ids)
    except PromptHubError:
        return {}


def _examples(
    repository: PromptRepository, task: str, before: Measured | None, after: Measured | None
) -> tuple[Compared, ...]:
    if before is None or after is None:
        return ()
    labelled = _labelled(repository, task, after.answers)
    found = []
    for name, answers in after.answers.items():
        old = before.answers.get(name)
        kind = change(answers, old)
        if old is None or kind is None or old.score is None or answers.score is None:
            continue
        row = row_of(labelled.get(name), old, answers)
        found.append(Compared(name, old.score, answers.score, kind, answers.losses, row))
    return tuple(sorted(found, key=lambda compared: compared.after - compared.before))


def _notes(
    before: Prompt, after: Prompt, first: Measured | None, second: Measured | None
) -> tuple[str, ...]:
    missing = [
        f"{prompt.version} was not evaluated as it is."
        for prompt, measured in ((before, first), (after, second))
        if measured is None
    ]
    if missing or first is None or second is None:
        return tuple(dict.fromkeys(missing))
    notes = [
        f"{measured.name}: its answers are too many to be compared one by one."
        for measured in (first, second)
        if measured.arm.n and not measured.answers
    ]
    if first.name == second.name:
        return tuple(dict.fromkeys(notes))
    notes.append("The two were measured in different evaluations.")
    if first.examples_sha256 != second.examples_sha256:
        notes.append("The examples changed in between: only those with the same id are compared.")
    if first.arm.model != second.arm.model:
        notes.append("The models differ, too.")
    return tuple(notes)
