// The graph of agents, tools and models below what is selected; asked for when one scrolls to it, laid out by dagre.
import { html, useEffect, useMemo, useRef, useState, Section } from "/static/dom.js";
import { ask } from "/static/api.js";
import { change, current } from "/static/state.js";
import { Choice } from "/static/controls.js";
import { Table } from "/static/table.js";

const HIGH = 46;
const LETTER = 7.4;
const HOPS = [["", "as fits"], ["1", "1 hop"], ["2", "2 hops"], ["3", "3 hops"], ["all", "all"]];
const SERIES = { agent: 0, model: 1, tool: 2, retriever: 3 };

export function Graph({ run, events, path }) {
  const { parameters } = current();
  const question = new URLSearchParams({ run });
  for (const name of ["below", "around", "hops"]) if (parameters.get(name)) question.set(name, parameters.get(name));
  const [seen, see] = useState(false);
  const [found, set] = useState(null);
  const [error, fail] = useState(null);
  const box = useRef(null);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) see(true); });
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (!seen) return undefined;
    const mine = new AbortController();
    ask("run/graph", question, { signal: mine.signal }).then(
      (answer) => { set(answer); fail(null); },
      (problem) => { if (problem.name !== "AbortError") fail(problem); });
    return () => mine.abort();
  }, [seen, question.toString(), events]);
  return html`<div ref=${box} class="graph-part"><${Section} title="Graph" note=${found ? `of ${found.of}` : ""}>
    <div class="controls"><${Choice} name="hops" label="around it" choices=${HOPS} />
      ${parameters.get("below") ? html`<button type="button" onClick=${() => change({ below: null, around: null })}>Whole run</button>` : null}
      ${parameters.get("around") ? html`<button type="button" onClick=${() => change({ around: null })}>Around the run itself</button>` : null}</div>
    ${error ? html`<div class="failed" role="alert"><p>${error.message}</p></div>` : null}
    ${!found && !error ? html`<p class="loading">Loading…</p>` : null}
    ${found ? html`${found.path && found.path !== path ? html`<p class="path">${found.path}</p>` : null}${found.note ? html`<p class="note">${found.note}</p>` : null}
      <${Picture} found=${found} /><${Table} table=${found.table} of="graph" />` : null}
  </${Section}></div>`;
}

function Picture({ found }) {
  const [dagre, set] = useState(null);
  useEffect(() => { import("/static/vendor/dagre.js").then(set); }, []);
  const laid = useMemo(() => (dagre ? layOut(dagre, found) : null), [dagre, found]);
  const box = useRef(null);
  useEffect(() => { // what it is about is in sight
    const node = laid?.nodes.find((each) => each.node.key === found.around);
    if (node && box.current) box.current.scrollTo(node.x - box.current.clientWidth / 3, node.y - box.current.clientHeight / 2);
  }, [laid]);
  if (!laid) return html`<p class="loading">Laying out…</p>`;
  const most = Math.max(...found.edges.map((edge) => edge.times), 1);
  return html`<div class="graph" ref=${box} tabindex="0" role="group" aria-label="graph; the table below has the same">
    <svg width=${laid.width} height=${laid.height} role="group" aria-label=${`${found.nodes.length} groups and ${found.edges.length} ways between them`}>
      <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" markerWidth="9" markerHeight="9" orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" class="arrow-head" /></marker></defs>
      ${laid.edges.map(({ edge, points, x, y }) => html`<g class=${`way ${edge.kind} ${edge.critical ? "critical" : ""}`}>
        <path d=${curve(points)} marker-end="url(#arrow)" style=${{ strokeWidth: 1 + 2.5 * Math.sqrt(edge.times / most) }} />
        ${edge.times > 1 || edge.kind === "reads" ? html`<text x=${x} y=${y + 4} text-anchor="middle">${edge.kind === "reads" ? "reads " : ""}${edge.text} x</text>` : null}</g>`)}
      ${laid.nodes.map(({ node, x, y, width }) => html`<a href=${hrefOf(node)} class=${`group ${node.kind} ${node.key === found.around ? "is-at" : ""}`} aria-label=${`${node.kind} ${node.name}: ${node.text}`}
          onClick=${(event) => { if (event.metaKey || event.ctrlKey || event.shiftKey) return; event.preventDefault(); change({ around: node.key }); }}>
        <title>${`${node.kind} ${node.name}: ${node.text}${node.again ? `, ${node.again} times from inside itself` : ""}${node.failed ? `, ${node.failed} failed` : ""}`}</title>
        <rect x=${x - width / 2} y=${y - HIGH / 2} width=${width} height=${HIGH} rx="6" class=${`back ${node.waited ? "critical" : ""}`} />
        <rect x=${x - width / 2} y=${y - HIGH / 2} width="5" height=${HIGH} rx="2" class=${`series-${SERIES[node.kind] ?? "rest"}`} />
        <text x=${x - width / 2 + 13} y=${y - 4} class="name">${short(node.name)}${node.again ? ` ⟲ ${node.again}` : ""}</text>
        <text x=${x - width / 2 + 13} y=${y + 14} class="said">${node.text}${node.failed ? `  ✗ ${node.failed}` : ""}</text></a>`)}
    </svg></div>
    <p class="aside">Thick ways and edges: asked often. Bold frames: the run waited for it. ⟲ counts how often it was entered from inside itself. Enter or a click shows what is around a group.</p>`;
}

