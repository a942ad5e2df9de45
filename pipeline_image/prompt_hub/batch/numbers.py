"""Numbers as people write them in tables, read only where they can mean one thing."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from math import isfinite

from prompt_hub.core.json_strict import MAX_DIGITS
from prompt_hub.repository.schema import Numbers

_EXPONENT = r"(?P<exponent>[eE][+-]?[0-9]+)?"
_SPACES = "[ \u00a0\u2009\u202f]"
_OR_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
"""`1,234` and `1.234`: over a thousand for one half of the world, over one for the other."""


class NumberError(ValueError):
    """Text is not a number; the message says why, and is empty where that is plain."""


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
        self._declared = numbers
        self._undecided = numbers is None and comma_too
        forms = [numbers or Numbers(), *([Numbers(decimal=",")] if self._undecided else [])]
        self._patterns = [number_pattern(form) for form in forms]

    def number(self, text: str) -> float | int:
        """Return what `text` says; raises `NumberError` with the reason.

        A fraction is the nearest float, as in JSON; what is whole stays exactly what it is.
        """
        exact, plain = self._exact(text)
        number = float(exact)
        if plain:
            return int(exact)
        if not isfinite(number):
            raise NumberError("too large")
        if Decimal(repr(number)) == exact or not number.is_integer():
            return number
        if exact != exact.to_integral_value():
            raise NumberError("more digits than a number keeps")
        return int(exact)

    def integer(self, text: str) -> int:
        """Return the whole number that `text` says; raises `NumberError` with the reason."""
        exact, _ = self._exact(text)
        if exact != exact.to_integral_value():
            raise NumberError("")
        return int(exact)

    def _exact(self, text: str) -> tuple[Decimal, bool]:
        """Return the number of `text`, and whether it has digits alone."""
        if self._undecided and _OR_THOUSANDS.fullmatch(text):
            raise NumberError("with or without thousands? State records.numbers")
        if len(text) > MAX_DIGITS:
            raise NumberError("too long")
        match = next(filter(None, (form.fullmatch(text) for form in self._patterns)), None)
        if match is None or not (match["whole"] or match["part"]):
            raise NumberError(_why_not(text, self._declared))
        groups = match.groupdict()
        if groups["sign"] and groups.get("inner"):
            raise NumberError("two signs")
        if groups.get("before") and groups.get("after"):
            raise NumberError("two currencies")
        sign = groups["sign"] or groups.get("inner") or ""
        whole = "".join(filter(str.isdigit, groups["whole"] or "0"))
        try:
            number = Decimal(f"{sign}{whole}.{groups['part'] or '0'}{groups['exponent'] or ''}")
        except InvalidOperation:
            raise NumberError("an exponent too large") from None
        if number and number.adjusted() >= MAX_DIGITS:
            raise NumberError("too large")
        return number, groups["part"] is None and groups["exponent"] is None


_NUMBER_LIKE = re.compile(
    rf"[+-]?(?P<before>[A-Z]{{0,3}}[^\w\s.,'+-]|[A-Z]{{3}})?{_SPACES}*[+-]?"
    rf"(?P<digits>[.,]?[0-9](?:[0-9.,'\u2019]|{_SPACES}(?=[0-9]))*)"
    rf"{_SPACES}*(?P<after>[^\w\s.,'+-]|[A-Z]{{3}})?"
)
_BRACKETED = re.compile(r"\([^()]*[0-9][^()]*\)")
_SIGN_APART = re.compile(
    r"[^\s+-]*[0-9]\s*[+-]|[+-]\s+[0-9].*|[\u2010-\u2013\u2212\uff0d]\s*[0-9].*"
)
"""`5-` and `- 5`, and a dash or the minus of typesetters for the sign."""


def _why_not(text: str, declared: Numbers | None) -> str:
    """Name what a declaration would mend, or what is found against it; empty if neither can be."""
    if _BRACKETED.fullmatch(text):
        return "in brackets; a number below zero begins with -"
    if _SIGN_APART.fullmatch(text):
        return "a sign is + or - directly before the number"
    like = _NUMBER_LIKE.fullmatch(text)
    if like is None:
        return ""
    digits = like["digits"]
    beside = [sign for sign in (like["before"], like["after"]) if sign]
    if not all(map(_is_money, beside)):
        return ""
    if declared is not None:
        found = _undeclared(digits, beside, declared)
        return f"{found}, where records.numbers says {_says(declared)}" if found else ""
    if beside:
        return "a currency? State records.numbers"
    if re.fullmatch(r"[0-9]+,[0-9]+", digits):
        return "a decimal comma, or thousands? State records.numbers"
    if re.fullmatch(r"[0-9]{1,3}([ .,'\u00a0\u2009\u2019\u202f][0-9]{3})+([.,][0-9]+)?", digits):
        return "thousands? State records.numbers"
    return ""


def _is_money(sign: str) -> bool:
    """Whether this is a sign of a currency, or may be the code of one."""
    return unicodedata.category(sign[-1]) == "Sc" or sign.isalpha()


def _undeclared(digits: str, beside: list[str], declared: Numbers) -> str:
    """Name the first thing in a number that is not as it is declared."""
    currencies = {currency.casefold() for currency in declared.currency}
    for sign in beside:
        if sign.casefold() not in currencies:
            return f"currency {sign!r}"
    thousands = {"'": "'\u2019", " ": _SPACES[1:-1]}.get(
        declared.thousands or "", declared.thousands or ""
    )
    marks = [mark for mark in digits if not mark.isdigit()]
    for mark in marks:
        if mark != declared.decimal and mark not in thousands:
            return f"{mark!r}"
    if marks.count(declared.decimal) > 1:
        return f"{declared.decimal!r} twice"
    return "thousands in groups that do not have three digits" if marks else ""


def _says(declared: Numbers) -> str:
    thousands = f"thousands {declared.thousands!r}" if declared.thousands else "no thousands"
    currency = " or ".join(map(repr, declared.currency))
    money = f"currency {currency}" if currency else "no currency"
    return f"decimal {declared.decimal!r}, {thousands}, {money}"
