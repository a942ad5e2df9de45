"""Details of records that are too large for git: they lie in the results under their hash.

What else would be the details, beside a record and in `04-evals`, is then one line that names
them. So git gets that line, a record and its line are sealed together, and the answers themselves
are stored once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Literal

from pydantic import Field

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.slots import Slots
from prompt_hub.evaluation.example_results import ArmName, ExampleResult, parse_line
from prompt_hub.evaluation.record import RESTORE
from prompt_hub.evaluation.results import RESULTS_DIR, SPOOLED_BYTES, Results
from prompt_hub.repository.documents import (
    MAX_GROWING_BYTES,
    InvalidDocumentsError,
    Problem,
    first_of,
    to_model,
)
from prompt_hub.repository.example_sets import StoredReference, open_kept, open_stored
from prompt_hub.repository.json import parse_jsonl

_KEY = rf"{aws_names.LARGE_DETAILS}[0-9a-f]{{64}}\.jsonl"
_BEGINNING = '{"schema":"prompt-hub/details@1"'


class LargeDetails(StoredReference):
    """A reference to details that are too large for git."""

    schema_: Annotated[Literal["prompt-hub/details@1"], Field(alias="schema")]
    uri: Annotated[str, Field(pattern=rf"^(s3://[a-z0-9.-]+/)?{_KEY}$")]
    """Where they lie; without a bucket, in the results of the machine that measured."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines can read them."""
        return self.uri.startswith("s3://")


def large_details_in(text: str, file: str) -> LargeDetails | None:
    """Return the reference that stands in the place of details, None where they stand themselves.

    Raises `InvalidDocumentsError` for one that is not as it should be.
    """
    if not text.startswith(_BEGINNING):
        return None
    try:
        (_, document), *more = parse_jsonl(text, file)
        reference = to_model(document, LargeDetails)
        if not reference.uri.endswith(aws_names.details_key(reference.sha256)):
            expected = f"a name that is its hash, {reference.sha256}.jsonl"
            raise InvalidDocumentsError([document.problem(("uri",), reference.uri, expected)])
        for number, _ in more:
            expected = "the reference to details and nothing else"
            raise InvalidDocumentsError([Problem(file, number, 1, "", "more", expected)])
    except InvalidDocumentsError as error:
        raise first_of(error, RESTORE) from None
    return reference


def put_details(results: Results, keys: Sequence[str], lines: Iterable[str]) -> None:
    """Store the details of a record under each of `keys`, or a reference where they are large."""
    sha256, answers = hashlib.sha256(), 0
    with SpooledTemporaryFile(max_size=SPOOLED_BYTES) as body:
        for line in lines:
            raw = f"{line}\n".encode()
            answers += 1
            sha256.update(raw)
            body.write(raw)
        size = body.tell()
        if size <= MAX_GROWING_BYTES:
            results.put_file(keys, body)
            return
        key = aws_names.details_key(sha256.hexdigest())
        results.put_file([key], body)
    reference = LargeDetails(
        schema_="prompt-hub/details@1",
        uri=results.uri(key),
        sha256=sha256.hexdigest(),
        size=size,
        count=answers,
    )
    for key in keys:
        results.put(key, reference.line())


def _opened(reference: LargeDetails, file: str, kept: Path) -> IO[bytes]:
    if reference.is_shared:
        return open_stored(reference, file, kept, RESTORE)
    here = str(RESULTS_DIR / reference.uri)
    try:
        return open_kept(reference, here, kept)
    except InvalidDocumentsError as error:
        hint = f"Evaluate again with --fresh: the answers of {file} lie nowhere else."
        raise first_of(error, hint) from None


class LargeAnswers:
    """The answers in large details, each read from its line when it is taken."""

    def __init__(self, reference: LargeDetails, file: str, root: Path) -> None:
        """Open what `file` refers to, fetched into the checkout at `root` if need be.

        Raises:
            PromptHubError: it cannot be read, or is not what the reference says.
        """
        kept = root / RESULTS_DIR / aws_names.details_key(reference.sha256)
        if not reference.is_shared and not kept.is_file():
            raise PromptHubError(
                f"{file}: its answers lie on the machine that measured them.",
                hint="Replay it there, or evaluate again with the results bucket.",
                exit_code=ExitCode.NOT_MEASURED,
            )
        self._file = file
        self._lines = _opened(reference, file, kept)
        self._starts, start = Slots(), 0
        self.left = 0
        """How many were not taken."""
        for line in self._lines:
            fields = json.loads(line)
            self._starts[_key(fields["arm"], fields["id"], fields.get("repeat", 0))] = start + 1
            start += len(line)
            self.left += 1

    def take(self, arm: ArmName, example: str, repeat: int) -> ExampleResult | None:
        """Return an answer that was not taken before, None where there is none."""
        key = _key(arm, example, repeat)
        start = int(self._starts[key])
        if start <= 0:
            return None
        self._starts[key] = -1
        self._lines.seek(start - 1)
        result = parse_line(self._lines.readline().decode("utf-8"))
        if (result.id, result.repeat) != (example, repeat):
            return None  # Another key that ends alike.
        self.left -= 1
        return result


def _key(arm: str, example: str, repeat: int) -> int:
    return hash((arm, example, repeat))
