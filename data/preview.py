"""Draw what augmentation does to pictures: each change alone, and the mix that is asked for.

python -m data.preview spectrograms                                      into preview.png
python -m data.preview spectrograms --time-mask 0.1 --out masks.png      of what a training will see

A change that is off in the mix is drawn at a usual strength in its own row.
"""

import textwrap
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from common.cli import DONE, Seed, UpToTwenty, config_from, make_parser, option, run
from common.validation import flag
from data.config import AugmentConfig

if TYPE_CHECKING:
    import numpy as np

OFF = AugmentConfig(crop_time=1, crop_frequency=1)
USUAL = AugmentConfig(
    crop_time=0.5,
    crop_frequency=0.9,
    time_roll=0.5,
    time_mask=0.15,
    frequency_mask=0.15,
    gain=0.15,
    contrast=0.3,
    frequency_warp=0.1,
)
LARGEST = (448, 224)  # width, height of a drawn picture


@dataclass(frozen=True)
class PreviewConfig:
    """Preview"""

    out: str = option("preview.png", "picture to write")
    pictures: UpToTwenty = option(4, "how many of the folder are shown")
    seed: Seed = option(123, "the same seed changes them alike")


def rows_of(config: AugmentConfig) -> dict[str, AugmentConfig]:
    """What each row shows: nothing changed, each change alone, the mix."""
    rows = {"as it is": OFF}
    for field in fields(AugmentConfig):
        off, asked = getattr(OFF, field.name), getattr(config, field.name)
        strength = getattr(USUAL, field.name) if asked == off else asked
        title = f"{flag(field.name)} {strength:g}"
        rows[title + (" (off)" if asked == off else "")] = replace(OFF, **{field.name: strength})
    return rows | {"the mix": config}


def changed_pictures(
    root: Path, n: int, config: AugmentConfig, seed: int
) -> "tuple[list[str], dict[str, np.ndarray]]":
    """(paths of n pictures spread over the folder, {row: uint8 (n, H, W, 3)})."""
    import numpy as np
    import torch

    from data.image_folder import scan
    from data.images.augment import augmentation_of, draws_of
    from data.images.colour_map import nearest_colour_map
    from data.images.loader import Pictures
    from data.images.picture_array import PictureArray
    from data.images.read import ImageSpec, canvas_for, picture_sizes, read_picture

    examples = scan(root)
    some = np.unique(np.linspace(0, len(examples) - 1, n).round().astype(int))
    shown = examples.take(some)
    width, height = canvas_for([size for size in picture_sizes(shown.files()) if size], *LARGEST)
    decoded = PictureArray(shown.root, shown.paths, (width, height))
    maps = [nearest_colour_map(read_picture(file)) for file in shown.files()]
    spec = ImageSpec(
        width=width, height=height, canvas=(width, height), mean=(0, 0, 0), std=(1, 1, 1)
    )
    drawn = {}
    for name, row in rows_of(config).items():
        pictures = Pictures(decoded, shown.labels, spec, augmentation_of(row, maps))
        images = torch.empty((len(shown), 3, height, width), dtype=torch.uint8)
        pictures.fill(images, np.arange(len(shown)), draws_of(seed, 0, len(shown)))
        drawn[name] = images.permute(0, 2, 3, 1).numpy()
    return shown.paths.tolist(), drawn


def draw(file: Path, paths: list[str], drawn: "dict[str, np.ndarray]") -> None:
    """Write the figure: a row for each change, a column for each picture."""
    from common.plots import empty_figure, save_figure

    height, width = next(iter(drawn.values())).shape[1:3]
    across = 4.0  # inches, of a picture
    down = (across * height / width + 0.1) * len(drawn) + 0.4
    figure = empty_figure(across * len(paths) + 1.8, down, dpi=100)
    axes = figure.subplots(len(drawn), len(paths), squeeze=False)
    for row, (title, images) in enumerate(drawn.items()):
        axes[row, 0].set_ylabel(title, rotation=0, ha="right", va="center")
        for column, image in enumerate(images):
            axes[row, column].imshow(image)
            axes[row, column].set_xticks([])
            axes[row, column].set_yticks([])
    for column, path in enumerate(paths):
        axes[0, column].set_title("\n".join(textwrap.wrap(path, 48)), fontsize=8)
    save_figure(figure, file)


def main() -> int:
    """Parse, change some pictures, draw them, say where."""
    parser = make_parser(
        "python -m data.preview", (__doc__ or "").strip(), PreviewConfig, AugmentConfig
    )
    parser.add_argument("folder", type=Path, help="image folder, <class>/<picture>")
    args = parser.parse_args()
    preview, config = config_from(args, PreviewConfig), config_from(args, AugmentConfig)
    draw(
        Path(preview.out),
        *changed_pictures(args.folder, preview.pictures, config, preview.seed),
    )
    print(f"{preview.out}: {len(rows_of(config)) - 2} changes, and the mix in the last row")
    return DONE


if __name__ == "__main__":
    run(main)
