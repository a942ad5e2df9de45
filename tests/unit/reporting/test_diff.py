"""`prompt-hub diff`: two versions, what they say and how they scored."""

from __future__ import annotations

import json

import pytest

from prompt_hub.cli.diff import in_words
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.reporting.answers import Change
from prompt_hub.reporting.diff import compare, version_of
from prompt_hub.reporting.diff_words import difference_lines
from prompt_hub.reporting.prompt_diff import Difference, Run
from tests.unit.reporting.evaluations import Builder, Built, log
from tests.unit.reporting.history import TASK


def test_candidate_and_champion_are_compared_in_their_common_evaluation(evaluated: Builder) -> None:
    found = compare(evaluated().evaluations, TASK, "champion", "candidate")
    assert [prompt.version for prompt in found.prompts] == ["1.2.0", "1.3.0"]
    assert found.before is not None
    assert found.after is not None
    assert found.before.name == found.after.name == "evaluations/local/part-fields.json"
    assert len(found.examples) == 48
    assert [len(found.of(kind)) for kind in Change] == [14, 2, 32]
    assert all(compared.after > compared.before for compared in found.of(Change.WON))
    assert found.notes == ()


def test_the_other_way_round_won_is_lost(evaluated: Builder) -> None:
    found = compare(evaluated().evaluations, TASK, "candidate", "1.2.0")
    assert [len(found.of(kind)) for kind in Change] == [2, 14, 32]


def test_versions_of_two_evaluations_are_compared_with_a_note(copied: Built) -> None:
    data = json.loads(copied.record.to_json())
    old = copied.record.model_validate(
        data | {"champion": None, "candidate": data["champion"], "examples_sha256": "b" * 64}
    )
    log(copied, "1.2.0", champion=None, candidate=old.candidate, examples_sha256="b" * 64)
    new = copied.record.model_copy(update={"champion": None})
    copied.record_path.write_text(new.to_json(), encoding="utf-8")
    found = compare(copied.evaluations, TASK, "1.2.0", "1.3.0")
    assert len(found.examples) == 12
    assert found.notes == (
        "The two were measured in different evaluations.",
        "The examples changed in between: only those with the same id are compared.",
    )


def test_a_champion_stands_beside_its_own_threshold_and_not_the_candidates(
    copied: Built,
) -> None:
    def told() -> list[str]:
        found = compare(copied.evaluations, TASK, "champion", "candidate")
        (line,) = (row for row in in_words(found, coloured=False) if row.startswith("threshold"))
        return line.split()[1:]

    assert told() == ["–", "0.800"]
    data = json.loads(copied.record.to_json())
    own = copied.record.model_validate(data | {"candidate": data["champion"], "champion": None})
    log(copied, "1.2.0", champion=None, candidate=own.candidate, threshold=0.7)
    assert told() == ["0.700", "0.800"]


def test_what_nobody_measured_has_no_row(copied: Built) -> None:
    data = json.loads(copied.record.to_json())
    for arm in (data["candidate"], data["champion"]):
        arm["usd"] = None
    free = copied.record.model_validate(data)
    copied.record_path.write_text(free.to_json(), encoding="utf-8")
    rows = list(in_words(compare(copied.evaluations, TASK, "1.2.0", "1.3.0"), coloured=False))
    assert not any(row.startswith("cost ") for row in rows)
    assert any(row.startswith("score ") for row in rows)


def test_a_version_that_was_never_evaluated_has_no_scores(evaluated: Builder) -> None:
    found = compare(evaluated().evaluations, TASK, "0.9.0", "1.2.0")
    assert found.before is None
    assert found.examples == ()
    assert found.notes == ("0.9.0 was not evaluated as it is.",)


@pytest.mark.parametrize(
    ("task", "name", "expected"),
    [
        (TASK, "1.1.0", "part-fields 1.1.0 is not in the repository. There are: candidate, 1.2.0,"),
        (TASK, "newest", "There are: candidate, 1.2.0, 1.0.0, 0.9.0."),
        ("part-field", "1.0.0", "Did you mean 'part-fields'?"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    evaluated: Builder, task: str, name: str, expected: str
) -> None:
    with pytest.raises(PromptHubError) as refused:
        version_of(evaluated().evaluations.repository, task, name)
    assert expected in str(refused.value)


def test_people_read_words_scores_and_examples(evaluated: Builder) -> None:
    found = compare(evaluated().evaluations, TASK, "champion", "candidate")
    message = "\n".join(in_words(found, coloured=False))
    assert message.startswith("part-fields 1.2.0 → 1.3.0\n")
    assert "parameters.max_tokens: [-96-]{+128+}" in message
    assert "electronic part and [-name-]{+state+} its class" in message
    assert "score         0.771    0.821" in message
    assert "examples: 14 won, 2 lost, 32 the same" in message
    lost = message[message.index("lost  0.800 → 0.400  murata-mtta493-52m-31\n") :].splitlines()
    heads = [line.split()[0] for line in lost[1:5]]
    assert heads == ["input", "expected", "1.2.0", "1.3.0"]
    assert lost[2].split()[1:3] == lost[3].split()[1:3] != lost[4].split()[1:3]
    assert message.index("  lost  ") < message.index("  won   ")
    assert "\x1b" not in message
    assert "\x1b[9;31mname\x1b[0m" in "\n".join(in_words(found, coloured=True))


def test_prompts_that_say_the_same_are_called_so(evaluated: Builder) -> None:
    found = compare(evaluated().evaluations, TASK, "champion", "1.2.0")
    assert "The prompts say the same." in "\n".join(in_words(found, coloured=False))


def test_a_long_list_is_cut_and_says_so(evaluated: Builder) -> None:
    found = compare(evaluated(examples=500).evaluations, TASK, "champion", "candidate")
    lines = list(in_words(found, coloured=False))
    assert sum(line.startswith("  won ") for line in lines) == 11
    assert any("more (--json has them all)" in line for line in lines)


def test_the_command_prints_words_or_json(
    evaluated: Builder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(evaluated().root))
    assert main(["diff", TASK, "champion", "candidate"]) == ExitCode.OK
    assert "{+128+}" in capsys.readouterr().out
    assert main(["diff", TASK, "champion", "candidate", "--json"]) == ExitCode.OK
    message = json.loads(capsys.readouterr().out)
    assert message["before"]["version"] == "1.2.0"
    assert len(message["examples"]) == 48
    assert {item["where"] for item in message["differences"]} == {
        "description",
        "parameters.max_tokens",
        "system message",
    }
    assert main(["diff", TASK, "9.9.9", "candidate"]) == ExitCode.USAGE


def test_control_characters_of_a_record_do_not_reach_a_terminal(copied: Built) -> None:
    text = copied.details_path.read_text(encoding="utf-8")
    poisoned = text.replace('"answer": "{', '"answer": "\\u001b[2J{')
    assert poisoned != text
    copied.details_path.write_text(poisoned, encoding="utf-8")
    found = compare(copied.evaluations, TASK, "candidate", "champion")
    message = "\n".join(in_words(found, coloured=False))
    assert "1.3.0     [2J{" in message
    assert "\x1b" not in message


def test_control_characters_of_a_name_do_not_reach_a_terminal() -> None:
    difference = Difference("output.properties.\x1b[2J\n", (Run("added", "{}"),))
    assert [*difference_lines(difference)] == [r"output.properties.\x1b[2J\n: {+{}+}"]
