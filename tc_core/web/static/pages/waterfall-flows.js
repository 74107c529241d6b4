// The Sankey: from each origin to what was first sent or sent again, and from there to the price that was paid.
import { html, useEffect, useMemo, useState, useWidth } from "/static/dom.js";
import { classic } from "/static/vendor.js";
import { paint } from "/static/pages/waterfall-kinds.js";

const TONES = { "first sent": "first-sent", "sent again": "sent-again", "at the full price": "full-price", "at the cache price": "cache-price" };
const GAP = 17;
const BESIDE = 190;

export function Flows({ flows }) {
  const [box, width] = useWidth();
  const [d3, set] = useState(null);
  useEffect(() => { classic("d3-path", "d3-array", "d3-shape", "d3-sankey").then((found) => set(() => found)); }, []);
  const origins = flows.nodes.filter((node) => node.id.startsWith("o")).length;
  const height = Math.max(200, origins * 36);
  const isNarrow = width < 560;
  const aside = isNarrow ? 0 : BESIDE;
  const laid = useMemo(() => (d3 ? layOut(d3, flows, width, height, aside) : null), [d3, flows, width, height, aside]);
  const said = flows.links.map((link) => `${nameOf(flows, link.source)} to ${nameOf(flows, link.target)} ${link.text}`);
  return html`<div class="flows" ref=${box}>${laid ? html`
    <svg width=${width} height=${height} role="img" aria-label=${`flows of tokens: ${said.slice(0, 8).join("; ")}`}>
      ${laid.links.map((link) => html`<path d=${laid.way(link)} class=${`band ${TONES[link.target.id] || ""}`} style=${{ strokeWidth: Math.max(1, link.width) }}><title>${`${link.source.name} → ${link.target.name}: ${link.text}`}</title></path>`)}
      ${laid.nodes.map((node) => {
        const isLast = node.x1 > width - aside - 30 && !node.id.startsWith("o");
        const inside = isNarrow ? isLast : node.id.startsWith("o");
        return html`<g><title>${`${node.name}: ${node.text} tokens`}</title>
          <rect x=${node.x0} y=${node.y0} width=${node.x1 - node.x0} height=${Math.max(1, node.y1 - node.y0)} class=${node.id.startsWith("o") ? paint(node.kind) : `end ${TONES[node.id]}`} />
          <text x=${inside ? node.x0 - 6 : node.x1 + 6} text-anchor=${inside ? "end" : "start"} y=${(node.y0 + node.y1) / 2 + 4}>${cut(node.name, isNarrow ? 16 : 26)} <tspan class="said">${node.text}</tspan></text></g>`;
      })}
    </svg>` : html`<p class="loading">Laying out…</p>`}</div>`;
}

const nameOf = (flows, id) => flows.nodes.find((node) => node.id === id).name;
const cut = (text, letters) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);

function layOut(d3, flows, width, height, aside) {
  const made = d3.sankey().nodeId((node) => node.id).nodeWidth(10).nodePadding(GAP).nodeSort(null).linkSort(null).extent([[aside + 1, 9], [width - aside - 1, height - 9]]);
  const { nodes, links } = made({ nodes: flows.nodes.map((node) => ({ ...node })), links: flows.links.map((link) => ({ ...link })) });
  return { nodes, links, way: d3.sankeyLinkHorizontal() };
}
