"""What the local model's faster reader cannot do: llama.cpp does it, and callers get an answer.

The model is real. Its chat templates are as other models have them, and some are worse.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from local_aws.local_model import Server
from local_aws.weights import SMALL, fetch

ASSISTANT = "<|im_start|>assistant\n"
EVERY = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
)
TEMPLATES = {
    # Jinja reads this with an extension only.
    "breaks": "{% for m in messages %}{% if loop.last %}{{ m['content'] }}{% break %}{% endif %}"
    "{% endfor %}" + ASSISTANT,
    # A function of those who serve models, none of jinja's.
    "dated": "{{ strftime_now('%Y') }}" + EVERY + ASSISTANT,
    "deaf": "<|im_start|>user\n{{ messages[0]['content'] }}<|im_end|>\n" + ASSISTANT,
}
SHOWN: list[object] = [
    {"role": "system", "content": "You sort electronic parts into classes."},
    {"role": "user", "content": "4.7 kΩ ±5% 0805"},
]


def with_template(weights: Path, folder: Path, name: str) -> Path:
    """Copy weights with another chat template; a comment fills it up, so that nothing moves."""
    content = bytearray(weights.read_bytes())
    key = b"tokenizer.chat_template"
    at = content.index(key) + len(key)
    _, length = struct.unpack_from("<IQ", content, at)
    template = TEMPLATES[name].encode()
    begin = at + struct.calcsize("<IQ")
    content[begin : begin + length] = template + b"{#" + b"#}".rjust(length - len(template) - 2)
    assert len(content) == weights.stat().st_size
    copy = folder / f"{name}.gguf"
    copy.write_bytes(content)
    return copy


def answered(url: str, request: object = None) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of an answer; no answer at all is an error."""
    data = None if request is None else json.dumps(request).encode()
    wanted = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(wanted, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@dataclass(frozen=True)
class Served:
    """A server of one model under several names, each with a template of its own."""

    url: str
    log: Path

    def ask(self, model: str, **more: object) -> tuple[int, dict[str, Any]]:
        request = {"model": model, "messages": SHOWN, "temperature": 0, "max_tokens": 12, **more}
        return answered(f"{self.url}/chat/completions", request)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pytest.importorskip("ik_llama_cpp", reason="no wheel for this machine")
    folder = tmp_path_factory.mktemp("weights")
    weights = fetch(SMALL)
    files = {name: with_template(weights, folder, name) for name in TEMPLATES}
    for name in ("plain", "gone"):
        files[name] = folder / f"{name}.gguf"
        files[name].symlink_to(weights)
    command = [sys.executable, "-m", "local_aws.local_model", "serve", "--port", "0"]
    command += ["--state", str(folder / "state"), "--remember", "0"]
    command += [word for name, file in files.items() for word in ("--model", f"{name}={file}")]
    log = folder / "log"
    with pytest.MonkeyPatch.context() as patch, log.open("w") as told:
        patch.setenv("XDG_CACHE_HOME", str(folder / "empty"))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://127\.0\.0\.1:\d+/v1", line)
        assert found is not None, log.read_text()[-2000:]
        files["gone"].unlink()
        yield Served(found[0], log)
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


def by_llama_cpp(answer: dict[str, Any]) -> bool:
    """Whether llama.cpp's own server gave an answer: it counts otherwise than the faster reader."""
    return "predicted_n" in answer["timings"]


def text(answer: dict[str, Any]) -> str:
    return cast(str, answer["choices"][0]["message"]["content"])


@pytest.mark.model
def test_a_template_that_jinja_cannot_read_leaves_the_model_to_llama_cpp(served: Served) -> None:
    status, answer = served.ask("breaks")
    assert status == 200, answer
    assert text(answer)
    assert by_llama_cpp(answer)
    lines = [line for line in served.log.read_text().splitlines() if "alone answers" in line]
    assert len(lines) == 1
    assert lines[0].startswith("local_model: llama.cpp alone answers as breaks: TemplateSyntax")


@pytest.mark.model
def test_a_template_that_calls_what_jinja_has_not_is_llama_cpps(served: Served) -> None:
    status, answer = served.ask("dated")
    assert status == 200, answer
    assert text(answer)
    assert by_llama_cpp(answer)


@pytest.mark.model
def test_a_template_that_leaves_the_last_message_out_is_answered(served: Served) -> None:
    status, answer = served.ask("deaf")
    assert status == 200, answer
    assert text(answer)
    assert not by_llama_cpp(answer)


def of(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


@pytest.mark.model
def test_a_schema_that_becomes_too_much_on_the_way_gives_no_cut_answer(served: Served) -> None:
    """More kinds of parts than the decoder follows at once; it notices behind the first field."""
    kinds = [
        of(part={"const": f"p{n}"}, number={"type": "integer", "minimum": n, "maximum": n + 5})
        for n in range(2100)
    ]
    schema = of(**{"class": {"enum": ["resistor", "capacitor"]}, "part": {"anyOf": kinds}})
    wanted = {"type": "json_schema", "json_schema": {"name": "output", "schema": schema}}
    status, answer = served.ask("plain", response_format=wanted)
    assert status == 200, answer
    assert by_llama_cpp(answer)

    few = of(**{"class": {"enum": ["resistor", "capacitor"]}, "part": {"anyOf": kinds[:20]}})
    wanted["json_schema"] = {"name": "output", "schema": few}
    status, answer = served.ask("plain", response_format=wanted)
    assert status == 200, answer
    assert not by_llama_cpp(answer)
    assert re.match(r'\{"class": "(resistor|capacitor)"', text(answer))


@pytest.mark.model
@pytest.mark.parametrize("message", ["no object", {"role": "user", "content": "half \ud83d"}])
def test_messages_that_nobody_can_read_are_refused_with_a_sentence(
    served: Served, message: object
) -> None:
    status, answer = served.ask("plain", messages=[*SHOWN, message])
    assert 400 <= status <= 500
    assert answer["error"]["message"]
    assert served.ask("plain")[0] == 200


@pytest.mark.model
def test_weights_that_are_gone_when_llama_cpp_wants_them_are_told(served: Served) -> None:
    assert served.ask("gone")[0] == 200
    status, answer = served.ask("gone", temperature=0.7)
    assert status == 500
    assert "does not load as gone" in answer["error"]["message"]


def test_a_model_without_a_special_token_writes_none() -> None:
    pytest.importorskip("ik_llama_cpp", reason="no wheel for this machine")
    from local_aws.greedy_model import mark

    assert mark([b"<s>", b"</s>"], -1) == ""
    assert mark([b"<s>", b"</s>"], 1) == "</s>"
    # At the start, when llama.cpp can still take over.
    with pytest.raises(ValueError, match="utf-8"):
        mark([b"\xe2\x96"], 0)


def test_what_nobody_foresaw_is_told_and_the_next_one_answered(tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text("[]")
    with Server(0, tmp_path, {}) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        try:
            for path, request in (("models", None), ("chat/completions", {"messages": SHOWN})):
                asked = request and {"model": "any", **request}
                status, answer = answered(f"{server.url}/{path}", asked)
                assert status == 500
                assert answer["error"]["type"] == "server_error"
                assert "the local model failed" in answer["error"]["message"]
            (tmp_path / "aliases.json").unlink()
            assert answered(f"{server.url}/models")[0] == 200
        finally:
            server.shutdown()
            serving.join()
