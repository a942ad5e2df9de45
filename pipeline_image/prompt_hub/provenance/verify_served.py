"""Verifiers from a call to the image that answered it. Pure."""

from __future__ import annotations

from prompt_hub.provenance.calls import Call
from prompt_hub.provenance.chain import RECORDED_SINCE, Fault, Hop, HopState, differs
from prompt_hub.provenance.evidence import FETCH, LEDGER, NEEDS_STAGE, RELEASE_ANEW, UNDO, Evidence
from prompt_hub.provenance.stage_reader import LedgerEvidence
from prompt_hub.repository.registry import VersionState


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
        faults.append(differs("a call answered by", call.sha256, carried, source, RELEASE_ANEW))
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
        expected = f"an event of {call.task} with that revision"
        return Fault(found=found, expected=expected, mend=LEDGER)
    served = (call.version, call.sha256)
    reached = (event.reached.version, event.reached.sha256)
    return differs(found + " with", served, reached, "that event", LEDGER)


def verify_version(evidence: Evidence) -> Hop:
    """Hold the registry against the content of the prompt, hashed anew."""
    git, registered = evidence.git, evidence.git.registered
    name = f"{evidence.task} {evidence.version}"
    if registered is None:
        fault = Fault(
            found=f"no {name} in the registry of HEAD",
            expected="an entry of every version that was ever judged",
            mend=FETCH,
        )
        return Hop.judged("version", {}, [fault])
    facts = {"state in git": registered.state.value, "sha256": registered.sha256}
    faults: list[Fault | None] = []
    if git.prompt_problem:
        faults.append(Fault(found=git.prompt_problem, expected="a whole lock", mend=UNDO))
    elif registered.state is not VersionState.BLOCKED:
        faults.append(
            differs("content that hashes to", git.prompt_sha256, registered.sha256, "git", UNDO)
        )
    if evidence.call is not None:
        found = evidence.call.sha256
        faults.append(
            differs("a call answered by", found, registered.sha256, "the registry", FETCH)
        )
    return Hop.judged("version", facts, faults)


def _no_release(evidence: Evidence, name: str) -> Hop | None:
    if evidence.stage is None:
        return Hop.without(name, HopState.NOT_ASKED, NEEDS_STAGE)
    if evidence.release is None:
        called = evidence.call is not None
        why = "it was answered outside of any release" if called else "no release of it is known"
        return Hop.without(name, HopState.NONE, why)
    return None


def verify_release(evidence: Evidence) -> Hop:
    """Hold a release's manifest against its promotion and the commit that it names."""
    absent = _no_release(evidence, "release")
    if absent is not None:
        return absent
    release = evidence.release
    assert release is not None
    manifest = release.manifest
    if manifest is None:
        found, expected = "no manifest in the results bucket", f"that of release {release.release}"
        fault = Fault(found=found, expected=expected, mend=RELEASE_ANEW)
        return Hop.judged("release", {"release": release.release}, [fault])
    facts = {
        "release": release.release,
        "made": manifest.made_at.isoformat(),
        "commit": manifest.commit,
    }
    carried = manifest.carries().get(evidence.task, {}).get(evidence.version)
    faults = [
        differs("a manifest of", manifest.release, release.release, "its key", RELEASE_ANEW),
        differs("carried hash", carried, evidence.registered_hash, "the registry", RELEASE_ANEW),
        differs(
            "a manifest of commit",
            manifest.commit,
            release.promotion.released_commit if release.promotion else None,
            "the record of its promotion",
            RELEASE_ANEW,
        ),
    ]
    if evidence.released_commit is None:
        found = f"no commit {manifest.commit} in this clone"
        faults.append(Fault(found=found, expected="the tree of the release", mend=FETCH))
    else:
        where = f"{evidence.version} at commit {manifest.commit[:12]}"
        faults.append(
            differs("carried hash", carried, evidence.released_sha256, where, RELEASE_ANEW)
        )
    return Hop.judged("release", facts, faults)


def verify_image(evidence: Evidence) -> Hop:
    """Hold the image that was pushed against the one that the registry of images has."""
    absent = _no_release(evidence, "image")
    if absent is not None:
        return absent
    release = evidence.release
    assert release is not None
    facts = {"digest": release.digest, "tag": release.release}
    faults: list[Fault | None] = []
    if release.digest is None:
        fault = Fault(
            found=f"no image tagged {release.release} in ECR",
            expected="the image of the release",
            mend="ECR keeps the newest 500; where this is a newer one, release again.",
        )
        return Hop.judged("image", facts, [fault])
    if evidence.digest is not None:
        faults.append(differs("digest", evidence.digest, release.digest, "ECR", RELEASE_ANEW))
    if release.image is None:
        note = f"digest at the push not recorded before {RECORDED_SINCE}"
        if not any(faults):
            return Hop(name="image", state=HopState.NOT_RECORDED, facts=facts, notes=(note,))
        return Hop.judged("image", facts, faults, [note])
    manifest = release.manifest
    faults += [
        differs("ECR's digest", release.digest, release.image.digest, "the push", RELEASE_ANEW),
        differs(
            "an image of commit",
            release.image.commit,
            manifest.commit if manifest else None,
            "the manifest",
            RELEASE_ANEW,
        ),
    ]
    return Hop.judged("image", facts, faults)


def verify_task_definition(evidence: Evidence) -> Hop:
    """Hold the task definitions of a release against its image."""
    absent = _no_release(evidence, "task-definition")
    if absent is not None:
        return absent
    release = evidence.release
    assert release is not None
    found = release.task_definitions
    facts = {"arn": found[0].arn if found else None}
    if not found:
        fault = Fault(
            found=f"no task definition of release {release.release} in {evidence.stage}",
            expected="one that runs its image",
            mend="The release may not have reached this stage: see its deployment in CodePipeline.",
        )
        return Hop.judged("task-definition", facts, [fault])
    faults: list[Fault | None] = []
    for definition in found:
        tag = definition.image.rpartition(":")[2]
        source = f"the environment of {definition.arn}"
        faults.append(differs("an image tagged", tag, definition.release, source, RELEASE_ANEW))
        if release.image is not None and tag == release.release:
            wanted = release.image.image
            faults.append(differs("image", definition.image, wanted, "the push", RELEASE_ANEW))
    return Hop.judged("task-definition", facts, faults)
