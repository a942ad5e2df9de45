#!/usr/bin/env bash
# What the strict helper of OpenAI's own SDK makes of types that a pydantic model may have.
#
# Matters here: a schema that strict mode refuses is an HTTP 400 at every call, and the helper looks like the place
# that knows what strict mode takes.
#
# Guess: what comes out has only words that OpenAI's page of supported schemas names (no `default`, `oneOf`,
# `uniqueItems`, `prefixItems`, `examples`; objects closed), or the helper refuses the type. A field with a
# default becomes nullable.
#
# Seen, 2026-11-27: the helper requires every field, closes objects with properties, and passes the rest on: of
# seven types, only the plain union comes out as the page has it. A text with a default is required, not nullable,
# and keeps its `default`. A dict stays open.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  openai==3.54.0 pydantic==2.14.4

"$work/venv/bin/python" - >"$work/seen" 2>/dev/null <<'PY'
import json
from importlib.metadata import version
from typing import Annotated, Literal

from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel, Field, create_model


class Resistor(BaseModel):
    kind: Literal["resistor"]


class Capacitor(BaseModel):
    kind: Literal["capacitor"]


NAMED = set(
    "type properties required additionalProperties items enum const anyOf $ref $defs title"
    " description pattern format minimum maximum exclusiveMinimum exclusiveMaximum multipleOf"
    " minItems maxItems".split()
)
TYPES = {
    "text with a default": (str, "x"),
    "dict": (dict[str, int], ...),
    "set": (set[str], ...),
    "tuple": (tuple[int, str], ...),
    "tagged union": (Annotated[Resistor | Capacitor, Field(discriminator="kind")], ...),
    "text with an example": (Annotated[str, Field(examples=["x"])], ...),
    "union": (Resistor | Capacitor, ...),
}
print("openai", version("openai"))
print("pydantic", version("pydantic"))
for name, field in TYPES.items():
    part = to_strict_json_schema(create_model("Output", a=field))["properties"]["a"]
    more = sorted(part.keys() - NAMED)
    if part.get("type") == "object" and part.get("additionalProperties") is not False:
        more.append("open")
    nullable = "null" in json.dumps(part)
    print(f"  {name}: {', '.join(more) or 'as the page has it'}{', nullable' if nullable else ''}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
openai 3.54.0
pydantic 2.14.4
  text with a default: default
  dict: open
  set: uniqueItems
  tuple: prefixItems
  tagged union: discriminator, oneOf
  text with an example: examples
  union: as the page has it
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
