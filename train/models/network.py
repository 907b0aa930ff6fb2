"""A model file as one thing: inputs to logits, by torch (.pth) or by onnxruntime (.onnx)."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from data.images.read import ImageSpec
from train.models import onnx_file
from train.models.facts import ModelFacts
from train.models.onnx_program import EMBEDDINGS, Program
from train.run_folder import existing_model

if TYPE_CHECKING:
    from torch import nn

    from train.models.classifier import Classifier
    from train.models.ensemble import Ensemble


ALIKE = 1e-3  # logits of the same network by torch and by onnxruntime differ by less


class Network(Protocol):
    """Inputs to logits. batch_size: how many inputs at a time suit the device."""

    batch_size: int

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """Logits float32 (B, C) of inputs.

        Inputs are pictures of the network's size, uint8 (B, height, width, 3), or rows of a table,
        float32 (B, F).
        """
        ...

    def begin_thread(self) -> None:
        """Make the calls of this thread take one core, where that is the thread's matter."""
        ...


class TorchNetwork:
    """A torch module, in evaluation mode, on a device.

    twin: where a run writes the same network as ONNX, None if nobody knows.
    """

    def __init__(self, module: "nn.Module", device: str = "cpu", twin: Path | None = None) -> None:
        self.module, self.device, self._twin = module, device, twin
        # A processor gains nothing by more at a time, and an hour of sound stays below 1 GiB.
        self.batch_size = 64 if device == "cuda" else 4

    def begin_thread(self) -> None:
        """As of every `Network`."""
        import torch

        torch.set_num_threads(1)

    def as_onnx(self, spec: ImageSpec) -> "OnnxNetwork":
        """The same network of pictures as an ONNX program, of which each call takes one core.

        It is the one beside the model file, if that answers alike; to make one takes some seconds.
        """
        if twin := self._working_twin(spec):
            return twin
        import copy

        from train.export.onnx import picture_program

        program = picture_program(copy.deepcopy(self.module), spec)
        return OnnxNetwork(Program(program.SerializeToString(), n_threads=1))

    def _working_twin(self, spec: ImageSpec) -> "OnnxNetwork | None":
        if self._twin is None or not self._twin.is_file():
            return None
        shape = (2, spec.height, spec.width, 3)
        pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        try:
            twin = OnnxNetwork(onnx_file.load(self._twin)[0]).on_one_thread()
            theirs, ours = twin.logits(pictures), self.logits(pictures)
        except ValueError:  # damaged, or for pictures of another size
            return None
        alike = theirs.shape == ours.shape and np.allclose(theirs, ours, atol=ALIKE)
        return twin if alike else None

    @property
    def classifier(self) -> "Classifier | Ensemble":
        """The module of a model of pictures, for Grad-CAM and embeddings."""
        return cast("Classifier | Ensemble", self.module)

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """As of every `Network`."""
        import torch

        with torch.inference_mode():
            tensor = torch.from_numpy(inputs)
            if tensor.ndim == 4:
                tensor = tensor.permute(0, 3, 1, 2)  # channels last in memory, as convolutions like
            logits: np.ndarray = self.module(tensor.to(self.device)).float().cpu().numpy()
        return logits


class OnnxNetwork:
    """An ONNX program on the processor, without torch."""

    batch_size = 4

    def __init__(self, program: Program) -> None:
        self._program = program

    def begin_thread(self) -> None:
        """As of every `Network`: the program decides, see `on_one_thread`."""

    def on_one_thread(self) -> "OnnxNetwork":
        """The same network, each of whose calls takes one core: for calls from many threads."""
        return OnnxNetwork(self._program.on_one_thread())

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """As of every `Network`."""
        if inputs.ndim == 4:
            inputs = inputs.transpose(0, 3, 1, 2)
        if self.has_embeddings:
            (logits,) = self._program.run(inputs, ["logits"])
            return np.asarray(logits)
        *others, last = self._program.run(inputs)
        # scikit-learn's programs have two outputs, of which the last is probabilities
        return np.log(np.clip(last, 1e-6, 1)) if others else np.asarray(last)

    @property
    def has_embeddings(self) -> bool:
        """Whether the program gives embeddings beside its logits, as those of pictures do."""
        return self._program.outputs == ("logits", EMBEDDINGS)

    def logits_and_embeddings(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits float32 (B, C) and embeddings (B, F) of pictures as for `logits`, in one pass.

        Only of a program that `has_embeddings`. Raises ValueError when they are no such arrays.
        """
        logits, embeddings = self._program.run(pictures.transpose(0, 3, 1, 2))
        shape = np.shape(embeddings)
        if len(shape) != 2 or len(embeddings) != len(pictures) or not np.isfinite(embeddings).all():
            raise ValueError(f"the model's embeddings are damaged (their shape is {shape})")
        return np.asarray(logits), np.asarray(embeddings)


def open_network(file: str | Path) -> tuple[Network, ModelFacts]:
    """(network, facts) of a .pth or .onnx model file; ValueError with one line if it is neither.

    A .pth runs on the GPU if there is one.
    """
    file = existing_model(file)  # said before torch, which takes seconds to import
    if file.suffix == ".onnx":
        program, facts = onnx_file.load(file)
        return OnnxNetwork(program), facts
    import torch

    from train.models import model_file

    device = "cuda" if torch.cuda.is_available() else "cpu"
    module, facts = model_file.load(file, device)
    return TorchNetwork(module, device, file.with_suffix(".onnx")), facts
