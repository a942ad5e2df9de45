"""The record of a pushed image: a tag says nothing about content, a digest does."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.repository.schema import Strict


class ImageRecord(Strict):
    """Which image the Image action pushed for a release."""

    schema_: Annotated[Literal["prompt-hub/image@1"], Field(alias="schema")]
    release: str
    image: str
    """Repository and tag."""
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    """The digest that the registry of images gave it."""
    commit: str
    """The commit whose tree it was built from."""
    at: datetime
