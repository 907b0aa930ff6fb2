"""Which options have no effect in a run, why, and what would give them one."""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, fields
from typing import Any

from common.validation import flag
from data.config import AugmentConfig, DataConfig
from render.songs import SongConfig
from train.config import TrainConfig
from train.tabular.models import NETWORK

AUGMENTATION = tuple(field.name for field in fields(AugmentConfig))
SONGS = tuple(field.name for field in fields(SongConfig))
HEAD = ("head_epochs", "head_learning_rate", "head_weight_decay", "head_patience")
# Of every layer that is trained by pictures, or by the rows of a table.
ALL_LAYERS = (
    "epochs", "optimizer", "learning_rate", "schedule", "warmup_epochs", "weight_decay", "ema",
    "compile", "plateau_patience", "patience", "micro_batch",
)  # fmt: skip
BACKBONE = ("layer_decay", "drop_path", "mixup", "cutmix", *AUGMENTATION)
FINETUNING = (*ALL_LAYERS, *BACKBONE)
LAST_LAYER = ("batch_size", "dropout", "balance", "label_smoothing", "momentum", "plateau_factor")
OF_PICTURES = (
    "pretrained", "weights", "weights_digest", "pooling", "finetune", "precision", "strategy",
    "duplicates", "crop", "flip", "image_size", "workers", "cache", "cache_limit", "corrections",
    "sound",
)  # fmt: skip
NEW_SPLIT = ("folds", "repeats", "test_fraction")
NO_RATE_FOUND_BY = (
    "epochs", "learning_rate", "head_learning_rate", "schedule", "warmup_epochs", "ema", "compile",
    "plateau_patience", "patience", "final", "verbose", "wandb", "repeats", "sound",
)  # fmt: skip
NO_LEAK_FOUND_BY = (
    *FINETUNING, *HEAD, *(name for name in LAST_LAYER if name != "batch_size"), *NEW_SPLIT[1:],
    "finetune", "final", "split", "leave_one_group_out", "out", "verbose", "wandb", "devices",
    "nodes", "sound",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    config: settled, so that its `finetune` is not auto; songs: whether DATA holds recordings;
    table: whether it is a table; random_weights: whether the network starts from these.
    """

    data: DataConfig
    config: TrainConfig
    songs: bool = False
    table: bool = False
    random_weights: bool = False

    @property
    def frozen(self) -> bool:
        """Whether the last layer of a network for pictures is all that is trained."""
        return not self.table and (self.config.finetune == "none" or self.config.epochs == 0)

    @property
    def baseline(self) -> bool:
        """Whether scikit-learn trains the model."""
        return self.table and self.config.model not in (None, NETWORK)

    @property
    def momentum(self) -> bool:
        """Whether an optimizer with momentum is used: SGD, of the last layer at least."""
        from timm.optim import get_optimizer_info

        has_head = not self.table and self.config.head_epochs > 0
        return has_head or bool(get_optimizer_info(self.config.optimizer).has_momentum)


@dataclass(frozen=True)
class Rule:
    """Options without effect wherever it `applies`: why, and what to do."""

    options: tuple[str, ...]
    applies: Callable[[Plan], bool]
    why: str
    remedy: str


RULES = (
    Rule(SONGS, lambda p: not p.songs, "DATA holds no recordings", "leave it out"),
    Rule(("label", "header"), lambda p: not p.table, "the folders are the classes", "leave it out"),
    Rule(
        (*OF_PICTURES, *HEAD, *BACKBONE),
        lambda p: p.table,
        "a table holds no pictures",
        "leave it out",
    ),
    Rule(
        (*ALL_LAYERS, *LAST_LAYER, "accelerator", "verbose"),
        lambda p: p.baseline,
        "scikit-learn trains this model",
        f"give --model {NETWORK}",
    ),
    Rule(
        NO_LEAK_FOUND_BY,
        lambda p: p.data.leak_check,
        "nothing is trained",
        "leave out --leak-check",
    ),
    Rule(
        NO_RATE_FOUND_BY,
        lambda p: p.config.find_rate,
        "nothing is trained to the end",
        "leave out --find-rate",
    ),
    Rule(
        FINETUNING,
        lambda p: p.frozen and p.config.finetune == "none",
        "only the last layer is trained, on frozen features",
        "give --finetune all",
    ),
    Rule(
        tuple(name for name in FINETUNING if name != "epochs"),
        lambda p: p.frozen,
        "fine-tuning has no epochs",
        "give --epochs above 0",
    ),
    Rule(
        HEAD,
        lambda p: p.random_weights,
        "on random weights, the last layer is not trained alone",
        "start from pretrained weights",
    ),
    Rule(
        HEAD[1:],
        lambda p: not p.config.head_epochs,
        "the last layer alone has no epochs",
        "give --head-epochs above 0",
    ),
    Rule(
        ("pretrained",),
        lambda p: bool(p.config.weights),
        "the weights are those of --weights",
        "leave one of them out",
    ),
    Rule(
        ("plateau_patience",),
        lambda p: p.config.schedule == "cosine",
        "the learning rate falls along a cosine",
        "give --schedule plateau",
    ),
    Rule(
        ("plateau_factor",),
        lambda p: p.config.schedule == "cosine" and (p.table or not p.config.head_epochs),
        "the learning rate falls along a cosine",
        "give --schedule plateau",
    ),
    Rule(
        ("momentum",),
        lambda p: not p.momentum,
        "the optimizer has none",
        "give --optimizer sgd",
    ),
    Rule(
        NEW_SPLIT,
        lambda p: bool(p.data.split),
        "the file of --split says which example is where",
        "leave out --split",
    ),
    Rule(
        ("folds",),
        lambda p: p.data.leave_one_group_out and not p.data.leak_check,
        "each group is a fold",
        "leave out --leave-one-group-out",
    ),
    Rule(
        ("duplicates",),
        lambda p: p.data.group == "none",
        "there are no groups",
        "leave out --group none",
    ),
    Rule(
        ("cache",),
        lambda p: p.data.cache_limit == 0,
        "nothing is cached",
        "give --cache-limit above 0",
    ),
)  # fmt: skip


def unused(plan: Plan) -> dict[str, Rule]:
    """The options that have no effect in a run, by name, each with the first rule that says why."""
    found: dict[str, Rule] = {}
    for rule in RULES:
        if rule.applies(plan):
            found |= {name: rule for name in rule.options if name not in found}
    return found


def used_options(plan: Plan) -> dict[str, Any]:
    """The options that have an effect in a run, by name: its config.yaml."""
    without = unused(plan)
    options = asdict(plan.data) | asdict(plan.config)
    return {name: value for name, value in options.items() if name not in without}


def notes_on_unused(given: Collection[str], plan: Plan) -> list[str]:
    """A sentence for each reason why options that were given have no effect."""
    rules, by_rule = unused(plan), dict[Rule, list[str]]()
    for name in _asked(given, plan.data, plan.config):
        if name in rules:
            by_rule.setdefault(rules[name], []).append(flag(name))
    return [
        f"{' and '.join(flags)} {'has' if len(flags) == 1 else 'have'} no effect: {rule.why}; "
        f"{rule.remedy}"
        for rule, flags in by_rule.items()
    ]


def asks_for_finetuning(given: Collection[str], data: DataConfig, config: TrainConfig) -> bool:
    """Whether an option that was given means nothing without fine-tuning."""
    return config.epochs > 0 and any(name in FINETUNING for name in _asked(given, data, config))


def _asked(given: Collection[str], data: DataConfig, config: TrainConfig) -> list[str]:
    """The options that were given, in the order of the help, less those that switch off what is
    off anyway, such as --mixup 0.
    """
    off: tuple[Any, ...] = (0, None, "no")
    values = {name: None for name in SONGS} | vars(data) | vars(config)
    defaults = {f.name: f.default for one in (data, config) for f in fields(one)}
    return [
        name
        for name, value in values.items()
        if name in given and not (name in defaults and value == defaults[name] and value in off)
    ]
