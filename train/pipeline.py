"""Training end to end: get a network, prepare its data, train folds, test once, write the run."""

import copy
import sys
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning_fabric import Fabric

from common.cli import DONE, INTERRUPTED, SOME_LEFT_OUT
from common.progress import stage
from data.cache.disk import cache_folder
from data.config import DataConfig, is_table, parse_size, root_of
from data.corrections import file_of, read_corrections, sorted_out, with_corrected
from data.examples import Examples
from data.image_folder import scan
from data.images.augment import augmentation_of
from data.images.colour_map import SHOWN
from data.prepare import PreparedPictures, prepare
from data.split_file import write_split
from data.summary import class_table, noted
from render.songs import SongConfig, draw_some, draw_songs, holds_songs, pictures_folder
from train.config import TrainConfig
from train.devices.distributed import agreed, first
from train.devices.fabric import describe, first_speaks, make_fabric
from train.evaluate.domain_shift import reference_of
from train.evaluate.final_test import FinalTest
from train.evaluate.frozen_features import FrozenFeatures
from train.evaluate.leakage import leak_report
from train.evaluate.novelty import describe_batches
from train.export.onnx import picture_program
from train.loop.checkpoint import weights_digest
from train.loop.cross_validation import cross_validate, expected_time
from train.loop.embeddings import embeddings_of
from train.loop.inference import apply
from train.loop.loggers import EpochLog, Silent, fold_table
from train.loop.optim import check_optimizer
from train.loop.state import Fold, Log, Progress
from train.loop.trainer import EmbeddingCache, Trainer
from train.models.audio.mobilenet import drawn_otherwise, size_of
from train.models.backbone import default_image_size
from train.models.classifier import new_classifier
from train.models.facts import DomainReference, Novelty
from train.models.pretrained import RANDOM, backbone_with_weights, has_heard_sounds, why_chosen
from train.report.gallery import Answered, heat_of, pictures_of
from train.report.run_files import Training, write_run
from train.report.sounds import silence, sounds_of
from train.run_folder import (
    NOT_COMPARED,
    Fingerprint,
    RunSettings,
    check_fingerprint,
    in_turn,
    new_run,
    rendered_with,
    settings_of,
)
from train.tabular.models import with_defaults
from train.tabular.training import table_training
from train.tune.lr_finder import find_and_draw
from train.unused_options import Plan, asks_for_finetuning, notes_on_unused, used_options

if TYPE_CHECKING:
    import onnx

N_REFERENCE = 400  # pictures of training that later ones are compared with
SPLIT = "split.csv"  # of a run: which example is in which part


def train(
    data_config: DataConfig,
    config: TrainConfig,
    resumed: Path | None,
    songs: SongConfig | None = None,
    *,
    given: Collection[str] = (),
) -> int:
    """Train as configured, in a new run folder or the one to go on with; returns an exit code.

    Recordings are first drawn as pictures, as `songs` says. given: names of the options that were
    asked for: those of fine-tuning ask for it, those that have no effect are named.
    """
    root, drawn = root_of(data_config.data), DONE
    if config.finetune == "auto" and asks_for_finetuning(given, data_config, config):
        config = replace(config, finetune="all")
    if is_table(root) and not resumed:
        config = with_defaults(config, given)
    if has_songs := holds_songs(root):
        drawn = _draw(root, songs or SongConfig(), config)
        root = pictures_folder(root)
    with first_speaks(), stage("preparing"):
        return _train_on(root, data_config, config, resumed, given, has_songs) or drawn


def _draw(root: Path, songs: SongConfig, config: TrainConfig) -> int:
    """Draw the songs as the network to be trained wants them; 3 if some could not be decoded."""
    if config.devices * config.nodes > 1:
        out = pictures_folder(root)
        raise ValueError(
            f"{root} holds recordings, and several processes would draw them at once: first "
            f"python -m render {root} --out {out}, then --data {out}"
        )
    with stage("looking for weights"):
        for_audio_network = has_heard_sounds(config)
    return draw_songs(root, songs, for_audio_network=for_audio_network)


