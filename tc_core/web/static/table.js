// Tables: columns as arrays, only the rows in sight in the document, arrows, Home and End, sorting that the address keeps.
import { html, useEffect, useMemo, useNarrow, useRef, useState, useWithin } from "/static/dom.js";
import { change, current, follow, go } from "/static/state.js";
import { plural } from "/static/format.js";

const ROW = 30;
const ALL_AT_ONCE = 60;

/** The places of the rows that `q` finds, in the order that `order` says (`-NAME` is the largest first). */
export function rowsOf(table, q, order) {
  let rows = Array.from({ length: table.rows }, (_, row) => row);
  const wanted = (q || "").trim().toLowerCase();
  if (wanted) {
    const names = table.columns.filter((column) => column.kind === "name");
    rows = rows.filter((row) => names.some((column) => column.text[row].toLowerCase().includes(wanted)));
  }
  const label = (order || "").replace(/^-/, "");
  const column = label && table.columns.find((each) => each.label === label);
  if (column) {
    const values = column.value || column.text;
    const sign = order.startsWith("-") ? -1 : 1;
    rows.sort((a, b) => sign * compare(values[a], values[b]) || a - b);
  }
  return rows;
}

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  return typeof a === "number" ? a - b : a.localeCompare(b);
}

/**
 * A table as the server sends it. `of` names it where a page has several: its parameters are then `q`, `OF.order`, `OF.row`.
 * `open(row)` is what Enter and a click do; without it the first link of a row is followed. `extra` are columns that the
 * page draws itself, [{ label, width, cell(row) }]; `seen(rows)` is told which rows are in sight.
 */
