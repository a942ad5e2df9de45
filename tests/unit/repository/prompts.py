"""Prompts, and values to render them with."""

from __future__ import annotations

from prompt_hub.repository.schema import Prompt


def prompt(*contents: str, **more: object) -> Prompt:
    roles = ["system"] * (len(contents) - 1) + ["user"]
    return Prompt.model_validate(
        {
            "schema": "prompt-hub/prompt@1",
            "task": "part-class",
            "version": "1.0.0",
            "description": "A prompt.",
            "model": {"alias": "small"},
            "input": {"type": "object"},
            "output": {"type": "object"},
            "messages": [
                {"role": role, "content": content}
                for role, content in zip(roles, contents, strict=True)
            ],
            **more,
        }
    )


BIG: dict[str, object] = {
    "text": "x" * 150_000,
    "other": "x" * 149_999 + "y",
    "many": list(range(5_000)),
    "nested": [[["x"] * 50] * 50] * 50,
}