def _train_on(
    root: Path,
    data_config: DataConfig,
    config: TrainConfig,
    resumed: Path | None,
    given: Collection[str],
    has_songs: bool,
) -> int:
    started = time.monotonic()
    split_file = str(resumed / SPLIT) if resumed else data_config.split
    table = data_config.corrections and str(Path(data_config.corrections).resolve())
    data_config = replace(data_config, data=str(root.resolve()), corrections=table)
    if config.sound:
        config = replace(config, sound=str(Path(config.sound).resolve()))
    prepare_kind = table_training if is_table(root) else picture_training
    training: Training = prepare_kind(root, replace(data_config, split=split_file), config)
    plan = training.plan(data_config, songs=has_songs)
    training = training.noting([] if resumed else notes_on_unused(given, plan))
    ready = training.ready
    table = class_table(ready.class_counts, f"{training.unit}s")
    print(table, *noted(ready.notes), sep="\n", flush=True)
    if data_config.leak_check or config.find_rate:
        return measure_only(training, data_config)
    if not resumed and training.fabric.is_global_zero:
        resumed = new_run(Path(config.out), training.name, used_options(plan))
        write_split(resumed / SPLIT, training.ready.examples, training.ready.split)
    with in_turn(folder := agreed(training.fabric, resumed), alone=training.fabric.is_global_zero):
        return train_and_report(training, folder, settings_of(folder, root), started)


