/** A sound file to samples, and these to clips: as render/audio/ does, with the browser's decoder. */

const LEAST_RATE = 3000, MOST_RATE = 768000; // Hz, of the browser's decoder
const STOPBAND_DB = 125; // by which the resampler dampens what lies above half the lower rate
const PASSBAND = 0.913; // of half the lower rate: up to here it changes nothing (soxr's HQ)
const MOST_PHASES = 2048; // of a filter; a rate that needs more is met to 1/4096 of a sample

/** The samples of a sound file (ArrayBuffer), float32, the mean of its channels, at `sr` Hz. */
export async function decode(buffer, sr) {
  const own = sampleRateOf(new Uint8Array(buffer)) ?? sr;
  if (own < LEAST_RATE || own > MOST_RATE) {
    throw new Error(`its rate of ${own} Hz is outside ${LEAST_RATE} to ${MOST_RATE} Hz`);
  }
  let audio;
  try { // in a context of the file's own rate: the browser's resampler is not ours
    audio = await new OfflineAudioContext(1, 1, own).decodeAudioData(buffer);
  } catch {
    throw new Error("neither a picture nor a recording that this browser can decode");
  }
  return resample(meanOfChannels(audio), own, sr);
}

/** What a file's header says of its rate in Hz (WAV, FLAC, Ogg, MP3, MP4), or null. */
export function sampleRateOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (at, n) => String.fromCharCode(...bytes.subarray(at, at + n));
  if (text(0, 4) === "RIFF" && text(8, 4) === "WAVE") {
    for (let at = 12; at + 16 <= bytes.length; at += 8 + view.getUint32(at + 4, true)) {
      if (text(at, 4) === "fmt ") return view.getUint32(at + 12, true);
    }
    return null;
  }
  if (text(0, 4) === "fLaC") return (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4);
  if (text(0, 4) === "OggS") {
    const start = text(0, 300), vorbis = start.indexOf("\x01vorbis");
    if (vorbis >= 0) return view.getUint32(vorbis + 12, true);
    return start.includes("OpusHead") ? 48000 : null;
  }
  if (text(4, 4) === "ftyp") {
    const box = find(bytes, "mp4a"); // ISO 14496-12: the rate is 16.16 fixed point
    return box >= 0 ? view.getUint16(box + 28) || null : null;
  }
  return rateOfMp3(bytes);
}

function rateOfMp3(bytes) {
  let at = 0;
  if (bytes[0] === 0x49 && bytes[1] === 0x44 && bytes[2] === 0x33) { // an ID3 tag comes first
    at = 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]);
  }
  for (const end = Math.min(bytes.length - 3, at + 65536); at < end; at++) {
    const version = (bytes[at + 1] >> 3) & 3, rate = (bytes[at + 2] >> 2) & 3;
    const synchronised = bytes[at] === 0xff && (bytes[at + 1] & 0xe6) === 0xe2; // layer III
    if (synchronised && version !== 1 && rate !== 3 && bytes[at + 2] >> 4 !== 15) {
      return [44100, 48000, 32000][rate] >> [2, 0, 1, 0][version];
    }
  }
  return null;
}

function find(bytes, name) {
  const codes = [...name].map((letter) => letter.charCodeAt(0));
  for (let at = bytes.indexOf(codes[0]); at >= 0; at = bytes.indexOf(codes[0], at + 1)) {
    if (codes.every((code, i) => bytes[at + i] === code)) return at;
  }
  return -1;
}

function meanOfChannels(audio) {
  const total = audio.getChannelData(0).slice();
  for (let channel = 1; channel < audio.numberOfChannels; channel++) {
    const more = audio.getChannelData(channel);
    for (let i = 0; i < total.length; i++) total[i] += more[i];
  }
  const n = audio.numberOfChannels;
  return n === 1 ? total : total.map((value) => value / n);
}

/** Float32Array y at `from` Hz brought to `to` Hz: a sinc in Kaiser's window, linear in phase. */
export function resample(y, from, to) {
  if (from === to) return y;
  const common = gcd(from, to), step = from / common, exact = to / common;
  const phases = Math.min(exact, MOST_PHASES);
  const { taps, filters } = polyphase(Math.min(1, to / from), phases);
  const n = Math.floor((y.length * to) / from + 0.5), out = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    const place = (i * step) / exact; // in samples of y
    let whole = Math.floor(place), phase = Math.round((place - whole) * phases);
    if (phase === phases) [whole, phase] = [whole + 1, 0];
    const filter = filters[phase], first = whole - taps + 1;
    const begin = Math.max(0, -first), end = Math.min(filter.length, y.length - first);
    let sum = 0;
    for (let k = begin; k < end; k++) sum += filter[k] * y[first + k];
    out[i] = sum;
  }
  return out;
}

/** Filters of 2 taps samples for places 0, 1/phases, ... behind a sample; scale: passed part. */
function polyphase(scale, phases) {
  const cutoff = (scale * (PASSBAND + 1)) / 2; // in half the rate of y
  const transition = Math.PI * scale * (1 - PASSBAND);
  // J. F. Kaiser's estimate of the length, and his window's parameter
  const taps = Math.ceil((STOPBAND_DB - 7.95) / (2.285 * transition) / 2);
  const beta = 0.1102 * (STOPBAND_DB - 8.7), top = bessel(beta);
  const filters = Array.from({ length: phases }, (_, phase) => {
    const filter = new Float64Array(2 * taps);
    let sum = 0;
    for (let k = 0; k < filter.length; k++) {
      const t = k - taps + 1 - phase / phases, edge = t / taps;
      const window = Math.abs(edge) < 1 ? bessel(beta * Math.sqrt(1 - edge * edge)) / top : 0;
      const x = Math.PI * cutoff * t;
      filter[k] = window * cutoff * (x === 0 ? 1 : Math.sin(x) / x);
      sum += filter[k];
    }
    return filter.map((value) => value / sum);
  });
  return { taps, filters };
}

/** The modified Bessel function of the first kind and order 0. */
function bessel(x) {
  let term = 1, sum = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}

/** [start, end] in samples of clips that cover `total`; the last one ends where the sound ends. */
export function spansOf(total, length, sr, longSeconds) {
  const clipSeconds = length / sr;
  const hop = Math.round((total / sr > longSeconds ? clipSeconds : clipSeconds / 2) * sr);
  const spans = [];
  let end = 0;
  for (let start = 0; start + length <= total; start += hop) {
    end = start + length;
    spans.push([start, end]);
  }
  if (end < total) spans.push([Math.max(0, total - length), total]);
  return spans;
}

/** The samples of a span brought to `length`: repeated from its start, or followed by silence. */
export function filled(y, [start, end], length, repeat) {
  const clip = new Float32Array(length), have = end - start;
  for (let at = 0; at < length && (at === 0 || repeat); at += have) {
    clip.set(y.subarray(start, Math.min(end, start + length - at)), at);
  }
  return clip;
}
