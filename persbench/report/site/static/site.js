"use strict";
// What a reader chose stands in the address (after #), so that it can be shared, and survives a change of page.
const state = new URLSearchParams();

function readState() {
  for (const key of [...state.keys()]) state.delete(key);
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) state.set(key, value);
}

function writeState(changes) {
  for (const [key, value] of Object.entries(changes)) value ? state.set(key, value) : state.delete(key);
  const text = state.toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  carry();
}

function carry() {
  const text = state.toString();
  for (const link of document.querySelectorAll("a[data-keep], a[data-pairkeep]")) {
    link.hash = text;
  }
}

const FIRST = 24; // rows put in place at once where none has a height to go by
const MORE = 64; // rows that follow in one go
const later = window.requestIdleCallback || setTimeout;
const byName = new Intl.Collator().compare;

// Put rows in order: those in sight before the next frame, the others right after it. Until then the others are not
// drawn and their room is kept: in a frame in which rows move, each that is laid out costs time, in sight or not.
function placer(body) {
  const frame = body.closest(".scroll");
  const gap = document.createElement("tr");
  gap.setAttribute("aria-hidden", "true");
  let left = { above: [], below: [] };

  function keepRoom() {
    const [above, below] = [left.above, left.below].map((rows) => left.tall * rows.filter(({ fits }) => fits).length);
    gap.style.height = `${above}px`;
    left.above.length ? body.prepend(gap) : gap.remove();
    body.parentElement.style.marginBottom = below ? `${below}px` : "";
    const busy = left.above.length + left.below.length > 0;
    busy ? body.setAttribute("aria-busy", "true") : body.removeAttribute("aria-busy");
  }

  function follow(number) {
    const down = left.below.length > 0;
    const rows = (down ? left.below.splice(0, number) : left.above.splice(-number)).map(({ row }) => row);
    const top = down ? 0 : left.mark.getBoundingClientRect().top;
    for (const row of rows) row.classList.remove("later");
    down ? body.append(...rows) : body.prepend(...rows);
    keepRoom();
    if (!down) frame.scrollTop += left.mark.getBoundingClientRect().top - top; // the gap was a guess
    if (!left.above.length) frame.style.overflowAnchor = "";
  }

  function soon(mine) {
    requestAnimationFrame(() => later(() => {
      if (mine !== left) return; // sorted otherwise meanwhile
      if (mine.above.length + mine.below.length) follow(MORE);
      if (mine.above.length + mine.below.length) soon(mine);
    }, { timeout: 200 }));
  }

  addEventListener("beforeprint", () => {
    while (left.above.length + left.below.length) follow(Infinity);
  });
  return (sorted) => {
    const heights = sorted.map(({ row }) => row.offsetHeight).filter((height) => height > 0);
    const tall = heights.reduce((sum, height) => sum + height, 0) / heights.length || 1;
    const many = heights.length ? Math.ceil(frame.clientHeight / Math.min(...heights)) + 2 : FIRST;
    const shown = sorted.filter(({ fits }) => fits);
    const first = Math.max(0, Math.min(Math.floor(frame.scrollTop / tall) - 1, shown.length - many));
    const start = first ? sorted.indexOf(shown[first]) : 0;
    const end = first + many < shown.length ? sorted.indexOf(shown[first + many]) : sorted.length;
    left = { tall, mark: shown[first]?.row, above: sorted.slice(0, start), below: sorted.slice(end) };
    // Rows just above come in as tall as they stay, if they are laid out as those in sight are.
    sorted.forEach(({ row }, i) => {
      row.classList.toggle("near", i >= start - 2 * many && i < end);
      row.classList.toggle("later", i < start || i >= end);
    });
    body.prepend(...sorted.slice(start, end).map(({ row }) => row));
    frame.style.overflowAnchor = start ? "none" : "";
    keepRoom();
    soon(left);
  };
}

