// The treemap: each origin a tile as large as its tokens, split into what was first sent and what was sent again; or as large as its cost.
import { html, useMemo, useWidth } from "/static/dom.js";
import { hierarchy, treemap } from "/static/vendor/d3-hierarchy.js";
import { kindsIn, paint } from "/static/pages/waterfall-kinds.js";

const LETTER = 7.2;

export function Tiles({ tiles, by }) {
  const [box, width] = useWidth();
  const height = width < 500 ? 300 : 260;
  const laid = useMemo(() => layOut(tiles, by, width, height), [tiles, by, width, height]);
  return html`<div class="tiles" ref=${box}>
    <svg width=${width} height=${height} role="img" aria-label=${`${tiles.length} origins by ${by}, the largest: ${tiles.slice(0, 3).map((tile) => `${tile.name} ${by === "cost" ? tile.cost_text : tile.text}`).join(", ")}; the table has all`}>
      ${laid.map(({ tile, again, x0, y0, x1, y1 }) => html`<g>
        <title>${`${tile.name}: ${tile.text}, ${tile.cost_text}; first ${tile.first_text}, again ${tile.again_text}`}</title>
        <rect x=${x0} y=${y0} width=${x1 - x0} height=${y1 - y0} class=${`${paint(tile.kind)} ${again ? "again" : "first"}`} /></g>`)}
      ${namesOf(laid).map(({ tile, x0, y0, x1, y1 }) => {
        const letters = Math.floor((x1 - x0 - 12) / LETTER);
        if (letters < 4 || y1 - y0 < 20) return null;
        return html`<text x=${x0 + 7} y=${y0 + 17} class="name">${cut(tile.name, letters)}</text>
          ${y1 - y0 > 38 ? html`<text x=${x0 + 7} y=${y0 + 33} class="said">${cut(by === "cost" ? tile.cost_text : tile.text, letters)}</text>` : null}`;
      })}
    </svg>
    <ul class="legend">${kindsIn(tiles).map(([word, series]) => html`<li><span><span class=${`dot ${series}`}></span>${word}</span></li>`)}
      ${by === "cost" ? null : html`<li><span><span class="dot first"></span>pale: first sent</span></li><li><span><span class="dot series-rest"></span>full: sent again</span></li>`}</ul>
  </div>`;
}

const cut = (text, letters) => (text.length > letters ? `${text.slice(0, Math.max(1, letters - 1))}…` : text);

function layOut(tiles, by, width, height) {
  const children = tiles.map((tile) => ({ tile, children: (by === "cost" ? [{ tile, value: tile.cost, again: true }]
    : [{ tile, value: tile.again, again: true }, { tile, value: tile.first, again: false }]).filter((part) => part.value > 0) })).filter((each) => each.children.length);
  const root = hierarchy({ children }).sum((each) => each.value || 0);
  treemap().size([width, height]).paddingOuter(0).paddingInner((node) => (node.depth ? 0 : 3)).round(true)(root);
  return root.leaves().filter((leaf) => leaf.data.tile).map((leaf) => ({ ...leaf.data, x0: leaf.x0, y0: leaf.y0, x1: leaf.x1, y1: leaf.y1 }));
}

/** The whole of each tile, for its name. */
function namesOf(laid) {
  const found = new Map();
  for (const part of laid) {
    const known = found.get(part.tile);
    if (!known) { found.set(part.tile, { ...part }); continue; }
    known.x0 = Math.min(known.x0, part.x0); known.y0 = Math.min(known.y0, part.y0);
    known.x1 = Math.max(known.x1, part.x1); known.y1 = Math.max(known.y1, part.y1);
  }
  return [...found.values()];
}
