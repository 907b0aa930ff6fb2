"""Classify pictures with a model file.

python predict.py model.pth picture.png [more.jpg folder/ 'glob*.webp' ...]
python predict.py model.onnx picture.png        without torch: starts in half a second

From Python: from predict import load; load("model.pth")("picture.png").label
"""

import csv
import glob
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from command import BAD_INPUT, DONE, SOME_LEFT_OUT, config_from, make_parser, option, run
from data.image import list_pictures, read_picture, whole_picture


@dataclass(frozen=True)
class PredictConfig:
    """Prediction"""

    top: int = option(1, "how many classes to show for each picture, the likeliest first")
    json: bool = option(False, "print one JSON list with every probability instead of lines")
    csv: str | None = option(None, "also write path, class and every probability to this file")
    batch_size: int = option(32, "pictures at a time")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        for name in ("top", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)}: at least 1")


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture: its likeliest class, and the probability of every class."""

    path: str
    label: str
    probability: float
    probabilities: dict[str, float]

    def top(self, n: int) -> list[tuple[str, float]]:
        """The n likeliest (class, probability), the likeliest first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:n]


class Model:
    """A model file ready to answer: `model(path)`; its facts are in `classes` and `facts`.

    logits_of turns pixels, uint8 (H, W, 3) each, into logits float32 (B, C).
    """

    def __init__(
        self, facts: dict[str, Any], logits_of: Callable[[list[np.ndarray]], np.ndarray]
    ) -> None:
        self.facts = facts
        self.classes: list[str] = facts["classes"]
        self._logits_of = logits_of

    def __call__(self, path: str | Path) -> Prediction:
        """The answer for one picture; ValueError if it cannot be read."""
        return self.answer([str(path)], [self.read(path)])[0]

    def read(self, path: str | Path) -> np.ndarray:
        """A picture's pixels at the size the training kept them: uint8 (H, W, 3)."""
        return read_picture(path, tuple(self.facts["image"]["canvas"]))

    def answer(self, paths: list[str], pictures: list[np.ndarray]) -> list[Prediction]:
        """The answers for pictures that `read` returned, in one pass of the network."""
        scaled = self._logits_of(pictures).astype(np.float64) / self.facts["temperature"]
        exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        rows = exponentials / exponentials.sum(axis=1, keepdims=True)
        answers = []
        for path, row in zip(paths, rows.tolist(), strict=True):
            best = int(np.argmax(row))
            named = dict(zip(self.classes, row, strict=True))
            answers.append(Prediction(path, self.classes[best], row[best], named))
        return answers


def load(file: str | Path) -> Model:
    """A model from a .pth or .onnx file; ValueError with one line if it is not one."""
    return _load_onnx(Path(file)) if Path(file).suffix == ".onnx" else _load_torch(Path(file))


def _load_torch(file: Path) -> Model:
    if not file.is_file():  # said before torch, which takes seconds to import
        raise ValueError(f"no model file at {file}; python main.py trains one")
    import torch

    from data.transforms import whole
    from train import model_file

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network, facts = model_file.load(file, device)

    @torch.inference_mode()
    def logits_of(pictures: list[np.ndarray]) -> np.ndarray:
        tensors = [torch.from_numpy(pixels.copy()).permute(2, 0, 1) for pixels in pictures]
        images = torch.stack([whole(tensor, facts["image"]) for tensor in tensors])
        images = images.contiguous(memory_format=torch.channels_last)
        return network(images.to(device)).cpu().numpy()

    return Model(facts, logits_of)


def _load_onnx(file: Path) -> Model:
    if not file.is_file():
        raise ValueError(f"no model file at {file}; python main.py writes one beside model.pth")
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        facts = json.loads(session.get_modelmeta().custom_metadata_map["facts"])
    except Exception as error:  # onnxruntime raises its own kinds for each way a file is damaged
        reason = (str(error).splitlines() or [""])[0][:100]
        raise ValueError(f"{file} is no model file of Spectrofold ({reason})") from None

    def logits_of(pictures: list[np.ndarray]) -> np.ndarray:
        images = np.stack([whole_picture(pixels, facts["image"]) for pixels in pictures])
        return session.run(None, {"images": images.transpose(0, 3, 1, 2)})[0]

    return Model(facts, logits_of)


def expand(inputs: list[str]) -> list[str]:
    """The picture files that files, folders (searched through) and glob patterns stand for.

    A file named directly is kept whatever it is, so that a wrong one is named and not passed over.
    Raises ValueError when a folder or pattern holds no picture.
    """
    files: list[str] = []
    for name in inputs:
        if Path(name).is_dir():
            found = [str(path) for path in list_pictures(Path(name))]
        elif not Path(name).exists() and glob.has_magic(name):
            found = sorted(glob.glob(name, recursive=True))
        else:
            found = [name]
        if not found:
            raise ValueError(f"{name}: no pictures there")
        files += found
    return files


def predict(
    model: Model, files: list[str], *, batch_size: int, left_out: list[str]
) -> Iterator[Prediction]:
    """The answer for each readable file, in order; why others are unreadable goes to `left_out`."""

    def read(path: str) -> np.ndarray | str:
        try:
            return model.read(path)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), batch_size):
            batch = files[start : start + batch_size]
            pixels = list(pool.map(read, batch))
            left_out += [reason for reason in pixels if isinstance(reason, str)]
            good = [i for i, p in enumerate(pixels) if not isinstance(p, str)]
            if good:
                yield from model.answer([batch[i] for i in good], [pixels[i] for i in good])


def lines_of(prediction: Prediction, top: int) -> Iterator[str]:
    """The tab-separated lines for one picture: the class, then with top > 1 the runners-up."""
    for rank, (label, probability) in enumerate(prediction.top(top), start=1):
        what = "Predicted class:" if rank == 1 else f"{rank}."
        yield f"{prediction.path}\t{what} {label}\t{probability:.4f}"


def write_csv(file: Path, predictions: list[Prediction], classes: list[str]) -> None:
    """Write path, class, probability and the probability of every class."""
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["path", "class", "probability", *classes])
        for p in predictions:
            cells = [f"{p.probabilities[name]:.6f}" for name in classes]
            writer.writerow([p.path, p.label, f"{p.probability:.6f}", *cells])


def main() -> int:
    """Parse, classify, print; the exit code says whether some files were left out."""
    parser = make_parser("python predict.py", (__doc__ or "").strip(), PredictConfig)
    parser.add_argument("model", help="model.pth or model.onnx of a run")
    parser.add_argument("inputs", nargs="+", help="pictures, folders of pictures, or patterns")
    args = parser.parse_args()
    config = config_from(args, PredictConfig)
    files = expand(args.inputs)
    model = load(args.model)
    left_out: list[str] = []
    predictions = []
    for prediction in predict(model, files, batch_size=config.batch_size, left_out=left_out):
        predictions.append(prediction)
        if not config.json:
            print(*lines_of(prediction, config.top), sep="\n")
    if config.json:
        answers = [
            {"path": p.path, "class": p.label, "probability": p.probability,
             "probabilities": p.probabilities} for p in predictions
        ]  # fmt: skip
        print(json.dumps(answers, indent=1, ensure_ascii=False))
    if config.csv:
        write_csv(Path(config.csv), predictions, model.classes)
    for reason in left_out:
        print(f"error: {reason}", file=sys.stderr)
    if left_out:
        return SOME_LEFT_OUT if predictions else BAD_INPUT
    return DONE


if __name__ == "__main__":
    run(main)
