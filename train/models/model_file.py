"""The model file: weights and all that using them needs, in a format that cannot execute code."""

import subprocess
from pathlib import Path
from typing import Any

import torch

from train.loop.checkpoint import read_torch, write_torch
from train.models.backbone import create_backbone
from train.models.classifier import Classifier
from train.models.ensemble import Weights, ensemble_of, weights_of_members
from train.models.facts import ModelFacts
from train.run_folder import existing_model


def save(file: Path, weights: Weights, facts: ModelFacts) -> None:
    """Write the model file, whole or not at all: plain values and tensors."""
    write_torch(file, facts.to_dict() | {"weights": weights})


def load(file: str | Path, device: str = "cpu") -> tuple[Any, ModelFacts]:
    """(model in evaluation mode on `device`, what the file tells of it).

    Raises ValueError with one line when the file is missing, truncated, foreign or newer, or when
    its weights are not those of its network.
    """
    facts, weights = read(Path(file))
    try:
        model = rebuilt(facts, weights)
    except (RuntimeError, KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:150]
        raise ValueError(f"{file} is damaged: its weights do not fit ({reason})") from None
    return model.to(device), facts


def rebuilt(facts: ModelFacts, weights: Weights) -> Any:
    """The network of a model file with its weights, in evaluation mode."""
    members = weights_of_members(weights)
    for one in members or [weights]:
        _check_weights(facts, one)
    if not members:
        model = _network(facts, weights)
        model.load_state_dict(weights)
    else:
        model = ensemble_of(_network(facts, members[0]), members, 1.0)
        model.temperature.copy_(weights["temperature"])
    return model.eval()


def _check_weights(facts: ModelFacts, weights: Weights) -> None:
    """Raise ValueError unless the weights are the network's and numbers, before it takes memory."""
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{name} has values that are no numbers; train it again")
    if facts.is_table:  # small, or of any size: a program
        return
    with torch.device("meta"):  # the shapes of all tensors, and none of their numbers
        own = _network(facts, weights).state_dict()
    for name, tensor in own.items():
        if name not in weights or weights[name].shape != tensor.shape:
            has = f"is {tuple(weights[name].shape)}" if name in weights else "is missing"
            raise ValueError(f"{name} {has}; {facts.backbone} needs {tuple(tensor.shape)}")


def _network(facts: ModelFacts, weights: Weights) -> Any:
    """The network that such weights are of, without them."""
    n_classes = len(facts.classes)
    if facts.is_table:
        from train.tabular.models import (
            build,  # scikit-learn takes a second, which pictures need not
        )

        return build(facts.backbone, len(facts.columns), n_classes)
    backbone = create_backbone(facts.backbone, (facts.image.width, facts.image.height))
    n_features = weights["head.weight"].shape[1]
    return Classifier(
        backbone, n_classes, dropout=0.0, pooling=facts.pooling, n_features=n_features
    )


def read(file: Path) -> tuple[ModelFacts, Weights]:
    """What a model file holds, checked; ValueError if this version cannot read it."""
    file = existing_model(file)
    values = read_torch(file)
    if not isinstance(values, dict) or "format" not in values:
        raise ValueError(f"{file} is no model file of Spectrofold: it has weights but no facts")
    try:
        facts = ModelFacts.from_dict(values)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    weights = values.get("weights")
    if not isinstance(weights, dict) or not all(map(torch.is_tensor, weights.values())):
        raise ValueError(f"{file} is damaged: its weights are no tensors by name")
    return facts, weights


def revision() -> str | None:
    """The git revision of this checkout, or None outside one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
