"""Every hop in its order, each with its verifier. Pure."""

from __future__ import annotations

from prompt_hub.provenance.chain import Hop
from prompt_hub.provenance.evidence import Evidence
from prompt_hub.provenance.verify_live import verify_activation, verify_promotion, verify_rollback
from prompt_hub.provenance.verify_measured import (
    verify_commit,
    verify_evaluation,
    verify_inputs,
    verify_model,
)
from prompt_hub.provenance.verify_served import (
    verify_call,
    verify_image,
    verify_release,
    verify_task_definition,
    verify_version,
)


def hops(evidence: Evidence) -> tuple[Hop, ...]:
    """Verify every hop, from the call, where a trace began with one, to the rollback."""
    return (
        *((verify_call(evidence),) if evidence.call else ()),
        verify_version(evidence),
        verify_release(evidence),
        verify_image(evidence),
        verify_task_definition(evidence),
        verify_evaluation(evidence),
        *verify_inputs(evidence),
        verify_model(evidence),
        verify_commit(evidence),
        verify_promotion(evidence),
        verify_activation(evidence),
        verify_rollback(evidence),
    )
