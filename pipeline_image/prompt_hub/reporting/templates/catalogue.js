"use strict";
// Narrows the list of prompts to those of an owner in which every word of the search stands. What
// is chosen stands in the address, so that the list can be shared as it is.
(() => {
  const [field, owner] = ["words", "owner"].map((id) => document.getElementById(id));
  const found = document.getElementById("found");
  const tasks = [...document.querySelectorAll("#tasks > li")];
  const MANY = 100;

  function refresh() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const task of tasks)
      task.hidden =
        (owner.value !== "" && task.dataset.owner !== owner.value) ||
        !words.every((word) => task.dataset.search.includes(word));
    const shown = tasks.filter((task) => !task.hidden).length;
    const all = `${tasks.length} task${tasks.length === 1 ? "" : "s"}`;
    found.textContent = shown === tasks.length ? all : `${shown} of ${all}`;
  }

  function fromAddress() {
    const chosen = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
    field.value = chosen.get("words") || "";
    owner.value = chosen.get("owner") || "";
    // A link may name an owner who has nothing any more.
    if (owner.selectedIndex < 0) owner.value = "";
    refresh();
  }

  function toAddress() {
    const chosen = new URLSearchParams();
    for (const one of [field, owner]) if (one.value) chosen.set(one.id, one.value);
    history.replaceState(null, "", `#${chosen.toString().replaceAll("+", "%20")}`);
  }

  // Nearly all of a large page is versions that nobody has opened: to hide them takes seconds.
  if (tasks.length > MANY)
    for (const versions of document.querySelectorAll("#tasks > li > details")) {
      const table = versions.querySelector("table");
      table.remove();
      versions.addEventListener("toggle", () => versions.append(table), { once: true });
    }
  field.form.addEventListener("input", () => {
    refresh();
    toAddress();
  });
  field.form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", fromAddress);
  field.form.hidden = false;
  fromAddress();
  document.documentElement.dataset.ready = "yes";
})();
