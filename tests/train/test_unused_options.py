"""No option is silently ignored: what has no effect is known, said, and not recorded as used."""

import csv
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml

from data.config import DataConfig
from render.songs import SongConfig
from tests.helpers import run_script
from train.config import TrainConfig
from train.loop.checkpoint import weights_digest
from train.loop.loggers import Silent
from train.pipeline import PictureTraining, picture_training
from train.unused_options import (
    FINETUNING,
    HEAD,
    LAST_LAYER,
    RULES,
    Plan,
    asks_for_finetuning,
    notes_on_unused,
    unused,
    used_options,
)

pytestmark = pytest.mark.slow  # whole commands, or as long as these

OPTIONS = {f.name for one in (DataConfig, TrainConfig, SongConfig) for f in fields(one)}
ALWAYS = {"data", "group", "model", "seed", "find_rate", "leak_check"}  # of some effect in any run
FROZEN = TrainConfig(finetune="none")
# For each kind of run, some options that have an effect and some that have none.
RUNS: dict[str, tuple[Plan, str, str]] = {
    "frozen features": (
        Plan(DataConfig(), FROZEN),
        "head_epochs batch_size dropout momentum folds pooling plateau_factor image_size",
        "epochs optimizer learning_rate mixup time_mask crop_time plateau_patience label preset",
    ),
    "fine-tuning": (
        Plan(DataConfig(), TrainConfig(finetune="all")),
        "epochs optimizer learning_rate mixup time_mask head_epochs momentum",
        "label clip_seconds",
    ),
    "no epochs": (
        Plan(DataConfig(), TrainConfig(finetune="all", epochs=0)),
        "epochs head_epochs",
        "optimizer learning_rate gain",
    ),
    "random weights": (
        Plan(DataConfig(), TrainConfig(finetune="all", head_epochs=0), random_weights=True),
        "epochs pretrained dropout",
        "head_epochs head_learning_rate",
    ),
    "no head": (
        Plan(DataConfig(), TrainConfig(finetune="all", head_epochs=0)),
        "head_epochs epochs",
        "head_patience head_weight_decay",
    ),
    "a weights file": (
        Plan(DataConfig(), TrainConfig(finetune="all", weights="w.pth")),
        "weights model",
        "pretrained",
    ),
    "cosine": (
        Plan(DataConfig(), TrainConfig(finetune="all", schedule="cosine")),
        "plateau_factor warmup_epochs",
        "plateau_patience",
    ),
    "cosine without a head": (
        Plan(DataConfig(), TrainConfig(finetune="all", schedule="cosine", head_epochs=0)),
        "learning_rate",
        "plateau_factor",
    ),
    "AdamW without a head": (
        Plan(DataConfig(), TrainConfig(finetune="all", optimizer="adamw", head_epochs=0)),
        "weight_decay",
        "momentum",
    ),
    "a split file": (Plan(DataConfig(split="s.csv"), FROZEN), "seed group", "folds test_fraction"),
    "one group out": (
        Plan(DataConfig(leave_one_group_out=True), FROZEN),
        "leave_one_group_out test_fraction",
        "folds",
    ),
    "no groups": (Plan(DataConfig(group="none"), FROZEN), "group", "duplicates"),
    "no cache": (Plan(DataConfig(cache_limit=0), FROZEN), "cache_limit", "cache"),
    "a leak check": (
        Plan(DataConfig(leak_check=True), FROZEN),
        "folds seed model batch_size",
        "out final dropout epochs repeats",
    ),
    "a rate": (
        Plan(DataConfig(), TrainConfig(find_rate=True, finetune="all")),
        "out batch_size optimizer",
        "learning_rate epochs final",
    ),
    "songs": (Plan(DataConfig(), FROZEN, songs=True), "labels preset clip_seconds", "label"),
    "a table": (
        Plan(DataConfig(), TrainConfig(finetune="all", head_epochs=0), table=True),
        "label epochs learning_rate dropout batch_size folds",
        "finetune image_size mixup time_mask head_epochs workers precision",
    ),
    "a forest": (
        Plan(DataConfig(), TrainConfig(model="random_forest", finetune="all"), table=True),
        "label seed folds final",
        "epochs learning_rate dropout batch_size accelerator",
    ),
}


def test_every_option_has_a_rule_or_always_an_effect() -> None:
    ruled = {name for rule in RULES for name in rule.options}
    assert ruled | ALWAYS == OPTIONS
    assert not ruled & ALWAYS


@pytest.mark.parametrize("kind", RUNS)
def test_options_without_effect_are_named_with_the_way_out(kind: str) -> None:
    plan, with_effect, without = RUNS[kind]
    found = unused(plan)
    assert not found.keys() & set(with_effect.split())
    assert set(without.split()) <= found.keys()
    assert not set(without.split()) & used_options(plan).keys()
    defaults = {f.name: f.default for one in (plan.data, plan.config) for f in fields(one)}
    on = [name for name in without.split() if defaults.get(name, "") not in (0, None, "no")]
    notes = notes_on_unused(on, plan)
    for name in on:
        [note] = [note for note in notes if "--" + name.replace("_", "-") + " " in note]
        assert " no effect: " in note and "; " in note


