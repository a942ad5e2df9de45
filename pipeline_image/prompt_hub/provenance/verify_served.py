"""Verifiers from a call to the image that answered it. Pure."""

from __future__ import annotations

from functools import partial

from prompt_hub.provenance.calls import Call
from prompt_hub.provenance.chain import RECORDED_SINCE, Fault, Hop, HopState, differs
from prompt_hub.provenance.evidence import FETCH, LEDGER, NEEDS_STAGE, RELEASE_ANEW, UNDO, Evidence
from prompt_hub.provenance.stage_reader import LedgerEvidence, ReleaseEvidence
from prompt_hub.repository.registry import VersionState

# A release never changes: whatever differs of it is mended by releasing again.
_release_differs = partial(differs, mend=RELEASE_ANEW)


def verify_call(evidence: Evidence) -> Hop:
    """Hold a call against the manifest of its release and the ledger's history."""
    call, release = evidence.call, evidence.release
    assert call is not None
    facts = {
        "kind": call.kind,
        "at": call.at or "",
        "where": call.where,
        "trace_id": call.trace_id or "",
        "outcome": call.outcome,
        "sha256": call.sha256,
    }
    faults: list[Fault | None] = []
    notes = []
    manifest = release.manifest if release else None
    if manifest is not None:
        carried = manifest.carries().get(call.task, {}).get(call.version)
        source = f"the manifest of release {manifest.release}"
        faults.append(_release_differs("a call answered by", call.sha256, carried, source))
    if call.stage is not None and evidence.stage is not None:
        mend = f"Ask with --stage {call.stage}."
        faults.append(differs("a call of stage", call.stage, evidence.stage, "--stage", mend))
    if call.kind == "log":
        if call.revision is None:
            notes.append(f"ledger revision not recorded before {RECORDED_SINCE}")
        elif evidence.ledger is not None and call.revision > 0:
            faults.append(_moved_by(call, evidence.ledger))
    elif call.trace_id is None:
        notes.append(
            f"trace id not recorded before {RECORDED_SINCE}, and none where no service is asked"
        )
    return Hop.judged("call", facts, faults, notes)


def _moved_by(call: Call, ledger: LedgerEvidence) -> Fault | None:
    """Return what is wrong with the ledger's revision that a logged call names."""
    events = {event.revision: event for event in ledger.events.get(call.task, ())}
    event = events.get(call.revision or 0)
    found = f"ledger revision {call.revision} in the call"
    if event is None:
        return Fault(found, f"an event of {call.task} with that revision", LEDGER)
    served = (call.version, call.sha256)
    reached = (event.reached.version, event.reached.sha256)
    return differs(found + " with", served, reached, "that event", LEDGER)


def verify_version(evidence: Evidence) -> Hop:
    """Hold the registry against the content of the prompt, hashed anew."""
    git, registered = evidence.git, evidence.git.registered
    name = f"{evidence.task} {evidence.version}"
    if evidence.left_open is not None:
        return Hop.without("version", HopState.NONE, evidence.left_open)
    if registered is None:
        expected = "an entry of every version that was released or blocked"
        return Hop.missing("version", Fault(f"no {name} in the registry of HEAD", expected, FETCH))
    facts = {"state in git": registered.state.value, "sha256": registered.sha256}
    faults: list[Fault | None] = []
    if git.prompt_problem:
        faults.append(Fault(git.prompt_problem, "a whole lock", UNDO))
    elif registered.state is not VersionState.BLOCKED:
        found, known = git.prompt_sha256, registered.sha256
        faults.append(differs("content that hashes to", found, known, "git", UNDO))
    if evidence.call is not None:
        found, known = evidence.call.sha256, registered.sha256
        faults.append(differs("a call answered by", found, known, "the registry", FETCH))
    return Hop.judged("version", facts, faults)


