"""What a model that does not answer raises; apart from the client, whose imports cost much more."""

from __future__ import annotations

from prompt_hub.core.errors import ExitCode, PromptHubError


class ModelUnavailableError(PromptHubError):
    """The model gave no answer at all: nothing was measured, and nothing may be concluded.

    `public_message` is what a caller of the service may read: the provider's own words, which help
    the author of a prompt, are left out.
    """

    def __init__(self, message: str, *, hint: str = "", public_message: str | None = None) -> None:
        super().__init__(message, hint=hint, exit_code=ExitCode.NOT_MEASURED)
        self.public_message = message if public_message is None else public_message
