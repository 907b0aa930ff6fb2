"""What a visitor with the password says of a file is kept beside the model, and nothing else."""

from pathlib import Path

import pytest

from app.corrections import Corrections
from common.files import digest_of
from data.corrections import file_of, read_corrections

pytestmark = pytest.mark.slow  # whole commands, or as long as these


def test_a_correction_is_kept_with_its_file(tmp_path: Path) -> None:
    song = tmp_path / "sent" / "my song.FLAC"
    song.parent.mkdir()
    song.write_bytes(b"music")
    model = tmp_path / "run" / "model.pth"
    model.parent.mkdir()
    corrections = Corrections(model, ("jazz", "rock"), max_bytes=8)
    assert corrections.summary() == "No corrections yet."
    corrections.add(str(song), ["jazz"], "anna")
    corrections.add(str(song), ["rock"], "bert")  # the same file again: one copy, the last word
    digest = digest_of(song)
    song.unlink()  # as the page does after some minutes
    (kept,) = read_corrections(model.with_name("corrections.csv"))
    assert (kept.label, kept.by, kept.digest) == ("rock", "bert", digest)
    assert file_of(kept, corrections.table).read_bytes() == b"music"
    assert file_of(kept, corrections.table).suffix == ".flac"
    assert corrections.summary().startswith("1 correction waits")


def test_what_is_no_class_or_has_no_room_is_refused(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    song.write_bytes(b"more music")
    corrections = Corrections(tmp_path / "model.pth", ("jazz", "rock"), max_bytes=8)
    for labels in (["polka"], [], [""], ["jazz", "rock"]):
        with pytest.raises(ValueError, match="choose one of the model's classes"):
            corrections.add(str(song), labels, "anna")
    with pytest.raises(ValueError, match="no room for more corrections"):
        corrections.add(str(song), ["jazz"], "anna")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["song.wav"]


def test_of_several_labels_all_are_kept(tmp_path: Path) -> None:
    song, table = tmp_path / "song.wav", tmp_path / "corrections.csv"
    song.write_bytes(b"music")
    corrections = Corrections(tmp_path / "model.pth", ("folk", "jazz", "rock"), 99, several=True)
    corrections.note(song, ["rock", "folk"], "anna")
    assert read_corrections(table, ("folk", "jazz", "rock"), several=True)[0].label == "folk;rock"
    with pytest.raises(ValueError, match="'folk;rock' is no class of this model"):
        read_corrections(table, ("folk", "jazz", "rock"))
    for labels in ([], ["polka"], ["jazz", "polka"]):
        with pytest.raises(ValueError, match="choose one or more of the model's classes"):
            corrections.note(song, labels, "anna")
