"""Numbers as people write them: read where they mean one thing, refused with the reason else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from prompt_hub.batch.numbers import NumberError, NumberReader
from prompt_hub.repository.schema import Numbers

GERMAN = Numbers(decimal=",", thousands=".", currency=("€", "EUR"))
AMERICAN = Numbers(thousands=",", currency=("$", "US$", "USD"))
SWISS = Numbers(thousands="'", currency=("CHF",))
FRENCH = Numbers(decimal=",", thousands=" ")


@pytest.mark.parametrize(
    ("numbers", "text", "value"),
    [
        (None, "12", 12),
        (None, "007", 7),
        (None, ".5", 0.5),
        (None, "5.", 5.0),
        (None, "+5", 5),
        (None, "-0.25", -0.25),
        (None, "1e3", 1000.0),
        (None, "+.5E-1", 0.05),
        (GERMAN, "0,25 €", 0.25),
        (GERMAN, "1.234,50", 1234.5),
        (GERMAN, "1.234", 1234),
        (GERMAN, "12.345.678,9 eur", 12345678.9),
        (GERMAN, "EUR -3,5", -3.5),
        (GERMAN, "-€3,5", -3.5),
        (GERMAN, "1234,5", 1234.5),
        (AMERICAN, "$1,234.50", 1234.5),
        (AMERICAN, "US$ 0.25", 0.25),
        (AMERICAN, "1,000", 1000),
        (SWISS, "CHF 1\u2019234.50", 1234.5),
        (SWISS, "1'234", 1234),
        (Numbers(thousands=",", currency=("Rs.",)), "Rs. 1,234.5", 1234.5),
        (Numbers(decimal=",", currency=("zł",)), "0,13420 zł", 0.1342),
        (FRENCH, "1\u202f234,5", 1234.5),
        (FRENCH, "1\u00a0234\u00a0567", 1234567),
    ],
)
def test_a_number_is_read_as_it_is_declared(
    numbers: Numbers | None, text: str, value: float
) -> None:
    read = NumberReader(numbers).number(text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        *(
            (None, text)
            for text in ["1_000", "0,25", "1,000", "٣", "１２", "", "+", ".", "e5", "NaN"]
        ),
        *((None, text) for text in ["--5", "+-5", "1e999", "0x10", "Infinity", "5 %", "1 2", "$5"]),
        *(
            (GERMAN, text)
            for text in ["0.25", "1.23", "1,2,3", "12.34.567", "€", "$5", "€5€", "1.234.5"]
        ),
        *((AMERICAN, text) for text in ["1,00", "1,0000", "-$-5", "$ $5", "1,234,5", "0,25"]),
    ],
)
def test_what_is_no_number_is_refused(numbers: Numbers | None, text: str) -> None:
    with pytest.raises(NumberError):
        NumberReader(numbers).number(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0,25", "a decimal comma, or thousands"),
        ("1,234.50", "thousands"),
        ("1.234.567", "thousands"),
        ("$0.25", "a currency"),
        ("0.25 EUR", "a currency"),
    ],
)
def test_the_reason_names_the_setting_that_mends_it(text: str, reason: str) -> None:
    with pytest.raises(NumberError, match=rf"^{reason}\? State records\.numbers$"):
        NumberReader().number(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0,25", 0.25),
        ("0.25", 0.25),
        ("0,125", 0.125),
        ("1234,500", 1234.5),
        ("3", 3),
        ("1,5", 1.5),
    ],
)
def test_with_semicolons_a_comma_is_a_decimal_mark_too(text: str, value: float) -> None:
    assert NumberReader(comma_too=True).number(text) == value


@pytest.mark.parametrize("text", ["1,234", "1.234", "-12.345", "999,999"])
def test_with_semicolons_what_may_be_thousands_is_refused(text: str) -> None:
    with pytest.raises(NumberError, match=r"with or without thousands\? State records\.numbers"):
        NumberReader(comma_too=True).number(text)
    assert NumberReader(GERMAN, comma_too=True).number("1.234") == 1234


@pytest.mark.parametrize(("text", "value"), [("5", 5), ("+5", 5), ("5.0", 5), ("5.00", 5)])
def test_a_whole_number_is_an_integer(text: str, value: int) -> None:
    read = NumberReader().integer(text)
    assert (read, type(read)) == (value, int)


@pytest.mark.parametrize("text", ["5.5", "1e3", "1_000", "0x10", "five", "9" * 5000])
def test_what_is_no_whole_number_is_no_integer(text: str) -> None:
    with pytest.raises(NumberError):
        NumberReader().integer(text)


def test_settings_that_leave_no_number_readable_are_refused() -> None:
    with pytest.raises(ValidationError, match="decimal and thousands are the same character"):
        Numbers(decimal=",", thousands=",")
    for sign in ("5", "-", ".", "", "a 5", "1,"):
        with pytest.raises(ValidationError, match="currency"):
            Numbers(currency=(sign,))
