"use strict";
// Shows the examples of the page: filter, search, and each example in full when it is opened.
// Values are only ever set as text: nothing that a record holds can become markup.
(() => {
  const AT_A_TIME = 100;
  const MARKS = { right: "✓", wrong: "✗", unmeasured: "–" };
  const CHANGES = { won: "▲ won", lost: "▼ lost", same: "same" };
  const ARMS = ["candidate", "champion"];
  const byId = (id) => document.getElementById(id);

  /** An element with properties (`dataset` and `class` among them) and children. */
  function make(name, properties, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties || {})) {
      if (key === "class") element.className = value;
      else if (key === "label") element.dataset.label = value;
      else element[key] = value;
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  async function load() {
    const packed = Uint8Array.from(atob(byId("data").textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  // --- texts ---------------------------------------------------------------------------------

  const score = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
  const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const counted = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

  /** What people search in: everything that an example shows but its prompt. */
  function searchable(example) {
    const calls = ARMS.flatMap((arm) => (example[arm] ? example[arm].calls : []));
    const said = calls.flatMap((call) => [call.answer, call.error, ...(call.losses || [])]);
    const given = [example.input, example.expected].map((value) => JSON.stringify(value) || "");
    const texts = [example.id, ...(example.tags || []), ...given, ...said];
    return texts.filter(Boolean).join("\n").toLowerCase();
  }

  /** A JSON value as a map from the place of every leaf to what stands there. */
  function leaves(value, place = "", found = new Map()) {
    const inner = value !== null && typeof value === "object" ? Object.entries(value) : [];
    if (!inner.length) return found.set(place || "answer", value);
    for (const [key, child] of inner) {
      const step = Array.isArray(value) ? `[${key}]` : place ? `.${key}` : key;
      leaves(child, place + step, found);
    }
    return found;
  }

  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  /** `answer` with what it lacks of `expected` struck out and what it has beyond underlined. */
  function difference(expected, answer) {
    const [old, now] = [expected, answer].map((text) => text.match(/\s+|[^\s]+/g) || []);
    const longest = old.map(() => new Uint16Array(now.length + 1));
    longest.push(new Uint16Array(now.length + 1));
    for (let i = old.length - 1; i >= 0; i--)
      for (let j = now.length - 1; j >= 0; j--)
        longest[i][j] =
          old[i] === now[j]
            ? longest[i + 1][j + 1] + 1
            : Math.max(longest[i + 1][j], longest[i][j + 1]);
    const parts = [];
    const say = (kind, word) => {
      const last = parts[parts.length - 1];
      if (last && last.kind === kind) last.text += word;
      else parts.push({ kind, text: word });
    };
    let [i, j] = [0, 0];
    while (i < old.length || j < now.length) {
      if (i < old.length && j < now.length && old[i] === now[j]) {
        say("same", now[j++]);
        i++;
      } else if (j === now.length || (i < old.length && longest[i + 1][j] >= longest[i][j + 1])) {
        say("del", old[i++]);
      } else {
        say("ins", now[j++]);
      }
    }
    return parts.map((part) =>
      part.kind === "same" ? part.text : make(part.kind, {}, part.text),
    );
  }

  const LONG = 2000;
  /** One value beside the expected one, as the content of a cell. */
  function beside(expected, got, there) {
    if (!there) return make("span", { class: "soft" }, "not given");
    if (got === expected || expected === undefined) return make("span", {}, plain(got));
    const texts = [plain(expected), plain(got)];
    if (texts.some((text) => text.length > LONG)) return make("ins", {}, texts[1]);
    return make("span", {}, ...difference(...texts));
  }

  // --- one example ---------------------------------------------------------------------------

  function gist(example) {
    const losses = example.candidate ? example.candidate.calls.flatMap((c) => c.losses || []) : [];
    const errors = example.candidate ? example.candidate.calls.map((c) => c.error) : [];
    const said = losses[0] || errors.find(Boolean) || Object.values(example.input || {}).map(plain).join(" · ");
    return make(
      "span",
      { class: "gist" },
      make("span", { class: "id" }, example.id),
      make("span", { class: "said" }, said),
    );
  }

  function changed(example) {
    if (!example.change) return make("span", { class: "change" });
    return make(
      "span",
      { class: `change ${example.change}` },
      make("b", {}, CHANGES[example.change]),
      ` from ${score(example.champion.score)}`,
    );
  }

  /** The answer of an arm that is shown beside the expected one: of several, the worst. */
  function worstAnswer(calls) {
    const answered = calls.filter((call) => call.answer !== undefined);
    if (!answered.length) return null;
    const call = answered.reduce((one, other) => (other.score < one.score ? other : one));
    const which = calls.length > 1 ? `, call ${calls.indexOf(call) + 1}` : "";
    return { text: call.answer, value: parsed(call.answer), which };
  }

  function answersTable(example) {
    const arms = ARMS.filter((arm) => example[arm]);
    const given = arms.map((arm) => worstAnswer(example[arm].calls));
    const wanted = leaves(example.expected || {});
    if (!example.expected) wanted.clear();
    const got = given.map((one) =>
      one && one.value !== null && typeof one.value === "object" ? leaves(one.value) : new Map(),
    );
    const rows = [...new Set([...wanted.keys(), ...got.flatMap((map) => [...map.keys()])])];
    const row = (name) => {
      const right = got.map((map) => map.has(name) && plain(map.get(name)) === plain(wanted.get(name)));
      const cells = got.map((map, index) =>
        make("td", { label: arms[index] }, beside(wanted.get(name), map.get(name), map.has(name))),
      );
      return make(
        "tr",
        { class: example.expected && !right[0] ? "differs" : "" },
        make("th", { scope: "row" }, make("span", { class: "mono" }, name)),
        make("td", { label: "expected" }, make("span", {}, wanted.has(name) ? plain(wanted.get(name)) : "–")),
        ...cells,
      );
    };
    const columns = arms.map((arm, index) => arm + (given[index] ? given[index].which : ""));
    const head = ["field", "expected", ...columns].map((name) => make("th", { scope: "col" }, name));
    const unusable = given.flatMap((one, index) =>
      one && !got[index].size
        ? [make("p", { class: "small" }, `The ${arms[index]} answered no JSON object: `), make("pre", {}, one.text)]
        : [],
    );
    return make(
      "div",
      {},
      make("table", { class: "answers" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows.map(row))),
      ...unusable,
    );
  }

  function reasons(example) {
    const lists = ARMS.flatMap((arm) => {
      const calls = example[arm] ? example[arm].calls : [];
      const said = [...new Set(calls.flatMap((c) => [...(c.losses || []), ...(c.error ? [c.error] : [])]))];
      if (!said.length) return [];
      return [
        make("h3", {}, arm === "candidate" ? "Why the candidate lost" : "Why the champion lost"),
        make("ul", { class: "losses" }, ...said.map((text) => make("li", {}, text))),
      ];
    });
    return lists.length ? make("div", {}, ...lists) : null;
  }

  function callsTable(example) {
    const calls = ARMS.flatMap((arm) =>
      (example[arm] ? example[arm].calls : []).map((call, index) => ({ arm, index, call })),
    );
    const repeated = ARMS.some((arm) => example[arm] && example[arm].calls.length > 1);
    const judged = calls.some(({ call }) => call.votes);
    const columns = [
      ["version", ({ arm, index }) => (repeated ? `${arm}, call ${index + 1}` : arm)],
      ["score", ({ call }) => score(call.score)],
      ...(repeated ? [["answer", ({ call }) => call.answer || call.error || "–"]] : []),
      ...(judged ? [["judge's votes", ({ call }) => (call.votes || []).join(", ") || "–"]] : []),
      ["latency", ({ call }) => (call.seconds || "–") + (call.cached ? ", cached" : "")],
      ["tokens", ({ call }) => (call.tokens ? call.tokens.join(" + ") : "–")],
      ["cost", ({ call }) => call.usd || "–"],
      ["attempts", ({ call }) => String(call.attempts || 1)],
    ];
    const head = columns.map(([name]) => make("th", { scope: "col" }, name));
    const rows = calls.map((one) =>
      make(
        "tr",
        {},
        ...columns.map(([name, cell]) =>
          make("td", { class: name === "answer" ? "text" : "number" }, cell(one)),
        ),
      ),
    );
    return make(
      "div",
      { class: "scroll calls", tabIndex: 0, role: "group", ariaLabel: "Calls" },
      make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)),
    );
  }

  function prompts(example, common) {
    return ARMS.filter((arm) => example[arm] && example[arm].messages).map((arm) => {
      const varying = [...example[arm].messages];
      const messages = common[arm].flatMap(({ role, text }) => [
        make("dt", {}, role),
        make("dd", {}, make("pre", {}, text === null ? varying.shift() : text)),
      ]);
      return make(
        "details",
        {},
        make("summary", {}, `${arm}'s prompt, ${counted(common[arm].length, "message")}`),
        make("dl", { class: "messages" }, ...messages),
      );
    });
  }

  function body(example, common) {
    const input = leaves(example.input || {});
    const rows = [...input].map(([name, value]) =>
      make("tr", {}, make("th", { scope: "row", class: "mono" }, name), make("td", {}, plain(value))),
    );
    const tags = (example.tags || []).map((tag) => make("span", { class: "badge" }, tag));
    return make(
      "div",
      { class: "body" },
      example.input
        ? make("div", {}, make("h3", {}, "Input"), make("table", {}, make("tbody", {}, ...rows)))
        : make("p", { class: "soft" }, "The repository no longer has this example: its input and expected output are not known."),
      make("div", {}, make("h3", {}, "Answers"), answersTable(example)),
      reasons(example),
      make("div", {}, make("h3", {}, "Calls"), callsTable(example)),
      ...prompts(example, common),
      tags.length ? make("div", { class: "labels" }, ...tags) : null,
    );
  }

  function item(example, common) {
    const details = make(
      "details",
      {},
      make(
        "summary",
        {},
        make("span", { class: `outcome ${example.outcome}`, title: example.outcome, ariaLabel: example.outcome, role: "img" }, MARKS[example.outcome]),
        gist(example),
        make("span", { class: "value" }, score(example.candidate && example.candidate.score)),
        changed(example),
      ),
    );
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(body(example, common));
    });
    return make("li", {}, details);
  }

  // --- the list ------------------------------------------------------------------------------

  const SHOWS = {
    all: () => true,
    wrong: (example) => example.outcome === "wrong",
    unmeasured: (example) => example.outcome === "unmeasured",
    won: (example) => example.change === "won",
    lost: (example) => example.change === "lost",
  };
  const chosen = (id) => (byId(id) ? byId(id).value : "");

  function start({ examples, prompts: common }) {
    const texts = new Map(examples.map((example) => [example, searchable(example)]));
    let found = examples;
    let shown = 0;

    function matching() {
      const words = chosen("words").toLowerCase().split(/\s+/).filter(Boolean);
      const show = SHOWS[document.querySelector("[name=show]:checked").value];
      const [tag, field] = [chosen("tag"), chosen("field")];
      const some = examples.filter(
        (example) =>
          show(example) &&
          (!tag || (example.tags || []).includes(tag)) &&
          (!field || (example.fields || []).includes(field)) &&
          words.every((word) => texts.get(example).includes(word)),
      );
      const worth = (example) => (example.candidate && example.candidate.score) ?? -1;
      return chosen("order") === "score" ? some.sort((a, b) => worth(a) - worth(b)) : some;
    }

    function append() {
      const next = found.slice(shown, shown + AT_A_TIME);
      byId("list").append(...next.map((example) => item(example, common)));
      shown += next.length;
      const rest = found.length - shown;
      byId("more").hidden = !rest;
      byId("more").textContent = `Show ${Math.min(rest, AT_A_TIME)} more of ${counted(rest, "example")}`;
    }

    function refresh() {
      found = matching();
      shown = 0;
      byId("list").replaceChildren();
      append();
      byId("found").textContent =
        found.length === examples.length
          ? counted(found.length, "example")
          : `${counted(found.length, "example")} of ${examples.length.toLocaleString("en")}`;
    }

    /** Follow a link from the tables above: only the examples of one tag or field. */
    function only({ tag, field }) {
      byId("filter").reset();
      if (tag) byId("tag").value = tag;
      if (field) byId("field").value = field;
      refresh();
      byId("examples").focus();
    }

    /** Open the example that the address names, as in `report.html#example=ID`. */
    function fromAddress() {
      const [, id] = decodeURIComponent(location.hash).match(/^#example=(.+)$/s) || [];
      const one = examples.find((example) => example.id === id);
      if (!one) return;
      byId("filter").reset();
      byId("words").value = id;
      refresh();
      const place = found.indexOf(one);
      while (shown <= place) append();
      const details = byId("list").children[place].firstChild;
      details.open = true;
      details.scrollIntoView();
    }

    let waiting = 0;
    byId("filter").addEventListener("input", () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(refresh);
    });
    byId("filter").addEventListener("submit", (event) => event.preventDefault());
    byId("more").addEventListener("click", () => {
      const before = shown;
      append();
      // The button may be gone now: whoever pressed it goes on with the first new example.
      byId("list").children[before].querySelector("summary").focus();
    });
    for (const link of document.querySelectorAll("a[data-tag], a[data-field]"))
      link.addEventListener("click", () => only(link.dataset));
    window.addEventListener("hashchange", fromAddress);
    byId("without").hidden = true;
    byId("filter").hidden = false;
    refresh();
    fromAddress();
  }

  if (byId("list"))
    load()
      .then(start)
      .catch((error) => {
        byId("problem").hidden = false;
        byId("problem").textContent = `The examples cannot be shown by this browser: ${error.message}.`;
      })
      .finally(() => {
        document.documentElement.dataset.ready = "yes";
      });
})();