function board(table) {
  const body = table.tBodies[0];
  const place = placer(body);
  const buttons = [...table.querySelectorAll("button[data-sort]")];
  const head = buttons.map((button) => button.closest("th"));
  const rows = [...body.rows].map((row, place) => ({
    row,
    place,
    fits: true,
    name: row.dataset.name.toLowerCase(),
    model: row.dataset.model,
    values: buttons.map((_, i) => {
      const text = i ? row.cells[i].dataset.v : "";
      return text === "" || text === undefined ? NaN : Number(text);
    }),
  }));
  const find = (name) => document.querySelector(`[data-${name}]`);
  const [tools, search, more, told, nothing, clear] =
    ["tools", "search", "more", "told", "nothing", "clear"].map(find);
  const model = document.querySelector("select[data-model]");

  const first = (button) => button.dataset.first || "asc";
  let shownOrder = "";

  function order() {
    const column = buttons.findIndex((button) => button.dataset.sort === state.get("sort"));
    const direction = column < 0 ? "" : state.get("dir") === "asc" || state.get("dir") === "desc"
      ? state.get("dir") : first(buttons[column]);
    const wanted = `${column} ${direction}`;
    if (wanted === shownOrder) return;
    const sign = direction === "asc" ? 1 : -1;
    const sorted = [...rows].sort((a, b) => {
      if (column < 0) return a.place - b.place;
      if (column === 0) return sign * byName(a.name, b.name) || a.place - b.place;
      const [x, y] = [a.values[column], b.values[column]];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a.place - b.place;
      return sign * (x - y) || a.place - b.place;
    });
    if (shownOrder || column >= 0) place(sorted); // reads the layout: before anything else is changed
    shownOrder = wanted;
    head.forEach((cell, i) => i === column
      ? cell.setAttribute("aria-sort", direction === "asc" ? "ascending" : "descending")
      : cell.removeAttribute("aria-sort"));
  }

  function fit() {
    const part = (state.get("q") || "").toLowerCase();
    const wanted = state.get("model") || "";
    for (const each of rows) each.fits = each.name.includes(part) && (!wanted || each.model === wanted);
  }

  function filter() {
    for (const each of rows) each.row.hidden = !each.fits;
    const shown = rows.filter(({ fits }) => fits).length;
    told.textContent = shown === rows.length ? `${shown} systems` : `${shown} of ${rows.length} systems`;
    nothing.hidden = shown > 0;
    clear.hidden = !["q", "model", "sort", "dir", "more"].some((key) => state.has(key));
  }

  function show() {
    fit();
    order();
    if (search.value !== (state.get("q") || "")) search.value = state.get("q") || "";
    if (model) model.value = state.get("model") || "";
    more.checked = state.has("more");
    table.classList.toggle("more", more.checked);
    filter();
  }

  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-sort]");
    if (!button) return;
    const [now, usual] = [button.closest("th").getAttribute("aria-sort"), first(button)];
    const other = usual === "asc" ? "desc" : "asc";
    const dir = !now ? usual : now.startsWith(usual) ? other : "";
    writeState(dir ? { sort: button.dataset.sort, dir } : { sort: "", dir: "" });
    show();
    const column = button.textContent.trim();
    told.textContent += dir ? `, by ${column}, ${dir === "asc" ? "rising" : "falling"}` : ", in the first order";
  });
  search.addEventListener("input", () => { writeState({ q: search.value }); show(); });
  if (model) model.addEventListener("change", () => { writeState({ model: model.value }); show(); });
  more.addEventListener("change", () => { writeState({ more: more.checked ? "1" : "" }); show(); });
  clear.addEventListener("click", () => {
    writeState({ q: "", model: "", sort: "", dir: "", more: "" });
    show();
    search.focus();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    }
  });
  tools.hidden = false;
  return show;
}

function pair(form) {
  const sides = ["a", "b"].map((side) => form.querySelector(`[data-side="${side}"]`));
  const said = [...document.querySelectorAll("[data-s]")];
  const known = (select, value) => [...select.options].some((option) => option.value === value);

  function show() {
    const [left, right] = sides;
    const a = known(left, state.get("a")) ? state.get("a") : left.options[0].value;
    const wanted = state.has("b") ? (state.get("b") === "-" ? "" : state.get("b")) : null;
    const other = [...right.options].map((option) => option.value).find((value) => value && value !== a) || "";
    const b = wanted !== null && known(right, wanted) ? wanted : other;
    [left.value, right.value] = [a, b];
    for (const each of said) {
      each.hidden = each.dataset.s !== a && each.dataset.s !== b;
      each.classList.toggle("left", each.dataset.s === a);
      each.classList.toggle("right", each.dataset.s === b && b !== a);
    }
    document.body.classList.toggle("paired", Boolean(b) && b !== a);
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  sides.forEach((select, i) => select.addEventListener("change", () => {
    writeState(i ? { b: select.value || "-" } : { a: select.value });
    show();
  }));
  form.hidden = false;
  return show;
}

readState();
const shows = [];
const table = document.querySelector("table[data-sortable]");
if (table) shows.push(board(table));
const form = document.querySelector("form[data-pair]");
if (form) shows.push(pair(form));
const showAll = () => { carry(); shows.forEach((show) => show()); };
showAll();
addEventListener("hashchange", () => { readState(); showAll(); });