export function Table({ table, of = "", open, extra = [], seen, height = 0.6 }) {
  const narrow = useNarrow();
  const prefix = of ? `${of}.` : "";
  const { parameters } = current();
  const q = parameters.get("q");
  const order = parameters.get(`${prefix}order`);
  const rows = useMemo(() => rowsOf(table, q, order), [table, q, order]);
  const tight = useWithin(1450);
  const columns = table.columns.filter((column) => !column.goes || !(narrow || (tight && column.goes >= 9)));
  const fills = extra.length || columns.some((column) => column.kind === "share" || column.wide);
  const isLong = rows.length > ALL_AT_ONCE;
  const [top, setTop] = useState(0);
  const [at, setAt] = useState(0);
  const box = useRef(null);
  const inSight = isLong ? Math.ceil((innerHeight * height) / ROW) : rows.length;
  const first = isLong ? Math.max(0, Math.floor(top / ROW) - 8) : 0;
  const last = isLong ? Math.min(rows.length, first + inSight + 16) : rows.length;
  const id = `t-${of || "main"}`;

  const inSightNow = rows.slice(first, last);
  useEffect(() => { if (seen) seen(inSightNow); }, [seen, inSightNow.join()]);
  useEffect(() => setAt((place) => Math.max(0, Math.min(place, rows.length - 1))), [rows.length]);

  const follow_ = (row) => {
    if (open) return open(row);
    const link = table.columns.map((column) => column.link && column.link[row]).find(Boolean);
    if (link) go(link);
    return undefined;
  };
  const move = (place) => {
    const next = Math.max(0, Math.min(rows.length - 1, place));
    setAt(next);
    const body = box.current;
    if (!isLong) { body.querySelector(`#${id}-${next}`)?.scrollIntoView({ block: "nearest" }); return; }
    if (next * ROW < body.scrollTop) body.scrollTop = next * ROW;
    else if ((next + 2) * ROW > body.scrollTop + body.clientHeight) body.scrollTop = (next + 2) * ROW - body.clientHeight;
  };
  const key = (event) => {
    if (event.target !== box.current) return;
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + inSight - 1, PageUp: at - inSight + 1 };
    if (event.key in steps) move(steps[event.key]);
    else if (event.key === "Enter" && rows.length) follow_(rows[at]);
    else return;
    event.preventDefault();
  };
  const sort = (column) => {
    const larger = `-${column.label}`;
    const next = column.kind === "name"
      ? { [column.label]: larger, [larger]: null }[order] ?? (order === larger ? null : column.label)
      : { [larger]: column.label, [column.label]: null }[order] ?? (order === column.label ? null : larger);
    change({ [`${prefix}order`]: next }, { replace: true });
  };

  if (!table.rows) return null;
  return html`
    <div class=${`grid ${isLong ? "is-long" : ""} ${fills ? "" : "is-snug"}`} role="grid" aria-label=${table.label} aria-rowcount=${rows.length + 1}
         tabindex="0" aria-activedescendant=${rows.length ? `${id}-${at}` : undefined} ref=${box} onKeyDown=${key}
         onScroll=${isLong ? (event) => setTop(event.target.scrollTop) : undefined}
         style=${{ gridTemplateColumns: `${widths(columns)} ${extra.map((each) => each.width).join(" ")}`, maxHeight: isLong ? `${height * 100}vh` : undefined }}>
      <div role="row" class="head" aria-rowindex="1">
        ${columns.map((column) => html`
          <div role="columnheader" class=${column.kind} aria-sort=${sorted(column, order)}>
            <button type="button" onClick=${() => sort(column)}>${column.label}<span class="arrow" aria-hidden="true">${arrow(column, order)}</span></button>
          </div>`)}
        ${extra.map((each) => html`<div role="columnheader" class="name plain">${each.label}</div>`)}
      </div>
      ${isLong ? html`<div role="presentation" class="space" style=${{ height: `${first * ROW}px` }}></div>` : null}
      ${inSightNow.map((row, place) => html`
        <div key=${row} id=${`${id}-${first + place}`} role="row" aria-rowindex=${first + place + 2}
             class=${`row ${first + place === at ? "is-at" : ""}`} aria-selected=${first + place === at ? "true" : "false"}
             onClick=${(event) => { setAt(first + place); if (open && !event.target.closest("a,button")) open(row); }}>
          ${columns.map((column) => html`<div role="gridcell" class=${`${column.kind} ${column.wide ? "wide" : ""} ${column.tone?.[row] ? `tone-${column.tone[row]}` : ""}`}>${cell(column, row)}</div>`)}
          ${extra.map((each) => html`<div role="gridcell" class="name">${each.cell(row)}</div>`)}
        </div>`)}
      ${isLong ? html`<div role="presentation" class="space" style=${{ height: `${(rows.length - last) * ROW}px` }}></div>` : null}
    </div>
    ${q && rows.length < table.rows ? html`<p class="aside">${plural(rows.length, "row")} of ${plural(table.rows, "row")} ${rows.length === 1 ? "has" : "have"} “${q}”.</p>` : null}`;
}

function cell(column, row) {
  const text = column.text[row];
  if (column.kind === "share") {
    const width = `${Math.max(0, Math.min(1, column.value[row])) * 100}%`;
    return html`<span class="meter" aria-hidden="true"><span class=${`fill ${column.tone?.[row] || ""}`} style=${{ width }}></span></span><span class="figure">${text}</span>`;
  }
  const link = column.link?.[row];
  if (link) return html`<a href=${link} tabindex="-1" dir="auto" title=${text} onClick=${(event) => follow(event, link)}>${text}</a>`;
  return column.kind === "name" ? html`<span dir="auto" title=${text}>${text}</span>` : text;
}

function widths(columns) {
  return columns.map((column, place) => {
    if (column.kind === "share") return "minmax(7.5rem, 1.2fr)";
    if (column.whole) return "max-content";
    if (column.kind === "name") return column.wide ? "minmax(9rem, 3fr)" : `minmax(${place ? 5 : 8}rem, max-content)`;
    return "max-content";
  }).join(" ");
}

const sorted = (column, order) => ({ [column.label]: "ascending", [`-${column.label}`]: "descending" })[order] ?? "none";
const arrow = (column, order) => ({ ascending: " ↑", descending: " ↓", none: "" })[sorted(column, order)];

