"""Whether people who shall hear of trouble in the stage or the pipeline have confirmed it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names
from prompt_hub.doctor.base import DEPLOY, Check, Finding, start
from prompt_hub.doctor.readers import Readers

if TYPE_CHECKING:
    from boto3 import Session

PENDING = "PendingConfirmation"
LEFT = "Deleted"
"""In place of an ARN, for some days: somebody has unsubscribed."""
_NOBODY = ("email", PENDING)


def _examine(readers: Readers) -> Iterator[Finding]:
    settings = readers.installation
    own = settings.emails(readers.stage) if settings else ()
    topic = readers.stage_topic(aws_names.notification_topic(readers.stage))
    yield from _topic(readers.of_stage, topic, own, start())
    everywhere = settings.notification_emails if settings else ()
    topic = readers.topic(aws_names.pipeline_topic())
    yield from _topic(readers.session, topic, everywhere, DEPLOY)


def _topic(session: Session, arn: str, wanted: Sequence[str], maker: str) -> Iterator[Finding]:
    sns, name = session.client("sns"), arn.rpartition(":")[2]
    found: dict[str, tuple[str, str]] = {}
    try:
        for page in sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn):
            for item in page["Subscriptions"]:
                if item["SubscriptionArn"] == LEFT:
                    continue
                if found.get(item["Endpoint"], _NOBODY)[1] == PENDING:
                    found[item["Endpoint"]] = item["Protocol"], item["SubscriptionArn"]
    except sns.exceptions.NotFoundException:
        problem = f"There is no topic {name}: nobody is told of anything."
        yield Finding(problem, "Deploy what makes it.", maker)
        return
    # AWS drops a subscription that nobody confirms.
    for address in {**found, **dict.fromkeys(wanted)}:
        protocol, subscription = found.get(address, _NOBODY)
        if subscription == PENDING:
            yield Finding(
                f"{address} has not confirmed the subscription to {name}: no message reaches it.",
                "Follow the link in AWS's message; this has it sent again.",
                f"aws sns subscribe --topic-arn {arn} --protocol {protocol}"
                f" --notification-endpoint {address}",
            )


CHECK = Check("subscriptions", _examine, lambda: DEPLOY)
