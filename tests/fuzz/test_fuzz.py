"""A minute of hostile files: no exception but ValueError, no hang, no gigabyte, no crash.

FUZZ_SECONDS makes it longer; what is found is repeated with python -m tests.fuzz KIND SEED.
"""

import os
from collections.abc import Iterator

import pytest

from tests.fuzz.cases import KINDS
from tests.fuzz.runner import Finding, Fuzzer

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzer]:
    made = Fuzzer(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.end()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_file_of_a_kind_does_harm(fuzzer: Fuzzer, kind: str) -> None:
    results = list(fuzzer.fuzz(kind, SECONDS / len(KINDS)))
    found = [str(one) for one in results if isinstance(one, Finding)]
    assert not found, "\n".join(found[:5])
    assert isinstance(results[-1], int) and results[-1] > 1
