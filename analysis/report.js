// Draws the charts in the page's mode, fills in the pictures, sorts and filters the table of trials.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };

  function draw(place) {
    const figure = data.figures[place.dataset.figure];
    const layout = { ...figure.layout, template: data.themes[dark.matches ? "dark" : "light"], autosize: true };
    Plotly.react(place, figure.data, structuredClone(layout), config);
  }
  // A chart is drawn when it comes near the window: parallel coordinates take seconds where there is no GPU.
  const charts = [...document.querySelectorAll(".chart")];
  const drawn = new Set();
  function drawOnce(place) {
    if (!drawn.has(place)) { drawn.add(place); draw(place); }
  }
  const near = new IntersectionObserver((entries) => {
    entries.filter((e) => e.isIntersecting).forEach((e) => { near.unobserve(e.target); drawOnce(e.target); });
  }, { rootMargin: "500px 0px" });
  charts.forEach((place) => near.observe(place));
  addEventListener("beforeprint", () => charts.forEach(drawOnce));
  dark.addEventListener("change", () => drawn.forEach(draw));

  document.querySelectorAll("img[data-picture]").forEach((image) => { image.src = data.pictures[image.dataset.picture]; });

  // The section in view is marked in the navigation.
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const bar = document.querySelector("nav > div");
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      const link = links.get(entry.target.id);
      links.forEach((a) => a.classList.toggle("here", a === link));
      bar.scrollTo({ left: link.offsetLeft - bar.clientWidth / 2, behavior: "smooth" });
    }
  }, { rootMargin: "-15% 0px -80% 0px" });
  document.querySelectorAll("section").forEach((section) => watcher.observe(section));

  const table = document.getElementById("table");
  if (!table) return;
  const body = table.tBodies[0];
  const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
  table.querySelectorAll("th button").forEach((button, column) => button.addEventListener("click", () => {
    const head = button.parentElement;
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    table.querySelectorAll("th").forEach((th) => th.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const numeric = button.dataset.kind === "number";
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) => {
      if (a === "" || b === "") return (a === "") - (b === ""); // what is missing stays last both ways
      return sign * (numeric ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    });
    body.append(...rows.map(([, row]) => row));
  }));
  const filter = document.getElementById("filter"), shown = document.getElementById("shown");
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase().split(/\s+/);
    let n = 0;
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
      n += !row.hidden;
    }
    shown.textContent = filter.value ? `${n} of ${body.rows.length} shown` : "";
  });
})();
