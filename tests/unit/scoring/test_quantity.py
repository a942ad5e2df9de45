"""Which spellings of a part's value are one quantity, which are two, and which are none."""

from __future__ import annotations

import pytest

from prompt_hub.repository.schema import JsonObject
from prompt_hub.scoring.comparison import Comparison, by_equality, comparing
from prompt_hub.scoring.quantity import NoQuantityError, QuantityReader
from tests.unit.evaluation.scored import part, scorer

SAME = [
    ("4.7 kΩ", "4k7", "4K7", "4.7k", "4.7 K", "4700 Ω", "4700 ohm", "4.7 kohm", "4.7 KΩ"),
    ("4.7 kΩ", "4.7e3 Ω", "4.7E3Ω", "4.7 × 10³ Ω", "4.7x10^3 ohms", "4 700 Ω", "4k70"),
    ("4.7 kΩ", "4.7kOhms", "4.7 kilohms", "4.7 kiloohm", "4.7 KOHM"),
    ("4.7 kΩ", "4.7 ㏀", "４.７ｋΩ", "4.7 k Ω", "4.7k ohms", "4k7Ω", "4.7 k\u2126", "+4.7 kΩ"),
    ("10 Ω", "10R", "10 r", "10R0", "10 ohm", "10 OHMS", "0.01 kΩ", "1e1 Ω"),
    ("47 mΩ", "R047", "0R047", "0.047 Ω", "0.047R", "47 mOhm"),
    ("4.7 Ω", "4R7", "4R70", "4.7 ohms"),
    ("10 MΩ", "10M", "10 MEG", "10 Mohm", "10 megohms", "10000000 Ω", "10,000,000 Ω"),
    ("0.1 µF", "100 nF", "0.1uF", "0.1 μF", "0.1µF", "100n", "0.1UF", "100NF", "1e-7 F", ".1uf"),
    ("1.5 nF", "1n5", "1n5F", "1500 pF", "1.5nF"),
    ("4.7 µF", "4u7", "4U7", "4U7F", "4.7U", "4.7UF"),
    ("0.33 pF", "p33", "0p33", "330 fF"),
    ("3.3 V", "3V3", "3.30 V", "3300 mV", "3.3 volts"),
    ("5 V DC", "5VDC", "5 VDC", "5Vdc"),
    ("16 MHz", "16MHZ", "16 Mhz", "16000 kHz", "16 megahertz"),
    ("±5 %", "5%", "+/-5%", "±5.0%", "-5%~+5%", "5 percent", "50000 ppm", "+5/-5%"),
    ("-20%~+80%", "+80/-20%", "+80% -20%", "-20/+80 %"),
    ("±100ppm/°C", "100 ppm/°C", "±100 ppm/K", "100ppm/℃"),
    ("-55°C~+125°C", "-55 to 125 °C", "−55 °C … 125 °C", "-55~125°C", "–55 °C – +125 °C"),
    ("3V~20V", "3~20V", "3 - 20 V", "3 V to 20 V"),
    ("0.25 W", "1/4W", "1/4 W", "¼ W", "250 mW"),
    ("4.7 kΩ ±5%", "4k7 5%", "4.7kΩ±5%", "4.7kΩ/5%", "4700 ohm, 5 %"),
    ("100 nF 50 V X7R", "0.1uF/50V/X7R", "100n X7R 50V", "0.1µF, 50 V, X7R"),
    ("55Ω@10V,4.2A", "55 Ω @ 4.2 A, 10 V", "55R@(10V, 4.2A)"),
    ("2.2 µH @ 1 MHz", "2200 nH @ 1000kHz"),
    ("0.1 in", '0.1"', "2.54 mm", "100 mil"),
    ("90°", "90º", "90 deg"),
    ("0 Ω", "0R", "0R0", "0 kΩ"),
    ("10³", "1000", "1e3"),
    ("64 kB", "64000 bytes"),
    ("–", " – "),
    ("X7R", "X7R "),
]  # fmt: skip

