"""What models have answered: journal of the run that asks and cache of those after it, in one.

A cache file holds the responses of one prompt version by one model with one set of parameters.
A response is written before anybody uses it, so a run that is killed loses what was in flight and
nothing else, and the next one finds the rest. Its key covers everything that can change the answer;
how often the same thing was asked before is part of it, so that a repeat of what may answer
otherwise is a call of its own.

Every line carries a checksum; one that is damaged is left where it is, and its call made again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from pathlib import Path
from sys import intern
from zlib import crc32

from prompt_hub.core.hashing import canonical, order_of, sha256_of
from prompt_hub.core.json_log import JsonLinesLog, Span, json_line
from prompt_hub.core.slots import Slots
from prompt_hub.llm.client import ADAPTER_VERSION
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.refusal import redact
from prompt_hub.llm.response import ModelResponse, Usage, Withheld
from prompt_hub.repository.schema import JsonObject, Prompt

logger = logging.getLogger(__name__)

CACHE_DIR = Path(".prompt-hub") / "responses"


class ResponseCacheFile:
    """The responses in one file."""

    def __init__(self, path: Path, context: JsonObject, *, fresh: bool = False) -> None:
        """Open the file at `path`, whose first line is `context`.

        A `fresh` one does not know what stood in it before. Raises `PromptHubError` if the file
        cannot be written.
        """
        self.path = path
        self.fresh = fresh
        self.asking: dict[str, asyncio.Event] = {}
        """Keys whose response is on its way, and what is set once it has come or failed."""
        self._common = hashlib.sha256(canonical(context))
        self._lines = KeyIndex()
        self._log = JsonLinesLog(path)
        self._log.begin(json_line({"schema": "prompt-hub/responses@1", **context}))
        self._earlier = path.stat().st_size
        """Where the file ended when it was opened."""
        if fresh:
            logger.info("%s: what earlier runs stored is left alone", path.name)
            return
        self._log.scan(self._note)
        logger.info("%s: %d answers of earlier runs", path.name, len(self))
        if self.corrupt_entries:
            logger.warning("%s: %d corrupt lines, asked for again", path.name, self.corrupt_entries)

    def close(self) -> None:
        """Give the file back."""
        self._log.close()

    @property
    def corrupt_entries(self) -> int:
        """Responses that could not be read, and so are asked for again."""
        return self._log.corrupt

    def key(self, messages: list[dict[str, str]], repeat: int) -> str:
        """Hash everything that can change the answer to `messages`."""
        whole = self._common.copy()
        whole.update(canonical([messages, repeat]))
        return whole.hexdigest()

    def __len__(self) -> int:
        """Responses that can be read."""
        return len(self._lines)

    def __contains__(self, key: str) -> bool:
        return self._lines.find(key) is not None

    def is_earlier(self, key: str) -> bool:
        """Whether a response that is there was stored before the file was opened."""
        start = self._lines.find(key)
        return start is not None and start < self._earlier

    def get(self, key: str) -> ModelResponse | None:
        """Return the response under `key`, None if there is none."""
        start = self._lines.find(key)
        if start is None:
            return None
        try:
            line = self._log.read_line(start)
            if line[_KEY] != key.encode():
                return None  # Another key that ends alike.
            response = _decoded(line)
        except (ValueError, LookupError, TypeError, RecursionError):
            # Whole as it was written, and yet of another form: nobody else may stumble over it.
            self._lines.remove(key)
            self._log.corrupt += 1
            logger.warning("%s: a line cannot be read, asked for again", self.path.name)
            return None
        return None if _holds_nothing(response) else response

    def put(self, key: str, response: ModelResponse) -> None:
        """Add a response; once this returns, the death of the process does not lose it."""
        start, _ = self._log.append(_encoded(key, response))
        self._lines.put(key, start)

    def _note(self, line: bytes, span: Span) -> None:
        if line != _sealed(line[_REST]):
            raise ValueError("no line as it was written")
        self._lines.put(line[_KEY].decode(), span[0])


class KeyIndex:
    """Where the line of a key begins, by the last 64 bits of the key.

    Two keys that end alike share a place, and the later one has it: who reads a line compares.
    """

    def __init__(self) -> None:
        self._starts = Slots()
        self._removed = 0

    def __len__(self) -> int:
        return len(self._starts) - self._removed

    def find(self, key: str) -> int | None:
        """Return where the line of a key begins, None if it has none."""
        start = self._starts[int(key[-16:], 16)]
        return int(start) - 2 if start > _REMOVED else None

    def put(self, key: str, start: int) -> None:
        """Say where the line of a key begins."""
        short = int(key[-16:], 16)
        self._removed -= self._starts[short] == _REMOVED
        self._starts[short] = start + 2

    def remove(self, key: str) -> None:
        """Forget the line of a key that has one."""
        self._starts[int(key[-16:], 16)] = _REMOVED
        self._removed += 1


_REMOVED = 1


class ResponseStore:
    """The cache files of one repository.

    With `fresh`, nothing that was there before this run is used.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self._folder = folder
        self._fresh = fresh
        self._cache_files: dict[Path, ResponseCacheFile] = {}

    @property
    def cache_files(self) -> tuple[ResponseCacheFile, ...]:
        """Those that were opened."""
        return tuple(self._cache_files.values())

    def cache_file(self, prompt: Prompt, model: ModelConfig) -> ResponseCacheFile:
        """Return the file of what `prompt` was answered by `model`."""
        fields = cache_context(prompt, model)
        path = self._folder / prompt.task / f"{prompt.sha256[:16]}-{sha256_of(fields)[:16]}.jsonl"
        if path not in self._cache_files:
            self._cache_files[path] = ResponseCacheFile(path, fields, fresh=self._fresh)
        return self._cache_files[path]

    def release(self, cache_file: ResponseCacheFile) -> None:
        """Close one file: to know where a million responses stand takes 17 MB."""
        # Prompts of the same content have the same file.
        if self._cache_files.pop(cache_file.path, None) is not None:
            cache_file.close()

    def close(self) -> None:
        """Close every file."""
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
        "base_url": _without_keys(model.address),
        "region": model.region,
        "parameters": parameters,
        "output": prompt.output,
        "adapter": ADAPTER_VERSION,
    }
    if (order := order_of(prompt.output)) is not None:
        context["in_order"] = order
    if model.api_version is not None:
        context["api_version"] = model.api_version
    return context


