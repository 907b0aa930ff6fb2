"""Names of others for people's eyes."""

import io
import json

import pytest

from common.text import PrintableStream, printable


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


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_the_letters_of_a_name_is_written_to_all_the_same(encoding: str) -> None:
    """LANG=C, or PYTHONIOENCODING: JSON stays JSON, and a rendering does not end at an umlaut."""
    written, name = io.BytesIO(), "Größe 🎺"
    stream = PrintableStream(io.TextIOWrapper(written, encoding))
    stream.write(json.dumps({"class": name}, ensure_ascii=False) + "\n")
    stream.flush()
    assert json.loads(written.getvalue().decode(encoding)) == {"class": name}
    assert (b"\\u" in written.getvalue()) is (encoding != "utf-8")
