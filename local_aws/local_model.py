"""A small language model on this machine behind an OpenAI-compatible address.

    python -m local_aws.local_model fetch [--small]
    python -m local_aws.local_model serve --port PORT --state FOLDER [--model NAME=FILE.gguf ...]

The server runs llama.cpp (xllamacpp) in its own process, one slot a model, so that the same request
gets the same answer whatever was asked before it. An alias is a floating model name, as providers
have them: what stands behind it is read at every request, and an answer says which model gave it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

from local_aws import output_schemas
from local_aws.aliases import aliases
from local_aws.kept_answers import KeptAnswers, digest
from local_aws.output_schemas import constrained
from local_aws.scripted_model import SCRIPTED, ScriptedModel
from local_aws.weights import DEFAULT, SMALL, LocalModelError, cached, fetch, identity

if TYPE_CHECKING:
    import xllamacpp

    from local_aws.greedy_model import GreedyModel

CONTEXT_TOKENS = 4096
SAVED_PREFIXES = 16
REMEMBERED_ANSWERS = 10_000
RANDOM_SEED = 2**32 - 1
_COMPUTING = (__file__, output_schemas.__file__)
"""Our own code that decides an answer."""
GREEDY_THREADS = 1
"""Of the faster reader: beside other work two of them took up to four times the CPU."""

Json = dict[str, object]


# --- Models ------------------------------------------------------------------------------------


class Model:
    """One file of weights in llama.cpp's own server, answering one request after the other.

    llama.cpp's prompt cache makes an answer depend on what was asked before: how many tokens come
    from the cache decides in which batches the rest is computed, hence how it is rounded. To read
    worked examples only once all the same, the state after everything but the last message is
    saved once and restored before every call: each call starts from the same bits. So a request
    that leaves nothing to chance has one answer, computed once: `remembered` are kept in `state`.

    Weights that have answers there are read again only for a request that has none. All others are
    read at once, so that a file that does not load says so at the start.
    """

    def __init__(self, name: str, weights: Path, state: Path, *, remembered: int) -> None:
        # Its threads wait for each other often, and would spin meanwhile: where others want the
        # cores, that took five times the CPU. Read when the library is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        import xllamacpp  # 34 MB of native code that `fetch` does without

        if not weights.is_file():
            raise LocalModelError(f"There is no file {weights} for the model {name}.")
        scratch = state / "prefixes" / name
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(weights)
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        parameters.n_parallel = 1
        parameters.n_ctx = CONTEXT_TOKENS
        for threads in (parameters.cpuparams, parameters.cpuparams_batch):
            threads.n_threads = _cores()
        parameters.use_jinja = True
        parameters.ui = False
        parameters.verbosity = 0
        parameters.cache_ram_mib = 0
        parameters.slot_save_path = f"{scratch}{os.sep}"
        self.name = name
        self._weights = weights
        self._parameters = parameters
        self._server: xllamacpp.Server | None = None
        self._greedy: GreedyModel | None = None
        self._scratch = scratch
        self._saved: list[str] = []
        self._turn = threading.Lock()
        self._file = identity(weights)

        def answers(reader: object) -> KeptAnswers:
            return KeptAnswers(
                state / "answers" / name,
                [
                    # How a request is read and computed, by what, and in how many parts.
                    *(hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in _COMPUTING),
                    reader,
                    self._file,
                    [version("xllamacpp"), xllamacpp.get_system_info(), _cores()],
                ],
                at_most=remembered,
            )

        self._answers_by = answers
        self._answers = answers(_greedy_reader(name))
        self._read = False
        if not self._answers:
            self._read_weights()

    def complete(self, request: Json, wanted: Callable[[], bool]) -> tuple[int, Json]:
        """Answer a chat completion: HTTP status and body.

        `wanted` is asked when the request's turn has come: nobody computes for a client that left.
        """
        name = digest({**request, "model": self.name})
        prefix = cast(list[Json], request["messages"])[:-1]
        with self._turn:
            if not wanted():
                return 499, _error("the client left before its turn came")
            known = self._answers.get(name)
            if known is not None:
                return 200, _told_again(known)
            self._read_weights()
            greedy, broken = self._greedily(request)
            if greedy is not None:
                greedy["model"] = self.name
                self._answers.add(name, greedy)
                return 200, greedy
            prepared = self._start_after(prefix)
            status, answer = self._post(
                "/v1/chat/completions", {**constrained(request), "cache_prompt": prepared}
            )
            if status == 200:
                answer["model"] = self.name
                # Without the state that it should begin in, it was rounded otherwise; and where
                # the other reader broke, the next time may find it whole.
                exact = (prepared or not prefix) and not broken
                if repeatable(request) and exact:
                    self._answers.add(name, answer)
        return status, answer

    def _read_weights(self) -> None:
        """Read them by the faster reader, or by llama.cpp alone, unless that is done."""
        if self._read:
            return
        if identity(self._weights) != self._file:
            # Its answers would be kept as those of the file that was there at the start.
            raise LocalModelError(f"{self._weights} has changed since the start: start it again.")
        self._greedy = _greedy_model(self.name, self._weights)
        if self._greedy is None:
            self._answers = self._answers_by(None)
            self._llama_cpp()
        self._read = True

    def _greedily(self, request: Json) -> tuple[Json | None, bool]:
        """Ask the faster reader; None where it has no answer, and whether that is a breakdown."""
        try:
            return self._greedy.complete(request, constrained) if self._greedy else None, False
        except Exception as error:
            _say(f"ik_llama.cpp breaks down, llama.cpp answers instead as {self.name}: {error!r}")
            return None, True

    def _llama_cpp(self) -> xllamacpp.Server:
        """Return llama.cpp's own server of these weights, which most runs never need."""
        import xllamacpp

        if self._server is None:
            try:
                self._server = xllamacpp.Server(self._parameters)
            except Exception as error:
                message = f"{self._weights} does not load as {self.name}: {error}."
                raise LocalModelError(message) from error
        return self._server

    def _start_after(self, prefix: list[Json]) -> bool:
        """Restore the state in which every call begins whose messages begin with `prefix`.

        False if there is nothing to restore: the call then computes everything.
        """
        if not prefix:
            return False
        name = digest(prefix)
        if name not in self._saved:
            first: Json = {"messages": [*prefix, {"role": "user", "content": "."}]}
            first |= {"max_tokens": 1, "temperature": 0, "cache_prompt": False}
            if self._post("/v1/chat/completions", first)[0] != 200:
                return False
            if self._post("/slots/0?action=save", {"filename": name})[0] != 200:
                return False
            self._saved.append(name)
            while len(self._saved) > SAVED_PREFIXES:
                (self._scratch / self._saved.pop(0)).unlink(missing_ok=True)
        return self._post("/slots/0?action=restore", {"filename": name})[0] == 200

    def _post(self, path: str, body: Mapping[str, object]) -> tuple[int, Json]:
        request = urllib.request.Request(  # noqa: S310
            f"{self._llama_cpp().listening_address}{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request) as response:  # noqa: S310
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def _greedy_reader(name: str) -> list[object] | None:
    """Return what decides an answer of the faster reader; None, and a line why, without one."""
    try:
        from local_aws.greedy_model import computed_by

        return computed_by(GREEDY_THREADS)
    except Exception as error:  # no wheel, or one of another build
        _say(f"llama.cpp alone answers as {name}: {error!r}")
        return None


def _greedy_model(name: str, weights: Path) -> GreedyModel | None:
    """Return the faster reader of `weights`; None, and a line why, where it cannot read them."""
    try:
        from local_aws.greedy_model import GreedyModel

        return GreedyModel(weights, context=CONTEXT_TOKENS, threads=GREEDY_THREADS)
    except Exception as error:  # a template unlike any other
        _say(f"llama.cpp alone answers as {name}: {error!r}")
        return None


def _say(line: str) -> None:
    print(f"local_model: {line}", file=sys.stderr, flush=True)


def repeatable(request: Json) -> bool:
    """Whether a request leaves nothing to chance: no temperature, or a seed for it."""
    seed = request.get("seed")
    # As 32 bits, all of them set: llama.cpp then throws dice for the seed itself.
    seeded = isinstance(seed, int) and seed % 2**32 != RANDOM_SEED
    return request.get("temperature") == 0 or seeded


def _told_again(answer: Json) -> Json:
    """Return a remembered answer as one of its own; how long the first one took belongs to that."""
    again = {name: value for name, value in answer.items() if name != "timings"}
    return {**again, "id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time())}


# --- Server ------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Listens on loopback for requests to `models`; `state` is where the aliases are."""

    request_queue_size = 1024
    """Evaluations ask side by side; a call that finds the queue full waits until it gives up."""

    def __init__(self, port: int, state: Path, models: Mapping[str, Model]) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.state = state
        self.models: Mapping[str, Model | ScriptedModel] = {**models, SCRIPTED: ScriptedModel()}

    @property
    def url(self) -> str:
        """The base URL to give to an OpenAI client."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    """The part of the OpenAI API that the product uses."""

    server: Server
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def do_GET(self) -> None:
        """Health, and the names of models and aliases."""
        self._answer(self._look)

    def do_POST(self) -> None:
        """One chat completion."""
        self._answer(self._complete)

    def _answer(self, work: Callable[[], tuple[int, Json]]) -> None:
        """Send what `work` returns; whatever goes wrong, the caller gets a sentence, no silence."""
        try:
            status, answer = work()
        except LocalModelError as error:
            status, answer = 500, _error(str(error), kind="server_error")
        except Exception as error:
            traceback.print_exc()
            message = f"the local model failed, its log says where: {error!r}"
            status, answer = 500, _error(message, kind="server_error")
        self._send(status, answer)

    def _look(self) -> tuple[int, Json]:
        if self.path == "/health":
            return 200, {"status": "ok"}
        if self.path != "/v1/models":
            return 404, _error(f"there is no {self.path} here")
        names = (*self.server.models, *aliases(self.server.state))
        data = [{"id": name, "object": "model", "owned_by": "local"} for name in names]
        return 200, {"object": "list", "data": data}

    def _complete(self) -> tuple[int, Json]:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/v1/chat/completions":
            return 404, _error(f"there is no {self.path} here")
        try:
            request = json.loads(body)
            name = str(request["model"])
            if not request["messages"] or not isinstance(request["messages"], list):
                raise ValueError("messages must be a list with something in it")
            if request.get("stream"):
                raise ValueError("streaming is not supported")
        except (ValueError, KeyError, TypeError) as error:
            return 400, _error(f"not a chat completion request: {error!r}")
        floating = aliases(self.server.state)
        model = self.server.models.get(floating.get(name, name))
        if model is None:
            known = ", ".join([*self.server.models, *floating])
            message = f"The model `{floating.get(name, name)}` does not exist; these do: {known}."
            return 404, _error(message, code="model_not_found")
        return model.complete(request, self._client_waits)

    def _client_waits(self) -> bool:
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            # Readable without a byte to read is how a closed connection looks.
            return not readable or bool(self.connection.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _send(self, status: int, body: Json) -> None:
        data = json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the product logs its calls itself."""


def _error(message: str, kind: str = "invalid_request_error", code: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def serve(port: int, state: Path, named: Mapping[str, Path], remembered: int) -> NoReturn:
    """Serve the `named` files and the fetched ones on 127.0.0.1:`port` until SIGTERM or Ctrl-C.

    Port 0 takes a free one; up to `remembered` answers a model are computed no second time. Ends
    the process with 0, a call in flight or not. Raises `LocalModelError` if there is no model, or
    one does not load, or the port is taken.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    fetched = {known.name: cached(known) for known in (DEFAULT, SMALL)}
    files = {name: file for name, file in fetched.items() if file.exists()} | {**named}
    if not files:
        raise LocalModelError("There are no weights yet: run `fetch`, or name a file by --model.")
    models = {name: Model(name, file, state, remembered=remembered) for name, file in files.items()}
    try:
        server = Server(port, state, models)
    except OSError as error:
        raise LocalModelError(f"Port {port} cannot be listened on: {error.strerror}.") from error
    with server, suppress(KeyboardInterrupt):
        print(f"Serving {', '.join(files)} at {server.url}", flush=True)
        server.serve_forever()
    # llama.cpp may be in the middle of an answer; its destructors, run under its own thread, end
    # in a segmentation fault: leave without them. Nothing is left to be written.
    os._exit(0)


# --- Command line ------------------------------------------------------------------------------


def _cores() -> int:
    """Cores that this process may use: a container may have fewer than its machine."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        allowed = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):  # no such group, or "max"
        return allowed


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what it says, 2 with a sentence when it could not."""
    parser = argparse.ArgumentParser(prog="local_model", description="The local model.")
    commands = parser.add_subparsers(dest="command", required=True)
    fetching = commands.add_parser("fetch", help="get the weights into the cache")
    fetching.add_argument("--small", action="store_true", help="those of the small model")
    serving = commands.add_parser("serve", help="serve the models on loopback")
    serving.add_argument("--port", type=int, required=True, help="0 takes a free one")
    serving.add_argument(
        "--remember",
        type=int,
        default=REMEMBERED_ANSWERS,
        metavar="COUNT",
        help="answers a model that are not computed again; 0 computes every one",
    )
    serving.add_argument("--model", action="append", default=[], metavar="NAME=FILE.gguf")
    serving.add_argument("--state", type=Path, required=True, help="the server's folder")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "fetch":
            print(fetch(SMALL if arguments.small else DEFAULT))
        else:
            pairs = (word.partition("=") for word in arguments.model)
            files = {name: Path(file) for name, _, file in pairs}
            serve(arguments.port, arguments.state, files, arguments.remember)
    except LocalModelError as error:
        print(f"local_model: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