def _without_keys(url: str | None) -> str | None:
    """Return an address as it may be stored; two that differ in a key alone are still two."""
    if url is None or (shown := redact(url, ())) == url:
        return url
    return f"{shown}#{hashlib.sha256(url.encode()).hexdigest()[:12]}"


# A line begins with a checksum of the rest of it, and the key, so that a file is opened without
# parsing it: {"crc":"01234567","key":"64 hexadecimal digits","text":...}
_REST = slice(18, -1)
_KEY = slice(25, 89)


def _encoded(key: str, response: ModelResponse) -> bytes:
    line: JsonObject = {
        "key": key,
        "text": response.text,
        "by": response.model,
        **response.usage.to_json(),
    }
    if response.truncated:
        line["truncated"] = True
    if response.withheld is not None:
        line["withheld"] = response.withheld.reason
        if response.withheld.filtered:
            line["filtered"] = True
    return _sealed(json_line(line)[1:-1])


def _sealed(rest: bytes) -> bytes:
    return b'{"crc":"%08x",%s\n' % (crc32(rest), rest)


def _holds_nothing(response: ModelResponse) -> bool:
    """Whether this is what an outage inside HTTP 200 left behind, which earlier versions kept."""
    said = response.text or response.truncated or response.withheld
    return not said and not response.usage.output_tokens


def _decoded(raw: bytes) -> ModelResponse:
    line = json.loads(raw)
    input_tokens, output_tokens = line["tokens"]
    withheld = line.get("withheld")
    return ModelResponse(
        text=line["text"],
        model=intern(line["by"]),
        truncated=line.get("truncated", False),
        withheld=withheld and Withheld(withheld, filtered=line.get("filtered", False)),
        usage=Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            usd=line["usd"],
            seconds=line["seconds"],
            attempts=line["attempts"],
            batch=line.get("batch"),
        ),
    )
