"""What surrounds a run may be wrong in any way: one clear sentence, the right code, no secret."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from pydantic import JsonValue

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.core.urls import address_problem, hide_credentials
from prompt_hub.repository.schema import Example, JsonObject
from prompt_hub.scoring import function
from prompt_hub.scoring.base import NotScoredError
from prompt_hub.scoring.scorers.python import FunctionScorer
from tests.unit.batch.servers import completion, serving
from tests.unit.building import RepositoryFolder, catalogue_answer

METADATA = "prompts/03-metadata/part-class.yaml"
EXAMPLES = "prompts/01-examples/part-class.jsonl"
Hub = Callable[..., tuple[int, str]]
SECRET = "hunter2-hunter2"


@pytest.fixture
def model() -> Iterator[str]:
    """The address of an endpoint that answers well."""

    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        messages = cast(list[dict[str, str]], sent["messages"])
        return 200, completion(json.dumps(catalogue_answer(messages)))

    with serving(respond) as url:
        yield url


@pytest.fixture
def hub(
    healthy: RepositoryFolder,
    model: str,
    no_long_retries: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Hub]:
    """Run the real command in the healthy repository; the modules that it imports are forgotten."""
    modules, path = set(sys.modules), list(sys.path)

    def run(*words: str, **alias: JsonValue) -> tuple[int, str]:
        entry = {"provider": "openai", "model": "small", "base_url": f"{model}/v1", **alias}
        aliases = {"catalogue-pinned": entry, "catalogue-latest": entry}
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps(aliases))
        monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
        capfd.readouterr()
        code = main(words)
        said = "".join(capfd.readouterr())
        assert "Traceback" not in said
        assert SECRET not in said
        for name in [name for name in sys.modules if name.startswith("own_scorers")]:
            del sys.modules[name]
        return code, said

    yield run
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("own_scorers"):
            del sys.modules[name]


EVALUATE = ("evaluate", "part-class")


def test_results_that_cannot_be_written_are_a_sentence(hub: Hub, healthy: RepositoryFolder) -> None:
    shutil.rmtree(healthy.root / ".prompt-hub" / "results")
    healthy.write(".prompt-hub/results", "a file where a folder should be")
    code, said = hub(*EVALUATE)
    assert code == ExitCode.USAGE
    assert "evaluations/local/part-class" in said
    assert "Not a directory" in said


def test_a_full_disk_is_a_sentence_and_the_answers_are_kept(
    hub: Hub, healthy: RepositoryFolder
) -> None:
    stored = healthy.root / ".prompt-hub" / "responses"
    assert hub(*EVALUATE)[0] == ExitCode.OK
    sizes = [path.stat().st_size for path in stored.rglob("*.jsonl")]
    results = healthy.root / ".prompt-hub/results/evaluations/local"
    names = sorted(path.name for path in results.iterdir())
    greatest = max(path.stat().st_size for path in results.iterdir())
    assert greatest > max(sizes), "nothing would fail in this test"
    for path in results.iterdir():
        path.unlink()

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes), hard))
    try:
        code, said = hub(*EVALUATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == ExitCode.USAGE
    assert "cannot be written: File too large." in said
    assert "what was finished is kept" in said
    assert hub(*EVALUATE)[0] == ExitCode.OK
    assert sorted(path.name for path in results.iterdir()) == names


@pytest.mark.parametrize(
    ("key", "code", "says"),
    [
        (f" {SECRET}\n", ExitCode.OK, ""),
        (f"{SECRET}\nX-Other: 1", ExitCode.USAGE, "can carry, at position 16 of 26"),
        (f"{SECRET}\u2011", ExitCode.USAGE, "can carry, at position 16 of 16"),
        (" \n", ExitCode.USAGE, "THE_KEY is empty"),
    ],
)
def test_a_key_that_no_header_can_carry_is_a_sentence(
    hub: Hub,
    healthy: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    code: int,
    says: str,
) -> None:
    healthy.edit("prompts/00-templates/part-class.yaml", "max_tokens: 32", "max_tokens: 33")
    monkeypatch.setenv("THE_KEY", key)
    found, said = hub(*EVALUATE, api_key_env="THE_KEY")
    assert found == code
    assert says in said


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"https://ann:{SECRET}@host/v1", "holds a user or a password"),
        (f"https://{SECRET}@host/v1", "holds a user or a password"),
        (f"https://host/v1?api-key={SECRET}", "has something behind its path"),
        (f"https://host/v1#{SECRET}", "has something behind its path"),
        (f"https://[{SECRET}/v1", "is no address"),
        (f"https://host:{SECRET}/v1", "is no address"),
        (f"https:///{SECRET}", "is no address"),
    ],
)
def test_an_address_that_holds_a_key_is_refused_and_not_repeated(
    hub: Hub, healthy: RepositoryFolder, url: str, says: str
) -> None:
    code, said = hub(*EVALUATE, base_url=url)
    assert code == ExitCode.USAGE
    assert f"catalogue-pinned.base_url: Value error, it {says}" in said
    records = healthy.root / "records.csv"
    records.write_text("MPN,Description\nBAT54,diode\n")
    code, said = hub("run", "part-class", str(records), "out.jsonl", "--service", url)
    assert code == ExitCode.USAGE
    assert says in said


def test_a_key_in_the_path_of_an_address_is_neither_stored_nor_printed(
    hub: Hub, healthy: RepositoryFolder, model: str
) -> None:
    healthy.edit("prompts/00-templates/part-class.yaml", "max_tokens: 32", "max_tokens: 33")
    key = "sk-abcdef0123456789"
    code, said = hub(*EVALUATE, base_url=f"{model}/{key}/v1")
    assert code == ExitCode.OK
    gone = {"base_url": f"http://127.0.0.1:9/{key}/v1"}
    away, words = hub(*EVALUATE, "--fresh", **gone)
    assert away == ExitCode.NOT_MEASURED
    assert key not in said + words
    files = [path for path in (healthy.root / ".prompt-hub").rglob("*") if path.is_file()]
    assert len(files) >= 3
    for path in files:
        assert key.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("weight", ["1e308", "1e-320", "1000001", "0"])
@pytest.mark.parametrize("command", [("validate",), EVALUATE])
def test_weights_that_no_sum_can_hold_are_refused(
    hub: Hub, healthy: RepositoryFolder, weight: str, command: tuple[str, ...]
) -> None:
    lines = [json.loads(line) for line in healthy.read(EXAMPLES).splitlines()]
    text = "".join(json.dumps({**line, "weight": 7.25}) + "\n" for line in lines)
    healthy.write(EXAMPLES, text.replace("7.25", weight))
    code, said = hub(*command)
    assert code == ExitCode.BLOCKED
    assert "part-class.jsonl:1" in said
    assert "weight" in said


@pytest.mark.parametrize("weight", ["1e6", "1e-6"])
def test_the_greatest_and_least_weights_are_scored(
    hub: Hub, healthy: RepositoryFolder, weight: str
) -> None:
    lines = [json.loads(line) for line in healthy.read(EXAMPLES).splitlines()]
    text = "".join(json.dumps({**line, "weight": 7.25}) + "\n" for line in lines)
    healthy.write(EXAMPLES, text.replace("7.25", weight))
    assert hub(*EVALUATE)[0] == ExitCode.OK


def own_scorer(folder: RepositoryFolder, code: str) -> None:
    folder.write("own_scorers/parts.py", f"import re, sys, time\n{code}\n")
    folder.edit(
        METADATA,
        "{type: json_fields, fields: {part_class: 1.0}}",
        "{type: python, entry: 'own_scorers.parts:score'}",
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sys.exit()", "raised SystemExit: (first on example"),
        ("sys.exit(0)", "raised SystemExit: 0 (first on example"),
        ("raise GeneratorExit", "raised GeneratorExit: (first on example"),
    ],
)
def test_a_scorer_that_ends_the_process_ends_without_a_verdict(
    hub: Hub, healthy: RepositoryFolder, body: str, says: str
) -> None:
    own_scorer(healthy, f"def score(output, expected, input): {body}")
    code, said = hub(*EVALUATE)
    assert code == ExitCode.NOT_MEASURED
    assert says in " ".join(said.split())


def test_what_a_scorer_prints_is_no_result(hub: Hub, healthy: RepositoryFolder) -> None:
    own_scorer(healthy, "def score(output, expected, input):\n    print('hi')\n    return 1.0")
    code, said = hub(*EVALUATE, "--json")
    assert code == ExitCode.OK
    records, _ = json.JSONDecoder().raw_decode(said)
    assert records[0]["verdict"]["status"] == "PASS"
    assert "hi" in said


@pytest.mark.parametrize(
    "body",
    ["while True: pass", "time.sleep(600)", "re.match('(a+)+$', 'a' * 40 + 'b')"],
    ids=["busy", "asleep", "a pattern that tries everything"],
)
def test_a_scorer_that_never_returns_is_not_waited_for(
    hub: Hub, healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(function, "MOST_SECONDS", 0.2)
    own_scorer(healthy, f"def score(output, expected, input):\n    {body}")
    before = signal.getsignal(signal.SIGALRM)
    code, said = hub(*EVALUATE)
    assert code == ExitCode.NOT_MEASURED
    assert "the scorer own_scorers.parts:score was not back after 0.2 s (first on example" in said
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_scorer_that_did_not_return_is_not_asked_again() -> None:
    scorer = FunctionScorer("own", 1.0, "own.parts:score", lambda *_: 1.0)
    example = Example(id="r1", input={}, expected={})
    assert scorer.part({}, example).score == 1.0
    scorer.late.append("not back after 30 s")
    with pytest.raises(NotScoredError, match=r"is given up \(not back after 30 s on an earlier"):
        scorer.part({}, example)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("sys.exit(0)", "cannot be imported (SystemExit: 0)"),
        ("time.sleep(600)", "cannot be imported (not back after 0.2 s)"),
    ],
)
def test_a_module_that_ends_or_never_ends_is_a_sentence(
    hub: Hub, healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, code: str, says: str
) -> None:
    # On a busy machine a module that ends takes longer than that, too.
    if "not back" in says:
        monkeypatch.setattr(function, "MOST_SECONDS", 0.2)
    own_scorer(healthy, f"{code}\ndef score(*_): return 1")
    found, said = hub(*EVALUATE)
    assert found == ExitCode.BLOCKED
    assert says in said


@pytest.mark.parametrize(
    "text",
    [
        "https://ann:secret@host/x",
        "https://ann:p@secret@host/x",
        "fatal: unable to access 'https://x-token:secret@host/r.git/': 403",
        "http://host/v1?key=secret&b=secret#x",
    ],
)
def test_no_address_in_a_text_keeps_its_key(text: str) -> None:
    hidden = hide_credentials(text)
    assert "secret" not in hidden
    assert "host" in hidden


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1", "https://[::1]/", "https://host"])
def test_a_plain_address_is_none(url: str) -> None:
    assert address_problem(url) == ""
    assert hide_credentials(url) == url


@pytest.mark.parametrize("command", [("validate",), EVALUATE, ("promote", "promote", "part-class")])
def test_prompts_that_are_a_link_out_of_the_tree_are_not_read(
    hub: Hub, healthy: RepositoryFolder, command: tuple[str, ...]
) -> None:
    prompts = healthy.root / "prompts"
    shutil.move(prompts, healthy.root.parent / "elsewhere")
    prompts.symlink_to("../elsewhere")
    code, said = hub(*command)
    assert code == ExitCode.BLOCKED
    assert "a symbolic link out of the tree; expected the folder itself" in said
