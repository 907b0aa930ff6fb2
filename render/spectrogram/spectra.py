"""A clip's samples to the arrays that pictures show: float32 (bands, frames), low to high.

Mel and STFT are computed here, with librosa's definitions and to its values, because importing
librosa takes longer than rendering a hundred clips; the others call librosa itself.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.fft import dct, rfft

from render.settings import CQT_BINS, RenderSettings

AMIN = 1e-10  # power below which everything counts as silence, as in librosa
BLOCK = 64  # frames transformed at once: they stay in the processor's cache


_PARTS: dict[int, tuple[np.ndarray, list[tuple[slice, slice, np.ndarray]]]] = {}


@lru_cache(maxsize=16)
def hann(n_fft: int, win_length: int, *, symmetric: bool) -> np.ndarray:
    """A Hann window of `win_length` in the middle of n_fft samples, float32 (n_fft,).

    It is periodic, or symmetric: then its last sample is 0 as well.
    """
    n = np.arange(win_length)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / (win_length - symmetric))
    left = (n_fft - win_length) // 2
    return np.pad(window, (left, n_fft - win_length - left)).astype(np.float32)


def preemphasised(y: np.ndarray, s: RenderSettings) -> np.ndarray:
    """y[t] - preemphasis * y[t - 1]: as long as y, or one shorter where the ends are mirrored."""
    if not s.preemphasis:
        return y
    rest = y[1:] - np.float32(s.preemphasis) * y[:-1]
    return rest if s.edges == "mirror" else np.concatenate((y[:1], rest))


def power_frames(
    y: np.ndarray, s: RenderSettings, n_fft: int, *banks: np.ndarray
) -> list[np.ndarray]:
    """|STFT|^2 gathered by each of `banks` (bands, bins): float32 (bands, frames) each.

    Frame t is centred at sample t * hop_length of the clip, beyond whose ends there is what
    s.edges says. A bank turns the bins of a frame into bands, for example mel filters.
    """
    mode: Literal["reflect", "constant"] = "reflect" if s.edges == "mirror" else "constant"
    y = np.pad(preemphasised(y, s), n_fft // 2, mode=mode)
    frames = np.lib.stride_tricks.sliding_window_view(y, n_fft)[:: s.hop_length]
    window = hann(n_fft, s.win_length or n_fft, symmetric=s.window == "hann-symmetric")
    outs = [np.zeros((len(frames), len(bank)), dtype=np.float32) for bank in banks]
    parts = [
        (bins, columns, out[:, rows])
        for bank, out in zip(banks, outs, strict=True)
        for rows, bins, columns in _parts(bank)
    ]
    for start in range(0, len(frames), BLOCK):
        X = rfft(frames[start : start + BLOCK] * window, axis=-1)
        power = X.real**2 + X.imag**2
        for bins, columns, out in parts:
            np.matmul(power[:, bins], columns, out=out[start : start + BLOCK])
    return [out.T for out in outs]


def _parts(bands: np.ndarray) -> list[tuple[slice, slice, np.ndarray]]:
    """`bands` as (rows, bins, float32 (bins, rows)) of 16 rows, without the bins all of them miss.

    A mel filter sees few bins: so a frame costs a seventh of the multiplications.
    """
    if id(bands) not in _PARTS:
        parts = []
        for start in range(0, len(bands), 16):
            seen = np.flatnonzero(bands[start : start + 16].any(axis=0))
            bins = slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(0, 0)
            columns = np.ascontiguousarray(bands[start : start + 16, bins].T)
            parts.append((slice(start, start + len(columns.T)), bins, columns))
        _PARTS[id(bands)] = bands, parts  # holding `bands` keeps its id from being used again
    return _PARTS[id(bands)][1]


def hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Slaney's mel scale: linear up to 1000 Hz, logarithmic above.

    Source: M. Slaney, Auditory Toolbox, Technical Report 1998-010, Interval Research.
    """
    hz = np.asarray(hz, dtype=float)
    return np.where(hz < 1000, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1) / 1000) * 27 / _LOG64)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """The inverse of hz_to_mel."""
    mel = np.asarray(mel, dtype=float)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * _LOG64 / 27))


_LOG64 = np.log(6.4)


def hz_to_kaldi_mel(hz: np.ndarray) -> np.ndarray:
    """The mel scale of HTK and Kaldi (S. Young et al., The HTK Book, 5.4)."""
    return 1127 * np.log(1 + np.asarray(hz, dtype=float) / 700)


