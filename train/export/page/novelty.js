/** Whether a picture is unlike all of training's: as train/evaluate/novelty.py measures it. */

import { resize, BOX } from "./picture.js";

const BLANK = 4; // levels that every colour differs by if nothing is on the picture

/** Why a picture at the network's size is unlike the training pictures, or null if it is like. */
export function whyUnfamiliar(picture, known) {
  if (isBlank(picture)) return "it is blank: one colour from edge to edge, as silence is";
  if (!known) return null;
  const { colours, structure } = measure(picture);
  if (distance(colours, known.colours) > known.colours.limit) {
    return "its colours are not those of the training pictures";
  }
  if (distance(structure, known.structure) > known.structure.limit) {
    return structure.every((value, i) => value < known.structure.mean[i])
      ? "it is even from edge to edge, as noise is, unlike the training pictures"
      : "its lines and changes are not those of the training pictures";
  }
  return null;
}

function isBlank({ data }) {
  const low = [255, 255, 255], high = [0, 0, 0];
  for (let i = 0; i < data.length; i++) {
    low[i % 3] = Math.min(low[i % 3], data[i]);
    high[i % 3] = Math.max(high[i % 3], data[i]);
  }
  return high.every((value, i) => value - low[i] <= BLANK);
}

function measure({ data, width, height }) {
  const rgb = [[], [], []];
  for (let row = 0; row < height; row += 4) {
    for (let column = 0; column < width; column += 4) {
      for (let i = 0; i < 3; i++) rgb[i].push(data[3 * (row * width + column) + i]);
    }
  }
  const apart = [[0, 1], [1, 2], [0, 2]].map(([a, b]) =>
    mean(rgb[a].map((value, i) => Math.abs(value - rgb[b][i]))));
  const grey = new Uint8Array(width * height); // as Pillow's mode L
  for (let i = 0; i < grey.length; i++) {
    grey[i] = (19595 * data[3 * i] + 38470 * data[3 * i + 1] + 7471 * data[3 * i + 2] + 32768) >> 16;
  }
  const small = resize({ data: grey, width, height, channels: 1 }, 32, 12, BOX).data;
  const changes = Array.from({ length: 12 }, (_, i) => deviation([...small.subarray(32 * i, 32 * i + 32)]));
  const rows = Array.from({ length: height }, (_, i) => mean(grey.subarray(i * width, (i + 1) * width)));
  const halves = [...halvesOf(ridges(rows)), ...halvesOf(changes)].map(mean);
  return {
    colours: [...rgb.map(mean), ...rgb.map(deviation), ...apart],
    structure: halves.map((half) => Math.log(0.1 + half)),
  };
}

/** How far each row is from the mean of its neighbours. */
function ridges(rows) {
  const reach = Math.max(1, Math.floor(rows.length / 32));
  return rows.map((row, i) => {
    let sum = 0;
    for (let j = i - reach; j <= i + reach; j++) sum += rows[Math.min(rows.length - 1, Math.max(0, j))];
    return Math.abs(row - sum / (2 * reach + 1));
  });
}

const halvesOf = (values) => {
  const middle = Math.ceil(values.length / 2);
  return [values.slice(0, middle), values.slice(middle)];
};
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const deviation = (values) => {
  const centre = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - centre) ** 2)));
};

/** Mahalanobis distance per measure. */
function distance(values, { mean: centre, scale, inverse }) {
  const z = values.map((value, i) => (value - centre[i]) / scale[i]);
  const squared = z.reduce((sum, a, i) => sum + a * z.reduce((s, b, j) => s + inverse[i][j] * b, 0), 0);
  return Math.sqrt(Math.max(squared, 0) / z.length);
}
