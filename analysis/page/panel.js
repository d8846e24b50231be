// The panel of a configuration: values, pictures, learning curves, rates, replicates, recipe, weights.
report.panel = (() => {
  const { data, state, trials, configurations } = report;
  const panel = document.getElementById("panel"), body = document.getElementById("panel-body");
  let trial = null, back = null;

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children.filter((child) => child !== null));
    return made;
  }
  const section = (title, ...children) => element("section", {}, element("h3", { textContent: title }), ...children);

  // Canvases of a trial's pictures of some kinds (or all); strips hold several, one above the other.
  function pictures(place, index, kinds) {
    const own = trials[index], pieces = (data.pictures[index] ?? []).filter(([kind]) => !kinds || kinds.has(kind));
    const name = own ? configurations[own.configuration].name : "";
    place.replaceChildren(...pieces.map(([kind, file, y, height, width]) => {
      const title = kinds ? `${(data.kinds[kind] ?? kind).split(":")[0]}: ${name}` : data.kinds[kind] ?? kind;
      const canvas = element("canvas", { width, height });
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${data.kinds[kind] ?? kind}, ${name}`);
      canvas.dataset.kind = kind;
      report.image(file).then((image) => {
        canvas.getContext("2d").drawImage(image, 0, y, width, height, 0, 0, width, height);
        canvas.dataset.drawn = "yes";
      });
      return element("figure", { className: kind }, canvas, element("figcaption", { textContent: title }));
    }));
    return pieces.length > 0;
  }
  function recipe(c, seed) { return { ...data.recipe, ...configurations[c].recipe, seed }; }
  function command(c, own) {
    const text = JSON.stringify(recipe(c, own.seed)).replaceAll("'", `'\\''`);
    const plugins = configurations[c].recipe.plugins || data.recipe.plugins ? data.plugins : "";
    return [`python -m evae.repeat '${text}'`, data.conditions[own.ran], plugins].filter(Boolean).join(" ");
  }
  async function copy(text, button) {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = element("textarea", { value: text });
      panel.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  }
  function code(text, label) {
    const button = element("button", { className: "copy", textContent: label });
    button.addEventListener("click", () => copy(text, button));
    return element("div", { className: "code" }, element("pre", { textContent: text, tabIndex: 0 }), button);
  }
  // The stack trace of a trial, folded up; made only when somebody unfolds it.
  function trace(index) {
    const at = trials[index].trace;
    if (at === null) return null;
    if (at < 0) return element("p", { className: "lead", textContent: `Its stack trace had no room on this page; it is in trials/${trials[index].id}.parquet of the results, column traceback.` });
    const folded = element("details", { className: "trace" }, element("summary", { textContent: `Stack trace of ${trials[index].id}` }));
    folded.addEventListener("toggle", () => folded.append(code(data.traces[at], "Copy stack trace")), { once: true });
    return folded;
  }
  const cells = (tag, values) => values.map((value) => element(tag, { textContent: value ?? "–" }));

  function values(it) {
    const rows = it.values.map((value, i) => value && element("tr", {}, element("th", { textContent: data.metrics[i], scope: "row" }), element("td", { className: "number", textContent: value })));
    const params = it.params.map(([name, value]) => element("span", {}, `${name} `, element("b", { textContent: value })));
    const remark = it.remark ? element("p", { className: "lead", textContent: it.remark }) : "";
    return section("Values", element("p", { className: "values" }, ...params), remark, element("table", { className: "plain" }, element("tbody", {}, ...rows)));
  }
  function replicates(c) {
    const objectives = data.columns.map(([title, kind, key], column) => ({ title, kind, key, column }))
      .filter(({ key }) => ["seed", "role", "state", "epochs", "restarts", "lanes", "stepped"].includes(key) || data.objectives.includes(key));
    const head = element("tr", {}, ...cells("th", [...objectives.map((o) => o.title), "trial"]));
    const form = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });
    const rows = configurations[c].trials.map((i) => {
      const button = element("button", { textContent: trials[i].id, className: "mono" });
      button.setAttribute("aria-pressed", i === trial);
      button.addEventListener("click", () => show(c, i));
      const why = data.rows[i][data.columns.findIndex(([, , key]) => key === "reason")];
      const texts = objectives.map(({ column, kind }) => { const v = data.rows[i][column]; return kind === "number" && v !== null ? form.format(v) : v; });
      const line = element("tr", { className: i === trial ? "selected" : data.confirms && trials[i].role === "search" ? "chose" : "" }, ...cells("td", texts), element("td", {}, button));
      return why ? [line, element("tr", {}, element("td", { colSpan: texts.length + 1, className: "wrap why", textContent: why }))] : [line];
    }).flat();
    return section("Replicates", element("div", { className: "scroll" }, element("table", { className: "plain" }, element("thead", {}, head), element("tbody", {}, ...rows))), ...configurations[c].trials.map(trace));
  }
  function curve(key, c) {
    const figure = data.figures[key], own = new Set(configurations[c].trials);
    if (!figure) return null;
    const traces = [];
    for (const trace of figure.data.filter((t) => t.meta === "trial" && t.mode?.includes("lines"))) for (const i of own) {
      const at = [...trace.customdata.keys()].filter((j) => trace.customdata[j] === i && trace.y[j] !== null);
      if (at.length) traces.push({ x: at.map((j) => trace.x[j]), y: at.map((j) => trace.y[j]), mode: at.length > 1 ? "lines" : "markers", name: `seed ${trials[i].seed}`, line: { width: i === trial ? 3 : 1.5 } });
    }
    return traces.length ? small(traces, "epoch", figure.layout.yaxis.title.text) : null;
  }
  function small(traces, x, y) {
    const place = element("div", { className: "small" });
    const layout = { template: report.charts.template(), height: 220, showlegend: traces.length > 1, margin: { t: 8, r: 8 },
      xaxis: { title: { text: x } }, yaxis: { title: { text: y.replace(" (", "<br>(") } } };
    place.draw = () => Plotly.react(place, traces, { ...layout, template: report.charts.template() }, { displayModeBar: false, responsive: true });
    return place;
  }
  // Of code maps, a channel is what a latent is elsewhere.
  function rates() {
    const known = trials[trial]?.rates, codes = trials[trial]?.codes, each = codes ? "channel" : "latent";
    const shown = known
      ? small([{ type: "bar", x: known.map((_, i) => i + 1), y: [...known].sort((a, b) => b - a), name: "rate", marker: { color: "#0072B2" } }], `${each}, by rate`, "rate (nats per image)")
      : element("p", { className: "lead", textContent: `No rate of each ${each} is recorded: the posterior has none, or the trial did not finish.` });
    const note = codes ? element("p", { className: "lead", textContent: `The code of an image is a map: channels x height x width = ${codes}. A channel's rate is the sum over its places.` }) : null;
    return section(`Rate of each ${each}`, note, shown);
  }
  // The same kinds of another configuration beside these: at first of the control with the standard KL divergence.
  let other;
  // The first trial of those whose values a configuration has, else any, that does.
  const first = (c, does) => configurations[c].trials.find((i) => trials[i].role === configurations[c].role && does(i)) ?? configurations[c].trials.find(does);
  const shownTrial = (c) => first(c, (i) => data.pictures[i]);
  function beside(c) {
    const known = [...configurations.keys()].filter((o) => o !== c && (configurations[o].origin !== "searched" || configurations[o].front) && shownTrial(o) !== undefined);
    if (!known.length) return null;
    if (other === undefined) other = known.find((o) => configurations[o].standard) ?? known.find((o) => configurations[o].control) ?? known[0];
    const select = element("select", {}, ...known.map((o) => new Option(configurations[o].name, o)));
    select.value = known.includes(other) ? other : known[0];
    const grids = element("div", { className: "pictures", id: "beside" });
    const kinds = new Set((data.pictures[trial] ?? []).map(([kind]) => kind).filter((kind) => kind !== "real"));
    const fill = () => pictures(grids, shownTrial(Number(select.value)), kinds);
    select.addEventListener("change", () => { other = Number(select.value); fill(); });
    fill();
    return element("div", {}, element("label", { className: "beside lead" }, "Beside it: ", select), grids);
  }
  function show(c, chosen) {
    const it = configurations[c];
    trial = chosen ?? shownTrial(c) ?? first(c, (i) => trials[i].state === "finished") ?? it.trials[0] ?? null;
    const own = trials[trial];
    document.getElementById("panel-title").textContent = it.name;
    const marks = [it.front && "front", it.origin !== "searched" && it.origin, data.confirms && it.role === "search" && "not confirmed", it.method].filter(Boolean);
    const grids = element("div", { className: "pictures" });
    const any = own && pictures(grids, trial);
    const note = any ? `Seed ${own.seed}; the real images are of the test split.` : "No pictures of this trial are on this page; where it has some, they are in images/ of the results.";
    const curves = ["val_distortion_nats", "val_rate_nats"].map((key) => curve(key, c));
    const weights = own && data.weights.includes(trial)
      ? code(`from evae.checkpoints import load_model\nmodel = load_model("${data.location}/weights/${own.id}.safetensors")`, "Copy code")
      : element("p", { className: "lead", textContent: "The weights of this trial were not kept." });
    body.replaceChildren(
      element("p", { className: "values" }, ...marks.map((mark) => element("span", { className: "badge", textContent: mark })), element("span", { className: "mono", textContent: it.id })),
      ...(own?.taken ? [element("p", { className: "lead", id: "taken", textContent: `Seed ${own.seed} was trained in ${own.taken}, and taken from there.` })] : []),
      section("Pictures", element("p", { className: "lead", textContent: note }), grids, any ? beside(c) : null),
      values(it), replicates(c),
      section("Learning curves", ...(curves.some(Boolean) ? curves : [element("p", { className: "lead", textContent: "No epoch was recorded." })])),
      rates(),
      section("Recipe", element("p", { className: "lead", textContent: "This command trains the trial again and prints what it measures. On another device or kind of processor, or with other threads, expect values that differ as much as another seed's." }),
        own ? code(command(c, own), "Copy command") : null,
        element("details", {}, element("summary", { textContent: "All of the recipe" }), element("pre", { textContent: JSON.stringify(recipe(c, own?.seed), null, 2) }))),
      section("Weights", weights),
    );
    panel.hidden = false;
    document.body.classList.add("with-panel");
    body.querySelectorAll(".small").forEach((place) => place.draw());
  }
  function open(c, chosen) {
    if (c === null || c === undefined) return;
    if (panel.hidden) back = document.activeElement;
    show(c, chosen);
    panel.scrollTop = 0;
    report.select(c);
    document.getElementById("panel-title").focus({ preventScroll: true });
  }
  function close() {
    panel.hidden = true;
    document.body.classList.remove("with-panel");
    report.select(null);
    back?.focus?.({ preventScroll: true });
  }
  // The neighbour among those that the filters keep: the front first.
  function step(by) {
    const kept = [...configurations.keys()].filter((c) => state.keepConfiguration[c]);
    const order = [...kept.filter((c) => configurations[c].front), ...kept.filter((c) => !configurations[c].front)];
    const at = order.indexOf(state.selected);
    if (order.length) open(order[(at + by + order.length) % order.length], null);
  }
  return {
    open, pictures, trace,
    start() {
      document.getElementById("panel-close").addEventListener("click", close);
      document.getElementById("panel-next").addEventListener("click", () => step(1));
      document.getElementById("panel-previous").addEventListener("click", () => step(-1));
      addEventListener("keydown", (event) => { if (event.key === "Escape" && !panel.hidden) close(); });
      report.charts.onMode(() => body.querySelectorAll(".small").forEach((place) => place.draw()));
      const wanted = /^#configuration-(.+)$/.exec(location.hash)?.[1];
      const c = configurations.findIndex((it) => it.id === wanted);
      if (wanted && c >= 0) open(c, null);
    },
  };
})();
