"""`prompt-hub completion`: scripts that shells really load, made from the commands' own parsers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import prompt_hub
from prompt_hub.cli.completion import SHELLS, script
from prompt_hub.cli.main import COMMANDS, main
from prompt_hub.core import aws_names

PRESSED_TAB = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_prompt_hub prompt-hub "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "prompt-hub.bash"
    path.write_text(script("bash"), encoding="utf-8")
    return path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for task in ("brand", "part-class"):
        path = tmp_path / "prompts" / "03-metadata" / f"{task}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    stages = [{"name": "dev"}, {"name": "prod"}]
    context = {"context": {aws_names.CONTEXT_KEY: {"stages": stages}}}
    (tmp_path / aws_names.CONTEXT_FILE).write_text(json.dumps(context))
    return tmp_path


def offered(script: Path, folder: Path, *words: str) -> set[str]:
    """What bash offers after these words, the last of them half typed."""
    # A build of the pipeline has the package on its path, and no command that is installed.
    command = folder / "bin" / "prompt-hub"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m prompt_hub.cli "$@"\n')
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent), os.environ["PATH"]])
    package = str(Path(prompt_hub.__path__[0]).parent)
    done = subprocess.run(
        ["bash", "-c", PRESSED_TAB, "bash", script, "prompt-hub", *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), "PYTHONPATH": package},
    )
    return set(done.stdout.split())


@pytest.mark.processes
def test_bash_offers_commands_options_tasks_and_stages(bash_script: Path, repository: Path) -> None:
    def after(*words: str) -> set[str]:
        return offered(bash_script, repository, *words)

    assert after("his") == {"history"}
    assert set(COMMANDS) <= after("")
    assert after("evaluate", "--fr") == {"--fresh"}
    assert after("evaluate", "--backend", "") == {"live", "batch"}
    assert after("history", "p") == {"part-class"}
    assert after("dev", "") >= {"brand", "part-class"}
    assert after("doctor", "--stage", "") == {"dev", "prod"}


@pytest.mark.processes
def test_a_name_in_somebody_elses_clone_is_never_run(bash_script: Path, repository: Path) -> None:
    metadata = repository / "prompts" / "03-metadata"
    for name in ("$(touch run)", "`touch run`", "${run:=1}", "two words", "-rf", "*"):
        (metadata / f"{name}.yaml").touch()
    stages = [{"name": name} for name in ("$(touch run)", "dev\n$(touch run)", "dev")]
    context = {"context": {aws_names.CONTEXT_KEY: {"stages": stages}}}
    (repository / aws_names.CONTEXT_FILE).write_text(json.dumps(context))
    assert offered(bash_script, repository, "history", "") == {"brand", "part-class"}
    assert offered(bash_script, repository, "doctor", "--stage", "") == {"dev"}
    assert not (repository / "run").exists()


@pytest.mark.processes
@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_accepts_its_script(shell: str, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(script(shell), encoding="utf-8")
    assert all(name in path.read_text("utf-8") for name in COMMANDS)
    if shutil.which(shell) is None:
        assert shell != "bash"
        pytest.skip(f"{shell} is not on this machine")
    done = subprocess.run([shell, "-n", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_zsh_asks_when_a_person_presses_the_key_and_not_when_it_loads() -> None:
    asking = [line for line in script("zsh").splitlines() if "$(prompt-hub completion" in line]
    assert sorted(line.partition("()")[0] for line in asking) == [
        "_prompt_hub_stages",
        "_prompt_hub_tasks",
    ]


def test_names_are_listed_and_nothing_where_there_is_none(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(repository))
    assert main(["completion", "tasks"]) == 0
    assert main(["completion", "stages"]) == 0
    assert capsys.readouterr().out.split() == ["brand", "part-class", "dev", "prod"]
    monkeypatch.setenv(aws_names.ENV_ROOT, str(tmp_path / "nowhere"))
    assert main(["completion", "tasks"]) == 0
    assert main(["completion", "stages"]) == 0
    assert capsys.readouterr().out.split() == []


def test_without_shtab_it_says_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "make setup" in capsys.readouterr().err
