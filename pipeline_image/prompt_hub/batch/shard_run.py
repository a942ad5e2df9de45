"""One shard of a run, answered by this process, which may die at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from prompt_hub.batch.announcement import tell_people
from prompt_hub.batch.backends import Backend
from prompt_hub.batch.journal import Journal
from prompt_hub.batch.merge import OUT, TAKEN_UP
from prompt_hub.batch.objects import Objects
from prompt_hub.batch.patience import PatientBackend
from prompt_hub.batch.reading import mapper_of, mapping_sha256
from prompt_hub.batch.run_plan import REFUSED_SHARD, Refusal, RunPlan, shard_key
from prompt_hub.batch.runner import BatchStats, Runner
from prompt_hub.batch.segments import Segments
from prompt_hub.batch.shards import read_shard
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.wording import count
from prompt_hub.llm.config import ModelAliases, ModelConfig
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import JsonObject, Prompt, Records


def is_final(objects: Objects, plan: RunPlan, shard: int) -> bool:
    """Whether a shard is answered; nothing of it is ever asked again then."""
    key = shard_key(plan.task, plan.run, OUT, shard)
    return key in objects.keys(key)


def require_planned(repository: PromptRepository, aliases: ModelAliases, plan: RunPlan) -> Prompt:
    """Return the version that a plan pins.

    Raises:
        PromptHubError: this release does not have it, or would not answer as the plan says.
    """
    prompt = repository.version(plan.task, plan.version)
    name = f"{plan.task} {plan.version} ({plan.sha256[:12]})"
    if prompt is None or prompt.sha256 != plan.sha256:
        raise _changed(f"this release does not carry {name}")
    model = aliases.resolve(prompt.model.alias).identity
    if model != plan.model:
        raise _changed(f"{name} is answered by {model} here, and by {plan.model} in the plan")
    mapping = mapping_sha256(repository.metadata(plan.task).records, prompt.input)
    if mapping != plan.mapping:
        raise _changed(f"records of {plan.task} are read in another way now")
    return prompt


def _changed(what: str) -> PromptHubError:
    return PromptHubError(
        f"{what}: the run was begun otherwise, and mixes nothing, in no redrive while this release"
        " runs.",
        hint="Drop the file once more.",
        exit_code=ExitCode.BLOCKED,
    )


def tell_refused(objects: Objects, plan: RunPlan, shard: int, error: PromptHubError) -> None:
    """Let who follows a run hear why a shard of it is refused, and once its people, too.

    Step Functions says of such a run no more than that a shard has failed.

    Raises:
        PromptHubError: people could not be told (NOT_MEASURED): the same command tries again.
    """
    answered = f"{objects.address}/{aws_names.run_key(plan.task, plan.run, f'{OUT}/')}"
    refusal = Refusal(
        schema_="prompt-hub/run-refusal@1",
        run=plan.run,
        task=plan.task,
        reason=f"shard {shard} is refused: {error}"
        f" Shards that were answered stay in {answered} until they expire.",
        at=datetime.now(UTC),
    )
    # Nothing of it may have been begun, but how long a redrive is waited for is no time of calls.
    objects.write(shard_key(plan.task, plan.run, TAKEN_UP, shard), b"")
    key = aws_names.run_key(plan.task, plan.run, REFUSED_SHARD)
    if objects.read(key) is None:
        # Before it is noted: one that dies in between tells it twice, and never not at all.
        tell_people("records refused", f"{plan.source.uri}: {refusal.reason}")
    # Anew each time: one of before a redrive says nothing of how that has ended.
    objects.write(key, refusal.to_json().encode())


def divided(aliases: ModelAliases, children: int) -> ModelAliases:
    """Return the aliases with the part of every limit that one of `children` processes has.

    A version that becomes active while records are answered may ask another alias.
    """
    return ModelAliases({model.alias: _part(model, children) for model in aliases})


def _part(model: ModelConfig, children: int) -> ModelConfig:
    requests, tokens = model.requests_per_minute, model.tokens_per_minute
    return model.model_copy(
        update={
            "concurrency": max(1, model.concurrency // children),
            "requests_per_minute": requests and requests / children,
            "tokens_per_minute": tokens and tokens / children,
        }
    )


async def answer_shard(
    objects: Objects,
    plan: RunPlan,
    shard: int,
    *,
    backend: Backend,
    contract: JsonObject,
    records: Records,
    example: Callable[[], JsonObject | None],
    concurrency: int,
    patience: float,
    folder: Path,
    say: Callable[[str], None],
    progress: Callable[[BatchStats], None],
) -> BatchStats:
    """Answer what is left of a shard; its output is there unless records have no answer.

    Whatever ends this, what was answered is stored; only a process that is killed loses the last
    second.

    Raises:
        PromptHubError: the shard is not there, or cannot be stored.
    """
    source, output = folder / "records.jsonl", folder / "out.jsonl"
    key = shard_key(plan.task, plan.run, "shards", shard)
    if not objects.fetch(key, source):
        raise PromptHubError(
            f"{objects.address} has no {key}: the run has {count(plan.shards, 'shard')}, from 0."
        )
    # All of one run belongs together: what a record was answered with stands in its line.
    journal = Journal(output, {"run": plan.run, "shard": shard})
    segments = Segments(objects, plan.task, plan.run, shard, journal.path)
    if segments.restore():
        objects.write(shard_key(plan.task, plan.run, TAKEN_UP, shard), b"")
    with journal:
        runner = Runner(
            mapper=mapper_of(records, contract, comma_decimals=plan.comma_decimals),
            backend=PatientBackend(backend, patience=patience, say=say, example=example),
            journal=journal,
            concurrency=concurrency,
            say=say,
            progress=progress,
            example=example,
            logged=True,
        )
        storing = asyncio.create_task(segments.keep_storing())
        try:
            stats = await runner.run(read_shard(source))
        except BaseException:
            storing.cancel()
            segments.store()
            raise
        storing.cancel()
        if stats.unanswered:
            segments.store()
            return stats
        journal.publish()
    objects.create(shard_key(plan.task, plan.run, OUT, shard), output)
    return stats
