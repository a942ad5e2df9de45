"use strict";
// Shows the examples of the page: filter, search, and each example in full when it is opened.
// Values are only ever set as text: nothing that a record holds can become markup.
// Longer than a file should be: the page holds one script, whose rows share one way of showing an answer.
(() => {
  const AT_A_TIME = 50;
  const MARKS = { right: "✓", wrong: "✗", unmeasured: "–" };
  const CHANGES = { won: "▲ won", lost: "▼ lost", same: "same" };
  const ARMS = ["candidate", "champion"];
  /** Arms that the evaluation has, of which every row has a column. */
  let SHOWN = ARMS;
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

  /** The answer of an arm that is shown beside the expected one: of several, the worst. */
  function worstAnswer(calls) {
    const answered = calls.filter((call) => call.answer !== undefined);
    if (!answered.length) return null;
    const call = answered.reduce((one, other) => (other.score < one.score ? other : one));
    const which = calls.length > 1 ? `, call ${calls.indexOf(call) + 1}` : "";
    return { text: call.answer, value: parsed(call.answer), same: call.same || [], which };
  }

  const CLIP = 240;
  const clip = (text) => (text.length > CLIP ? `${text.slice(0, CLIP)}…` : text);

  /** The leaves of an arm's worst answer; none where there is none, or it is no JSON object. */
  function answered(arm) {
    const answer = arm && worstAnswer(arm.calls);
    const usable = answer && answer.value !== null && typeof answer.value === "object";
    return usable ? leaves(answer.value) : new Map();
  }

  /** What was expected, in the answer's own words where the scorers counted these as the same. */
  function accepted(wanted, got, answer) {
    const words = new Map(wanted);
    for (const name of answer ? answer.same : []) {
      if (got.has(name)) words.set(name, got.get(name));
      else words.delete(name);
    }
    return words;
  }

  const same = (one, other, name) =>
    one.has(name) === other.has(name) && plain(one.get(name)) === plain(other.get(name));

  /** Named values as lines of a cell; the name of a lone one goes without saying. */
  function lines(names, values, alone, wanted) {
    return names.map((name) => {
      const there = values.has(name);
      const text = there ? clip(plain(values.get(name))) : "not given";
      const kind = wanted && !same(values, wanted, name) ? "wrong" : there ? "" : "soft";
      const label = alone ? null : make("span", { class: "soft" }, `${name}: `);
      return make("span", { class: `line ${kind}` }, label, text);
    });
  }

  /** What an arm answered beside what was expected: only the fields in which some arm differs. */
  function answerCell(arm, got, wanted, names, alone) {
    if (!arm) return [make("span", { class: "soft" }, "not asked")];
    if (!got.size) {
      const answer = worstAnswer(arm.calls);
      const error = arm.calls.map((call) => call.error).find(Boolean);
      return [make("span", { class: "line wrong" }, clip(answer ? answer.text : error || "no answer"))];
    }
    if (wanted.size && [...wanted.keys(), ...got.keys()].every((name) => same(got, wanted, name))) {
      const lost = arm.calls.flatMap((call) => call.losses || [])[0];
      return [make("span", { class: lost ? "line wrong" : "soft" }, lost ? clip(lost) : "as expected")];
    }
    return lines(names, got, alone, wanted);
  }

  function cells(example) {
    const arms = SHOWN.map((arm) => example[arm]);
    const wanted = example.expected ? leaves(example.expected) : new Map();
    const got = arms.map(answered);
    const right = arms.map((arm, index) => accepted(wanted, got[index], arm && worstAnswer(arm.calls)));
    const every = [...new Set([wanted, ...got].flatMap((map) => [...map.keys()]))];
    const differing = every.filter((name) => got.some((map, index) => map.size && !same(map, right[index], name)));
    const names = differing.length ? differing : [...wanted.keys()];
    const alone = every.length === 1;
    const cell = (label, kind, children) =>
      make("span", { class: `cell ${kind}` }, make("span", { class: "label" }, `${label} `), ...children);
    const expected = example.expected ? lines(names, wanted, alone) : [make("span", { class: "soft" }, "not known")];
    return [
      cell("expected", "wanted", expected),
      ...arms.map((arm, index) => cell(SHOWN[index], SHOWN[index], answerCell(arm, got[index], right[index], names, alone))),
    ];
  }

  function asked(example) {
    const input = clip(Object.values(example.input || {}).map(plain).join(" · "));
    return make(
      "span",
      { class: "asked" },
      make("span", { class: "id" }, example.id),
      make("span", { class: "said" }, input),
    );
  }

  function scored(example) {
    const change = example.change
      ? make(
          "span",
          { class: `change ${example.change}` },
          make("b", {}, CHANGES[example.change]),
          example.change === "same" ? "" : ` from ${score(example.champion.score)}`,
        )
      : null;
    return make(
      "span",
      { class: "scored" },
      make("span", { class: "value" }, score(example.candidate && example.candidate.score)),
      change,
    );
  }

  function answersTable(example) {
    const arms = ARMS.filter((arm) => example[arm]);
    const given = arms.map((arm) => worstAnswer(example[arm].calls));
    const wanted = leaves(example.expected || {});
    if (!example.expected) wanted.clear();
    const got = given.map((one) =>
      one && one.value !== null && typeof one.value === "object" ? leaves(one.value) : new Map(),
    );
    const words = got.map((map, index) => accepted(wanted, map, given[index]));
    const rows = [...new Set([...wanted.keys(), ...got.flatMap((map) => [...map.keys()])])];
    const row = (name) => {
      const right = got.map((map, index) => same(map, words[index], name));
      const cells = got.map((map, index) =>
        make("td", { label: arms[index] }, beside(words[index].get(name), map.get(name), map.has(name))),
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

  function item(example, common, toggled) {
    const details = make(
      "details",
      {},
      make(
        "summary",
        {},
        make("span", { class: `outcome ${example.outcome}`, title: example.outcome, ariaLabel: example.outcome, role: "img" }, MARKS[example.outcome]),
        asked(example),
        ...cells(example),
        scored(example),
      ),
    );
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(body(example, common));
      toggled(example, details.open);
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
  /** Controls whose values stand in the address, so that a view can be shared as it is. */
  const CONTROLS = ["words", "tag", "field", "order"];
  const shows = () => document.querySelector("[name=show]:checked").value;

  function start({ examples, prompts: common }) {
    SHOWN = ARMS.filter((arm) => examples.some((example) => example[arm]));
    byId("list").className = byId("heads").className = SHOWN.length > 1 ? "two" : "one";
    let texts = null;
    let found = examples;
    // The list shows what was found from `first` to `shown`.
    let first = 0;
    let shown = 0;
    let opened = null;

    const index = () => (texts ||= new Map(examples.map((example) => [example, searchable(example)])));

    function matching() {
      const words = chosen("words").toLowerCase().split(/\s+/).filter(Boolean);
      const show = SHOWS[shows()];
      const [tag, field] = [chosen("tag"), chosen("field")];
      if (words.length) index();
      const some = examples.filter(
        (example) =>
          show(example) &&
          (!tag || (example.tags || []).includes(tag)) &&
          (!field || (example.fields || []).includes(field)) &&
          words.every((word) => texts.get(example).includes(word)),
      );
      // What the champion did better comes first; of those, and of the rest, the lowest score.
      const kept = (example) => (example.change === "lost" ? 0 : 1);
      const worth = (example) => (example.candidate && example.candidate.score) ?? -1;
      return chosen("order") === "worst"
        ? some.sort((a, b) => kept(a) - kept(b) || worth(a) - worth(b))
        : some;
    }

    const items = (some) => some.map((example) => item(example, common, toggled));

    function append() {
      const next = found.slice(shown, shown + AT_A_TIME);
      byId("list").append(...items(next));
      shown += next.length;
      const rest = found.length - shown;
      byId("more").hidden = !rest;
      byId("more").textContent = `Show ${Math.min(rest, AT_A_TIME)} more of ${counted(rest, "example")}`;
    }

    function prepend() {
      const next = found.slice(Math.max(first - AT_A_TIME, 0), first);
      byId("list").prepend(...items(next));
      first -= next.length;
      offerEarlier();
    }

    function offerEarlier() {
      byId("earlier").hidden = !first;
      byId("earlier").textContent = `Show ${Math.min(first, AT_A_TIME)} before, of ${counted(first, "example")}`;
    }

    function refresh() {
      found = matching();
      show(0);
      byId("found").textContent =
        found.length === examples.length
          ? counted(found.length, "example")
          : `${counted(found.length, "example")} of ${examples.length.toLocaleString("en")}`;
    }

    /** Show what was found from a place on. */
    function show(place) {
      first = shown = place;
      byId("list").replaceChildren();
      append();
      offerEarlier();
    }

    function toAddress() {
      const view = new URLSearchParams();
      if (shows() !== "all") view.set("show", shows());
      for (const id of CONTROLS) {
        const control = byId(id);
        const usual = control && control.options ? [...control.options].find((o) => o.defaultSelected) : null;
        if (control && control.value !== (usual ? usual.value : "")) view.set(id, control.value);
      }
      if (opened) view.set("example", opened.id);
      history.replaceState(null, "", `#${view.toString().replaceAll("+", "%20")}`);
    }

    /** The example that was opened last stands in the address. */
    function toggled(example, open) {
      if (!open && opened !== example) return;
      opened = open ? example : null;
      toAddress();
    }

    /** Follow a link from the tables above: only the examples of one tag or field. */
    function only(event, { tag, field }) {
      event.preventDefault();
      byId("filter").reset();
      if (tag) byId("tag").value = tag;
      if (field) byId("field").value = field;
      opened = null;
      refresh();
      toAddress();
      byId("examples").scrollIntoView();
      byId("examples").focus();
    }

    function setControls(view) {
      byId("filter").reset();
      const show = document.querySelector(`[name=show][value="${CSS.escape(view.get("show") || "all")}"]`);
      if (show) show.checked = true;
      for (const id of CONTROLS) {
        const control = byId(id);
        const known = (value) => !control.options || [...control.options].some((o) => o.value === value);
        if (control && view.has(id) && known(view.get(id))) control.value = view.get(id);
      }
      refresh();
    }

    /** Show what the address says, as in `report.html#show=lost&example=ID`: one may be opened. */
    function fromAddress() {
      const view = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
      if (!["show", "example", ...CONTROLS].some((name) => view.has(name))) return false;
      setControls(view);
      const one = examples.find((example) => example.id === view.get("example"));
      if (!one) return true;
      // It is opened whatever else was asked for.
      if (!found.includes(one)) setControls(new URLSearchParams());
      const place = found.indexOf(one);
      if (place >= AT_A_TIME) show(place);
      const details = byId("list").children[place - first].firstChild;
      details.open = true;
      details.scrollIntoView();
      return true;
    }

    let waiting = 0;
    byId("filter").addEventListener("input", () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(() => {
        refresh();
        toAddress();
      });
    });
    byId("filter").addEventListener("submit", (event) => event.preventDefault());
    byId("more").addEventListener("click", () => {
      const before = shown - first;
      append();
      // The button may be gone now: whoever pressed it goes on with the first new example.
      byId("list").children[before].querySelector("summary").focus();
    });
    byId("earlier").addEventListener("click", () => {
      const before = first;
      prepend();
      // Likewise with the last one before.
      byId("list").children[before - first - 1].querySelector("summary").focus();
    });
    for (const link of document.querySelectorAll("a[data-tag], a[data-field]"))
      link.addEventListener("click", (event) => only(event, link.dataset));
    window.addEventListener("hashchange", fromAddress);
    byId("without").hidden = true;
    byId("filter").hidden = byId("heads").hidden = false;
    if (!fromAddress()) refresh();
    // Of 20,000 examples that takes a tenth of a second: before the first word is typed, not with it.
    (window.requestIdleCallback || setTimeout)(index);
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
