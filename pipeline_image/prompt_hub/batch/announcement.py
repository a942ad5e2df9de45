"""Who waits for a run's end hears of it: programs by an event, people by a message."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_hub.batch.objects import Objects
from prompt_hub.batch.run_manifest import MANIFEST, RunManifest
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.foreign_text import mail_body, mail_subject
from prompt_hub.core.wording import amount, count

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

    from prompt_hub.repository.schema import JsonObject

ANNOUNCED = "announced.json"
"""Name among a run's objects: it is there once its end was announced."""


def announce(objects: Objects, manifest: RunManifest, folder: Path) -> bool:
    """Say once that a run is answered; False if that was said before.

    A process that dies between saying it and noting it lets the next one say it again.

    Raises:
        PromptHubError: AWS did not take it: the same command tries again.
    """
    key = aws_names.run_key(manifest.task, manifest.run, ANNOUNCED)
    if objects.read(key) is not None:
        return False
    detail: JsonObject = {
        "task": manifest.task,
        "run": manifest.run,
        "manifest": aws_names.run_key(manifest.task, manifest.run, MANIFEST),
        "records": manifest.records,
        "answered": manifest.answered,
        "failed": manifest.failed,
        "usd": manifest.spent.usd,
        "repair_of": None if manifest.repair_of is None else manifest.repair_of.run,
    }
    _put_event(detail)
    tell_people(
        headline(manifest),
        "\n".join(
            [
                f"{manifest.source.uri}: {in_words(manifest)}",
                *([] if manifest.repair_of is None else [manifest.repair_of.reason]),
                "",
                *(output.uri for output in manifest.outputs),
            ]
        ),
    )
    path = folder / ANNOUNCED
    path.write_text(json.dumps(detail), encoding="utf-8")
    return objects.create(key, path)


def headline(manifest: RunManifest) -> str:
    """Return what became of a run, short enough for the subject of a message."""
    if manifest.repair_of is not None:
        # Its manifest counts every line of the corrected output, also those that it left alone.
        return f"{manifest.task}: a run of {manifest.repair_of.version} repaired"
    result = f", {manifest.failed:,} failed" if manifest.failed else " answered"
    return f"{manifest.task}: {count(manifest.records, 'record')}{result}"


def in_words(manifest: RunManifest) -> str:
    """Return what became of a run's records, and what that came to."""
    parts = [count(manifest.records, "record"), f"{manifest.answered:,} answered"]
    parts.append(f"{manifest.failed:,} failed")
    if manifest.blank:
        parts.append(f"{count(manifest.blank, 'row')} without a value left out")
    usd = manifest.spent.usd
    cost = "" if usd is None else f", {amount(usd)} US dollars"
    return f"{', '.join(parts)}; {count(manifest.spent.calls, 'call')}{cost}"


def tell_people(subject: str, message: str) -> bool:
    """Send a message to the stage's topic; False where no topic is set."""
    topic = os.environ.get(aws_names.ENV_TOPIC_ARN)
    if not topic:
        return False
    import boto3

    subject = mail_subject(f"{aws_names.installation()}: {subject}")
    try:
        boto3.client("sns").publish(TopicArn=topic, Subject=subject, Message=mail_body(message))
    except Exception as error:
        raise _not_taken("the topic", error) from None
    return True


def _put_event(detail: JsonObject) -> None:
    import boto3

    entry: PutEventsRequestEntryTypeDef = {
        "Source": aws_names.records_source(),
        "DetailType": aws_names.EVENT_RECORDS_ANSWERED,
        "Detail": json.dumps(detail),
    }
    try:
        answer = boto3.client("events").put_events(Entries=[entry])
    except Exception as error:
        raise _not_taken("EventBridge", error) from None
    if answer["FailedEntryCount"]:
        raise _not_taken("EventBridge", answer["Entries"][0].get("ErrorCode", "refused"))


def _not_taken(whom: str, error: object) -> PromptHubError:
    reason = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else str(error)
    return PromptHubError(
        f"{whom} could not be told of the run: {reason}.",
        hint="The same command tries again.",
        exit_code=ExitCode.NOT_MEASURED,
    )
