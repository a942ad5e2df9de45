"""The answer in what a model wrote: without thinking, white space around it, or a fence.

Only what stands around an object is taken away. What is inside is the model's word.
"""

from __future__ import annotations

import re

_WHITE = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\ufeff"
"""White space, and the byte-order mark, which Python does not count as such."""
_TAG = re.compile(r"([<\[◁])(/?)([A-Za-z][\w:.-]*)[>\]▷]")
"""Tags as models write them around their thinking: `<think>`, `[THINK]`, `◁think▷`."""
_THINKING = re.compile(r"[<\[◁]/?(?:think|thinking|thought|thoughts|reason|reasoning)[>\]▷]", re.I)
"""Tags that are of thinking, and of nothing else that a model writes."""
_FENCE = "```"
_ANSWER = ("{", _FENCE)
"""What an answer begins with that holds an object."""
_INFO = re.compile(r"[\w+-]*")
"""What stands behind a fence's first mark, such as `json`."""


def trimmed(text: str) -> str:
    """Return a text without white space and byte-order marks around it."""
    return text.strip(_WHITE)


def without_thinking(text: str) -> str:
    """Return what a model that reasons wrote after its thinking, whatever the tag around that is.

    A template may write the first tag into the question, so a closing tag alone ends thinking, too.
    A text that is thinking alone stays as it is: it holds no answer, and that should be seen.
    """
    answer = trimmed(text)
    while not answer.startswith(_ANSWER):
        end = _end_of_thinking(answer)
        if end is None or not (rest := trimmed(answer[end:])):
            break
        answer = rest
    return text if answer == trimmed(text) else answer


def holds_answer_behind_thinking(text: str) -> bool:
    """Whether thinking stands before an object: that of a model whose alias does not say so."""
    answer = without_thinking(text)
    return answer is not text and answer.startswith(_ANSWER)


def is_thinking_alone(text: str) -> bool:
    """Whether a text begins with thinking, or ends with it, and no answer stands behind it."""
    if without_thinking(text) is not text:
        return False
    text = trimmed(text)
    if text.startswith(_ANSWER):
        return False  # A tag in it is the answer's own.
    found = [*_THINKING.finditer(text)]
    return bool(found) and (found[0].start() == 0 or found[-1].end() == len(text))


def _end_of_thinking(text: str) -> int | None:
    """Where the thinking ends that a text begins with; None where it begins with none."""
    first = _TAG.match(text)
    if first is not None and not first[2]:
        opened = first[3].lower()
        return next(
            (tag.end() for tag in _TAG.finditer(text) if tag[2] and tag[3].lower() == opened), None
        )
    opened_before: set[str] = set()
    for tag in _TAG.finditer(text):
        name = tag[3].lower()
        if not tag[2]:
            opened_before.add(name)
        elif name not in opened_before:
            return tag.end()
    return None


def is_fenced(text: str) -> bool:
    """Whether one Markdown fence stands around the whole text, which is trimmed."""
    return len(text) >= 2 * len(_FENCE) and text.startswith(_FENCE) and text.endswith(_FENCE)


def without_fence(text: str) -> str:
    """Return a whole text, which is trimmed, without the fence around it, if there is one."""
    if not is_fenced(text):
        return text
    inside = text[len(_FENCE) : -len(_FENCE)]
    info = _INFO.match(inside)
    return trimmed(inside[info.end() if info else 0 :])
