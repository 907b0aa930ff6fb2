"""How right the default recipe is, by nested cross-validation: choose inside, test outside.

python -m bench.accuracy --data DIR                           5 outer folds, groups kept together
python -m bench.accuracy --data DIR --split FILE --seeds 5    one given test, several seeds
python -m bench.accuracy --data DIR --models A,B,C            the mean answer of several networks

Every outer fold is tested by models that were trained, stopped and calibrated without it: its
inner folds are the other outer folds. All training options of main.py are taken.
"""

import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold

from common.cli import DONE, config_from, make_parser, run
from common.intervals import mean_interval
from data.config import DataConfig, root_of
from data.image_folder import scan
from data.prepare import PreparedPictures
from train.config import PRESETS, TrainConfig
from train.devices.fabric import make_fabric
from train.evaluate.calibration import (
    expected_calibration_error,
    fit_temperature,
    probabilities_of,
)
from train.evaluate.final_test import final_weights
from train.loop.cross_validation import cross_validate
from train.loop.embeddings import embeddings_of
from train.loop.inference import logits_of
from train.loop.loggers import Silent
from train.loop.trainer import Trainer
from train.models.ensemble import mean_logits
from train.pipeline import prepare_pictures

Fold = tuple[np.ndarray, np.ndarray]


def main() -> int:
    """Print accuracy and calibration of each way to choose the final model."""
    parser = make_parser(
        "python -m bench.accuracy", (__doc__ or "").strip(), DataConfig, TrainConfig
    )
    parser.add_argument("--seeds", type=int, default=1, help="seeds, with --split")
    parser.add_argument("--models", help="networks whose calibrated probabilities are averaged")
    parser.add_presets(PRESETS)
    args = parser.parse_args()
    data_config, config = config_from(args, DataConfig), config_from(args, TrainConfig)
    started = time.monotonic()
    fabric = make_fabric(config.accelerator, config.precision)
    examples = scan(root_of(data_config.data), data_config.group)
    names = args.models.split(",") if args.models else [config.model]
    starts = [
        prepare_pictures(examples, data_config, replace(config, model=n), fabric) for n in names
    ]
    ready, config = starts[0].ready, starts[0].config
    size = f"{ready.inputs.width}x{ready.inputs.height}"
    print(f"{size}, finetune {config.finetune}, {len(ready.examples)} pictures")
    results: dict[str, list[Tested]] = {}
    with tempfile.TemporaryDirectory() as folder:
        trainers = [start.trainer(Path(tempfile.mkdtemp(dir=folder)), Silent()) for start in starts]
        tries = trials(ready, data_config, config, args.seeds)
        for number, (folds, test, seed) in enumerate(tries, start=1):
            seeded = [replace(each, config=replace(each.config, seed=seed)) for each in trainers]
            for way, found in together([try_out(each, folds, test) for each in seeded]).items():
                results.setdefault(way, []).append(found)
            accuracies = (f"{way} {rows[-1].accuracy:.4f}" for way, rows in results.items())
            print(f"{number}/{len(tries)}", *accuracies, flush=True)
    for way, rows in results.items():
        print(f"{way:9s}  {summary(rows)}")
    print(f"{time.monotonic() - started:.0f} s")
    return DONE


def trials(
    ready: PreparedPictures, data_config: DataConfig, config: TrainConfig, n_seeds: int
) -> list[tuple[list[Fold], np.ndarray, int]]:
    """(inner folds, test positions, seed) of every trial."""
    if data_config.split:
        return [(ready.split.folds, ready.split.test, config.seed + i) for i in range(n_seeds)]
    examples = ready.examples
    outer = StratifiedGroupKFold(data_config.folds, shuffle=True, random_state=config.seed)
    parts = [held for _, held in outer.split(examples.labels, examples.labels, examples.groups)]
    found = []
    for i, test in enumerate(parts):
        inner = [part for j, part in enumerate(parts) if j != i]
        folds = [
            (np.concatenate([p for k, p in enumerate(inner) if k != j]), validation)
            for j, validation in enumerate(inner)
        ]
        found.append((folds, test, config.seed))
    return found


