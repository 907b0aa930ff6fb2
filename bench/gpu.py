"""Everything that a GPU must do, as one command: python -m bench.gpu (make gpu), within 10 minutes.

Trains the demo by the default recipe with all layers, kills and resumes it, trains it over nccl,
predicts with its model on the processor, and measures images per second. Prints a table with the
card's name, for bench/RESULTS.md; exit code 1 if a check failed. Without a GPU it says so.

python -m bench.gpu --accelerator cpu --small      rehearse it on a processor
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric

from bench.resume import facts, train
from common.cli import BAD_INPUT, DONE, config_from, make_parser, option, run
from data.config import DataConfig
from data.image_folder import scan
from data.prepare import prepare
from inference.predictor import load
from train.config import TrainConfig
from train.devices.fabric import describe, make_fabric
from train.loop.embeddings import Embeddings
from train.loop.fit import train_one_epoch
from train.loop.head import fit_heads
from train.loop.loggers import Silent
from train.loop.micro_batch import MicroBatch
from train.loop.state import Fold
from train.loop.train_step import Step
from train.loop.trainer import Trainer
from train.models.backbone import create_backbone
from train.models.classifier import Classifier

ROOT = Path(__file__).resolve().parent.parent
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALL = "--model test_efficientnet --no-pretrained --image-size 64 --folds 2 --epochs 2"
N_FEATURES, N_EMBEDDED, N_CLASSES = 20_808, 999, 10  # of ResNet50's stages on GTZAN
MOST_OFF = 0.01  # of a probability: the processor computes in another precision


@dataclass(frozen=True)
class GpuBench:
    """Measuring"""

    data: str = option(str(ROOT / "subsampled_data"), "image folder to train on")
    accelerator: Literal["cuda", "mps", "cpu"] = option("cuda", "what is measured")
    small: bool = option(False, "a tiny network and few steps: rehearses the checks, measures none")


@dataclass(frozen=True)
class Bench:
    """What all checks share. options: of every training; run: the folder of the first one."""

    fabric: Fabric
    folder: Path
    options: list[str]
    run: Path
    small: bool

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the pictures that are timed."""
        return (64, 64) if self.small else (224, 224)

    @property
    def batch(self) -> int:
        """Pictures in a timed batch."""
        return 4 if self.small else 256

    @property
    def steps(self) -> int:
        """Timed steps."""
        return 2 if self.small else 30


def main() -> int:
    """Print the table; 1 if a check failed."""
    parser = make_parser("python -m bench.gpu", (__doc__ or "").strip(), GpuBench)
    config = config_from(parser.parse_args(), GpuBench)
    if config.accelerator == "cuda" and not torch.cuda.is_available():
        print("skipped: this machine has no CUDA device; --accelerator cpu --small rehearses")
        return DONE
    fabric = make_fabric(config.accelerator, "auto")
    options = ["--data", config.data, "--finetune", "all", "--accelerator", config.accelerator]
    options += SMALL.split() if config.small else []
    failed = []
    print(f"{describe(fabric)}, torch {torch.__version__}\n\n| check | found |\n| --- | --- |")
    with tempfile.TemporaryDirectory() as made:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = made  # what torch.compile makes goes with it
        bench = Bench(fabric, Path(made), options, Path(made) / "whole" / "latest", config.small)
        for what, check in CHECKS.items():
            start = time.perf_counter()
            try:
                found = check(bench)
            except (ValueError, RuntimeError, OSError) as error:
                found = f"FAILED: {' '.join(str(error).split())[:300]}"
                failed.append(what)
            print(f"| {what} | {found} ({time.perf_counter() - start:.0f} s) |", flush=True)
    print(f"\n{len(CHECKS) - len(failed)} of {len(CHECKS)} checks passed")
    return BAD_INPUT if failed else DONE


def demo(bench: Bench) -> str:
    """Train all layers by the default recipe, from pictures to the report."""
    train([*bench.options, "--out", str(bench.run.parent)], None)
    metrics: Any = facts(bench.run)[0]
    return f"test accuracy {metrics['test']['accuracy']:.3f}"


