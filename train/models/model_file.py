"""The model file: weights and all that using them needs, in a format that cannot execute code."""

import subprocess
from pathlib import Path
from typing import Any

import torch

from train.checkpoint import write_torch
from train.models.classifier import Classifier, create_backbone
from train.models.ensemble import ensemble_of, weights_of_members

FORMAT = 3  # 2: embeddings of several stages; 3: and of covariances
KEYS = {"format", "backbone", "pooling", "weights", "classes", "image", "render", "temperature",
        "config", "metrics", "revision"}  # fmt: skip


def save(
    file: Path,
    weights: dict[str, torch.Tensor],
    *,
    backbone: str,
    pooling: str,
    classes: tuple[str, ...],
    image: dict[str, Any],
    render: dict[str, Any] | None,
    temperature: float,
    config: dict[str, Any],
    metrics: dict[str, Any],
    familiar: dict[str, Any] | None = None,
    reference: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the model file, whole or not at all, and return its facts.

    image: width, height, canvas, mean, std; render: the settings that turned audio into the
    pictures, or None; familiar: what tells pictures of another kind (train.evaluate.novelty);
    reference: what distances are measured against (train.evaluate.domain_shift), or None.
    Everything but the weights is plain str, number, list or dict.
    """
    facts = {
        "format": FORMAT, "backbone": backbone, "pooling": pooling, "weights": weights,
        "classes": list(classes),
        "image": image, "render": render, "temperature": temperature, "config": config,
        "metrics": metrics, "familiar": familiar, "reference": reference, "revision": revision(),
    }  # fmt: skip
    write_torch(file, facts)
    return facts


def load(file: str | Path, device: str = "cpu") -> tuple[Any, dict[str, Any]]:
    """(model in evaluation mode on `device`, the facts without the weights).

    Raises ValueError with one line when the file is missing, truncated, foreign or newer.
    """
    facts = read(Path(file))
    try:
        model = rebuilt(facts)
    except (RuntimeError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file} is damaged: its weights do not fit ({reason})") from None
    del facts["weights"]
    return model.to(device), facts


def rebuilt(facts: dict[str, Any]) -> Any:
    """The network of a model file's facts, with their weights, in evaluation mode."""
    members = weights_of_members(facts["weights"])
    if not members:
        model = _network(facts, facts["weights"])
        model.load_state_dict(facts["weights"])
    else:
        model = ensemble_of(_network(facts, members[0]), members, 1.0)
        model.temperature.copy_(facts["weights"]["temperature"])
    return model.eval()


def _network(facts: dict[str, Any], weights: dict[str, torch.Tensor]) -> Any:
    """The network that such weights are of, without them."""
    spec, n_classes = facts["image"], len(facts["classes"])
    if "columns" in spec:
        from train.tabular.models import (
            build,  # scikit-learn takes a second, which pictures need not
        )

        return build(facts["backbone"], len(spec["columns"]), n_classes)
    backbone = create_backbone(facts["backbone"], (spec["width"], spec["height"]))
    return Classifier(
        backbone, n_classes, dropout=0.0, pooling=facts["pooling"],
        n_features=weights["head.weight"].shape[1],
    )  # fmt: skip


def read(file: Path) -> dict[str, Any]:
    """The facts of a model file, checked; ValueError if it is not one that this version reads."""
    if not file.is_file():
        raise ValueError(f"no model file at {file}; python main.py trains one")
    try:
        facts = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # torch raises many kinds for damaged, foreign and dangerous files
        raise ValueError(
            f"{file} is no model file: it is truncated, of another program, or tries to run code"
        ) from None
    if not isinstance(facts, dict) or "format" not in facts:
        raise ValueError(f"{file} is no model file of Spectrofold: it has weights but no facts")
    if facts["format"] != FORMAT:
        way_out = "train it again" if facts["format"] in range(FORMAT) else "update Spectrofold"
        raise ValueError(
            f"{file} has format {facts['format']}; this version reads {FORMAT}: {way_out}"
        )
    if missing := sorted(KEYS - set(facts)):
        raise ValueError(f"{file} is damaged: it lacks {', '.join(missing)}")
    return facts


def revision() -> str | None:
    """The git revision of this checkout, or None outside one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
