"""A dropped file becomes a plan and shards, or a refusal in one sentence; nothing is asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prompt_hub.batch.active_version import active_version
from prompt_hub.batch.announcement import tell_people
from prompt_hub.batch.forecast import Forecast, require_budget
from prompt_hub.batch.objects import Objects
from prompt_hub.batch.output_summary import file_as_read
from prompt_hub.batch.reading import Reading, comma_decimals, settings_file, survey
from prompt_hub.batch.run_plan import (
    CLAIM,
    PLAN,
    REFUSED,
    Refusal,
    RunPlan,
    Shard,
    claim_run,
    read_plan,
    refusal_of,
    write_shards,
)
from prompt_hub.batch.shards import ShardWriter
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.llm.config import ModelAliases
from prompt_hub.repository.reader import PromptRepository

LONGEST_ENDING = 40
"""Characters of a file's ending that are kept: two endings that are known have fewer."""


@dataclass(frozen=True, kw_only=True)
class Drop:
    """A file of records that was dropped, and how it is to be cut."""

    key: str
    version_id: str | None
    stage: str | None
    children: int
    """Processes that may answer at once."""
    shard_records: int
    execution: str | None = None
    """The execution of the state machine that wants it, where one does."""

    @property
    def task(self) -> str:
        """The task that the key names; raises `PromptHubError` for a key of another form."""
        match self.key.split("/"):
            case ["incoming", task, *_, _]:
                return task
        raise PromptHubError(
            f"{self.key!r} names no task.",
            hint=f"Drop the file as {aws_names.INCOMING}TASK/NAME.",
            exit_code=ExitCode.BLOCKED,
        )


def name_run(key: str, version_id: str) -> str:
    """Return the name of the run of one version of a file: the state machine makes the same."""
    return hashlib.sha256(f"{key} {version_id}".encode()).hexdigest()


def plan_run(
    objects: Objects,
    repository: PromptRepository,
    aliases: ModelAliases,
    drop: Drop,
    run: str | None,
    folder: Path,
) -> RunPlan:
    """Plan the run of a dropped file; a plan that is there is taken as it is.

    Args:
        objects: where the file is, and where the run will be.
        repository: the tasks that are known here.
        aliases: the models of this environment.
        drop: the file.
        run: the run's name; without one it is made from key and version.
        folder: for the file, which lies there whole.

    Raises:
        PromptHubError: the file is refused (BLOCKED, and the run says why), is not there, or
            something that it needs does not answer.
    """
    try:
        task = drop.task
    except PromptHubError as error:
        # No task, no folder of a run that could say it: people alone are told.
        tell_people("records refused", str(error))
        raise
    if run is not None and drop.execution is not None:
        claim_run(objects, task, run, drop.execution, folder / CLAIM)
    known = None if run is None else _known(objects, task, run)
    # Such a name is that of this very version of the file, which need not be read again.
    if known is not None and run == name_run(drop.key, drop.version_id or ""):
        return known
    # Not under its own name, which may be that of a shard on its way, or too long for a disk.
    path = folder / f"dropped{''.join(Path(drop.key).suffixes[-2:])[-LONGEST_ENDING:]}"
    if not objects.fetch(drop.key, path, drop.version_id):
        raise PromptHubError(f"{objects.address} has no file {drop.key}.")
    if known is not None:
        if known.source.sha256 != file_as_read(path, drop.key).sha256:
            raise PromptHubError(
                f"run {run} of {task} is of another file: {known.source.uri}, as it was then.",
                hint="Name another --run, or none.",
                exit_code=ExitCode.BLOCKED,
            )
        return known
    if run is None:
        run = name_run(drop.key, drop.version_id or file_as_read(path, drop.key).sha256)
        if known := _known(objects, task, run):
            return known
    try:
        return _plan(objects, repository, aliases, drop, run, path)
    except PromptHubError as error:
        if error.exit_code not in (ExitCode.BLOCKED, ExitCode.USAGE):
            raise
        # People know the file by where they put it.
        words = str(error).replace(str(path), f"{objects.address}/{drop.key}")
        # Before it is noted: one that dies in between tells it twice, and never not at all.
        tell_people("records refused", f"{objects.address}/{drop.key}: {words}")
        refusal = Refusal(
            schema_="prompt-hub/run-refusal@1",
            run=run,
            task=task,
            reason=words,
            at=datetime.now(UTC),
        )
        objects.write(aws_names.run_key(task, run, REFUSED), refusal.to_json().encode())
        raise PromptHubError(words, exit_code=ExitCode.BLOCKED) from None


def _known(objects: Objects, task: str, run: str) -> RunPlan | None:
    """Return the plan that is there; raises `PromptHubError` if the run was refused."""
    if reason := refusal_of(objects, task, run):
        raise PromptHubError(f"refused before: {reason}", exit_code=ExitCode.BLOCKED)
    return read_plan(objects, task, run)


def _plan(
    objects: Objects,
    repository: PromptRepository,
    aliases: ModelAliases,
    drop: Drop,
    run: str,
    path: Path,
) -> RunPlan:
    task, started = drop.task, datetime.now(UTC)
    repository.require_task(task)
    records = repository.metadata(task).records
    prompt, _ = active_version(repository, task)
    model = aliases.resolve(prompt.model.alias)
    reading = Reading.of(path, records, prompt.input, task)
    forecast = Forecast(repository, prompt, model)
    counts = survey(reading, forecast)
    require_budget(forecast.spent(), records.budget, str(path), settings_file(task))
    # The file is read once more, so that one that is refused leaves nothing behind.
    shards = _cut(reading, ShardWriter(objects, task, run, drop.shard_records, path.parent))
    children = min(drop.children, len(shards))
    plan = RunPlan(
        schema_="prompt-hub/run-plan@1",
        run=run,
        task=task,
        stage=drop.stage,
        versions=records.versions,
        version=prompt.version,
        sha256=prompt.sha256,
        model=model.identity,
        mapping=reading.mapping,
        comma_decimals=comma_decimals(reading.layout),
        source=file_as_read(path, f"{objects.address}/{drop.key}"),
        records=counts.records,
        blank=counts.blank,
        unreadable=counts.unreadable,
        shards=len(shards),
        children=children,
        forecast=forecast.spent(children),
        measured=forecast.measured,
        formats=records.formats,
        read_as=reading.layout.found,
        started=started,
    )
    write_shards(objects, task, run, shards)
    return _store(objects, plan, path.with_name(PLAN))


def _cut(reading: Reading, writer: ShardWriter) -> tuple[Shard, ...]:
    with writer:
        for record in reading.records():
            writer.add(record)
        return writer.finish()


def _store(objects: Objects, plan: RunPlan, path: Path) -> RunPlan:
    """Store the plan; where another process was faster, its plan is the one that counts."""
    path.write_text(plan.to_json(), encoding="utf-8")
    if objects.create(aws_names.run_key(plan.task, plan.run, PLAN), path):
        return plan
    return read_plan(objects, plan.task, plan.run) or plan
