"""Telling the people who follow the pipeline, from inside one of its actions."""

from __future__ import annotations

import os

from prompt_hub.core import aws_names
from prompt_hub.core.foreign_text import mail_subject

LONGEST_MESSAGE = 20_000
"""Characters; SNS takes 256 KiB, but a mail that long is read by nobody."""


def tell(subject: str, message: str) -> None:
    """Publish to the topic of the environment, and say whether it was taken.

    Never raises: what the action is there for goes on.
    """
    topic = os.environ.get(aws_names.ENV_TOPIC_ARN)
    if not topic:
        print(f"nobody was told: {aws_names.ENV_TOPIC_ARN} is not set")
        return
    import boto3

    try:
        boto3.client("sns").publish(
            TopicArn=topic,
            Subject=mail_subject(f"{aws_names.installation()}: {subject}"),
            Message=_shortened(message),
        )
    except Exception as error:
        print(f"nobody was told ({type(error).__name__}: {error}); the execution ends red for it")
    else:
        print(f"told {topic}")


def _shortened(message: str) -> str:
    """Leave out lines before the last, and say so, where a message is too long."""
    if len(message) <= LONGEST_MESSAGE:
        return message
    kept, _, _ = message[:LONGEST_MESSAGE].rpartition("\n")
    _, _, last = message.rpartition("\n")
    return f"{kept}\n… and more: the log of the action has all of it.\n\n{last[-1000:]}"