const MOST_LETTERS = 28;
const short = (name) => (name.length > MOST_LETTERS ? `${name.slice(0, MOST_LETTERS - 1)}…` : name);

function hrefOf(node) {
  const parameters = new URLSearchParams(location.search);
  parameters.set("around", node.key);
  return `/run?${parameters}`;
}

function layOut(dagre, found) {
  const graph = new dagre.Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", ranker: "tight-tree", nodesep: 14, ranksep: 56, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of found.nodes) graph.setNode(node.key, { node, width: Math.max(short(node.name).length + (node.again ? 5 : 0), node.text.length + (node.failed ? 4 : 0)) * LETTER + 24, height: HIGH });
  const asked = found.edges.filter((edge) => edge.kind !== "reads" && edge.from !== edge.to);
  asked.forEach((edge, number) => graph.setEdge(edge.from, edge.to, { edge, width: edge.times > 1 ? 38 : 4, height: 12, labelpos: "c" }, String(number)));
  dagre.layout(graph);
  const { width, height } = graph.graph();
  const reads = found.edges.filter((edge) => edge.kind === "reads").map((edge) => arc(edge, graph.node(edge.from), graph.node(edge.to)));
  const right = Math.max(width, ...reads.map(({ x }) => x + 40));
  return {
    width: Math.ceil(right), height: Math.ceil(height),
    nodes: graph.nodes().map((key) => graph.node(key)),
    edges: [...reads, ...graph.edges().map((key) => graph.edge(key))],
  };
}

/** Who reads whom is drawn over what is laid out: between columns from side to side, within one around its right. */
function arc(edge, from, to) {
  const isBeside = Math.abs(from.x - to.x) < (from.width + to.width) / 2;
  const back = isBeside || from.x > to.x ? 1 : -1;
  const begin = { x: from.x + (isBeside ? from.width / 2 : (-back * from.width) / 2), y: from.y + 10 };
  const end = { x: to.x + (isBeside || back > 0 ? to.width / 2 : -to.width / 2), y: to.y + 10 };
  const bow = isBeside ? { x: Math.max(begin.x, end.x) + 26 + Math.abs(begin.y - end.y) / 8, y: (begin.y + end.y) / 2 } : { x: (begin.x + end.x) / 2, y: (begin.y + end.y) / 2 + 36 };
  return { edge, points: [begin, bow, end], x: (9 * begin.x + 6 * bow.x + end.x) / 16, y: (9 * begin.y + 6 * bow.y + end.y) / 16 };
}

function curve(points) {
  const [first, ...others] = points;
  if (others.length < 2) return `M${first.x} ${first.y}${others.map(({ x, y }) => `L${x} ${y}`).join("")}`;
  let path = `M${first.x} ${first.y}`;
  for (let i = 0; i < others.length - 1; i++) {
    const { x, y } = others[i];
    const next = others[i + 1];
    const [ex, ey] = i === others.length - 2 ? [next.x, next.y] : [(x + next.x) / 2, (y + next.y) / 2];
    path += `Q${x} ${y} ${ex} ${ey}`;
  }
  return path;
}
