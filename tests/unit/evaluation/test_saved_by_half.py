"""What `evaluate` says where a file cannot be read any more when the verdict comes."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.servers import completion, serving
from tests.unit.building import RepositoryFolder, catalogue_answer
from tests.unit.providers import ALIASES


@pytest.mark.parametrize(
    ("file", "added"),
    [
        ("prompts/01-examples/part-class.jsonl", '{"id": '),
        ("prompts/00-templates/part-class.yaml", "messages: ["),
    ],
)
def test_the_verdict_stands_where_a_file_was_saved_by_half_meanwhile(
    healthy: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    added: str,
) -> None:
    half = healthy.read(file) + added

    def answer(path: str, sent: JsonObject) -> tuple[int, object]:
        healthy.write(file, half)
        return 200, completion(json.dumps(catalogue_answer(cast(Any, sent["messages"]))))

    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    for name in (aws_names.ENV_EXECUTION, aws_names.ENV_RESULTS_BUCKET):
        monkeypatch.delenv(name, raising=False)
    with serving(answer) as url:
        entry = {"provider": "openai", "base_url": f"{url}/v1"}
        models = {model.alias: {**entry, "model": model.model} for model in ALIASES}
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps(models))
        assert main(["evaluate", "part-class"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "part-class 1.2.0: PASS" in told
    assert "every example: prompt-hub report evaluation part-class" in told
    assert f"no push releases it: {file}:" in told
    assert "to release it" not in told
