"""What a model that does not answer raises; apart from the client, whose imports cost much more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_hub.core.errors import ExitCode, PromptHubError

if TYPE_CHECKING:
    from prompt_hub.llm.response import Usage


class ModelUnavailableError(PromptHubError):
    """The model gave no answer at all: nothing was measured, and nothing may be concluded.

    `public_message` is what a caller of the service may read: the provider's own words, which help
    the author of a prompt, are left out. `of_request` says that the model is there and refuses this
    one request, as one that is too long. `usage` is what it took all the same, None for nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        public_message: str | None = None,
        of_request: bool = False,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message, hint=hint, exit_code=ExitCode.NOT_MEASURED)
        self.of_request = of_request
        self.usage = usage
        self.public_message = message if public_message is None else public_message
