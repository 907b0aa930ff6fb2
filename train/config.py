"""Options of the training stage."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.cli import (
    NonNegativeFloat,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveFloat,
    PositiveInt,
    Seed,
    UnitIntervalWithout0,
    UnitIntervalWithout1,
    option,
)
from common.validation import check_fields
from data.config import DataConfig

MOST_USED, MODEL, TRAINING = "Most used", "Model", "Training"
OUTPUT, HARDWARE = "Output", "Hardware"
PRESETS = Path(__file__).parent / "presets"  # --quick, --best: files of options


@dataclass(frozen=True)
class TrainConfig:
    """Training"""

    model: str | None = option(
        None,
        "name of a timm network, or for a table fcnn, logistic, gradient_boosting, svm or "
        "random_forest; default resnet50, tf_efficientnet_lite0 without a hub, and mn04_as for "
        "pictures of python -m render --preset audioset",
        MOST_USED,
    )
    pretrained: bool = option(True, "start from pretrained weights, not from random ones", MODEL)
    weights: str | None = option(
        None, "file of weights to start from: timm's, torchvision's or a model.pth", MODEL
    )
    weights_digest: str | None = option(
        None,
        "digest of the weights to start from, as in the config.yaml of a run: others are refused",
        MODEL,
    )
    pooling: Literal["auto", "stages", "last"] = option(
        "auto",
        "embed a picture by textures of several stages or by the last stage alone; auto means "
        "stages with pretrained weights",
        MODEL,
    )
    dropout: UnitIntervalWithout1 = option(0.5, "dropout before the last layer", MODEL)
    drop_path: UnitIntervalWithout1 = option(
        0.0, "stochastic depth, of networks that have it", MODEL
    )
    final: Literal["refit", "ensemble", "soup", "best"] = option(
        "refit",
        "the model that is tested and kept: trained again on all folds, all folds' models with "
        "their probabilities averaged, their weights averaged, or the best fold's",
        MODEL,
    )
    head_epochs: NonNegativeInt = option(
        200, "most epochs of training the last layer alone, on frozen features", TRAINING
    )
    head_learning_rate: PositiveFloat = option(
        5.0, "SGD learning rate of the last layer alone, whose inputs have unit length", TRAINING
    )
    head_weight_decay: NonNegativeFloat = option(
        1e-5, "weight decay of the last layer alone", TRAINING
    )
    head_patience: PositiveInt = option(
        25, "epochs without a lower validation loss before the last layer alone stops", TRAINING
    )
    finetune: str = option(
        "auto",
        "layers that are fine-tuned after the last layer: all, last:N for the last N stages, or "
        "none; auto means none on a CPU unless an option of fine-tuning is given, else all",
        MOST_USED,
    )
    epochs: NonNegativeInt = option(
        10, "most epochs of fine-tuning; of a table's network 100", MOST_USED
    )
    optimizer: str = option(
        "sgd", "optimizer of fine-tuning: sgd, adamw, adagrad or any other of timm's", TRAINING
    )
    learning_rate: PositiveFloat = option(
        0.003, "learning rate of fine-tuning; of a table's network 0.1", MOST_USED
    )
    find_rate: bool = option(
        False,
        "train nothing: suggest a learning rate, by some steps at rising ones",
        TRAINING,
    )
    layer_decay: UnitIntervalWithout0 = option(
        1.0, "learning rate of each stage, as a fraction of that of the stage above it", TRAINING
    )
    schedule: Literal["plateau", "cosine"] = option(
        "plateau",
        "lower the learning rate when the validation loss stops falling, or along a cosine",
        TRAINING,
    )
    warmup_epochs: NonNegativeInt = option(
        0, "epochs of fine-tuning in which the learning rate rises to its value", TRAINING
    )
    momentum: NonNegativeFloat = option(0.9, "momentum of SGD", TRAINING)
    weight_decay: NonNegativeFloat = option(1e-4, "weight decay of fine-tuning", TRAINING)
    batch_size: PositiveInt = option(32, "pictures in a batch, over all devices", MOST_USED)
    micro_batch: PositiveInt | None = option(
        None,
        "pictures that a device computes at once, accumulating gradients; default what fits",
        HARDWARE,
    )
    balance: Literal["none", "loss", "sampler"] = option(
        "none",
        "weigh classes by the inverse of their size, in the loss or the sampler",
        TRAINING,
    )
    label_smoothing: UnitIntervalWithout1 = option(
        0.1, "fraction of a label that is spread over all classes", TRAINING
    )
    mixup: NonNegativeFloat = option(
        0.0, "mixup: parameter of the Beta distribution; 0 is off", "Augmentation"
    )
    cutmix: NonNegativeFloat = option(
        0.0, "CutMix: parameter of the Beta distribution; 0 is off", "Augmentation"
    )
    ema: UnitIntervalWithout1 = option(
        0.0,
        "decay of the moving average of weights that is tested and kept; 0 is off",
        TRAINING,
    )
    compile: Literal["auto", "yes", "no"] = option(
        "no", "torch.compile; auto means yes for long fine-tuning on a GPU", HARDWARE
    )
    plateau_patience: NonNegativeInt = option(
        2,
        "epochs without a lower validation loss before the learning rate is lowered; of a table's "
        "network 8",
        TRAINING,
    )
    plateau_factor: OpenUnitInterval = option(
        0.1, "factor by which it is then multiplied", TRAINING
    )
    patience: PositiveInt = option(
        5,
        "epochs without a lower validation loss before fine-tuning stops; of a table's network 20",
        TRAINING,
    )
    seed: Seed = option(123, "seed of all random numbers", MOST_USED)
    accelerator: str = option("auto", "auto, cpu, cuda or mps", HARDWARE)
    devices: PositiveInt = option(1, "devices of this machine that train together", HARDWARE)
    nodes: PositiveInt = option(
        1, "machines that train together; start the command on each", HARDWARE
    )
    strategy: Literal["auto", "ddp"] = option(
        "auto", "ddp uses DistributedDataParallel even with one device", HARDWARE
    )
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = option(
        "auto", "auto means bf16-mixed where the processor supports it", HARDWARE
    )
    out: str = option("runs", "folder in which the run gets a folder of its own", MOST_USED)
    verbose: bool = option(False, "print a line for every epoch", OUTPUT)
    sound: str | None = option(
        None,
        "folder of the recordings that the pictures were drawn from: the report then plays each "
        "mistake that it shows",
        OUTPUT,
    )
    wandb: str | None = option(None, "also log to this Weights & Biases project", OUTPUT)

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        check_fields(self)
        if not re.fullmatch(r"auto|all|none|last:[1-9]\d*", self.finetune):
            raise ValueError(f"--finetune {self.finetune}: expected auto, all, none or last:N")
        if self.find_rate and self.devices * self.nodes > 1:
            raise ValueError("--find-rate takes one device: leave out --devices and --nodes")
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

    def check_labels(self, data_config: DataConfig, *, several: bool) -> None:
        """Raise ValueError if songs have several labels and something of one is asked for."""
        for asked, what in (
            (data_config.leak_check, "--leak-check counts answers of one class"),
            (self.final == "ensemble", "--final ensemble averages the answers of one class"),
        ):
            if several and asked:
                raise ValueError(f"{what}, and the songs here have several labels: leave it out")
