"""What python -m inference.explain can be asked for."""

from dataclasses import dataclass
from typing import Literal

from common.cli import PositiveInt, option


@dataclass(frozen=True)
class ExplainConfig:
    """Explanation"""

    out: str = option("explained", "folder to write to")
    what: Literal["auto", "pictures", "map"] = option(
        "auto",
        "a Grad-CAM figure of each picture, or a map of all of them; auto: a map of folders, else "
        "pictures",
    )
    label: str | None = option(
        None, "the class whose evidence Grad-CAM shows; default the predicted one"
    )
    clips: PositiveInt = option(3, "clips of each recording that are shown, spread over it")
    projection: Literal["tsne", "umap"] = option(
        "tsne", "how the map places pictures: t-SNE, or UMAP, which wants pip install umap-learn"
    )
