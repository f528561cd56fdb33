// One view for every widget: the controls as data become a form, the value's HTML goes below it.
// A press sends {action, values}; everything that is seen comes back as traits.

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

const fields = {
  switch(control) {
    const input = make("input", { type: "checkbox", name: control.name });
    input.checked = control.value;
    return make("label", { class: "labkit-inline" }, input, control.label);
  },
  number(control) {
    const input = make("input", { type: "number", name: control.name, min: control.least, max: control.most, step: 1, required: "" });
    input.value = control.value;
    return make("label", {}, control.label, input);
  },
  words(control) {
    const input = make("input", { type: "text", name: control.name, spellcheck: "false" });
    input.value = control.value;
    return make("label", {}, control.label, input);
  },
  choice(control, scope) {
    if (control.radio) return radios(control, scope);
    const select = make("select", { name: control.name });
    for (const [value, words] of control.options) select.append(make("option", { value }, words));
    select.value = control.value;
    return make("label", {}, control.label, select);
  },
};

function radios(control, scope) {
  const set = make("fieldset", {}, make("legend", {}, control.label));
  for (const [value, words] of control.options) {
    const input = make("input", { type: "radio", name: control.name, value });
    input.checked = value === control.value;
    set.append(make("label", { class: "labkit-inline" }, input, words));
  }
  return set;
}

function readForm(form) {
  const values = {};
  for (const input of form.elements) {
    if (!input.name) continue;
    if (input.type === "checkbox") values[input.name] = input.checked;
    else if (input.type === "number") values[input.name] = input.valueAsNumber;
    else if (input.type !== "radio" || input.checked) values[input.name] = input.value;
    else values[input.name] ??= "";
  }
  return values;
}

// What was folded open stays open: `data-key` says which part is which from one drawing to the next.
function redraw(shown, html) {
  const open = new Map([...shown.querySelectorAll("details[data-key]")].map((each) => [each.dataset.key, each.open]));
  const focused = shown.contains(document.activeElement) && document.activeElement.closest("[data-key]")?.dataset.key;
  shown.innerHTML = html;
  for (const each of shown.querySelectorAll("details[data-key]")) {
    if (open.has(each.dataset.key)) each.open = open.get(each.dataset.key);
    if (focused && each.dataset.key === focused) each.querySelector("summary")?.focus({ preventScroll: true });
  }
  steps(shown);
}

// Parts with `data-step` are seen one at a time, with buttons and a slider; arrow keys move it.
function steps(shown) {
  const parts = [...shown.querySelectorAll("[data-step]")];
  if (!parts.length) return;
  const last = Math.max(...parts.map((part) => Number(part.dataset.step)));
  const slider = make("input", { type: "range", min: 0, max: last, step: 1, "aria-label": "Step" });
  slider.value = 0;
  const back = make("button", { type: "button" }, "Back");
  const next = make("button", { type: "button" }, "Next");
  const place = make("output", { "aria-live": "polite" });
  const go = (step) => {
    const now = Math.min(last, Math.max(0, step));
    slider.value = now;
    place.textContent = `${now + 1} of ${last + 1}`;
    for (const part of parts) part.hidden = Number(part.dataset.step) !== now;
    for (const mark of shown.querySelectorAll("[data-mark]")) mark.toggleAttribute("data-now", Number(mark.dataset.mark) === now);
    slider.setAttribute("aria-valuetext", parts.find((part) => !part.hidden)?.dataset.title ?? place.textContent);
  };
  back.addEventListener("click", () => go(Number(slider.value) - 1));
  next.addEventListener("click", () => go(Number(slider.value) + 1));
  slider.addEventListener("input", () => go(Number(slider.value)));
  parts[0].before(make("div", { class: "labkit-steps" }, back, next, slider, place));
  go(0);
}

// A frame around a notebook reads keys before whoever has the focus: an arrow would move its cursor,
// `d` twice would delete the cell. Keys belong to the widget that has the focus, but for those with
// which one leaves it (Escape), runs the cell (Shift+Enter) or asks the frame for something (Ctrl+S).
function ownKeys(root) {
  const keep = (event) => {
    const leaves = event.key === "Escape" || (event.key === "Enter" && event.shiftKey);
    if (root.contains(event.target) && !leaves && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopImmediatePropagation();
  };
  window.addEventListener("keydown", keep, true);
  return () => window.removeEventListener("keydown", keep, true);
}

// After so long without a word from the kernel, say what that may mean.
const ANSWERS_MS = 3000;
const NO_ANSWER = "No answer yet. The kernel is busy; or it has been restarted, then run this cell again.";

function render({ model, el }) {
  const form = make("form");
  const status = make("p", { role: "status" });
  const alert = make("p", { role: "alert" });
  const shown = make("div", { class: "labkit-shown" });
  const root = make("div", { class: "labkit-view", role: "group", "aria-label": model.get("label") }, form, status, alert, shown);
  let waiting = 0;
  const send = (action) => {
    if (model.get("busy") || !form.reportValidity()) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => (status.textContent = NO_ANSWER), ANSWERS_MS);
    model.send({ action, values: readForm(form) });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const first = form.querySelector("button");
    if (first) send(first.dataset.action);
  });

  const drawControls = () => {
    const focused = form.contains(document.activeElement) ? document.activeElement.name : "";
    form.replaceChildren(
      ...model.get("controls").map((control) => {
        if (control.kind === "button") {
          const button = make("button", { type: "button", title: control.tip, "data-action": control.action }, control.label);
          button.addEventListener("click", () => send(control.action));
          return button;
        }
        const field = fields[control.kind](control);
        if (control.action) field.addEventListener("change", () => send(control.action));
        return field;
      }),
    );
    if (focused) form.elements.namedItem(focused)?.focus?.();
  };
  const drawStatus = () => {
    clearTimeout(waiting);
    status.textContent = model.get("busy") ? `${model.get("busy")} …` : model.get("said");
    alert.textContent = model.get("error");
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", String(Boolean(model.get("busy"))));
  };
  const drawValue = () => redraw(shown, model.get("html"));

  const bound = [
    ["change:controls", drawControls],
    ["change:heard change:busy change:said change:error", drawStatus],
    ["change:html", drawValue],
  ];
  for (const [events, draw] of bound) for (const event of events.split(" ")) model.on(event, draw);
  drawControls();
  drawStatus();
  drawValue();
  el.append(root);
  const disownKeys = ownKeys(root);
  return () => {
    disownKeys();
    clearTimeout(waiting);
    bound.forEach(([events, draw]) => events.split(" ").forEach((event) => model.off(event, draw)));
  };
}

export default { render };
