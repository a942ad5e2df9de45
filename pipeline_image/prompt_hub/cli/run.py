"""`prompt-hub run`: raw records become structured fields, by the active version of a prompt."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.batch.active_version import active_version, stage_of_environment
from prompt_hub.batch.backends import Backend, ServiceBackend
from prompt_hub.batch.bucket_objects import SCHEME
from prompt_hub.batch.following import local_backend
from prompt_hub.batch.forecast import Forecast, in_words, require_budget
from prompt_hub.batch.journal import Journal
from prompt_hub.batch.layout import Layout
from prompt_hub.batch.local_run import finish_run, local_runs, manifest_beside
from prompt_hub.batch.output_summary import file_as_read
from prompt_hub.batch.prefetched import PrefetchedBackend, require_no_batches
from prompt_hub.batch.reading import Reading, settings_file, survey
from prompt_hub.batch.run_manifest import RunFacts, RunManifest, write_manifest
from prompt_hub.batch.runner import BatchStats, Runner, known_example
from prompt_hub.batch.table_output import table_beside
from prompt_hub.cli.options import BATCH, add_backend, add_concurrency, positive
from prompt_hub.cli.progress import Progress, say
from prompt_hub.cli.remote_run import run_remotely
from prompt_hub.cli.stage import stage_name, translate_aws_errors
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.hashing import sha256_of
from prompt_hub.core.wording import count
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import JsonObject, Prompt

SERVICE_CONCURRENCY = 8
"""Requests in flight to the running service, which others use at the same time."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task")
    parser.add_argument(
        "input",
        help="records: .csv, .tsv, .jsonl or .ndjson, or .gz of one; or s3://BUCKET/incoming/…",
    )
    parser.add_argument("output", type=Path, help="where the JSON lines go")
    parser.add_argument("--service", metavar="URL", help="ask the running service at this address")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N records")
    parser.add_argument(
        "--stage",
        type=stage_name,
        help="drop the file into the bucket of this stage, which answers it",
    )
    parser.add_argument(
        "--version-id",
        metavar="ID",
        help="which version of the file in its bucket; the newest by default",
    )
    add_concurrency(parser)
    add_backend(parser, "records")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Answer every record; BLOCKED if some failed, NOT_MEASURED if some got no answer.

    The output appears when every record is finished; until then the same command goes on where
    the last run ended.
    """
    if arguments.stage or arguments.input.startswith(SCHEME):
        return _run_remotely(arguments)
    if arguments.version_id:
        raise PromptHubError("--version-id is of a file in a bucket.")
    arguments.input = Path(arguments.input)
    if arguments.backend == BATCH and arguments.service:
        raise PromptHubError("--backend batch asks the model from here, and no --service.")
    return asyncio.run(_run(arguments, PromptRepository.from_environment()))


@translate_aws_errors()
def _run_remotely(arguments: argparse.Namespace) -> ExitCode:
    for option in ("service", "limit", "concurrency", "json"):
        if getattr(arguments, option):
            raise PromptHubError(f"--{option} is for runs on this machine.")
    if arguments.backend == BATCH:
        raise PromptHubError("--backend batch is for runs on this machine.")
    here = Path(arguments.input)
    if not arguments.input.startswith(SCHEME):
        _check_paths(here, arguments.output)
        if arguments.version_id:
            raise PromptHubError("--version-id is of a file that is in its bucket already.")
    elif not arguments.output.parent.is_dir():
        raise PromptHubError(f"there is no folder {arguments.output.parent} to write into.")
    return run_remotely(
        arguments.task,
        arguments.input,
        arguments.output,
        arguments.stage,
        version=arguments.version_id,
    )


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Who answers, and with what."""

    backend: Backend
    words: str
    """Where the version comes from, for people."""
    prompt: Prompt | None
    """None where the service answers with a version that is not here."""
    model: ModelConfig | None
    """None where the service knows it alone."""
    concurrency: int