def resumed(bench: Bench) -> str:
    """Kill the same training in its middle, and go on: every figure must be the same."""
    out = bench.folder / "killed"
    command = [sys.executable, str(ROOT / "main.py"), *bench.options, "--verbose"]
    command += ["--out", str(out)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    for line in process.stdout or ():
        if re.match(r"fold 2.*finetune epoch +1", line):
            break
    process.kill()
    process.communicate()
    train(["--resume", str(out / "latest")], None)
    if facts(out / "latest") != facts(bench.run):
        raise ValueError("the figures of the resumed run differ from those of the undisturbed one")
    return "the same figures, predictions and epochs"


def one_process_ddp(bench: Bench) -> str:
    """Train through torch.distributed with a single process."""
    out = bench.folder / "ddp"
    train([*bench.options, "--strategy", "ddp", "--out", str(out)], None)
    same = facts(out / "latest")[2] == facts(bench.run)[2]
    backend = "nccl" if bench.fabric.device.type == "cuda" else "gloo"
    return f"{backend}: {'the same epochs' if same else 'trains, with other rounding'}"


def portable(bench: Bench) -> str:
    """Predict on the processor, with model.pth and model.onnx, what the GPU run predicted."""
    files = sorted(map(str, Path(bench.options[1]).rglob("*.png")))[:24]
    code = (
        "import os; os.environ['CUDA_VISIBLE_DEVICES'] = ''\n"
        "import json, sys; from predict import load; models = map(load, sys.argv[1:3])\n"
        "print(json.dumps([[list(model(f).probabilities.values()) for f in sys.argv[3:]] "
        "for model in models]))"
    )
    models = [str(bench.run / name) for name in ("model.pth", "model.onnx")]
    command = [sys.executable, "-c", code, *models, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    answers = np.array(json.loads(done.stdout))
    here = load(bench.run / "model.pth")
    own = np.array([list(here(file).probabilities.values()) for file in files])
    off = float(np.abs(answers - own).max())
    if off > MOST_OFF:
        raise ValueError(f"a probability differs by {off:.4f} between the processor and the device")
    return f"largest difference of a probability {off:.1e}"


def training_rate(bench: Bench, *, precision: str, compiled: bool = False) -> str:
    """Images per second of training on pictures that are on the device already."""
    fabric = make_fabric(bench.fabric.device.type, precision)
    step = _step(fabric, bench.small, compiled=compiled)
    images = torch.randint(256, (bench.batch, 3, *bench.size), dtype=torch.uint8)
    images = images.to(fabric.device).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(bench.batch, dtype=torch.int64, device=fabric.device)
    batches = [(images, labels)] * bench.steps
    train_one_epoch(step, batches[:2])  # compiles, and chooses its kernels
    return _rate(lambda: train_one_epoch(step, batches), bench.batch * bench.steps, fabric)


def loop_rate(bench: Bench) -> str:
    """Images per second of the whole loop: loader, augmentation, copies, steps."""
    pictures, positions = _pictures(bench)
    step = _step(bench.fabric, bench.small)
    pin = bench.fabric.device.type == "cuda"

    def batches(seed: int) -> Iterable[Any]:
        return pictures.batches(positions, batch_size=bench.batch, seed=seed, pin=pin)

    train_one_epoch(step, batches(0))
    return _rate(lambda: train_one_epoch(step, batches(1)), len(positions), bench.fabric)


def loader_rate(bench: Bench) -> str:
    """Images per second of the loader alone."""
    pictures, positions = _pictures(bench)
    batches = pictures.batches(positions, batch_size=bench.batch, seed=1)
    return _rate(lambda: [None for _ in batches], len(positions), bench.fabric)


def heads(bench: Bench) -> str:
    """Seconds of five last layers on embeddings of ResNet50's size."""
    n, n_features = (60, 50) if bench.small else (N_EMBEDDED, N_FEATURES)
    rng = np.random.default_rng(0)
    rows = Embeddings(rng.normal(size=(n, n_features)).astype(np.float16), np.arange(n))

    class Labelled:
        labels, digests = np.arange(n) % N_CLASSES, None

    config = TrainConfig(finetune="none", head_epochs=2 if bench.small else 200)
    model: Any = Classifier(create_backbone("test_resnet"), N_CLASSES, dropout=0.5)
    model.head = torch.nn.Linear(n_features, N_CLASSES)
    pictures: Any = Labelled()
    trainer = Trainer.start(bench.fabric, model, pictures, config, bench.folder, Silent())
    parts = np.array_split(rng.permutation(n), 5)
    folds = [Fold(k, np.setdiff1d(np.arange(n), p), p) for k, p in enumerate(parts, start=1)]
    start = time.perf_counter()
    epochs = sum(head.epoch for head in fit_heads(trainer, folds, rows))
    return f"{epochs} epochs of {n} pictures in {time.perf_counter() - start:.1f} s"


def out_of_memory(bench: Bench) -> str:
    """A batch that does not fit is halved until it does, and the step is the same."""
    if bench.fabric.device.type != "cuda":
        return "skipped: only a GPU's memory is limited"
    free, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 3e9 / total))
    try:
        step = _step(bench.fabric, small=False)
        images = torch.zeros(1024, 3, 224, 224, dtype=torch.uint8)
        loss = step(images, torch.zeros(1024, dtype=torch.int64))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    if step.micro_batch.size >= 1024 or not torch.isfinite(loss):
        raise ValueError(f"1024 pictures within 3 GB of {free} bytes: the batch was not halved")
    return f"1024 pictures within 3 GB: {step.micro_batch.size} at a time"


