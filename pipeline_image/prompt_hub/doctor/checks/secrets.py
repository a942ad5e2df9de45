"""Whether each provider's key stands in its secret, read as the service does; none is shown."""

from __future__ import annotations

from collections.abc import Iterator

from prompt_hub.core.errors import PromptHubError
from prompt_hub.doctor.base import Check, Finding, start
from prompt_hub.doctor.readers import Readers
from prompt_hub.llm.secrets import stored_key

_FROM = "--secret-string file://KEY-FILE"


def _examine(readers: Readers) -> Iterator[Finding]:
    client = readers.of_stage.client("secretsmanager")
    unseen: Exception | None = None
    for secret in sorted({model.secret for model in readers.models if model.secret}):
        try:
            stored_key(client.get_secret_value(SecretId=secret).get("SecretString", ""), secret)
        except client.exceptions.ResourceNotFoundException:
            yield Finding(
                f"There is no secret {secret!r} with a value.",
                "Create it with the provider's key; where it is there, put the key into it.",
                f"aws secretsmanager create-secret --name {secret} {_FROM}",
            )
        except client.exceptions.InvalidRequestException:
            yield Finding(
                f"The secret {secret!r} is marked for deletion: nobody can read it.",
                "Restore it.",
                f"aws secretsmanager restore-secret --secret-id {secret}",
            )
        except client.exceptions.ClientError as error:
            unseen = unseen or error  # the others are looked at all the same
        except PromptHubError as error:
            yield Finding(
                f"{error.message[:1].upper()}{error.message[1:]}",
                "Put the provider's key into it.",
                f"aws secretsmanager put-secret-value --secret-id {secret} {_FROM}",
            )
    if unseen is not None:
        raise unseen


CHECK = Check("secrets", _examine, start)
