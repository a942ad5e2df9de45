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
        ("-$5", "a currency"),
        ("US$ 5", "a currency"),
    ],
)
def test_the_reason_names_the_setting_that_mends_it(text: str, reason: str) -> None:
    with pytest.raises(NumberError, match=rf"^{reason}\? State records\.numbers$"):
        NumberReader().number(text)


@pytest.mark.parametrize("numbers", [None, GERMAN, SWISS])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(5)", "in brackets; a number below zero begins with -"),
        ("($5.00)", "in brackets; a number below zero begins with -"),
        ("5-", "a sign is + or - directly before the number"),
        ("- 5", "a sign is + or - directly before the number"),
        ("\u22125", "a sign is + or - directly before the number"),
        ("#5", ""),
        ('5"', ""),
        ("~5", ""),
        ("5 pcs", ""),
        ("a dozen", ""),
    ],
)
def test_the_reason_names_no_setting_that_would_not_mend_it(
    numbers: Numbers | None, text: str, reason: str
) -> None:
    with pytest.raises(NumberError) as error:
        NumberReader(numbers).number(text)
    assert str(error.value) == reason


@pytest.mark.parametrize(
    ("numbers", "text", "reason"),
    [
        (
            Numbers(decimal=","),
            "1.00",
            "'.', where records.numbers says decimal ',', no thousands, no currency",
        ),
        (
            GERMAN,
            "1.00",
            "thousands in groups that do not have three digits, where records.numbers says"
            " decimal ',', thousands '.', currency '€' or 'EUR'",
        ),
        (
            GERMAN,
            "$5",
            "currency '$', where records.numbers says decimal ',', thousands '.',"
            " currency '€' or 'EUR'",
        ),
        (GERMAN, "1,2,3", "',' twice, where records.numbers says decimal ','"),
        (GERMAN, "1'234,5 €", "\"'\", where records.numbers says decimal ',', thousands"),
        (SWISS, "0,25", "',', where records.numbers says decimal '.', thousands \"'\""),
        (SWISS, "5 EUR", "currency 'EUR', where records.numbers says"),
    ],
)
def test_where_numbers_are_declared_the_reason_says_what_is_declared_and_found(
    numbers: Numbers, text: str, reason: str
) -> None:
    with pytest.raises(NumberError) as error:
        NumberReader(numbers).number(text)
    assert str(error.value).startswith(reason)


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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("+5", 5),
        ("5.0", 5),
        ("5.00", 5),
        ("1e3", 1000),
        ("-1.25E2", -125),
        ("50e-1", 5),
        ("0e9999", 0),
        ("9007199254740993.0", 2**53 + 1),
        ("9007199254740993e0", 2**53 + 1),
        ("1e23", 10**23),
    ],
)
def test_a_whole_number_is_an_integer(text: str, value: int) -> None:
    read = NumberReader().integer(text)
    assert (read, type(read)) == (value, int)


def test_a_whole_number_with_decimals_is_exact_in_a_field_of_numbers_too() -> None:
    assert NumberReader().number("9007199254740993.0") == 2**53 + 1
    assert NumberReader(GERMAN).number("9.007.199.254.740.993,00 €") == 2**53 + 1
    assert NumberReader().number("0.30000000000000000001") == 0.3


@pytest.mark.parametrize("text", ["9007199254740993.5", "0.99999999999999999999", "1e-400"])
def test_a_fraction_never_becomes_a_whole_number(text: str) -> None:
    with pytest.raises(NumberError, match="more digits than a number keeps"):
        NumberReader().number(text)
    with pytest.raises(NumberError):
        NumberReader().integer(text)


@pytest.mark.parametrize(
    "text",
    [
        *("5.5", "1e-3", "1_000", "0x10", "five", "9" * 5000),
        *("1e4300", "1e999999999999", "1e-99999999999999999999999", "1e9999999999999999999999"),
    ],
)
def test_what_is_no_whole_number_is_no_integer(text: str) -> None:
    with pytest.raises(NumberError):
        NumberReader().integer(text)


def test_settings_that_leave_no_number_readable_are_refused() -> None:
    with pytest.raises(ValidationError, match="decimal and thousands are the same character"):
        Numbers(decimal=",", thousands=",")
    for sign in ("5", "-", ".", "", "a 5", "1,"):
        with pytest.raises(ValidationError, match="currency"):
            Numbers(currency=(sign,))
