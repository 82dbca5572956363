/* The table of cases: sorts, filters, and opens a case. What comes from logs only ever becomes text. */
(() => {
  "use strict";
  const { make, table, unpack } = mlperfCharts;
  const PAGE = 200;
  const CHUNK = 100;
  const MARKS = { pass: "\u2713", fail: "\u2717", unplaced: "\u2013", error: "!", dropped: "\u00b7" };
  const FILTERS = ["benchmark", "scenario", "mode", "SKU"];
  const LEFT_OUT = ["ending"];
  const collator = new Intl.Collator("en", { numeric: true });

  const chunks = new Map();
  const details = async (index) => {
    const start = index - (index % CHUNK);
    if (!chunks.has(start)) chunks.set(start, unpack(`mlperf-details-${start}`));
    return (await chunks.get(start))[index - start];
  };

  const start = ({ named, quantities, rows }) => {
    const columns = [...named, ...quantities];
    const at = Object.fromEntries(columns.map((name, index) => [name, index]));
    const told = (name) => named.includes(name) || rows.some((row) => row[at[name]]);
    const shownColumns = columns.filter((name) => !LEFT_OUT.includes(name) && told(name));
    const present = (ending) => rows.some((row) => row[at.ending] === ending);
    const endings = Object.keys(MARKS).filter(present);
    const state = {
      text: "",
      endings: new Set(endings.filter((ending) => ending !== "dropped" || endings.length === 1)),
      chosen: {},
      sort: null,
      descending: false,
      shown: PAGE,
      open: new Map(),
      view: [],
    };
    const body = make("tbody");
    const more = make("button", { type: "button" });
    const count = make("span", { class: "count", role: "status" });
    const heads = {};

    const value = (row, name) => {
      const cell = row[at[name]];
      return quantities.includes(name) ? (cell ? cell[0] : null) : cell;
    };
    const compare = (a, b) => {
      const [one, other] = [value(rows[a], state.sort), value(rows[b], state.sort)];
      if (one === null || other === null) return (one === null) - (other === null);
      const order = typeof one === "number" ? one - other : collator.compare(one, other);
      return state.descending ? -order : order;
    };
    const kept = (row) =>
      state.endings.has(row[at.ending]) &&
      FILTERS.every((name) => !state.chosen[name] || row[at[name]] === state.chosen[name]) &&
      state.text.split(/\s+/).every((word) => row[at.case].toLowerCase().includes(word));

    const cell = (row, name) => {
      const content = row[at[name]];
      if (name === "case") return make("td", { class: "case" }, make("button", { type: "button", class: "opener", "aria-expanded": "false" }, content));
      if (name === "verdict") return make("td", {}, make("span", { class: `mark ${row[at.ending]}` }, `${MARKS[row[at.ending]]} ${content}`));
      if (quantities.includes(name)) return make("td", { class: `quantity ${name}` }, content ? content[1] : "");
      return make("td", { class: name }, content);
    };
    const line = (index) => {
      const row = make("tr", { "data-index": index }, ...shownColumns.map((name) => cell(rows[index], name)));
      if (!state.open.has(index)) return [row];
      row.querySelector(".opener").setAttribute("aria-expanded", "true");
      return [row, state.open.get(index)];
    };
    const opened = (index) => {
      const inner = make("td", { colspan: shownColumns.length }, "\u2026");
      details(index).then((known) => inner.replaceChildren(...block(known)), (error) => inner.replaceChildren(`This page is damaged: ${error}`));
      return make("tr", { class: "opened" }, inner);
    };
    const render = () => {
      body.replaceChildren(...state.view.slice(0, state.shown).flatMap(line));
      if (!state.view.length) body.append(make("tr", {}, make("td", { colspan: shownColumns.length }, "no case is like this")));
      const left = state.view.length - state.shown;
      more.hidden = left <= 0;
      more.textContent = `Show ${Math.min(left, PAGE)} more of ${left}`;
      count.textContent = `${state.view.length} of ${rows.length} cases`;
    };
    const update = () => {
      state.view = rows.map((_, index) => index).filter((index) => kept(rows[index]));
      if (state.sort) state.view.sort(compare);
      state.shown = PAGE;
      render();
    };
    const toggle = (index, row) => {
      const opener = row.querySelector(".opener");
      if (state.open.has(index)) {
        state.open.get(index).remove();
        state.open.delete(index);
        opener.setAttribute("aria-expanded", "false");
      } else {
        state.open.set(index, opened(index));
        row.after(state.open.get(index));
        opener.setAttribute("aria-expanded", "true");
      }
    };

    const header = (name) => {
      const button = make("button", { type: "button" }, name === "case" ? "Case" : name[0].toUpperCase() + name.slice(1));
      heads[name] = make("th", { scope: "col", class: name, "aria-sort": "none" }, button);
      button.addEventListener("click", () => {
        state.descending = state.sort === name && !state.descending;
        state.sort = name;
        for (const [other, head] of Object.entries(heads)) head.setAttribute("aria-sort", other === name ? (state.descending ? "descending" : "ascending") : "none");
        update();
      });
      return heads[name];
    };
    const box = (ending) => {
      const input = make("input", { type: "checkbox", value: ending });
      input.checked = state.endings.has(ending);
      input.addEventListener("change", () => {
        input.checked ? state.endings.add(ending) : state.endings.delete(ending);
        update();
      });
      const total = rows.filter((row) => row[at.ending] === ending).length;
      return make("label", {}, input, ` ${MARKS[ending]} ${ending} (${total})`);
    };
    const select = (name) => {
      const values = [...new Set(rows.map((row) => row[at[name]]))].sort(collator.compare);
      const element = make("select", { "aria-label": name }, make("option", { value: "" }, `any ${name}`), ...values.map((text) => make("option", { value: text }, text)));
      element.addEventListener("change", () => {
        state.chosen[name] = element.value;
        update();
      });
      return element;
    };
    const search = make("input", { type: "search", placeholder: "part of a case's id", "aria-label": "part of a case's id" });
    search.addEventListener("input", () => {
      state.text = search.value.toLowerCase().trim();
      update();
    });
    more.addEventListener("click", () => {
      state.shown += PAGE;
      render();
    });
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-index]");
      const marking = event.detail > 0 && String(window.getSelection());
      if (row && !marking) toggle(Number(row.dataset.index), row);
    });
    window.addEventListener("beforeprint", () => {
      for (const reasons of document.querySelectorAll("details.bad")) reasons.open = true;
      state.shown = state.view.length;
      render();
    });

    const follow = () => {
      const [key, id] = location.hash.slice(1).split("=", 2);
      const index = key === "case" ? rows.findIndex((row) => row[at.case] === decodeURIComponent(id)) : -1;
      if (index < 0) return;
      if (!state.view.includes(index)) state.view.unshift(index);
      state.shown = Math.max(state.shown, state.view.indexOf(index) + 1);
      if (!state.open.has(index)) state.open.set(index, opened(index));
      render();
      body.querySelector(`tr[data-index="${index}"]`).scrollIntoView();
    };
    window.addEventListener("hashchange", follow);

    document.getElementById("mlperf-cases").append(
      make("h3", {}, "Cases"),
      make("div", { class: "tools" }, search, ...FILTERS.map(select), ...endings.map(box), count),
      make("table", { class: "grid cases" }, make("thead", {}, make("tr", {}, ...shownColumns.map(header))), body),
      more,
    );
    update();
    follow();
  };

  const rules = (findings) => {
    const head = ["", "Rule", "Expected", "Observed", "Margin", "Next step", "In", "Rule of"];
    const grid = table(head, findings, "rules");
    findings.forEach((finding, index) => grid.tBodies[0].rows[index].setAttribute("class", finding[0]));
    return grid;
  };

  const block = (known) => {
    const parts = [make("p", { class: "headline" }, known.headline)];
    if (known.reason) parts.push(make("pre", {}, known.reason));
    if (known.findings) {
      const news = known.findings.filter((finding) => finding[0] !== "holds" || finding[4] || finding[1].endsWith(" baseline"));
      const others = known.findings.filter((finding) => !news.includes(finding));
      if (news.length) parts.push(rules(news));
      if (others.length) {
        const summary = make("summary", {}, `${others.length} ${news.length ? "more rules hold" : "rules hold"}`);
        parts.push(make("details", {}, summary, rules(others)));
      }
    }
    if (known.comparisons) {
      const head = ["Beside", "Compared", "Median", "Of"];
      parts.push(make("h4", {}, "Baselines"), table(head, known.comparisons));
    }
    if (known.attempts) parts.push(make("h4", {}, "Attempts"), table(["", "Ending", "Measured", "Why"], known.attempts));
    const charts = make("div", { class: "charts" });
    parts.push(charts);
    // A chart needs to know how wide it may be: it is drawn once its place is in the page.
    requestAnimationFrame(() => {
      const place = () => charts.appendChild(make("section"));
      for (const spread of known.latencies || []) mlperfCharts.distribution(place(), spread);
      if (known.throughput) mlperfCharts.throughput(place(), known.throughput);
    });
    if (known.facts) parts.push(table(["What is known", ""], known.facts, "known"));
    if (known.links) {
      const files = known.links.map(([name, address]) => make("li", {}, make("a", { href: address }, name)));
      parts.push(make("h4", {}, "Files"), make("ul", { class: "files" }, ...files));
    }
    return parts;
  };

  unpack("mlperf-rows").then(start, (error) => {
    document.getElementById("mlperf-cases").textContent = `The table of cases cannot be shown: ${error}`;
  });
})();