def prediction_rate(bench: Bench) -> str:
    """Images per second of the run's own model."""
    model = load(bench.run / "model.pth")
    spec = model.facts.image
    pictures = np.zeros((model.network.batch_size, spec.height, spec.width, 3), np.uint8)
    model.network.logits(pictures)

    def answer() -> None:
        for _ in range(bench.steps):
            model.network.logits(pictures)

    return _rate(answer, bench.steps * len(pictures), bench.fabric)


def _step(fabric: Fabric, small: bool, *, compiled: bool = False) -> Step:
    name = "test_resnet" if small else "resnet50"
    network: Any = Classifier(create_backbone(name), N_CLASSES, dropout=0.5)
    network.to(memory_format=torch.channels_last)
    optimizer: Any = torch.optim.SGD(network.parameters(), 0.001, momentum=0.9)
    if compiled:
        network.compile()
    model, optimizer = fabric.setup(network, optimizer)
    return Step(fabric, model, optimizer, micro_batch=MicroBatch())


def _pictures(bench: Bench) -> tuple[Any, np.ndarray]:
    folder = Path(bench.options[1])
    config = DataConfig(data=str(folder))
    ready = prepare(scan(folder), config, size=bench.size, mean=MEAN, std=STD, seed=1)
    n = bench.batch * bench.steps
    return ready.pictures, np.resize(np.arange(len(ready.examples)), n)


def _rate(work: Callable[[], object], n: int, fabric: Fabric) -> str:
    start = time.perf_counter()
    work()
    if fabric.device.type == "cuda":
        torch.cuda.synchronize()
    return f"{n / (time.perf_counter() - start):.0f} images/s"


CHECKS: dict[str, Callable[[Bench], str]] = {
    "main.py on the demo, all layers": demo,
    "killed and resumed": resumed,
    "one process through torch.distributed": one_process_ddp,
    "its model on the processor": portable,
    "prediction": prediction_rate,
    "training, synthetic, float32": lambda bench: training_rate(bench, precision="32-true"),
    "training, synthetic, bfloat16": lambda bench: training_rate(bench, precision="bf16-mixed"),
    "training, synthetic, compiled": lambda bench: training_rate(
        bench, precision="bf16-mixed", compiled=not bench.small
    ),
    "training, the whole loop": loop_rate,
    "loader alone": loader_rate,
    "five last layers": heads,
    "out of memory": out_of_memory,
}


if __name__ == "__main__":
    run(main)
