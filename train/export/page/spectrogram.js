/** A clip to the levels of its picture: as render/spectrogram/ does, in double precision. */

import { resize, BILINEAR } from "./picture.js";

const AMIN = 1e-10; // power below which everything counts as silence

/**
 * The levels of one channel of the picture, Uint8Array (height * width), row 0 on top.
 * clip: Float32Array of settings.clip_samples; channel: its n_fft, window and bands.
 */
export function levels(clip, settings, channel) {
  const power = powerInBands(clip, settings, channel); // bands rows, low to high
  const { values, bands, frames } = decibels(power, settings);
  const bright = new Float32Array(values.length); // the highest band on top
  for (let band = 0; band < bands; band++) {
    bright.set(values.subarray((bands - 1 - band) * frames, (bands - band) * frames), band * frames);
  }
  const { width, height } = settings;
  const shown = resize({ data: bright, width: frames, height: bands, channels: 1 },
    width, height, BILINEAR).data;
  return Uint8Array.from(shown, (b) => Math.round(Math.min(1, Math.max(0, b)) * 255));
}

/** {values, bands, frames}: |STFT|^2 gathered by the filters of a channel. */
function powerInBands(clip, settings, { n_fft: n, window, bands }) {
  const y = padded(clip, settings, n / 2), hop = settings.hop_length;
  const frames = 1 + Math.floor((y.length - n) / hop);
  const values = new Float32Array(bands.length * frames);
  const fft = new Fft(n), re = new Float64Array(n), im = new Float64Array(n);
  const even = new Float64Array(n / 2 + 1), odd = new Float64Array(n / 2 + 1);
  for (let frame = 0; frame < frames; frame += 2) { // two at once: one is the imaginary part
    const first = frame * hop, second = Math.min(frame + 1, frames - 1) * hop;
    for (let i = 0; i < n; i++) {
      re[i] = y[first + i] * window[i];
      im[i] = y[second + i] * window[i];
    }
    fft.transform(re, im);
    for (let k = 0; k <= n / 2; k++) {
      const mirrored = (n - k) % n;
      const a = re[k] + re[mirrored], b = im[k] - im[mirrored];
      const c = im[k] + im[mirrored], d = re[mirrored] - re[k];
      even[k] = (a * a + b * b) / 4;
      odd[k] = (c * c + d * d) / 4;
    }
    gather(even, bands, values, frame, frames);
    if (frame + 1 < frames) gather(odd, bands, values, frame + 1, frames);
  }
  return { values, bands: bands.length, frames };
}

function gather(power, bands, values, frame, frames) {
  bands.forEach(([first, weights], band) => {
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i] * power[first + i];
    values[band * frames + frame] = sum;
  });
}

/** The clip after pre-emphasis, with what frames see beyond its ends. */
function padded(clip, settings, beyond) {
  const mirrored = settings.edges === "mirror", factor = Math.fround(settings.preemphasis);
  let y = clip;
  if (!mirrored) { // the last samples get a frame of their own
    y = new Float32Array((settings.frames - 1) * settings.hop_length);
    y.set(clip);
  }
  if (factor) {
    const rest = new Float32Array(y.length);
    for (let t = 1; t < y.length; t++) rest[t] = y[t] - Math.fround(factor * y[t - 1]);
    rest[0] = y[0];
    y = mirrored ? rest.subarray(1) : rest;
  }
  const out = new Float32Array(y.length + 2 * beyond);
  out.set(y, beyond);
  for (let i = 1; mirrored && i <= beyond; i++) {
    out[beyond - i] = y[i];
    out[beyond + y.length - 1 + i] = y[y.length - 1 - i];
  }
  return out;
}

/** Power as brightness: 1 is the reference, 0 is top_db below it. */
function decibels({ values, bands, frames }, { ref, top_db: range, log_offset: offset }) {
  let loudest = 0;
  for (let i = 0; i < values.length; i++) {
    values[i] += offset;
    if (values[i] > loudest) loudest = values[i];
  }
  const reference = ref === "max" ? loudest : Number(ref), top = ref === "max" ? 0 : range;
  const silent = reference <= AMIN, zero = 10 * Math.log10(silent ? 1 : reference);
  for (let i = 0; i < values.length; i++) {
    const db = silent ? -range : 10 * Math.log10(Math.max(values[i], AMIN)) - zero;
    values[i] = 1 + Math.min(top, Math.max(-range, db)) / range;
  }
  return { values, bands, frames };
}

/** The Fourier transform of n complex numbers in place; n is a power of two. */
class Fft {
  constructor(n) {
    this.n = n;
    this.cos = Float64Array.from({ length: n / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / n));
    this.sin = Float64Array.from({ length: n / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / n));
    this.order = new Uint32Array(n); // with the bits of each number reversed
    for (let i = 1; i < n; i++) this.order[i] = (this.order[i >> 1] >> 1) | (i & 1 ? n >> 1 : 0);
  }

  transform(re, im) {
    const { n, cos, sin, order } = this;
    for (let i = 0; i < n; i++) {
      const j = order[i];
      if (i < j) {
        [re[i], re[j]] = [re[j], re[i]];
        [im[i], im[j]] = [im[j], im[i]];
      }
    }
    for (let half = 1; half < n; half *= 2) {
      const stride = n / (2 * half);
      for (let start = 0; start < n; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const a = start + k, b = a + half, c = cos[k * stride], s = sin[k * stride];
          const x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
          re[b] = re[a] - x;
          im[b] = im[a] - y;
          re[a] += x;
          im[a] += y;
        }
      }
    }
  }
}
