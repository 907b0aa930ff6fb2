"""Pictures that others drew: frames, colours and direction are undone, and music is left alone."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from common.fields import Fields
from data.audit.audit import Audit, audit
from data.audit.report import EXAMPLE_WIDTH, AuditReport
from data.image_folder import scan
from data.images.colour_map import COLOUR_MAPS, colours_of, levels_of
from data.images.drawing import Drawing
from data.images.frame import Box, find_frame
from data.images.read import find_drawing, read_picture
from tests.drawings import DRAWINGS, redraw
from tests.helpers import ROOT

pytestmark = pytest.mark.slow  # whole commands, or as long as these

DEMO = ROOT / "subsampled_data"
FIGURE = (640, 480)  # pixels of matplotlib's own figure
STYLES = ("mel_all", "mel_margins", "mel_dark", "linear_grey", "specgram_5s_jpeg")


def demo_pictures(n: int) -> list[Path]:
    """The first clips of n recordings of each of two classes."""
    return [
        file for name in ("ChipTracker", "Orchestral")
        for file in sorted((DEMO / name).glob("*__000.png"))[:n]
    ]  # fmt: skip


def levels(file: Path) -> np.ndarray:
    """The levels uint8 (H, W) of a picture of the demo: its palette's index."""
    return np.asarray(Image.open(file))


def painted(grey: np.ndarray, colour_map: str) -> np.ndarray:
    """Levels (H, W) in a colour map, uint8 (H, W, 3)."""
    return (255 * colormaps[colour_map](grey)[..., :3]).round().astype(np.uint8)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The demo's pictures as others draw them; the last one of a class twice, under two names."""
    folders = {}
    for style in STYLES:
        folder = folders[style] = tmp_path_factory.mktemp(style)
        suffix = ".jpg" if DRAWINGS[style].jpeg else ".png"
        for file in demo_pictures(7):
            redraw(file, folder / file.parent.name / f"{file.stem[:-5]}{suffix}", DRAWINGS[style])
        redraw(file, folder / "Orchestral" / f"twin{suffix}", DRAWINGS[style])
    return folders


@pytest.fixture(scope="module")
def audits(drawn: dict[str, Path]) -> dict[str, Audit]:
    return {style: audit(scan(folder)) for style, folder in drawn.items()}


@pytest.mark.parametrize("style", STYLES)
def test_the_data_of_a_figure_is_found(audits: dict[str, Audit], style: str) -> None:
    """Matplotlib's axes are 496x370 at (80, 58), and 397 wide beside a colour bar."""
    (frame,) = audits[style].drawing.frames
    width = 397 if DRAWINGS[style].decoration == "all" else 496
    assert frame.size == FIGURE
    assert np.abs(np.array(frame.box) - (80, 58, 80 + width, 428)).max() <= 3
    assert any("margins: " in note and "of 640x480" in note for note in audits[style].findings())


def test_the_page_draws_the_frame_over_a_picture(audits: dict[str, Audit]) -> None:
    example = AuditReport.of(audits["mel_margins"]).example
    assert example is not None
    shown, seen = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(one.src.split(",")[1]))))
        for one in (example.file, example.seen)
    )
    red = (shown[..., 0] > 180) & (shown[..., 1:].max(axis=2) < 120)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    scale = EXAMPLE_WIDTH / FIGURE[0]
    edges = np.array([columns[0], rows[0], columns[-1], rows[-1]]) / scale
    assert np.abs(edges - (80, 58, 576, 428)).max() < 8
    assert seen.shape[1] == EXAMPLE_WIDTH and seen.mean() < shown.mean()  # no white margins
    assert AuditReport.of(audit(scan(DEMO))).example is None


def test_the_same_duplicates_are_found_however_music_is_drawn(audits: dict[str, Audit]) -> None:
    original = demo_pictures(7)[-1].stem[:-5]
    for found in audits.values():
        pairs = [
            {Path(found.examples.paths[i]).stem for i in pair[:2]}
            for pair in found.duplicates.pairs
        ]
        assert pairs == [{original, "twin"}]
    assert not any(found.duplicates.distrusted for found in audits.values())
    assert not any("label is wrong" in note for a in audits.values() for note in a.findings())


def test_pictures_without_a_frame_are_not_cropped() -> None:
    drawing = find_drawing(scan(DEMO).files())
    assert [frame.box.size for frame in drawing.frames] == [frame.size for frame in drawing.frames]
    assert drawing.notes() == []


@pytest.mark.parametrize("colour_map", ["magma", "gray_r"])
def test_margins_in_the_colour_of_silence_are_a_frame(colour_map: str) -> None:
    """A dark style around magma, a white page around inverted grey: silent bands are kept."""
    framed = []
    for file in demo_pictures(5):
        grey = levels(file).copy()
        grey[: 20 + len(framed)] = 0  # above a codec's limit, of each another one
        whole = np.zeros((200, 560), np.uint8)
        whole[30:158, 70:502] = grey
        framed.append(painted(whole, colour_map))
    assert find_frame(framed) == Box(70, 50, 502, 158)
    assert find_frame([one[30:158, 70:502] for one in framed]) is None


