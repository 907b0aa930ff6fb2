"""The map of embeddings: classes that are apart for the network are apart on the map."""

import numpy as np
from sklearn.metrics import silhouette_score

from train.report.projection import project


def test_the_map_keeps_classes_apart() -> None:
    labels = np.arange(48) % 3
    rng = np.random.default_rng(0)
    embeddings = 4 * rng.normal(size=(3, 96))[labels] + rng.normal(size=(48, 96))
    assert silhouette_score(project(embeddings, "tsne"), labels) > 0.5
