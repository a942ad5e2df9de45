"""Verifiers from an evaluation record to the commit that was measured. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from prompt_hub.evaluation.replay import FILES, PROGRAM, Change
from prompt_hub.evaluation.results import LOCAL_EXECUTION
from prompt_hub.provenance.chain import Facts, Fault, Hop, HopState, differs
from prompt_hub.provenance.evidence import FETCH, UNDO, Evidence
from prompt_hub.repository.registry import VersionState

_RECORDED = {
    "examples": (("examples",), ("examples_sha256",)),
    "metadata": (("metadata",), ("metadata_sha256",)),
    "scorers": (("scorers", "gate"), ("scorers_version", "gate_version")),
}
"""Hop by hop, its inputs and what the record says of them."""


def verify_evaluation(evidence: Evidence) -> Hop:
    """Hold the record against its seal, the registry, and itself made again."""
    git, registered = evidence.git, evidence.git.registered
    if git.evaluation is None:
        expected = "the record that released it, and its example results"
        return Hop.missing("evaluation", Fault(git.evaluation_problem, expected, FETCH))
    record = git.evaluation.record
    arm = record.candidate
    facts = {
        "execution": record.execution,
        "verdict": record.verdict.status.value,
        "score": arm.score if arm else None,
        "threshold": record.threshold,
        "seal": git.seal,
        "overridden by": record.verdict.overridden_by or "",
    }
    faults: list[Fault | None] = []
    if registered is not None:
        source = "the registry"
        faults += [
            differs("evidence", git.seal, registered.evaluation_sha256, source, UNDO),
            differs("score", arm.score if arm else None, registered.score, source, UNDO),
            differs("threshold", record.threshold, registered.threshold, source, UNDO),
            differs("commit", record.commit, registered.commit, source, UNDO),
            differs("prompt", arm.sha256 if arm else None, registered.sha256, source, UNDO),
        ]
        if registered.state is VersionState.RELEASED and not record.verdict.promotes:
            found = f"verdict {record.verdict.status.value}"
            faults.append(Fault(found, "one that promotes", UNDO))
    text = evidence.evaluation_text
    if text is not None and text != git.evaluation.text:
        found = f"another record of execution {record.execution} in the results bucket"
        faults.append(Fault(found, "the one that git has", UNDO))
    faults += _faults(git.changes, None)
    return Hop.judged("evaluation", facts, faults, uncompared=_uncompared(git.changes, PROGRAM))


def _uncompared(changes: Iterable[Change], what: Collection[str]) -> Iterator[str]:
    """Yield why scores, or a verdict, could not be made again."""
    for change in changes:
        if change.what in PROGRAM and change.what in what:
            yield f"not made again: {change.what} {change.how}"


def _faults(changes: Iterable[Change], what: Collection[str] | None) -> Iterator[Fault]:
    """Yield what a replay found; `what` names inputs, None all that is no input."""
    for change in changes:
        if change.what in PROGRAM:
            continue
        if (change.what in what) if what is not None else (change.what not in FILES):
            expected = "the same record, made again from its answers"
            yield Fault(f"{change.what}: {change.how}", expected, UNDO)


def _input(evidence: Evidence, name: str, what: Collection[str], facts: Facts) -> Hop:
    """Return the hop of one kind of input, which the replay at the record's commit has judged."""
    git = evidence.git
    if git.evaluation is None:
        return Hop.without(name, HopState.NONE, "there is no evaluation record")
    record = git.evaluation.record
    unread = git.evaluated is None or any(change.what == "task" for change in git.changes)
    early = record.execution == LOCAL_EXECUTION
    if git.evaluated is not None and early and any(c.what in FILES for c in git.changes):
        note = "measured on a machine, from files that no commit has"
        return Hop(name=name, state=HopState.NOT_RECORDED, facts=facts, notes=(note,))
    if unread and name != "commit":
        note = "not compared: the commit to read it from is missing or cannot be read"
        return Hop(name=name, state=HopState.NONE, facts=facts, notes=(note,))
    if git.evaluated is None:
        found = f"no commit {record.commit} in this clone"
        return Hop.missing(name, Fault(found, "the inputs of the evaluation", FETCH), facts)
    at = git.inputs_at
    notes = ["measured on a machine, and committed with its record"]
    moved = at is not None and at.sha != git.evaluated.sha
    faults, uncompared = _faults(git.changes, what), _uncompared(git.changes, what)
    return Hop.judged(name, facts, faults, notes if moved else [], uncompared)


def verify_inputs(evidence: Evidence) -> Iterator[Hop]:
    """Hold examples, metadata, scorers and gate at the record's commit against the record."""
    evaluation = evidence.git.evaluation
    for name, (what, facts) in _RECORDED.items():
        record = evaluation.record if evaluation else None
        recorded = {fact: str(getattr(record, fact)) for fact in facts} if record else {}
        yield _input(evidence, name, what, recorded)


def verify_model(evidence: Evidence) -> Hop:
    """Hold the model that was measured against the registry and the call."""
    git, registered, call = evidence.git, evidence.git.registered, evidence.call
    arm = git.evaluation.record.candidate if git.evaluation else None
    if arm is None:
        return Hop.without("model", HopState.NONE, "nothing was measured")
    facts = {"alias": arm.alias, "identity": arm.model, "answered by": ", ".join(arm.answered_by)}
    if registered is None:
        return Hop.judged("model", facts)
    identity = registered.model.identity
    faults = [differs("a record of model", arm.model, identity, "the registry", UNDO)]
    if call is not None and call.model is not None:
        known = identity.partition(":")[2].partition("+")[0] if call.kind == "log" else identity
        mend = "Measure the version on this model, or answer with the one that it was measured on."
        faults.append(differs("a call answered by", call.model, known, "the registry", mend))
    return Hop.judged("model", facts, faults)


def verify_commit(evidence: Evidence) -> Hop:
    """Hold the candidate at the record's commit against the record."""
    git = evidence.git
    at = git.inputs_at or git.evaluated
    facts: dict[str, str | None] = {}
    if at is not None:
        facts = {"commit": at.sha, "author": at.author, "at": at.at, "subject": at.subject}
    hop = _input(evidence, "commit", ("candidate", "champion", "task"), facts)
    promotion, record = evidence.promotion, git.evaluation.record if git.evaluation else None
    if promotion is None or record is None or promotion.execution != record.execution:
        return hop
    source = f"the promotion record of {promotion.execution}"
    other = differs("a record of commit", record.commit, promotion.commit, source, UNDO)
    return hop if other is None else Hop.judged("commit", hop.facts, [*hop.faults, other])