DIFFERENT = [
    *[("10 mΩ", "10 MΩ"), ("1 mF", "1 MF"), ("16 MHz", "16 mHz"), ("5 mA", "5 MA")],
    *[("10³", "103"), ("10³ Ω", "103 Ω"), ("5½ V", "51/2 V"), ("7① V", "71 V")],
    *[("10 V", "10 A"), ("4k7", "4.7 kV"), ("1n5", "1.5 ns"), ("4k7", "47k"), ("10 S", "10 s")],
    *[("4.7 kΩ", "4,7 kΩ"), ("1 kΩ", "1,000 Ω"), ("4700", "4.7 kΩ"), ("10 kΩ", "10 kΩ ±1%")],
    *[("±15 V", "15 V"), ("±5%", "+5%"), ("±5%", "-5%"), ("5 %", "5"), ("0.05", "5%")],
    *[("250 VAC", "250 VDC"), ("250 VAC", "250 V"), ("25 °C", "25 K"), ("25 °C", "25 °")],
    *[("1.4V@250uA", "1.4V"), ("1.4V@250uA", "1.4V@1mA"), ("10uF 16V", "10uF 25V")],
    *[("3V~20V", "3V"), ("10uF X7R", "10uF X5R"), ("64 KB", "64 kB"), ("10 PF", "10 pF")],
    *[("X7R", "x7r"), ("–", "-"), ("4k7J", "4.7 kΩ"), ("4k7J", "4.7 kJ"), ("10E", "10 Ω")],
    *[("10m", "10 mΩ"), ("1/1", "2/2"), ("R47", "47 Ω"), ("104", "100 nF"), ("<5 V", "5 V")],
]  # fmt: skip


def same(given: object, wanted: object, **options: object) -> bool:
    how = Comparison.model_validate({"compare": "quantity", **options})
    return comparing(how)(given, wanted) == 1.0  # type: ignore[arg-type]


@pytest.mark.parametrize("spellings", SAME, ids=lambda item: item[0])
def test_spellings_of_one_quantity_are_the_same(spellings: tuple[str, ...]) -> None:
    first, *others = spellings
    assert [other for other in others if not same(other, first)] == []


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_quantities_are_not_the_same(one: str, other: str) -> None:
    assert not same(one, other)
    assert not same(other, one)
    assert same(one, one)
    assert same(other, other)


NONE = [
    *["", " ", "–", "X7R", "n/a", "about 5 V", "~5 V", "<5 V", "5 V@", "5V@1A@2A", "4,7 kΩ"],
    *["1,000 pF", "0,100 Ω", "4k7J", "10K1%", "1N4148", "10kΩx", "10 PF", "10N5", "1e999 Ω"],
    *["4. Ω", "1.000.000 Ω", "4R7kΩ", "1" * 41, "5 V " * 60, "20~10 V X", "5V1A", "NaN", "--5 V"],
]  # fmt: skip


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_quantity_is_the_same_as_itself_alone(text: str) -> None:
    if text != "20~10 V X":
        with pytest.raises(NoQuantityError):
            QuantityReader().read(text)
    assert same(text, text)
    assert not same(text, "5 V")


def test_a_comma_is_a_decimal_mark_where_that_is_declared() -> None:
    assert same("4,7 kΩ", "4k7", decimal="comma")
    assert same("4.7 kΩ", "4,7 kΩ", decimal="comma")
    assert same("1.000 Ω", "1 kΩ", decimal="comma")
    assert same("1.000,5 Ω", "1000,5 Ω", decimal="comma")
    assert same("0.125 W", "0,125 W", decimal="comma")
    assert same("10,5V@1,5A", "10,50 V @ 1,5 A", decimal="comma")
    assert same("1,000 pF", "1 nF", decimal="point")
    assert not same("4,7 kΩ", "4.7 kΩ", decimal="point")
    assert not same("1,000 pF", "1 pF")
    assert same("1,234.5 Ω", "1234.5 Ω")


