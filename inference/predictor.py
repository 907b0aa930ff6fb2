"""A model file ready to answer, with torch (.pth) or without (.onnx)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data.images.read import read_picture, whole_picture
from inference.prediction import Prediction
from train.evaluate.novelty import why_unfamiliar

NEEDED = ("classes", "image", "temperature", "render")


class Model:
    """A model file ready to answer: `model(path)`; its facts are in `classes` and `facts`.

    whole turns a picture, uint8 (H, W, 3), into one of the network's size; logits_of turns such
    pictures, uint8 (B, height, width, 3), into logits float32 (B, C). network: torch's, if any;
    batch_size: how many pictures at a time suit the device.
    """

    def __init__(
        self,
        facts: dict[str, Any],
        whole: Callable[[np.ndarray], np.ndarray],
        logits_of: Callable[[np.ndarray], np.ndarray],
        network: Any = None,
        batch_size: int = 4,
    ) -> None:
        self.facts = facts
        self.classes: list[str] = facts["classes"]
        self.network, self.batch_size = network, batch_size
        self._whole, self._logits_of = whole, logits_of
        self._canvas: tuple[int, int] = tuple(facts["image"].get("canvas", (0, 0)))

    def __call__(self, path: str | Path, hop_seconds: float | None = None) -> Prediction:
        """The answer for a picture or a recording; ValueError if it is neither or damaged.

        hop_seconds: distance of the starts of two clips; default half a clip.
        """
        from inference.pipeline import predict

        failures: list[str] = []
        for prediction in predict(self, [str(path)], left_out=failures, hop_seconds=hop_seconds):
            return prediction
        raise ValueError(failures[0])

    def read(self, path: str | Path) -> np.ndarray:
        """A picture file at the network's size: uint8 (height, width, 3)."""
        return self._whole(read_picture(path, self._canvas))

    def fit(self, picture: Image.Image) -> np.ndarray:
        """A rendered picture at the network's size, as if it had been written and read."""
        rgb = picture.convert("RGB")
        if rgb.size != self._canvas:
            rgb = rgb.resize(self._canvas, Image.Resampling.BILINEAR)
        return self._whole(np.asarray(rgb))

    def why_unsure(self, picture: np.ndarray) -> str | None:
        """Why a picture of the network's size is unlike the training's; None if it is not."""
        return why_unfamiliar(picture, self.facts.get("familiar"))

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """float64 (B, C), calibrated, of pictures uint8 (B, height, width, 3)."""
        scaled = self._logits_of(pictures).astype(np.float64) / self.facts["temperature"]
        exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)


def load(file: str | Path) -> Model:
    """A model from a .pth or .onnx file; ValueError with one line if it is not one."""
    file = Path(file)
    if not file.is_file():  # said before torch, which takes seconds to import
        raise ValueError(f"no model file at {file}; python main.py trains one")
    return _load_onnx(file) if file.suffix == ".onnx" else _load_torch(file)


def _load_torch(file: Path) -> Model:
    import torch

    from data.images.transforms import whole
    from train.models import model_file

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network, facts = model_file.load(file, device)

    def at_size(pixels: np.ndarray) -> np.ndarray:
        picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
        return whole(picture, facts["image"]).permute(1, 2, 0).numpy()

    if "columns" in facts["image"]:
        from inference.table import TableModel

        @torch.inference_mode()
        def logits_of_rows(rows: np.ndarray) -> np.ndarray:
            return network(torch.from_numpy(rows).to(device)).cpu().numpy()

        return TableModel(facts, at_size, logits_of_rows, network)

    @torch.inference_mode()
    def logits_of(pictures: np.ndarray) -> np.ndarray:
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2)  # channels last, as it lies
        return network(images.to(device)).cpu().numpy()

    # A processor gains nothing by more than four at a time, and an hour of sound stays below 1 GiB.
    return Model(facts, at_size, logits_of, network, batch_size=64 if device == "cuda" else 4)


def _load_onnx(file: Path) -> Model:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        facts = json.loads(session.get_modelmeta().custom_metadata_map["facts"])
        if missing := [key for key in NEEDED if key not in facts]:
            raise KeyError(f"its facts lack {', '.join(missing)}")
    except Exception as error:  # onnxruntime raises its own kinds for each way a file is damaged
        reason = (str(error).splitlines() or [""])[0][:100]
        raise ValueError(f"{file} is no model file of Spectrofold ({reason})") from None

    def at_size(pixels: np.ndarray) -> np.ndarray:
        return whole_picture(pixels, facts["image"])

    if "columns" in facts["image"]:
        from inference.table import TableModel

        def logits_of_rows(rows: np.ndarray) -> np.ndarray:
            *_, last = session.run(None, {session.get_inputs()[0].name: rows})
            # of two outputs, scikit-learn's programs give the probabilities last
            return last if len(session.get_outputs()) == 1 else np.log(np.clip(last, 1e-6, 1))

        return TableModel(facts, at_size, logits_of_rows)

    def logits_of(pictures: np.ndarray) -> np.ndarray:
        return session.run(None, {"images": pictures.transpose(0, 3, 1, 2)})[0]

    return Model(facts, at_size, logits_of)
