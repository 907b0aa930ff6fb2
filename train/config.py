"""Options of the training stage."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Literal

from common.cli import flag, option


@dataclass(frozen=True)
class TrainConfig:
    """Training"""

    model: str | None = option(
        None,
        "timm backbone; default resnet50, or the bundled tf_efficientnet_lite0 with no hub, or "
        "mn04_as for pictures of python -m render --preset audioset",
    )
    pretrained: bool = option(True, "start from ImageNet weights; --no-pretrained starts random")
    weights: str | None = option(None, "start from this file: timm, torchvision or our own format")
    pooling: Literal["auto", "stages", "last"] = option(
        "auto", "embed by textures of several stages or by the last; auto is stages if pretrained"
    )
    dropout: float = option(0.5, "dropout before the last layer")
    head_epochs: int = option(200, "most epochs of the last layer alone, on frozen features")
    head_learning_rate: float = option(
        5.0, "SGD learning rate of these; their inputs have unit length"
    )
    head_weight_decay: float = option(1e-5, "weight decay of these")
    head_patience: int = option(25, "epochs without a lower validation loss before these stop")
    finetune: str = option(
        "auto", "then train: all layers, last:N stages, or none; auto is none on a CPU, else all"
    )
    epochs: int = option(10, "most epochs of fine-tuning")
    optimizer: str = option("sgd", "of fine-tuning: also adamw, adagrad, or any other of timm's")
    learning_rate: float = option(0.003, "learning rate of fine-tuning")
    find_rate: bool = option(
        False, "only suggest a learning rate, by some steps at ever higher ones"
    )
    layer_decay: float = option(1.0, "each layer learns at this part of the rate of the one above")
    schedule: Literal["plateau", "cosine"] = option(
        "plateau", "the rate drops when the validation loss stands still, or falls as a cosine"
    )
    warmup_epochs: int = option(0, "epochs of fine-tuning in which the rate rises to its value")
    momentum: float = option(0.9, "SGD momentum")
    weight_decay: float = option(1e-4, "weight decay of fine-tuning")
    batch_size: int = option(32, "pictures in a batch, over all devices together")
    micro_batch: int | None = option(
        None, "pictures that a device computes at once, adding up gradients; default what it holds"
    )
    balance: Literal["none", "loss", "sampler"] = option(
        "none", "weigh classes by the inverse of their size, in the loss or by how often they come"
    )
    label_smoothing: float = option(0.1, "part of a label that is spread over all classes")
    mixup: float = option(0.0, "mix pairs of pictures, by a Beta distribution of this parameter")
    cutmix: float = option(0.0, "paste a part of a picture into another, likewise")
    drop_path: float = option(0.0, "stochastic depth, for networks that have it")
    ema: float = option(0.0, "test and keep the mean of the weights over steps, with this decay")
    compile: Literal["auto", "yes", "no"] = option(
        "no", "torch.compile; auto is yes for long fine-tuning on a GPU"
    )
    plateau_patience: int = option(
        2, "epochs without a lower validation loss before the rate drops"
    )
    plateau_factor: float = option(0.1, "the learning rate is then multiplied by this")
    patience: int = option(5, "epochs without a lower validation loss before fine-tuning stops")
    final: Literal["refit", "ensemble", "soup", "best"] = option(
        "refit",
        "the model: trained again on all folds, the mean of the folds' answers, or of their "
        "weights, or the best fold's",
    )
    seed: int = option(123, "seeds every random source")
    accelerator: str = option("auto", "device: auto, cpu, cuda, mps")
    devices: int = option(1, "devices of this machine that train together")
    nodes: int = option(1, "machines that train together; start the command on each")
    strategy: Literal["auto", "ddp"] = option("auto", "ddp, also with a single device")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = option(
        "auto", "auto is bf16-mixed where the processor has it"
    )
    out: str = option("runs", "folder for the run's own folder")
    wandb: str | None = option(None, "also log to this Weights & Biases project")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        if not re.fullmatch(r"auto|all|none|last:[1-9]\d*", self.finetune):
            raise ValueError(f"--finetune {self.finetune}: expected auto, all, none or last:N")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"--dropout {self.dropout}: must be in [0, 1)")
        if not 0 < self.plateau_factor < 1:
            raise ValueError(f"--plateau-factor {self.plateau_factor}: must be in (0, 1)")
        if self.find_rate and self.devices * self.nodes > 1:
            raise ValueError("--find-rate takes one device: leave out --devices and --nodes")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"--layer-decay {self.layer_decay}: must be in (0, 1]")
        for name in ("label_smoothing", "drop_path", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{flag(name)} {getattr(self, name)}: must be in [0, 1)")
        least = {"epochs": 0, "head_epochs": 0, "batch_size": 1, "patience": 1}
        least |= {
            "head_patience": 1,
            "plateau_patience": 0,
            "seed": 0,
            "momentum": 0,
            "weight_decay": 0,
            "head_weight_decay": 0,
            "warmup_epochs": 0,
            "devices": 1,
            "nodes": 1,
            "mixup": 0,
            "cutmix": 0,
        }
        if self.micro_batch is not None:
            least["micro_batch"] = 1
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise ValueError(f"{flag(name)} {getattr(self, name)}: must be {minimum} or more")
        for name in ("learning_rate", "head_learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{flag(name)} {getattr(self, name)}: must be above 0")
        no_head = self.head_epochs == 0 or not (self.pretrained or self.weights)
        if no_head and (self.finetune == "none" or self.epochs == 0):
            raise ValueError(
                "nothing would be trained: the last layer alone has no epochs (--head-epochs; none "
                "with random weights) and fine-tuning neither (--epochs, --finetune)"
            )

    def settled(self, *, on_cpu: bool, random_weights: bool) -> "TrainConfig":
        """The same with all that depends on the machine and the weights decided.

        A new last layer cannot be fitted to random weights. On a processor, hours of fine-tuning
        are not worth what the head on frozen features already gives (bench/RESULTS.md).
        """
        finetune = self.finetune
        if finetune == "auto":
            finetune = "none" if on_cpu and not random_weights and self.head_epochs else "all"
        n_head = 0 if random_weights else self.head_epochs
        return dataclasses.replace(self, finetune=finetune, head_epochs=n_head)