def train_and_report(
    training: Training, folder: Path, settings: RunSettings, started: float
) -> int:
    """Train every fold, test the model once and write the run's files; returns an exit code."""
    speaks = training.fabric.is_global_zero
    log = epoch_log(training, folder) if speaks else None
    trainer = training.trainer(folder, log or Silent())
    if speaks:
        check_fingerprint(folder, fingerprint_of(training, trainer, settings.options))
    try:
        finished = training.fit(trainer)
    except KeyboardInterrupt:
        print(f"\ninterrupted; go on with: python main.py --resume {folder}", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        raise OSError(f"{error}; then go on with: python main.py --resume {folder}") from None
    finally:
        if log:
            log.close()
    if not speaks:
        return DONE
    print(fold_table(finished[: len(training.ready.split.folds)]), flush=True)
    results = write_run(training, trainer, finished, settings, started)
    report = (folder / "report.html").resolve().as_uri()
    print(*results.lines(), *results.doubts(), f"report: {report}", sep="\n")
    asked = "SONG.mp3" if settings.render else "PICTURE"
    example = "TABLE.csv" if training.unit == "row" else asked
    print(f"predict: python predict.py {folder / 'model.pth'} {example}")
    return SOME_LEFT_OUT if training.ready.failures else DONE


def fingerprint_of(training: Training, trainer: Trainer, options: dict[str, Any]) -> Fingerprint:
    """What the checkpoints of this training belong to. options: those of config.yaml."""
    examples, parts = training.ready.examples, training.ready.split.parts
    digests, labels = trainer.pictures.digests, examples.label_names()
    known = [""] * len(examples) if digests is None else [one.hex() for one in digests]
    return Fingerprint(
        options={k: str(v) for k, v in options.items() if k not in NOT_COMPARED},
        versions={name: version(name) for name in ("torch", "timm", "numpy")},
        digests={
            "weights that every fold starts from": weights_digest(trainer.model.state_dict()),
            SPLIT: blake2b(repr([part.tolist() for part in parts]).encode()).hexdigest(),
        },
        examples={
            path: f"{label} {digest[:16]}"
            for path, label, digest in zip(examples.paths, labels, known, strict=True)
        },
    )


def epoch_log(training: Training, folder: Path) -> EpochLog:
    """The log of a run in `folder`."""
    config = training.config
    n_folds = len(training.ready.split.folds)
    return EpochLog(
        folder, n_folds, wandb=config.wandb, options=asdict(config), verbose=config.verbose
    )


def measure_only(training: Training, data_config: DataConfig) -> int:
    """Print what --leak-check or --find-rate asks for; returns an exit code."""
    trainer = training.trainer(Path(training.config.out), Silent())
    if data_config.leak_check:
        print(*leak_report(trainer, training.ready.examples, data_config.folds), sep="\n")
    else:
        print(find_and_draw(trainer, Fold(1, *training.ready.split.folds[0])))
    return SOME_LEFT_OUT if training.ready.failures else DONE


@dataclass(frozen=True)
class PictureTraining:
    """A backbone and the pictures it is trained on; see `train.report.run_files.Training`.

    weights: what the backbone starts from, in words; cache: of embeddings, for later runs.
    """

    name: str
    setting: str
    fabric: Fabric
    config: TrainConfig
    ready: PreparedPictures
    backbone: Any
    weights: str
    cache: EmbeddingCache | None = None
    unit = "picture"

    def plan(self, data_config: DataConfig, *, songs: bool) -> Plan:
        """What is going to be done, with all that was found named: network, weights, size."""
        width, height = self.ready.pictures.spec.width, self.ready.pictures.spec.height
        weights = self.config.weights and str(Path(self.config.weights).resolve())
        random_weights = self.weights == RANDOM
        digest = None if random_weights else weights_digest(self.backbone.state_dict())
        return Plan(
            data=replace(data_config, image_size=f"{width}x{height}"),
            config=replace(self.config, model=self.name, weights=weights, weights_digest=digest),
            songs=songs,
            random_weights=random_weights,
        )

    def noting(self, notes: list[str]) -> "PictureTraining":
        """The same with these notes before the others."""
        return replace(self, ready=replace(self.ready, notes=[*notes, *self.ready.notes]))

    def trainer(self, folder: Path, log: Log) -> Trainer:
        """A trainer whose folds all start from this backbone."""
        spec, config = self.ready.pictures.spec, self.config
        model = new_classifier(
            copy.deepcopy(self.backbone),
            len(self.ready.examples.classes),
            (spec.width, spec.height),
            dropout=config.dropout,
            pooling=config.pooling,
            with_head_phase=config.head_epochs > 0,
        )
        pictures = self.ready.pictures
        return Trainer.start(self.fabric, model, pictures, config, folder, log, self.cache)

    def fit(self, trainer: Trainer) -> list[Progress]:
        """The progress of every fold, and of the refit where that is asked for."""
        folds = self.ready.split.folds
        print(expected_time(trainer, folds), end="", flush=True)
        return cross_validate(trainer, folds)

    def augmented(self, data_config: DataConfig) -> "PictureTraining":
        """The same with pictures augmented as the options say."""
        augmentation = augmentation_of(data_config, [self.ready.audit.colour_map])
        pictures = replace(self.ready.pictures, augmentation=augmentation)
        return replace(self, ready=replace(self.ready, pictures=pictures))

    def tested(self, trainer: Trainer, final: FinalTest) -> Answered:
        """The tested pictures and where the shipped network looks in them."""
        examples, test, folder = self.ready.examples, final.test.positions, self.config.sound
        pictures = pictures_of(lambda at: trainer.batches(test[at]))
        return Answered(
            classes=examples.classes,
            paths=examples.paths[test],
            labels=examples.labels[test],
            probabilities=final.test.probabilities,
            embedded=final.answers.embedded,
            embeddings=final.answers.embeddings,
            pictures=pictures,
            heat=heat_of(trainer.model, pictures, trainer.fabric.device),
            shape=self.ready.pictures.spec.canvas,
            sound=sounds_of(examples.root, Path(folder)) if folder else silence,
            several=final.results.several,
        )

    def novelty(self, trainer: Trainer) -> Novelty | None:
        """What the pictures of all folds look like."""
        known = self.ready.split.development
        return describe_batches(trainer.batches(known), self.ready.examples.groups[known])

    def domain(self, trainer: Trainer) -> DomainReference | None:
        """Where the shipped model embeds some pictures of all folds."""
        known = self.ready.split.development
        some = np.sort(np.random.default_rng(0).permutation(known)[:N_REFERENCE])
        if self.config.finetune == "none":  # the backbone is as it was: they are known
            embeddings = embeddings_of(trainer, known)[some].astype(np.float32)
        else:
            model = trainer.model.eval()
            embeddings = apply(model.features, trainer.batches(some), trainer.fabric.device)
        groups = self.ready.examples.groups[some]
        return reference_of(embeddings, groups, self.ready.audit.colour_map)

    def frozen(self, trainer: Trainer) -> FrozenFeatures | None:
        """What the last layer was trained on first; None with random weights or several labels."""
        if not self.config.head_epochs or self.ready.examples.several_labels:
            return None
        known, examples = self.ready.split.development, self.ready.examples
        known = known[~examples.augmented[known]]
        return FrozenFeatures.of(
            embeddings_of(trainer, known).only(known),
            examples.labels[known],
            examples.groups[known],
            examples.recordings[known],
        )

    def program(self, model: Any) -> "onnx.ModelProto":
        """The model as ONNX, from uint8 pictures (B, 3, height, width)."""
        kept = self.cache.graphs if self.cache else None
        return picture_program(model, self.ready.pictures.spec, kept)


def picture_training(root: Path, data_config: DataConfig, config: TrainConfig) -> PictureTraining:
    """A pretrained network and the pictures of an image folder."""
    check_optimizer(config.optimizer)
    examples = scan(root, data_config.group)
    config.check_labels(data_config, several=examples.several_labels)
    if config.sound:
        sounds_of(root, Path(config.sound))  # to be told before the training, not after it
    if data_config.corrections:
        examples = _learning_from(Path(data_config.corrections), examples, data_config)
    fabric = make_fabric(
        config.accelerator,
        config.precision,
        strategy=config.strategy,
        n_devices=1 if data_config.leak_check else config.devices,
        n_nodes=config.nodes,
    )
    return prepare_pictures(examples, data_config, config, fabric)


def _learning_from(table: Path, examples: Examples, data_config: DataConfig) -> Examples:
    """The examples with the pictures of what the table corrects, drawn as those of the folder."""
    settings = rendered_with(examples.root)
    corrections = read_corrections(table, examples.classes, several=examples.several_labels)
    files = {one.digest: file_of(one, table) for one in corrections}
    pictures, recordings, reasons = sorted_out(files)
    songs = {
        one.digest: (recordings[one.digest], one.label)
        for one in corrections
        if one.digest in recordings
    }
    if songs and settings is None:
        raise ValueError(
            f"{table} corrects recordings, and {examples.root} has no render.json that tells how "
            "to draw them: train on a folder that python -m render made"
        )
    if songs and settings:
        known = blake2b(f"{table.resolve()} {settings.to_json()}".encode(), digest_size=8)
        out = cache_folder(data_config.cache) / "corrections" / known.hexdigest()
        drawn, failed = draw_some(songs, settings, out)
        pictures, reasons = pictures | drawn, reasons | failed
    left_out = {str(files[k]): f"{files[k]}: {reason}" for k, reason in reasons.items()}
    return with_corrected(examples, corrections, pictures, left_out)


def prepare_pictures(
    examples: Examples, data_config: DataConfig, config: TrainConfig, fabric: Fabric
) -> PictureTraining:
    """Get the backbone, say in one line what it is, and prepare the pictures for it."""
    size = parse_size(data_config.image_size) if data_config.image_size else None
    drawn = rendered_with(examples.root)
    with stage("looking for weights"):
        backbone, name, weights = backbone_with_weights(config, size, drawn)
    reason = why_chosen(config, name)
    on_cpu = fabric.device.type == "cpu"
    config = config.settled(on_cpu=on_cpu, random_weights=weights == RANDOM)
    setting = f"{name}, {weights}, {describe(fabric)}{'; ' * bool(reason)}{reason}"
    print(setting, flush=True)
    source = backbone.pretrained_cfg
    with first(fabric):
        ready = prepare(
            examples,
            data_config,
            size=size or size_of(name, drawn) or default_image_size(backbone),
            mean=tuple(source["mean"]),
            std=tuple(source["std"]),
            seed=config.seed,
            shown=getattr(backbone, "shown", SHOWN),
        )
    if otherwise := drawn_otherwise(name, drawn):
        ready = replace(ready, notes=[otherwise, *ready.notes])
    cache = None
    if data_config.cache_limit:
        cache = EmbeddingCache(cache_folder(data_config.cache), data_config.cache_limit)
    return PictureTraining(name, setting, fabric, config, ready, backbone, weights, cache)
