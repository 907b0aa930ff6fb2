"""The model file: weights and all that using them needs, in a format that cannot execute code."""

import subprocess
from pathlib import Path
from typing import Any

import torch

from train.classifier import Classifier, create_backbone
from train.files import write_torch

FORMAT = 2  # 2: embeddings of several stages
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
    pictures, or None; familiar: what tells pictures of another kind (train.familiar), or None;
    reference: what distances are measured against (train.distance), or None.
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


def load(file: str | Path, device: str = "cpu") -> tuple[Classifier, dict[str, Any]]:
    """(model in evaluation mode on `device`, the facts without the weights).

    Raises ValueError with one line when the file is missing, truncated, foreign or newer.
    """
    facts = read(Path(file))
    spec = facts["image"]
    try:
        if "columns" in spec:
            from train.tables import build  # scikit-learn takes a second, which pictures need not

            table_model = build(facts["backbone"], len(spec["columns"]), len(facts["classes"]))
            table_model.load_state_dict(facts.pop("weights"))
            return table_model.eval().to(device), facts
        backbone = create_backbone(facts["backbone"], (spec["width"], spec["height"]))
        weights = facts.pop("weights")
        model = Classifier(
            backbone, len(facts["classes"]), dropout=0.0, pooling=facts["pooling"],
            n_features=weights["head.weight"].shape[1],
        )  # fmt: skip
        model.load_state_dict(weights)
    except (RuntimeError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file} is damaged: its weights do not fit ({reason})") from None
    return model.eval().to(device), facts


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
