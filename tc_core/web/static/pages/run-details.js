// All that is known of the selected event; it is asked for when it is selected.
import { html, Link, Said, useEffect, useState } from "/static/dom.js";
import { ask } from "/static/api.js";
import { change } from "/static/state.js";
import { Table } from "/static/table.js";
import { plural } from "/static/format.js";

const WAIT = 90;

export function Details({ rows, run, place, select }) {
  const [found, set] = useState(null);
  const [error, fail] = useState(null);
  const id = rows.id(Math.max(0, place));
  useEffect(() => {
    const mine = new AbortController();
    const timer = setTimeout(() => ask("run/event", new URLSearchParams({ run, event: id }), { signal: mine.signal }).then(
      (answer) => { set(answer); fail(null); },
      (problem) => { if (problem.name !== "AbortError") { set(null); fail(problem); } }), WAIT);
    return () => { clearTimeout(timer); mine.abort(); };
  }, [run, id]);
  if (error) return html`<aside class="details" aria-label="the selected event"><div class="failed" role="alert"><p>${error.message}</p></div></aside>`;
  if (!found) return html`<aside class="details" aria-label="the selected event"><p class="loading">Loading…</p></aside>`;
  return html`<aside class="details" aria-label="the selected event">
    <h2><small>${found.kind}</small> <span dir="auto">${found.name}</span></h2>
    <p><${Said} pieces=${found.sentence.slice(1)} /></p>
    <p class="links">
      ${found.is_call ? html`<${Link} page="waterfall" parameters=${{ run, event: id }}>Waterfall</${Link}>` : null}
      ${rows.size[Math.max(0, place)] > 1 && place > 0 ? html`<button type="button" onClick=${() => change({ below: id, around: null })}>Graph below it</button>` : null}
    </p>
    ${found.relations.length ? html`<h3>Relations</h3><ul class="plain">${found.relations.map(([word, other, tail, sure]) => html`<li>${word} ${rows.placeOf(tail) >= 0
        ? html`<button type="button" class="as-link" onClick=${() => select(rows.placeOf(tail))}>${rows.name(rows.placeOf(tail))[1]} (${tail.slice(-8)})</button>`
        : html`<${Link} page="run" parameters=${{ run: other, event: tail }}>${tail.slice(-8)} of another run</${Link}>`}${sure ? html` <span class="tone-doubt">${sure}</span>` : null}</li>`)}</ul>` : null}
    ${found.attempts.length > 1 ? html`<h3>Requests</h3><ul class="plain">${found.attempts.map(([number, said, took]) => html`<li>${number}: ${said} ${took}</li>`)}</ul>` : null}
    ${found.cost ? html`<h3>Cost</h3><${Table} table=${found.cost} of="cost" />` : null}
    ${found.content ? html`<${Content} content=${found.content} />` : null}
    <h3>Facts</h3>
    <dl class="facts">${found.facts.map(([name, value]) => html`<div><dt>${name}</dt><dd dir="auto">${value}</dd></div>`)}
      <div><dt>id</dt><dd><code>${found.id}</code></dd></div></dl>
    ${pairs("Labels", found.labels)}${pairs("Metadata", found.metadata)}
    <p class="aside"><code>${found.command}</code></p>
  </aside>`;
}

function pairs(title, some) {
  if (!some.length) return null;
  return html`<details open=${some.length <= 8}><summary>${title} (${some.length.toLocaleString("en-US")})</summary>
    <dl class="facts">${some.slice(0, 200).map(([name, value]) => html`<div><dt dir="auto">${name}</dt><dd dir="auto">${value}</dd></div>`)}</dl>
    ${some.length > 200 ? html`<p class="aside">The first 200; token-calc show prints all.</p>` : null}</details>`;
}

function Content({ content }) {
  const part = ([role, kind, tokens, text]) => html`<li><strong>${role}</strong> ${kind === "text" ? "" : kind} <span class="tone-nothing">${tokens}</span>${text === null ? null : html`<pre dir="auto">${text}</pre>`}</li>`;
  return html`<details><summary>What was sent and answered (${plural(content.prompt.length + content.output.length + content.left_out, "part")})</summary>
    ${content.prompt.length ? html`<h4>prompt</h4><ol class="plain">${content.left_out ? html`<li class="tone-nothing">${plural(content.left_out, "part")} before these</li>` : null}${content.prompt.map(part)}</ol>` : null}
    ${content.output.length ? html`<h4>output</h4><ol class="plain">${content.output.map(part)}</ol>` : null}
    ${content.is_kept ? null : html`<p class="aside">Texts are not kept: tracking.capture_content is off.</p>`}</details>`;
}
