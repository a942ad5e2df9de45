"""`prompt-hub COMMAND`: finds commands; failures become sentences and exit codes; stays quick."""

from __future__ import annotations

import argparse
import io
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from prompt_hub.cli import main as module
from prompt_hub.cli.main import COMMANDS, main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "openai", "boto3", "botocore", "fastapi", "uvicorn", "jsonschema_rs", "pydantic", "logging",
}  # fmt: skip


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == ExitCode.OK
    message = capsys.readouterr().out
    for name, (_, summary) in COMMANDS.items():
        assert name in message
        assert summary in message
    assert main([]) == ExitCode.USAGE


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promte"]) == ExitCode.USAGE
    assert "no command 'promte'" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_keeps_the_protocol_and_has_a_help(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = import_module(COMMANDS[name][0])
    command.configure(argparse.ArgumentParser())
    assert callable(command.run)
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert f"prompt-hub {name}" in capsys.readouterr().out


def options_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from options_of(inner)
        else:
            yield action


@pytest.mark.parametrize("name", COMMANDS)
def test_what_no_stage_is_called_is_refused_wherever_one_is_named(name: str) -> None:
    parser = argparse.ArgumentParser()
    import_module(COMMANDS[name][0]).configure(parser)
    for option in options_of(parser):
        if not {"--stage", "--stages", "--earlier-stages"} & {*option.option_strings}:
            continue
        assert callable(option.type), option
        assert option.type("prod-eu") == "prod-eu"
        for wrong in ("D!V", "Dev", "../dev", "d", "dev ", "a-name-that-is-too-long"):
            with pytest.raises(argparse.ArgumentTypeError, match="is no name of a stage"):
                option.type(wrong)


def test_a_stage_out_of_the_environment_is_held_to_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(aws_names.ENV_STAGE, "D!V")
    with pytest.raises(SystemExit) as end:
        main(["console"])
    assert end.value.code == ExitCode.USAGE
    assert "argument --stage: 'D!V' is no name of a stage" in capsys.readouterr().err


def failing(error: BaseException) -> SimpleNamespace:
    def run(_: argparse.Namespace) -> ExitCode:
        raise error

    return SimpleNamespace(configure=lambda parser: None, run=run)


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (PromptHubError("It is broken.", hint="Mend it."), 2, "It is broken. Mend it."),
        (PromptHubError("No.", exit_code=ExitCode.BLOCKED), 1, "No."),
        (PromptHubError("Silence.", exit_code=ExitCode.NOT_MEASURED), 3, "Silence."),
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("a bug"), 70, "RuntimeError: a bug"),
    ],
)
def test_a_failure_is_a_sentence_and_an_exit_code(
    error: BaseException,
    code: int,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "import_module", lambda name: failing(error))
    assert main(["validate"]) == code
    message = capsys.readouterr().err
    assert expected in message
    assert ("Traceback" in message) == (code == ExitCode.UNEXPECTED)


@pytest.mark.processes
def test_help_pays_for_nothing_heavy() -> None:
    script = (
        "import sys\nfrom prompt_hub.cli.main import main\nmain(['--help'])\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stderr == "[]\n"


@pytest.mark.parametrize(
    ("door", "command"),
    [
        ("validate_prompt", "validate"),
        ("eval_runner", "evaluate"),
        ("promote_prompt", "promote"),
        ("run_pipeline", "run"),
    ],
)
def test_the_doors_lead_to_their_commands(
    door: str,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [door, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "pipeline_image" / f"{door}.py"), run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: prompt-hub {command}")


@pytest.mark.processes
def test_a_door_ends_with_the_exit_code_of_its_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "pipeline_image" / "validate_prompt.py"],
        capture_output=True,
        text=True,
        check=False,
        env={aws_names.ENV_ROOT: str(tmp_path)},
    )
    assert done.returncode == ExitCode.USAGE
    assert "there is no folder 'prompts'" in done.stderr


@pytest.mark.parametrize("command", [["validate"], ["evaluate"], ["console"], ["trace", "brand"]])
def test_a_root_that_is_a_circle_of_links_is_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    monkeypatch.setenv(aws_names.ENV_ROOT, str(circle))
    monkeypatch.setenv(aws_names.ENV_STAGE, "dev")
    assert main(command) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert str(circle) in told
    assert "symbolic links" in told


@pytest.mark.processes
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "prompt_hub.cli", "validate", "--rules"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline_image")}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def in_shell(redirected: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `prompt-hub` with the words and redirections of a shell."""
    line = f'set -o pipefail; "{sys.executable}" -m prompt_hub.cli {redirected}'
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    kept |= {"PYTHONPATH": str(ROOT / "pipeline_image"), **environment}
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, cwd=ROOT, env=kept
    )


@pytest.mark.processes
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_command_that_can_tell_nobody_ends_as_it_would(closed: str) -> None:
    done = in_shell(f"validate --rules {closed}")
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.OK, "", "")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("words", "unbuffered"),
    [("--help", ""), ("run --help", ""), ("validate --rules", ""), ("validate --rules", "1")],
)
def test_a_disk_without_room_for_what_is_printed_is_a_sentence(words: str, unbuffered: str) -> None:
    done = in_shell(f"{words} > /dev/full", PYTHONUNBUFFERED=unbuffered)
    name = words.split()[0]
    assert done.stderr == (
        f"prompt-hub {name}: its output cannot be written: No space left on device.\n"
    )
    assert done.returncode == ExitCode.USAGE


@pytest.mark.processes
@pytest.mark.parametrize("words", ["--help", "run --help"])
def test_a_help_that_nobody_reads_to_its_end_is_no_error(words: str) -> None:
    done = in_shell(f"{words} | true")
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_a_character_that_the_terminal_has_not_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.setattr(module, "_overview", lambda: "1.0.0 \N{RIGHTWARDS ARROW} 1.1.0")
    assert main(["--help"]) == ExitCode.OK
    assert raw.getvalue() == b"1.0.0 \\u2192 1.1.0\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(13, "Permission denied", "prompts/x"), "prompts/x cannot be read or "),
        (OSError(28, "No space left on device"), "its output cannot be written: No space left"),
    ],
)
def test_what_the_machine_denies_is_not_to_be_reported(
    error: OSError, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "import_module", lambda name: failing(error))
    assert main(["validate"]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith(f"prompt-hub validate: {told}")
