/** Tables that are sorted by a click on a heading and filtered by what is typed. */

/** Makes the headings of a table buttons that sort its body; numbers sort as numbers. */
export function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const body = table.tBodies[0], sign = descending ? -1 : 1;
      body.append(...[...body.rows].sort((a, b) => sign * compare(a, b, column)));
    });
  });
}

function compare(a, b, column) {
  const [left, right] = [a, b].map((row) => row.cells[column].textContent.trim());
  const numbers = [left, right].map(Number.parseFloat);
  return numbers.some(Number.isNaN) ? left.localeCompare(right) : numbers[0] - numbers[1];
}

/** Shows the rows of a table that have the text, whatever its case; says how many these are. */
export function filterRows(table, text, counter) {
  const wanted = text.trim().toLowerCase(), rows = [...table.tBodies[0].rows];
  for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  const shown = rows.filter((row) => !row.hidden).length;
  counter.textContent = shown === rows.length ? `${shown} files` : `${shown} of ${rows.length} files`;
}
