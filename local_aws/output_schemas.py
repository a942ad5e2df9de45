"""Output schemas as the local model's decoder reads them."""

from __future__ import annotations

import json

Json = dict[str, object]

GUIDANCE: Json = {
    "lenient": True,
    "coerce_one_of": True,
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}
"""How llguidance reads a schema: one word that it does not know would make it drop the rest of the
schema without a sign, and free white space lets a small model write blanks until its last token."""


def constrained(request: Json) -> Json:
    """Ask for an output schema as a grammar of llguidance.

    llama.cpp's own translation of `response_format` drops patterns with classes, bounds of numbers
    and more, refuses `true` as a schema, and lets only an object through where `allOf` stands
    beside a text.
    """
    wanted = request.get("response_format")
    described = wanted.get("json_schema") if isinstance(wanted, dict) else None
    schema = described.get("schema") if isinstance(described, dict) else None
    if not isinstance(schema, dict):
        return request
    schema = {**schema, "x-guidance": GUIDANCE}
    rest = {name: value for name, value in request.items() if name != "response_format"}
    return {**rest, "grammar": f"%llguidance {{}}\nstart: %json {json.dumps(schema)}"}
