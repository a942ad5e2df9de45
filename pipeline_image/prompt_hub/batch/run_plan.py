"""What a run over records will be, known before its first call: the shards read it, and people."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from prompt_hub.batch.objects import Objects
from prompt_hub.batch.run_manifest import RunFacts, Spent, Whole
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.wording import count
from prompt_hub.repository.documents import ModelT
from prompt_hub.repository.json import parse_model
from prompt_hub.repository.schema import Format, Moment, Sha256, Strict, Version

PLAN = "plan.json"
"""Name among a run's objects; where it is, the shards are, too."""
REFUSED = "refused.json"
"""Name of what a refused run has instead of a plan."""
REFUSED_SHARD = "refused-shard.json"
"""Name of what a planned run has when one of its shards was refused."""

CLAIM = "execution.json"
"""Name of what says by which execution a run is made; it comes first."""


class Shard(Strict):
    """Records that one process answers; an item of `shards.json`."""

    shard: Whole
    first: Annotated[int, Field(ge=1)]
    """Number of its first record in the file."""
    records: Whole
    """How many it has, without blank rows; its output has as many lines."""


def shard_key(task: str, run: str, folder: str, shard: int) -> str:
    """Return the key of what a shard has in a folder of its run: `shards` or `out`."""
    return aws_names.run_key(task, run, f"{folder}/{shard:05}.jsonl")


class Measured(Strict):
    """Whose calls a forecast was made from."""

    version: Version
    model: str
    calls: Annotated[int, Field(ge=1)]


class _Plan(Strict):
    schema_: Annotated[Literal["prompt-hub/run-plan@1"], Field(alias="schema")]


# A file begins with what it is: the fields of the last base are written first.
class RunPlan(RunFacts, _Plan):
    """What a run will be."""

    version: Version
    """The version at the start; where versions are pinned, the one that answers all."""
    sha256: Sha256
    model: str
    """Provider and model, as in verdicts."""
    mapping: Sha256
    """Hash of what makes fields of records."""
    comma_decimals: bool
    """Whether the file's form makes a comma a decimal mark."""
    records: Whole
    """Records that will have a line."""
    unreadable: Whole
    """Records that no model is asked about: their lines say what is wrong with them."""
    children: Annotated[int, Field(ge=1)]
    """Processes that answer at once: each has this part of the alias's limits."""
    forecast: Spent
    measured: Measured | None
    """None where the version has no evaluation on this model: characters make the forecast."""
    formats: tuple[Format, ...]


class Claim(Strict):
    """Which execution of the state machine a run is of: only that one asks anything."""

    schema_: Annotated[Literal["prompt-hub/run-claim@1"], Field(alias="schema")]
    execution: Annotated[str, Field(min_length=1)]
    """Its ARN."""


class Refusal(Strict):
    """Why a file of records is not answered, or not to its end."""

    schema_: Annotated[Literal["prompt-hub/run-refusal@1"], Field(alias="schema")]
    run: str
    task: str
    reason: str
    at: Moment


_SHARDS = TypeAdapter(tuple[Shard, ...])


def read_plan(objects: Objects, task: str, run: str) -> RunPlan | None:
    """Return the plan of a run, None if it has none; raises `InvalidDocumentsError`."""
    return _read(objects, aws_names.run_key(task, run, PLAN), RunPlan)


def refusal_of(
    objects: Objects, task: str, run: str, name: str = REFUSED, since: datetime | None = None
) -> str:
    """Return why a run was refused, empty if it was not, or not `since` a redrive.

    Raises:
        InvalidDocumentsError: what says so cannot be read.
    """
    refusal = _read(objects, aws_names.run_key(task, run, name), Refusal)
    if refusal is None or (since is not None and refusal.at < since):
        return ""
    return refusal.reason


def claim_run(objects: Objects, task: str, run: str, execution: str, path: Path) -> None:
    """Make a run that of an execution, by way of a file at `path`.

    S3's event may come twice, and two executions would ask everything twice.

    Raises:
        PromptHubError: it is another execution's (BLOCKED).
    """
    claim = Claim(schema_="prompt-hub/run-claim@1", execution=execution)
    path.write_text(claim.to_json(), encoding="utf-8")
    if objects.create(aws_names.run_key(task, run, CLAIM), path):
        return
    owner = execution_of(objects, task, run)
    if owner != execution:
        raise PromptHubError(
            f"run {run} of {task} is made by another execution: {owner}.",
            hint="If that one failed, redrive it, or drop the file once more.",
            exit_code=ExitCode.BLOCKED,
        )


def execution_of(objects: Objects, task: str, run: str) -> str | None:
    """Return the execution of a run, None if none has begun; raises `InvalidDocumentsError`."""
    claim = _read(objects, aws_names.run_key(task, run, CLAIM), Claim)
    return None if claim is None else claim.execution


def _read(objects: Objects, key: str, model: type[ModelT]) -> ModelT | None:
    raw = objects.read(key)
    hint = "Another program has written it; drop the file once more."
    return None if raw is None else parse_model(raw.decode(), key, model, hint=hint)


def require_plan(objects: Objects, task: str, run: str) -> RunPlan:
    """Return the plan of a run; raises `PromptHubError` if it has none."""
    plan = read_plan(objects, task, run)
    if plan is None:
        raise PromptHubError(
            f"{objects.address} has no plan of the run {run} of {task}.",
            hint="Plan it first: prompt-hub records plan.",
        )
    return plan


def read_shards(objects: Objects, plan: RunPlan) -> tuple[Shard, ...]:
    """Return the shards of a run; raises `PromptHubError` if they are not those of its plan."""
    key = aws_names.run_key(plan.task, plan.run, aws_names.SHARDS_FILE)
    raw = objects.read(key)
    try:
        shards = _SHARDS.validate_json(raw or b"[]")
    except ValueError:
        shards = ()
    if len(shards) != plan.shards or sum(each.records for each in shards) != plan.records:
        raise PromptHubError(
            f"{objects.address}/{key} is not what the plan says: {count(plan.shards, 'shard')} with"
            f" {count(plan.records, 'record')}.",
            hint="Another program has written it; drop the file once more.",
            exit_code=ExitCode.BLOCKED,
        )
    return shards


def write_shards(objects: Objects, task: str, run: str, shards: tuple[Shard, ...]) -> None:
    """Store the list of a run's shards."""
    key = aws_names.run_key(task, run, aws_names.SHARDS_FILE)
    objects.write(key, _SHARDS.dump_json(shards) + b"\n")
