"""What a command tells people and machines when it cannot go on."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command (docs/architecture.md#verdicts-and-exit-codes)."""

    OK = 0
    BLOCKED = 1
    USAGE = 2
    NOT_MEASURED = 3
    INCONCLUSIVE = 4
    UNEXPECTED = 70


class PromptHubError(Exception):
    """A failure that a person can act on: one sentence, and what to do next.

    `message` says what was found and what was expected, `hint` the next step. The command that
    meets it ends with `exit_code`.
    """

    def __init__(
        self, message: str, *, hint: str = "", exit_code: ExitCode = ExitCode.USAGE
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
