"use strict";
// Narrows the list of prompts to those in which every word of the search stands.
(() => {
  const field = document.getElementById("words");
  const found = document.getElementById("found");
  const tasks = [...document.querySelectorAll("#tasks > li")];

  function refresh() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const task of tasks)
      task.hidden = !words.every((word) => task.dataset.search.includes(word));
    const shown = tasks.filter((task) => !task.hidden).length;
    const all = `${tasks.length} task${tasks.length === 1 ? "" : "s"}`;
    found.textContent = shown === tasks.length ? all : `${shown} of ${all}`;
  }

  field.addEventListener("input", refresh);
  field.form.addEventListener("submit", (event) => event.preventDefault());
  field.form.hidden = false;
  refresh();
  document.documentElement.dataset.ready = "yes";
})();
