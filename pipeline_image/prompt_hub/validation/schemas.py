"""JSON Schemas of the file formats, made from the models, so that editors complete and check."""

from __future__ import annotations

import json
from typing import cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import ModelSchema

from prompt_hub.core.field_docstrings import field_docstrings
from prompt_hub.repository.contracts import METASCHEMA
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import Registry
from prompt_hub.repository.schema import Example, Prompt
from prompt_hub.repository.transaction import apply
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
    return {f"{name}.schema.json": schema_text(schema_of(model)) for name, model in models.items()}


def write_schemas(repository: PromptRepository) -> list[str]:
    """Write every schema into the repository; returns their paths."""
    folder = repository.prompts / FOLDER
    texts = {repository.relative(folder / name): text for name, text in schemas().items()}
    apply(repository.root, texts)
    return [*texts]


def schema_of(model: type[BaseModel]) -> JsonSchemaValue:
    """Make the JSON Schema of `model`, with the docstrings of its fields as descriptions."""
    return model.model_json_schema(by_alias=True, schema_generator=_WithDocstrings)


def schema_text(schema: JsonSchemaValue) -> str:
    """Write `schema` as a file has it, with the draft that it keeps."""
    return json.dumps({"$schema": METASCHEMA, **schema}, ensure_ascii=False, indent=2) + "\n"


class _WithDocstrings(GenerateJsonSchema):
    """Describes each field by the docstring below it.

    pydantic's `use_attribute_docstrings` does so too, but reads the source of every model at each
    start of every command, which took a tenth of `prompt-hub validate`.
    """

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        model = cast(type[BaseModel], schema["cls"])
        for name, words in field_docstrings(model).items():
            field = model.model_fields[name]
            if field.description is None:
                found["properties"][field.alias or name]["description"] = words
        return found
