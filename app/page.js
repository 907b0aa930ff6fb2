/**
 * The parts of the page that Gradio does not have: the timeline and the table of many files.
 *
 * Their data come as text in a hidden code block of a gr.Markdown: base64 of JSON by app/view.py.
 * Gradio's own gr.HTML would evaluate strings, which the page's policy forbids. This stands in a
 * script element behind player.js, table.js and library.js.
 */

function drawAnswer(root, { answer, picture, about, source, colours, hertz }) {
  const shown = make("img", { src: picture, alt: about });
  if (answer.timeline.length) {
    showPlayer(root, { answer, source, picture: shown, colours, hertz });
    return;
  }
  const ranked = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]).slice(0, 5);
  root.replaceChildren(shown, make("ol", {}, ranked.map(([name, share]) =>
    make("li", { textContent: `${name} ${Math.round(100 * share)}%` }))));
}

function drawTable(root, { headings, rows }) {
  const cells = (tag, row) => row.map((text) => make(tag, { textContent: text }));
  const heading = make("tr", {}, cells("th", headings));
  for (const cell of heading.cells) cell.scope = "col";
  const table = make("table", {}, [make("thead", {}, [heading]),
    make("tbody", {}, rows.map((row) => make("tr", {}, cells("td", row))))]);
  const filter = make("input", { type: "search", placeholder: "filter, as: unsure" });
  filter.setAttribute("aria-label", "Show the files that have this text");
  const counter = make("span"), box = make("div", { className: "scroll", tabIndex: 0 }, [table]);
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", "Answers for all files");
  filter.addEventListener("input", () => filterRows(table, filter.value, counter));
  root.replaceChildren(make("p", {}, [filter, " ", counter]), box);
  makeSortable(table);
  filterRows(table, "", counter);
}

/** Draws what stands in the code block of the element `id`, whenever it is another. */
function follow(id, draw) {
  let last = "";
  return () => {
    const place = document.getElementById(id);
    if (!place) return;
    const text = place.querySelector("code")?.textContent.trim() ?? "";
    let root = place.querySelector(":scope > .drawn");
    if (text === last && (root || !text)) return;
    last = text;
    root ??= place.appendChild(make("div", { className: "drawn" }));
    root.replaceChildren();
    if (!text) return;
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    draw(root, JSON.parse(new TextDecoder().decode(bytes)));
  };
}

function drawHeat(root, { picture, about }) {
  root.replaceChildren(make("img", { src: picture, alt: about }));
}

/** Gradio names the places for files by other words than stand in them. */
function nameByText() {
  for (const place of document.querySelectorAll(".upload-container")) place.removeAttribute("aria-label");
}

const parts = [nameByText, follow("answer", drawAnswer), follow("heat", drawHeat), follow("table", drawTable),
  follow("library", drawLibrary)];
new MutationObserver(() => parts.forEach((part) => part()))
  .observe(document.documentElement, { childList: true, subtree: true, characterData: true });
