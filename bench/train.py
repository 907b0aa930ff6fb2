"""Training speed against the usual script, in one run: `python -m bench.train DIR SEED_SCRIPT`.

DIR is an image folder, SEED_SCRIPT the usual fine-tuning script (images/s on its last line).
All rows are ResNet50 on 224x224 with the same batch, on the same device; its weights are random,
because only the speed is compared. On a GPU the limit, synthetic pictures already there, is a row.

python -m bench.train DIR SEED_SCRIPT --variants --precision 32-true

measures instead what might make main.py's loop faster, each against the loop as it is. With
ONEDNN_MAX_CPU_ISA=AVX2 and ATEN_CPU_CAPABILITY=avx2 the processor is used as an older one.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from common.cli import DONE, PositiveInt, config_from, make_parser, option, run
from data.config import DataConfig
from data.image_folder import scan
from data.prepare import prepare
from train.devices.fabric import describe, make_fabric
from train.loop.fit import train_one_epoch
from train.loop.inference import apply
from train.loop.state import Batch
from train.loop.train_step import Step
from train.models.backbone import create_backbone
from train.models.classifier import Classifier

SIZE = (224, 224)
HEADS = "--model resnet50 --image-size 224 --finetune none"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class TrainBench:
    """Measuring"""

    steps: PositiveInt = option(10, "training steps that are timed")
    batch: PositiveInt = option(32, "pictures in a batch")
    precision: str = option("auto", "as of main.py")
    variants: bool = option(False, "the ways of main.py's loop instead of the table")


def main() -> int:
    """Print the table; each row with its ratio to the usual way."""
    parser = make_parser("python -m bench.train", (__doc__ or "").strip(), TrainBench)
    parser.add_argument("folder", type=Path, help="image folder")
    parser.add_argument("seed_script", type=Path, help="the usual script, to compare with")
    args = parser.parse_args()
    bench = config_from(args, TrainBench)
    fabric = make_fabric("auto", bench.precision)
    print(f"{describe(fabric)}, {torch.get_num_threads()} threads, batches of {bench.batch}")
    data = DataConfig(data=str(args.folder))
    pictures = prepare(scan(args.folder), data, size=SIZE, mean=MEAN, std=STD, seed=1).pictures
    if bench.variants:
        variants(fabric, bench)
        return DONE
    usual = usual_training(args.folder, args.seed_script, bench.steps, bench.batch)
    row("training, usual script", usual, usual)
    n = bench.batch * bench.steps
    everything = np.arange(len(pictures.labels))
    positions = np.resize(everything, n)
    on_gpu = fabric.device.type == "cuda"
    ours = training(
        fabric,
        lambda seed: pictures.batches(positions, batch_size=bench.batch, seed=seed, pin=on_gpu),
        n,
    )
    row("training, main.py's loop", ours, usual)
    if on_gpu:
        row(
            "training, synthetic data",
            training(fabric, synthetic(fabric, bench, SIZE[0]), n),
            usual,
        )
    row("frozen features", features(fabric, pictures.batches(positions, batch_size=bench.batch), n))
    loader = usual_loader(args.folder, bench.batch, n)
    row("loader alone, usual script", loader, loader)
    warm = pictures.batches(np.resize(everything, 10 * n), batch_size=bench.batch, seed=1)
    row("loader alone, warm", rate(warm, 10 * n), loader)
    seconds = whole_run(args.folder, bench.precision)
    print(f"5 folds, heads on frozen features, whole run of main.py: {seconds:.0f} s")
    return DONE


def variants(fabric: Fabric, bench: TrainBench) -> None:
    """Print what each way of the training loop gives, on random pictures: no loader is timed."""

    def speed(side: int = SIZE[0], **how: Any) -> float:
        return training(fabric, synthetic(fabric, bench, side), bench.batch * bench.steps, **how)

    n_threads, now = torch.get_num_threads(), speed()
    row("the loop as it is", now, now)
    row("NCHW", speed(layout=torch.contiguous_format), now)
    row("torch.compile", speed(compiled=True), now)
    for side in (192, 160, 128):
        row(f"pictures of {side}x{side}", speed(side), now)
    torch.set_num_threads(1)
    row("one thread", speed(), now)
    torch.set_num_threads(n_threads)
    row("the loop as it is, again", speed(), now)


def synthetic(fabric: Fabric, bench: TrainBench, side: int) -> Callable[[int], list[Batch]]:
    """An epoch of one batch of random pictures again and again, on the device from the start."""
    images = torch.randint(256, (bench.batch, 3, side, side), dtype=torch.uint8)
    labels = torch.zeros(bench.batch, dtype=torch.int64)
    batch = images.to(fabric.device), labels.to(fabric.device)
    return lambda seed: [batch] * bench.steps


def row(what: str, images_per_second: float, usual: float | None = None) -> None:
    """Print one line of the table."""
    ratio = f"{images_per_second / usual:6.1f} x" if usual else ""
    print(f"{what:28s} {images_per_second:9.1f} images/s {ratio}", flush=True)


def rate(batches: Iterable[Any], n: int) -> float:
    """Pictures per second of going through batches of n pictures."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return n / (time.perf_counter() - start)


