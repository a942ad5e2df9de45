"""JSON Schemas of `cdk.json` and of a file of models, made from the models that read them.

They are for editors, so they hold what can be said of one value; rules between settings are the
loader's alone. `make docs` writes them into `docs/schemas`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from cdk_app.model_settings import ALIAS
from cdk_app.settings import CONTEXT_KEY, Settings
from prompt_hub.core import aws_names
from prompt_hub.llm.config import ModelConfig
from prompt_hub.validation.schemas import schema_of

Json = dict[str, object]

CDK = "cdk.schema.json"
MODELS = "models.schema.json"

_EXAMPLES: Mapping[str, Mapping[str, object]] = {
    "Settings": {
        "installation": "shop",
        "github_owner_id": 1342004,
        "github_repository_id": 1296269,
        "tags": {"team": "catalogue"},
    },
    "StageSettings": {
        "name": "prod",
        "availability_zones": ["us-east-1a", "us-east-1b"],
        "caller_cidrs": ["10.200.0.0/16"],
    },
    "ClaimSettings": {"values": ["prompts"]},
    "CallerIdentitySettings": {"caller_claim": "client_id", "quotas": {"nightly-import": 600}},
    "ModelConfig": {"provider": "bedrock", "requests_per_minute": 500, "tokens_per_minute": 200000},
    "Price": {"input": 0.07, "output": 0.3},
}
"""Where a type's least value would explain nothing."""


def cdk_schema() -> Json:
    """Make the schema of `cdk.json`: our settings in its context, and whatever the CDK takes."""
    settings = cast(Json, schema_of(Settings))
    definitions = _definitions(settings)
    alias = _without_key_of_mapping(definitions)
    # A key stands in Secrets Manager, and what is called over the internet is called by TLS.
    del properties_of(alias)["api_key_env"]
    properties_of(alias)["base_url"] |= {"anyOf": [_HTTPS, {"type": "null"}]}
    for owner in (settings, definitions["StageSettings"]):
        properties_of(owner)["models"] |= {
            "minProperties": 1,
            "propertyNames": {"pattern": f"^{ALIAS}$"},
        }
    ours = {"$ref": "#/$defs/Settings"}
    context = {"type": "object", "properties": {CONTEXT_KEY: ours}, "required": [CONTEXT_KEY]}
    return {
        "title": aws_names.CONTEXT_FILE,
        "description": "Settings of the CDK's command line, and in `context` those of Prompt Hub.",
        "type": "object",
        "properties": {"context": context},
        "required": ["context"],
        "$defs": _finished({**definitions, "Settings": settings}),
    }


def models_schema() -> Json:
    """Make the schema of a file that `PROMPT_HUB_MODELS` names."""
    alias = cast(Json, schema_of(ModelConfig))
    definitions = {**_definitions(alias), "ModelConfig": alias}
    _without_key_of_mapping(definitions)
    return {
        "title": "models.json",
        "description": f"What each model alias means, for {aws_names.ENV_MODELS}.",
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/ModelConfig"},
        "$defs": _finished(definitions),
    }


def properties_of(definition: Json) -> dict[str, Json]:
    """Return the schemas of an object's keys."""
    return cast(dict[str, Json], definition["properties"])


_HTTPS: Json = {"type": "string", "pattern": r"^https://\S+$", "examples": ["https://host/v1"]}


def _definitions(schema: Json) -> dict[str, Json]:
    return cast(dict[str, Json], schema.pop("$defs"))


def _without_key_of_mapping(definitions: Mapping[str, Json]) -> Json:
    """Take the alias out of what is below it: it is the key in the mapping."""
    definition = definitions["ModelConfig"]
    del properties_of(definition)["alias"]
    cast(list[str], definition["required"]).remove("alias")
    return definition


def _finished(definitions: dict[str, Json]) -> dict[str, Json]:
    """Give keys their examples, and take out what only our own messages read."""
    for name, definition in definitions.items():
        for key, schema in properties_of(definition).items():
            schema.pop("expected", None)
            if key in _EXAMPLES.get(name, {}):
                schema["examples"] = [_EXAMPLES[name][key]]
    return definitions
