"""Classify recordings and pictures with a model file.

python predict.py model.pth song.mp3 [more.flac picture.png FOLDER 'glob*.wav' ...]
python predict.py model.onnx song.mp3           without torch: starts in half a second
python predict.py model.pth - < song.mp3        from standard input
python predict.py song.mp3                      by the model of the last run, runs/latest

A recording of any length is cut into overlapping clips. Each clip is rendered as the training
pictures were, and the answer is the mean of the clips' probabilities. "Unsure" marks what is unlike
the training pictures.

From Python:

    from predict import load

    model = load("model.pth")               # or model.onnx
    model("song.mp3").label                 # a Prediction; ValueError if it is no recording
    for result in model.predict(files):     # Prediction or LeftOut for each
        ...
"""

from common.cli import config_from, make_parser, run
from inference.command import classify
from inference.config import PredictConfig
from inference.inputs import model_and_inputs
from inference.prediction import ClipPrediction, LeftOut, Prediction
from inference.predictor import Predictor, load

__all__ = ["ClipPrediction", "LeftOut", "Prediction", "Predictor", "load"]


def main() -> int:
    """Parse and classify; the exit code says whether some files were left out."""
    parser = make_parser("python predict.py", (__doc__ or "").strip(), PredictConfig)
    parser.add_argument(
        "inputs",
        metavar="[MODEL] INPUT",
        nargs="+",
        help="model.pth, model.onnx or a run folder (runs/latest if none is given), then "
        "recordings, pictures, folders, patterns, or - for standard input",
    )
    args = parser.parse_args()
    model, inputs = model_and_inputs(args.inputs)
    return classify(model, inputs, config_from(args, PredictConfig))


if __name__ == "__main__":
    run(main)
