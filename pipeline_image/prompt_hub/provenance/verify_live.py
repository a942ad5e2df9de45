"""Verifiers from the promotion of a version to the end of its life in a stage. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from prompt_hub.ledger.items import Event, EventKind, VersionState
from prompt_hub.provenance.chain import Fault, Hop, HopState, differs
from prompt_hub.provenance.evidence import FETCH, LEDGER, NEEDS_STAGE, RELEASE_ANEW, UNDO, Evidence
from prompt_hub.provenance.stage_reader import LedgerEvidence
from prompt_hub.repository.commits import Commit
from prompt_hub.repository.registry import VersionState as GitState

_TAKEN_OUT = {
    EventKind.ROLLED_BACK: VersionState.QUARANTINED,
    EventKind.DOWNGRADED: VersionState.DOWNGRADED,
}


def verify_promotion(evidence: Evidence) -> Hop:
    """Hold the commit that released a version against registry, tag and promotion record."""
    git, registered = evidence.git, evidence.git.registered
    if registered is not None and registered.state is GitState.BLOCKED:
        return Hop.without("promotion", HopState.NONE, f"blocked: {registered.reason}")
    if evidence.left_open is not None:
        return Hop.without("promotion", HopState.NONE, evidence.left_open)
    released, recorded = git.released, git.recorded
    if released is None or recorded is None or registered is None:
        expected = "one that brought it into 02-production"
        return Hop.missing("promotion", Fault("no commit that released it", expected, FETCH))
    facts = {
        "commit": released.sha,
        "by": git.released_by or released.author,
        "at": released.at,
        "execution": released.execution or "by hand",
        "tag": git.tag or "",
    }
    faults = [differs("released hash", git.released_as, registered.sha256, "the registry", UNDO)]
    if git.tag is not None:
        source = "the commit that released it"
        faults.append(differs("a tag on", git.tag, released.sha, source, UNDO))
    record = git.evaluation.record if git.evaluation else None
    if recorded.execution is not None and record is not None:
        source, made_by = f"commit {recorded.sha[:12]}", recorded.execution
        faults.append(differs("a record of execution", record.execution, made_by, source, UNDO))
    if evidence.stage is not None and released.execution is not None:
        faults += _promoted(evidence, released)
    return Hop.judged("promotion", facts, faults)


def _promoted(evidence: Evidence, released: Commit) -> Iterator[Fault | None]:
    promotion, source = evidence.promotion, "the history of git"
    if promotion is None:
        found = f"no record of execution {released.execution} in the results bucket"
        yield Fault(found, "what it promoted", RELEASE_ANEW)
        return
    outcome = promotion.tasks.get(evidence.task)
    # A retry of Promote finds the version released, and names the newer commit that it built on.
    retried = outcome is not None and outcome.outcome == "released already"
    if not (retried and evidence.promoted_sha256 == evidence.git.released_as):
        found = promotion.released_commit
        yield differs("a promotion in", found, released.sha, source, RELEASE_ANEW)
    promoted = outcome.version if outcome else None
    yield differs("a promotion of", promoted, evidence.version, source, RELEASE_ANEW)


def verify_activation(evidence: Evidence) -> Hop:
    """Hold the ledger's history against itself, the pointer and the registry."""
    ledger = evidence.ledger
    if ledger is None:
        return Hop.without("activation", HopState.NOT_ASKED, NEEDS_STAGE)
    events = ledger.events.get(evidence.task, ())
    reached = [
        event
        for event in events
        if event.reached.version == evidence.version
        and event.kind not in {EventKind.PAGED, EventKind.FROZEN, EventKind.UNFROZEN}
    ]
    pointer = ledger.pointers.get(evidence.task)
    active = pointer is not None and not pointer.retired and pointer.version == evidence.version
    facts = {"stage": evidence.stage, "active now": "yes" if active else "no"}
    facts |= {f"#{event.revision}": _told(event, event.kind.value) for event in reached}
    wanted = evidence.registered_hash
    faults = [
        *_continuity(ledger),
        *_history(evidence.task, ledger),
        *(
            differs(f"#{event.revision} of", event.reached.sha256, wanted, "the registry", LEDGER)
            for event in reached
        ),
    ]
    known = ledger.versions.get(evidence.task, {}).get(evidence.version)
    if known is not None:
        faults.append(differs("a version of", known.sha256, wanted, "the registry", LEDGER))
    deployed, release = ledger.deployed, evidence.release
    manifest = release.manifest if release else None
    if deployed and manifest and deployed.release.release == manifest.release:
        carries, source = manifest.carries(), "the release's manifest"
        faults.append(differs("deployed", deployed.carries, carries, source, LEDGER))
    return Hop.judged("activation", facts, faults, [] if reached else ["never active here"])


def _told(event: Event, what: str) -> str:
    return f"{what} {event.at} by {event.by}: {event.reason}"


def _continuity(ledger: LedgerEvidence) -> Iterator[Fault]:
    """Every revision up to the head has made exactly one event."""
    revisions = sorted(e.revision for events in ledger.events.values() for e in events)
    there = {revision for revision in revisions if revision <= ledger.revision}
    missing = [str(n) for n in range(1, ledger.revision + 1) if n not in there]
    if missing:
        found = f"no event of ledger revision {', '.join(missing[:10])}"
        yield Fault(found, f"one for each of 1..{ledger.revision}", LEDGER)


def _history(task: str, ledger: LedgerEvidence) -> Iterator[Fault | None]:
    """Each event leaves what the one before it reached, and the pointer is where the last led."""
    events = ledger.events.get(task, ())
    for before, event in pairwise(events):
        if event.left is not None:
            source = f"#{before.revision}"
            yield differs(f"#{event.revision} left", event.left, before.reached, source, LEDGER)
    pointer = ledger.pointers.get(task)
    moves = [event for event in events if event.kind is not EventKind.PAGED]
    if pointer is not None and moves and pointer.revision <= ledger.revision:
        last, found = moves[-1], pointer.revision
        yield differs("a pointer to", pointer.active, last.reached, f"#{last.revision}", LEDGER)
        yield differs("a pointer of revision", found, last.revision, "the history", LEDGER)


def verify_rollback(evidence: Evidence) -> Hop:
    """Hold the state of a version against the events that took it out."""
    ledger = evidence.ledger
    if ledger is None:
        return Hop.without("rollback", HopState.NOT_ASKED, NEEDS_STAGE)
    events = ledger.events.get(evidence.task, ())
    out = [
        event
        for event in events
        if event.kind in _TAKEN_OUT and event.left and event.left.version == evidence.version
    ]
    known = ledger.versions.get(evidence.task, {}).get(evidence.version)
    state = known.state if known else None
    back = [e.revision for e in events if e.reached.version == evidence.version]
    last = out[-1] if out and max(back, default=0) < out[-1].revision else None
    found = state.value if state else None
    faults: list[Fault | None] = []
    if last is not None:
        wanted = _TAKEN_OUT[last.kind].value
        faults.append(differs("state", found, wanted, f"#{last.revision}", LEDGER))
    elif state is not None and state.taken_out:
        faults.append(Fault(f"state {state.value}", "an event that took it out", LEDGER))
    facts = {"state": found}
    for event in out:
        way = f"{event.kind.value} to {event.reached.version}"
        facts[f"#{event.revision}"] = _told(event, way)
    if not out and not any(faults):
        return Hop.without("rollback", HopState.NONE, "never taken out here")
    return Hop.judged("rollback", facts, faults)
