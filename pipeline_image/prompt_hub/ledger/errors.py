"""What can go wrong in the ledger. Plain exceptions: the Lambda carries no command line."""

from __future__ import annotations


class LedgerError(Exception):
    """The ledger could not be read or changed; the message says what was found."""


class LedgerMissingError(LedgerError):
    """There is no such table: the stage was never deployed."""


class LedgerConflictError(LedgerError):
    """Somebody else changed the ledger first: read it again, decide again."""


class TransitionRefusedError(LedgerError):
    """The change is not allowed in the state that the task is in."""


class TakenOutError(TransitionRefusedError):
    """The version was quarantined or downgraded: it comes back by a named override alone."""
