"""From what somebody holds in their hands to its chains: reads, and lets the verifiers judge."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.provenance.calls import Call, call_in, calls_in, line_at
from prompt_hub.provenance.chain import Chain
from prompt_hub.provenance.evidence import LEDGER, Evidence
from prompt_hub.provenance.git_history import GitEvidence, GitHistory
from prompt_hub.provenance.stage_reader import LedgerEvidence, ReleaseEvidence, StageReader
from prompt_hub.provenance.verify import hops
from prompt_hub.repository.schema import VERSION_PATTERN

TRACE_ID = re.compile(r"[0-9a-f]{32}|1-[0-9a-f]{8}-[0-9a-f]{24}")
DIGEST = re.compile(r"(?:.*@)?(sha256:[0-9a-f]{64})")
PLACE = re.compile(r"(?P<file>.+):(?P<line>[1-9][0-9]*)")
VERSION = re.compile(rf"(?P<task>[a-z0-9-]+)[@ ](?P<version>{VERSION_PATTERN.strip('^$')})")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a trace begins with; one of these is set."""

    call: Call | None = None
    version: tuple[str, str] | None = None
    digest: str | None = None
    release: str | None = None


class Tracer:
    """Traces in one repository, and in one stage where one is named."""

    def __init__(self, git: GitHistory, stage: StageReader | None) -> None:
        self._git, self._stage = git, stage
        self._ledger: LedgerEvidence | None = None
        self._releases: dict[str, ReleaseEvidence] = {}
        self._versions: dict[tuple[str, str], GitEvidence] = {}

    def subject(self, words: Sequence[str], files: Sequence[Path]) -> Subject:
        """Tell what `words` name; a trace id is looked for in `files`, then in the stage's log.

        Raises `PromptHubError` where they name nothing that is known.
        """
        text = " ".join(words).strip()
        if text.startswith("{"):
            return Subject(call=_call_of(text, "the line"))
        if (found := VERSION.fullmatch(text)) is not None:
            return Subject(version=(found["task"], found["version"]))
        if (found := DIGEST.fullmatch(text)) is not None:
            return Subject(digest=found[1])
        if TRACE_ID.fullmatch(text):
            return Subject(call=self._logged(text, files))
        if (found := PLACE.fullmatch(text)) is not None:
            return Subject(call=_call_of(line_at(Path(found["file"]), int(found["line"])), text))
        return Subject(release=text)

    def chains(self, subject: Subject) -> tuple[Chain, ...]:
        """Return the chain of every version that the subject is about.

        Raises `PromptHubError` where a release or an image is not known, no stage is named, or the
        clone is a shallow one.
        """
        self._git.require_all()
        if subject.call is not None:
            call = subject.call
            return (self._chain(call.task, call.version, call.release, call=call),)
        if subject.version is not None:
            task, version = subject.version
            return (self._chain(task, version, self._newest_release(task, version)),)
        stage = self._needed()
        release = subject.release
        if subject.digest is not None:
            release = stage.release_of_image(subject.digest)
        found = self._release(release) if release else None
        if release is None or found is None or found.manifest is None:
            what = f"release {release}" if release else f"image {subject.digest}"
            expected = "its manifest in the results bucket" if release else "it in ECR"
            raise _broken(
                "release" if release else "image",
                f"found no {what}; expected {expected}.",
                "Name another one: prompt-hub ledger show has the releases of a stage.",
            )
        return tuple(
            self._chain(task, carried.champion, release, digest=subject.digest)
            for task, carried in sorted(found.manifest.tasks.items())
            if carried.champion is not None
        )

    def _logged(self, trace_id: str, files: Iterable[Path]) -> Call:
        logged = self._stage.calls(trace_id) if self._stage else ()
        for call in itertools.chain(calls_in(files), logged):
            if call.trace_id == trace_id:
                return call
        where = f"the log of stage {self._stage.stage}" if self._stage else "the files of --in"
        raise _broken(
            "call",
            f"found no call {trace_id} in {where}; expected its line.",
            "Calls that were refused before a model was asked are not logged; logs are kept for"
            " three months.",
        )

    def _chain(
        self,
        task: str,
        version: str,
        release: str | None,
        *,
        call: Call | None = None,
        digest: str | None = None,
    ) -> Chain:
        git, stage = self._evidence(task, version), self._stage
        found = self._release(release) if release and stage else None
        manifest = found.manifest if found else None
        commit = self._git.commits.find(manifest.commit) if manifest else None
        promotion, evaluation_text = None, None
        if stage is not None and git.released and git.released.execution:
            with _at_hop("promotion"):
                promotion = stage.promotion(git.released.execution)
        record = git.evaluation.record if git.evaluation else None
        if stage is not None and record and git.recorded and git.recorded.execution:
            evaluation_text = stage.results.get(aws_names.evaluation_key(record.execution, task))
        evidence = Evidence(
            task=task,
            version=version,
            git=git,
            call=call,
            digest=digest,
            release=found,
            released_commit=commit,
            released_sha256=self._sha256_at(commit.sha, task, version) if commit else None,
            ledger=self._state() if stage else None,
            stage=stage.stage if stage else None,
            promotion=promotion,
            promoted_sha256=(
                self._sha256_at(promotion.released_commit, task, version) if promotion else None
            ),
            evaluation_text=evaluation_text,
        )
        return Chain(task=task, version=version, hops=hops(evidence))

    def _sha256_at(self, commit: str, task: str, version: str) -> str | None:
        try:
            return self._git.prompt_sha256(commit, task, version)
        except PromptHubError as error:
            return f"none: {error.message}"

    def _newest_release(self, task: str, version: str) -> str | None:
        """Return the release that runs, if it has the version; else the one that promoted it."""
        if self._stage is None:
            return None
        deployed = self._state().deployed
        if deployed is not None and version in deployed.carries.get(task, {}):
            return deployed.release.release
        released = self._evidence(task, version).released
        return released.execution if released else None

    def _evidence(self, task: str, version: str) -> GitEvidence:
        if (task, version) not in self._versions:
            with _at_hop("version"):
                self._versions[task, version] = self._git.evidence(task, version)
        return self._versions[task, version]

    def _needed(self) -> StageReader:
        if self._stage is None:
            raise PromptHubError(
                "only a stage knows releases and images.", hint="Name one with --stage."
            )
        return self._stage

    def _state(self) -> LedgerEvidence:
        if self._ledger is None:
            stage = self._needed()
            with _at_hop("activation"):
                self._ledger = stage.ledger()
        return self._ledger

    def _release(self, release: str) -> ReleaseEvidence:
        if release not in self._releases:
            stage = self._needed()
            with _at_hop("release"):
                self._releases[release] = stage.release(release)
        return self._releases[release]


@contextmanager
def _at_hop(name: str) -> Iterator[None]:
    """Name the hop whose link is there and cannot be read."""
    try:
        yield
    except PromptHubError as error:
        raise _broken(name, error.message, error.hint) from None
    except (KeyError, ValueError) as error:
        raise _broken(name, f"an item that nobody can read ({error}).", LEDGER) from None


def _broken(hop: str, reason: str, hint: str) -> PromptHubError:
    return PromptHubError(f"broken at hop {hop}: {reason}", hint=hint, exit_code=ExitCode.BLOCKED)


def _call_of(text: str, where: str) -> Call:
    call = call_in(text, where)
    if call is None:
        raise PromptHubError(
            f"{where} is no call: it is no line of the execution log and of no batch output.",
            hint='A call names task, version and sha256, and has "record" or is a "prompt_call".',
        )
    return call
