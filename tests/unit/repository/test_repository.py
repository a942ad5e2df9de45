"""The repository on disk: layers, building blocks, shots, locks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import jinja2
import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.includes import expand_includes
from prompt_hub.repository.reader import PromptRepository
from tests.unit.building import RepositoryFolder

CANDIDATE = "prompts/00-templates/part-class.yaml"
PRODUCTION = "prompts/02-production/part-class.yaml"


def test_a_task_is_live_with_metadata_and_examples(healthy: RepositoryFolder) -> None:
    assert healthy.repository.tasks() == ("brand", "part-class")
    healthy.path("prompts/01-examples/brand.jsonl").unlink()
    assert healthy.repository.tasks() == ("part-class",)


@pytest.mark.parametrize("name", ["._part-class", ".brand-old"])
def test_hidden_files_are_nobodys(healthy: RepositoryFolder, name: str) -> None:
    """Systems and editors leave files of their own beside those that they copy or edit."""
    repository = healthy.repository
    healthy.write(f"prompts/01-examples/{name}.jsonl", "\x00")
    healthy.write(f"prompts/03-metadata/{name}.yaml", "\x00")
    healthy.write(f"prompts/99-archive/part-class/{name}.yaml", "\x00")
    assert repository.tasks() == ("brand", "part-class")
    assert [old.version for old in repository.archived("part-class")] == ["1.0.0"]


def test_a_candidate_is_whole(healthy: RepositoryFolder) -> None:
    candidate = healthy.repository.candidate("part-class")
    system = candidate.messages[0].content
    assert system.startswith("You sort electronic parts into classes for a catalogue.\n")
    assert "include" not in system
    assert candidate.few_shot is not None
    assert candidate.few_shot.examples is not None
    parts = [shot.input["part_number"] for shot in candidate.few_shot.examples]
    assert parts == ["C1206C104K5RAC", "RC0603FR-0710KL"]


def test_blocks_may_include_blocks_but_not_themselves(healthy: RepositoryFolder) -> None:
    role = "prompts/00-templates/catalogue-role.txt"
    healthy.write(role, "{% include 'deeper.txt' %}")
    healthy.write("prompts/00-templates/deeper.txt", "Deep.\n")
    content = healthy.repository.candidate("part-class").messages[0].content
    assert content.startswith("Deep.\n")
    healthy.write("prompts/00-templates/deeper.txt", "{% include 'catalogue-role.txt' %}")
    with pytest.raises(PromptHubError, match="include one another"):
        healthy.repository.candidate("part-class")


@pytest.mark.parametrize(
    "content",
    [
        "Before:\n{%- include 'inner' -%}\n\n after.",
        "Before:\n{%- include 'inner' %}\nafter.",
        "Before:\n{% include 'inner' -%}\nafter.",
        "{% include 'inner' -%} \n {%- include 'inner' %}\n{%- include 'deeper' -%} .",
    ],
)
def test_a_minus_takes_white_space_away_as_in_jinja2(content: str) -> None:
    blocks = {"inner": " Inner ", "deeper": " \n{%- include 'inner' -%} end"}
    whole = expand_includes(content, lambda name, _: (name, blocks[name]))
    jinja = jinja2.Environment(loader=jinja2.DictLoader(blocks), autoescape=True)
    assert whole.text == jinja.from_string(content).render()
    # Each character is still told where it was written.
    for offset, character in enumerate(whole.text):
        place = whole.place(offset)
        assert blocks.get(place.file, content)[place.offset] == character


def test_a_block_outside_the_templates_is_refused(healthy: RepositoryFolder) -> None:
    healthy.edit(CANDIDATE, "catalogue-role.txt", "../03-metadata/brand.yaml")
    with pytest.raises(PromptHubError, match="lies outside 00-templates"):
        healthy.repository.candidate("part-class")


def test_a_hidden_block_is_not_suggested(healthy: RepositoryFolder) -> None:
    healthy.write("prompts/00-templates/.catalogue.txt~", "")
    healthy.edit(CANDIDATE, "catalogue-role.txt", "catalogue.txt")
    with pytest.raises(PromptHubError, match=r"did you mean 'catalogue-role\.txt'"):
        healthy.repository.candidate("part-class")


def test_versions_are_found_in_production_and_archive(healthy: RepositoryFolder) -> None:
    repository = healthy.repository
    champion = repository.production("part-class")
    assert champion is not None
    assert champion.version == "1.1.0"
    assert [old.version for old in repository.archived("part-class")] == ["1.0.0"]
    old = repository.version("part-class", "1.0.0")
    assert old is not None
    assert old.messages[0].content.startswith("You classify electronic parts.\n")
    assert repository.version("part-class", "1.2.0") is None


def test_newest_archived_version_comes_first_by_number(healthy: RepositoryFolder) -> None:
    for version in ("1.9.0", "1.10.0"):
        text = healthy.read("prompts/99-archive/part-class/1.0.0.yaml")
        healthy.write(
            f"prompts/99-archive/part-class/{version}.yaml",
            text.replace("version: 1.0.0", f"version: {version}"),
        )
    versions = [old.version for old in healthy.repository.archived("part-class")]
    assert versions == ["1.10.0", "1.9.0", "1.0.0"]


def test_a_hand_edit_of_a_released_prompt_breaks_its_lock(healthy: RepositoryFolder) -> None:
    healthy.edit(PRODUCTION, "{{ title }}", "{{ title }}!")
    with pytest.raises(
        InvalidDocumentsError, match=r"part-class\.yaml:\d+:\d+: lock\.sha256: found"
    ):
        healthy.repository.production("part-class")


def test_a_released_prompt_without_a_lock_is_refused(healthy: RepositoryFolder) -> None:
    text = healthy.read(PRODUCTION)
    healthy.write(PRODUCTION, text[: text.index("\nlock:") + 1])
    with pytest.raises(InvalidDocumentsError, match="no lock"):
        healthy.repository.production("part-class")


def test_every_bad_example_is_said(healthy: RepositoryFolder) -> None:
    file = "prompts/01-examples/brand.jsonl"
    healthy.write(file, healthy.read(file) + '{"id": 1}\nnonsense\n{"id": "a", "colour": 2}\n')
    with pytest.raises(InvalidDocumentsError) as error:
        healthy.repository.examples("brand")
    assert {problem.line for problem in error.value.problems} == {5, 6, 7}


def test_no_registry_yet_is_an_empty_one(healthy: RepositoryFolder) -> None:
    assert set(healthy.repository.registry().tasks) == {"brand", "part-class"}
    healthy.path("prompt_registry.yaml").unlink()
    assert healthy.repository.registry().tasks == {}


def test_the_environment_names_the_root(healthy: RepositoryFolder, tmp_path: Path) -> None:
    found = PromptRepository.from_environment({aws_names.ENV_ROOT: str(healthy.root)})
    assert found.root == healthy.root.resolve()
    with pytest.raises(PromptHubError, match="there is no folder 'prompts'"):
        PromptRepository.from_environment({aws_names.ENV_ROOT: str(tmp_path / "nowhere")})


@pytest.mark.processes
def test_what_a_machine_keeps_for_itself_is_not_taken_from_a_commit(
    healthy: RepositoryFolder,
) -> None:
    """Answers that somebody committed would be those of the model, and pass any gate."""
    environment = {aws_names.ENV_ROOT: str(healthy.root)}
    git = ("git", "-C", str(healthy.root))
    subprocess.run([*git, "init", "--quiet"], check=True)
    healthy.write(".prompt-hub/responses/part-class/0.jsonl", "{}\n")
    assert PromptRepository.from_environment(environment).tasks()
    subprocess.run([*git, "add", "--force", ".prompt-hub/responses"], check=True)
    with pytest.raises(PromptHubError, match=r"git tracks \.prompt-hub") as caught:
        PromptRepository.from_environment(environment)
    assert "git rm -r --cached .prompt-hub" in caught.value.hint
    subprocess.run([*git, "rm", "-r", "--cached", "--quiet", ".prompt-hub"], check=True)
    assert PromptRepository.from_environment(environment).tasks()
