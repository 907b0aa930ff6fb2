"""Names of others for people's eyes."""

import json

import pytest

from common.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Björk – 春の海 👩\u200d🎤.mp3", "Björk – 春の海 👩\u200d🎤.mp3"),
        ("a\nb\tc\x1b[2Jd", "a\\u000ab\\u0009c\\u001b[2Jd"),
        ("gepj.\u202exe", "gepj.\\u202exe"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("\x9b31m\u2028", "\\u009b31m\\u2028"),
    ],
)
def test_only_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).encode()


def test_json_is_read_as_it_was() -> None:
    text = "a\u202e\x1b\U000e0041\n"
    written = printable(json.dumps({"x": text}, ensure_ascii=False, indent=1), keep="\n")
    assert json.loads(written) == {"x": text}
    assert "\u202e" not in written and "\n" in written
