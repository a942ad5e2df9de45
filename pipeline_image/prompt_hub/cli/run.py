"""`prompt-hub run`: raw records become structured fields, by the active version of a prompt."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.batch.backends import Backend, LocalAnswerer, ServiceAnswerer
from prompt_hub.batch.journal import Journal
from prompt_hub.batch.layout import Layout, find_layout
from prompt_hub.batch.mapping import assign
from prompt_hub.batch.numbers import NumberReader
from prompt_hub.batch.readers import read_records
from prompt_hub.batch.runner import BatchStats, RecordMapper, Runner
from prompt_hub.cli.options import add_concurrency, positive
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.hashing import sha256_of
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.repository.reader import METADATA, PRODUCTION, PromptRepository
from prompt_hub.repository.schema import JsonObject, Prompt, Records

PROGRESS_EVERY_SECONDS = 5.0
SERVICE_CONCURRENCY = 8
"""Requests in flight to the running service, which others use at the same time."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task")
    parser.add_argument("input", type=Path, help="records: .csv, .tsv, .jsonl or .ndjson")
    parser.add_argument("output", type=Path, help="where the JSON lines go")
    parser.add_argument("--service", metavar="URL", help="ask the running service at this address")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N records")
    add_concurrency(parser)
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Answer every record; BLOCKED if some failed, NOT_MEASURED if some got no answer.

    The output appears when every record is finished; until then the same command goes on where
    the last run ended.
    """
    return asyncio.run(_run(arguments, PromptRepository.from_environment()))


async def _run(arguments: argparse.Namespace, repository: PromptRepository) -> ExitCode:
    task: str = arguments.task
    repository.require_task(task)
    _check_paths(arguments.input, arguments.output)
    metadata = repository.metadata(task)
    timeout = metadata.limits.seconds_per_call
    aliases = ModelAliases({}) if arguments.service else ModelAliases.from_environment()
    async with ModelClient(aliases, concurrency=arguments.concurrency) as caller:
        answerer: Backend
        if arguments.service:
            answerer = ServiceAnswerer(arguments.service, task, timeout=timeout)
            source = f"served by {arguments.service}"
            prompt = repository.version(task, answerer.answered_by.version)
            concurrency = arguments.concurrency or SERVICE_CONCURRENCY
        else:
            prompt, source = _active(repository, task)
            answerer = LocalAnswerer(prompt, caller, timeout=timeout)
            concurrency = caller.concurrency(prompt)
        contract = (prompt or repository.candidate(task)).input
        records = metadata.records
        layout = await asyncio.to_thread(_find_layout, arguments.input, records, contract, task)
        numbers = NumberReader(records.numbers, comma_too=layout.separator == ";")
        reader = RecordMapper(records.columns, contract, numbers)
        info = answerer.answered_by
        _say(f"{task} {info.version} ({info.sha256[:12]}), {source}")
        if layout.found:
            _say(f"{arguments.input}: {'; '.join(layout.found)}")
        identity: dict[str, JsonValue] = {
            "input": await asyncio.to_thread(_sha256_of_file, arguments.input),
            "task": task,
            "mapping": _mapping(records, contract),
        }
        if not arguments.service:  # which version answers there may change at any time
            identity |= {"version": info.version, "prompt": info.sha256, "model": info.model}
        started = time.monotonic()
        with Journal(arguments.output, identity) as journal:
            if journal.set_aside:
                _say(journal.set_aside)
            if journal.corrupt:
                _say(
                    f"{journal.path}: lines that cannot be read and are left out:"
                    f" {journal.corrupt};"
                    " their records are asked for again"
                )
            if journal.finished:
                _say(f"going on: {len(journal.finished)} records were finished before")
            runner = Runner(
                reader=reader,
                answerer=answerer,
                journal=journal,
                concurrency=concurrency,
                say=_say,
                progress=_Progress(),
            )
            try:
                tally = await runner.run(read_records(arguments.input, layout), arguments.limit)
            except asyncio.CancelledError:
                _say(f"{len(journal.finished)} records are finished: the same command goes on.")
                raise
            if not tally.unanswered:
                journal.publish(None if arguments.limit is None else runner.last)
    seconds = round(time.monotonic() - started, 3)
    read_as = list(layout.found)
    summary = {
        **asdict(info),
        "source": source,
        **asdict(tally),
        "read_as": read_as,
        "seconds": seconds,
    }
    if arguments.json:
        print(json.dumps({**summary, "output": str(arguments.output)}, indent=2))
    else:
        print(_in_words(tally, arguments.output, layout))
    if tally.unanswered:
        return ExitCode.NOT_MEASURED
    return ExitCode.BLOCKED if tally.failed else ExitCode.OK


def _check_paths(source: Path, output: Path) -> None:
    if not source.is_file():
        raise PromptHubError(f"there is no file {source}.")
    if not output.parent.is_dir():
        raise PromptHubError(f"there is no folder {output.parent} to write into.")
    if output.exists() and (not output.is_file() or output.samefile(source)):
        raise PromptHubError(f"{output} cannot be the output: name a file of its own.")


def _find_layout(source: Path, records: Records, contract: JsonObject, task: str) -> Layout:
    def check(header: tuple[str, ...]) -> Collection[str]:
        return assign(header, records.columns, contract)

    return find_layout(source, records, check, f"{METADATA}/{task}.yaml")


def _mapping(records: Records, contract: JsonObject) -> str:
    """Hash what makes fields of records; settings that are left out do not count."""
    how = records.model_dump(mode="json", exclude_defaults=True, exclude={"columns"})
    return sha256_of(
        {"columns": records.columns, "contract": contract, **({"records": how} if how else {})}
    )


def _active(repository: PromptRepository, task: str) -> tuple[Prompt, str]:
    """Return the active version by the ledger, where there is one, or the released one.

    In words, too.
    """
    table = os.environ.get(aws_names.ENV_LEDGER_TABLE)
    if not table:
        released = repository.production(task)
        if released is None:
            raise PromptHubError(
                f"{task} has no released version.",
                hint=f"Promote one: prompt-hub promote promote {task}.",
            )
        return released, f"released in {PRODUCTION}"
    from prompt_hub.ledger.table import Ledger

    try:
        pointer = Ledger.from_environment().pointer(task)
    except Exception as error:  # the ledger's own, or any of the AWS client's
        raise PromptHubError(
            f"the ledger {table} does not answer: {error}.",
            hint=f"Unset {aws_names.ENV_LEDGER_TABLE} to use the released version.",
            exit_code=ExitCode.NOT_MEASURED,
        ) from None
    if pointer is None:
        raise PromptHubError(f"the ledger {table} has no active version of {task}.")
    prompt = repository.version(task, pointer.version)
    if prompt is None or prompt.sha256 != pointer.sha256:
        raise PromptHubError(
            f"{task} {pointer.version} ({pointer.sha256[:12]}) is active, but this checkout does"
            " not have it.",
            hint="Pull the branch that the pipeline releases from, or use --service.",
        )
    return prompt, f"active in the ledger {table}"


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Progress:
    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, tally: BatchStats) -> None:
        if time.monotonic() - self._said >= PROGRESS_EVERY_SECONDS:
            self._said = time.monotonic()
            _say(f"  {tally.answered + tally.failed} records finished")


def _in_words(tally: BatchStats, output: Path, layout: Layout) -> str:
    parts = [f"{tally.records} records", f"{tally.answered} answered", f"{tally.failed} failed"]
    if tally.resumed:
        parts[0] += f" ({tally.resumed} finished before)"
    if tally.blank:
        parts.append(f"{tally.blank} blank rows left out")
    if not tally.unanswered:
        read_as = f"\nread as {'; '.join(layout.found)}" if layout.found else ""
        return f"{', '.join(parts)}: {output}{read_as}"
    parts.append(f"{tally.unanswered} without an answer")
    return (
        f"{', '.join(parts)}. {tally.reason}\n"
        f"{output} is not written yet: run the same command again to ask for the rest."
    )
