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

    def __reduce__(self) -> tuple[object, ...]:
        # Python would call `__init__` with the message alone, and subclasses take other arguments:
        # a pool of processes breaks, or waits for ever, where that fails.
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(kind: type[PromptHubError], args: tuple[object, ...]) -> PromptHubError:
    """Make the error of another process; what it holds is put back afterwards."""
    return kind.__new__(kind, *args)
