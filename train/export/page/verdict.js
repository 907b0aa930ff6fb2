/** An answer in a sentence: as inference/output.py puts it. */

export const percent = (share) => `${Math.round(100 * share)}%`;

/** Whether no class prevails over the others: at most half of a recording's clips agree. */
export const isMixed = (answer) => answer.timeline.length > 1 && answer.agreement <= 0.5;

/** What a table says in place of the class. */
export const verdict = (answer) => answer.unsure ? "unsure" : isMixed(answer) ? "mixed" : answer.class;

/** The class with how certain it is, and which parts sound like another. */
export function sentence(answer) {
  const ranked = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  const [first, second] = ranked.map(([name, share]) => `${name} (${percent(share)})`);
  if (answer.unsure) return `Unsure: ${answer.unsure}. The nearest class is ${first}.`;
  let said = `Almost certainly ${first}`;
  if (isMixed(answer)) said = `Mixed: ${first} and ${second}`;
  else if (answer.probability < 0.7) said = `Perhaps ${first}, otherwise ${second}`;
  else if (answer.probability < 0.9) said = `Probably ${first}`;
  return [said, ...otherParts(answer)].join("; ") + ".";
}

/** Of the beginning, the middle and the end, those most of whose clips have another class. */
function otherParts({ timeline, class: whole }) {
  if (timeline.length < 3) return [];
  const end = timeline.at(-1).end_s, parts = [[], [], []];
  for (const clip of timeline) {
    const middle = (clip.start_s + clip.end_s) / 2;
    parts[Math.min(2, Math.floor((3 * middle) / end))].push(clip.class);
  }
  return ["beginning", "middle", "end"].flatMap((name, i) => {
    const other = parts[i].find((label) =>
      label !== whole && 2 * parts[i].filter((one) => one === label).length > parts[i].length);
    return other === undefined ? [] : [`the ${name} sounds like ${other}`];
  });
}
