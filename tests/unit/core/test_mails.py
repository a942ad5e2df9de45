"""What SNS takes of a mail."""

from __future__ import annotations

from prompt_hub.core.foreign_text import LONGEST_MAIL, mail_body


def test_an_ordinary_mail_goes_out_as_it_is() -> None:
    text = "a.csv: 2 problems\n\n  line 3: title: missing\nMend the file and drop it again."
    assert mail_body(text) == text


def test_a_long_line_keeps_its_reason_and_what_follows_it() -> None:
    text = f"a.csv: the column {'x' * 300_000!r} is not an input.\nMend the file."
    mail = mail_body(text)
    assert mail.startswith("a.csv: the column 'xxx")
    assert mail.endswith("…\nMend the file.")
    assert len(mail) < 3_000


def test_of_too_many_lines_the_last_stays() -> None:
    lines = [f"line {number}: title: missing" for number in range(10_000)]
    mail = mail_body("\n".join([*lines, "Mend the file and drop it again."]))
    assert mail.startswith("line 0: title: missing\nline 1:")
    told = mail.split("\n")
    assert told[-3:] == ["… and more, for which a mail has no room.", "", told[-1]]
    assert told[-1] == "Mend the file and drop it again."
    assert told[-4] in lines
    assert len(mail) < LONGEST_MAIL + 3_000
