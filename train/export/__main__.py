"""Write a model in other forms, each checked against the original on real pictures.

python -m train.export runs/latest/model.pth --onnx --int8 --out exported
python -m train.export --from-state-dict W.pth --classes classes.txt --out model.pth
"""

from pathlib import Path

from common.cli import config_from, make_parser, run
from train.export.config import ExportConfig


def main() -> int:
    """Parse; import weights, or export a model file."""
    parser = make_parser("python -m train.export", (__doc__ or "").strip(), ExportConfig)
    parser.add_argument("model", nargs="?", help="model.pth of a run")
    args = parser.parse_args()
    config = config_from(args, ExportConfig)
    if (args.model is None) == (config.from_state_dict is None):
        parser.error("give a model file, or --from-state-dict")
    from train.export.command import export_model, import_weights  # torch takes seconds to import

    return import_weights(config) if args.model is None else export_model(Path(args.model), config)


if __name__ == "__main__":
    run(main)
