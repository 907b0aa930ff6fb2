"""Write a model in other forms, each checked against the original on real pictures.

python -m train.export runs/latest/model.pth --onnx --int8 --out exported
python -m train.export --from-state-dict W.pth --classes classes.txt --out model.pth
"""

# Like main.py, this command joins the folders data and train; no file there imports it.

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.cli import BAD_INPUT, DONE, SOME_LEFT_OUT, config_from, make_parser, option, run

if TYPE_CHECKING:
    import numpy as np

BATCH = 16
LEAST_SECONDS = 1.0  # of timing each form
LINES_OF_NONE = 3  # of a table without any form: its head, the model, the pictures


@dataclass(frozen=True)
class ExportConfig:
    """Forms to write"""

    onnx: bool = option(False, "ONNX, for predict.py without torch and for other programs")
    torchscript: bool = option(False, "TorchScript, for C++ and Python without this project")
    int8: bool = option(False, "ONNX with 8-bit convolutions: a quarter of the size")
    safetensors: bool = option(False, "the weights alone, with the facts as metadata")
    timm_hub: bool = option(False, "a folder for timm.create_model('local-dir:...')")
    out: str | None = option(None, "folder to write to; with --from-state-dict the model file")
    pictures: str | None = option(None, "real pictures to check on; default the training's folder")
    n_pictures: int = option(64, "how many of them")
    from_state_dict: str | None = option(
        None, "weights of torchvision's ResNet50 to make a model of"
    )
    classes: str | None = option(
        None, "with --from-state-dict: text file, one class a line, in order"
    )
    image_size: str = option(
        "224", "with --from-state-dict: what the network was trained on, N or WxH"
    )

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value does not fit."""
        forms = (self.onnx, self.torchscript, self.int8, self.safetensors, self.timm_hub)
        if self.n_pictures < 1:
            raise ValueError(f"--n-pictures {self.n_pictures}: at least 1")
        if (self.from_state_dict is None) != (self.classes is None):
            raise ValueError("--from-state-dict and --classes: give both or none")
        if self.from_state_dict is None and not any(forms):
            raise ValueError(
                "nothing to write: give --onnx, --torchscript, --int8, --safetensors or --timm-hub"
            )


def main() -> int:
    """Import or export, and print the table of what was written."""
    parser = make_parser("python -m train.export", (__doc__ or "").strip(), ExportConfig)
    parser.add_argument("model", nargs="?", help="model.pth of a run")
    args = parser.parse_args()
    config = config_from(args, ExportConfig)
    if (args.model is None) == (config.from_state_dict is None):
        parser.error("give a model file, or --from-state-dict")
    if config.from_state_dict:
        print(_import(config))
    else:
        lines, left_out = _export(Path(args.model), config)
        print(*lines, sep="\n")
        for reason in left_out:
            print(f"error: {reason}", file=sys.stderr)
        if left_out:
            return SOME_LEFT_OUT if len(lines) > LINES_OF_NONE else BAD_INPUT
    return DONE


def _import(config: ExportConfig) -> str:
    from data.config import parse_size
    from train.export.state_dict import import_state_dict

    names = Path(config.classes or "").read_text(encoding="utf-8").splitlines()
    classes = tuple(name.strip() for name in names if name.strip())
    if len(set(classes)) < len(classes):
        raise ValueError(f"{config.classes}: a class is named twice")
    out = Path(config.out or "model.pth")
    if out.exists():
        raise ValueError(f"{out} is there already: give another --out")
    size = parse_size(config.image_size)
    import_state_dict(Path(config.from_state_dict or ""), classes, size, out)
    return f"{out}: {len(classes)} classes; its probabilities are not calibrated"


def _export(file: Path, config: ExportConfig) -> tuple[list[str], list[str]]:
    """(the lines of the table, why forms are left out); every form is written, then checked."""
    from train.export.formats import FORMATS, torch_logits
    from train.models import model_file

    facts = model_file.read(file)
    if "columns" in facts["image"]:
        raise ValueError(
            f"{file} classifies rows of tables; only networks of pictures are exported"
        )
    images = _pictures(config, facts)
    original = model_file.rebuilt(facts)
    out = Path(config.out or file.parent / "exported")
    truth, rate = _answers(torch_logits(original), images, facts["temperature"])
    rows = [["form", "MB", "pictures/s", "same class", "largest difference"]]
    rows.append([str(file), _size(file), f"{rate:.0f}", "", ""])
    left_out = []
    for name, (target, write) in FORMATS.items():
        if getattr(config, name):
            try:
                logits_of = write(original, facts, out / target, images)
            except ValueError as error:  # this network has no such form; the others are not lost
                left_out.append(str(error))
                continue
            answers, rate = _answers(logits_of, images, facts["temperature"])
            same = (answers.argmax(axis=1) == truth.argmax(axis=1)).mean()
            worst = abs(answers - truth).max()
            rows.append(
                [
                    str(out / target),
                    _size(out / target),
                    f"{rate:.0f}",
                    f"{same:.1%}",
                    f"{worst:.1e}",
                ]
            )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.append(f"on {len(images)} pictures, {BATCH} at a time")
    return [line.rstrip() for line in lines], left_out


def _pictures(config: ExportConfig, facts: dict[str, Any]) -> "np.ndarray":
    """Real pictures uint8 (n, 3, height, width), spread over the folder."""
    import numpy as np
    import torch

    from data.images.read import list_pictures, read_picture
    from data.images.transforms import whole

    folder = config.pictures or facts["config"].get("data")
    found = list_pictures(Path(folder)) if folder and Path(folder).is_dir() else []
    if not found:
        raise ValueError(f"no pictures in {folder} to check on: give --pictures FOLDER")
    chosen = np.linspace(0, len(found) - 1, min(config.n_pictures, len(found))).round().astype(int)
    canvas = tuple(facts["image"]["canvas"])
    pixels = (torch.tensor(read_picture(found[i], canvas)).permute(2, 0, 1) for i in chosen)
    return torch.stack([whole(picture, facts["image"]) for picture in pixels]).numpy()


def _answers(
    logits_of: "Callable[[np.ndarray], np.ndarray]", images: "np.ndarray", temperature: float
) -> "tuple[np.ndarray, float]":
    """(probabilities float (n, C), pictures per second by the fastest of several passes)."""
    import numpy as np

    from train.evaluate.metrics import probabilities_of

    best, started, passes = float("inf"), time.monotonic(), 0
    while passes < 2 or time.monotonic() - started < LEAST_SECONDS:
        before = time.perf_counter()
        logits = [logits_of(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
        best, passes = min(best, time.perf_counter() - before), passes + 1
    return probabilities_of(np.concatenate(logits), temperature), len(images) / best


def _size(path: Path) -> str:
    files = path.rglob("*") if path.is_dir() else [path]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f}"


if __name__ == "__main__":
    run(main)
