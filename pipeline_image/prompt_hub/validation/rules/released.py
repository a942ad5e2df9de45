"""Rules about what promotion wrote: released versions, their evidence, and the registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from re import fullmatch

from pydantic import JsonValue

from prompt_hub.gate.types import Status
from prompt_hub.repository.documents import InvalidDocumentsError, Problem, to_model
from prompt_hub.repository.json import parse_jsonl
from prompt_hub.repository.reader import ARCHIVE, PRODUCTION
from prompt_hub.repository.registry import RegisteredTask, RegisteredVersion, VersionState
from prompt_hub.repository.schema import VERSION_PATTERN, JsonObject, version_key
from prompt_hub.validation.rules.base import Rule, task_rule
from prompt_hub.validation.tree import Source, TaskFiles

# --- Released versions -------------------------------------------------------------------------


@task_rule("released-task")
def _released_names_its_task(files: TaskFiles) -> Iterator[Problem]:
    """Released and archived prompts are prompts of this task.

    Undo the move: every released prompt lies under its own task.
    """
    for source in files.released:
        if source.content.task != files.task:
            yield source.problem(("task",), repr(source.content.task), repr(files.task))


@task_rule("archive-name")
def _archive_is_in_place(files: TaskFiles) -> Iterator[Problem]:
    """An archived prompt is named after its version.

    Undo the renaming: the file carries the version that it holds.
    """
    for source in files.archive:
        if source.content.version != source.path.stem:
            expected = f"{source.path.stem}, as the file is called"
            yield source.problem(("version",), source.content.version, expected)


@task_rule("version-moves")
def _content_moves_the_version(files: TaskFiles) -> Iterator[Problem]:
    """Content that differs from a released version has another version.

    Raise `version` in the candidate and in the metadata.
    """
    if not (files.candidate and files.whole):
        return
    for source in files.released:
        released = source.content
        same = released.content_sha256 == files.whole.content_sha256
        if released.version == files.whole.version and not same:
            yield files.candidate.problem(
                ("version",),
                f"{files.whole.version}, which is released with other content",
                "a higher version: bump the version here and in the metadata",
            )


@task_rule("version-order")
def _versions_go_up(files: TaskFiles) -> Iterator[Problem]:
    """A candidate is not older than the released version, unless that was put back by hand.

    Raise `version` above the released one.
    """
    if files.candidate and files.production:
        mine, released = files.candidate.content.version, files.production.content.version
        if version_key(mine) < version_key(released) and not _put_back(files):
            expected = f"{released}, which is released, or a higher version"
            yield files.candidate.problem(("version",), mine, expected)


def _put_back(files: TaskFiles) -> bool:
    """Whether a person has released the released version again, from the archive.

    A rescue must hold up no other task's release, so it makes no candidate wrong that was right
    before it. Promotion still refuses such a candidate, alone.
    """
    prompt = files.production.content if files.production else None
    registered = (
        files.registered.versions.get(prompt.version) if files.registered and prompt else None
    )
    if prompt is None or prompt.lock is None or registered is None:
        return False
    return registered.person is not None and registered.at > prompt.lock.promoted_at


# --- Registry ----------------------------------------------------------------------------------


@task_rule("registry-released")
def _registry_agrees_with_production(files: TaskFiles) -> Iterator[Problem]:
    """What the registry calls released is what lies in 02-production.

    Undo the hand edit of the registry or of 02-production: promotion writes both together.
    """
    if files.registry is None:
        return
    entry = files.registered
    if files.production is None:
        if entry and entry.released and PRODUCTION not in files.layers:
            found = f"{entry.released}, but prompts/{PRODUCTION} has no {files.task}.yaml"
            yield files.registry_problem(("released",), found, "null, or the file")
        return
    prompt = files.production.content
    if entry is None or entry.released != prompt.version:
        says = entry.released if entry else "nothing"
        expected = f"{prompt.version}, as in {files.production.document.file}"
        yield files.registry_problem(("released",), str(says), expected)
        return
    for location, sha256, expected in (
        (("sha256",), entry.sha256, prompt.sha256),
        (
            ("versions", prompt.version, "sha256"),
            entry.versions[prompt.version].sha256,
            prompt.sha256,
        ),
    ):
        if sha256 != expected:
            wanted = f"{expected}, the hash of {files.production.document.file}"
            yield files.registry_problem(location, str(sha256), wanted)


@task_rule("registry-task")
def _task_agrees_with_its_released_version(files: TaskFiles) -> Iterator[Problem]:
    """The registry says of a task the threshold and the model of its released version.

    Undo the hand edit of the registry.
    """
    entry = files.registered
    if entry is None or entry.released is None:
        return
    version = entry.versions[entry.released]
    for name, message, expected in (
        ("threshold", entry.threshold, version.threshold),
        ("model", entry.model, version.model),
    ):
        if message != expected:
            wanted = f"{expected}, as of version {entry.released}"
            yield files.registry_problem((name,), str(message), wanted)


@task_rule("registry-lock")
def _locks_agree_with_the_registry(files: TaskFiles) -> Iterator[Problem]:
    """A lock names the evaluation and the commit that the registry has for the version.

    Undo the hand edit of the lock or of the registry.
    """
    versions = files.registered.versions if files.registered else {}
    for source in files.released:
        registered, lock = versions.get(source.content.version), source.content.lock
        if registered is None or lock is None:
            continue
        if lock.evaluation != registered.evaluation:
            wanted = f"{registered.evaluation!r}, as in the registry"
            yield source.problem(("lock", "evaluation"), repr(lock.evaluation), wanted)
        if lock.promoted_at > registered.at:
            wanted = f"{registered.at.isoformat()} or before, as in the registry"
            yield source.problem(("lock", "promoted_at"), lock.promoted_at.isoformat(), wanted)
        # A later measurement of the same version changes the registry, not the lock.
        if lock.commit != registered.commit and not _requalified(files, source.content.version):
            wanted = f"{registered.commit!r}, as in the registry"
            yield source.problem(("lock", "commit"), repr(lock.commit), wanted)


def _requalified(files: TaskFiles, version: str) -> bool:
    """Whether the record of a version is of the champion itself, measured on another model.

    The record says so, not its time: a verdict that was remembered is older than its promotion.
    """
    source = files.evaluations.get(version)
    if source is None or not isinstance(source.content, dict):
        return False
    record, arm = source.content, source.content.get("candidate")
    # A new number of the same words is measured beside the champion.
    if not isinstance(arm, dict) or record.get("champion") is not None:
        return False
    return arm.get("sha256") == record.get("champion_sha256")


@task_rule("evaluation-name")
def _records_are_in_place(files: TaskFiles) -> Iterator[Problem]:
    """An evaluation record is of the task and the version that its file is named after.

    Undo the move or the renaming of the record.
    """
    for version, source in _records(files):
        record = source.content if isinstance(source.content, dict) else {}
        for name, expected in (("task", files.task), ("version", version)):
            if record.get(name) != expected:
                wanted = f"{expected!r}, as the file is called"
                yield source.problem((name,), repr(record.get(name)), wanted)


def _records(files: TaskFiles) -> Iterator[tuple[str, Source[JsonValue]]]:
    """The records named after a version; other files of 04-evals gate nothing."""
    for version, source in files.evaluations.items():
        if fullmatch(VERSION_PATTERN, version):
            yield version, source


@task_rule("evaluation-record")
def _records_are_records(files: TaskFiles) -> Iterator[Problem]:
    """An evaluation record that nothing seals yet is one, and so are its details.

    Undo the hand edit, or evaluate again: `prompt-hub evaluate` writes both files.
    """
    for version, source in _records(files):
        entry = files.registered.versions.get(version) if files.registered else None
        if entry is not None and entry.evaluation_sha256 == files.evidence[version]:
            continue  # sealed: not a byte has changed since promotion wrote it
        from prompt_hub.evaluation.record import EvaluationRecord

        details = source.document.file.removesuffix(".json") + ".jsonl"
        try:
            to_model(source.document, EvaluationRecord)
            for _ in parse_jsonl(files.texts.get(details, ""), details):
                pass
        except InvalidDocumentsError as error:
            yield from (replace(problem, rule="evaluation-record") for problem in error.problems)


@task_rule("registry-record", "warning")
def _decisions_are_registered(files: TaskFiles) -> Iterator[Problem]:
    """A version that was released or blocked by its evaluation record is in the registry.

    Bring the entry back that the registry has lost: `git log -p -- prompt_registry.yaml` has it. A
    record that promotion never wrote, as one that was copied here by hand, may stay as it is.
    """
    if files.registry is None:
        return
    versions = files.registered.versions if files.registered else {}
    for version, source in _records(files):
        # Who has such a record can neither take it out nor make up an entry: it is told, no more.
        verdict = source.content.get("verdict") if isinstance(source.content, dict) else None
        if version in versions or not isinstance(verdict, dict):
            continue
        status = verdict.get("status")
        if status in (Status.PASS, Status.BLOCK) or verdict.get("overridden_by") is not None:
            found = f"{status} of {version}, which the registry does not know"
            yield source.problem(("verdict", "status"), found, "a registered version")


@task_rule("registry-evidence")
def _evidence_is_sealed(files: TaskFiles) -> Iterator[Problem]:
    """The record and the details of a registered version are byte for byte what promotion wrote.

    Undo the hand edit in 04-evals (`git checkout`): a verdict stands on this evidence.
    """
    entry = files.registered
    for version, registered in (entry.versions if entry else {}).items():
        sealed = files.evidence.get(version)
        if sealed is not None and sealed != registered.evaluation_sha256:
            location = ("versions", version, "evaluation_sha256")
            record = files.evaluations[version].document.file
            found = f"another hash than that of {record} and its details"
            yield files.registry_problem(location, found, f"{sealed}, or the files undone")


@task_rule("registry-evaluation")
def _registry_says_what_was_measured(files: TaskFiles) -> Iterator[Problem]:
    """The registry says of a version what its evaluation record says.

    Undo the hand edit of the registry: promotion copies these values from the record.
    """
    entry = files.registered
    for version, registered in (entry.versions if entry else {}).items():
        source = files.evaluations.get(version)
        if source is None or not isinstance(source.content, dict):
            continue  # said by `registry-files`
        wanted_path = source.document.file.removeprefix("prompts/")
        if registered.evaluation != wanted_path:
            location = ("versions", version, "evaluation")
            yield files.registry_problem(location, repr(registered.evaluation), repr(wanted_path))
        for name, value, recorded in _measured(registered, source.content):
            if value != recorded:
                wanted = f"{recorded}, as {source.document.file} says"
                yield files.registry_problem(("versions", version, *name), str(value), wanted)


def _measured(
    registered: RegisteredVersion, record: JsonObject
) -> Iterator[tuple[tuple[str, ...], object, object]]:
    arm = record.get("candidate")
    arm = arm if isinstance(arm, dict) else {}
    yield ("sha256",), registered.sha256, arm.get("sha256")
    yield ("score",), registered.score, arm.get("score")
    yield ("threshold",), registered.threshold, record.get("threshold")
    yield ("model", "alias"), registered.model.alias, arm.get("alias")
    yield ("model", "identity"), registered.model.identity, arm.get("model")
    yield ("commit",), registered.commit, record.get("commit")


@task_rule("registry-verdict")
def _last_verdict_is_recorded(files: TaskFiles) -> Iterator[Problem]:
    """The last verdict in the registry is that of the evaluation record of its version.

    Undo the hand edit of the registry. Only a released version that fell short on another model
    has a later verdict than its record.
    """
    entry = files.registered
    if entry is None or not entry.versions:
        return
    registered_verdict = entry.verdict
    if registered_verdict is None:
        yield files.registry_problem(("verdict",), "null", "the verdict that made its versions")
        return
    source = files.evaluations.get(registered_verdict.version)
    if source is None or not isinstance(source.content, dict):
        found = f"{registered_verdict.version}, of which 04-evals has no record"
        yield files.registry_problem(("verdict", "version"), found, "an evaluated version")
        return
    record, verdict, arm = (
        source.content,
        source.content.get("verdict"),
        source.content.get("candidate"),
    )
    status = verdict.get("status") if isinstance(verdict, dict) else None
    score = arm.get("score") if isinstance(arm, dict) else None
    if not entry.verdict_is_recorded:
        return
    for name, value, recorded in (
        ("status", registered_verdict.status, status),
        ("score", registered_verdict.score, score),
        ("baseline", registered_verdict.baseline, record.get("baseline")),
    ):
        if value != recorded:
            wanted = f"{recorded}, as {source.document.file} says"
            yield files.registry_problem(("verdict", name), str(value), wanted)


@task_rule("registry-state")
def _states_agree_with_the_layers(files: TaskFiles) -> Iterator[Problem]:
    """Only the released version has the state `released`, and no blocked one lies in a layer.

    Undo the hand edit of the registry; `prompt-hub promote` changes states.
    """
    entry = files.registered
    kept = {source.content.version for source in files.released}
    for version, registered in (entry.versions if entry else {}).items():
        location = ("versions", version, "state")
        released = entry is not None and version == entry.released
        if released != (registered.state is VersionState.RELEASED):
            expected = "released" if released else "any state but released"
            yield files.registry_problem(location, str(registered.state), expected)
        elif registered.state is VersionState.BLOCKED and version in kept:
            found = "blocked, though 99-archive has it"
            yield files.registry_problem(
                location, found, "the state of a version that was released"
            )


@task_rule("registry-files")
def _registered_versions_exist(files: TaskFiles) -> Iterator[Problem]:
    """Every version in the registry has its file and its evaluation record.

    Restore the file from git: registry, archive and records belong together.
    """
    entry = files.registered
    kept = {source.content.version for source in files.released}
    kept |= {source.path.stem for source in files.archive}
    for version, registered in (entry.versions if entry else {}).items():
        here = ("versions", version)
        if not (files.prompts / registered.evaluation).is_file():
            found = f"{registered.evaluation!r}, which prompts/ does not have"
            yield files.registry_problem((*here, "evaluation"), found, "an evaluation record")
        if registered.state is not VersionState.BLOCKED and not _has_file(files, version, entry):
            found = f"{registered.state}, but no file of version {version}"
            expected = f"prompts/{ARCHIVE}/{files.task}/{version}.yaml"
            yield files.registry_problem((*here, "state"), found, expected)


def _has_file(files: TaskFiles, version: str, entry: RegisteredTask | None) -> bool:
    if entry is not None and version == entry.released:
        return True  # said by `registry-released`
    return (files.prompts / ARCHIVE / files.task / f"{version}.yaml").is_file()


@task_rule("registry-archive")
def _archive_is_registered(files: TaskFiles) -> Iterator[Problem]:
    """Every archived prompt is in the registry, with its hash.

    Undo the hand edit of the registry. A stray file may be taken out of 99-archive only where
    neither 04-evals nor git has ever had an evaluation of its version.
    """
    if files.registry is None:
        return
    versions = files.registered.versions if files.registered else {}
    for source in files.archive:
        version, sha256 = source.content.version, source.content.sha256
        if version not in versions:
            found = f"{version}, which the registry does not know"
            yield source.problem(("version",), found, "a registered version")
        elif versions[version].sha256 != sha256:
            wanted = f"{sha256}, the hash of {source.document.file}"
            location = ("versions", version, "sha256")
            yield files.registry_problem(location, versions[version].sha256, wanted)


TASK_RULES: tuple[Rule[TaskFiles], ...] = (
    _released_names_its_task,
    _archive_is_in_place,
    _content_moves_the_version,
    _versions_go_up,
    _registry_agrees_with_production,
    _task_agrees_with_its_released_version,
    _locks_agree_with_the_registry,
    _records_are_in_place,
    _records_are_records,
    _decisions_are_registered,
    _evidence_is_sealed,
    _registry_says_what_was_measured,
    _last_verdict_is_recorded,
    _states_agree_with_the_layers,
    _registered_versions_exist,
    _archive_is_registered,
)