def test_every_rule_is_the_reason_in_one_of_these_runs() -> None:
    reasons = {rule for plan, *_ in RUNS.values() for rule in unused(plan).values()}
    assert reasons == set(RULES)


def test_an_option_of_finetuning_asks_for_it_unless_it_switches_off() -> None:
    data, config = DataConfig(), TrainConfig()
    for name in FINETUNING:
        if name not in ("layer_decay", "micro_batch"):
            changed = {name: CHANGES[name]}
            own = {f.name for f in fields(TrainConfig)}
            one = (replace(data, **changed), config) if name not in own else (
                data, replace(config, **changed))  # fmt: skip
            assert asks_for_finetuning([name], *one), name
    assert asks_for_finetuning(["epochs"], data, config)  # --epochs 10, as it is anyway
    assert not asks_for_finetuning(["mixup", "compile"], data, config)  # --mixup 0, --compile no
    assert not asks_for_finetuning(["epochs"], data, TrainConfig(epochs=0))
    assert not asks_for_finetuning(["dropout", "seed"], data, config)


# Another value of each option that is said to do nothing on frozen features.
CHANGES: dict[str, Any] = {
    "epochs": 3, "optimizer": "adamw", "learning_rate": 0.5, "schedule": "cosine",
    "warmup_epochs": 2, "weight_decay": 0.1, "ema": 0.9, "compile": "yes", "plateau_patience": 9,
    "patience": 1, "micro_batch": 1, "layer_decay": 0.5, "drop_path": 0.2, "mixup": 0.3,
    "cutmix": 0.3, "crop_time": 0.9, "crop_frequency": 0.5, "time_roll": 0.3, "time_mask": 0.3,
    "frequency_mask": 0.3, "gain": 0.3, "contrast": 0.3, "frequency_warp": 0.2,
    "batch_size": 5, "dropout": 0.1, "label_smoothing": 0.3, "momentum": 0.5,
    "head_learning_rate": 0.1, "head_weight_decay": 0.1, "head_epochs": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights of a tiny network, as somebody may have trained them."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save(timm.create_model("test_efficientnet", num_classes=0).state_dict(), file)
    return file


def learnt(training: PictureTraining, run: Path, **changes: Any) -> str:
    """A digest of all that is learnt with these options changed, on the same frozen features."""
    own = {f.name for f in fields(TrainConfig)}
    data = {name: value for name, value in changes.items() if name not in own}
    config = {name: value for name, value in changes.items() if name in own}
    training = replace(training, config=replace(training.config, **config))
    training = training.augmented(DataConfig(**data))
    finished = training.fit(training.trainer(run, Silent()))
    return weights_digest(
        {f"{i} {k}": t for i, p in enumerate(finished) for k, t in p.best_weights.items()}
    )


def test_what_is_said_to_do_nothing_changes_no_bit_and_the_rest_does(
    stripes: Path, weights: Path, tmp_path: Path
) -> None:
    config = TrainConfig(
        finetune="none", weights=str(weights), model="test_efficientnet", head_epochs=4,
        batch_size=8,
    )  # fmt: skip
    data = DataConfig(data=str(stripes), folds=2, image_size="64")
    training = picture_training(stripes, data, config)
    plain = learnt(training, tmp_path / "plain")
    changes = {name: CHANGES[name] for name in FINETUNING}
    assert learnt(training, tmp_path / "none", **changes) == plain
    # plateau_factor needs more epochs to tell, and balance classes of unequal size
    for name in {*LAST_LAYER, *HEAD} - {"plateau_factor", "balance", "head_patience"}:
        changed = learnt(training, tmp_path / name, **{name: CHANGES[name]})
        assert changed != plain, name


def test_a_run_says_what_did_nothing_and_pins_what_was_resolved(
    stripes: Path, weights: Path, tmp_path: Path
) -> None:
    tiny = ("--model", "test_efficientnet", "--image-size", 64, "--folds", 2, "--head-epochs", 3)
    done = run_script(
        "main.py", "--data", stripes, "--weights", weights, *tiny, "--accelerator", "cpu",
        "--schedule", "cosine", "--plateau-patience", 3, "--epochs", 1, "--out", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [note] = [line for line in done.stdout.splitlines() if "no effect" in line]
    assert note.startswith("note: --plateau-patience has no effect")
    assert "give --schedule plateau" in note
    with (tmp_path / "latest" / "history.csv").open(newline="") as lines:
        phases = {row["phase"] for row in csv.DictReader(lines)}
    assert phases == {"head", "finetune"}  # --epochs asked for it, on a processor too
    options = yaml.safe_load((tmp_path / "latest" / "config.yaml").read_text())
    assert "plateau_patience" not in options
    assert options["finetune"] == "all" and options["image_size"] == "64x64"
    assert Path(options["weights"]) == weights
    other = timm.create_model("test_efficientnet", num_classes=0).state_dict()
    torch.save(other, weights)
    again = run_script("main.py", "--config", tmp_path / "latest" / "config.yaml")
    assert again.returncode == 1
    [error] = again.stderr.splitlines()
    assert f"{weights} holds other weights" in error and "leave out weights_digest" in error
