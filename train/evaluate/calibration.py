"""Logits to probabilities that mean what they say. numpy only: ONNX prediction imports it."""

import numpy as np


def probabilities_of(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities float64 (n, C): the softmax of logits (n, C) divided by the temperature."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
