"""Hostile inputs by kind and seed, and what the house does with each: an answer or ValueError.

A case is made anew from its kind and seed: nothing hostile is kept in the project.
"""

import json
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.random import Generator
from PIL import Image

from common.cli import config_from, make_parser
from data.image_folder import read_clip_table
from data.tabular.csv_file import read_rows
from inference.config import PredictConfig
from inference.predictor import Predictor, load
from render.settings import RenderSettings
from tests.damage import png_header
from tests.helpers import facts_of_pictures
from tests.sounds import write_sound
from train.models import model_file
from train.models.backbone import create_backbone
from train.models.classifier import Classifier
from train.models.facts import ModelFacts

SIDE = 32
RENDER = RenderSettings(sr=8000, n_fft=512, hop_length=128, clip_seconds=1.0, n_mels=48)
FACTS = facts_of_pictures(SIDE, SIDE, render=RENDER)
# Values that are of another type, size or sign than any that was expected.
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, -0.0, 1e-300, 1e300, float("nan"), float("inf"),
    "", "x", "x" * 100_000, "../../x", "\x00", "\u202e", "1e9999", [], [[]], {}, [1e9] * 3,
    ["a", "a"], {"a": {"a": {}}},
)  # fmt: skip


class Undecided:
    """A network to which both classes are as likely."""

    batch_size = 4

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """Zeros (B, 2)."""
        return np.zeros((len(inputs), 2))


