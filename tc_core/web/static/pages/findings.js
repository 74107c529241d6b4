// Findings: what was waste, the money first; then odd days, how conversations fare, what would save, and policies.
import { html, Link, Nothing, Said, Section, useEffect, useState } from "/static/dom.js";
import { ask } from "/static/api.js";
import { Choice, Field, Filters, Period } from "/static/controls.js";
import { change } from "/static/state.js";
import { plural } from "/static/format.js";
import { Table } from "/static/table.js";
import { Policies } from "/static/pages/findings-policies.js";

const NAMES = ["agent", "model", "workflow", "session", "environment"];
export const local = ["open", "odd.open"];

export default function Findings({ data, parameters }) {
  return html`
    <p class="answer"><${Said} pieces=${data.sentence} /></p>
    ${data.notes.map((note) => html`<p class="note">${note}</p>`)}
    <div class="controls">
      <${Field} name="run" label="run" words=${["last"]} placeholder="all" width=${8} />
      <${Choice} name="kind" label="kind" choices=${[["", "all"], ...data.kinds]} />
      <${Field} name="agent" label="agent" placeholder="all" width=${8} />
      <${Period} />
      <${Filters} names=${NAMES} />
    </div>
    ${data.is_empty ? html`<${Nothing} command="token-calc demo">There is nothing to look through. Record a run to look at with:</${Nothing}>` : null}
    ${data.table.rows ? html`<${Section} title="Patterns" note="Enter or a click says what to do about one"><${Patterns} data=${data} parameters=${parameters} /></${Section}>` : null}
    <${Savings} parameters=${parameters} />
    <${Odd} parameters=${parameters} />
    <${Conversations} parameters=${parameters} />
    <${Policies} parameters=${parameters} />`;
}

function Patterns({ data, parameters }) {
  const open = place(parameters.get("open"), data.details.length);
  return html`
    <${Table} table=${data.table} of="patterns" open=${(row) => change({ open: row === open ? null : String(row) }, { replace: true })} />
    ${open === null ? null : html`<${Pattern} pattern=${data.details[open]} name=${data.table.columns[0].text[open]} what=${data.table.columns[1].text[open]} />`}`;
}

function Pattern({ pattern, name, what }) {
  return html`<div class="detail" role="region" aria-label="the selected pattern">
    <p><strong>${name}</strong> <span dir="auto">${what}</span></p>
    <p>${pattern.advice}</p>
    <p class="aside">events ${pattern.events.map(([id, to], at) => html`${at ? ", " : ""}<${Link} href=${to}>${id}</${Link}>`)}${pattern.rest ? ` and ${pattern.rest} more` : ""}</p>
    <p><code>${pattern.command}</code></p></div>`;
}

/** One more question of this page: its answer stands until the parameters that it heeds change. */
export function useAnswer(what, parameters, heeds) {
  const asked = new URLSearchParams([...parameters].filter(([name]) => heeds.includes(name))).toString();
  const [found, set] = useState({ data: null, error: null });
  useEffect(() => {
    const mine = new AbortController();
    ask(what, asked, { signal: mine.signal }).then((data) => set({ data, error: null }), (error) => error.name !== "AbortError" && set({ data: null, error }));
    return () => mine.abort();
  }, [what, asked]);
  return found;
}

/** A section whose answer comes by itself; `children` draws it. */
function Part({ title, what, parameters, heeds, children }) {
  const { data, error } = useAnswer(what, parameters, heeds);
  return html`<${Section} title=${title}>
    ${error ? html`<p class="note" role="alert">${error.message}</p>` : null}
    ${!data && !error ? html`<p class="loading">Looking…</p>` : null}
    ${data ? html`<p><${Said} pieces=${data.sentence} /></p>${children(data)}<p class="aside"><code>${data.command}</code></p>` : null}
  </${Section}>`;
}

const OF_EVENTS = ["since", "until", "filter", "agent", "tz"];

function Savings({ parameters }) {
  return html`<${Part} title="What would save" what="findings/savings" parameters=${parameters} heeds=${OF_EVENTS}>
    ${(data) => html`<ol class="savings">${data.rows.map((each) => html`<li><p><strong dir="auto">${each.title}</strong></p>
      <p>${each.figures} <span class="tone-nothing">${each.confidence}</span></p><p class="aside">${each.reasoning}</p></li>`)}</ol>`}
  </${Part}>`;
}

function Odd({ parameters }) {
  const at = parameters.get("odd.open");
  return html`<${Part} title="Odd days and hours" what="findings/anomalies" parameters=${parameters} heeds=${[...OF_EVENTS, "bucket"]}>
    ${(data) => html`<div class="controls"><${Choice} name="bucket" label="judge" choices=${[["", "days"], ["hour", "hours (UTC)"]]} /></div>
      <${Table} table=${data.table} of="odd" open=${(row) => change({ "odd.open": String(row) === at ? null : String(row) }, { replace: true })} />
      ${place(at, data.explanations.length) === null ? null : html`<div class="detail" role="region" aria-label="the selected odd one"><p>${data.explanations[Number(at)]}</p></div>`}`}
  </${Part}>`;
}

function Conversations({ parameters }) {
  return html`<${Part} title="How conversations fare" what="findings/conversations" parameters=${parameters} heeds=${[...OF_EVENTS, "run"]}>
    ${(data) => html`<${Table} table=${data.table} of="health" height=${0.4} />${data.rest ? html`<p class="aside">${data.rest}</p>` : null}`}
  </${Part}>`;
}

/** The place that a parameter names, null where there is none. */
function place(said, count) {
  const number = said === null || !/^\d{1,9}$/.test(said) ? NaN : Number(said);
  return number < count ? number : null;
}
