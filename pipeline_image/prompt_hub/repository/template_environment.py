"""What a template sees and pays while it runs: data alone, and steps that end.

Which templates compile at all is `templates`' business; this one is Jinja2's environment for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jinja2 import StrictUndefined, tests
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from prompt_hub.repository.template_filters import FILTERS, RunawayTemplateError, plain_text

MAX_STEPS = 200_000
"""Steps of one rendering: loops take items × nodes of the body, filters one a 100 characters."""

TESTS = ("boolean", "defined", "mapping", "none", "number", "sequence", "string", "undefined")
"""What may stand behind `is`; none of them takes an argument."""
LOOP = ("first", "index", "index0", "last", "length")
"""What may be read of `loop`."""


class Steps:
    """What is left of a rendering's steps."""

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def take(self, steps: int) -> None:
        """Take some; raises `RunawayTemplateError` where there are not so many."""
        self.left -= steps
        if self.left < 0:
            raise RunawayTemplateError(f"it takes more than {MAX_STEPS} steps")


STEPS = "steps left"
"""Under this name, which no template can spell, a rendering's steps lie among its fields."""
LOOP_OVER = "loop over"
"""A filter, which no template can spell, around everything that is looped over."""
WEIGHED = "weigh it"
"""Another, around everything that is compared or cut, which takes as long as the value is."""


def _paid(function: Callable[..., object]) -> Callable[..., object]:
    @pass_context
    def paying(context: Context, value: object, *arguments: object) -> object:
        steps: Steps = context[STEPS]
        steps.take(1 + _cost(value))
        return function(value, *arguments)

    return paying


def _cost(value: object) -> int:
    """Return steps of going over a value once: one per element, one per 100 characters."""
    if isinstance(value, str):
        return len(value) // 100
    if isinstance(value, list | tuple):
        return len(value) + sum(map(_cost, value))
    if isinstance(value, Mapping):
        return len(value) + sum(map(_cost, value.values()))
    return 0


@pass_context
def _loop_over(context: Context, value: object, turn: int) -> object:
    if isinstance(value, Undefined):
        return value  # iterating it says which field is missing
    if not isinstance(value, list | tuple):
        raise TypeError("a loop goes over a list ('items' makes one of an object)")
    steps: Steps = context[STEPS]
    steps.take(len(value) * turn)
    return value


class RenderingContext(Context):
    """What a template sees of one rendering; made for each, so it holds no more than it must.

    Blocks, exports and scopes with settings of their own are for tags that no template may have.
    """

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.parent = fields  # type: ignore[assignment]  # It is looked up in, and nothing else.
        self.vars = _NOTHING
        self.environment = ENVIRONMENT
        self.eval_ctx = _EVALUATION
        self.name = None


_NOTHING: dict[str, object] = {}
"""What a template has assigned: nothing, for it cannot."""


class _Environment(ImmutableSandboxedEnvironment):
    """Knows data only: `a.b` is the field b of a, never an attribute of a Python object."""

    def getattr(self, obj: object, attribute: str) -> object:
        if isinstance(obj, LoopContext):
            return getattr(obj, attribute) if attribute in LOOP else self.undefined(name=attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: object, argument: object) -> object:
        if isinstance(obj, Undefined):
            return obj  # which says by its own name that it is missing
        fits = isinstance(argument, str) if isinstance(obj, Mapping) else isinstance(argument, int)
        if fits and isinstance(obj, Mapping | list | tuple | str):
            try:
                return obj[argument]  # type: ignore[call-overload, index]
            except LookupError:
                pass
        return self.undefined(obj=obj, name=str(argument))

    def is_safe_callable(self, obj: object) -> bool:
        return False


def _environment() -> _Environment:
    # Autoescaping is for HTML; a prompt is plain text and must arrive as it was written.
    environment = _Environment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False, finalize=_finalize
    )
    environment.globals.clear()
    environment.filters = {name: _paid(item.function) for name, item in FILTERS.items()}
    environment.filters[LOOP_OVER] = _loop_over
    environment.filters[WEIGHED] = _paid(lambda value: value)
    environment.tests = {name: tests.TESTS[name] for name in TESTS}
    return environment


def _finalize(value: object) -> object:
    return value if isinstance(value, str | Undefined) else plain_text(value)


ENVIRONMENT = _environment()
_EVALUATION = EvalContext(ENVIRONMENT)
