// What fills one context: the calls of the run by the size of their prompts, and the parts of one in the order sent.
import { html, Link, useEffect, useState, useWidth, Section } from "/static/dom.js";
import { ask } from "/static/api.js";
import { change } from "/static/state.js";
import { Table } from "/static/table.js";
import { plural } from "/static/format.js";
import { kindsIn, paint } from "/static/pages/waterfall-kinds.js";

export function Context({ question }) {
  const [found, set] = useState(null);
  const [error, fail] = useState(null);
  useEffect(() => {
    const mine = new AbortController();
    ask("waterfall/context", question, { signal: mine.signal }).then((answer) => { set(answer); fail(null); },
      (problem) => { if (problem.name !== "AbortError") fail(problem); });
    return () => mine.abort();
  }, [question]);
  if (error) return html`<${Section} title="What fills one context"><div class="failed" role="alert"><p>${error.message}</p></div></${Section}>`;
  if (!found) return html`<${Section} title="What fills one context"><p class="loading">Loading…</p></${Section}>`;
  if (!found.parts) return html`<${Section} title="What fills one context"><p class="aside">No model call of this run has input tokens.</p></${Section}>`;
  return html`<${Section} title="What fills one context">
    ${found.calls.id.length > 1 ? html`<${Calls} calls=${found.calls} at=${found.calls.id.indexOf(found.id)} />` : null}
    <p>${found.said} <${Link} href=${found.link}>The call in its run</${Link}></p>
    <${Parts} parts=${found.parts} />
    <${Table} table=${found.table} of="context" height=${0.4} />
  </${Section}>`;
}

const HIGH = 96;

/** One bar for each call, as high as its prompt is long; the part that came from the cache is pale. */
function Calls({ calls, at }) {
  const [box, width] = useWidth();
  const [over, setOver] = useState(null);
  const most = Math.max(...calls.tokens, 1);
  const step = Math.min(46, width / calls.id.length);
  const choose = (place) => change({ context: calls.id[Math.max(0, Math.min(calls.id.length - 1, place))] }, { replace: true });
  const key = (event) => {
    const steps = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: calls.id.length - 1 };
    if (!(event.key in steps)) return;
    choose(steps[event.key]);
    event.preventDefault();
  };
  const placeOf = (event) => {
    const found = Math.floor((event.clientX - event.currentTarget.getBoundingClientRect().left) / step);
    return found >= 0 && found < calls.id.length ? found : null;
  };
  const y = (tokens) => HIGH * (1 - tokens / most);
  return html`<div class="bars calls" ref=${box}>
    <svg width=${width} height=${HIGH} role="slider" tabindex="0" class="opens" aria-label="the call whose context is shown" aria-valuemin="0" aria-valuemax=${calls.id.length - 1}
         aria-valuenow=${Math.max(0, at)} aria-valuetext=${calls.text[at] || ""} onKeyDown=${key} onClick=${(event) => { const place = placeOf(event); if (place !== null) choose(place); }}
         onMouseMove=${(event) => setOver(placeOf(event))} onMouseLeave=${() => setOver(null)}>
      ${calls.tokens.map((tokens, place) => html`<g class=${place === at ? "is-at" : ""}>
        <rect x=${place * step} width=${Math.max(1, step - (step > 5 ? 2 : 0))} y="0" height=${HIGH} class="slot" />
        <rect x=${place * step} width=${Math.max(1, step - (step > 5 ? 2 : 0))} y=${y(tokens)} height=${Math.max(1, HIGH - y(tokens))} class="fresh-part" />
        ${calls.cached[place] ? html`<rect x=${place * step} width=${Math.max(1, step - (step > 5 ? 2 : 0))} y=${y(Math.min(tokens, calls.cached[place]))} height=${HIGH - y(Math.min(tokens, calls.cached[place]))} class="cached-part" />` : null}</g>`)}
    </svg>
    ${over === null ? null : html`<div class="tip" role="presentation" style=${over * step > width / 2 ? { right: `${width - over * step}px` } : { left: `${(over + 1) * step + 8}px` }}>${calls.text[over]}</div>`}
    <p class="aside">The ${plural(calls.id.length, "call")} in order of time${calls.left_out ? ` (${plural(calls.left_out, "smaller one")} left out)` : ""}, by the size of their prompts${calls.cached.some(Boolean) ? "; green: from the cache" : ""}. ← → choose.</p></div>`;
}

function Parts({ parts }) {
  const whole = parts.reduce((sum, part) => sum + part.tokens, 0) || 1;
  const [box, width] = useWidth();
  let before = 0;
  return html`<div class="parts" ref=${box}>
    <svg width=${width} height="44" role="img" aria-label=${`parts in the order sent: ${parts.slice(0, 8).map((part) => part.text).join("; ")}`}>
      ${parts.map((part) => {
        const x = (before / whole) * width;
        const wide = (part.tokens / whole) * width;
        before += part.tokens;
        return html`<g><title>${part.text}</title><rect x=${x} y="0" width=${Math.max(0.5, wide - (wide > 3 ? 1 : 0))} height="44" class=${`${paint(part.kind)} ${part.again ? "again" : "first"}`} />
          ${wide > 60 ? html`<text x=${x + 6} y="26" class="name">${part.name.length * 7 > wide - 10 ? `${part.name.slice(0, Math.floor((wide - 16) / 7))}…` : part.name}</text>` : null}</g>`;
      })}
    </svg>
    <ul class="legend">${kindsIn(parts).map(([word, series]) => html`<li><span><span class=${`dot ${series}`}></span>${word}</span></li>`)}<li><span><span class="dot first"></span>pale: first sent</span></li></ul></div>`;
}
