"""What a rollback drill changes in a stage's ledger: its own task, and nothing else."""

from __future__ import annotations

from prompt_hub.core import aws_names
from prompt_hub.ledger import transitions
from prompt_hub.ledger.errors import TransitionRefusedError
from prompt_hub.ledger.items import Event, ReleaseRef, VersionRef
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause, Change, TaskState


class DrillLedger(Ledger):
    """The ledger as a drill changes it."""

    def begin(
        self, *, bad: VersionRef, good: VersionRef, release: ReleaseRef, cause: Cause
    ) -> Event:
        """Make `bad` active, with `good` as the way back.

        Raises:
            LedgerConflictError: a drill is going on, or was not put back.
        """
        return self._change(
            aws_names.DRILL_TASK,
            None,
            lambda state: transitions.seed(state, bad, previous=good, release=release, cause=cause),
        )

    def put_back(self, cause: Cause) -> bool:
        """Undo whatever a drill left; says whether there was anything.

        Whatever the stage itself does with the drill's task in the same moment, a rollback or
        another one putting it back: it is parked in the end.
        """

        def decide(state: TaskState) -> Change:
            change = transitions.put_back(state, cause=cause)
            if change is None:
                raise TransitionRefusedError("there is nothing to put back")
            return change

        try:
            self._change_anyway(aws_names.DRILL_TASK, decide)
        except TransitionRefusedError:
            return False
        return True