def _source(
    arguments: argparse.Namespace, repository: PromptRepository, client: ModelClient
) -> _Source:
    task, metadata = arguments.task, repository.metadata(arguments.task)
    if arguments.service:
        timeout = metadata.limits.seconds_per_call
        service = ServiceBackend(arguments.service, task, timeout=timeout)
        return _Source(
            backend=service,
            words=f"served by {arguments.service}",
            prompt=repository.version(task, service.answered_by.version),
            model=None,
            concurrency=arguments.concurrency or SERVICE_CONCURRENCY,
        )
    prompt, words = active_version(repository, task)
    backend: Backend
    if arguments.backend == BATCH:
        if metadata.records.versions == "follow":
            raise PromptHubError(
                f"records.versions of {task} follows what is active, and a batch is asked of one"
                " version.",
                hint="Leave out --backend batch, or let records.versions be pin.",
            )
        backend = PrefetchedBackend(
            prompt,
            client,
            timeout=metadata.limits.seconds_per_call,
            output=arguments.output,
            say=say,
        )
    else:
        backend = local_backend(repository, prompt, client, metadata.records.versions)
    return _Source(
        backend=backend,
        words=words,
        prompt=prompt,
        model=client.resolve(prompt),
        concurrency=client.concurrency(prompt),
    )


async def _run(arguments: argparse.Namespace, repository: PromptRepository) -> ExitCode:
    task: str = arguments.task
    repository.require_task(task)
    _check_paths(arguments.input, arguments.output)
    if arguments.backend != BATCH:
        require_no_batches(arguments.output)
    aliases = ModelAliases({}) if arguments.service else ModelAliases.from_environment()
    async with ModelClient(aliases, concurrency=arguments.concurrency) as client:
        source = await asyncio.to_thread(_source, arguments, repository, client)
        info = source.backend.answered_by
        say(f"{task} {info.version} ({info.sha256[:12]}), {source.words}")
        contract = (source.prompt or repository.candidate(task)).input
        records = repository.metadata(task).records
        reading = Reading.of(arguments.input, records, contract, task)
        if reading.layout.found:
            say(f"{arguments.input}: {'; '.join(reading.layout.found)}")
        planned = _planned(arguments, repository, source, reading, contract)

        def finish(taken_up: bool) -> None:
            output, formats = arguments.output, records.formats
            manifest = finish_run(planned.run, output, formats, taken_up=taken_up)
            _list_run(manifest, repository)

        started = time.monotonic()
        stats = await _answer(arguments, source, reading, planned, finish)
    seconds = round(time.monotonic() - started, 3)
    manifest = None if stats.unanswered else str(manifest_beside(arguments.output))
    summary = {
        **asdict(info),
        "source": source.words,
        **asdict(stats),
        "read_as": list(reading.layout.found),
        "seconds": seconds,
        "manifest": manifest,
    }
    if arguments.json:
        print(json.dumps({**summary, "output": str(arguments.output)}, indent=2))
    else:
        print(_in_words(stats, arguments.output, reading.layout))
    if stats.unanswered:
        return ExitCode.NOT_MEASURED
    return ExitCode.BLOCKED if stats.failed else ExitCode.OK


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """What is known before the first call."""

    run: RunFacts
    identity: dict[str, JsonValue]
    records: int
    example: Callable[[], JsonObject | None]
    """Finds fields that the model is known to take."""


def _planned(
    arguments: argparse.Namespace,
    repository: PromptRepository,
    source: _Source,
    reading: Reading,
    contract: JsonObject,
) -> _Planned:
    """Count the records and say what they will cost; raises `PromptHubError` over the budget."""
    task, started = arguments.task, datetime.now(UTC)
    records = repository.metadata(task).records
    forecast = Forecast(repository, source.prompt, source.model) if source.prompt else None
    if forecast is not None and forecast.guessed_because:
        say(forecast.guessed_because)
    counts = survey(reading, forecast, limit=arguments.limit)
    expected = forecast.spent(concurrency=source.concurrency) if forecast else None
    if expected is not None and isinstance(source.backend, PrefetchedBackend):
        expected = source.backend.at_batch_price(expected)
    if expected is not None:
        say(f"{count(counts.records, 'record')}; expected: {in_words(expected)}")
        require_budget(expected, records.budget, str(arguments.input), settings_file(task))
    file = file_as_read(arguments.input, str(arguments.input.resolve()))
    identity: dict[str, JsonValue] = {
        "input": file.sha256,
        "task": task,
        "mapping": reading.mapping,
    }
    info = source.backend.answered_by
    # Which version answers may change at any time where a service decides, or the task follows.
    if not arguments.service and records.versions == "pin":
        identity |= {"version": info.version, "prompt": info.sha256, "model": info.model}
    return _Planned(
        run=RunFacts(
            run=sha256_of({**identity, "output": os.path.realpath(arguments.output)}),
            task=task,
            stage=stage_of_environment(),
            versions=records.versions,
            source=file,
            blank=counts.blank,
            forecast=expected,
            shards=1,
            read_as=reading.layout.found,
            started=started,
        ),
        identity=identity,
        records=counts.records,
        example=partial(known_example, repository, task, contract),
    )


