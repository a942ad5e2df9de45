"""What models have answered: journal of the run that asks and cache of those after it, in one.

A book holds the responses of one prompt version by one model with one set of parameters: a file of
JSON lines that is only ever appended to. A response is on disk before anybody uses it, so a run
that is killed loses what was in flight and nothing else, and the next one finds the rest. Its key
covers everything that can change the answer; how often the same thing was asked before is part of
it, so that a repeat is a call of its own.

A process that dies leaves at most a torn last line, which the next writer cuts off. Every line
carries a checksum; one that is damaged is left where it is, and its call made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sys import intern
from zlib import crc32

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.hashing import canonical, sha256_of
from prompt_hub.llm.client import ADAPTER_VERSION, Response
from prompt_hub.llm.config import ModelConfig
from prompt_hub.repository.schema import JsonObject, Prompt

logger = logging.getLogger(__name__)

CACHE_DIR = Path(".prompt-hub") / "responses"


class ResponseCacheFile:
    """The responses in one file."""

    def __init__(self, path: Path, context: JsonObject, *, fresh: bool = False) -> None:
        """Open the book at `path`, which has `context` for a title.

        A `fresh` one does not know what stood in it before. Raises `PromptHubError` if the file
        cannot be written.
        """
        self.path = path
        self.corrupt_entries = 0
        self._common = hashlib.sha256(canonical(context))
        self._places: dict[bytes, tuple[int, int]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise PromptHubError(f"{path} cannot be written: {error.strerror}.") from None
        with self._locked() as end:
            if end == 0:
                title = {"schema": "prompt-hub/responses@1", **context}
                os.write(self._file, _compact(title) + b"\n")
        if fresh:
            logger.info("%s: what earlier runs stored is left alone", path.name)
            return
        self._read()
        logger.info("%s: %d answers of earlier runs", path.name, len(self))
        if self.corrupt_entries:
            logger.warning("%s: %d corrupt lines, asked for again", path.name, self.corrupt_entries)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)

    def key(self, messages: list[dict[str, str]], repeat: int) -> str:
        """Hash of everything that can change the answer to `messages`."""
        whole = self._common.copy()
        whole.update(canonical([messages, repeat]))
        return whole.hexdigest()

    def __len__(self) -> int:
        """Responses that can be read."""
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return bytes.fromhex(key) in self._places

    def get(self, key: str) -> Response | None:
        """Return the response under `key`, None if there is none."""
        place = self._places.get(bytes.fromhex(key))
        if place is None:
            return None
        start, length = place
        return _decoded(os.pread(self._file, length, start))

    def put(self, key: str, response: Response) -> None:
        """Add a response; once this returns, the death of the process does not lose it."""
        raw = _encoded(key, response)
        try:
            with self._locked() as end:
                written = os.write(self._file, raw)
        except OSError as error:
            raise PromptHubError(f"{self.path} cannot be written: {error.strerror}.") from None
        if written < len(raw):  # the next writer cuts it off
            raise PromptHubError(f"{self.path} cannot be written: the disk is full.")
        self._places[bytes.fromhex(key)] = (end, len(raw))

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Keep other processes out; yields the end of the file, a torn last line cut off."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            end = os.fstat(self._file).st_size
            if end and os.pread(self._file, 1, end - 1) != b"\n":
                end = self._end_of_last_line(end)
                os.ftruncate(self._file, end)
            yield end
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _end_of_last_line(self, end: int) -> int:
        step = 65536
        while end > 0:
            start = max(0, end - step)
            found = os.pread(self._file, end - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0

    def _read(self) -> None:
        with self.path.open("rb") as lines:
            start = len(lines.readline())
            for raw in lines:
                if not raw.endswith(b"\n"):  # another process is writing it this very moment
                    break
                if _is_whole(raw):
                    self._places[bytes.fromhex(raw[_KEY].decode())] = (start, len(raw))
                else:
                    self.corrupt_entries += 1
                start += len(raw)


class ResponseStore:
    """The books of one repository; a context manager that closes them.

    With `fresh`, nothing that was there before this run is used.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self._folder = folder
        self._fresh = fresh
        self._cache_files: dict[Path, ResponseCacheFile] = {}

    @property
    def cache_files(self) -> tuple[ResponseCacheFile, ...]:
        """The books that were opened."""
        return tuple(self._cache_files.values())

    def cache_file(self, prompt: Prompt, model: ModelConfig) -> ResponseCacheFile:
        """Return the book of what `prompt` was answered by `model`."""
        fields = cache_context(prompt, model)
        path = self._folder / prompt.task / f"{prompt.sha256[:16]}-{sha256_of(fields)[:16]}.jsonl"
        if path not in self._cache_files:
            self._cache_files[path] = ResponseCacheFile(path, fields, fresh=self._fresh)
        return self._cache_files[path]

    def close(self) -> None:
        """Close every book."""
        for cache_file in self._cache_files.values():
            cache_file.close()
        self._cache_files.clear()


def cache_context(prompt: Prompt, model: ModelConfig) -> JsonObject:
    """Return what besides messages can change an answer: who is asked, how, in which form."""
    parameters: JsonObject = {**model.request_parameters(prompt.model.parameters)}
    context: JsonObject = {
        "task": prompt.task,
        "provider": model.provider,
        "model": model.model,
        "base_url": model.base_url,
        "region": model.region,
        "parameters": parameters,
        "output": prompt.output,
        "adapter": ADAPTER_VERSION,
    }
    if model.api_version is not None:
        context["api_version"] = model.api_version
    return context


# A line begins with a checksum of the rest of it, and the key, so that a book is opened without
# parsing it: {"crc":"01234567","key":"64 hexadecimal digits","text":...}
_REST = slice(18, -1)
_KEY = slice(25, 89)


def _encoded(key: str, response: Response) -> bytes:
    line: JsonObject = {
        "key": key,
        "text": response.text,
        "by": response.answered_by,
        "tokens": [response.tokens_in, response.tokens_out],
        "usd": response.usd,
        "seconds": round(response.seconds, 4),
        "attempts": response.attempts,
    }
    if response.truncated:
        line["truncated"] = True
    return _sealed(_compact(line)[1:])


def _sealed(rest: bytes) -> bytes:
    return b'{"crc":"%08x",%s\n' % (crc32(rest), rest)


def _is_whole(raw: bytes) -> bool:
    """Whether a line is as it was written."""
    return raw == _sealed(raw[_REST])


def _decoded(raw: bytes) -> Response:
    line = json.loads(raw)
    tokens_in, tokens_out = line["tokens"]
    return Response(
        text=line["text"],
        truncated=line.get("truncated", False),
        answered_by=intern(line["by"]),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        usd=line["usd"],
        seconds=line["seconds"],
        attempts=line["attempts"],
    )


def _compact(line: JsonObject) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
