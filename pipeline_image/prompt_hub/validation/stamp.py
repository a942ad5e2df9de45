"""`--stamp`: the author looked the metadata over; it is up to date with examples and contracts."""

from __future__ import annotations

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.hashing import sha256_of
from prompt_hub.repository.documents import InvalidDocumentsError, read_text, to_model
from prompt_hub.repository.edit import edited
from prompt_hub.repository.reader import METADATA, PromptRepository, path_inside
from prompt_hub.repository.schema import JsonObject, Prompt
from prompt_hub.repository.transaction import exclusive
from prompt_hub.repository.yaml import parse_yaml

BLOCK = "up_to_date"


def stamp(repository: PromptRepository, task: str) -> bool:
    """Rewrite the `up_to_date` block of the task's metadata; returns whether it changed.

    Every other byte of the file stays as it is, and an interruption leaves the old file.

    Raises:
        InvalidDocumentsError: metadata, candidate or examples cannot be read.
        PromptHubError: there is no such task, its metadata cannot be edited safely, or was changed
            meanwhile.
    """
    repository.require_task(task)
    path = repository.path(METADATA, f"{task}.yaml")
    file = repository.relative(path)
    text = read_text(path, file)
    prompt = _candidate(repository, file, text)
    block: JsonObject = {
        "examples": repository.examples_sha256(task),
        "input": sha256_of(prompt.input),
        "output": sha256_of(prompt.output),
    }
    if _data(text, file).get(BLOCK) == block:
        return False
    with exclusive(repository.root) as writer:
        # A large set takes a while to hash, and editors know nothing of our lock.
        if read_text(path, file) != text:
            raise PromptHubError(
                f"nothing was stamped: {file} was changed meanwhile.",
                hint="Look it over, then stamp it again.",
            )
        writer.apply({file: edited(text, file, BLOCK, block)})
    return True


def _data(text: str, file: str) -> dict[object, object]:
    data = parse_yaml(text, file).data
    return data if isinstance(data, dict) else {}


def _candidate(repository: PromptRepository, file: str, text: str) -> Prompt:
    """Find the candidate without asking that the metadata be valid: stamping may make it so."""
    document = parse_yaml(text, file)
    name = _data(text, file).get("candidate")
    path = path_inside(repository.prompts, str(name))
    if not isinstance(name, str) or path is None:
        found, expected = repr(name), "a file below prompts/"
        raise InvalidDocumentsError([document.problem(("candidate",), found, expected)])
    if not path.is_file():
        found, expected = f"{name!r}, which does not exist", "the candidate's file"
        raise InvalidDocumentsError([document.problem(("candidate",), found, expected)])
    return to_model(repository.document(path), Prompt)
