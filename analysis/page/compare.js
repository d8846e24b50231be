// Draws the charts of a comparison in the page's mode.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function draw() {
    for (const place of document.querySelectorAll(".chart")) {
      const { data: traces, layout } = data.figures[place.dataset.figure];
      const template = data.themes[dark.matches ? "dark" : "light"];
      Plotly.react(place, traces, { ...structuredClone(layout), template, autosize: true }, { displaylogo: false, responsive: true });
    }
  }
  dark.addEventListener("change", draw);
  draw();
})();
