"""What was read of one version, put together for the verifiers."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_hub.gate.types import Status
from prompt_hub.promotion.promoter import Promotion
from prompt_hub.provenance.calls import Call
from prompt_hub.provenance.git_history import GitEvidence
from prompt_hub.provenance.stage_reader import LedgerEvidence, ReleaseEvidence
from prompt_hub.repository.commits import Commit

FETCH = "Fetch the branch and its history, or restore it from another clone."
UNDO = "Undo the edit: git log -p names it, prompt-hub validate shows the rest."
RELEASE_ANEW = "Release again, and find out who changed it: a release never changes."
LEDGER = "Compare with a point-in-time copy of the table: nobody edits it by hand."
NEEDS_STAGE = "needs --stage NAME"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that was read of one version of one task; None is what was not asked for."""

    task: str
    version: str
    git: GitEvidence
    call: Call | None = None
    digest: str | None = None
    """The digest that a trace began with."""
    release: ReleaseEvidence | None = None
    released_commit: Commit | None = None
    """The commit that the release's manifest names."""
    released_sha256: str | None = None
    """The version's hash, recomputed from its content at that commit."""
    ledger: LedgerEvidence | None = None
    stage: str | None = None
    promotion: Promotion | None = None
    """What the execution that promoted the version left in the results bucket."""
    promoted_sha256: str | None = None
    """The version's hash, recomputed from its content at the commit that `promotion` names."""
    evaluation_text: str | None = None
    """The record that the results bucket has."""

    @property
    def registered_hash(self) -> str | None:
        """The version's hash in the registry; None where it has no entry."""
        return self.git.registered.sha256 if self.git.registered else None

    @property
    def left_open(self) -> str | None:
        """Why the version is a candidate that was left open; None where it is not.

        Such a one has its record in git and no entry in the registry. One that was released, or
        that answers, should have one.
        """
        evaluation = self.git.evaluation
        if self.git.registered or self.git.released or self.call or evaluation is None:
            return None
        verdict = evaluation.record.verdict
        if verdict.status is not Status.INCONCLUSIVE or verdict.promotes:
            return None
        return f"left open: {'; '.join(verdict.reasons)}"
