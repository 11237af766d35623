"use strict";
(() => {
  const root = document.documentElement;
  const said = document.getElementById("said");
  const say = (text) => { said.textContent = text; };

  // Theme: the system's until the button is pressed; remembered where the browser allows it.
  const theme = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remembered = (value) => {
    try {
      if (value) localStorage.setItem("harness-theme", value);
      return localStorage.getItem("harness-theme");
    } catch { return null; }
  };
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
  const showTheme = () => theme.setAttribute("aria-pressed", String(isDark()));
  const kept = remembered();
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remembered(root.dataset.theme);
    showTheme();
  });
  dark.addEventListener("change", showTheme);
  theme.hidden = false;
  showTheme();

  // Tables: ascending, descending, and as they were; cells without a value stay last.
  const collator = new Intl.Collator("en", { numeric: true });
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "–" ? null : text;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return collator.compare(a, b);
  };
  const sort = (header) => {
    const table = header.closest("table");
    const order = { none: "ascending", ascending: "descending", descending: "none" }[header.ariaSort || "none"];
    for (const other of table.tHead.rows[0].cells) if (other.firstElementChild?.matches("button")) other.ariaSort = "none";
    header.ariaSort = order;
    const sign = order === "descending" ? -1 : 1;
    for (const body of table.tBodies) {
      const rows = [...body.rows].map((row, at) => {
        row.dataset.at ??= at;
        return { row, at: Number(row.dataset.at), key: keyOf(row, header.cellIndex), last: row.classList.contains("mean") };
      });
      rows.sort((a, b) => {
        if (a.last !== b.last) return a.last ? 1 : -1;
        if (order === "none") return a.at - b.at;
        if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.at - b.at;
        return sign * compare(a.key, b.key) || a.at - b.at;
      });
      body.append(...rows.map((each) => each.row));
    }
    say(order === "none" ? "In the order of the suite" : `Sorted by ${header.textContent}, ${order}`);
  };
  for (const header of document.querySelectorAll("table[data-sort] thead th:not([data-fixed])")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    header.ariaSort = "none";
  }

  // Copying, and opening what a link leads to.
  const copy = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
      if (!document.execCommand("copy")) return say("Select the command to copy it");
    }
    button.textContent = "Copied";
    say("Command copied");
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
  for (const button of document.querySelectorAll(".copy")) button.hidden = false;
  const open = () => {
    let id = location.hash.slice(1);
    try { id = document.getElementById(id) ? id : decodeURIComponent(id); } catch { return; }
    const target = id && document.getElementById(id);
    if (!target) return;
    const details = target.closest("details");
    if (details) {
      details.open = true;
      details.querySelector("summary").focus({ preventScroll: true });
    }
    target.scrollIntoView();
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) open();
    const button = event.target.closest("button");
    if (!button) return;
    if (button.classList.contains("copy")) copy(button);
    else if (button.parentElement.matches("table[data-sort] thead th")) sort(button.parentElement);
  });
  addEventListener("hashchange", open);
  open();
})();
