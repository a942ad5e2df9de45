"""What a step says while it runs: its time, and what is left of what it is expected to take."""

from __future__ import annotations

import json
import re
from pathlib import Path
from queue import Queue

import pytest

from local_aws import countdown
from local_aws.aliases import FLOATING
from local_aws.countdown import TYPICAL, Countdown, duration

LONG = "CodePipeline, as CDK synthesised it"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s")]
)
def test_a_duration_is_said_in_minutes_and_seconds(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_without_an_earlier_run_a_step_is_expected_to_take_what_is_typical(tmp_path: Path) -> None:
    told = Countdown(tmp_path / "seconds.json")
    so_far = TYPICAL[LONG] - 65
    assert told.line(LONG, so_far) == f"… {duration(so_far)}, about 1 min 5 s left"
    assert told.line("A step that nobody has timed", 7) == "… 7 s"


def test_the_last_run_on_this_machine_says_more_than_what_is_typical(tmp_path: Path) -> None:
    file = tmp_path / "seconds.json"
    file.write_text(json.dumps({LONG: 30}), encoding="utf-8")
    assert Countdown(file).line(LONG, 10) == "… 10 s, about 20 s left"
    assert Countdown(file).line(LONG, 40) == "… 40 s, longer than the 30 s expected"


def test_a_step_that_fails_says_nothing_of_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "seconds.json"
    told = Countdown(file)
    with pytest.raises(RuntimeError), told.of("broken"):
        raise RuntimeError
    with told.of("whole"):
        pass
    assert list(json.loads(file.read_text(encoding="utf-8"))) == ["whole"]


def test_a_slow_machine_is_told_by_its_first_steps(tmp_path: Path) -> None:
    file = tmp_path / "seconds.json"
    told = Countdown(file)
    first = "Models, and a local AWS, on loopback"
    told._took[first] = 2 * TYPICAL[first]
    assert told.line(LONG, 0) == f"… 0 s, about {duration(2 * TYPICAL[LONG])} left"


def test_a_torn_file_of_an_earlier_run_is_no_reason_to_fail(tmp_path: Path) -> None:
    file = tmp_path / "seconds.json"
    file.write_text('{"CodePip', encoding="utf-8")
    assert "left" in Countdown(file).line(LONG, 1)


def test_a_long_step_tells_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(countdown, "QUIET_SECONDS", 0.01)
    said: Queue[str] = Queue()
    with Countdown(tmp_path / "seconds.json", said.put).of(LONG):
        line = said.get(timeout=60)
    assert re.fullmatch(r"    … \d+ s, about \d min \d+ s left", line)


def test_every_typical_step_is_one_that_the_story_tells() -> None:
    folder = Path(countdown.__file__).parent
    told = "".join((folder / name).read_text("utf-8") for name in ("lifecycle.py", "regression.py"))
    told = told.replace("{FLOATING!r}", repr(FLOATING))
    assert [step for step in TYPICAL if f'"{step}"' not in told] == []