def test_a_unit_of_the_field_is_that_of_values_without_one() -> None:
    for text in ("4700", 4700, 4.7e3, "4.7k", "4k7", "4700 ohm", "4.7 kΩ"):
        assert same(text, "4.7 kΩ", unit="Ω"), text
    assert same(4.7, "4k7", unit="kΩ")
    assert same("10m", "10 mΩ", unit="ohm")
    assert same("4u7", "4.7 µH", unit="H")
    assert same("10n", 10e-9, unit="H")
    assert same("3.3", "3V3", unit="V")
    assert same(5, "±5 %", unit="%")
    assert same("85C", "85 °C", unit="°C")
    assert same("-55~125", "-55°C~+125°C", unit="°C")
    assert not same("100 nF", "100 nΩ", unit="Ω")
    assert not same(True, 1, unit="Ω")


def test_n_is_nano_where_the_unit_of_the_field_is_not_newton() -> None:
    for text in ("100N", "100 N", "100n", "100NF", "0U1"):
        assert same(text, "100 nF", unit="F"), text
    assert same("4N7", "4.7 nF", unit="F")
    assert same("4N7F", "4.7 nF", unit="F")
    assert same("4U7", "4.7 µH", unit="H")
    assert same("10N", "10 nH", unit="H")
    assert same("100N 50V X7R", "100 nF 50 V X7R", unit="F")
    for options in ({}, {"unit": "N"}, {"unit": "kN"}):
        assert same("100N", "0.1 kN", **options)
        assert not same("100N", "100 nF", **options)
        assert not same("4N7", "4.7 nN", **options)
        assert not same("4N7", "4.7 N", **options)


def test_k_is_kilo_unless_the_unit_says_kelvin() -> None:
    assert same("10K", "10 kΩ")
    assert same("300K", 300, unit="K")
    assert not same("300K", "300 kΩ", unit="K")


def test_a_tolerance_is_a_share_of_the_expected_value() -> None:
    assert same("4.8k", "4k7", relative_tolerance=0.05)
    assert same("4.7 kΩ ±5%", "4k7 5%", relative_tolerance=0.05)
    assert same("1.1 V", "1 V", relative_tolerance=0.1)  # exactly a tenth, as people write it
    assert not same("5k", "4k7", relative_tolerance=0.05)
    assert not same("4.8 kV", "4k7", relative_tolerance=0.05)
    assert not same("4.7 kΩ ±5%", "4.7 kΩ ±1%", relative_tolerance=0.5)
    assert not same("-5 V", "5 V", relative_tolerance=0.5)
    assert not same("4k7x", "4k7", relative_tolerance=0.5)
    assert not by_equality(Comparison(compare="quantity", relative_tolerance=0.1))
    assert by_equality(Comparison(compare="quantity"))


def test_a_loss_says_why_an_answer_is_no_quantity() -> None:
    how = scorer("quantity", field="resistance")
    assert part(how, {"resistance": "4700 ohm"}, {"resistance": "4k7"}).score == 1.0
    wrong = part(how, {"resistance": "4,7 kΩ"}, {"resistance": "4k7"})
    reason = "',7 kΩ' behind a number without a unit"
    assert wrong.loss == f"resistance: expected 4k7, got 4,7 kΩ (which is no quantity: {reason})"
    assert part(how, {"resistance": "10 mΩ"}, {"resistance": "10 MΩ"}).loss == (
        "resistance: expected 10 MΩ, got 10 mΩ"
    )
    off = part(
        scorer("quantity", field="resistance", relative_tolerance=0.01),
        {"resistance": "5k"},
        {"resistance": "4k7"},
    )
    assert off.loss == "resistance: expected 4k7 ± 1%, got 5k"


def test_quantities_in_fields_and_sets() -> None:
    wanted: JsonObject = {"r": "4k7", "values": ["4k7", "10 nF", "100R"]}
    got: JsonObject = {"r": "4700 Ω", "values": ["0.01 µF", "4.7 kΩ", "4700 ohm"]}
    how = scorer(
        "json_fields",
        fields={"r": {"compare": "quantity"}, "values": {"compare": "quantity", "list": "set"}},
    )
    assert part(how, got, wanted).fields == {"r": (1.0, 1, 1), "values": (2.0, 2, 3)}
    listed = part(scorer("set_f1", field="values", compare="quantity"), got, wanted)
    assert listed.loss == "values: missing 100R"
