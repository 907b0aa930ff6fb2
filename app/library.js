/** The library: songs searched on the server page by page, heard, compared and corrected. */

const byName = (name) => name.charAt(0).toUpperCase() + name.slice(1);
const percent = (share) => `${Math.round(100 * share)} %`;

/** What is said of a song, in words. */
function saidOf(song) {
  const model = `${song.classes.join(", ")} (${percent(song.probability)})`;
  if (song.certainty === "corrected") return `${song.said.join(", ")}, corrected; the model said ${model}`;
  if (song.certainty === "unsure") return `Unsure; the nearest class is ${model}`;
  return `${byName(song.certainty)} ${model}`;
}

function field(label, input) {
  return make("label", {}, [make("span", { textContent: label }), input]);
}

function choice(first, names) {
  const options = names.map((name) => make("option", { value: name, textContent: byName(name) }));
  return make("select", {}, first ? [make("option", { value: "", textContent: first }), ...options] : options);
}

/** Answers of the server as data; an Error with its words where there is none. */
async function asked(path, options = {}) {
  const response = await fetch(`library/${path}`, options);
  const data = await response.json().catch(() => ({ error: "the page does not answer" }));
  if (!response.ok) throw new Error(data.error ?? "the page does not answer");
  return data;
}

function drawLibrary(root, { classes, colours, certainties, orders, page, corrects, several }) {
  const words = make("input", { type: "search", maxLength: 200, placeholder: "title, artist, file" });
  const classChoice = (first) => { // their names as they are
    const made = choice(first, []);
    made.append(...classes.map((name) => make("option", { value: name, textContent: name })));
    return made;
  };
  const label = classChoice("All classes"), certainty = choice("Any certainty", certainties);
  const order = choice("", orders), counter = make("p", { className: "count" });
  counter.setAttribute("role", "status");
  const list = make("ol", { className: "songs" });
  const [first, back, next] = ["Back to the library", "Previous songs", "Next songs"].map((text) =>
    make("button", { type: "button", textContent: text, hidden: true }));
  const audio = make("audio", { controls: true, preload: "none" }), now = make("span");
  const player = make("div", { className: "heard", hidden: true }, [now, audio]);
  let offset = 0, latest = 0;

  const show = (songs) => list.replaceChildren(...songs.map((song) => row(song)));
  const failed = (error) => { counter.textContent = `Not possible: ${error.message}.`; };

  async function load(from) {
    const turn = ++latest, options = { words: words.value, class: label.value,
      certainty: certainty.value, order: order.value, offset: from };
    try {
      const { n, songs } = await asked(`songs?${new URLSearchParams(options)}`);
      if (turn !== latest) return; // another search was begun meanwhile
      offset = from;
      const last = from + songs.length;
      const place = n > page ? `, ${(from + 1).toLocaleString("en")} to ${last.toLocaleString("en")} shown` : "";
      counter.textContent = `${n.toLocaleString("en")} ${n === 1 ? "song" : "songs"}${place}`;
      show(songs);
      [first.hidden, back.hidden, next.hidden] = [true, from === 0, last >= n];
    } catch (error) {
      if (turn === latest) failed(error);
    }
  }

  async function compare(song) {
    const turn = ++latest;
    try {
      const { songs } = await asked(`similar/${song.id}`);
      if (turn !== latest) return;
      counter.textContent = `Songs like ${song.title}`;
      show(songs);
      [first.hidden, back.hidden, next.hidden] = [false, true, true];
      first.focus();
    } catch (error) {
      failed(error);
    }
  }

  function play(song) {
    now.textContent = [song.title, song.artist].filter(Boolean).join(", by ");
    audio.src = `library/sound/${song.id}`;
    player.hidden = false;
    audio.onerror = async () => { // the element does not say why
      const reply = await fetch(audio.src, { headers: { range: "bytes=0-0" } });
      const { error } = reply.ok ? {} : await reply.json().catch(() => ({}));
      counter.textContent = `Not possible: ${error ?? "this browser cannot play the file"}.`;
    };
    audio.play().catch(() => {}); // said by onerror
  }

  /** The item of a song; its buttons name it to those who do not see the list. */
  function row(song) {
    const button = (text, does) => {
      const made = make("button", { type: "button", textContent: text });
      made.setAttribute("aria-label", `${text}: ${song.title}`);
      made.addEventListener("click", does);
      return made;
    };
    const swatch = make("i");
    swatch.style.background = colours[song.said[0] ?? song.classes[0]];
    const title = make("b", { textContent: song.title });
    const about = [song.artist, clock(song.seconds), song.likeness].filter(Boolean).join(" · ");
    const item = make("li", {}, [button("Play", () => play(song)),
      make("div", {}, [title, make("span", { textContent: about }), make("small", { textContent: song.file })]),
      make("p", {}, [swatch, saidOf(song)]), button("Similar", () => compare(song))]);
    if (corrects) item.append(button("Correct", () => correct(song, item)));
    return item;
  }

  /** Where a person says which one class a song is, and how to read it. */
  function classList(song) {
    const list = classChoice("Choose a class");
    list.required = true;
    return { part: field(`${song.title} is really`, list), chosen: () => [list.value] };
  }

  /** The same for several classes, with a box for each. */
  function classBoxes(song) {
    const now = song.said.length ? song.said : song.classes;
    const boxes = classes.map((name) =>
      make("input", { type: "checkbox", value: name, checked: now.includes(name) }));
    const labels = boxes.map((box) => make("label", {}, [box, box.value]));
    const legend = make("legend", { textContent: `${song.title} is really` });
    return { part: make("fieldset", {}, [legend, ...labels]),
      chosen: () => boxes.filter((box) => box.checked).map((box) => box.value) };
  }

  function correct(song, item) {
    if (item.querySelector("form")) return;
    const { part, chosen } = several ? classBoxes(song) : classList(song);
    const form = make("form", {}, [part,
      make("button", { textContent: "Save" }), make("button", { type: "button", textContent: "Cancel" })]);
    const end = (shown) => {
      item.replaceWith(shown);
      shown.querySelector("button:last-of-type").focus();
    };
    form.lastChild.addEventListener("click", () => end(row(song)));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const names = chosen(), query = new URLSearchParams(names.map((name) => ["class", name]));
        const { songs } = await asked(`correct/${song.id}?${query}`, { method: "POST" });
        counter.textContent = `Noted: ${song.title} is ${names.join(", ")}.`;
        end(row(songs[0]));
      } catch (error) {
        failed(error);
      }
    });
    item.append(form);
    part.querySelector("select, input").focus();
  }

  let waiting;
  words.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => load(0), 200);
  });
  for (const select of [label, certainty, order]) select.addEventListener("change", () => load(0));
  first.addEventListener("click", () => load(offset));
  const turn = async (from) => {
    await load(from);
    counter.scrollIntoView({ block: "nearest" });
  };
  back.addEventListener("click", () => turn(Math.max(0, offset - page)));
  next.addEventListener("click", () => turn(offset + page));
  const search = make("div", { className: "search" }, [field("Search", words),
    field("Class", label), field("Certainty", certainty), field("Order", order)]);
  search.setAttribute("role", "search");
  root.replaceChildren(search, counter, make("p", { className: "pages" }, [first]), list,
    make("p", { className: "pages" }, [back, next]), player);
  load(0);
}
