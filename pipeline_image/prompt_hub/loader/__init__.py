"""The active prompts of a stage in your own process, followed as the service follows them.

The prompts lie in a folder: that of a release's image, or a clone. Which of them is active, the
stage's ledger says. docs/loader.md shows the use, and has the guarantees.
"""

from prompt_hub.loader.active_prompt import ActivePrompt, InvalidAnswerError, InvalidFieldsError
from prompt_hub.loader.prompts import Prompts
from prompt_hub.release.ledger_poller import UnservedTaskError, WhyUnserved
from prompt_hub.repository.rendering import RenderError

__all__ = [
    "ActivePrompt",
    "InvalidAnswerError",
    "InvalidFieldsError",
    "Prompts",
    "RenderError",
    "UnservedTaskError",
    "WhyUnserved",
]
