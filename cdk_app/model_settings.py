"""Model aliases as they stand in the settings: of the installation, and of a stage."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers.registry import with_region

ALIAS = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"


def models_json(models: Mapping[str, ModelConfig]) -> str:
    """Return the value of `PROMPT_HUB_MODELS`."""
    entries = {alias: model.to_entry() for alias, model in models.items()}
    return json.dumps(entries, sort_keys=True)


def _know_their_alias(raw: object, info: ValidationInfo) -> object:
    if not isinstance(raw, Mapping) or not raw:
        raise ValueError(" must map at least one alias to a provider and a model.")
    for alias in raw:
        if not re.fullmatch(ALIAS, alias):
            raise ValueError(f": the alias {alias!r} must look like catalogue-pinned.")
    # A stage without a region of its own has the installation's.
    region = info.data.get("region") or (info.context or {}).get("region")
    return {
        alias: with_region({**entry, "alias": alias}, region)
        if isinstance(entry, Mapping)
        else entry
        for alias, entry in sorted(raw.items())
    }


def _can_be_reached_from_aws(models: dict[str, ModelConfig]) -> dict[str, ModelConfig]:
    for alias, model in models.items():
        if model.base_url is not None and not model.base_url.startswith("https://"):
            raise ValueError(
                f".{alias}.base_url is {model.base_url!r}; it must look like https://host/v1."
            )
        if model.api_key_env is not None:
            raise ValueError(
                f".{alias}.api_key_env is {model.api_key_env!r}; on AWS a key stands in"
                " Secrets Manager: name it with secret."
            )
    return models


Models = Annotated[
    dict[str, ModelConfig],
    BeforeValidator(_know_their_alias),
    AfterValidator(_can_be_reached_from_aws),
]
