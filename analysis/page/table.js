// The table of trials: sorted, filtered, and drawn a hundred rows at a time, however many there are.
report.table = (() => {
  const { data, state, trials } = report;
  const table = document.getElementById("table");
  if (!table) return { start() {}, onOpen() {} };
  const STEP = 100;
  const shown = document.getElementById("shown"), more = document.getElementById("more");
  const form = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });
  let order = [...trials.keys()], limit = STEP, open = () => {};

  const text = (value, kind) => (kind !== "number" ? value : value === null ? "–" : form.format(value));
  const nameColumn = data.columns.findIndex(([, , key]) => key === "name");

  function row(i) {
    const line = document.createElement("tr");
    data.columns.forEach(([, kind, key], column) => {
      const cell = line.insertCell();
      const value = text(data.rows[i][column], kind);
      cell.className = kind === "number" ? "number" : key === "reason" ? "reason" : key === "trial" ? "mono" : "";
      if (column === nameColumn) {
        const button = document.createElement("button");
        button.textContent = value;
        button.setAttribute("aria-label", `Open ${value}, seed ${trials[i].seed}`);
        cell.append(button);
      } else if (key === "state") {
        const mark = document.createElement("span");
        mark.className = "state";
        mark.dataset.state = value;
        mark.textContent = value;
        cell.append(mark);
      } else cell.textContent = value;
    });
    line.dataset.trial = i;
    line.classList.toggle("chose", data.confirms && trials[i].role === "search");
    return line;
  }
  function mark() {
    for (const line of table.tBodies[0].rows) {
      line.classList.toggle("selected", trials[line.dataset.trial].configuration === state.selected);
    }
  }
  function render() {
    const kept = order.filter((i) => state.keepTrial[i]);
    table.tBodies[0].replaceChildren(...kept.slice(0, limit).map(row));
    const part = kept.length > limit ? `, the first ${limit} listed` : "";
    shown.textContent = `${kept.length} of ${trials.length} trials${part}`;
    more.hidden = kept.length <= limit;
    mark();
  }
  function sort(column, button) {
    const head = button.parentElement, kind = data.columns[column][1];
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    table.querySelectorAll("th").forEach((th) => th.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const key = (i) => data.rows[i][column];
    const missing = (value) => value === null || value === "";
    const compare = new Intl.Collator(undefined, { numeric: true }).compare;
    order = [...trials.keys()].sort((i, j) => {
      const [a, b] = [key(i), key(j)];
      if (missing(a) || missing(b)) return missing(a) - missing(b); // what is missing stays last both ways
      return sign * (kind === "number" ? a - b : compare(a, b));
    });
    render();
  }
  return {
    onOpen(handler) { open = handler; },
    start() {
      table.querySelectorAll("th button").forEach((button, column) => button.addEventListener("click", () => sort(column, button)));
      table.tBodies[0].addEventListener("click", (event) => {
        const line = event.target.closest("tr");
        if (line && !getSelection().toString()) open(trials[line.dataset.trial].configuration, Number(line.dataset.trial));
      });
      more.addEventListener("click", () => { limit += 5 * STEP; render(); });
      report.listen((what) => (what === "filter" ? ((limit = STEP), render()) : mark()));
    },
  };
})();
