/* The charts of a history: each is drawn when its series is opened; and a search among the series. */
(() => {
  "use strict";
  const { make, unpack, trend } = mlperfCharts;
  const all = [...document.querySelectorAll("details.series")];

  for (const series of all) {
    series.addEventListener("toggle", () => {
      for (const place of series.querySelectorAll("[data-trend]")) {
        if (!series.open || place.childElementCount) continue;
        unpack(place.dataset.trend).then(
          (told) => trend(place, told),
          (error) => place.append(`This page is damaged: ${error}`),
        );
      }
    });
  }

  const search = make("input", { type: "search", placeholder: "part of a name", "aria-label": "part of a name" });
  const count = make("span", { class: "count", role: "status" }, `${all.length} of ${all.length}`);
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().trim().split(/\s+/);
    for (const series of all) {
      const name = series.querySelector("summary").textContent.toLowerCase();
      series.hidden = !words.every((word) => name.includes(word));
    }
    count.textContent = `${all.filter((series) => !series.hidden).length} of ${all.length}`;
  });
  document.getElementById("mlperf-tools").append(search, count);
})();