def _release(evidence: Evidence, name: str) -> ReleaseEvidence | Hop:
    """Return the release that the hop `name` is about, or the hop that says why there is none."""
    if evidence.release is not None:
        return evidence.release
    if evidence.stage is None:
        return Hop.without(name, HopState.NOT_ASKED, NEEDS_STAGE)
    called = evidence.call is not None
    why = "it was answered outside of any release" if called else "no release of it is known"
    return Hop.without(name, HopState.NONE, why)


def verify_release(evidence: Evidence) -> Hop:
    """Hold a release's manifest against its promotion and the commit that it names."""
    release = _release(evidence, "release")
    if isinstance(release, Hop):
        return release
    manifest = release.manifest
    if manifest is None:
        expected = f"that of release {release.release}"
        fault = Fault("no manifest in the results bucket", expected, RELEASE_ANEW)
        return Hop.missing("release", fault, {"release": release.release})
    facts = {
        "release": release.release,
        "made": manifest.made_at.isoformat(),
        "commit": manifest.commit,
    }
    commit, carried = manifest.commit, manifest.carries().get(evidence.task, {})
    sha256 = carried.get(evidence.version)
    promoted = release.promotion.released_commit if release.promotion else None
    faults = [
        _release_differs("a manifest of", manifest.release, release.release, "its key"),
        _release_differs("carried hash", sha256, evidence.registered_hash, "the registry"),
        _release_differs("a manifest of commit", commit, promoted, "the record of its promotion"),
    ]
    if evidence.released_commit is None:
        faults.append(Fault(f"no commit {commit} in this clone", "the tree of the release", FETCH))
    else:
        where = f"{evidence.version} at commit {commit[:12]}"
        faults.append(_release_differs("carried hash", sha256, evidence.released_sha256, where))
    return Hop.judged("release", facts, faults)


def verify_image(evidence: Evidence) -> Hop:
    """Hold the image that was pushed against the one that the registry of images has."""
    release = _release(evidence, "image")
    if isinstance(release, Hop):
        return release
    facts = {"digest": release.digest, "tag": release.release}
    faults: list[Fault | None] = []
    if release.digest is None:
        mend = "ECR keeps the newest 500; where this is a newer one, release again."
        found = f"no image tagged {release.release} in ECR"
        return Hop.missing("image", Fault(found, "the image of the release", mend), facts)
    if evidence.digest is not None:
        faults.append(_release_differs("digest", evidence.digest, release.digest, "ECR"))
    if release.image is None:
        note = f"digest at the push not recorded before {RECORDED_SINCE}"
        if not any(faults):
            return Hop(name="image", state=HopState.NOT_RECORDED, facts=facts, notes=(note,))
        return Hop.judged("image", facts, faults, [note])
    commit = release.manifest.commit if release.manifest else None
    faults += [
        _release_differs("ECR's digest", release.digest, release.image.digest, "the push"),
        _release_differs("an image of commit", release.image.commit, commit, "the manifest"),
    ]
    return Hop.judged("image", facts, faults)


def verify_task_definition(evidence: Evidence) -> Hop:
    """Hold the task definitions of a release against its image."""
    release = _release(evidence, "task-definition")
    if isinstance(release, Hop):
        return release
    found = release.task_definitions
    facts = {"arn": found[0].arn if found else None}
    if not found:
        mend = "The release may not have reached this stage: see its deployment in CodePipeline."
        what = f"no task definition of release {release.release} in {evidence.stage}"
        fault = Fault(what, "one that runs its image", mend)
        return Hop.missing("task-definition", fault, facts)
    faults: list[Fault | None] = []
    for definition in found:
        tag = definition.image.rpartition(":")[2]
        source = f"the environment of {definition.arn}"
        faults.append(_release_differs("an image tagged", tag, definition.release, source))
        if release.image is not None and tag == release.release:
            wanted = release.image.image
            faults.append(_release_differs("image", definition.image, wanted, "the push"))
    return Hop.judged("task-definition", facts, faults)
