"""Training on the rows of a table: a network, or a model of scikit-learn's."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from lightning_fabric import Fabric
from matplotlib import colormaps

from data.config import DataConfig
from data.tabular.prepare import PreparedTable, prepare_table
from data.tabular.table import read_table
from train.config import TrainConfig
from train.devices.fabric import describe, make_fabric, one_thread
from train.evaluate.final_test import FinalTest
from train.export.onnx import program_of
from train.loop.cross_validation import cross_validate
from train.loop.seeds import Stream, derived_seed
from train.loop.state import Log, Progress
from train.loop.trainer import Trainer
from train.report.gallery import Answered
from train.tabular.baselines import Baseline, fit_baselines
from train.tabular.models import NETWORK, build, check_options
from train.unused_options import Plan

STRIP = (240, 40)  # width, height of the picture of a row in the report


@dataclass(frozen=True)
class TableTraining:
    """A model and the rows that it is trained on; see `train.report.run_files.Training`."""

    name: str
    setting: str
    fabric: Fabric
    config: TrainConfig
    ready: PreparedTable
    model: Any
    columns: tuple[str, ...]
    unit = "row"

    def plan(self, data_config: DataConfig, *, songs: bool) -> Plan:
        """What is going to be done, with the model named."""
        return Plan(data_config, replace(self.config, model=self.name), songs, table=True)

    def noting(self, notes: list[str]) -> "TableTraining":
        """The same with these notes before the others."""
        return replace(self, ready=replace(self.ready, notes=[*notes, *self.ready.notes]))

    def trainer(self, folder: Path, log: Log) -> Trainer:
        """A trainer of the model, all of whose layers are trained together."""
        pictures, config = self.ready.pictures, self.config
        return Trainer.start(self.fabric, self.model, pictures, config, folder, log)

    def fit(self, trainer: Trainer) -> list[Progress]:
        """The progress of every fold, and of the refit where that is asked for."""
        if self.name == NETWORK:
            with one_thread():
                return cross_validate(trainer, self.ready.split.folds)
        return fit_baselines(
            self.name,
            self.ready.pictures.values,
            self.ready.examples.labels,
            self.ready.split.folds,
            refit=self.config.final == "refit",
            seed=self.config.seed,
        )

    def tested(self, trainer: Trainer, final: FinalTest) -> Answered:
        """The tested rows; as its picture, each shows its values as a strip of colours."""
        examples, test = self.ready.examples, final.test.positions
        values: np.ndarray = self.ready.pictures.values
        middle, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)

        def pictures(positions: np.ndarray) -> np.ndarray:
            z = (values[test[positions]] - middle) / np.maximum(spread, 1e-12)
            levels = np.nan_to_num(z / 6 + 0.5).clip(0, 1)  # three deviations either way
            strips = (255 * colormaps["magma"](levels)[..., :3]).astype(np.uint8)  # (k, F, 3)
            return np.repeat(strips[:, None], STRIP[1], axis=1)

        def heat(positions: np.ndarray, class_indices: np.ndarray) -> np.ndarray:
            raise ValueError("a table has no Grad-CAM")

        return Answered(
            classes=examples.classes,
            paths=examples.paths[test],
            labels=examples.labels[test],
            probabilities=final.test.probabilities,
            embedded=final.answers.embedded,
            embeddings=final.answers.embeddings,
            pictures=pictures,
            heat=heat,
            shape=STRIP,
        )

    def novelty(self, trainer: Trainer) -> None:
        """Nothing: rows of another kind are not recognised."""

    def domain(self, trainer: Trainer) -> None:
        """Nothing: the distance of rows is not measured."""

    def frozen(self, trainer: Trainer) -> None:
        """Nothing: a table's network has no pretrained features."""

    def program(self, model: Any) -> onnx.ModelProto:
        """The model as ONNX, from float32 rows (B, F)."""
        if isinstance(model, Baseline):
            return onnx.load_from_string(model.program.numpy().tobytes())
        return program_of(model, torch.zeros(2, len(self.columns)), "rows")


def table_training(root: Path, data_config: DataConfig, config: TrainConfig) -> TableTraining:
    """Read and split the table, and build the model; says in one line what is trained."""
    name = config.model or NETWORK
    check_options(name, config, leak_check=data_config.leak_check)
    table = read_table(root, data_config.label, data_config.group, has_header=data_config.header)
    n_columns = len(table.columns)
    torch.manual_seed(derived_seed(config.seed, Stream.START))  # else --resume starts from others
    model = build(name, n_columns, len(table.examples.classes), dropout=config.dropout)
    fabric = make_fabric(config.accelerator, "32-true")
    setting = f"{name} of {n_columns} columns, {describe(fabric)}"
    print(setting, flush=True)
    ready = prepare_table(table, data_config, seed=config.seed)
    # What is of pictures alone is named as such; all layers of a table's network are trained.
    config = replace(config, finetune="all", head_epochs=0, mixup=0.0, cutmix=0.0, layer_decay=1.0)
    return TableTraining(name, setting, fabric, config, ready, model, tuple(table.columns))
