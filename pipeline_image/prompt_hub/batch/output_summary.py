"""What the lines of an output say together: counts, versions, errors, tokens and dollars."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from prompt_hub.batch.output_lines import parse_line, usage_from_json
from prompt_hub.batch.run_manifest import (
    RepairOf,
    RunFacts,
    RunFile,
    RunManifest,
    RunOutput,
    Spent,
    VersionCount,
)
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.hashing import file_sha256
from prompt_hub.repository.schema import Format

KINDS = 1000
"""Kinds of errors that are told apart; all others together are one more."""
SHOWN_KINDS = 20
OTHERS = "other errors"
_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|\d+(?:[.,]\d+)*")
_LINE = re.compile(r"line \d+: ")
_LONGEST_KIND = 200


class _Version(NamedTuple):
    version: str
    sha256: str
    release: str | None
    model: str | None


class OutputSummary:
    """Takes the lines of an output one by one, in their order."""

    def __init__(self, source: str) -> None:
        """Sum up what `source` holds, which is said where a line cannot be read."""
        self.records = 0
        self.failed = 0
        self._source = source
        self._last = 0
        self._versions: Counter[_Version] = Counter()
        self._errors: Counter[str] = Counter()
        self._calls = 0
        self._input_tokens = 0
        self._output_tokens = 0
        self._usd = 0.0
        self._priced = True

    def take(self, raw: bytes) -> None:
        """Count a line; raises `PromptHubError` if it is damaged or out of order."""
        try:
            line = parse_line(raw)
        except ValueError as damage:
            raise self._damaged(f"holds what is no line: {damage}") from None
        match line:
            case {"record": int(number), "version": str(version), "sha256": str(digest), **rest}:
                if number <= self._last:
                    raise self._damaged(f"has the record {number} behind {self._last}")
                self._last = number
            case _:
                raise self._damaged("holds what is no line of a record")
        self.records += 1
        release, model, error = rest.get("release"), rest.get("model"), rest.get("error")
        self._versions[
            _Version(
                version,
                digest,
                release if isinstance(release, str) else None,
                model if isinstance(model, str) else None,
            )
        ] += 1
        if isinstance(error, str):
            self.failed += 1
            kind = kind_of(error)
            self._errors[kind if kind in self._errors or len(self._errors) < KINDS else OTHERS] += 1
        usage = usage_from_json(rest.get("usage"))
        if usage is not None:
            self._calls += 1
            self._input_tokens += usage.input_tokens
            self._output_tokens += usage.output_tokens
            self._usd += usage.usd or 0.0
            self._priced = self._priced and usage.usd is not None

    def to_manifest(
        self,
        run: RunFacts,
        outputs: tuple[RunOutput, ...],
        repair_of: RepairOf | None = None,
        *,
        taken_up: bool = False,
    ) -> RunManifest:
        """Return the manifest of a run that ends now with this output.

        One that was `taken_up` began in an earlier process, and nobody knows how long that asked.
        """
        ended = datetime.now(UTC)
        seconds = None if taken_up else round((ended - run.started).total_seconds(), 3)
        return RunManifest(
            schema_="prompt-hub/run-manifest@1",
            **run.model_dump(include={*RunFacts.model_fields}),
            outputs=outputs,
            records=self.records,
            answered=self.records - self.failed,
            failed=self.failed,
            errors=self.errors,
            answered_by=self.answered_by,
            spent=self.spent(seconds),
            ended=ended,
            repair_of=repair_of,
        )

    def spent(self, seconds: float | None) -> Spent:
        """Return what all calls came to, which took so many seconds on the clock."""
        return Spent(
            calls=self._calls,
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
            usd=round(self._usd, 9) if self._priced else None,
            seconds=seconds,
        )

    @property
    def errors(self) -> dict[str, int]:
        """The commonest kinds of errors, and how many lines say them."""
        ranked = sorted(self._errors.items(), key=lambda item: (-item[1], item[0]))
        shown = dict(ranked[:SHOWN_KINDS])
        if rest := sum(count for _, count in ranked[SHOWN_KINDS:]):
            shown[OTHERS] = shown.get(OTHERS, 0) + rest
        return shown

    @property
    def answered_by(self) -> tuple[VersionCount, ...]:
        """How many records each version has answered, the first one first."""
        return tuple(
            VersionCount(**version._asdict(), records=count)
            for version, count in self._versions.items()
        )

    def _damaged(self, what: str) -> PromptHubError:
        return PromptHubError(
            f"{self._source} {what}.",
            hint="Another program has written into it; the run can be made again.",
            exit_code=ExitCode.BLOCKED,
        )


def kind_of(error: str) -> str:
    """Return an error without what is particular to its record.

    >>> kind_of("line 12: 3 cells, where the header has 4")
    '… cells, where the header has …'
    """
    text = _PARTICULAR.sub("…", _LINE.sub("", error, count=1))
    return text if len(text) <= _LONGEST_KIND else text[:_LONGEST_KIND] + "…"


def summarise(path: Path) -> OutputSummary:
    """Sum up an output as it lies on disk."""
    summary = OutputSummary(str(path))
    with path.open("rb") as lines:
        for line in lines:
            summary.take(line)
    return summary


def describe(path: Path, uri: str, form: Format) -> RunOutput:
    """Describe one form of an output, which lies at `path` and belongs at `uri`."""
    file = file_as_read(path, uri)
    return RunOutput(**file.model_dump(), format=form)


def file_as_read(path: Path, uri: str) -> RunFile:
    """Describe a file as it lies at `path`; `uri` says where it belongs."""
    return RunFile(uri=uri, sha256=file_sha256(path), bytes=path.stat().st_size)
