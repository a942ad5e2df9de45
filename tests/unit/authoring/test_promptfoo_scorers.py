"""What a scorer's settings refuse is listed as lost, and the rest of an import stands."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from prompt_hub.core.errors import ExitCode
from tests.unit.authoring.conftest import Workshop


def test_a_pattern_that_no_scorer_takes_is_lost(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {
        "prompts": ["Name the class of {{ title }}"],
        "providers": ["openai:gpt-4o-mini"],
        "defaultTest": {"assert": [{"type": "regex", "value": "a" * 2001}]},
        "tests": [
            {"vars": {"title": title}, "assert": [{"type": "equals", "value": answer}]}
            for title, answer in (("10 kΩ 0603", "resistor"), ("1 µF X7R", "capacitor"))
        ],
    }
    path = tmp_path / "promptfooconfig.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    words = ("--from-promptfoo", str(path), "--model", "catalogue-pinned")
    assert workshop.new("from-long", *words) == ExitCode.OK
    text = capsys.readouterr().out
    assert "the assertion 'regex'" in text
    assert "no scorer here takes it (String should have at most 2000 characters)" in text
    scorers = workshop.folder.repository.metadata("from-long").scorers
    assert [scorer.type for scorer in scorers] == ["exact"]
    assert workshop.folder.findings() == []
