"use strict";
// Sorting: a heading becomes a button; numbers by value, texts by alphabet, empty cells last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  heads.forEach((head, column) => {
    if (head.dataset.plain !== undefined) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const value = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
      const rows = [...body.rows].map((row) => [row, value(row)]);
      const numbers = rows.every(([, v]) => v === "" || !Number.isNaN(Number(v)));
      const before = head.getAttribute("aria-sort"); // numbers begin with the greatest
      const up = before ? before === "descending" : !numbers;
      rows.sort(([, a], [, b]) => {
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = numbers ? Number(a) - Number(b) : a.localeCompare(b);
        return up ? order : -order;
      });
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      body.append(...rows.map(([row]) => row));
    });
  });
}
// Reading curves: the value of each line at the pointer.
const made = (parent, kind) => {
  const element = document.createElement("div");
  element.className = kind;
  element.hidden = true;
  parent.append(element);
  return element;
};
const short = (value) => (Math.abs(value) >= 1000 ? value.toFixed(0) : value.toFixed(3));
for (const plot of document.querySelectorAll(".plot[data-hover]")) {
  const { size, panels } = JSON.parse(plot.dataset.hover);
  const tip = made(plot, "tip");
  const rule = made(plot, "rule");
  const hide = () => { tip.hidden = rule.hidden = true; };
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("pointermove", (event) => {
    const frame = plot.querySelector("svg").getBoundingClientRect();
    const outer = plot.getBoundingClientRect();
    const scale = frame.width / size[0];
    const x = (event.clientX - frame.left) / scale;
    const y = (event.clientY - frame.top) / scale;
    const panel = panels.find(({ box: b }) => x >= b[0] && x <= b[0] + b[2] && y >= b[1] && y <= b[1] + b[3]);
    if (!panel) { hide(); return; }
    const [left, top, wide, high] = panel.box;
    const at = panel.x[0] + ((x - left) / wide) * (panel.x[1] - panel.x[0]);
    const lines = panel.series.map((line) => {
      let best = 0;
      line.xs.forEach((value, i) => {
        if (Math.abs(value - at) < Math.abs(line.xs[best] - at)) best = i;
      });
      return [line, line.ys[best]];
    }).sort((a, b) => b[1] - a[1]);
    const head = document.createElement("b");
    head.textContent = `${panel.names[0]} ${short(at)}`;
    tip.replaceChildren(head);
    for (const [line, value] of lines) {
      const row = document.createElement("div");
      const mark = document.createElement("i");
      mark.style.borderColor = `var(--c${line.colour.slice(1)},${line.colour})`;
      row.append(mark, `${line.name.split("  ")[0]} ${short(value)}`);
      tip.append(row);
    }
    tip.hidden = rule.hidden = false;
    const shift = frame.left - outer.left;
    rule.style.cssText = `left:${shift + x * scale}px;top:${top * scale}px;height:${high * scale}px`;
    const after = shift + x * scale + 14;
    const place = after + tip.offsetWidth > outer.width ? after - 28 - tip.offsetWidth : after;
    tip.style.left = `${Math.max(place, 0)}px`;
    tip.style.top = `${Math.max((top + 6) * scale, 0)}px`;
  });
}
// Loci: the arrow keys go from one to the next.
for (const list of document.querySelectorAll(".loci")) {
  const heads = [...list.querySelectorAll("summary")];
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const at = heads.indexOf(event.target);
    if (!step || at < 0 || !heads[at + step]) return;
    event.preventDefault();
    heads[at + step].focus();
    heads[at + step].parentElement.open = true;
  });
}
// Print: everything is open.
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) {
    if (each.getAttribute("name")) each.dataset.group = each.getAttribute("name");
    each.removeAttribute("name");
    each.dataset.open = each.open;
    each.open = true;
  }
});
addEventListener("afterprint", () => {
  for (const each of document.querySelectorAll("details")) {
    each.open = each.dataset.open === "true";
    if (each.dataset.group) each.setAttribute("name", each.dataset.group);
  }
});
