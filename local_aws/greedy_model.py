"""The most likely answer of a small model, by ik_llama.cpp, which reads prompts twice as fast.

It answers what an evaluation asks: temperature 0, plain texts, perhaps an output schema and
log-probabilities. What a schema leaves no choice about is written without asking the model, and
read together with what comes next. Everything else is left to llama.cpp's own server.
"""

from __future__ import annotations

import ctypes
import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import cast

import ik_llama_cpp._ctypes_api as api
import jinja2.sandbox
import llguidance
import numpy as np
from ik_llama_cpp._lib_loader import load_shared_library
from numpy.typing import NDArray

Json = dict[str, object]

UNDERSTOOD = {"logprobs", "max_tokens", "messages", "model", "response_format", "seed"}
"""Fields of a request, beside a temperature of 0, that decide nothing which is not done here."""
READ_AT_ONCE = 512
KEPT_PREFIXES = 16

_library = load_shared_library()
_void, _int, _size = ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t
for _name, _result, _arguments in (
    ("llama_state_seq_get_size", _size, (_void, _int, _int)),
    ("llama_state_seq_get_data", _size, (_void, _void, _size, _int, _int)),
    ("llama_state_seq_set_data", _size, (_void, _void, _size, _int, _int)),
    ("llama_model_meta_val_str", _int, (_void, ctypes.c_char_p, _void, _size)),
    ("llama_token_is_control", ctypes.c_bool, (_void, _int)),
    ("llama_token_bos", _int, (_void,)),
    ("llama_token_eos", _int, (_void,)),
    ("llama_log_set", None, (_void, _void)),
):
    _function = getattr(_library, _name)
    _function.restype, _function.argtypes = _result, _arguments
_SILENT = ctypes.CFUNCTYPE(None, _int, ctypes.c_char_p, _void)(lambda *_: None)


def computed_by(threads: int) -> list[object]:
    """Return what decides an answer of this reader, beside the weights and the request."""
    return [
        hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
        *(version(name) for name in ("ik-llama-cpp-python", "llguidance", "jinja2")),
        threads,
    ]


