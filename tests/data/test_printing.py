import pytest

from stillhouse.data.printing import printable, printable_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("digits", "digits"),
        ("naïve ☕ 手", "naïve ☕ 手"),
        ("\x1b[2J\x1b[31mred", r"\x1b[2J\x1b[31mred"),
        ("two\nlines\r", r"two\nlines\r"),
        ("\u202egnp.exe", r"\u202egnp.exe"),  # written from right to left
        ("\x9b31m", r"\x9b31m"),  # what some terminals take for an escape too
        ("\udc80", r"\udc80"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, shown):
    assert printable(text) == shown
    shown.encode()


def test_all_texts_of_json_are_made_printable():
    value = {"a\x07": ["\x1b", 1, None, {"b": "\n", "c": 1.5}]}
    assert printable_json(value) == {r"a\x07": [r"\x1b", 1, None, {"b": r"\n", "c": 1.5}]}
