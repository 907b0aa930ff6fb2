"""What checkpoints belong to: another option, program, network, split or picture is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from train.run_folder import Fingerprint, check_fingerprint, in_turn

THEN = Fingerprint(
    options={"seed": "123", "head_epochs": "200"},
    versions={"torch": "2.9"},
    digests={"weights that every fold starts from": "aa", "split.csv": "bb"},
    examples={"blues/a.png": "blues 01", "rock/b.png": "rock 02", "rock/c.png": "rock 03"},
)
CHANGES = [
    ({"options": {"seed": "7", "head_epochs": "200"}}, "--seed was 123, is 7"),
    ({"options": {"seed": "123"}}, "--head-epochs was 200, is None"),
    ({"versions": {"torch": "3.0"}}, "torch was 2.9, is 3.0"),
    ({"digests": {**THEN.digests, "split.csv": "cc"}}, "split.csv changed"),
    ({"digests": {**THEN.digests, "weights that every fold starts from": ""}}, "weights that"),
    ({"examples": {"rock/b.png": "rock 02"}}, "gone or unreadable: blues/a.png and 1 more"),
    ({"examples": {**THEN.examples, "pop/d.png": "pop 04"}}, "new: pop/d.png"),
    ({"examples": {**THEN.examples, "rock/c.png": "rock 99"}}, "changed: rock/c.png"),
    ({"examples": {**THEN.examples, "rock/c.png": "pop 03"}}, "changed: rock/c.png"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_what_differs_is_named(tmp_path: Path, change: dict[str, object], said: str) -> None:
    check_fingerprint(tmp_path, THEN)
    check_fingerprint(tmp_path, THEN)  # the same run goes on
    with pytest.raises(ValueError, match="cannot be resumed") as error:
        check_fingerprint(tmp_path, replace(THEN, **change))  # type: ignore[arg-type]
    assert said in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"options": 3}', "\x00", '{"options": {}}'])
def test_a_damaged_fingerprint_is_one_line(tmp_path: Path, content: str) -> None:
    check_fingerprint(tmp_path, THEN)
    (tmp_path / "checkpoints" / "fingerprint.json").write_text(content)
    with pytest.raises(ValueError, match=r"fingerprint\.json is damaged"):
        check_fingerprint(tmp_path, THEN)


def test_checkpoints_of_nothing_known_are_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "fold_1.pth").write_bytes(b"")
    with pytest.raises(ValueError, match=r"fold_1\.pth belongs to nothing that is known"):
        check_fingerprint(tmp_path, THEN)


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path: Path) -> None:
    """Two of --resume wrote the same checkpoints, and each the other's report."""
    for _ in range(2):
        with in_turn(tmp_path, alone=True):
            with pytest.raises(ValueError, match="is being trained by another process: wait"):
                in_turn(tmp_path, alone=True).__enter__()
            with in_turn(tmp_path, alone=False):
                assert not list(tmp_path.iterdir())
