"""Whether the connection to the repository can be used."""

from __future__ import annotations

from collections.abc import Iterator

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.doctor.base import DEPLOY, Check, Finding
from prompt_hub.doctor.readers import Readers

OUTPUT = "ConnectionArn"


def _command() -> str:
    return f"{DEPLOY} STACK={aws_names.source_stack()}"


def _examine(readers: Readers) -> Iterator[Finding]:
    stack = aws_names.source_stack()
    arn = readers.outputs(stack).get(OUTPUT)
    if arn is None:
        message = f"there is no stack {stack} with an output {OUTPUT}."
        raise PromptHubError(message, hint="Deploy it first.")
    connections = readers.session.client("codeconnections")
    try:
        found = connections.get_connection(ConnectionArn=arn)["Connection"]
    except connections.exceptions.ResourceNotFoundException:
        yield Finding(
            f"The connection {arn} is gone: no push starts the pipeline.",
            # The source stack would make none in its place, and cannot go: others take its exports.
            "Make one in the console, under Developer Tools, Settings, Connections, name it as"
            " connection_arn in cdk.json and push that; deploying it starts an execution.",
            DEPLOY,
        )
        return
    status = found.get("ConnectionStatus", "UNKNOWN")
    if status != "AVAILABLE":
        yield Finding(
            f"The connection {arn} is {status}, not AVAILABLE: no push starts the pipeline.",
            "Approve it in the console, under Developer Tools, Settings, Connections; this says"
            " when it is AVAILABLE.",
            f"aws codeconnections get-connection --connection-arn {arn}",
        )


CHECK = Check("connection", _examine, _command)
