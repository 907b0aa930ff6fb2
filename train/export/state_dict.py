"""A bare state_dict of the usual scripts to a model file with all that using it needs."""

from pathlib import Path

import torch

from data.images.read import ImageSpec
from train.models import model_file
from train.models.backbone import create_backbone
from train.models.classifier import Classifier
from train.models.facts import ModelFacts
from train.models.pretrained import read_weights

BACKBONE = "resnet50"  # what the usual scripts save: torchvision's, whose names timm shares


def import_state_dict(
    file: Path, classes: tuple[str, ...], size: tuple[int, int], out: Path
) -> None:
    """Write the model file `out` from a state_dict of torchvision's ResNet50 with its last layer.

    The last layer may stand behind dropout in a Sequential, and every name may have a prefix, as
    "module." or "resnet.". Raises ValueError that says what does not fit.
    """
    given = _tensors(file)
    stem = next(
        (name for name in given if name.endswith("conv1.weight") and "layer" not in name), ""
    )
    prefix = stem.removesuffix("conv1.weight")
    given = {name.removeprefix(prefix): tensor for name, tensor in given.items()}
    last = [
        n for n in given if n.startswith(("fc.", "head.", "classifier.")) and given[n].ndim == 2
    ]
    if not stem or len(last) != 1:
        raise ValueError(
            f"{file}: not a ResNet50 with one linear last layer named fc; it has "
            f"{', '.join(list(given)[:3])} ..."
        )
    head = last[0].removesuffix("weight")
    n_classes = given[last[0]].shape[0]
    if n_classes != len(classes):
        raise ValueError(f"{file} tells {n_classes} classes apart; --classes names {len(classes)}")
    backbone = create_backbone(BACKBONE)
    model = Classifier(backbone, n_classes, dropout=0.0)
    weights = {"backbone." + n: t for n, t in given.items() if not n.startswith(head)}
    weights |= {"head.weight": given[head + "weight"], "head.bias": given[head + "bias"]}
    weights |= {"shift": model.shift, "scale": model.scale}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split("\n\t")[1:2])[:150]
        raise ValueError(f"{file}: the weights are not those of {BACKBONE} ({reason})") from None
    mean, std = (tuple(backbone.pretrained_cfg[key]) for key in ("mean", "std"))
    spec = ImageSpec(size[0], size[1], size, mean, std)
    facts = ModelFacts(BACKBONE, "last", classes, spec, 1.0, revision=model_file.revision())
    model_file.save(out, model.state_dict(), facts)


def _tensors(file: Path) -> dict[str, torch.Tensor]:
    if not file.is_file():
        raise ValueError(f"--from-state-dict {file}: no such file")
    try:
        return read_weights(file)[0]
    except ValueError:
        raise ValueError(
            f"{file}: no state_dict: it is damaged, a whole pickled model, or tries to run code; "
            "save model.state_dict()"
        ) from None
