// The time line of a run on a canvas: what ran when, one below the other as they hang under each other, what ran beside each other side by side.
import { html, useEffect, useMemo, useRef, useState, useWidth } from "/static/dom.js";
import { change } from "/static/state.js";
import { count, plural } from "/static/format.js";
import { seconds } from "/static/pages/run-text.js";

const LANE = 17;
const MOST_LANES = 60;
const MOST_BESIDE = 40;
const LEAST_WIDTH = 0.5;
const COLOURS = { workflow: "--rest", task: "--rest", agent: "--s0", llm_call: "--s1", embedding: "--s1", tool: "--s2", retrieval: "--s3" };
const LEGEND = [["agent", 0], ["model call", 1], ["tool", 2], ["retriever", 3], ["step", "rest"]];

/** The lane of each event: below its parent, and below what runs at the same time beside it. */
export function lanesOf(rows) {
  const { begin, took } = rows.columns;
  const lane = new Int32Array(rows.length);
  const tall = new Int32Array(rows.length).fill(1);
  const below = new Int32Array(rows.length); // how far below its parent's first lane
  for (let place = rows.length - 1; place >= 0; place--) {
    let beside = [];
    let most = 0;
    for (let child = place + 1; child < place + rows.size[place]; child += rows.size[child]) {
      if (beside.length) beside = beside.filter((other) => begin[other] + took[other] > begin[child]);
      let free = 0;
      if (beside.length && beside.length <= MOST_BESIDE) {
        for (const other of [...beside].sort((a, b) => below[a] - below[b])) {
          if (below[other] >= free + tall[child]) break;
          free = Math.max(free, below[other] + tall[other]);
        }
      }
      below[child] = free;
      beside.push(child);
      most = Math.max(most, free + tall[child]);
    }
    tall[place] = 1 + most;
  }
  for (let place = 1; place < rows.length; place++) lane[place] = lane[rows.parent[place]] + 1 + below[place];
  return lane;
}

export function Timeline({ rows, selected, select, zoom, isLive }) {
  const [box, width] = useWidth();
  const canvas = useRef(null);
  const [over, setOver] = useState(null);
  const [theme, setTheme] = useState(0);
  const lane = useMemo(() => lanesOf(rows), [rows]);
  const top = zoom >= 0 ? zoom : 0;
  const { begin, took } = rows.columns;
  const span = useMemo(() => spanOf(rows, top), [rows, top]);
  const deepest = useMemo(() => {
    let found = 0;
    for (let i = top; i < top + rows.size[top]; i++) if (lane[i] > found) found = lane[i];
    return found - lane[top] + 1;
  }, [rows, top, lane]);
  const lanes = Math.min(deepest, MOST_LANES);
  const height = lanes * LANE + 18;

  useEffect(() => {
    const again = () => setTheme((number) => number + 1);
    const query = matchMedia("(prefers-color-scheme: dark)");
    query.addEventListener("change", again);
    const observer = new MutationObserver(again);
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => { query.removeEventListener("change", again); observer.disconnect(); };
  }, []);
  useEffect(() => draw(canvas.current, { rows, lane, top, span, width, height, lanes, selected }), [rows, lane, top, width, height, selected, theme]);

  const placeAt = (event) => {
    const frame = canvas.current.getBoundingClientRect();
    const wanted = Math.floor((event.clientY - frame.top - 18) / LANE) + lane[top];
    const x = event.clientX - frame.left;
    let found = -1;
    let nearest = 4;
    for (let i = top; i < top + rows.size[top]; i++) {
      if (lane[i] !== wanted) continue;
      const from = ((begin[i] - span.from) / span.long) * width;
      const to = from + (took[i] / span.long) * width;
      const away = x < from ? from - x : x > to ? x - to : 0;
      if (away < nearest) { nearest = away; found = i; if (!away) break; }
    }
    return found;
  };
  const key = (event) => {
    const at = selected >= 0 ? selected : top;
    const next = at + rows.size[at];
    const steps = {
      ArrowUp: rows.parent[at], ArrowDown: rows.size[at] > 1 ? at + 1 : -1,
      ArrowRight: next < rows.length && rows.parent[next] === rows.parent[at] ? next : -1,
      ArrowLeft: before(rows, at), Home: top,
    };
    if (event.key in steps) { if (steps[event.key] >= 0) select(steps[event.key]); }
    else if (event.key === "Enter") change({ zoom: at > 0 ? rows.id(at) : null }, { replace: true });
    else if (event.key === "Escape") change({ zoom: null }, { replace: true });
    else return;
    event.preventDefault();
  };
  const label = `time line of ${plural(rows.length, "event")}; the table below has the same`;
  const shown = over === null ? -1 : over.place;
  return html`
    <div class="line" ref=${box}>
      <div class=${`line-box ${isLive ? "is-live" : ""}`} tabindex="0" role="group" aria-label="time line: arrows walk, Enter zooms in, Escape out" onKeyDown=${key}>
        <canvas ref=${canvas} role="img" aria-label=${label} style=${{ height: `${height}px`, width: "100%" }}
          onClick=${(event) => { const place = placeAt(event); if (place >= 0) select(place); }}
          onDblClick=${(event) => { const place = placeAt(event); if (place >= 0) change({ zoom: place ? rows.id(place) : null }, { replace: true }); }}
          onMouseMove=${(event) => { const place = placeAt(event); setOver(place < 0 ? null : { place, x: event.nativeEvent?.offsetX ?? event.offsetX }); }}
          onMouseLeave=${() => setOver(null)}></canvas>
      </div>
      ${shown >= 0 && shown < rows.length ? html`<div class="tip" role="presentation" style=${over.x > width / 2 ? { right: `${width - over.x + 12}px` } : { left: `${over.x + 12}px` }}>
        <strong dir="auto">${rows.name(shown)[1]}</strong> ${rows.time(shown)} ${rows.cost(shown)[0]}</div>` : null}
      <ul class="legend">${legendOf(rows).map(([name, number]) => html`<li><span><span class=${`dot series-${number}`}></span>${name}</span></li>`)}
        ${zoom > 0 ? html`<li><button type="button" onClick=${() => change({ zoom: null }, { replace: true })}>← whole run</button></li>` : null}
        ${selected > 0 && selected !== zoom && rows.size[selected] > 1 ? html`<li><button type="button" onClick=${() => change({ zoom: rows.id(selected) }, { replace: true })}>zoom to ${rows.name(selected)[1]}</button></li>` : null}
        ${deepest > lanes ? html`<li><span>${count(deepest - lanes)} deeper lanes are not drawn: zoom in</span></li>` : null}</ul>
    </div>`;
}