class GreedyModel:
    """One file of weights; every call begins with the same bits, whatever was asked before.

    The state after everything but the last message is kept in memory, and is put into an empty
    cache before each call that begins so: a cached token lies where it lay when it was computed.
    """

    def __init__(self, weights: Path, *, context: int, threads: int) -> None:
        _library.llama_log_set(ctypes.cast(_SILENT, _void), None)
        api.llama_backend_init()
        how = api.llama_model_default_params()
        how.use_mmap, how.repack_tensors = False, True
        self._model = api.llama_model_load_from_file(str(weights).encode(), how)
        if not self._model:
            raise ValueError("ik_llama.cpp does not read it")
        sizes = api.llama_context_default_params()
        sizes.n_ctx, sizes.n_batch, sizes.n_ubatch = context, READ_AT_ONCE, READ_AT_ONCE
        sizes.n_threads = sizes.n_threads_batch = threads
        sizes.flash_attn = True
        self._context = api.llama_init_from_model(self._model, sizes)
        if not self._context:
            raise ValueError("there is no memory for its context")
        self._context_tokens = context
        self._reads = 0
        self._words = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self._model))
        self._pieces = [self._piece(token) for token in range(self._words)]
        self._template = self._chat_template()
        self._marks = {
            "bos_token": mark(self._pieces, _library.llama_token_bos(self._model)),
            "eos_token": mark(self._pieces, _library.llama_token_eos(self._model)),
        }
        self._vocabulary = llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(_Vocabulary(self._model, self._pieces, self._tokens))
        )
        self._prefixes: dict[tuple[int, ...], ctypes.Array[ctypes.c_char]] = {}

    def complete(self, request: Json, grammar: Callable[[Json], Json]) -> Json | None:
        """Return the answer to a chat completion, None where llama.cpp's server has to give it.

        `grammar` turns an output schema into llguidance's grammar, as for that server.
        """
        messages = cast(list[Json], request["messages"])
        if request.get("temperature") != 0 or not request.keys() - {"temperature"} <= UNDERSTOOD:
            return None
        if not all(
            isinstance(m, dict)
            and m.keys() == {"role", "content"}
            and isinstance(m["content"], str)
            for m in messages
        ):
            return None
        rules = grammar(request)
        matcher = None
        if "grammar" in rules:
            text = cast(str, rules["grammar"]).removeprefix("%llguidance {}\n")
            matcher = llguidance.LLMatcher(self._vocabulary, text)
            if matcher.is_error():
                return None
        elif request.get("response_format") is not None:
            return None
        started = time.perf_counter()
        self._reads = 0
        try:
            prompt = self._prompt(messages)
        except _TemplateError:
            return None
        room = self._context_tokens - len(prompt)
        at_most = request.get("max_tokens") or room
        if not isinstance(at_most, int) or not 0 < at_most <= room:
            return None
        known = self._start_after(messages[:-1], prompt)
        wanted = request.get("logprobs") is True
        done = self._write(prompt, known, matcher, at_most, wanted)
        return None if done is None else self._answer(prompt, *done, known, started)

    # --- Reading -------------------------------------------------------------------------------

    def _chat_template(self) -> jinja2.Template:
        room = ctypes.create_string_buffer(1 << 16)
        size = _library.llama_model_meta_val_str(
            self._model, b"tokenizer.chat_template", room, len(room)
        )
        if size < 0:
            raise ValueError("it has no chat template")
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, autoescape=False
        )
        return environment.from_string(room.value.decode())

    def _prompt(self, messages: Sequence[Json]) -> list[int]:
        try:
            text = self._template.render(
                messages=messages, add_generation_prompt=True, **self._marks
            )
        except Exception as error:  # a template is a program, and calls what jinja has not
            raise _TemplateError from error
        return self._tokens(text.encode(), special=True)

    def _tokens(self, text: bytes, *, special: bool = False) -> list[int]:
        room = (api.llama_token * (len(text) + 8))()
        count = api.llama_tokenize(self._model, text, len(text), room, len(room), False, special)
        return list(room[:count])

    def _piece(self, token: int) -> bytes:
        room = ctypes.create_string_buffer(512)
        size = api.llama_token_to_piece(self._model, token, room, len(room), 0, True)
        return room.raw[: max(size, 0)]

    def _start_after(self, prefix: list[Json], prompt: list[int]) -> int:
        """Put the state after `prefix` into the cache; return its number of tokens."""
        api.llama_kv_cache_clear(self._context)
        if not prefix:
            return 0
        try:
            one, other = (self._prompt([*prefix, {"role": "user", "content": c}]) for c in "a.")
        except _TemplateError:  # it may want another role after these: then all is read
            return 0
        # A template need not write every message: then they do not differ.
        pairs = enumerate(zip(one, other, strict=False))
        same = next((i for i, (a, b) in pairs if a != b), 0)
        begin = tuple(one[:same])
        if not begin or tuple(prompt[:same]) != begin or len(prompt) == same:
            return 0
        state = self._prefixes.get(begin)
        if state is None:
            self._read(begin, 0, rows=0)
            size = _library.llama_state_seq_get_size(self._context, 0, 0)
            state = ctypes.create_string_buffer(size)
            _library.llama_state_seq_get_data(self._context, state, size, 0, 0)
            self._prefixes[begin] = state
            while len(self._prefixes) > KEPT_PREFIXES:
                del self._prefixes[next(iter(self._prefixes))]
            api.llama_kv_cache_clear(self._context)
        # Also the first time: each call begins in a state that was restored.
        if _library.llama_state_seq_set_data(self._context, state, len(state), 0, 0) == 0:
            raise MemoryError("the state after the worked examples cannot be restored")
        return same

    def _read(self, tokens: Sequence[int], position: int, *, rows: int) -> NDArray[np.float32]:
        """Read `tokens` at `position`; return the model's numbers after each of the last `rows`."""
        self._reads += 1
        found = np.empty((rows, self._words), np.float32)
        for start in range(0, len(tokens), READ_AT_ONCE):
            part = tokens[start : start + READ_AT_ONCE]
            batch = api.llama_batch_init(len(part), 0, 1)
            batch.n_tokens = len(part)
            for i, token in enumerate(part):
                batch.token[i], batch.pos[i] = token, position + start + i
                batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
                batch.logits[i] = start + i >= len(tokens) - max(rows, 1)
            failed = api.llama_decode(self._context, batch)
            if not failed:
                for i in range(len(part)):
                    row = start + i - (len(tokens) - rows)
                    if row >= 0:
                        numbers = api.llama_get_logits_ith(self._context, i)
                        found[row] = np.ctypeslib.as_array(numbers, (self._words,))
            api.llama_batch_free(batch)
            if failed:
                raise MemoryError(f"ik_llama.cpp stopped with {failed}")
        return found

    # --- Writing -------------------------------------------------------------------------------

    def _write(
        self,
        prompt: list[int],
        known: int,
        matcher: llguidance.LLMatcher | None,
        at_most: int,
        chances_wanted: bool,
    ) -> tuple[list[int], list[float], bool] | None:
        """Return the tokens written, their log-probabilities if wanted, and whether it ended.

        None where the schema becomes too much for `matcher` on the way: a matcher that failed says
        that it has stopped, and allows the end alone, as after a whole answer.
        """
        written: list[int] = []
        chances: list[float] = []
        position, unread = known, prompt[known:]
        while True:
            forced = matcher.compute_ff_tokens() if matcher else []
            forced = forced[: at_most - len(written)]
            if matcher and forced and not matcher.consume_tokens(forced):
                return None
            if matcher and matcher.is_error():
                return None
            forced = [token for token in forced if not self._ends(token)]
            written += forced
            ended = matcher is not None and matcher.is_stopped()
            full = len(written) >= at_most
            if (ended or full) and not (chances_wanted and forced):
                return written, chances, ended
            rows = len(forced) + 1 if chances_wanted else 1
            unread = [*unread, *forced]
            numbers = self._read(unread, position, rows=rows)
            position += len(unread)
            if chances_wanted:
                chances += [_chance(numbers[i], token) for i, token in enumerate(forced)]
            if ended or full:
                return written, chances, ended
            token = _best(numbers[-1], matcher)
            if matcher and matcher.is_error():
                return None
            if self._ends(token):
                return written, chances, True
            if matcher and not matcher.consume_token(token):
                return None
            written.append(token)
            if chances_wanted:
                chances.append(_chance(numbers[-1], token))
            unread = [token]

    def _ends(self, token: int) -> bool:
        return bool(api.llama_token_is_eog(self._model, token))

    def _answer(
        self,
        prompt: list[int],
        written: list[int],
        chances: list[float],
        ended: bool,
        known: int,
        started: float,
    ) -> Json:
        pieces = [self._pieces[token] for token in written]
        content: list[Json] = [
            {
                "token": piece.decode(errors="replace"),
                "bytes": list(piece),
                "logprob": chance,
                "top_logprobs": [],
            }
            for piece, chance in zip(pieces, chances, strict=False)
        ]
        # A character of which the last token has only a part is no text yet.
        text = b"".join(pieces).decode(errors="ignore")
        choice: Json = {
            "index": 0,
            "finish_reason": "stop" if ended else "length",
            "message": {"role": "assistant", "content": text},
        }
        if content:
            choice["logprobs"] = {"content": content}
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "choices": [choice],
            "usage": {
                "prompt_tokens": len(prompt),
                "completion_tokens": len(written),
                "total_tokens": len(prompt) + len(written),
            },
            "timings": {
                "cache_n": known,
                "reads": self._reads,
                "seconds": time.perf_counter() - started,
            },
        }


