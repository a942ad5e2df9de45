"""What lies beside an output is there before the journal goes, which holds what was paid for."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_hub.core.errors import ExitCode
from tests.unit.batch.running import ROWS, Model, Run
from tests.unit.building import RepositoryFolder


@pytest.mark.parametrize("name", ["out.jsonl.csv", "out.jsonl.manifest.json"])
def test_what_cannot_be_written_beside_an_output_costs_no_second_question(
    run: Run,
    model: Model,
    healthy: RepositoryFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    metadata = "prompts/03-metadata/part-class.yaml"
    healthy.edit(metadata, "records:\n", "records:\n  formats: [jsonl, csv]\n")
    beside = tmp_path / name
    beside.mkdir()
    assert run(*ROWS)[0] == ExitCode.USAGE
    assert f"{name} cannot be written" in capsys.readouterr().err
    beside.rmdir()
    code, lines = run(*ROWS)
    assert (code, len(lines), len(model.asked)) == (ExitCode.OK, 3, 3)
    assert beside.is_file()
    assert not (tmp_path / "out.jsonl.part").exists()
