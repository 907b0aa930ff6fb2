"""Train every network of the projects that this one descends from on one folder, and compare them.

python -m bench.ancestors FOLDER --epochs 60                     all of them, one after another
python -m bench.ancestors FOLDER --epochs 3 --only small_cnn,bilstm

Each is trained by main.py on one and the same split, with the optimizer that its source names, and
`python -m train.compare` writes the table.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from common.cli import DONE, SOME_LEFT_OUT, config_from, make_parser, option, run

ROOT = Path(__file__).resolve().parent.parent
ADAM = ("--optimizer", "adam", "--learning-rate", "0.001", "--weight-decay", "0")
ADAGRAD = ("--optimizer", "adagrad", "--learning-rate", "0.01", "--weight-decay", "0")
# The options of each: what its source says; dropout 0.5 and no more where it says nothing.
NETWORKS: dict[str, tuple[str, ...]] = {
    "small_cnn": ADAGRAD,
    "small_cnn_wide": ADAM,
    "attention_cnn1d": ADAM,
    # 1300 columns would show the same pictures of 387 columns for three times the time
    "cnn_mel": (*ADAM, "--image-size", "387x128"),
    "bilstm": (*ADAM, "--dropout", "0.3"),
    "attention_bilstm": (*ADAM, "--dropout", "0.3"),
    "default": (),
}


@dataclass(frozen=True)
class BenchConfig:
    """Bench"""

    epochs: int = option(60, "most epochs of each network; the default one keeps its own number")
    folds: int = option(5, "cross-validation folds")
    only: str = option(",".join(NETWORKS), "which networks, separated by commas")
    out: str = option("runs/ancestors", "folder for the runs and the comparison")


def main() -> int:
    """Train, compare, say where the table is."""
    parser = make_parser("python -m bench.ancestors", (__doc__ or "").strip(), BenchConfig)
    parser.add_argument("folder", help="image folder, <class>/<picture>")
    args = parser.parse_args()
    config = config_from(args, BenchConfig)
    names = config.only.split(",")
    if unknown := sorted(set(names) - set(NETWORKS)):
        raise ValueError(f"--only {', '.join(unknown)}: choose from {', '.join(NETWORKS)}")
    runs: list[Path] = []
    for name in names:
        runs.append(train(name, Path(args.folder), config, runs[0] if runs else None))
    out = Path(config.out).resolve() / "comparison"
    command = [sys.executable, "-m", "train.compare", *map(str, runs), "--ensemble"]
    return subprocess.run([*command, "--out", str(out)], cwd=ROOT).returncode


def train(name: str, folder: Path, config: BenchConfig, first: Path | None) -> Path:
    """The folder of a run of one network, on the split of the first run if there is one."""
    out = Path(config.out) / name
    command = [sys.executable, str(ROOT / "main.py"), "--data", str(folder), "--out", str(out)]
    command += ["--folds", str(config.folds), *NETWORKS[name]]
    if name != "default":
        epochs = str(config.epochs)
        command += ["--model", name, "--epochs", epochs]
        # the sources train for a fixed number of epochs at one rate
        command += ["--patience", epochs, "--plateau-patience", epochs]
    if first:
        command += ["--split", str(first / "split.csv")]
    print("$", *command[1:], flush=True)
    if subprocess.run(command).returncode not in (DONE, SOME_LEFT_OUT):
        raise ValueError(f"{name} could not be trained; see above")
    return (out / "latest").resolve()


if __name__ == "__main__":
    run(main)
