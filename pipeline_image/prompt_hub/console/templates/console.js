"use strict";
// Shows what the console says anew, and leaves alone what somebody types, marks or has focused.
(() => {
  const region = document.getElementById("live");
  const state = document.getElementById("state");
  const address = new URL(`/live${location.pathname}${location.search}`, location.href);
  address.searchParams.set("seen", region.dataset.seen);
  let stream = null;
  let waiting = null;
  let over = false;

  function busy() {
    const active = document.activeElement;
    if (region.contains(active) && active.matches("input, select, button")) return true;
    const marked = getSelection();
    return !marked.isCollapsed && region.contains(marked.anchorNode);
  }

  function same(element) {
    if (element.id) return document.getElementById(element.id);
    const target = element.getAttribute("href");
    return target && [...region.querySelectorAll("a")].find((a) => a.getAttribute("href") === target);
  }

  function toEnd() {
    const tail = document.getElementById("tail");
    if (tail) tail.scrollTop = tail.scrollHeight;
  }

  function show() {
    if (waiting === null || busy()) return;
    const active = region.contains(document.activeElement) ? document.activeElement : null;
    const tail = document.getElementById("tail");
    const place = tail && tail.scrollTop;
    const atEnd = tail && tail.scrollHeight - tail.scrollTop - tail.clientHeight < 40;
    region.innerHTML = waiting;
    waiting = null;
    if (active) same(active)?.focus({ preventScroll: true });
    if (atEnd) toEnd();
    else if (tail) document.getElementById("tail")?.scrollTo(0, place);
  }

  function follow() {
    stream = new EventSource(address);
    stream.onopen = () => { state.textContent = "live, read only"; };
    stream.onerror = () => { state.textContent = "not live: the console does not answer"; };
    stream.onmessage = (event) => { waiting = JSON.parse(event.data); show(); };
    stream.addEventListener("over", () => { over = true; stream.close(); state.textContent = "read only"; });
  }

  toEnd();
  if ("live" in region.dataset) {
    follow();
    for (const kind of ["focusout", "selectionchange"])
      document.addEventListener(kind, () => setTimeout(show));
    // A browser has few connections to one server: a tab that nobody sees needs none.
    document.addEventListener("visibilitychange", () => {
      stream.close();
      if (!document.hidden && !over) follow();
    });
  }
  const form = document.querySelector("form[data-grading]");
  const typed = "textarea, input[type=text]";

  // Keys act on who is in the form, and never while a text is typed.
  form?.addEventListener("keydown", (event) => {
    const combined = event.altKey || event.ctrlKey || event.metaKey;
    if (combined && event.key === "Enter") form.querySelector("button").click();
    if (combined || event.target.matches(typed)) return;
    const group = event.target.closest("fieldset[data-keys]") ?? form;
    const key = `[data-key="${CSS.escape(event.key)}"]`;
    const target = group.querySelector(key) ?? form.querySelector(`:not(input)${key}`);
    if (!target) return;
    event.preventDefault();
    target.click();
    target.focus();
  });
  // What is typed or marked is the value, and what is null or left out has none.
  form?.addEventListener("input", ({ target }) => {
    const field = target.closest(".field, fieldset");
    const value = field?.querySelector("input[value=value]");
    if (!value || target === value) return;
    const given = [...field.querySelectorAll(`${typed}, input[type=checkbox]`)];
    if (given.includes(target)) value.checked = true;
    else for (const one of given) {
      if (one.type === "checkbox") one.checked = false;
      else one.value = "";
    }
  });
  // What is chosen already, wherever it stands.
  const first = form?.querySelector("[data-key]:checked") ?? form?.querySelector(`fieldset input, ${typed}`);
  first?.focus();
  document.documentElement.dataset.ready = "yes";
})();
