"""The whole house attacked, and the table of what came of it: python -m tests.fuzz attack.

Every part makes its cases by number, so that one can be made again, and asks after each batch for
the answer to something good, which must be as before.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.fuzz.attacked_files import (
    audit_files,
    model_files,
    predict_files,
    render_files,
    tables_and_configs,
)
from tests.fuzz.attacked_runs import edited_runs, full_disks, killed_renderings, killed_trainings
from tests.fuzz.part import HARMS, House, Part
from tests.fuzz.visitors import send_files, send_requests, visitors

PARTS: dict[str, tuple[Callable[[House, Part, int], None], int]] = {
    "files through predict": (predict_files, 1000),
    "files through render": (render_files, 1000),
    "files through the audit": (audit_files, 1000),
    "model files": (model_files, 200),
    "tables and configs": (tables_and_configs, 50),
    "edited runs resumed": (edited_runs, 100),
    "trainings killed": (killed_trainings, 20),
    "renderings killed": (killed_renderings, 20),
    "full disks": (full_disks, 10),
    "files sent to the page": (partial(visitors, send=send_files), 1000),
    "requests to the page": (partial(visitors, send=send_requests), 2000),
}


def attack(names: list[str], first: int = 0) -> int:
    """Run the parts whose names hold one of `names`, or all, from a case on; the table; 1: harm."""
    with tempfile.TemporaryDirectory(prefix="spectrofold-attack-") as made:
        house, parts = House.build(Path(made) / "house"), []
        for name, (run, n) in PARTS.items():
            if not names or any(word in name for word in names):
                part = Part(name, first)
                parts.append(part)
                run(house, part, n)
    print("\n| what | tried |", " | ".join(HARMS), "|")
    print("| --- " * (len(HARMS) + 2) + "|", *(part.row() for part in parts), sep="\n")
    return int(any(part.harms for part in parts))
