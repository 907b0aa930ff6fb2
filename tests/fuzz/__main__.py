"""Fuzz the house: for an hour over all kinds, or one case that was found; or attack it whole.

python -m tests.fuzz 3600
python -m tests.fuzz sound 1234
python -m tests.fuzz attack [FIRST] [PART ...]    commands, run folders, kills, disks, the page:
                                                  a table; FIRST: the number of the first case
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.attack import attack
from tests.fuzz.cases import KINDS, run_case
from tests.fuzz.runner import Finding, Fuzzer


def main(arguments: list[str], folder: Path) -> int:
    """Try cases and print what did harm; 1 if any did."""
    if arguments[:1] == ["attack"]:
        names = arguments[1:]
        return attack(names[1:], int(names[0])) if names and names[0].isdigit() else attack(names)
    if len(arguments) == 2:
        kind, seed = arguments
        run_case(kind, int(seed), folder)
        print(f"{kind} {seed}: answered, or refused in words")
        return 0
    seconds, first = float((arguments or ["60"])[0]), int(time.time())
    fuzzer, n_found = Fuzzer(folder), 0
    for kind in KINDS:
        for result in fuzzer.fuzz(kind, seconds / len(KINDS), first):
            n_found += isinstance(result, Finding)
            print(result if isinstance(result, Finding) else f"{kind}: {result} cases", flush=True)
    fuzzer.end()
    return 1 if n_found else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="spectrofold-fuzz-") as made:
        sys.exit(main(sys.argv[1:], Path(made)))
