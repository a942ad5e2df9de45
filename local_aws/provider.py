"""`make degrade` and `make recover`: what a provider may do to the model behind a name any day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import yaml

from local_aws.aliases import FLOATING, aliases, set_alias
from local_aws.processes import LocalRunError
from local_aws.scripted_model import SCRIPTED
from local_aws.stack import STAGE, LocalStack
from local_aws.stack_reader import Json
from local_aws.weights import DEFAULT, SMALL, Weights

_UNUSUAL = {
    SMALL.name: "a weaker one:",
    SCRIPTED: "which answers without weights; unless `make records` runs,",
}
"""What may stand behind the floating alias in place of the usual model, and what to say of it."""


def behind(stack: LocalStack) -> str:
    """Say which model answers for the floating alias now."""
    name = aliases(stack.state / "model")[FLOATING]
    note = f", {_UNUSUAL[name]} `make recover` puts the usual one back" if name in _UNUSUAL else ""
    return f"{FLOATING} is {name}{note}"


def degrade(stack: LocalStack, active: Iterable[Json]) -> Iterator[str]:
    """Put the weaker model behind the floating alias; yield whom that concerns, and what to do.

    `active` are the ledger's pointers.
    """
    yield from _put(stack, SMALL)
    concerned = False
    for pointer in active:
        version = str(pointer["version"])
        if not pointer.get("retired") and _alias(stack, pointer, version) == FLOATING:
            concerned = True
            yield from _outlook(stack, pointer)
    if not concerned:
        yield (
            f"no active version asks for {FLOATING}, so nothing gets worse: release one whose"
            f" prompt says `alias: {FLOATING}`, after `make recover`"
        )


def recover(stack: LocalStack) -> Iterator[str]:
    """Put the usual model behind the floating alias again."""
    yield from _put(stack, DEFAULT)
    yield (
        "what was rolled back stays out: release a mended version under a new number, or bring it"
        f" back by name: prompt-hub ledger activate TASK --to VERSION --stage {STAGE} --person …"
        " --reason …"
    )


def _put(stack: LocalStack, weights: Weights) -> Iterator[str]:
    state = stack.state / "model"
    # A `make records` that was killed has left its own model behind this name, too.
    set_alias(state, DEFAULT.name, DEFAULT.name)
    set_alias(state, FLOATING, weights.name)
    yield behind(stack)
    yield (
        "answers that `prompt-hub evaluate` has stored are those of the model before:"
        " --fresh asks again"
    )


def _outlook(stack: LocalStack, pointer: Json) -> Iterator[str]:
    """Say what comes of an active version that asks for the alias."""
    task = str(pointer["task"])
    previous = cast("Json | None", pointer["previous"])
    if previous is None:
        way_back = "it has no way back, so people are told"
    else:
        version = str(previous["version"])
        alias = _alias(stack, pointer, version)
        both = ", too: if both fall it is frozen and people are told" if alias == FLOATING else ""
        way_back = f"its way back {version} asks for {alias}{both}"
    yield f"{task} {pointer['version']} asks for it; {way_back}"
    yield (
        "  its score watch measures it by itself; now:"
        f" prompt-hub watch {task} --stage {STAGE} --now --wait"
    )


def _alias(stack: LocalStack, pointer: Json, version: str) -> str:
    """Return the alias that a released version asks for, by what was pushed."""
    task = pointer["task"]
    for path in (f"02-production/{task}.yaml", f"99-archive/{task}/{version}.yaml"):
        try:
            text = stack.git("-C", str(stack.remote), "show", f"{stack.branch}:prompts/{path}")
        except LocalRunError:
            continue
        prompt = yaml.safe_load(text)
        if prompt["version"] == version:
            return str(prompt["model"]["alias"])
    return "an alias that git does not say"
