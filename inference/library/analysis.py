"""What the index keeps of a song: the answer, an embedding and a fingerprint, from one pass."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from inference.clips import Clip, Cutting
from inference.library.fingerprint import fingerprint, thumbnail
from inference.model import Model
from inference.prediction import Prediction, of_recording
from train.models import onnx_file
from train.models.facts import DomainReference
from train.models.network import OnnxNetwork
from train.run_folder import existing_model

N_DIMENSIONS = 256  # of a kept embedding: half a kilobyte a song (bench/RESULTS.md)


@dataclass(frozen=True)
class Analysis:
    """What is kept of a song.

    embedding: float32 (F,), of unit length; fingerprint: uint8 (n,), see `fingerprint`; distance:
    from the middle of the training pictures, 1 for what 95 % of those are within, None if unknown;
    difference: float32 (F,), the first half less the second as embeddings, None of a single clip.
    """

    prediction: Prediction
    embedding: np.ndarray
    fingerprint: np.ndarray
    distance: float | None
    difference: np.ndarray | None = None


@dataclass(frozen=True)
class Analyser:
    """A model whose calls take one core each, and how songs are cut for it."""

    file: Path
    model: Model
    network: OnnxNetwork
    cutting: Cutting

    def analyse(self, path: Path, moment: float | None = None) -> Analysis:
        """What is to be kept of a recording, or of its clip at a moment in seconds.

        Raises ValueError when it is no recording, or is damaged.
        """
        clips = self.model.of_recording(str(path), self.cutting)
        if moment is not None:
            clips = iter([_clip_at(list(clips), moment)])
        spans, unsure, rows, embedded, thumbnails = [], [], [], [], []
        while batch := list(islice(clips, self.network.batch_size)):
            pictures = np.stack([clip.pixels for clip in batch])
            logits, embeddings = self.network.logits_and_embeddings(pictures)
            rows.append(self.model.calibrated(logits, len(batch)))
            embedded.append(embeddings)
            for clip in batch:
                spans.append(clip.span or (0.0, 0.0))
                unsure.append(clip.unsure)
                thumbnails.append(thumbnail(clip.pixels))
        facts, answers, of_clips = self.model.facts, np.concatenate(rows), np.concatenate(embedded)
        embedding, difference = kept_embedding(of_clips, facts.domain)
        return Analysis(
            of_recording(str(path), facts.classes, spans, answers, unsure, facts.several),
            embedding,
            fingerprint(spans, thumbnails),
            _distance(of_clips.mean(axis=0), facts.domain),
            difference,
        )


def open_analyser(model: str | Path, cutting: Cutting) -> Analyser:
    """The analyser of a model.onnx, or of the one beside a model.pth or in a run's folder.

    Raises ValueError when there is none, or it gives no embeddings.
    """
    file = existing_model(model).with_suffix(".onnx")
    if not file.is_file():
        raise ValueError(
            f"no {file.name} beside {model}: write it with python -m train.export {model} --onnx"
        )
    program, facts = onnx_file.load(file)
    network = OnnxNetwork(program)
    if facts.is_table or facts.render is None:
        raise ValueError(f"{file}: the model classifies no recordings")
    if not network.has_embeddings:
        raise ValueError(
            f"{file} gives no embeddings: an earlier version wrote it; write it anew with "
            f"python -m train.export {file.with_suffix('.pth')} --onnx"
        )
    alone = network.on_one_thread()
    return Analyser(file, Model(facts, alone), alone, cutting)


def kept_embedding(
    clips: np.ndarray, domain: DomainReference | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """(the embedding, how its halves differ) of a recording's clips float (n, F) in their order.

    embedding: float32 (min(F, N_DIMENSIONS),) of unit length; of the mean, feature by feature in
    the training's spread, then projected on random signs, which keeps angles (D. Achlioptas,
    Journal of Computer and System Sciences 66, 2003). The signs are the bits of a hash, so every
    index of a model has the same. The difference is in its scale, None of a single clip.
    """
    spread = _projected(clips.mean(axis=0), domain)
    length = max(float(np.linalg.norm(spread)), 1e-12)
    embedding = (spread / length).astype(np.float32)
    if (half := len(clips) // 2) == 0:
        return embedding, None
    first, second = clips[:half].mean(axis=0), clips[-half:].mean(axis=0)
    difference = _projected(first, domain) - _projected(second, domain)
    return embedding, (difference / length).astype(np.float32)


def _projected(embedding: np.ndarray, domain: DomainReference | None) -> np.ndarray:
    spread = domain.standardised(embedding) if domain else embedding
    return spread @ _signs(len(spread)) if len(spread) > N_DIMENSIONS else spread


@lru_cache(maxsize=1)
def _signs(n_features: int) -> np.ndarray:
    """-1 or 1, float32 (n_features, N_DIMENSIONS)."""
    bits = hashlib.shake_128(b"spectrofold embedding").digest(n_features * N_DIMENSIONS // 8)
    signs = 2 * np.unpackbits(np.frombuffer(bits, np.uint8)).astype(np.float32) - 1
    return signs.reshape(n_features, N_DIMENSIONS)


def _distance(embedding: np.ndarray, domain: DomainReference | None) -> float | None:
    if domain is None or domain.far <= 0:
        return None
    return float(np.sqrt((domain.standardised(embedding) ** 2).mean()) / domain.far)


def _clip_at(clips: Sequence[Clip], moment: float) -> Clip:
    """The clip whose middle is nearest to a moment; ValueError if the recording ends before."""
    spans = [clip.span or (0.0, 0.0) for clip in clips]
    if moment > spans[-1][1]:
        raise ValueError(
            f"{clips[-1].path}: {moment:.1f} s are asked for, but it has only {spans[-1][1]:.1f} s"
        )
    middles = [abs((start + end) / 2 - moment) for start, end in spans]
    return clips[int(np.argmin(middles))]
