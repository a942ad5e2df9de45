"""Characters that people cannot see and models can read, by Unicode's own properties.

Hidden is what Unicode calls default-ignorable, with the line and paragraph separators, the marks of
annotations, the replacement character and what is no character at all. Some of these are needed to
write: a joiner in Persian, a selector behind an emoji. They are allowed where they are, and only
there, for elsewhere a run of them can carry a whole hidden text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

# Python's own tables have no such property, and the packages that do are no part of the image:
# a test holds both tables to one of them. Unicode promises that the first never loses a range.
_DEFAULT_IGNORABLE = """
AD 34F 61C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164 FE00-FE0F FEFF FFA0
FFF0-FFF8 1BCA0-1BCA3 1D173-1D17A E0000-E0FFF
"""
_OTHERS = "2028-2029 FFF9-FFFB FFFD-FFFF"
_EMOJI = """
A9 AE 203C 2049 2122 2139 2194-2199 21A9-21AA 231A-231B 2328 23CF 23E9-23F3 23F8-23FA 24C2
25AA-25AB 25B6 25C0 25FB-25FE 2600-2604 260E 2611 2614-2615 2618 261D 2620 2622-2623 2626 262A
262E-262F 2638-263A 2640 2642 2648-2653 265F-2660 2663 2665-2666 2668 267B 267E-267F 2692-2697
2699 269B-269C 26A0-26A1 26A7 26AA-26AB 26B0-26B1 26BD-26BE 26C4-26C5 26C8 26CE-26CF 26D1
26D3-26D4 26E9-26EA 26F0-26F5 26F7-26FA 26FD 2702 2705 2708-270D 270F 2712 2714 2716 271D 2721
2728 2733-2734 2744 2747 274C 274E 2753-2755 2757 2763-2764 2795-2797 27A1 27B0 27BF 2934-2935
2B05-2B07 2B1B-2B1C 2B50 2B55 3030 303D 3297 3299 1F004 1F0CF 1F170-1F171 1F17E-1F17F 1F18E
1F191-1F19A 1F1E6-1F1FF 1F201-1F202 1F21A 1F22F 1F232-1F23A 1F250-1F251 1F300-1F321 1F324-1F393
1F396-1F397 1F399-1F39B 1F39E-1F3F0 1F3F3-1F3F5 1F3F7-1F4FD 1F4FF-1F53D 1F549-1F54E 1F550-1F567
1F56F-1F570 1F573-1F57A 1F587 1F58A-1F58D 1F590 1F595-1F596 1F5A4-1F5A5 1F5A8 1F5B1-1F5B2 1F5BC
1F5C2-1F5C4 1F5D1-1F5D3 1F5DC-1F5DE 1F5E1 1F5E3 1F5E8 1F5EF 1F5F3 1F5FA-1F64F 1F680-1F6C5
1F6CB-1F6D2 1F6D5-1F6D9 1F6DC-1F6E5 1F6E9 1F6EB-1F6EC 1F6F0 1F6F3-1F6FC 1F7E0-1F7EB 1F7F0
1F90C-1F93A 1F93C-1F945 1F947-1F9FF 1FA70-1FA7C 1FA80-1FAC6 1FAC8 1FACC-1FADD 1FADF-1FAEB
1FAEF-1FAFA
"""


def _class(ranges: str) -> str:
    """Write ranges of code points as they stand in a class of a regular expression."""
    ends = (part.partition("-")[::2] for part in ranges.split())
    return "".join(f"\\U{int(a, 16):08x}-\\U{int(b or a, 16):08x}" for a, b in ends)


EMOJI = f"[{_class(_EMOJI)}]"
HIDDEN = re.compile(f"[{_class(_DEFAULT_IGNORABLE)}{_class(_OTHERS)}]")
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""What moves a cursor and is no line end; a tab is none of them."""


@cache
def _sequence() -> re.Pattern[str]:
    """Match what emoji-sequences.txt has: keycaps, the flags of three nations, what joiners join.

    Made where a text has something hidden: few have, and it takes milliseconds of each start.
    """
    return re.compile(
        "[0-9#*]\ufe0f\u20e3"
        "|\U0001f3f4\U000e0067\U000e0062"
        "(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)"
        "\U000e007f"
        f"|{EMOJI}[\ufe0e\ufe0f]?(?:\u200d{EMOJI}\ufe0f?)*"
    )


_ZERO_WIDTH_SPACE = "\u200b"
_JOINERS = "\u200c\u200d"
_WITHOUT_SPACES = frozenset({"THAI", "LAO", "KHMER", "MYANMAR"})
"""Scripts that mark where a line may break by a zero-width space, for they have no others."""
_VIRAMA = 9
"""Combining class of what kills a vowel in the scripts of India."""


def find_hidden(text: str) -> Iterator[tuple[int, str]]:
    """Yield offset and character of every hidden character that its surroundings do not need."""
    if HIDDEN.search(text) is None:
        return
    in_emoji: set[int] = set()
    for sequence in _sequence().finditer(text):
        if sequence.end() - sequence.start() > 1:
            in_emoji.update(range(*sequence.span()))
    for match in HIDDEN.finditer(text):
        at = match.start()
        if at not in in_emoji and not _is_needed(text, at):
            yield at, match[0]


def has_hidden(text: str) -> bool:
    """Whether a file may hold `text` only by escapes: as itself it would not be valid."""
    return CONTROL.search(text) is not None or next(find_hidden(text), None) is not None


def in_words(character: str) -> str:
    """Name a character that nobody sees."""
    name = unicodedata.name(character, "")
    return f"the character U+{ord(character):04X}" + (f" ({name})" if name else "")


def _is_needed(text: str, at: int) -> bool:
    """Whether the script around a hidden character is not written rightly without it."""
    character, before, after = text[at], text[at - 1 : at], text[at + 1 : at + 2]
    if not before or HIDDEN.match(after):
        return False
    if character in _JOINERS:
        if _VIRAMA in {unicodedata.combining(before), unicodedata.combining(after or " ")}:
            return True
        return _is_arabic(text, at)
    if character == _ZERO_WIDTH_SPACE:
        return {_script(before), _script(after)} <= _WITHOUT_SPACES
    # Selectors of a letter's form, and the vowel separator.
    return "\u180b" <= character <= "\u180f" and _script(before) == "MONGOLIAN"


def _is_arabic(text: str, at: int) -> bool:
    """Whether the letter before `at` is Arabic or Syriac, marks above and below it passed over."""
    while at and unicodedata.bidirectional(text[at - 1]) == "NSM":
        at -= 1
    return at > 0 and unicodedata.bidirectional(text[at - 1]) == "AL"


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0] if character else ""