def mutated(content: bytes, rng: Generator) -> bytes:
    """The content, cut, overwritten, repeated or with numbers in it made huge."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 8))):
        if not data:
            break
        place = int(rng.integers(len(data)))
        kind = rng.integers(6)
        if kind == 0:
            del data[place:]
        elif kind == 1:
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            end = place + int(rng.integers(1, 200))
            data[place:end] = rng.bytes(end - place)
        elif kind == 3:
            data[place:place] = data[place : place + int(rng.integers(1, 2000))] * 3
        elif kind == 4:
            odd = rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000])
            data[place : place + 4] = struct.pack(rng.choice(["<I", ">I"]), odd)
        else:
            data[:64] = rng.bytes(min(64, len(data)))
    return bytes(data)


def changed(values: Any, rng: Generator) -> Any:
    """Plain values of which one or some, at any depth, are odd, missing or more."""
    if isinstance(values, dict) and values and rng.random() < 0.85:
        name = str(rng.choice(list(values)))
        if rng.random() < 0.1:
            return {key: value for key, value in values.items() if key != name}
        return {**values, name: changed(values[name], rng)}
    if isinstance(values, list) and values and rng.random() < 0.5:
        place = int(rng.integers(len(values)))
        return [*values[:place], changed(values[place], rng), *values[place + 1 :]]
    return ODD[int(rng.integers(len(ODD)))]


def picture(rng: Generator, folder: Path) -> None:
    """A picture of any format, then damaged; or a header that lies."""
    suffix = str(rng.choice(["png", "jpg", "webp", "bmp", "gif", "tiff", "ppm"]))
    file = folder / f"x.{suffix}"
    if rng.random() < 0.1:
        side = int(rng.choice([1, 6000, 7000, 20_000, 2**31 - 1]))
        file.write_bytes(png_header(side, int(rng.choice([1, side])), rows=0))
    else:
        mode = str(rng.choice(["L", "RGB"] if suffix in ("jpg", "ppm", "bmp") else ["P", "RGB"]))
        pixels = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(file)
        file.write_bytes(mutated(file.read_bytes(), rng))
    answer(Predictor(FACTS, Undecided()), file)


def sound(rng: Generator, folder: Path) -> None:
    """A recording of any format, then damaged."""
    suffix = str(rng.choice(["wav", "flac", "ogg", "mp3"]))
    file = write_sound(folder / f"x.{suffix}", "low", 1.5, int(rng.integers(1000)))
    file.write_bytes(mutated(file.read_bytes(), rng))
    answer(Predictor(FACTS, Undecided()), file)


def facts(rng: Generator, folder: Path) -> None:
    """What a model file tells of itself, changed; what is let through is used."""
    values = FACTS.to_dict()
    for _ in range(int(rng.integers(1, 3))):
        values = changed(values, rng)
    found = ModelFacts.from_dict(values)
    if found.is_table:
        return
    write_sound(folder / "x.wav", "low", 1.5, 0)
    Image.new("RGB", (60, 40)).save(folder / "x.png")
    for name in ("x.wav", "x.png"):
        answer(Predictor(found, Undecided()), folder / name)


def checkpoint(rng: Generator, folder: Path) -> None:
    """A model.pth whose bytes, or whose values, are changed."""
    file = folder / "m.pth"
    torch.manual_seed(0)
    weights = Classifier(create_backbone(FACTS.backbone), 2, dropout=0.0).state_dict()
    if rng.random() < 0.5:
        model_file.save(file, weights, FACTS)
        file.write_bytes(mutated(file.read_bytes(), rng))
    else:
        name = str(rng.choice(list(weights)))
        odd = [torch.zeros(0), torch.full((1,), torch.nan), torch.zeros(1).expand(10**9), 1, "x"]
        changes: dict[str, Any] = {name: odd[int(rng.integers(len(odd)))]}
        torch.save(FACTS.to_dict() | {"weights": {**weights, **changes}}, file)
    try_model(file)


def program(rng: Generator, folder: Path) -> None:
    """A model.onnx whose bytes, facts or shapes are changed."""
    from tests.train.models.test_hostile_files import averaging
    from tests.train.models.test_hostile_files import program as made_of

    made = made_of(averaging(), ["batch", int(rng.integers(1, 4))])
    values = changed(FACTS.to_dict(), rng) if rng.random() < 0.5 else FACTS.to_dict()
    onnx.helper.set_model_props(made, {"facts": json.dumps(values)})
    content = made.SerializeToString()
    file = folder / "m.onnx"
    file.write_bytes(mutated(content, rng) if rng.random() < 0.5 else content)
    try_model(file)


def table(rng: Generator, folder: Path) -> None:
    """A table of features, or of clips, with bytes and cells changed."""
    lines = ["path,a,b", *(f"{i}.wav,{rng.normal()},{rng.normal()}" for i in range(20))]
    odd = ["x" * 200_000, "\x00", '"', "1e400", "nan", "\ufeff", "a,b,c,d", "9" * 5000]
    lines[int(rng.integers(len(lines)))] = str(rng.choice(odd))
    content = "\n".join(lines).encode()
    for name in ("x.csv", "clips.csv"):
        (folder / name).write_bytes(mutated(content, rng) if rng.random() < 0.5 else content)
    for read in (lambda: read_rows(folder / "x.csv", ["a", "b"]), lambda: read_clip_table(folder)):
        allow_value_error(read)


def settings(rng: Generator, folder: Path) -> None:
    """A render.json: changed, or not even JSON; what is let through is rendered with."""
    text = json.dumps(changed(RENDER.to_dict(), rng))
    if rng.random() < 0.3:
        text = mutated(text.encode(), rng).decode("utf-8", errors="replace")
    found = RenderSettings.from_json(text)
    file = write_sound(folder / "x.wav", "low", 1.5, 0)
    answer(Predictor(facts_of_pictures(SIDE, SIDE, render=found), Undecided()), file)


def configuration(rng: Generator, folder: Path) -> None:
    """A YAML of options: of odd values, damaged, or of aliases of aliases."""
    lines = [f"{name}: {json.dumps(ODD[int(rng.integers(len(ODD)))])}" for name in ("top", "hop")]
    if rng.random() < 0.2:
        lines = ["a0: &a0 [x, x]"]
        lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    file = folder / "x.yaml"
    content = "\n".join(lines).encode()
    file.write_bytes(mutated(content, rng) if rng.random() < 0.5 else content)
    parser = make_parser("fuzz", "", PredictConfig)
    try:
        config_from(parser.parse_args(["--config", str(file)]), PredictConfig)
    except SystemExit as error:
        assert error.code == 2, error.code


KINDS: dict[str, Callable[[Generator, Path], None]] = {
    one.__name__: one
    for one in (picture, sound, facts, checkpoint, program, table, settings, configuration)
}


def answer(predictor: Predictor, file: Path) -> None:
    """Predict; the file is answered, or left out with a line that names it."""
    for result in predictor.predict([str(file)]):
        reason = getattr(result, "reason", str(file))
        assert str(file) in reason and "\n" not in reason.replace(str(file), ""), reason


def try_model(file: Path) -> None:
    """Load and answer; ValueError is one line that names the file."""
    try:
        predictor = load(file)
        if not predictor.facts.is_table:
            spec = predictor.facts.image
            pictures = np.zeros((2, spec.height, spec.width, 3), dtype=np.uint8)
            found = predictor.probabilities(pictures)
            assert np.isfinite(found).all()
    except ValueError as error:
        assert "\n" not in str(error), error


def allow_value_error(read: Callable[[], object]) -> None:
    """Call; ValueError is how bad input is told."""
    try:
        read()
    except ValueError as error:
        assert str(error)


def run_case(kind: str, seed: int, folder: Path) -> None:
    """Make and try one case; returns when it was answered or refused in words."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    sys.argv = ["fuzz"]
    allow_value_error(lambda: KINDS[kind](rng, folder))