@dataclass(frozen=True)
class Tested:
    """Logits (n, C) and labels (n,) of one test, and the temperature found without it."""

    logits: np.ndarray
    labels: np.ndarray
    temperature: float

    @property
    def accuracy(self) -> float:
        """Share of the right answers."""
        return float((self.logits.argmax(axis=1) == self.labels).mean())


def together(networks: list[dict[str, Tested]]) -> dict[str, Tested]:
    """The mean of the networks' calibrated probabilities, each way."""
    if len(networks) == 1:
        return networks[0]
    means = {}
    for way, one in networks[0].items():
        each = [probabilities_of(n[way].logits, n[way].temperature) for n in networks]
        means[way] = Tested(np.log(np.mean(each, axis=0)), one.labels, 1.0)
    return means


def try_out(trainer: Trainer, folds: list[Fold], test: np.ndarray) -> dict[str, Tested]:
    """{way to the final model: its answers} on the test positions."""
    labels, frozen = trainer.pictures.labels, trainer.config.finetune == "none"
    if frozen:  # embeddings know no labels: one pass serves every trial
        embeddings_of(trainer, np.arange(len(labels)))
    finished = cross_validate(trainer, folds)
    tried = finished[: len(folds)]
    temperature = fit_temperature(
        np.concatenate([p.best_logits.numpy() for p in tried if p.best_logits is not None]),
        np.concatenate([labels[validation] for _, validation in folds]),
    )
    logits = {
        way: logits_on(trainer, final_weights(finished, len(folds), way)[0], test, frozen=frozen)
        for way in ("best", "soup", "refit")
    }
    members = np.stack([logits_on(trainer, p.best_weights, test, frozen=frozen) for p in tried])
    logits["ensemble"] = mean_logits(torch.from_numpy(members), temperature).numpy()
    for file in (trainer.run / "checkpoints").glob("fold_*.pth"):
        file.unlink()
    if not frozen:
        shutil.rmtree(trainer.run / "checkpoints")
    return {way: Tested(z, labels[test], temperature) for way, z in logits.items()}


def logits_on(
    trainer: Trainer, weights: dict[str, Any], test: np.ndarray, *, frozen: bool
) -> np.ndarray:
    """Logits float32 (k, C) of a network with these weights on the test positions."""
    trainer.model.load_state_dict(weights)
    trainer.model.to(trainer.fabric.device)
    if not frozen:
        return logits_of(trainer.model, trainer.batches(test), trainer.fabric.device)
    rows = embeddings_of(trainer, test)[test].astype(np.float32)
    trainer.model.eval()
    with torch.inference_mode():
        embeddings = torch.from_numpy(rows).to(trainer.fabric.device)
        return trainer.model.classify(embeddings).cpu().numpy()


def summary(rows: list[Tested]) -> str:
    """Mean, deviation and 95 % t-interval over the trials; ECE of all answers together."""
    accuracy, n = np.array([row.accuracy for row in rows]), len(rows)
    deviation = accuracy.std(ddof=1) if n > 1 else 0.0
    low, high = mean_interval(accuracy, np.arange(n)) if n > 1 else (accuracy[0], accuracy[0])
    labels = np.concatenate([row.labels for row in rows])
    after, before = (
        expected_calibration_error(
            np.concatenate([probabilities_of(r.logits, t or r.temperature) for r in rows]), labels
        )
        for t in (None, 1.0)
    )
    return (
        f"accuracy {accuracy.mean():.4f} ± {deviation:.4f} (95 % interval of the mean "
        f"{low:.3f} to {high:.3f}), "
        f"ECE {after:.3f}, before temperature {before:.3f}"
    )


if __name__ == "__main__":
    run(main)
