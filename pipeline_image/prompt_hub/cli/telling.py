"""Telling the people who follow the pipeline, from inside one of its actions."""

from __future__ import annotations

import os

from prompt_hub.core import aws_names
from prompt_hub.core.foreign_text import mail_body, mail_subject


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
            Message=mail_body(message),
        )
    except Exception as error:
        print(f"nobody was told ({type(error).__name__}: {error}); the execution ends red for it")
    else:
        print(f"told {topic}")
