// The tree of a run as a table: only the rows in sight are in the document; arrows, Home, End and Enter walk and fold it.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState, useWidth } from "/static/dom.js";
import { change, current } from "/static/state.js";
import { plural } from "/static/format.js";

const ROW = 28;
const MORE = 5;
const MOST_TURNED = 40;

const COLUMNS = [
  { name: "event", from: 0, width: "minmax(9rem, 2.6fr)" },
  { name: "id", from: 900, width: "5.4rem" },
  { name: "time", from: 300, width: "6.6rem", number: true },
  { name: "tokens", from: 560, width: "minmax(5rem, 15rem)" },
  { name: "cost", from: 0, width: "5.2rem", number: true },
  { name: "notes", from: 800, width: "minmax(4rem, 1.5fr)" },
];

/** The events that are unfolded or folded otherwise than at first, by id. */
const turnedNow = () => new Set((current().parameters.get("turned") || "").split(",").filter(Boolean));

export function Tree({ rows, selected, select }) {
  const { parameters } = current();
  const q = parameters.get("q") || "";
  const turnedText = parameters.get("turned") || "";
  const [shown, matches] = useMemo(() => {
    if (q.trim()) return rows.having(q);
    return [rows.shown(turnedNow(), selected), 0];
  }, [rows, q, turnedText, selected]);
  const [box, width] = useWidth();
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(500);
  const columns = useMemo(() => COLUMNS.filter((column) => width >= column.from), [width]);
  const inSight = Math.ceil(height / ROW) + 2 * MORE + 2; // rows that leave the view are filled anew: quicker than new ones
  const kept = useMemo(() => new Map(), [rows, columns, inSight, Math.floor(top / 40_000)]); // rows that are drawn as they were
  const at = Math.max(0, shown.indexOf(selected));
  const first = Math.max(0, Math.floor(top / ROW) - MORE);
  const last = Math.min(shown.length, Math.ceil((top + height) / ROW) + MORE);
  const anchor = useRef(null);

  useLayoutEffect(() => { setHeight(box.current?.clientHeight || 500); });
  useEffect(() => { // what one reads stays where it is when rows are added above it
    const held = anchor.current;
    if (held && held.rows !== rows && box.current.scrollTop > 0) {
      const place = shown.indexOf(rows.placeOf(held.id));
      if (place >= 0) box.current.scrollTop = place * ROW + held.by;
    }
  }, [rows]);
  useEffect(() => { // a link opens where its event is
    if (selected >= 0) see(shown.indexOf(selected));
  }, [selected, q]);

  const see = (place) => {
    const body = box.current;
    if (place < 0) return;
    const view = body.clientHeight - ROW; // below the heading
    if (place * ROW < body.scrollTop) body.scrollTop = place * ROW;
    else if ((place + 1) * ROW > body.scrollTop + view) body.scrollTop = (place + 1) * ROW - view;
  };
  const isOpen = (place) => rows.size[place] > 1 && shown[shown.indexOf(place) + 1] === place + 1;
  const turn = (place) => {
    if (rows.size[place] < 2 || q.trim()) return;
    const turned = turnedNow();
    const id = rows.id(place);
    if (isOpen(place) && selected > place && selected < place + rows.size[place]) select(place);
    if (turned.has(id)) turned.delete(id); else turned.add(id);
    change({ turned: [...turned].slice(-MOST_TURNED).join(",") }, { replace: true });
  };
  const key = (event) => {
    if (!shown.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(height / ROW) - 2);
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1, PageDown: at + page, PageUp: at - page };
    const place = shown[at];
    if (event.key in steps) {
      const next = Math.max(0, Math.min(shown.length - 1, steps[event.key]));
      select(shown[next]);
      see(next);
    } else if (event.key === "ArrowRight") {
      if (rows.size[place] > 1 && !isOpen(place)) turn(place);
      else if (rows.size[place] > 1) select(place + 1);
    } else if (event.key === "ArrowLeft") {
      if (isOpen(place)) turn(place);
      else if (rows.parent[place] >= 0) select(rows.parent[place]);
    } else if (event.key === "Enter") turn(place);
    else return;
    event.preventDefault();
  };
  const scroll = (event) => {
    const now = event.target.scrollTop;
    const place = shown[Math.floor(now / ROW)];
    if (place !== undefined) anchor.current = { rows, id: rows.id(place), by: now % ROW };
    setTop(now);
  };
  const row = (place, number) => {
    const isAt = place === selected || (selected < 0 && place === 0);
    const isOpen = shown[number + 1] === place + 1 && rows.size[place] > 1;
    const drawn = kept.get(place);
    if (drawn && drawn.number === number && drawn.isAt === isAt && drawn.isOpen === isOpen) return drawn.row;
    const made = html`<${Row} key=${number % inSight} rows=${rows} place=${place} number=${number} columns=${columns} isAt=${isAt} isOpen=${isOpen} />`;
    kept.set(place, { number, isAt, isOpen, row: made });
    return made;
  };
  const click = (event) => {
    const line = event.target.closest(".row");
    const place = line ? shown[Number(line.dataset.number)] : undefined;
    if (place === undefined) return;
    if (event.type === "dblclick" || event.target.closest(".fold")) turn(place);
    else select(place);
  };
  const grid = columns.map((column) => column.width).join(" ");
  return html`
    <div class="tree" role="treegrid" style=${{ height: `min(62vh, ${Math.max(shown.length, 6) * ROW + 46}px)`, "--columns": grid }} aria-label="events of the run" aria-rowcount=${shown.length + 1} aria-colcount=${columns.length} tabindex="0" ref=${box}
         aria-activedescendant=${shown.length ? `e-${rows.id(shown[at])}` : undefined} onKeyDown=${key} onScroll=${scroll}>
      <div role="row" class="head" aria-rowindex="1">
        ${columns.map((column) => html`<div role="columnheader" class=${column.number ? "number" : ""}>${column.name}</div>`)}
      </div>
      <div role="presentation" class="body" onClick=${click} onDblClick=${click} style=${{ height: `${shown.length * ROW}px` }}>
        ${shown.slice(first, last).map((place, number) => row(place, first + number))}
      </div>
    </div>
    ${q.trim() && !shown.length ? html`<p class="aside">No event of this run has “${q}”.</p>` : q.trim() ? html`<p class="aside">${plural(matches, "event")} of ${plural(rows.length, "event")} ${matches === 1 ? "has" : "have"} “${q}”.</p>` : null}`;
}

