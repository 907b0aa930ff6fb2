"""The files that explain a model's answers: a figure of each picture, and a map of many."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from inference.explain.picture import Scale, draw
from train.loop.inference import apply
from train.models.classifier import Classifier
from train.models.ensemble import Ensemble, members_of
from train.models.gradcam import grad_cam
from train.report.embedding_map import draw_map, project, write_page
from train.report.figures import save_figure
from train.report.gallery import as_jpeg

THUMBNAIL = (160, 90)  # width, height of a picture in the map's page


@dataclass(frozen=True)
class Subject:
    """A model and what it says of some pictures, in order.

    pixels: uint8 (H, W, 3) each, at the canvas size; images: uint8 (n, 3, height, width), as the
    network sees them; probabilities: float (n, C).
    """

    model: Classifier | Ensemble
    facts: dict[str, Any]
    paths: list[str]
    pixels: list[np.ndarray]
    images: torch.Tensor
    probabilities: np.ndarray

    def title(self, i: int) -> str:
        """Name, predicted class and its probability of the i-th picture."""
        best = int(self.probabilities[i].argmax())
        name, share = self.facts["classes"][best], self.probabilities[i, best]
        return f"{Path(self.paths[i]).name}: {name} ({share:.2f})"


def write_pictures(subject: Subject, scale: Scale, out: Path, label: str | None) -> list[Path]:
    """Draw Grad-CAM and attention, as far as the network has them, of each picture; the files.

    label: the class that is explained, or None for the predicted one.
    """
    classes, written = subject.facts["classes"], list[Path]()
    if label is not None and label not in classes:
        raise ValueError(f"--label {label}: the model knows {', '.join(classes)}")
    for i, path in enumerate(subject.paths):
        probabilities = subject.probabilities[i]
        index = int(probabilities.argmax()) if label is None else classes.index(label)
        title = subject.title(i)
        if label is not None:
            title += f"; explained: {label} ({probabilities[index]:.2f})"
        heat, attention = _evidence(subject.model, subject.images[i : i + 1], index)
        if heat is not None:
            heat = _resized(heat, subject.pixels[i].shape)
        file = _free(out / f"{Path(path).stem}.png", written)
        figure = draw(subject.pixels[i], scale, title, heat=heat, attention=attention)
        save_figure(figure, file)
        written.append(file)
    return written


def _evidence(
    model: Classifier | Ensemble, image: torch.Tensor, index: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(heat (h, w), attention (T,)) of one picture; None for what the network does not have."""
    heat = attention = None
    members = members_of(model)
    if hasattr(members[0].backbone, "attention"):
        with torch.inference_mode():
            seen = (image.float() - members[0].mean) / members[0].std
            each = [member.backbone.attention(seen)[0] for member in members]
        attention = torch.stack(each).mean(dim=0).numpy()
    try:
        heat = grad_cam(model, image, index)[0].numpy()
    except ValueError:
        if attention is None:  # nothing at all to show: say why
            raise
    return heat, attention


def write_map(subject: Subject, out: Path, method: str) -> list[Path]:
    """Draw all pictures by how alike they are to the network, as PNG and as a page; the files.

    A picture's class is its folder's name if the model knows it, else what the model says.
    """
    model, classes = subject.model, subject.facts["classes"]

    def embed(images: torch.Tensor) -> torch.Tensor:
        rows = model.features(images)
        each = [(rows - one.shift) / one.scale for one in members_of(model)]
        return torch.stack(each).mean(dim=0)

    batches = [(part, part) for part in subject.images.split(32)]
    places = project(apply(embed, batches, torch.device("cpu")), method)
    named = [classes[best] for best in subject.probabilities.argmax(axis=1)]
    folders = [Path(path).parent.name for path in subject.paths]
    labels = [f if f in classes else name for f, name in zip(folders, named, strict=True)]
    points = [
        {
            "path": path, "label": labels[i], "predicted": named[i],
            "probability": round(float(subject.probabilities[i].max()), 4),
            "picture": as_jpeg(subject.pixels[i], THUMBNAIL),
        }
        for i, path in enumerate(subject.paths)
    ]  # fmt: skip
    shown = [name for name in classes if name in labels]
    how = {"tsne": "t-SNE", "umap": "UMAP"}[method]
    title = f"{len(points)} pictures by {how} of what {subject.facts['backbone']} sees"
    files = [out / f"map_{method}{end}" for end in (".png", ".html")]
    save_figure(draw_map(places, labels, shown, title), files[0])
    write_page(files[1], places, points, shown, title)
    return files


def _resized(heat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR))


def _free(file: Path, taken: list[Path]) -> Path:
    """The file's name, or with a number where pictures of two folders have one name."""
    n, wanted = 1, file
    while file in taken:
        n += 1
        file = wanted.with_name(f"{wanted.stem}-{n}{wanted.suffix}")
    return file
