/** Pictures to the network's size, in the colours that it has learnt: as data/images/ does. */

const triangle = (x) => Math.max(0, 1 - Math.abs(x));
const box = (x) => (x > -0.5 && x <= 0.5 ? 1 : 0);
export const BILINEAR = { weight: triangle, reach: 1 };
export const BOX = { weight: box, reach: 0.5 };
const BITS = 22; // of the fraction of Pillow's whole-number weights of 8-bit pictures
const MAP_DISTANCE = 12; // RGB steps from a colour map's colours within which pictures have it

/**
 * A picture {data, width, height, channels} at another size, by Pillow's algorithm: a filter that
 * widens as the picture shrinks, along rows, then along columns. 8-bit data stay so in between.
 */
export function resize(picture, width, height, filter) {
  let { data } = picture;
  const { channels } = picture;
  if (width !== picture.width) {
    data = along(data, { n: picture.width, m: width, lines: picture.height, channels,
      inner: channels, line: picture.width * channels, target: width * channels }, filter);
  }
  if (height !== picture.height) {
    data = along(data, { n: picture.height, m: height, lines: width, channels,
      inner: width * channels, line: channels, target: channels }, filter);
  }
  return { data, width, height, channels };
}

/** n places of each of `lines` to m; inner: from place to place; line, target: to the next line. */
function along(data, { n, m, lines, channels, inner, line, target }, filter) {
  const whole = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  const out = new (whole ? Uint8ClampedArray : Float32Array)(m * lines * channels);
  const scale = n / m, widening = Math.max(scale, 1), reach = filter.reach * widening;
  for (let x = 0; x < m; x++) {
    const centre = (x + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(n, Math.trunc(centre + reach + 0.5));
    const weights = [];
    for (let i = first; i < last; i++) weights.push(filter.weight((i - centre + 0.5) / widening));
    const sum = weights.reduce((a, b) => a + b, 0);
    const scaled = weights.map((w) => (whole ? Math.trunc(0.5 + (w / sum) * 2 ** BITS) : w / sum));
    for (let number = 0; number < lines; number++) {
      for (let channel = 0; channel < channels; channel++) {
        let value = whole ? 2 ** (BITS - 1) : 0, at = number * line + first * inner + channel;
        for (const weight of scaled) {
          value += weight * data[at];
          at += inner;
        }
        out[number * target + x * inner + channel] = whole ? Math.floor(value / 2 ** BITS) : value;
      }
    }
  }
  return out;
}

/** RGB pixels of channels of levels (height * width): by 256 colours, or one channel a colour. */
export function coloured(channels, { width, height, colours, flip }) {
  const data = new Uint8Array(3 * width * height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const from = (flip ? height - 1 - row : row) * width + column;
      const to = 3 * (row * width + column);
      if (colours) data.set(colours[channels[0][from]], to);
      else for (let i = 0; i < 3; i++) data[to + i] = channels[i][from];
    }
  }
  return { data, width, height, channels: 3 };
}

/** A picture as the network is given it: at the size it was kept at in training, then at its own. */
export function toInput(picture, { width, height, canvas }) {
  return resize(resize(picture, canvas[0], canvas[1], BILINEAR), width, height, BILINEAR);
}

/** The pixels of a picture file (Blob), as it is drawn there. */
export async function readPicture(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch {
    return null;
  }
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillRect(0, 0, width, height); // transparency is laid on black, the colour of silence
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) data.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
  return { data, width, height, channels: 3 };
}

/** What `drawing` says is undone of a picture file: frame, colours, direction. */
export function undone(picture, drawing) {
  const { width, height } = picture;
  const known = drawing.frames.find(([w, h]) => w === width && h === height);
  if (!known && (drawing.crop || drawing.source)) {
    const sizes = drawing.frames.map(([w, h]) => `${w} x ${h}`).join(", ");
    throw new Error(`a picture of ${width} x ${height} pixels; this page knows those of ${sizes}`);
  }
  const [left, top, right, bottom] = known?.slice(2) ?? [0, 0, width, height];
  const data = new Uint8Array(3 * (right - left) * (bottom - top));
  const nearest = drawing.source && nearestLevel(drawing.source);
  let distance = 0, to = 0;
  for (let row = top; row < bottom; row++) {
    const from = drawing.flip ? top + bottom - 1 - row : row;
    for (let column = left; column < right; column++, to += 3) {
      const rgb = picture.data.subarray(3 * (from * width + column), 3 * (from * width + column) + 3);
      const level = nearest?.(rgb);
      if (nearest) distance += Math.hypot(...drawing.source[level].map((value, i) => value - rgb[i]));
      data.set(nearest ? drawing.colours[level] : rgb, to);
    }
  }
  if (distance / (to / 3) > MAP_DISTANCE) {
    throw new Error("a picture in other colours than those of the training pictures");
  }
  return { data, width: right - left, height: bottom - top, channels: 3 };
}

/** A function from a colour to the nearest of 256 colours; each colour is searched for once. */
function nearestLevel(colours) {
  const known = new Map();
  return (rgb) => {
    const key = (rgb[0] << 16) | (rgb[1] << 8) | rgb[2];
    if (!known.has(key)) {
      let best = 0, least = Infinity;
      colours.forEach((colour, level) => {
        const d = colour.reduce((sum, value, i) => sum + (value - rgb[i]) ** 2, 0);
        if (d < least) [best, least] = [level, d];
      });
      known.set(key, best);
    }
    return known.get(key);
  };
}
