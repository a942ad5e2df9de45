"""Example sets that are too large for git: they lie in S3 under their hash, and git says where.

`01-examples/TASK.jsonl` then holds one line, a reference, instead of examples. What it names is
fetched once into a folder of the checkout, checked against its hash and read from there, line by
line. An object whose name is its hash never changes, so the reference is what git versions.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Annotated, Literal, Protocol

from pydantic import Field

from prompt_hub.core import aws_names, wording
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import atomic_write, explain_write_errors
from prompt_hub.core.hashing import file_sha256
from prompt_hub.core.json_strict import strict_json
from prompt_hub.repository.documents import InvalidDocumentsError, Problem, to_model
from prompt_hub.repository.examples import read_example_file
from prompt_hub.repository.json import line_document
from prompt_hub.repository.many_examples import NumberedExamples
from prompt_hub.repository.schema import Count, Strict

SETS_DIR = Path(".prompt-hub") / "examples"
"""Where the sets of a checkout are kept, each by its hash."""
LONGEST_REFERENCE = 4096
"""Bytes in which the first line of a file must end to be taken for one."""
RULE = "example-set"
"""The rule that a reference and what it names break."""

HINT = "Put the set there: prompt-hub examples push TASK FILE."

_PIECE = 1 << 20
"""Bytes of a set that are hashed at once."""
_KEY = rf"{aws_names.EXAMPLE_SETS}[0-9a-f]{{64}}\.jsonl"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class StoredReference(Strict):
    """The line in git that stands for what is too large for it."""

    schema_: Annotated[str, Field(alias="schema")]
    uri: str
    """Where it lies."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Hash of its bytes, which its name says, too."""
    size: Annotated[Count, Field(gt=0)]
    """Bytes."""
    count: Annotated[Count, Field(gt=0)]
    """Lines: examples, shots included, or answers."""

    def line(self) -> str:
        """Return the reference as it stands in a file."""
        return self.model_dump_json(by_alias=True) + "\n"


class ExampleSet(StoredReference):
    """A reference to a set in S3."""

    schema_: Annotated[Literal["prompt-hub/examples@1"], Field(alias="schema")]
    uri: Annotated[str, Field(pattern=rf"^s3://{_BUCKET.pattern}/{_KEY}$")]
    """Where the set lies: s3://BUCKET/examples/SHA256.jsonl."""


def reference_in(raw: bytes, file: str) -> ExampleSet | None:
    """Return the reference that a file of examples holds, None where it holds examples.

    Raises `InvalidDocumentsError` for a reference that is not as it should be.
    """
    first, _, rest = raw[:LONGEST_REFERENCE].partition(b"\n")
    try:
        line = first.decode("utf-8")
        data = strict_json(line)
    except ValueError:
        return None
    if not isinstance(data, dict) or "schema" not in data:
        return None
    document = line_document(line, file, 1, data)
    reference = to_model(document, ExampleSet)
    if rest.strip():
        found, expected = "more lines", "the reference to a set and nothing else"
        raise InvalidDocumentsError([Problem(file, 2, 1, "", found, expected, RULE)])
    if not reference.uri.endswith(f"/{reference.sha256}.jsonl"):
        expected = f"a name that is its hash, {reference.sha256}.jsonl"
        raise InvalidDocumentsError(
            [document.problem(("uri",), reference.uri, expected, rule=RULE)]
        )
    return reference


def open_set(reference: ExampleSet, file: str, root: Path) -> IO[bytes]:
    """Return the set that a reference names, fetched if need be and held to its hash.

    Args:
        reference: which set.
        file: whose reference it is, for people.
        root: the checkout that keeps it.

    Raises:
        InvalidDocumentsError: what lies there is not what the reference says.
        PromptHubError: it cannot be read, which is no fault of the reference: NOT_MEASURED.
    """
    return open_stored(reference, file, set_path(reference, root), HINT)