class _TemplateError(Exception):
    """The chat template does not take these messages, or asks for what jinja has not."""


class _Vocabulary:
    """The words of a model as llguidance asks for them."""

    def __init__(
        self, model: object, pieces: list[bytes], tokens: Callable[[bytes], list[int]]
    ) -> None:
        self.eos_token_id: int = _library.llama_token_eos(model)
        self.bos_token_id = None
        self.tokens = pieces
        self.special_token_ids = [
            token for token in range(len(pieces)) if _library.llama_token_is_control(model, token)
        ]
        self._tokens = tokens

    def __call__(self, text: bytes) -> list[int]:
        return self._tokens(text)


def mark(pieces: Sequence[bytes], token: int) -> str:
    """Return how a template writes a special token; empty where a model has none, below 0."""
    return pieces[token].decode() if token >= 0 else ""


def _best(numbers: NDArray[np.float32], matcher: llguidance.LLMatcher | None) -> int:
    """Return the most likely token of those that the schema allows."""
    if matcher is None:
        return int(numbers.argmax())
    mask = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    allowed = np.unpackbits(mask, bitorder="little")[: len(numbers)].astype(bool)
    return int(np.where(allowed, numbers, -np.inf).argmax())


def _chance(numbers: NDArray[np.float32], token: int) -> float:
    """Return the log-probability of `token`, of all tokens, as a provider reports it."""
    wide = numbers.astype(np.float64)
    top = wide.max()
    return float(wide[token] - top - np.log(np.exp(wide - top).sum()))
