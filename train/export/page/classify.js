/** A file to an answer: as inference/ does, with onnxruntime's network in this browser. */

import * as ort from "./onnxruntime.mjs";
import { whyUnfamiliar } from "./novelty.js";
import { coloured, readPicture, toInput, undone } from "./picture.js";
import { decode, filled, spansOf } from "./sound.js";
import { levels } from "./spectrogram.js";

/** Reads model.json and model.onnx beside this file. */
export async function loadModel() {
  const near = (name) => new URL(name, import.meta.url).href;
  ort.env.wasm.numThreads = 1; // more need headers that a plain server does not send
  ort.env.wasm.wasmPaths = { wasm: near("onnxruntime.wasm") };
  const facts = await (await fetch(near("model.json"))).json();
  return { facts, session: await ort.InferenceSession.create(near("model.onnx")) };
}

/** The answer for a picture or a recording (File); onClip(done, all) hears of its progress. */
export async function classify(model, file, onClip = () => {}) {
  const picture = await readPicture(file);
  if (picture) return ofPicture(model, file.name, picture);
  const { render } = model.facts;
  if (!render) throw new Error("not a picture; this model has learnt pictures alone");
  const y = await decode(await file.arrayBuffer(), render.sr);
  if (!y.length) throw new Error("it has no samples");
  const spans = spansOf(y.length, render.clip_samples, render.sr, model.facts.long_seconds);
  const clips = [];
  for (const span of spans) {
    onClip(clips.length, spans.length);
    await new Promise((resolve) => setTimeout(resolve)); // the page can draw in between
    const input = drawn(filled(y, span, render.clip_samples, render.short === "repeat"), model.facts);
    clips.push({ start_s: span[0] / render.sr, end_s: span[1] / render.sr, input,
      ...(await answered(model, input)) });
  }
  return ofRecording(model.facts.classes, file.name, clips);
}

/** A clip's picture at the network's size. */
export function drawn(clip, { render, image }) {
  const channels = render.channels.map((channel) => levels(clip, render, channel));
  return toInput(coloured(channels, render), image);
}

async function ofPicture(model, name, picture) {
  const input = toInput(undone(picture, model.facts.drawing), model.facts.image);
  return { file: name, ...(await answered(model, input)), agreement: 1, timeline: [], input };
}

/** {class, probability, probabilities, unsure} of one picture. */
async function answered({ facts, session }, input) {
  const { width, height } = input, pixels = width * height;
  const planes = new Uint8Array(3 * pixels);
  for (let i = 0; i < pixels; i++) {
    for (let channel = 0; channel < 3; channel++) planes[channel * pixels + i] = input.data[3 * i + channel];
  }
  const tensor = new ort.Tensor("uint8", planes, [1, 3, height, width]);
  const { logits } = await session.run({ images: tensor });
  const scaled = [...logits.data].map((logit) => logit / facts.temperature);
  const top = Math.max(...scaled), powers = scaled.map((logit) => Math.exp(logit - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return { ...named(facts.classes, powers.map((power) => power / sum)),
    unsure: whyUnfamiliar(input, facts.novelty) };
}

function named(classes, row) {
  const best = row.indexOf(Math.max(...row));
  const probabilities = Object.fromEntries(classes.map((name, i) => [name, row[i]]));
  return { class: classes[best], probability: row[best], probabilities };
}

/** The mean of the clips; unsure when more than half of them are, for their commonest reason. */
function ofRecording(classes, name, timeline) {
  const row = classes.map((one) =>
    timeline.reduce((sum, clip) => sum + clip.probabilities[one], 0) / timeline.length);
  const answer = named(classes, row);
  const agreeing = timeline.filter((clip) => clip.class === answer.class).length;
  const reasons = timeline.map((clip) => clip.unsure).filter(Boolean);
  const times = (reason) => reasons.filter((other) => other === reason).length;
  const commonest = reasons.reduce((a, b) => (a !== null && times(a) >= times(b) ? a : b), null);
  const unsure = 2 * reasons.length > timeline.length
    ? `${reasons.length} of ${timeline.length} clips: ${commonest}` : null;
  return { file: name, ...answer, agreement: agreeing / timeline.length, unsure, timeline,
    seconds: timeline.at(-1).end_s };
}
