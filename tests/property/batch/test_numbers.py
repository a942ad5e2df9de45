"""What people write of a number is read as that number, or refused; never as another."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.batch.numbers import NumberError, NumberReader
from prompt_hub.repository.schema import Numbers

FORMS = st.sampled_from(
    [
        Numbers(),
        Numbers(decimal=",", thousands="."),
        Numbers(thousands=","),
        Numbers(decimal=",", thousands=" ", currency=("€",)),
        Numbers(thousands="'", currency=("CHF",)),
    ]
)
AMOUNTS = st.decimals(-(10**9), 10**9, allow_nan=False, places=3)


def written(amount: Decimal, form: Numbers) -> str:
    whole, part = f"{amount:,.3f}".split(".")
    return f"{whole.replace(',', form.thousands or '')}{form.decimal}{part}"


@given(AMOUNTS, FORMS, st.booleans())
def test_a_number_is_read_as_it_was_written(amount: Decimal, form: Numbers, money: bool) -> None:
    text = written(amount, form)
    if money and form.currency:
        text = f"{text} {form.currency[0]}"
    assert NumberReader(form).number(text) == float(amount)


@given(AMOUNTS, FORMS, FORMS)
def test_another_declaration_reads_the_same_number_or_none(
    amount: Decimal, form: Numbers, other: Numbers
) -> None:
    text = written(amount, form)
    try:
        read = NumberReader(other).number(text)
    except NumberError:
        return
    # Only where one declares as decimal what the other declares as thousands may they differ.
    assert read == float(amount) or other.thousands == form.decimal


@given(AMOUNTS, FORMS)
def test_beside_semicolons_nothing_is_read_as_another_number(
    amount: Decimal, form: Numbers
) -> None:
    try:
        read = NumberReader(comma_too=True).number(written(amount, form))
    except NumberError:
        return
    assert read == float(amount)