class StoredLines(Protocol):
    """What names JSON lines in S3 by their hash."""

    @property
    def uri(self) -> str:
        """Where they lie."""

    @property
    def sha256(self) -> str:
        """Hash of their bytes."""

    @property
    def size(self) -> int:
        """Bytes."""


def open_stored(reference: StoredLines, file: str, path: Path, hint: str) -> IO[bytes]:
    """Return the lines that a reference names from `path`, where they are fetched to if need be.

    `hint` says what to do where they do not lie in S3. Raises as `open_set` does.
    """
    # Who has nowhere to keep it fetches it for this process alone.
    kept = _kept(reference, file, path, hint)
    return kept or _fetched(reference, TemporaryFile(), file, hint)


def open_kept(reference: StoredLines, file: str, path: Path) -> IO[bytes]:
    """Return the lines that a reference names from `path`, the only place where they lie.

    Raises:
        InvalidDocumentsError: they are not what `file` names.
    """
    return _verified(path.open("rb"), reference, file)


def lines_of_set(reference: ExampleSet, file: str, root: Path) -> Iterator[bytes]:
    """Yield the lines of the set that a reference names; raises as `open_set` does.

    A container, which has neither a disk nor much memory, reads them as they come from S3: what
    lies there is held to its hash behind the last line.
    """
    kept = _kept(reference, file, set_path(reference, root), HINT)
    if kept is None:
        yield from _streamed(reference, file)
    else:
        with kept:
            yield from kept


