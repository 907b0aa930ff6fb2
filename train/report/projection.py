"""Embeddings on a plane: near means alike to the network."""

from importlib.util import find_spec

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

MIN_POINTS = 5
N_COMPONENTS = 50  # kept before t-SNE, as its authors do


def project(embeddings: np.ndarray, method: str = "tsne") -> np.ndarray:
    """Places float (n, 2) of embeddings (n, F) by "tsne" or "umap"; the same for the same input.

    Raises ValueError for fewer than 5, and when UMAP is asked for and is not installed.
    """
    n = len(embeddings)
    if n < MIN_POINTS:
        raise ValueError(f"a map of {n} pictures: at least {MIN_POINTS} are needed")
    if method == "umap":
        if find_spec("umap") is None:
            raise ValueError("--projection umap: pip install umap-learn, or use tsne")
        from umap import UMAP

        return UMAP(n_neighbors=min(15, n - 1), random_state=0, n_jobs=1).fit_transform(embeddings)
    few = min(N_COMPONENTS, *embeddings.shape)
    reduced = PCA(few, random_state=0).fit_transform(embeddings)
    perplexity = min(30, (n - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)
