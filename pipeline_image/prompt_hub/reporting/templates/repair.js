"use strict";
// Shows the changed records of the page: search, a field, one kind of change.
// Values are only ever set as text: nothing that a record holds can become markup.
(() => {
  const AT_A_TIME = 100;
  const LONG = 400;
  const byId = (id) => document.getElementById(id);

  function make(name, properties, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties))
      if (key === "class") element.className = value;
      else element[key] = value;
    element.append(...children);
    return element;
  }

  async function load() {
    const packed = Uint8Array.from(atob(byId("data").textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  const counted = (n) => `${n.toLocaleString("en")} record${n === 1 ? "" : "s"}`;
  const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  function side(change, which, tag) {
    if (!(which in change)) return make("div", { class: "soft" }, "nothing");
    return make("div", {}, make(tag, {}, plain(change[which])));
  }

  function input(record) {
    const lines = Object.entries(record.input).map(([name, value]) => `${name}: ${plain(value)}`);
    const all = lines.join("\n");
    const shown = make("div", { class: "input" }, all);
    if (all.length <= LONG) return make("div", {}, shown);
    shown.classList.add("long");
    const open = make("button", { type: "button" }, "the whole input");
    open.addEventListener("click", () => {
      shown.classList.remove("long");
      open.remove();
    });
    return make("div", {}, shown, open);
  }

  function item(record, fields) {
    const changes = record.changes.map((change) =>
      make(
        "div",
        { class: "change" },
        make("span", { class: "name" }, fields[change.field]),
        side(change, "before", "del"),
        side(change, "after", "ins"),
      ),
    );
    return make(
      "li",
      {},
      make("span", { class: "n" }, `record ${record.record.toLocaleString("en")}`),
      input(record),
      make("div", {}, ...changes),
    );
  }

  function start({ fields, records }) {
    const texts = new Map(
      records.map((record) => {
        const sides = record.changes.flatMap(({ before, after }) => [before, after]);
        const said = [...Object.values(record.input), ...sides].filter((value) => value !== undefined);
        return [record, [`record ${record.record}`, ...said.map(plain)].join("\n").toLowerCase()];
      }),
    );
    /** The kind of change that a link above has asked for. */
    let pair = null;
    let found = records;
    let shown = 0;

    function matching() {
      const words = byId("words").value.toLowerCase().split(/\s+/).filter(Boolean);
      const field = byId("field").value;
      const wanted = (change) =>
        (field === "" || change.field === Number(field)) && (pair === null || change.pair === pair.place);
      return records.filter(
        (record) =>
          record.changes.some(wanted) && words.every((word) => texts.get(record).includes(word)),
      );
    }

    function append() {
      const next = found.slice(shown, shown + AT_A_TIME);
      byId("list").append(...next.map((record) => item(record, fields)));
      shown += next.length;
      const rest = found.length - shown;
      byId("more").hidden = !rest;
      byId("more").textContent = `Show ${Math.min(rest, AT_A_TIME)} more of ${counted(rest)}`;
    }

    function refresh() {
      found = matching();
      shown = 0;
      byId("list").replaceChildren();
      append();
      byId("found").textContent =
        found.length === records.length
          ? counted(found.length)
          : `${counted(found.length)} of ${records.length.toLocaleString("en")}`;
      byId("only").hidden = pair === null;
      if (pair !== null) byId("only").firstElementChild.textContent = `Only ${pair.words}`;
    }

    /** Follow a link from the tables above: only the records of one field, or of one change. */
    function only(link) {
      byId("filter").reset();
      byId("field").value = link.dataset.field;
      pair = null;
      if (link.dataset.pair !== undefined) {
        const [before, after] = link.closest("tr").querySelectorAll(".before, .after");
        const words = `${before.textContent} → ${after.textContent}`;
        pair = { place: Number(link.dataset.pair), words };
      }
      refresh();
      byId("records").focus();
    }

    let waiting = 0;
    byId("filter").addEventListener("input", (event) => {
      if (event.target.id === "field") pair = null;
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(refresh);
    });
    byId("filter").addEventListener("submit", (event) => event.preventDefault());
    byId("every").addEventListener("click", () => {
      pair = null;
      byId("filter").reset();
      refresh();
    });
    byId("more").addEventListener("click", append);
    for (const link of document.querySelectorAll("a[data-field]"))
      link.addEventListener("click", () => only(link));
    byId("without").hidden = true;
    byId("filter").hidden = false;
    refresh();
  }

  const done = () => {
    document.documentElement.dataset.ready = "yes";
  };
  if (!byId("list")) done();
  else
    load()
      .then(start)
      .catch((error) => {
        byId("problem").hidden = false;
        byId("problem").textContent = `The records cannot be shown by this browser: ${error.message}.`;
      })
      .finally(done);
})();
