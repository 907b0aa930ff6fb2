"""How right the default recipe is on pictures as others draw them, and between these.

python -m bench.drawings AUDIO PICTURES                 AUDIO/<class>/<recording>, in every way
python -m bench.drawings AUDIO PICTURES --only grey_128,mel_all
python -m bench.drawings AUDIO PICTURES --asked borderless,grey_128    each about each other one

Ways to draw are those of tests/drawings.py; PICTURES/<way> is drawn where it is missing. Prints the
tables of bench/RESULTS.md: what the audit says without an option, accuracy by nested
cross-validation over recordings of the model that main.py ships (as bench.accuracy's `refit`), and
the accuracy of a model of one drawing asked about another's pictures of recordings held out.
"""

import argparse
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy import logits_on, trials
from common.cli import DONE, run
from data.audit.audit import audit
from data.config import DataConfig
from data.image_folder import scan
from data.images.drawing import PLAIN, Drawing
from data.images.fingerprints import fingerprints
from data.images.picture_array import decode_pictures
from data.images.read import find_drawing
from tests.drawings import DRAWINGS, draw, recordings_in
from train.config import TrainConfig
from train.devices.fabric import make_fabric
from train.evaluate.final_test import final_weights
from train.loop.cross_validation import cross_validate
from train.loop.loggers import Silent
from train.loop.trainer import Trainer
from train.pipeline import PictureTraining, prepare_pictures


def main() -> int:
    """Print a row for each drawing, or one for each drawing that is asked about another's."""
    parser = argparse.ArgumentParser("python -m bench.drawings", description=__doc__)
    parser.add_argument("audio", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--only", default=",".join(DRAWINGS), help="ways to draw")
    parser.add_argument("--asked", default="", help="ways to draw that are asked about each other")
    args = parser.parse_args()
    names = (args.asked or args.only).split(",")
    if missing := [name for name in names if not (args.pictures / name).is_dir()]:
        recordings = recordings_in(args.audio)
        for name in missing:
            with tempfile.TemporaryDirectory(dir=args.pictures.parent) as part:
                drawn = draw(recordings, Path(part) / name, DRAWINGS[name])
                shutil.move(drawn, args.pictures / name)
    folders = {name: args.pictures / name for name in names}
    if args.asked:
        print_answers_about_others(folders)
    else:
        print("| drawing | said without an option | pairs | accusations | default | `--no-crop` | "
              "colours as drawn |\n|---|---|---|---|---|---|---|")  # fmt: skip
        for name, folder in folders.items():
            print(f"| `{name}` | {audit_and_accuracy(folder)} |", flush=True)
    return DONE


@dataclass(frozen=True)
class Accuracy:
    """Accuracies of the trials, float (t,)."""

    values: np.ndarray

    def __str__(self) -> str:
        return f"{self.values.mean():.3f} ± {self.values.std(ddof=1):.3f}"


def audit_and_accuracy(folder: Path) -> str:
    """The cells of a drawing's row: what the audit says, and three accuracies."""
    examples = scan(folder)
    found = audit(examples)
    accusations = sum(
        ("label is wrong" in note or "listen to these" in note) for note in found.findings()
    )
    said = "; ".join(found.drawing.notes()) or "nothing"
    pairs = len(found.duplicates.pairs) + len(found.duplicates.distrusted)
    training = prepared(folder)
    drawings = (
        found.drawing,
        find_drawing(examples.files(), crop=False),
        Drawing(found.drawing.frames, found.drawing.crop),
    )
    cells: dict[bytes, str] = {}  # by what the network sees: most drawings lack a frame or colours
    accuracies = []
    for drawing in drawings:
        seen = fingerprints(examples.files(), drawing)[0].digests.tobytes()
        if seen not in cells:
            cells[seen] = str(accuracies_of(training, drawing, {"own": folder})["own"])
        accuracies.append(cells[seen])
    return " | ".join([said, str(pairs), str(accusations), *accuracies])


def print_answers_about_others(folders: Mapping[str, Path]) -> None:
    """A row for each drawing that is trained on, a cell for each that its models are asked about.

    Two figures in each: pictures as they are and undone of how they are drawn.
    """
    print(f"| trained on | {' | '.join(folders)} |\n|{'---|' * (len(folders) + 1)}")
    for name, folder in folders.items():
        training = prepared(folder)
        plain = accuracies_of(training, PLAIN, folders)
        undone = accuracies_of(training, training.ready.inputs.drawing, folders)
        cells = (f"{plain[other].values.mean():.2f} → {undone[other].values.mean():.2f}"
                 for other in folders)  # fmt: skip
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


def prepared(folder: Path) -> PictureTraining:
    """The folder's pictures and the network, all options at their defaults."""
    config = TrainConfig()
    fabric = make_fabric(config.accelerator, config.precision)
    data_config = DataConfig(data=str(folder), cache_limit=0)
    return prepare_pictures(scan(folder), data_config, config, fabric)


def accuracies_of(
    training: PictureTraining, drawing: Drawing, asked: Mapping[str, Path]
) -> dict[str, Accuracy]:
    """{name: accuracies} on each folder, the same recordings drawn, those of each fold held out.

    drawing: what is undone of the pictures that are trained on and of those asked about, as a model
    file says it.
    """
    own = training.ready.examples
    with tempfile.TemporaryDirectory() as run_folder:
        trainers = {
            name: _on_pictures_of(training, folder, drawing, Path(run_folder) / name)
            for name, folder in {"": own.root, **asked}.items()
        }
        correct: dict[str, list[float]] = {name: [] for name in asked}
        for folds, test, _ in trials(training.ready, DataConfig(), training.config, 1):
            weights = _shipped_weights(trainers[""], folds)
            for name in asked:
                answers = logits_on(trainers[name], weights, test, frozen=True).argmax(axis=1)
                correct[name].append(float((answers == own.labels[test]).mean()))
    return {name: Accuracy(np.array(values)) for name, values in correct.items()}


def _on_pictures_of(
    training: PictureTraining, folder: Path, drawing: Drawing, run_folder: Path
) -> Trainer:
    """A trainer of the same network on the folder's pictures, decoded once."""
    examples, pictures = scan(folder), training.ready.pictures
    own = training.ready.examples
    if examples.recordings.tolist() != own.recordings.tolist():
        raise ValueError(f"{folder} and {own.root} do not have the same recordings")
    spec = replace(pictures.spec, drawing=drawing)
    kept: list[np.ndarray] = []
    decoded = decode_pictures(folder, examples.paths, spec.canvas, drawing, write=kept.append)
    decoded = replace(decoded, pixels=np.stack(kept))
    ready = replace(
        training.ready, inputs=spec, pictures=replace(pictures, decoded=decoded, spec=spec)
    )
    run_folder.mkdir(parents=True, exist_ok=True)
    return replace(training, ready=ready).trainer(run_folder, Silent())


def _shipped_weights(
    trainer: Trainer, folds: Sequence[tuple[np.ndarray, np.ndarray]]
) -> dict[str, Any]:
    """The weights that main.py ships after these folds."""
    finished = cross_validate(trainer, list(folds))
    for file in (trainer.run / "checkpoints").glob("fold_*.pth"):
        file.unlink()  # the next trial is another one
    return final_weights(finished, len(folds), "refit")[0]


if __name__ == "__main__":
    run(main)