async def _answer(
    arguments: argparse.Namespace,
    source: _Source,
    reading: Reading,
    planned: _Planned,
    finish: Callable[[bool], None],
) -> BatchStats:
    """Answer what is left; `finish` makes what lies beside the output, before the journal ends.

    It is told whether an earlier process has asked, too.
    """
    with Journal(arguments.output, planned.identity) as journal:
        if journal.set_aside:
            say(journal.set_aside)
        if journal.corrupt:
            say(
                f"{journal.path}: lines that cannot be read and are left out: {journal.corrupt};"
                " their records are asked for again"
            )
        if journal.finished:
            say(f"going on: {count(len(journal.finished), 'record')} finished before")
        batches = source.backend if isinstance(source.backend, PrefetchedBackend) else None
        runner = Runner(
            mapper=reading.mapper,
            backend=source.backend,
            journal=journal,
            concurrency=source.concurrency,
            say=say,
            progress=Progress(planned.records),
            example=planned.example,
            asks_again=batches is None,
            stats=BatchStats(blank=planned.run.blank),
        )
        try:
            if batches is not None:
                finished, limit = journal.finished, arguments.limit
                await batches.fetch(reading.records, reading.mapper, finished, limit)
            stats = await runner.run(reading.records(), arguments.limit)
            if not stats.unanswered:
                upto = None if arguments.limit is None else runner.last
                taken_up = stats.resumed > 0 or (batches is not None and batches.earlier)
                journal.publish(upto, partial(finish, taken_up))
                if batches is not None:
                    limit = arguments.limit
                    batches.forget(whole=limit is None or stats.records < limit)
        except asyncio.CancelledError:
            say(f"{count(len(journal.finished), 'record')} finished: the same command goes on.")
            raise
        finally:
            if batches is not None:
                batches.close()
        return stats


def _list_run(manifest: RunManifest, repository: PromptRepository) -> None:
    """List a run in this checkout, where a repair finds it."""
    try:
        write_manifest(local_runs(repository.root), manifest)
    except PromptHubError as error:
        # Not its hint: the journal goes now, and the same command would ask for every record again.
        say(
            f"a repair will not find this run by itself: {error.message} The output and its"
            " manifest are whole: there is nothing to run again."
        )


def _check_paths(source: Path, output: Path) -> None:
    if not source.is_file():
        raise PromptHubError(f"there is no file {source}.")
    if not output.parent.is_dir():
        raise PromptHubError(f"there is no folder {output.parent} to write into.")
    if output.exists() and (not output.is_file() or output.samefile(source)):
        raise PromptHubError(f"{output} cannot be the output: name a file of its own.")
    # Not by `records.formats`: a table may be asked for by the time of the next run, or in a stage.
    for beside in (table_beside(output), manifest_beside(output)):
        if beside.exists() and beside.samefile(source):
            raise PromptHubError(
                f"{output} cannot be the output, as {beside.name} beside it is the input.",
                hint="Name another.",
            )


def _in_words(stats: BatchStats, output: Path, layout: Layout) -> str:
    parts = [count(stats.records, "record")]
    parts += [f"{stats.answered:,} answered", f"{stats.failed:,} failed"]
    if stats.resumed:
        parts[0] += f" ({stats.resumed:,} finished before)"
    if stats.blank:
        parts.append(f"{count(stats.blank, 'row')} without a value left out")
    if not stats.unanswered:
        read_as = f"\nread as {'; '.join(layout.found)}" if layout.found else ""
        return f"{', '.join(parts)}: {output}{read_as}"
    parts.append(f"{stats.unanswered:,} without an answer")
    return (
        f"{', '.join(parts)}. {stats.reason}\n"
        f"{output} is not written yet: run the same command again to ask for the rest."
    )
