"""Show what a model's answers depend on: Grad-CAM, attention, a map of embeddings, SHAP values.

python -m inference.explain runs/latest/model.pth song.png      Grad-CAM and attention of a picture
python -m inference.explain runs/latest song.mp3                the same of three clips of a song
python -m inference.explain runs/latest/model.pth spectrograms/ a map of all pictures of a folder
python -m inference.explain runs/latest/model.pth features.csv  SHAP values of a table's columns
"""

from common.cli import config_from, make_parser, run
from inference.explain.config import ExplainConfig


def main() -> int:
    """Parse and explain; the exit code says whether some files were left out."""
    parser = make_parser("python -m inference.explain", (__doc__ or "").strip(), ExplainConfig)
    parser.add_argument("model", help="model.pth, or the folder of a run")
    parser.add_argument(
        "inputs", nargs="+", help="pictures, recordings, folders of them, or patterns"
    )
    args = parser.parse_args()
    config = config_from(args, ExplainConfig)
    from inference.explain.command import explain  # torch takes seconds to import

    return explain(args.model, args.inputs, config)


if __name__ == "__main__":
    run(main)
