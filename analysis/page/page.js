// Filters, navigation, the gallery, and what a live page does; starts everything.
(() => {
  const { data, state, configurations, trials } = report;
  const said = document.getElementById("said");

  // Filters: the values that there are; one that would choose among nothing is left out.
  const known = {
    method: configurations.map((c) => c.method), kernel: configurations.map((c) => c.kernel),
    seed: trials.map((t) => t.seed), state: trials.map((t) => t.state),
  };
  const bar = document.getElementById("filters"), clear = document.getElementById("clear");
  for (const [key, values] of Object.entries(known)) {
    const choices = [...new Set(values.filter((v) => v !== null && v !== undefined).map(String))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    const select = bar.querySelector(`[data-filter=${key}]`);
    select.append(...choices.map((choice) => new Option(choice, choice)));
    select.parentElement.hidden = choices.length < 2;
    select.addEventListener("change", () => report.filter({ [key]: select.value }));
  }
  const text = bar.querySelector("[data-filter=text]");
  let wait;
  text.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(() => report.filter({ text: text.value }), 120); });
  clear.addEventListener("click", () => {
    bar.querySelectorAll("select, input").forEach((control) => { control.value = ""; });
    state.subset = null;
    report.filter({ method: "", kernel: "", seed: "", state: "", text: "" });
  });
  report.listen((what) => {
    if (what === "filter") {
      const kept = state.keepConfiguration.filter(Boolean).length;
      const any = state.subset || Object.values(state.filters).some(Boolean);
      clear.hidden = !any;
      document.getElementById("kept").textContent = any ? `${kept} of ${configurations.length} configurations` : "";
    } else if (state.selected !== null) said.textContent = configurations[state.selected].hover.replaceAll("<br>", ", ").replace(/<[^>]+>/g, "");
    document.querySelectorAll("[data-card]").forEach((card) => {
      const c = Number(card.dataset.card);
      card.classList.toggle("selected", c === state.selected);
      card.hidden = !state.keepConfiguration[c];
    });
  });

  // Of charts between which there is a choice, the chosen one is shown.
  document.querySelectorAll(".choices").forEach((choices) => {
    const charts = choices.parentElement.querySelectorAll("[data-choice]");
    const choose = () => charts.forEach((chart) => { chart.hidden = chart.dataset.choice !== choices.querySelector(":checked").value; });
    choices.addEventListener("change", choose);
    choose();
  });

  // Pictures of the gallery are decoded when they come near the window.
  const fill = (place) => { if (!place.firstChild) report.panel.pictures(place, Number(place.dataset.trial)); };
  const near = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((e) => { near.unobserve(e.target); fill(e.target); }), { rootMargin: "600px 0px" });
  const places = document.querySelectorAll(".pictures[data-trial]");
  places.forEach((place) => near.observe(place));
  // Printing does not wait for pictures, so those that nobody came near are decoded while the page is idle.
  const rest = [...places], idle = window.requestIdleCallback ?? setTimeout;
  const decode = () => { if (rest.length) { fill(rest.shift()); idle(decode); } };
  addEventListener("load", () => idle(decode));
  document.querySelectorAll("[data-open]").forEach((button) => button.addEventListener("click", () => report.panel.open(Number(button.dataset.open), null)));

  document.querySelectorAll("[data-trace]").forEach((place) => place.append(report.panel.trace(Number(place.dataset.trace))));

  // The section in view is marked in the navigation.
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const strip = document.querySelector("nav > div");
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      const link = links.get(entry.target.id);
      links.forEach((a) => a.classList.toggle("here", a === link));
      strip.scrollTo({ left: link.offsetLeft - strip.clientWidth / 2, behavior: "smooth" });
    }
  }, { rootMargin: "-15% 0px -80% 0px" });
  document.querySelectorAll("main > section").forEach((part) => watcher.observe(part));

  report.charts.onOpen(report.panel.open);
  report.table.onOpen(report.panel.open);
  report.table.start();
  report.start();
  report.charts.start();
  report.panel.start();
  document.documentElement.dataset.ready = "yes";
  performance.mark("ready");

  // A live page asks the server that sent it whether the results have changed, and then takes its place anew.
  if (data.live) {
    let version = null;
    setInterval(async () => {
      try {
        const now = await (await fetch("version")).text();
        if (version !== null && now !== version) location.reload();
        version = now;
      } catch { said.textContent = "The server of this page has ended."; }
    }, 2000);
  }
})();
