"use strict";
// The status page: it asks the routes of the app, and changes nothing. Whatever comes from outside is shown as text.

(() => {
  const main = document.getElementById("main");
  const entrance = document.getElementById("entrance");
  const leave = document.getElementById("leave");
  const refused = document.getElementById("refused");
  const state = document.getElementById("state");
  const stored = document.getElementById("data");
  const copy = stored ? parsed(stored.textContent) : null;

  // ---------------------------------------------------------------- asking

  class Problem extends Error {
    constructor(message, status) {
      super(message);
      this.status = status;
    }
  }

  const SENDABLE = /^[!-~]+$/; // a header takes nothing else, and a key is nothing else

  // A number of JavaScript has 53 bits, a column 64: what does not fit is kept as it is written, where the browser can.
  function parsed(text) {
    return JSON.parse(text, (_, value, context) => (Number.isInteger(value) && !Number.isSafeInteger(value) && context && JSON.rawJSON ? JSON.rawJSON(context.source) : value));
  }

  async function ask(path) {
    if (copy) {
      if (!(path in copy.answers)) throw new Problem("This copy does not hold it: open the page of the app.", 404);
      return copy.answers[path];
    }
    const key = sessionStorage.getItem("key");
    if (key && !SENDABLE.test(key)) throw new Problem("", 401);
    let answer;
    try {
      answer = await fetch(path, { headers: key ? { "x-functions-key": key } : {}, cache: "no-store" });
      if (answer.ok) return parsed(await answer.text());
    } catch (error) {
      const what = error instanceof SyntaxError ? "Something else answered in place of the app" : "The app does not answer";
      throw new Problem(`${what}. Check the network, the VPN and the proxy, then reload this page.`);
    }
    // The host's own errors (401, 404, 414) have no body.
    const body = await answer.json().catch(() => null);
    throw new Problem(body?.error?.message ?? `The app answered ${answer.status}.`, answer.status);
  }

  async function perhaps(path) {
    try {
      return { body: await ask(path) };
    } catch (problem) {
      if (problem.status === 401) throw problem;
      return { problem };
    }
  }

  // ---------------------------------------------------------------- building

  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
    return node;
  }

  const GOOD = ["complete", "done", "succeeded", "Succeeded", "ok", "current", "added"];
  const WARN = ["complete_unverified", "surplus", "capped", "running", "partial", "waiting", "warning", "behind", "building", "Running", "NotStarted", "PartiallySucceeded", "Uncertain", "changed"];
  const BAD = ["short", "suspect_empty", "failed", "error", "Failed", "removed", "unhealthy"];

  function mark(word) {
    const kind = GOOD.includes(word) ? "good" : WARN.includes(word) ? "warn" : BAD.includes(word) ? "bad" : "";
    return make("span", { class: `mark ${kind}` }, word);
  }

  const number = (value) => (value === null || value === undefined ? "" : value.toLocaleString("en"));
  const counted = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;
  const time = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 16)} UTC` : "");
  const shown = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));

  function age(seconds) {
    if (seconds === null || seconds === undefined) return "";
    const [size, name] = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]].find(([one]) => seconds >= one) ?? [1, "second"];
    return counted(Math.floor(seconds / size), name, `${name}s`);
  }

  // columns: [{title, value, cell, number}]; value sorts and searches, cell shows. more: the link to what a list has beyond its first page.
  function table(caption, columns, rows, { search = false, file = null, more = null } = {}) {
    let order = null;
    let wanted = "";
    const body = make("tbody");
    const count = make("span", { class: "faint", role: "status" });
    const heads = columns.map((column, index) =>
      make("th", { scope: "col", class: column.number ? "number" : null }, make("button", { type: "button", onclick: () => sort(index) }, column.title)),
    );
    const visible = () => {
      const found = rows.filter((row) => !wanted || columns.some((column) => shown(column.value(row)).toLowerCase().includes(wanted)));
      if (!order) return found;
      const value = columns[order.index].value;
      return [...found].sort((one, other) => compare(value(one), value(other), order.sign));
    };
    const draw = () => {
      const found = visible();
      body.replaceChildren(...found.slice(0, 500).map((row) => make("tr", null, columns.map((column) => make("td", { class: column.number ? "number" : null }, (column.cell ?? ((one) => shown(column.value(one))))(row))))));
      count.textContent = found.length > 500 ? `The first 500 of ${number(found.length)} rows.` : `${counted(found.length, "row", "rows")}.`;
      if (more) count.append(" The list has more.");
    };
    function sort(index) {
      order = { index, sign: order?.index === index ? -order.sign : 1 };
      heads.forEach((head, place) => (place === index ? head.setAttribute("aria-sort", order.sign > 0 ? "ascending" : "descending") : head.removeAttribute("aria-sort")));
      draw();
    }
    draw();
    const box = make("input", { type: "search", oninput: (event) => { wanted = event.target.value.toLowerCase(); draw(); } });
    const tools = make(
      "div",
      { class: "tools" },
      search ? make("label", null, "Search ", box) : null,
      file ? make("button", { type: "button", onclick: () => save(file, columns, visible()) }, "Save as CSV") : null,
      search || more ? count : null,
    );
    const grid = make("table", null, make("caption", null, caption), make("thead", null, make("tr", null, heads)), body);
    return make("div", null, search || file || more ? tools : null, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, grid));
  }

  // A table of the first page of a list, or a sentence where the list is empty.
  function listed(caption, columns, list, empty, options = {}) {
    return list.value.length || list.nextLink ? table(caption, columns, list.value, { ...options, more: list.nextLink }) : make("p", null, empty);
  }

  // Rows without a value come last, in whatever order.
  function compare(one, other, sign) {
    const [first, second] = [one ?? "", other ?? ""];
    if (first === "" || second === "") return first === second ? 0 : first === "" ? 1 : -1;
    const numbers = typeof first === "number" && typeof second === "number";
    return sign * (numbers ? first - second : shown(first).localeCompare(shown(second), "en", { numeric: true }));
  }

  function save(name, columns, rows) {
    const quoted = (value) => {
      const text = shown(value);
      // A spreadsheet runs what begins like this as a formula.
      const safe = /^[=+\-@\t\r]/.test(text) && !/^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? `'${text}` : text;
      return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    const lines = [columns.map((column) => quoted(column.title)), ...rows.map((row) => columns.map((column) => quoted(column.value(row))))];
    const address = URL.createObjectURL(new Blob(["\ufeff", lines.map((line) => `${line.join(",")}\r\n`).join("")], { type: "text/csv" }));
    make("a", { href: address, download: `${name}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  const DAY = 86400;

  function chart(counts, title) {
    const place = make("div", { class: "chart", role: "img", "aria-label": `${title}: ${counts.map((one) => `${one.day} ${one.items}`).join(", ")}` });
    const style = getComputedStyle(document.documentElement);
    const axis = { stroke: style.getPropertyValue("--faint"), grid: { stroke: style.getPropertyValue("--line") } };
    const data = [counts.map((one) => Date.parse(`${one.day}T00:00:00Z`) / 1000), counts.map((one) => one.items)];
    const options = {
      height: 220,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: {
        x: { range: (_, first, last) => (counts.length === 1 ? [first - 3 * DAY, first + 3 * DAY] : [first, last]) },
        y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] },
      },
      axes: [axis, { ...axis, size: 70 }],
      series: [{ label: "Day" }, { label: "Items", stroke: style.getPropertyValue("--link"), width: 2, points: { show: counts.length < 60 } }],
    };
    // It is as wide as the view, which is not shown before all of it is there.
    requestAnimationFrame(() => new uPlot({ ...options, width: main.clientWidth - 48 }, data, place));
    return place;
  }

  const problemOf = (problem) => make("p", { class: "notice" }, problem.message);
  const command = (text) => make("pre", null, make("code", null, text));
  const address = (path) => new URL(path, location.href).href;

  // ---------------------------------------------------------------- views

  // A table that does not exist is as new as a snapshot that does not exist, but nobody can read it.
  const tableState = ({ table }) => (table?.state === "current" && !table.runId ? "" : table?.state);

  async function overview() {
    const [datasets, runs] = await Promise.all([ask("datasets"), perhaps("runs?top=20")]);
    const held = datasets.value.filter((one) => one.latestRun || one.enabled);
    const waiting = (runs.body?.value ?? []).flatMap((run) => run.datasets.filter((one) => one.waiting).map((one) => ({ ...one, source: run.source })));
    const unsure = held.filter((one) => one.verdict && one.verdict !== "complete");
    const missing = held.filter((one) => !one.latestRun);
    const cards = [
      [held.length - missing.length, "dataset with a snapshot", "datasets with a snapshot"],
      [held.reduce((sum, one) => sum + (one.items ?? 0), 0), "item", "items"],
      [unsure.length, "not proven complete", "not proven complete"],
      [missing.length, "chosen, without a snapshot", "chosen, without a snapshot"],
    ];
    return [
      make("h2", null, "What is there, and how fresh"),
      make("ul", { class: "cards" }, cards.map(([value, one, many]) => make("li", null, make("strong", null, number(value)), value === 1 ? one : many))),
      runs.problem && !copy ? make("p", { class: "notice" }, `What waits is not known. ${runs.problem.message}`) : null,
      waiting.map((one) => make("p", { class: "notice" }, `${one.source}/${one.dataset} waits until ${time(one.waiting.until)}: ${one.waiting.for}`)),
      table(
        "Datasets",
        [
          { title: "Dataset", value: (one) => `${one.source}/${one.name}`, cell: (one) => make("a", { href: `#dataset/${one.source}/${one.name}` }, `${one.source}/${one.name}`) },
          { title: "Verdict", value: (one) => one.verdict ?? "none", cell: (one) => mark(one.verdict ?? "none") },
          { title: "Items", value: (one) => one.items, cell: (one) => number(one.items), number: true },
          { title: "Age", value: (one) => one.ageSeconds, cell: (one) => age(one.ageSeconds), number: true },
          { title: "Next harvest", value: (one) => one.nextTick, cell: (one) => time(one.nextTick) },
          { title: "Table", value: tableState, cell: (one) => (tableState(one) ? make("span", { title: one.table.reason ?? null }, mark(tableState(one))) : "") },
        ],
        held,
        { search: true, file: "datasets" },
      ),
      copy ? null : [make("h3", null, "Harvest now"), command(`curl -X POST '${address("harvests")}' -H 'x-functions-key: KEY' -H 'Content-Type: application/json' -d '{"source": "graph"}'`)],
    ];
  }

  async function dataset(source, name) {
    const base = `datasets/${source}/${name}`;
    const [history, changes, snapshots] = await Promise.all([perhaps(`${base}/history?days=90`), perhaps(`${base}/changes?top=100`), perhaps(`${base}/snapshots?top=30`)]);
    return [
      make("h2", null, `${source}/${name}`),
      make("h3", null, "Growth"),
      history.problem ? problemOf(history.problem) : history.body.value.length ? chart(history.body.value, "Items a day") : make("p", null, "There is no history yet."),
      make("h3", null, "Changes of the newest snapshot"),
      changes.problem
        ? problemOf(changes.problem)
        : listed(
            "Changes",
            [
              { title: "Change", value: (one) => one.change, cell: (one) => mark(one.change) },
              { title: "Key", value: (one) => one.key },
              { title: "Fields", value: (one) => one.fields.join(", ") },
              { title: "Before", value: (one) => shown(one.before).slice(0, 300) },
              { title: "After", value: (one) => shown(one.after).slice(0, 300) },
            ],
            changes.body,
            "Nothing changed.",
            { search: true, file: `${name}-changes` },
          ),
      make("h3", null, "Snapshots"),
      snapshots.problem
        ? problemOf(snapshots.problem)
        : table(
            "Snapshots",
            [
              { title: "Run", value: (one) => one.runId },
              { title: "Verdict", value: (one) => one.verdict, cell: (one) => mark(one.verdict) },
              { title: "Published", value: (one) => (one.published ? "yes" : "no") },
              { title: "Items", value: (one) => one.items, cell: (one) => number(one.items), number: true },
              { title: "Finished", value: (one) => one.finishedAt, cell: (one) => time(one.finishedAt) },
            ],
            snapshots.body.value,
            { more: snapshots.body.nextLink },
          ),
    ];
  }

  async function reports() {
    const listed = await ask("reports");
    return [
      make("h2", null, "Reports"),
      make("dl", null, listed.value.flatMap((one) => [make("dt", null, make("a", { href: `#report/${one.name}` }, one.title)), make("dd", null, one.description)])),
    ];
  }

  async function report(name, query = "") {
    const found = await perhaps(`reports/${name}${query}`);
    if (found.problem) return [make("h2", null, name), problemOf(found.problem)];
    const { title, description, columns, value, runIds, parameters } = found.body;
    const given = new URLSearchParams(query);
    const fields = parameters.map((one) => make("label", null, `${one.name} `, make("input", { name: one.name, value: given.get(one.name) ?? one.default }), one.description ? make("span", { class: "faint" }, one.description) : null));
    const again = (event) => {
      event.preventDefault();
      location.hash = `#report/${name}?${new URLSearchParams(new FormData(event.target))}`;
    };
    return [
      make("h2", null, title),
      make("p", null, description),
      fields.length && !copy ? make("form", { class: "tools", onsubmit: again }, fields, make("button", { type: "submit" }, "Show")) : null,
      table(
        title,
        columns.map((column) => ({ title: column.name, value: (row) => row[column.name], number: ["long", "double"].includes(column.type) })),
        value,
        { search: true, file: name },
      ),
      make("p", { class: "faint" }, `Made from: ${Object.entries(runIds).map(([one, run]) => `${one} (${run})`).join(", ")}.`),
    ];
  }

  async function runs() {
    const listed = await ask("runs?top=20");
    return [
      make("h2", null, "Runs"),
      listed.value.length ? null : make("p", null, "Nothing has been harvested yet."),
      listed.value.map((run) => [
        make("h3", null, `${run.runId} `, mark(run.state)),
        make("p", { class: "faint" }, `${run.trigger}; started ${time(run.startedAt)}; ${run.finishedAt ? `finished ${time(run.finishedAt)}` : `ends at the latest ${time(run.deadline)}`}`),
        table(
          `Datasets of ${run.runId}`,
          [
            { title: "Dataset", value: (one) => one.dataset },
            { title: "State", value: (one) => one.state, cell: (one) => mark(one.state) },
            { title: "Verdict", value: (one) => one.verdict, cell: (one) => (one.verdict ? mark(one.verdict) : "") },
            { title: "Items", value: (one) => one.items, cell: (one) => number(one.items), number: true },
            { title: "Reason", value: (one) => one.reason ?? (one.waiting ? `waits until ${time(one.waiting.until)}: ${one.waiting.for}` : "") },
            { title: "Remedy", value: (one) => one.remedy },
          ],
          run.datasets,
        ),
        ["failed", "partial", "cancelled"].includes(run.state) && !copy ? command(`curl -X POST '${address(`runs/${run.runId}/resume`)}' -H 'x-functions-key: KEY'`) : null,
      ]),
    ];
  }

  async function operations() {
    const [today, uncertain] = await Promise.all([ask("operations"), ask("operations?uncertain=true")]);
    const columns = [
      { title: "Operation", value: (one) => one.operationId },
      { title: "Kind", value: (one) => one.kind },
      { title: "Status", value: (one) => one.status, cell: (one) => mark(one.status) },
      { title: "Requested", value: (one) => one.requested, number: true },
      { title: "Succeeded", value: (one) => one.succeeded, number: true },
      { title: "Failed", value: (one) => one.failed.length, number: true },
      { title: "Uncertain", value: (one) => one.uncertain.length, number: true },
      { title: "Created", value: (one) => one.createdAt, cell: (one) => time(one.createdAt) },
    ];
    return [
      make("h2", null, "Opus operations"),
      make("h3", null, "Uncertain: a person has to find out"),
      listed("Uncertain operations", columns, uncertain, "Nothing is uncertain."),
      uncertain.value.length && !copy
        ? [make("p", null, "Look into Opus for the outcome of the items, and record it:"), command(`curl -X POST '${address("operations/OPERATION_ID/resolve")}' -H 'x-functions-key: KEY' -H 'Content-Type: application/json' -d '{"outcome": "Succeeded", "note": "Gone from Opus.", "checkedBy": "Jane"}'`)]
        : null,
      make("h3", null, "Today (UTC)"),
      listed("Operations of today", columns, today, "Nobody has submitted or destroyed anything today.", { search: true, file: "operations" }),
    ];
  }

  async function health() {
    const found = await ask("health/details");
    return [
      make("h2", null, "Health ", mark(found.status)),
      table(
        "Checks",
        [
          { title: "Check", value: (one) => one.name },
          { title: "Status", value: (one) => one.status, cell: (one) => mark(one.status) },
          { title: "Message", value: (one) => one.message },
          { title: "Remedy", value: (one) => one.remedy },
        ],
        found.checks,
        { search: true },
      ),
    ];
  }

  // ---------------------------------------------------------------- moving

  const VIEWS = { overview, dataset, reports, report, runs, operations, health };
  const PARENTS = { dataset: "overview", report: "reports" };
  const TITLE = document.title;
  let turn = 0;

  function readable(part) {
    try {
      return decodeURIComponent(part);
    } catch {
      return part; // an address that was not copied whole
    }
  }

  async function show() {
    const mine = ++turn;
    const [path, query] = (location.hash.slice(1) || "overview").split("?");
    const [name, ...rest] = path.split("/").map(readable);
    const view = Object.hasOwn(VIEWS, name) ? VIEWS[name] : overview;
    for (const link of document.querySelectorAll("nav a")) {
      const here = link.hash === `#${PARENTS[name] ?? name}`;
      here ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
    }
    main.setAttribute("aria-busy", "true");
    state.textContent = "Loading…";
    try {
      const content = (await view(...rest, ...(query ? [`?${query}`] : []))).flat(3);
      if (mine !== turn) return;
      enter(true);
      main.replaceChildren(...content.filter(Boolean));
    } catch (problem) {
      if (mine !== turn) return;
      const isRefused = problem.status === 401;
      enter(!isRefused);
      if (isRefused && sessionStorage.getItem("key")) refused.textContent = "The app does not accept this key. Copy the key again, or open another view if the key is for some views only.";
      if (!isRefused) main.replaceChildren(make("p", { class: "notice bad" }, problem.message ?? String(problem)));
    } finally {
      if (mine === turn) {
        main.removeAttribute("aria-busy");
        state.textContent = "";
      }
    }
    const heading = main.querySelector("h2");
    document.title = main.hidden || !heading ? TITLE : `${heading.textContent} – ${TITLE}`;
  }

  // The focus goes where the reader goes on, so that a screen reader says what has come.
  async function move() {
    await show();
    if (!main.hidden) focusContent();
  }

  function focusContent() {
    const heading = main.querySelector("h2");
    heading?.setAttribute("tabindex", "-1");
    (heading ?? main).focus({ preventScroll: true });
  }

  function enter(open) {
    entrance.hidden = open;
    main.hidden = !open;
    refused.textContent = "";
    leave.hidden = !open || Boolean(copy) || !sessionStorage.getItem("key");
    if (!open) document.getElementById("key").focus();
  }

  entrance.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("key", new FormData(entrance).get("key").trim());
    entrance.reset();
    move();
  });
  leave.addEventListener("click", () => {
    sessionStorage.removeItem("key");
    main.replaceChildren();
    enter(false);
  });
  // The address after # names the view, so the link must not change it.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.hidden ? document.getElementById("key").focus() : focusContent();
  });
  window.addEventListener("hashchange", async () => {
    await move();
    window.scrollTo(0, 0);
  });
  document.getElementById("footer").textContent = copy ? `A copy of ${time(copy.madeAt)}.` : "";
  if (copy) document.querySelectorAll("nav a:is([href='#runs'], [href='#operations'], [href='#health'])").forEach((link) => link.remove());
  show();
})();
