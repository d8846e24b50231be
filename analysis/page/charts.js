// Draws the charts in the page's mode, without what the filters leave out, and marks what is selected.
report.charts = (() => {
  const { data, state } = report;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const places = [...document.querySelectorAll(".chart")];
  const drawn = new Set(), visible = new Set(), stale = new Set(), configs = new Map();
  let open = () => {}, draws = 0;

  const ink = () => (dark.matches ? "#ffffff" : "#000000");
  const choose = (values, keep) => (Array.isArray(values) ? keep.map((i) => values[i]) : values);

  // The points of a trace at these places.
  function pick(trace, keep) {
    const picked = { ...trace };
    for (const key of ["x", "y", "base", "text", "customdata"]) if (key in trace) picked[key] = choose(trace[key], keep);
    for (const key of ["error_x", "error_y"]) if (trace[key]?.array) {
      const { array, arrayminus } = trace[key];
      picked[key] = { ...trace[key], array: choose(array, keep), ...(arrayminus && { arrayminus: choose(arrayminus, keep) }) };
    }
    return picked;
  }
  function filtered(trace) {
    if (!trace.meta) return trace;
    const whole = trace.meta === "configuration"
      ? { ...trace, text: trace.customdata.map((c) => data.configurations[c]?.hover) } : trace;
    const keep = [...trace.customdata.keys()].filter((i) => report.keeps(trace.meta, trace.customdata[i]));
    return keep.length === trace.customdata.length ? whole : pick(whole, keep);
  }
  function marked(trace) {
    if (!trace.meta || state.selected === null) return [];
    const at = [...trace.customdata.keys()].filter((i) => report.configurationOf(trace.meta, trace.customdata[i]) === state.selected);
    if (!at.length) return [];
    const { x, y, base, yaxis, xaxis, orientation, type, mode } = pick(trace, at);
    const common = { x, y, base, xaxis, yaxis, orientation, type, showlegend: false, hoverinfo: "skip", name: "selected" };
    if (type === "bar") return [{ ...common, marker: { color: "rgba(0,0,0,0)", line: { color: ink(), width: 3 } } }];
    if (mode.includes("lines")) return [{ ...common, mode, line: { color: ink(), width: 3 }, marker: { color: ink(), size: 5 } }];
    return [{ ...common, mode: "markers", marker: { symbol: "circle-open", size: 20, color: ink(), line: { width: 3 } } }];
  }
  const download = (name, content, type) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const CSV = { width: 24, height: 24, path: "M4 3h16v18H4zM4 9h16M4 15h16M10 3v18", transform: "scale(0.9)" };
  const SVG = { width: 24, height: 24, path: "M4 3h16v18H4zM7 17l4-6 3 4 2-3 3 5z", transform: "scale(0.9)" };
  const buttons = (key) => [
    { name: "csv", title: "Download the data as CSV", icon: CSV, click: () => download(`${key}.csv`, csv(key), "text/csv") },
    { name: "svg", title: "Download as SVG", icon: SVG, click: (place) => Plotly.downloadImage(place, { format: "svg", filename: key }) },
  ];
  // The points as drawn, one a line: series, names, x, y.
  function csv(key) {
    const quote = (v) => (v === null || v === undefined ? "" : /[",\n]/.test(v) ? `"${String(v).replaceAll('"', '""')}"` : v);
    const lines = [["series", "configuration", "trial", "role", "x", "y"]], searched = data.searched.includes(key);
    for (const trace of data.figures[key].data.map(filtered)) (trace.x ?? []).forEach((x, i) => {
      const at = trace.customdata?.[i], c = trace.meta && report.configurationOf(trace.meta, at);
      const trial = trace.meta === "trial" ? data.trials[at] : null;
      const role = trial ? trial.role : searched || trace.legendgroup === "chose" ? "search" : data.configurations[c]?.role;
      lines.push([trace.name, data.configurations[c]?.id, trial?.id, c === undefined || c === null ? null : role, x, trace.y[i]]);
    });
    return lines.map((line) => line.map(quote).join(",")).join("\n") + "\n";
  }

  // The same object each time: where its functions are others, Plotly makes the chart anew, which hears no click
  // meanwhile; and two that are under way at once start each other for ever.
  function config(key, linked) {
    if (!configs.has(key)) configs.set(key, {
      displaylogo: false, responsive: true, modeBarButtonsToAdd: buttons(key),
      modeBarButtonsToRemove: linked ? ["lasso2d", "autoScale2d"] : ["lasso2d", "select2d", "autoScale2d"],
    });
    return configs.get(key);
  }
  function draw(place) {
    const key = place.dataset.figure, figure = data.figures[key];
    const layout = {
      ...structuredClone(figure.layout), template: data.themes[dark.matches ? "dark" : "light"], autosize: true,
      uirevision: "kept", selectionrevision: ++draws, selections: [],
    };
    const traces = figure.data.map(filtered);
    const linked = figure.data.some((trace) => trace.meta);
    Plotly.react(place, [...traces, ...figure.data.map(filtered).flatMap(marked)], layout, config(key, linked));
    if (drawn.has(place)) return;
    drawn.add(place);
    performance.mark(key);
    if (linked) link(place, figure);
  }
  // Plotly looks for the point below the mouse every 50 ms at most, forgets it where it looks while a button is down,
  // and then does not hear the click. It has looked once more a little later, and what it found counts.
  const LOOKED_MS = 60;
  function link(place, figure) {
    let heard = false;
    function hear({ points }) {
      const { data: trace, customdata } = points[0];
      if (!trace.meta) return;
      heard = true;
      open(report.configurationOf(trace.meta, customdata), trace.meta === "trial" ? customdata : null);
    }
    place.addEventListener("pointerdown", () => { heard = false; }, true);
    place.on("plotly_click", hear);
    place.addEventListener("click", (event) => event.target.closest(".nsewdrag") && setTimeout(() => {
      if (!heard && place._hoverdata) hear({ points: place._hoverdata });
      // Between two axes a line has no point to click: the nearest line counts.
      const found = !heard && place.dataset.figure === "parallel" ? nearest(place, event) : null;
      if (found !== null) open(found, null);
    }, LOOKED_MS));
    place.on("plotly_selected", (event) => {
      if (!event?.points?.length) return;
      report.keepOnly(new Set(event.points.filter((p) => p.data.meta).map((p) => report.configurationOf(p.data.meta, p.customdata))));
    });
    if (!figure.data.some((trace) => trace.meta === "configuration")) return;
    place.tabIndex = 0;
    place.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step) { event.preventDefault(); walk(figure, step); }
      if (event.key === "Enter" && state.selected !== null) { event.preventDefault(); open(state.selected, null); }
    });
  }
  // The next configuration of a chart, from left to right.
  function walk(figure, step) {
    const at = new Map();
    for (const trace of figure.data.filter((t) => t.meta === "configuration").map(filtered)) {
      trace.customdata.forEach((c, i) => { if (!at.has(c)) at.set(c, [trace.x[i], trace.y[i]]); });
    }
    const order = [...at.keys()].sort((a, b) => at.get(a)[0] - at.get(b)[0] || at.get(a)[1] - at.get(b)[1]);
    const here = order.indexOf(state.selected);
    const next = here < 0 ? (step > 0 ? 0 : order.length - 1) : Math.min(order.length - 1, Math.max(0, here + step));
    if (order.length) report.select(order[next]);
  }
  function nearest(place, event) {
    const { xaxis, yaxis } = place._fullLayout, box = place.getBoundingClientRect();
    const px = event.clientX - box.left - xaxis._offset, py = event.clientY - box.top - yaxis._offset;
    let best = 8, found = null;
    for (const trace of place.data) {
      if (!trace.meta) continue;
      for (let i = 0; i + 1 < trace.x.length; i++) {
        if (trace.x[i] === null || trace.x[i + 1] === null) continue;
        const [ax, bx] = [xaxis.d2p(trace.x[i]), xaxis.d2p(trace.x[i + 1])];
        if (px < ax || px > bx) continue;
        const [ay, by] = [yaxis.d2p(trace.y[i]), yaxis.d2p(trace.y[i + 1])];
        const gap = Math.abs(ay + (by - ay) * (px - ax) / (bx - ax) - py);
        if (gap < best) [best, found] = [gap, trace.customdata[i]];
      }
    }
    return found;
  }

  // A chart is drawn when it comes near the window, and drawn again only while it is near.
  const near = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
    visible[isIntersecting ? "add" : "delete"](target);
    if (isIntersecting && (!drawn.has(target) || stale.delete(target))) draw(target);
  }), { rootMargin: "400px 0px" });
  function redraw() {
    for (const place of drawn) { if (visible.has(place)) draw(place); else stale.add(place); }
  }
  addEventListener("beforeprint", () => places.forEach((place) => { if (!drawn.has(place) || stale.delete(place)) draw(place); }));
  dark.addEventListener("change", redraw);
  report.listen(redraw);

  return {
    start() { places.forEach((place) => near.observe(place)); },
    onOpen(handler) { open = handler; },
    template: () => data.themes[dark.matches ? "dark" : "light"],
    onMode: (handler) => dark.addEventListener("change", handler),
    csv,
  };
})();
