"""Exports of other tools, damaged at random: a task that validates, or a sentence."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from prompt_hub.core.errors import ExitCode
from tests.property.drawing import DrawSeed
from tests.unit.authoring.workshop import Workshop

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "imports"
ALONE = ("langfuse_chat.json", "mlflow_text.json", "mlflow_tags.json")
PAGES = ("version1.prompty", "version2.prompty", "greet.prompt")
TOGETHER = (
    ("openai_prompt.json", "openai_eval.json", "openai_rows.jsonl"),
    ("openai_run.json", "openai_capitals.json"),
    ("langfuse_text.json", "rows.jsonl"),
)


def test_damaged_exports_end_in_a_sentence(
    workshop: Workshop,
    tmp_path: Path,
    draw_seed: DrawSeed,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Random damage to the fixtures: a valid task or a sentence, never a traceback."""
    chance = random.Random(draw_seed(20261128))
    values = ["", "null", "[]", "{}", "7", '"x"', "true", "{{ x", "{% if %}", "${file:gone}", "\t"]
    sets = [*((name,) for name in (*ALONE, *PAGES)), *TOGETHER]
    ended: set[int] = set()
    for number in range(150):
        names = chance.choice(sets)
        victim = chance.choice(names)
        for name in names:
            lines = (FIXTURES / name).read_text(encoding="utf-8").split("\n")
            for _ in range(chance.randint(1, 2) if name == victim else 0):
                index = chance.randrange(len(lines))
                match chance.randrange(4):
                    case 0:
                        del lines[index]
                        lines = lines or [""]
                    case 1:
                        lines.insert(index, lines[chance.randrange(len(lines))])
                    case _:
                        key, mark, rest = lines[index].partition(":")
                        comma = "," if rest.endswith(",") else ""
                        lines[index] = f"{key}{mark} {chance.choice(values)}{comma}"
            (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
        files = [str(tmp_path / name) for name in names]
        ended.add(workshop.take(f"damaged-{number}", *files))
        error = capsys.readouterr().err
        assert "Traceback" not in error
    assert ended <= {ExitCode.OK, ExitCode.BLOCKED, ExitCode.USAGE}
    assert ExitCode.OK in ended
    assert workshop.folder.errors() == []
