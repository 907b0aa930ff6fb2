/** The page: files that are dropped or chosen, the answer for one, a table of many. */

import { classify, loadModel } from "./classify.js";
import { canvasOf, joined, make, showPlayer } from "./player.js";
import { filterRows, makeSortable } from "./table.js";
import { percent, sentence, verdict } from "./verdict.js";

const MOST_MB = 200; // of a file: all of its samples are in memory
const part = (id) => document.getElementById(id);
const answers = [];
let model, sound;

async function start() {
  part("status").textContent = "Reading the model…";
  try {
    model = await loadModel();
  } catch (error) {
    part("status").textContent = `The model cannot be read: ${error.message}`;
    return;
  }
  part("status").textContent = "";
  part("drop").hidden = false;
  part("files").addEventListener("change", (event) => takeAll([...event.target.files]));
  part("save").addEventListener("click", save);
  makeSortable(part("answers"));
  part("filter").addEventListener("input", refilter);
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => event.preventDefault());
  }
  document.addEventListener("drop", (event) => takeAll([...event.dataTransfer.files]));
  document.body.dataset.ready = "yes";
}

async function takeAll(files) {
  part("files").disabled = true;
  for (const [i, file] of files.entries()) {
    const number = files.length > 1 ? `${i + 1} of ${files.length}, ` : "";
    const onClip = (done, all) => {
      part("status").textContent = `${number}${file.name}: clip ${done + 1} of ${all}`;
    };
    try {
      if (file.size > MOST_MB * 1e6) throw new Error(`larger than ${MOST_MB} MB`);
      const answer = await classify(model, file, onClip);
      show(answer, file);
      answers.push(answer);
    } catch (error) {
      part("answer").textContent = `${file.name}: ${error.message}`;
      part("detail").replaceChildren();
      answers.push({ file: file.name, reason: error.message });
    }
  }
  part("status").textContent = "";
  part("files").disabled = false;
  part("files").value = "";
  if (answers.length > 1) list();
}

/** The answer in a sentence, over its player or its picture. */
function show(answer, file) {
  const { classes, colours, hertz } = model.facts;
  part("answer").textContent = sentence(answer);
  if (!answer.timeline.length) {
    const picture = canvasOf(answer.input), bars = Object.entries(answer.probabilities)
      .sort((a, b) => b[1] - a[1]).slice(0, 5)
      .map(([name, share]) => make("li", { textContent: `${name} ${percent(share)}` }));
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", "The picture as the network sees it");
    part("detail").replaceChildren(picture, make("ol", {}, bars));
    return;
  }
  if (sound) URL.revokeObjectURL(sound);
  sound = URL.createObjectURL(file);
  showPlayer(part("detail"), { answer, source: sound, picture: joined(answer.timeline), hertz,
    colours: Object.fromEntries(classes.map((name, i) => [name, colours[i]])) });
}

function list() {
  part("table").hidden = false;
  part("rows").replaceChildren(...answers.map((one) => make("tr", {}, [
    make("td", { textContent: one.file }),
    make("td", { textContent: one.reason ? "no answer" : verdict(one) }),
    make("td", { textContent: one.reason ? "" : percent(one.probability) }),
    make("td", { textContent: one.reason ?? one.unsure ?? "" })])));
  refilter();
}

function refilter() {
  filterRows(part("answers"), part("filter").value, part("count"));
}

function save() {
  const { classes } = model.facts, cell = (text) => `"${String(text).replaceAll('"', '""')}"`;
  const rows = [["file", "answer", "class", "probability", "remark", ...classes]];
  for (const one of answers) {
    rows.push(one.reason ? [one.file, "", "", "", one.reason, ...classes.map(() => "")]
      : [one.file, verdict(one), one.class, one.probability.toFixed(6), one.unsure ?? "",
        ...classes.map((name) => one.probabilities[name].toFixed(6))]);
  }
  const text = rows.map((row) => row.map(cell).join(",") + "\n").join("");
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })),
    download: "answers.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

await start();