function Row({ rows, place, number, columns, isAt, isOpen }) {
  const depth = rows.columns.depth[place];
  const hasMore = rows.size[place] > 1;
  return html`<div id=${`e-${rows.id(place)}`} role="row" class=${`row ${isAt ? "is-at" : ""}`} aria-level=${depth + 1} aria-rowindex=${number + 2}
       aria-expanded=${hasMore ? String(isOpen) : undefined} aria-selected=${String(isAt)} data-number=${number} style=${{ transform: `translateY(${number * ROW}px)` }}>
    ${columns.map((column) => html`<div role="gridcell" class=${column.number ? "number" : ""}>${cell(column.name, rows, place, hasMore, isOpen, columns)}</div>`)}
  </div>`;
}

function cell(name, rows, place, hasMore, isOpen, columns) {
  if (name === "event") {
    const [kind, said] = rows.name(place);
    const isCall = rows.isCall(place);
    return html`<span class="fold" aria-hidden="true" style=${{ marginLeft: `${Math.min(rows.columns.depth[place], 14) * 0.9}rem` }}>${hasMore ? (isOpen ? "▾" : "▸") : ""}</span>
      ${isCall ? null : html`<span class="tone-nothing">${kind} </span>`}<span dir="auto" title=${said}>${said}</span>
      ${rows.end(place)[1] && columns.at(-1).name !== "notes" ? html` <span class=${rows.end(place)[0] === "error" ? "tone-over" : "tone-doubt"}>${rows.end(place)[1]}</span>` : null}
      ${hasMore && !isOpen ? html`<span class="tone-nothing"> +${(rows.size[place] - 1).toLocaleString("en-US")}</span>` : null}`;
  }
  if (name === "id") return html`<span class="tone-nothing">${rows.id(place).slice(-8)}</span>`;
  if (name === "time") return rows.time(place);
  if (name === "tokens") return html`<span class=${rows.estimated.has(place) ? "tone-doubt" : ""}>${rows.tokens(place, columns.at(-1).name !== "notes")}</span>`;
  if (name === "cost") { const [said, tone] = rows.cost(place); return html`<span class=${tone ? `tone-${tone}` : ""}>${said}</span>`; }
  return rows.notes(place).map(([said, tone]) => html`<span class=${tone ? `tone-${tone}` : ""} title=${said}>${said} </span>`);
}