def usual_training(folder: Path, script: Path, steps: int, batch: int) -> float:
    """Images/s that the usual script prints."""
    command = [
        sys.executable,
        str(script),
        str(folder),
        "--steps",
        str(steps),
        "--batch",
        str(batch),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"([\d.]+) images/s", done.stdout)
    if not found:
        raise ValueError(f"{script} printed no images/s: {done.stdout!r}")
    return float(found[1])


def usual_loader(folder: Path, batch: int, n: int) -> float:
    """Images/s of the usual script's loader: every picture decoded again, float32, two workers."""
    dataset = datasets.ImageFolder(
        str(folder),
        transforms.Compose(
            [
                transforms.RandomResizedCrop(224),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        ),
    )
    subset = torch.utils.data.Subset(dataset, range(min(n, len(dataset))))
    loader = DataLoader(subset, batch, shuffle=True, num_workers=2)
    return rate(loader, len(subset))


def training(
    fabric: Fabric,
    batches: Callable[[int], Iterable[Batch]],
    n: int,
    *,
    layout: torch.memory_format = torch.channels_last,
    compiled: bool = False,
) -> float:
    """Images/s of `train_one_epoch` on n pictures, after two steps that warm up."""
    model: Any = Classifier(create_backbone("resnet50"), 10, dropout=0.5)
    model.to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    network: Any = torch.compile(model) if compiled else model
    model, optimizer = fabric.setup(network, optimizer)
    step = Step(fabric, model, optimizer)
    train_one_epoch(step, list(batches(0))[:2])
    start = time.perf_counter()
    train_one_epoch(step, batches(1))
    return n / (time.perf_counter() - start)


def features(fabric: Any, batches: Any, n: int) -> float:
    """Images/s of the frozen backbone."""
    model = Classifier(create_backbone("resnet50"), 10, dropout=0.5).eval().to(fabric.device)
    model.to(memory_format=torch.channels_last)
    start = time.perf_counter()
    with fabric.autocast():
        apply(model.features, batches, fabric.device)
    return n / (time.perf_counter() - start)


def whole_run(folder: Path, precision: str) -> float:
    """Seconds of a five-fold run of main.py with heads on ResNet50's frozen features."""
    with tempfile.TemporaryDirectory() as out:
        weights = Path(out) / "resnet50.pth"
        torch.save(create_backbone("resnet50").state_dict(), weights)
        command = [sys.executable, "main.py", "--data", str(folder), "--weights", str(weights)]
        command += ["--precision", precision]
        start = time.perf_counter()
        subprocess.run(
            [*command, "--out", out, *HEADS.split()],
            check=True,
            capture_output=True,
            cwd=Path(__file__).parent.parent,
        )
        return time.perf_counter() - start


if __name__ == "__main__":
    run(main)