def test_transparent_margins_are_a_frame(tmp_path: Path) -> None:
    """savefig(transparent=True): laid on black they would look like the silence of magma."""
    for file in demo_pictures(3):
        grey = levels(file).copy()
        grey[:40] = 0
        whole = np.zeros((200, 560, 4), np.uint8)
        whole[30:158, 70:502] = np.dstack([painted(grey, "magma"), np.full_like(grey, 255)])
        Image.fromarray(whole).save(tmp_path / file.name)
    files = sorted(tmp_path.glob("*.png"))
    (frame,) = find_drawing(files).frames
    assert np.abs(np.array(frame.box) - (70, 30, 502, 158)).max() <= 3


@pytest.mark.parametrize("colour_map", ["magma", "gray", "gray_r", "viridis", "jet"])
@pytest.mark.parametrize("silent", ["top", "start", "both", "speckled"])
def test_silence_at_the_edges_is_music(silent: str, colour_map: str) -> None:
    """A codec's cut-off, a black start, both, and noise above the cut-off, in all pictures."""
    rng = np.random.default_rng(0)
    pictures = []
    for file in demo_pictures(6):
        grey = levels(file).copy()
        if silent != "start":
            grey[:24] = 0
        if silent in ("start", "both"):
            grey[:, :30] = 0
        if silent == "speckled":
            grey[:24][rng.random((24, grey.shape[1])) < 0.01] = 60
        pictures.append(painted(grey, colour_map))
    assert find_frame(pictures) is None
    assert find_frame(pictures[:1]) is None


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_the_kept_colours_are_those_of_matplotlib(name: str) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (8, 1))
    assert np.abs(levels_of(painted(ramp, name), name).astype(int) - ramp).mean() < 3
    assert np.array_equal(colours_of(name), painted(ramp, name)[0])


@pytest.mark.parametrize("colour_map", ["viridis", "inferno", "plasma", "jet", "turbo", "hot",
                                        "gray", "gray_r", "viridis_r"])  # fmt: skip
def test_colours_are_read_back(tmp_path: Path, colour_map: str) -> None:
    """The same music in any colour map becomes nearly the same picture: 2 of 255 apart at most."""
    for file in demo_pictures(5):
        Image.fromarray(painted(levels(file), colour_map)).save(tmp_path / file.name)
    files = sorted(tmp_path.glob("*.png"))
    drawing = find_drawing(files)
    assert drawing.inverted == colour_map.endswith("_r")
    for file in files:
        shown = read_picture(file, drawing=drawing).astype(int)
        truth = painted(levels(next(DEMO.glob(f"*/{file.name}"))), "magma")
        assert np.abs(shown - truth).mean() < 2


def test_low_frequencies_on_top_are_noticed_and_turned(tmp_path: Path) -> None:
    for file in demo_pictures(5):
        Image.fromarray(painted(levels(file)[::-1], "magma")).save(tmp_path / file.name)
    files = sorted(tmp_path.glob("*.png"))
    assert any("--flip" in note for note in find_drawing(files).notes())
    turned = find_drawing(files, flip=True)
    truth = painted(levels(next(DEMO.glob(f"*/{files[0].name}"))), "magma")
    assert np.array_equal(read_picture(files[0], drawing=turned), truth)


def test_a_picture_of_another_drawing_is_undone_alone(drawn: dict[str, Path]) -> None:
    """A model of borderless pictures in magma is asked about framed ones, grey and inverted."""
    drawing = find_drawing(scan(DEMO).files())
    for style in ("mel_margins", "linear_grey"):
        file = sorted(drawn[style].glob("ChipTracker/*"))[0]
        shown = read_picture(file, (432, 128), drawing).astype(int)
        (original,) = DEMO.glob(f"ChipTracker/{file.stem}__000.png")
        truth = painted(levels(original), "magma").astype(int)
        assert np.corrcoef(shown.ravel(), truth.ravel())[0, 1] > 0.9


def test_a_drawing_survives_the_model_file() -> None:
    from data.images.drawing import Frame

    drawing = Drawing(
        (Frame((640, 480), Box(80, 58, 576, 428)),), True, "jet", True, False, "above"
    )
    assert Drawing.from_fields(Fields(drawing.to_dict(), "drawing")) == drawing
    for key, value in (("frames", [[640, 480, 80, 58, 700, 428]]), ("loud_side", "left")):
        with pytest.raises(ValueError, match=f"drawing.{key}"):
            Drawing.from_fields(Fields(drawing.to_dict() | {key: value}, "drawing"))
