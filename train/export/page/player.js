/** A timeline that is a player: click a moment to hear it; the classes follow what is heard. */

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600]; // seconds between two labels

export const clock = (seconds) => {
  const whole = Math.round(seconds), two = (n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60)];
  return hours ? `${hours}:${two(minutes % 60)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
};

/**
 * Fills `root`. answer: with its timeline; source: address of the sound; picture: an element that
 * shows the spectrogram; colours: {class: colour}; hertz: [[place from below in 0..1, label]].
 */
export function showPlayer(root, { answer, source, picture, colours, hertz }) {
  const { timeline } = answer, seconds = timeline.at(-1).end_s, edges = edgesOf(timeline);
  const audio = make("audio", { controls: true, src: source, preload: "metadata" });
  const head = make("div", { className: "head" }), now = make("p", { className: "now" });
  const seek = make("input", { type: "range", min: 0, max: seconds, step: 0.1, value: 0 });
  seek.setAttribute("aria-label", "Moment to hear, in seconds");
  const shares = make("canvas", { className: "shares", width: 1000, height: 60 });
  shares.setAttribute("role", "img");
  shares.setAttribute("aria-label", "Probabilities of the classes over time");
  drawShares(shares, timeline, edges, colours);
  const track = make("div", { className: "track" }, [
    picture, shares, labels("hertz", hertz.map(([place, label]) => [
      { top: `${(1 - place) * 10}rem`, transform: "translateY(-50%)" }, label])),
    labels("seconds", timesOf(seconds).map((s) => [{ left: `${(100 * s) / seconds}%` }, clock(s)])),
    head, seek]);

  const follow = () => {
    const at = audio.currentTime, i = Math.max(0, edges.findLastIndex((edge) => edge <= at));
    const clip = timeline[Math.min(i, timeline.length - 1)];
    head.style.left = `${Math.min(100, (100 * at) / seconds)}%`;
    seek.value = at;
    seek.setAttribute("aria-valuetext", `${clock(at)}, ${clip.class}`);
    const said = clip.unsure ? `unsure: ${clip.unsure}; nearest ${clip.class}` : clip.class || "none";
    now.textContent = `${clock(at)}  ${said} (${Math.round(100 * clip.probability)} %)`;
  };
  seek.addEventListener("input", () => {
    audio.currentTime = Number(seek.value);
    follow();
  });
  seek.addEventListener("click", () => audio.play().catch(() => {})); // the sound may be no longer there
  for (const event of ["timeupdate", "seeked", "play"]) audio.addEventListener(event, follow);
  const legend = make("ul", { className: "legend" }, Object.keys(answer.probabilities).map((name) => {
    const swatch = make("i");
    swatch.style.background = colours[name];
    return make("li", {}, [swatch, `${name} ${Math.round(100 * answer.probabilities[name])} %`]);
  }));
  root.replaceChildren(make("div", { className: "player" }, [audio, track, now, legend]));
  follow();
}

/** An element with properties and children; text is text, never markup. */
export function make(tag, properties = {}, children = []) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function labels(className, placed) {
  return make("div", { className }, placed.map(([style, text]) => {
    const label = make("span", { textContent: text });
    Object.assign(label.style, style);
    return label;
  }));
}

/** The n + 1 seconds between which n overlapping clips are shown: each around its own middle. */
function edgesOf(timeline) {
  const middles = timeline.map((clip) => (clip.start_s + clip.end_s) / 2);
  const between = middles.slice(1).map((middle, i) => (middles[i] + middle) / 2);
  return [timeline[0].start_s, ...between, timeline.at(-1).end_s];
}

function timesOf(seconds) {
  const step = STEPS.find((one) => seconds / one <= 7) ?? 7200;
  const times = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
  return times.filter((time) => time < 0.97 * seconds); // a label at the end would leave the track
}

/** Each clip's probabilities on top of one another; what is unsure is hatched.
 *
 * Those of several labels can be more than 1 together: then the most fills the height.
 */
function drawShares(canvas, timeline, edges, colours) {
  const sums = timeline.map((clip) => Object.values(clip.probabilities).reduce((a, b) => a + b, 0));
  const most = Math.max(1, ...sums);
  const context = canvas.getContext("2d"), { width, height } = canvas, end = edges.at(-1);
  timeline.forEach((clip, i) => {
    const left = (edges[i] / end) * width, right = (edges[i + 1] / end) * width;
    let base = height;
    for (const [name, probability] of Object.entries(clip.probabilities)) {
      const share = probability / most;
      context.fillStyle = colours[name];
      context.fillRect(left, base - share * height, right - left, share * height);
      base -= share * height;
    }
    context.strokeStyle = "#fff";
    for (let x = left; clip.unsure && x < right; x += 10) {
      context.beginPath();
      context.moveTo(x, height);
      context.lineTo(Math.min(x + 10, right), 0);
      context.stroke();
    }
  });
}

/** One picture of the recording from its clips' pictures, each beginning at its start. */
export function joined(timeline) {
  const { width, height } = timeline[0].input, first = timeline[0];
  const rate = Math.min(width, 8000 / timeline.at(-1).end_s) / (first.end_s - first.start_s);
  const canvas = make("canvas", { height, width: Math.max(1, Math.round(timeline.at(-1).end_s * rate)) });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Spectrogram: time to the right, frequency upwards");
  const context = canvas.getContext("2d");
  for (const { start_s: start, end_s: end, input } of timeline) {
    context.drawImage(canvasOf(input), start * rate, 0, (end - start) * rate, height);
  }
  return canvas;
}

export function canvasOf({ data, width, height }) {
  const canvas = make("canvas", { width, height });
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) rgba.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  return canvas;
}
