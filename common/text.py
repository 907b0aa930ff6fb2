"""Names and texts of others for people's eyes, and for files that a line break would break."""

import re

# What is not seen or moves the reader's eye: control characters, line and paragraph separators,
# bidirectional marks, invisible formatting, and the halves of pairs that no encoding can write.
UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str, keep: str = "") -> str:
    r"""The text, in which what cannot be seen, but `keep`, is written as JSON does: \u202e."""
    return UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else _escaped(found), text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code > 0xFFFF:  # as the pair that JSON writes
        high, low = divmod(code - 0x10000, 0x400)
        return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
    return f"\\u{code:04x}"
