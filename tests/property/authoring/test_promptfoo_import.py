"""A promptfoo configuration becomes a task; what does not fit is listed with file and line."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from prompt_hub.core.errors import ExitCode
from tests.property.drawing import DrawSeed
from tests.unit.authoring.workshop import Workshop

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "promptfoo"


def test_broken_configurations_end_in_a_sentence(
    workshop: Workshop,
    tmp_path: Path,
    draw_seed: DrawSeed,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Random damage to the fixtures: a valid task or a sentence, never a traceback."""
    chance = random.Random(draw_seed(20261124))
    project = tmp_path / "project"
    texts = [
        "",
        "null",
        "[]",
        "{}",
        "- x",
        "file://gone",
        "{{ x",
        "1e400",
        "'",
        "\t",
        "&a *a",
        "\u2028",
    ]
    for number in range(120):
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(FIXTURES / chance.choice(["classify", "fields", "support"]), project)
        victim = chance.choice([path for path in sorted(project.rglob("*")) if path.is_file()])
        lines = victim.read_text(encoding="utf-8").split("\n")
        for _ in range(chance.randint(1, 3)):
            index = chance.randrange(len(lines))
            match chance.randrange(4):
                case 0:
                    del lines[index]
                    lines = lines or [""]
                case 1:
                    lines[index] = " " * chance.randrange(8) + lines[index].lstrip()
                case 2:
                    key, mark, _ = lines[index].partition(":")
                    lines[index] = f"{key}{mark} {chance.choice(texts)}"
                case _:
                    lines.insert(index, lines[chance.randrange(len(lines))])
        victim.write_text("\n".join(lines), encoding="utf-8")
        config = str(project / "promptfooconfig.yaml")
        ended = workshop.take(f"damaged-{number}", config)
        captured = capsys.readouterr()
        assert ended in (ExitCode.OK, ExitCode.BLOCKED, ExitCode.USAGE), captured.err
        assert "Traceback" not in captured.err
        assert (ended == ExitCode.OK) == (captured.err == "")
    assert workshop.folder.errors() == []
