"""Every promise of SECURITY.md has its test: those that it names are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tests_that_security_md_names_are_there() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| (`.+`.*) \|$", text, re.MULTILINE)
    files = {file.name: file for file in (ROOT / "tests").rglob("test_*.py")}
    assert len(rows) > 15
    for promise, tests in rows:
        name = ""
        for reference in re.findall(r"`([\w/]*\.py)?(?:::(\w+))?`", tests):
            name = reference[0].split("/")[-1] or name
            assert name in files, f"{promise}: {name}"
            assert f"def {reference[1]}" in files[name].read_text(encoding="utf-8"), reference
