"""Other forms of a model file: for other programs, smaller, or free of Python.

Each function writes its form and returns the network that was read back from what was written.
"""

import json
import logging
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.files import whole_file, write_bytes
from train.devices.fabric import quiet_loggers
from train.export.onnx import picture_program
from train.models import model_file, onnx_file
from train.models.classifier import Classifier
from train.models.ensemble import Ensemble
from train.models.facts import ModelFacts
from train.models.network import Network, OnnxNetwork, TorchNetwork


@dataclass(frozen=True)
class Original:
    """What is exported: the network and the facts of its model file."""

    module: Any
    facts: ModelFacts

    @property
    def json(self) -> str:
        """The facts without the weights."""
        return json.dumps(self.facts.to_dict())


def to_onnx(original: Original, file: Path, _: np.ndarray) -> Network:
    """Write ONNX with the facts as metadata, in full precision, for predict.py or others."""
    program = picture_program(original.module, original.facts.image)
    onnx_file.save(file, program, original.facts)
    return OnnxNetwork(onnx_file.load(file)[0])


def to_int8(original: Original, file: Path, pictures: np.ndarray) -> Network:
    """Write ONNX with 8-bit weights and activations, whose ranges the pictures set."""
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(pictures.transpose(0, 3, 1, 2)[:, None])

        def get_next(self) -> dict[str, np.ndarray] | None:
            picture = next(self._left, None)
            return None if picture is None else {"images": picture}

    # It recommends its own preparation, which is done here.
    quiet = quiet_loggers(logging.ERROR, "")
    with tempfile.TemporaryDirectory() as made, warnings.catch_warnings(), quiet:
        warnings.simplefilter("ignore")
        whole, prepared, small = (Path(made) / f"{n}.onnx" for n in ("whole", "prepared", "small"))
        onnx.save(picture_program(original.module, original.facts.image), str(whole))
        quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            small,
            Pictures(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            # The pixels and the last layers are few numbers that all answers hang on.
            op_types_to_quantize=["Conv"],
        )
        quantized = onnx.load(small)
    onnx_file.save(file, quantized, original.facts)
    return OnnxNetwork(onnx_file.load(file)[0])


def to_torchscript(original: Original, file: Path, pictures: np.ndarray) -> Network:
    """Write TorchScript, for C++ or a Python without this project; facts.json is inside."""
    example = torch.from_numpy(pictures[:2]).permute(0, 3, 1, 2).contiguous()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # torch would rather have torch.export
        traced = torch.jit.trace(original.module, example, check_trace=False)
        extra = {"facts.json": original.json}
        with whole_file(file) as sink:
            torch.jit.save(traced, sink, _extra_files=extra)
        return TorchNetwork(torch.jit.load(str(file)))


def to_safetensors(original: Original, file: Path, _: np.ndarray) -> Network:
    """Write the weights as safetensors, with the facts as its metadata."""
    from safetensors import safe_open
    from safetensors.torch import save

    state = original.module.state_dict()
    weights = {name: tensor.contiguous() for name, tensor in state.items()}
    metadata = {"facts": original.json}
    write_bytes(file, save(weights, metadata))  # its own save_file lets only the owner read
    with safe_open(str(file), "pt") as opened:
        facts = ModelFacts.from_dict(json.loads(opened.metadata()["facts"]))
        read = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    return TorchNetwork(model_file.rebuilt(facts, read))


def to_timm_hub(original: Original, folder: Path, _: np.ndarray) -> Network:
    """Write a folder that timm reads: timm.create_model("local-dir:FOLDER", pretrained=True).

    timm's network takes normalised float pictures and has a last layer of its own: ours is scaled
    to fit. Raises ValueError when its embeddings are not those of timm's network.
    """
    import timm
    from timm.models import save_for_hf

    model, facts = original.module, original.facts
    if isinstance(model, Ensemble):
        raise ValueError("--timm-hub: timm has no ensembles; use --torchscript or --onnx")
    if facts.pooling != "last":
        raise ValueError(
            f"--timm-hub: timm has no network with pooling={facts.pooling}; "
            "train with --pooling last, or use --safetensors, --torchscript or --onnx"
        )
    network = _timms(model, facts.backbone, len(facts.classes))
    spec = facts.image
    network.pretrained_cfg = network.pretrained_cfg | {
        "input_size": [3, spec.height, spec.width],
        "mean": list(spec.mean),
        "std": list(spec.std),
        "crop_pct": 1.0,
        "num_classes": len(facts.classes),
        "label_names": list(facts.classes),
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_for_hf(network, str(folder), safe_serialization=True)
    again = timm.create_model(f"local-dir:{folder.resolve()}", pretrained=True)
    mean, std = (255 * torch.tensor(one).view(3, 1, 1) for one in (spec.mean, spec.std))
    return TorchNetwork(torch.nn.Sequential(_Normalised(mean, std), again).eval())


def _timms(model: Classifier, backbone: str, n_classes: int) -> Any:
    """timm's own network with the backbone and the last layer of a classifier."""
    import timm

    network: Any = timm.create_model(backbone, num_classes=n_classes)
    missing, unexpected = network.load_state_dict(model.backbone.state_dict(), strict=False)
    last = network.get_classifier()
    if unexpected or not isinstance(last, torch.nn.Linear) or len(missing) > 2:
        raise ValueError(f"--timm-hub: {backbone} has no plain last layer in timm")
    with torch.no_grad():
        last.weight.copy_(model.head.weight / model.scale)
        last.bias.copy_(model.head.bias - model.head.weight @ (model.shift / model.scale))
    return network


class _Normalised(torch.nn.Module):
    """uint8 pictures as timm's networks want them."""

    def __init__(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.float() - self.mean) / self.std


FORMATS: dict[str, tuple[str, Callable[[Original, Path, np.ndarray], Network]]] = {
    "onnx": ("model.onnx", to_onnx),
    "torchscript": ("model.torchscript.pt", to_torchscript),
    "int8": ("model.int8.onnx", to_int8),
    "safetensors": ("model.safetensors", to_safetensors),
    "timm_hub": ("timm", to_timm_hub),
}