function legendOf(rows) {
  const used = new Set(rows.columns.names.map(([, , kind]) => COLOURS[kind] || COLOURS.task));
  return LEGEND.filter(([, number]) => used.has(number === "rest" ? "--rest" : `--s${number}`));
}

function before(rows, place) {
  const parent = rows.parent[place];
  if (parent < 0 || place === parent + 1) return -1;
  let at = place - 1;
  while (rows.parent[at] !== parent) at = rows.parent[at];
  return at;
}

function spanOf(rows, top) {
  const { begin, took } = rows.columns;
  let from = begin[top];
  let to = from + took[top];
  for (let i = top; i < top + rows.size[top]; i++) {
    if (begin[i] < from) from = begin[i];
    if (begin[i] + took[i] > to) to = begin[i] + took[i];
  }
  return { from, long: Math.max(1, to - from) };
}

function draw(canvas, { rows, lane, top, span, width, height, lanes, selected }) {
  const dense = Math.min(3, devicePixelRatio || 1);
  canvas.width = width * dense;
  canvas.height = height * dense;
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const colour = (name) => resolved(canvas, style.getPropertyValue(name));
  const paints = Object.fromEntries(Object.entries(COLOURS).map(([kind, name]) => [kind, colour(name)]));
  const [ink, over, soft, line] = ["--ink", "--over", "--soft", "--line"].map(colour);
  pen.scale(dense, dense);
  pen.clearRect(0, 0, width, height);
  drawScale(pen, { span, width, height, soft, line, font: style.fontFamily });
  const { begin, took, name, names, end, ends } = rows.columns;
  const paintOf = names.map(([, , kind]) => paints[kind] || paints.task);
  const failed = ends.map(([status]) => status === "error");
  const drawnTo = new Float64Array(lanes).fill(-1);
  pen.font = `11px ${style.fontFamily}`;
  pen.textBaseline = "middle";
  let drawn = 0;
  for (let i = top; i < top + rows.size[top]; i++) {
    const number = lane[i] - lane[top];
    if (number >= lanes) continue;
    const from = ((begin[i] - span.from) / span.long) * width;
    const to = from + (took[i] / span.long) * width;
    if (to - drawnTo[number] < LEAST_WIDTH && i !== selected) continue;
    drawnTo[number] = to;
    const wide = Math.max(0.7, to - from - (to - from > 3 ? 1 : 0));
    const y = 18 + number * LANE;
    pen.globalAlpha = 0.5;
    pen.fillStyle = failed[end[i]] ? over : paintOf[name[i]];
    pen.fillRect(from, y, wide, LANE - 2);
    pen.globalAlpha = 1;
    drawn += 1;
    if (wide > 34) { pen.fillStyle = ink; pen.fillText(fitting(names[name[i]][1], wide - 8), from + 4, y + LANE / 2 - 1); }
    if (i === selected) { pen.strokeStyle = ink; pen.lineWidth = 2; pen.strokeRect(from + 0.5, y, Math.max(2, wide - 1), LANE - 2); }
  }
  canvas.dataset.drawn = drawn;
}

function drawScale(pen, { span, width, height, soft, line, font }) {
  const step = stepOf(span.long, Math.max(2, width / 110));
  pen.font = `11px ${font}`;
  pen.textBaseline = "top";
  for (let at = 0; at <= span.long; at += step) {
    const x = (at / span.long) * width;
    pen.fillStyle = line;
    pen.fillRect(x, 0, 1, height);
    if (width - x > 40) { pen.fillStyle = soft; pen.fillText(at ? seconds(at) : "0", x + 3, 2); }
  }
}

function stepOf(long, parts) {
  for (let step = 1; ; step *= 10) for (const by of [1, 2, 5]) if (long / (step * by) <= parts) return step * by;
}

const LETTER = 6.1;
function fitting(text, wide) {
  const most = Math.floor(wide / LETTER);
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}

/** A colour such as light-dark(…) as the theme has it now. */
function resolved(canvas, value) {
  canvas.style.color = value;
  const found = getComputedStyle(canvas).color;
  canvas.style.color = "";
  return found;
}
