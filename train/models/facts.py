"""What a model file tells beside its weights, checked before anything is built from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from common.fields import Fields
from data.images.read import ImageSpec
from render.settings import RenderSettings
from train.evaluate.calibration import LabelCalibration, probabilities_of

FORMAT = 4  # 2: embeddings of several stages; 3: and of covariances; 4: checked facts
FORMAT_OF_SEVERAL = 5  # of a model that gives several labels: older versions would give it one
MAX_CLASSES, MAX_COLUMNS = 100_000, 100_000
POOLINGS = ("last", "stages", "table")


@dataclass(frozen=True)
class NoveltyCheck:
    """One check of `train.evaluate.novelty`, of k measures of a picture.

    mean, scale: (k,); inverse: (k, k), of the correlations; limit: the largest distance that counts
    as known.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    inverse: tuple[tuple[float, ...], ...]
    limit: float

    @classmethod
    def from_fields(cls, fields: Fields) -> "NoveltyCheck":
        """The checked values; ValueError that names the wrong one."""
        mean = fields.numbers("mean")
        k = len(mean)
        rows = {str(i): row for i, row in enumerate(fields.values.get("inverse") or ())}
        inverse = Fields(rows, f"{fields.where}.inverse")
        return cls(
            mean=mean,
            scale=fields.numbers("scale", k, low=1e-12),
            inverse=tuple(inverse.numbers(str(i), k) for i in range(k)),
            limit=fields.number("limit", low=0.0),
        )


@dataclass(frozen=True)
class Novelty:
    """What pictures of another kind are recognised by (`train.evaluate.novelty`)."""

    colours: NoveltyCheck
    structure: NoveltyCheck

    @classmethod
    def from_fields(cls, fields: Fields) -> "Novelty":
        """The checked values; ValueError that names the wrong one."""
        colours, structure = (
            NoveltyCheck.from_fields(fields.section(name)) for name in ("colours", "structure")
        )
        return cls(colours, structure)


@dataclass(frozen=True)
class DomainReference:
    """What `train.evaluate.domain_shift` measures the distance of new pictures against.

    mean, scale: (F,), of the embeddings; far: a distance that 95 % of known pictures are within;
    usual_shift: how far the mean of n_groups known groups is off; colour_map: of the training
    pictures, None where it is not known.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    far: float
    usual_shift: float
    n_groups: int
    colour_map: str | None = None

    def standardised(self, embeddings: np.ndarray) -> np.ndarray:
        """Embeddings float (..., F) in units of the spread of the known ones about their mean."""
        standard: np.ndarray = (embeddings - np.array(self.mean)) / np.array(self.scale)
        return standard

    @classmethod
    def from_fields(cls, fields: Fields) -> "DomainReference":
        """The checked values; ValueError that names the wrong one."""
        mean = fields.numbers("mean")
        return cls(
            mean=mean,
            scale=fields.numbers("scale", len(mean), low=1e-12),
            far=fields.number("far", low=0.0),
            usual_shift=fields.number("usual_shift", low=1e-12),
            n_groups=fields.integer("n_groups", 1, 10**9),
            colour_map=fields.optional_text("colour_map"),
        )


@dataclass(frozen=True)
class ModelFacts:
    """All that using a model needs beside its weights; model.pth and model.onnx carry the same.

    inputs: the size and colours of its pictures, or the names of a table's columns; pooling: how
    the backbone's maps become an embedding, "table" for tables; render: the settings that turn
    audio into its pictures, None where these are not known; temperature: what logits are divided by
    before the softmax; several: instead of it, how a model answers that gives several labels, None
    for one of one label; config: the options of its training; metrics: those of metrics.json;
    revision: of the program that trained it.
    """

    backbone: str
    pooling: str
    classes: tuple[str, ...]
    inputs: ImageSpec | tuple[str, ...]
    temperature: float
    render: RenderSettings | None = None
    config: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    novelty: Novelty | None = None
    domain: DomainReference | None = None
    revision: str | None = None
    several: LabelCalibration | None = None

    def need_one_label(self, what: str) -> None:
        """Raise ValueError for a model that gives several labels, for which `what` is not made."""
        if self.several:
            raise ValueError(f"{what}, and this model gives a song several labels")

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities float64 (n, C) of the network's logits (n, C)."""
        return probabilities_of(logits, self.temperature, self.several)

    @property
    def is_table(self) -> bool:
        """Whether the model classifies rows of a table rather than pictures."""
        return not isinstance(self.inputs, ImageSpec)

    @property
    def image(self) -> ImageSpec:
        """What turns a picture into the network's input; ValueError for a model of tables."""
        if not isinstance(self.inputs, ImageSpec):
            raise ValueError("this model classifies rows of tables, not pictures")
        return self.inputs

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a row must have, in order; ValueError for a model of pictures."""
        if isinstance(self.inputs, ImageSpec):
            raise ValueError("this model classifies pictures, not rows of tables")
        return self.inputs

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON or a checkpoint, with the number of the format."""
        plain: dict[str, Any] = {"format": FORMAT, **vars(self), "classes": list(self.classes)}
        del plain["inputs"]
        if isinstance(self.inputs, ImageSpec):
            plain["image"] = self.inputs.to_dict()
        else:
            plain["columns"] = list(self.inputs)
        plain["render"] = self.render.to_dict() if self.render else None
        plain["novelty"] = asdict(self.novelty) if self.novelty else None
        plain["domain"] = asdict(self.domain) if self.domain else None
        del plain["several"]
        if self.several:
            plain |= {"format": FORMAT_OF_SEVERAL, "several": asdict(self.several)}
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelFacts":
        """The facts that `to_dict` gave, checked; ValueError that names the wrong value.

        Of another format than this version's, the message says whether to train or to update.
        """
        fields = Fields.of(values)
        several = fields.optional_section("several")
        if values.get("format") != (FORMAT_OF_SEVERAL if several else FORMAT):
            older = values.get("format") in range(FORMAT)
            raise ValueError(
                f"format {values.get('format')!r:.20}; this version reads {FORMAT}: "
                + ("train it again" if older else "update Spectrofold")
            )
        pooling = fields.text("pooling")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is {pooling!r:.60}; expected one of {', '.join(POOLINGS)}")
        is_table = pooling == "table"
        novelty, domain = fields.optional_section("novelty"), fields.optional_section("domain")
        classes = fields.names("classes", MAX_CLASSES)
        return cls(
            backbone=fields.text("backbone"),
            pooling=pooling,
            classes=classes,
            inputs=fields.names("columns", MAX_COLUMNS)
            if is_table
            else ImageSpec.from_fields(fields.section("image")),
            temperature=fields.number("temperature", low=1e-6, high=1e6),
            render=_render(fields),
            config=dict(fields.section("config").values),
            metrics=dict(fields.section("metrics").values),
            novelty=Novelty.from_fields(novelty) if novelty else None,
            domain=DomainReference.from_fields(domain) if domain else None,
            revision=fields.optional_text("revision"),
            several=LabelCalibration.from_fields(several, len(classes)) if several else None,
        )


def _render(fields: Fields) -> RenderSettings | None:
    section = fields.optional_section("render")
    if section is None:
        return None
    try:
        return RenderSettings.from_dict(dict(section.values))
    except (TypeError, ValueError, AttributeError) as error:  # a value of another type
        raise ValueError(f"render settings: {error}") from None
