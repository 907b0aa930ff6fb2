"""How far pictures are from those of training, and the likely cause, in sentences."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps

from data.audit.audit import Audit
from data.images.read import canvas_for
from train.evaluate.domain_shift import distances, likely_cause, shift
from train.models.facts import DomainReference, ModelFacts
from train.report.gallery import Answered

N_TRIED = 64  # pictures on which likely causes are tried
FAR_SHARE, FAR_SHIFT = 0.25, 1.5
GREY_WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue, as Pillow's mode L

Redraw = Callable[[torch.Tensor], torch.Tensor]


def shift_lines(model: Any, facts: ModelFacts, found: Audit, tested: Answered) -> list[str]:
    """How far the pictures are from those of training, and why, in sentences."""
    lines = drawn_differently(facts, found)
    reference = facts.domain
    if not reference:
        return [*lines, "the model file tells too little to measure the distance of its embeddings"]
    n_groups = len(np.unique(found.examples.groups[tested.embedded]))
    share = float((distances(tested.embeddings, reference) > reference.far).mean())
    off = shift(tested.embeddings, reference, n_groups)
    lines.append(
        f"{100 * share:.0f} % of the pictures are farther from the training pictures than 95 % of "
        f"these are, and their mean is off by {off:.1f} times the usual difference"
    )
    if share > FAR_SHARE or off > FAR_SHIFT:
        lines.append(_cause_line(model, facts, reference, tested))
    return lines


def drawn_differently(facts: ModelFacts, found: Audit) -> list[str]:
    """What is known to differ from training: settings of render.json, size, colour map."""
    settings = found.examples.root / "render.json"
    then = facts.render.to_dict() if facts.render else {}
    now = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
    lines = [
        f"drawn with {key} {now[key]}, the training pictures with {then[key]}"
        for key in sorted(then.keys() & now.keys() - {"version", "clips"})
        if then[key] != now[key]
    ]
    size = found.drawing.frames[0].box.size  # of most pictures, without their frame
    width, height = canvas_for([size], facts.image.width, facts.image.height)
    canvas = facts.image.canvas
    if abs(width / height / (canvas[0] / canvas[1]) - 1) > 0.1:
        lines.append(
            f"pictures are {size[0]}x{size[1]}, those of training were kept at {canvas[0]}x"
            f"{canvas[1]}: another shape"
        )
    colours = Counter(look.colour_map for look in found.appearances).most_common(1)[0][0]
    kept = not facts.image.drawing.colour_map  # else they are read back, and differ no more
    if kept and facts.domain and (usual := facts.domain.colour_map) and usual != colours:
        lines.append(f"the colour map is {colours}, that of training was {usual}")
    return lines


def _cause_line(model: Any, facts: ModelFacts, known: DomainReference, tested: Answered) -> str:
    some = np.random.default_rng(0).permutation(len(tested.labels))[:N_TRIED]
    images = torch.from_numpy(tested.pictures(some)).permute(0, 3, 1, 2)
    device = next(model.parameters()).device
    seconds = facts.render.clip_seconds if facts.render else None

    @torch.inference_mode()
    def embed(images: torch.Tensor) -> np.ndarray:
        parts = [model.features(part.to(device)).float().cpu() for part in images.split(16)]
        embeddings: np.ndarray = torch.cat(parts).numpy()
        return embeddings

    cause = likely_cause(images, embed, known, _redraw(known), seconds)
    if cause is None:
        return "no cause was found among those that were tried (see train/evaluate/domain_shift.py)"
    text, before, after = cause
    return f"likely cause: {text} (undone, {before:.1f} becomes {after:.1f})"


def _redraw(known: DomainReference) -> Redraw | None:
    """Pictures in the colours of training, by their brightness; None if these are not known."""
    name = str(known.colour_map)
    if name not in colormaps:
        return None
    table = torch.tensor(colormaps[name](range(256))[:, :3] * 255).round().to(torch.uint8)

    def redraw(images: torch.Tensor) -> torch.Tensor:
        grey = (images.float() * torch.tensor(GREY_WEIGHTS).view(1, 3, 1, 1)).sum(dim=1)
        low, high = grey.amin((1, 2), keepdim=True), grey.amax((1, 2), keepdim=True)
        level = (255 * (grey - low) / (high - low).clamp_min(1)).round().long()
        return table[level].permute(0, 3, 1, 2).contiguous()

    return redraw