def _kept(reference: StoredLines, file: str, path: Path, hint: str) -> IO[bytes] | None:
    """Return lines as this checkout keeps them, fetched if need be; None where it can keep none."""
    with suppress(OSError, InvalidDocumentsError):
        return _verified(path.open("rb"), reference, file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        can_keep = os.access(path.parent, os.W_OK)
    except OSError:
        can_keep = False
    if not can_keep:
        return None
    with explain_write_errors(path), atomic_write(path) as stream:
        fetched = _fetched(reference, stream, file, hint)
        _set_aside(path, reference, file)
        _forbid_writing(stream)
        return fetched


def _set_aside(path: Path, reference: StoredLines, file: str) -> None:
    """Keep what somebody wrote into the file at `path` beside it, and say where.

    It is named by its hash: the same edit is kept once.
    """
    if not path.is_file():
        return
    sha256 = file_sha256(path)
    if sha256 == reference.sha256:
        return  # Another process has fetched it meanwhile.
    aside = path.with_name(f"{path.stem}.edited-{sha256[:12]}.jsonl")
    path.replace(aside)
    lines = f"{path} was changed, and {file} names it as it was: the change is kept in {aside}"
    if isinstance(reference, ExampleSet):
        words = ["prompt-hub", "examples", "push", Path(file).stem, str(aside)]
        lines += f"\n  to make it the task's set: {shlex.join(words)}"
    print(lines, file=sys.stderr, flush=True)


def _forbid_writing(stream: IO[bytes]) -> None:
    """Let an editor ask before it changes what has to have its hash."""
    with suppress(OSError):  # Not every file system has such bits.
        os.fchmod(stream.fileno(), os.fstat(stream.fileno()).st_mode & 0o444)


def set_path(reference: ExampleSet, root: Path) -> Path:
    """Return where a checkout keeps the set that a reference names."""
    return root / SETS_DIR / f"{reference.sha256}.jsonl"


def examples_of(reference: ExampleSet, file: str, root: Path) -> NumberedExamples:
    """Return the examples of a set with their lines; raises as `open_set`, and for what is amiss.

    A set of more than a few is read again from its file, example by example, whenever it is looked
    at.
    """
    examples = read_example_file(open_set(reference, file, root), file)
    if len(examples) != reference.count:
        raise _invalid(file, "count", wording.count(len(examples), "example"), str(reference.count))
    return examples


def push_set(path: Path, file: str, bucket: str, root: Path) -> ExampleSet:
    """Put the examples in a file into a bucket, keep them here, and return their reference.

    Raises:
        InvalidDocumentsError: with all that is wrong with them.
        PromptHubError: they cannot be stored, or were changed meanwhile.
    """
    from prompt_hub.repository.example_objects import size_of, store

    sha256, size = file_sha256(path), path.stat().st_size
    count = len(read_example_file(path.open("rb"), file))
    if not count:
        raise _invalid(file, "", "no examples", "at least one")
    if not _BUCKET.fullmatch(bucket):
        raise PromptHubError(
            f"{bucket!r} is no name of a bucket.",
            hint="Give its name alone, without s3:// and folders.",
        )
    reference = ExampleSet(
        schema_="prompt-hub/examples@1",
        uri=f"s3://{bucket}/{aws_names.examples_key(sha256)}",
        sha256=sha256,
        size=size,
        count=count,
    )
    kept = set_path(reference, root)
    with explain_write_errors(kept):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as stream, atomic_write(kept) as copy:
            copyfileobj(stream, copy)
            copy.flush()
            if file_sha256(Path(copy.name)) != sha256:
                raise PromptHubError(
                    f"{file} was changed while it was read.", hint="Push it again."
                )
            _set_aside(kept, reference, file)
            _forbid_writing(copy)
    # Of the copy, which nobody edits: what lies under a hash has to have it for ever.
    # Where it is denied, storing it will say so; who may not list the bucket is denied a new one.
    if size_of(reference.uri, file, or_denied=True) != size:
        store(reference.uri, kept, file)
    return reference


def _streamed(reference: ExampleSet, file: str) -> Iterator[bytes]:
    from prompt_hub.repository.example_objects import stream_lines

    _require_size(reference, file, HINT)
    sha256 = hashlib.sha256()
    for line in stream_lines(reference.uri, file):
        sha256.update(line)
        yield line
    _require_sha256(sha256.hexdigest(), reference, file)


def _fetched(reference: StoredLines, into: IO[bytes], file: str, hint: str) -> IO[bytes]:
    from prompt_hub.repository.example_objects import fetch

    _require_size(reference, file, hint)
    fetch(reference.uri, into, file)
    into.flush()
    return _verified(into, reference, file)


def _require_size(reference: StoredLines, file: str, hint: str) -> None:
    """Raise `PromptHubError` unless the object is there, with as many bytes as it should have."""
    from prompt_hub.repository.example_objects import size_of

    size = size_of(reference.uri, file)
    if size is None:
        raise PromptHubError(
            f"{file}: there is no {reference.uri}, which it names.",
            hint=hint,
            exit_code=ExitCode.NOT_MEASURED,
        )
    if size != reference.size:
        raise _invalid(file, "size", f"{wording.count(size, 'byte')} in S3", str(reference.size))


def _verified(stream: IO[bytes], reference: StoredLines, file: str) -> IO[bytes]:
    """Hold a set to its hash and size, and return it to be read from its beginning."""
    # What is written atomically can only be read through another handle.
    readable = stream if stream.readable() else Path(stream.name).open("rb")  # noqa: SIM115
    readable.seek(0)
    sha256 = hashlib.sha256()
    while part := readable.read(_PIECE):
        sha256.update(part)
    _require_sha256(sha256.hexdigest(), reference, file)
    if readable.tell() != reference.size:
        raise _invalid(file, "size", wording.count(readable.tell(), "byte"), str(reference.size))
    readable.seek(0)
    return readable


def _require_sha256(found: str, reference: StoredLines, file: str) -> None:
    if found != reference.sha256:
        raise _invalid(file, "sha256", f"a set that hashes to {found}", reference.sha256)


def _invalid(file: str, field: str, found: str, expected: str) -> InvalidDocumentsError:
    return InvalidDocumentsError([Problem(file, 1, 1, field, found, expected, RULE)])
