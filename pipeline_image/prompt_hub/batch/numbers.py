"""Numbers as people write them in tables, read only where they can mean one thing."""

from __future__ import annotations

import re
from math import isfinite

from prompt_hub.core.json_strict import MAX_DIGITS
from prompt_hub.repository.schema import Numbers

_EXPONENT = r"(?P<exponent>[eE][+-]?[0-9]+)?"
_SPACES = "[ \u00a0\u2009\u202f]"
_OR_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
"""`1,234` and `1.234`: over a thousand for one half of the world, over one for the other."""


class NumberError(ValueError):
    """Text is no number; the message says why, or nothing where that is plain."""


def number_pattern(numbers: Numbers) -> re.Pattern[str]:
    """Return a pattern for one number, in the groups sign, whole, part, exponent."""
    digits = "[0-9]+"
    if numbers.thousands:
        group = {" ": _SPACES, "'": "['\u2019]"}.get(
            numbers.thousands, re.escape(numbers.thousands)
        )
        digits = rf"[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]+"
    mark = re.escape(numbers.decimal)
    number = rf"(?P<whole>{digits})?(?:{mark}(?P<part>[0-9]*))?{_EXPONENT}"
    if not numbers.currency:
        return re.compile(rf"(?P<sign>[+-]?){number}")
    longest = sorted(numbers.currency, key=len, reverse=True)
    money = "(?:" + "|".join(map(re.escape, longest)) + ")"
    return re.compile(
        rf"(?P<sign>[+-]?)(?:(?P<before>{money}){_SPACES}*(?P<inner>[+-]?))?{number}(?:{_SPACES}*(?P<after>{money}))?",
        re.IGNORECASE,
    )


class NumberReader:
    """Reads numbers as a task declares them.

    `comma_too`: nothing is declared, and the table is separated by semicolons, as spreadsheets
    write it where the comma is the decimal mark. Both marks are then read, unless what comes out
    depends on which it is.
    """

    def __init__(self, numbers: Numbers | None = None, *, comma_too: bool = False) -> None:
        """Read numbers as `numbers` says; as in JSON, and `.5` and `+5`, if it says nothing."""
        self._undecided = numbers is None and comma_too
        forms = [numbers or Numbers(), *([Numbers(decimal=",")] if self._undecided else [])]
        self._patterns = [number_pattern(form) for form in forms]

    def number(self, text: str) -> float | int:
        """Return what `text` says; raises `NumberError` with the reason."""
        if self._undecided and _OR_THOUSANDS.fullmatch(text):
            raise NumberError("with or without thousands? State records.numbers")
        if len(text) > MAX_DIGITS:
            raise NumberError("too long")
        match = next(filter(None, (form.fullmatch(text) for form in self._patterns)), None)
        if match is None or not (match["whole"] or match["part"]):
            raise NumberError(_why_not(text))
        groups = match.groupdict()
        if groups["sign"] and groups.get("inner"):
            raise NumberError("two signs")
        if groups.get("before") and groups.get("after"):
            raise NumberError("two currencies")
        sign = groups["sign"] or groups.get("inner") or ""
        whole = "".join(filter(str.isdigit, groups["whole"] or "0"))
        if groups["part"] is None and groups["exponent"] is None:
            return int(sign + whole)
        number = float(f"{sign}{whole}.{groups['part'] or '0'}{groups['exponent'] or ''}")
        if not isfinite(number):
            raise NumberError("too large")
        return number

    def integer(self, text: str) -> int:
        """Return the whole number that `text` says; raises `NumberError` with the reason."""
        number = self.number(text)
        if isinstance(number, float) and ("e" in text.casefold() or not number.is_integer()):
            raise NumberError("")
        return int(number)


def _why_not(text: str) -> str:
    """Name what a declaration would mend; empty if none would."""
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", text):
        return "a decimal comma, or thousands? State records.numbers"
    if re.fullmatch(r"[+-]?[0-9]{1,3}([ .,'\u00a0\u2009\u2019\u202f][0-9]{3})+([.,][0-9]+)?", text):
        return "thousands? State records.numbers"
    if re.fullmatch(r"[^\w\s%]?\s*[0-9][0-9.,]*\s*([^\w\s%]|[A-Z]{3})?", text):
        return "a currency? State records.numbers"
    return ""
