"use strict";
// Filters the table of predictions.
const table = document.getElementById("predictions");
if (table) {
  const rows = [...table.tBodies[0].rows];
  const field = (name) => document.getElementById(name);
  const [text, truth, predicted, wrong, count] = ["text", "truth", "predicted", "wrong", "count"].map(field);
  const names = (place) => [...new Set(rows.flatMap((row) => row.cells[place].dataset.names.split("\n")))].sort();
  for (const [select, place] of [[truth, 1], [predicted, 2]]) {
    for (const name of names(place)) select.add(new Option(name || "nothing", name));
  }
  const has = (row, place, select) =>
    select.selectedIndex === 0 || row.cells[place].dataset.names.split("\n").includes(select.value);
  const filter = () => {
    const part = text.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = row.cells[0].textContent.toLowerCase().includes(part) && has(row, 1, truth) && has(row, 2, predicted)
        && !(wrong.checked && "right" in row.dataset);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${rows.length} shown`;
  };
  for (const control of [text, truth, predicted, wrong]) control.addEventListener("input", filter);
  document.getElementById("filter").hidden = false;
  filter();
}
