"""Other forms of a model file: for other programs, smaller, or free of Python."""

import json
import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.files import write_whole
from train.export.onnx import write_onnx
from train.models import model_file
from train.models.classifier import Classifier
from train.models.ensemble import Ensemble

LogitsOf = Callable[[np.ndarray], np.ndarray]  # uint8 (B, 3, H, W) -> float32 (B, C)


def plain(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts without the weights: what JSON can hold."""
    return {key: value for key, value in facts.items() if key != "weights"}


def to_onnx(model: Classifier, facts: dict[str, Any], file: Path, _: np.ndarray) -> LogitsOf:
    """Write ONNX with the facts as metadata, in full precision, for predict.py or others."""
    write_onnx(file, model, facts)
    return _onnx_session(file)


def to_int8(model: Classifier, facts: dict[str, Any], file: Path, pictures: np.ndarray) -> LogitsOf:
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
            self._left = iter(pictures[:, None])

        def get_next(self) -> dict[str, np.ndarray] | None:
            picture = next(self._left, None)
            return None if picture is None else {"images": picture}

    with tempfile.TemporaryDirectory() as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger().setLevel(logging.ERROR)  # it recommends its own preparation, done here
        whole, prepared, small = (Path(made) / f"{n}.onnx" for n in ("whole", "prepared", "small"))
        write_onnx(whole, model, facts)
        quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared, small, Pictures(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            # The pixels and the last layers are few numbers that all answers hang on.
            op_types_to_quantize=["Conv"],
        )  # fmt: skip
        quantized = onnx.load(small)
    onnx.helper.set_model_props(quantized, {"facts": json.dumps(plain(facts))})
    write_whole(file, lambda temporary: onnx.save(quantized, temporary))
    return _onnx_session(file)


def _onnx_session(file: Path) -> LogitsOf:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def to_torchscript(
    model: Classifier, facts: dict[str, Any], file: Path, pictures: np.ndarray
) -> LogitsOf:
    """Write TorchScript, for C++ or a Python without this project; facts.json is inside."""
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # torch would rather have torch.export
        traced = torch.jit.trace(model, torch.from_numpy(pictures[:2]), check_trace=False)
        extra = {"facts.json": json.dumps(plain(facts))}
        write_whole(file, lambda t: torch.jit.save(traced, str(t), _extra_files=extra))
        again = torch.jit.load(str(file))
    return torch_logits(again)


def to_safetensors(model: Classifier, facts: dict[str, Any], file: Path, _: np.ndarray) -> LogitsOf:
    """Write the weights as safetensors, with the facts as its metadata."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    metadata = {"facts": json.dumps(plain(facts))}
    write_whole(file, lambda temporary: save_file(weights, str(temporary), metadata))
    with safe_open(str(file), "pt") as opened:
        known = json.loads(opened.metadata()["facts"])
        known["weights"] = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    return torch_logits(model_file.rebuilt(known))


def to_timm_hub(model: Classifier, facts: dict[str, Any], folder: Path, _: np.ndarray) -> LogitsOf:
    """Write a folder that timm reads: timm.create_model("local-dir:FOLDER", pretrained=True).

    timm's network takes normalised float pictures and has a last layer of its own: ours is scaled
    to fit. Raises ValueError when its embeddings are not those of timm's network.
    """
    import timm
    from timm.models import save_for_hf

    if isinstance(model, Ensemble):
        raise ValueError("--timm-hub: timm has no ensembles; use --torchscript or --onnx")
    if facts["pooling"] != "last":
        raise ValueError(
            f"--timm-hub: timm has no network with pooling={facts['pooling']}; "
            "train with --pooling last, or use --safetensors, --torchscript or --onnx"
        )
    network: Any = timm.create_model(facts["backbone"], num_classes=len(facts["classes"]))
    missing, unexpected = network.load_state_dict(model.backbone.state_dict(), strict=False)
    last = network.get_classifier()
    if unexpected or not isinstance(last, torch.nn.Linear) or len(missing) > 2:
        raise ValueError(f"--timm-hub: {facts['backbone']} has no plain last layer in timm")
    with torch.no_grad():
        last.weight.copy_(model.head.weight / model.scale)
        last.bias.copy_(model.head.bias - model.head.weight @ (model.shift / model.scale))
    spec = facts["image"]
    size = [3, spec["height"], spec["width"]]
    network.pretrained_cfg = network.pretrained_cfg | {
        "input_size": size, "mean": list(spec["mean"]), "std": list(spec["std"]), "crop_pct": 1.0,
        "num_classes": len(facts["classes"]), "label_names": facts["classes"],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    save_for_hf(network, str(folder), safe_serialization=True)
    again = timm.create_model(f"local-dir:{folder.resolve()}", pretrained=True).eval()
    mean, std = (255 * torch.tensor(spec[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return torch_logits(lambda images: again((images.float() - mean) / std))


def torch_logits(function: Callable[[torch.Tensor], torch.Tensor]) -> LogitsOf:
    """`function` of tensors as one of arrays."""

    @torch.inference_mode()
    def logits_of(images: np.ndarray) -> np.ndarray:
        return function(torch.from_numpy(images)).numpy()

    return logits_of


FORMATS = {
    "onnx": ("model.onnx", to_onnx),
    "torchscript": ("model.torchscript.pt", to_torchscript),
    "int8": ("model.int8.onnx", to_int8),
    "safetensors": ("model.safetensors", to_safetensors),
    "timm_hub": ("timm", to_timm_hub),
}
