"""A page in the browser that names the class of recordings and pictures.

python -m app runs/latest/model.pth        on http://127.0.0.1:7860, for this computer alone
python -m app model.onnx                   the same without torch, and without Grad-CAM
"""

from app.config import Limits, ServeConfig
from common.cli import config_from, make_parser, run


def main() -> int:
    """Parse, and serve until Ctrl-C."""
    parser = make_parser("python -m app", (__doc__ or "").strip(), ServeConfig, Limits)
    parser.add_argument("model", help="model.pth or model.onnx of a run")
    args = parser.parse_args()
    config, limits = config_from(args, ServeConfig), config_from(args, Limits)
    from app.server import serve

    return serve(args.model, config, limits)


if __name__ == "__main__":
    run(main)
