// What all views share: the data, which configuration is selected, what the filters keep. Views listen for changes.
const report = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { configurations, trials } = data;
  const listeners = [];
  const filters = { method: "", kernel: "", seed: "", state: "", text: "" };
  const state = { selected: null, subset: null, filters, keepTrial: [], keepConfiguration: [] };
  let files = null;
  const images = new Map();
  const whole = new Promise((done) => (document.readyState === "loading" ? addEventListener("DOMContentLoaded", done) : done()));

  function refresh() {
    const words = filters.text.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (c) => {
      const it = configurations[c];
      return (!filters.method || it.method === filters.method) && (!filters.kernel || it.kernel === filters.kernel)
        && (!state.subset || state.subset.has(c));
    };
    const passes = configurations.map((_, c) => has(c));
    state.keepTrial = trials.map((t, i) => passes[t.configuration]
      && (!filters.seed || String(t.seed) === filters.seed) && (!filters.state || t.state === filters.state)
      && words.every((word) => data.rows[i].join(" ").toLowerCase().includes(word)));
    // A configuration stays as long as one of its trials does.
    const some = new Set(trials.filter((_, i) => state.keepTrial[i]).map((t) => t.configuration));
    state.keepConfiguration = configurations.map((_, c) => some.has(c));
    tell("filter");
  }
  function tell(what) { listeners.forEach((listener) => listener(what)); }

  return {
    data, state, configurations, trials,
    listen: (listener) => listeners.push(listener),
    filter: (changes) => { Object.assign(filters, changes); refresh(); },
    keepOnly: (subset) => { state.subset = subset && subset.size ? subset : null; refresh(); },
    select(c) {
      if (c === state.selected) return;
      state.selected = c;
      const hash = c === null ? location.pathname + location.search : `#configuration-${configurations[c].id}`;
      history.replaceState(null, "", hash);
      tell("selection");
    },
    configurationOf: (meta, place) => (meta === "trial" ? trials[place]?.configuration : place),
    keeps: (meta, place) => (meta === "trial" ? state.keepTrial : state.keepConfiguration)[place],
    // Pictures are one text each until somebody wants to see them. They end the page: what answers need not wait for them.
    async image(index) {
      await whole;
      files ??= JSON.parse(document.getElementById("files").textContent);
      if (!images.has(index)) {
        const image = new Image();
        image.src = `data:image/${files[index].startsWith("iVBOR") ? "png" : "jpeg"};base64,${files[index]}`;
        images.set(index, image.decode().then(() => image));
      }
      return images.get(index);
    },
    start: refresh,
  };
})();
