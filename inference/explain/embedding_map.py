"""A map of many pictures: near means alike to the network."""

from pathlib import Path

import numpy as np
import torch

from common.html import thumbnail_uri
from common.plots import save_figure
from inference.explain.pictures import BATCH, PredictedPictures
from train.models.ensemble import members_of
from train.models.network import TorchNetwork
from train.report.embedding_map import draw_map, write_page
from train.report.projection import project

THUMBNAIL = (160, 90)  # width, height of a picture in the map's page
METHODS = {"tsne": "t-SNE", "umap": "UMAP"}


def write_map(
    pictures: PredictedPictures, network: TorchNetwork, out: Path, method: str
) -> list[Path]:
    """Draw the map by "tsne" or "umap", as PNG and as a page to click on; the files.

    A picture's class is its folder's name if the model knows it, else what the model says.
    """
    classes = pictures.classes
    places = project(embeddings_of(pictures, network), method)
    predicted = [classes[best] for best in pictures.probabilities.argmax(axis=1)]
    folders = [Path(path).parent.name for path in pictures.paths]
    labels = [f if f in classes else name for f, name in zip(folders, predicted, strict=True)]
    points = [
        {
            "path": path,
            "label": labels[i],
            "predicted": predicted[i],
            "probability": round(float(pictures.probabilities[i].max()), 4),
            "picture": thumbnail_uri(pictures.pixels[i], shape=THUMBNAIL),
        }
        for i, path in enumerate(pictures.paths)
    ]
    present = [name for name in classes if name in labels]
    title = f"{len(points)} pictures by {METHODS[method]} of {pictures.backbone}'s embeddings"
    files = [out / f"map_{method}{end}" for end in (".png", ".html")]
    save_figure(draw_map(places, labels, present, title), files[0])
    write_page(files[1], places, points, present, title)
    return files


@torch.inference_mode()
def embeddings_of(pictures: PredictedPictures, network: TorchNetwork) -> np.ndarray:
    """float32 (n, F): scaled as the last layer sees them; of several classifiers their mean."""
    model = network.classifier
    rows = []
    for start in range(0, len(pictures.paths), BATCH):
        images = pictures.images(slice(start, start + BATCH)).to(network.device)
        features = model.features(images)
        each = [(features - one.shift) / one.scale for one in members_of(model)]
        rows.append(torch.stack(each).mean(dim=0).float().cpu())
    return torch.cat(rows).numpy()