@lru_cache(maxsize=16)
def mel_filters(sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Triangular mel filters of equal area: float32 (n_mels, 1 + n_fft // 2)."""
    bins = np.fft.rfftfreq(n_fft, 1 / sr)
    edges = mel_to_hz(np.linspace(hz_to_mel(np.array(fmin)), hz_to_mel(np.array(fmax)), n_mels + 2))
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    area = 2 / (edges[2:] - edges[:-2])
    return (np.maximum(0, np.minimum(rising, falling)) * area[:, None]).astype(np.float32)


@lru_cache(maxsize=16)
def finest_mel_filters(sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """mel_filters with the most bands, up to n_mels, of which none falls between two bins."""
    while n_mels > 1:
        filters = mel_filters(sr, n_fft, n_mels, fmin, fmax)
        if (filters.max(axis=1) > 0).all():
            return filters
        n_mels -= 1
    raise ValueError(f"n_fft={n_fft} has no bin between fmin={fmin} and fmax={fmax}")


@lru_cache(maxsize=16)
def kaldi_mel_filters(sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Kaldi's filters, triangles on the mel axis of height 1: float32 (n_mels, 1 + n_fft // 2).

    A low band that falls between two bins is kept, and stays empty, as trained networks expect.
    The bin at sr / 2 counts for nothing. Source: Kaldi's feat/mel-computations.cc.
    """
    bins = hz_to_kaldi_mel(np.fft.rfftfreq(n_fft, 1 / sr))
    low, high = hz_to_kaldi_mel(np.array([fmin, fmax]))
    edges = np.linspace(low, high, n_mels + 2)[:, None]
    step = (high - low) / (n_mels + 1)
    filters = np.maximum(0, np.minimum(bins - edges[:-2], edges[2:] - bins) / step)
    filters[:, -1] = 0
    return filters.astype(np.float32)


@lru_cache(maxsize=16)
def log_filters(sr: int, n_fft: int, n_bands: int, fmin: float, fmax: float) -> np.ndarray:
    """Mean power in bands of equal width in octaves: float32 (n_bands, 1 + n_fft // 2).

    The spectrum between two bins is the straight line through them, so that bands narrower than a
    bin are not empty. The lowest band starts at fmin, but at 32.7 Hz (the note C1) at least.
    """
    bins = np.fft.rfftfreq(n_fft, 1 / sr)
    edges = np.geomspace(max(fmin, 32.703), fmax, n_bands + 1)
    position = np.clip(edges / bins[1], 0, len(bins) - 1)  # in bins, fractional
    whole = np.minimum(position.astype(int), len(bins) - 2)
    part = position - whole
    # row e: the integral from 0 to edge e of the line through the bins, as weights of the bins
    integral = np.tri(len(edges), 0)
    below = np.arange(len(bins))
    integral = np.where(below < whole[:, None], 1.0, 0.0)
    integral[:, 0] *= 0.5
    rows = np.arange(len(edges))
    integral[rows, whole] += np.where(whole > 0, 0.5, 0.0) + part - part**2 / 2
    integral[rows, whole + 1] += part**2 / 2
    return (np.diff(integral, axis=0) / np.diff(position)[:, None]).astype(np.float32)


@lru_cache(maxsize=16)
def stft_rows(sr: int, n_fft: int, fmin: float, fmax: float) -> np.ndarray:
    """The bins from fmin to fmax as they are: float32 (rows, 1 + n_fft // 2)."""
    bins = np.fft.rfftfreq(n_fft, 1 / sr)
    return np.eye(len(bins), dtype=np.float32)[(bins >= fmin) & (bins <= fmax)]


def to_db(S: np.ndarray, ref: str, top_db: float, log_offset: float = 0.0) -> np.ndarray:
    """Power to dB relative to ref, never more than top_db below it; silence is -top_db all over.

    log_offset: power that is added to S first.
    """
    S = S + np.float32(log_offset)
    reference = float(S.max()) if ref == "max" else float(ref)
    if reference <= AMIN:
        return np.full_like(S, -top_db)
    S_db = 10 * np.log10(np.maximum(S, AMIN)) - np.float32(10 * np.log10(reference))
    return np.clip(S_db, -top_db, 0 if ref == "max" else top_db)


class Clip:
    """The samples of a clip, float32 (n,), with what several channels of its picture share.

    Powers of the STFT are computed in one pass for all channels of one n_fft, when first asked for.
    """

    def __init__(self, y: np.ndarray, settings: RenderSettings) -> None:
        self.y, self.settings = y, settings
        self._powers: dict[tuple[str, int], np.ndarray] = {}

    def power(self, bank: str, n_fft: int) -> np.ndarray:
        """|STFT|^2 gathered by the filters of FILTERS[bank]: float32 (bands, frames)."""
        if (bank, n_fft) not in self._powers:
            s = self.settings
            channels = {name for name, own_n_fft in s.layers if own_n_fft == n_fft}
            names = [bank, *sorted({BANKS[name] for name in channels & set(BANKS)} - {bank})]
            filters = [FILTERS[name](s, n_fft) for name in names]
            powers = power_frames(self.y, s, n_fft, *filters)
            self._powers |= {(name, n_fft): S for name, S in zip(names, powers, strict=True)}
        return self._powers[bank, n_fft]


def _band(s: RenderSettings) -> tuple[float, float]:
    return s.fmin, s.sr / 2 if s.fmax is None else s.fmax


def _mel_bands(s: RenderSettings, n_fft: int) -> np.ndarray:
    filters = kaldi_mel_filters if s.mel_scale == "kaldi" else finest_mel_filters
    return filters(s.sr, n_fft, s.n_mels, *_band(s))


FILTERS: dict[str, Callable[[RenderSettings, int], np.ndarray]] = {
    "mel": _mel_bands,
    "log": lambda s, n_fft: log_filters(s.sr, n_fft, s.n_mels, *_band(s)),
    "stft": lambda s, n_fft: stft_rows(s.sr, n_fft, *_band(s)),
    "bins": lambda s, n_fft: stft_rows(s.sr, n_fft, 0, s.sr / 2),
}
# Which of them each representation is computed from; cqt needs none.
BANKS = {"mel": "mel", "log": "log", "stft": "stft", "chroma": "bins"}
BANKS |= {"mfcc": "mel", "tempogram": "mel"}


def mel(clip: Clip, n_fft: int) -> np.ndarray:
    """Power in the bands of the mel scale: (n_mels, frames)."""
    return clip.power("mel", n_fft)


def log(clip: Clip, n_fft: int) -> np.ndarray:
    """Mean power in bands of equal width in octaves: (n_mels, frames)."""
    return clip.power("log", n_fft)


def stft(clip: Clip, n_fft: int) -> np.ndarray:
    """Power of the bins from fmin to fmax: (bins, frames)."""
    return clip.power("stft", n_fft)


def cqt(clip: Clip, n_fft: int) -> np.ndarray:
    """Power of the constant-Q transform, 84 semitones up from C1: (84, frames)."""
    import librosa

    s, fmin = clip.settings, float(librosa.note_to_hz("C1"))
    C = librosa.cqt(
        clip.y, sr=s.sr, hop_length=s.hop_length, fmin=fmin, n_bins=CQT_BINS, tuning=0.0
    )
    return np.abs(C).astype(np.float32) ** 2


def mfcc(clip: Clip, n_fft: int) -> np.ndarray:
    """Mel-frequency cepstral coefficients as librosa's: (n_mfcc, frames)."""
    S_db = 10 * np.log10(np.maximum(mel(clip, n_fft), AMIN))
    coefficients = dct(np.maximum(S_db, S_db.max() - 80), axis=0, type=2, norm="ortho")
    return coefficients[: clip.settings.n_mfcc]


def chroma(clip: Clip, n_fft: int) -> np.ndarray:
    """Energy of the twelve pitch classes, C first, the strongest of each frame 1: (12, frames)."""
    import librosa

    s = clip.settings
    return librosa.feature.chroma_stft(
        S=clip.power("bins", n_fft), sr=s.sr, n_fft=n_fft, hop_length=s.hop_length, tuning=0.0
    )


def tempogram(clip: Clip, n_fft: int) -> np.ndarray:
    """Local autocorrelation of the onset strength, the longest lag last: (384, frames), 0 to 1."""
    import librosa

    s = clip.settings
    S_db = 10 * np.log10(np.maximum(mel(clip, n_fft), AMIN))
    onsets = librosa.onset.onset_strength(
        S=np.maximum(S_db, S_db.max() - 80), sr=s.sr, hop_length=s.hop_length, n_fft=n_fft
    )
    return librosa.feature.tempogram(onset_envelope=onsets, sr=s.sr, hop_length=s.hop_length)


def pcen(S: np.ndarray, s: RenderSettings) -> np.ndarray:
    """Per-channel energy normalisation of power S, as librosa's defaults for 31-bit magnitudes."""
    import librosa

    return librosa.pcen(np.sqrt(S) * 2.0**31, sr=s.sr, hop_length=s.hop_length).astype(np.float32)


POWERS = {"mel": mel, "log": log, "stft": stft, "cqt": cqt}  # of which dB or PCEN are taken
OTHERS = {"mfcc": mfcc, "chroma": chroma, "tempogram": tempogram}  # shown as they are
