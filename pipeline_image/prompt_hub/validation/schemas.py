"""JSON Schemas of the file formats, made from the models, so that editors complete and check."""

from __future__ import annotations

import json

from pydantic import BaseModel

from prompt_hub.repository.contracts import METASCHEMA
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import Registry
from prompt_hub.repository.schema import Example, Prompt
from prompt_hub.scoring.metadata import ScoringMetadata

FOLDER = ".schemas"
"""Below `prompts/`; hidden, so that no layer takes it for its own."""


def schemas() -> dict[str, str]:
    """Return the text of every schema, by the name of its file."""
    from prompt_hub.evaluation.record import EvaluationRecord

    models: dict[str, type[BaseModel]] = {
        "prompt": Prompt,
        "metadata": ScoringMetadata,
        "example": Example,
        "registry": Registry,
        "evaluation": EvaluationRecord,
    }
    return {f"{name}.schema.json": _text(model) for name, model in models.items()}


def write_schemas(repository: PromptRepository) -> list[str]:
    """Write every schema into the repository; returns their paths."""
    folder = repository.prompts / FOLDER
    folder.mkdir(exist_ok=True)
    written = []
    for name, text in schemas().items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(repository.relative(folder / name))
    return written


def _text(model: type[BaseModel]) -> str:
    schema = {"$schema": METASCHEMA, **model.model_json_schema(by_alias=True)}
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"
