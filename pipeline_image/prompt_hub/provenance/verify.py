"""Every hop in its order, each with its verifier. Pure."""

from __future__ import annotations

from prompt_hub.provenance.chain import Hop
from prompt_hub.provenance.evidence import Evidence
from prompt_hub.provenance.verify_live import verify_activation, verify_promotion, verify_rollback
from prompt_hub.provenance.verify_measured import (
    verify_commit,
    verify_evaluation,
    verify_examples,
    verify_metadata,
    verify_model,
    verify_scorers,
)
from prompt_hub.provenance.verify_served import (
    verify_call,
    verify_image,
    verify_release,
    verify_task_definition,
    verify_version,
)

VERIFIERS = (
    verify_version,
    verify_release,
    verify_image,
    verify_task_definition,
    verify_evaluation,
    verify_examples,
    verify_metadata,
    verify_scorers,
    verify_model,
    verify_commit,
    verify_promotion,
    verify_activation,
    verify_rollback,
)
"""From the version on, in the order in which a chain is told."""


def hops(evidence: Evidence) -> tuple[Hop, ...]:
    """Verify every hop, from the call, where a trace began with one, to the rollback."""
    call = (verify_call(evidence),) if evidence.call else ()
    return (*call, *(verifier(evidence) for verifier in VERIFIERS))
