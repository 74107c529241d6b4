// Budgets: how each stands, who changed it; and what is to come, with how such forecasts did.
import { html, Nothing, Said, Section, useEffect, useState } from "/static/dom.js";
import { ask } from "/static/api.js";
import { Bars } from "/static/bars.js";
import { Filters } from "/static/controls.js";
import { change } from "/static/state.js";
import { Table } from "/static/table.js";

export const local = ["budget", "backtest"];
const NAMES = ["agent", "model", "workflow", "user", "environment"];

export default function Budgets({ data, parameters }) {
  const chosen = parameters.get("budget");
  return html`
    <p class="answer"><${Said} pieces=${data.sentence} /></p>
    ${data.notes.map((note) => html`<p class="note">${note}</p>`)}
    ${data.budgets.length ? html`<ul class="budgets">${data.budgets.map((budget) => html`<${Budget} budget=${budget} isChosen=${budget.name === chosen} />`)}</ul>`
      : html`<${Nothing} command="token-calc budget set 50 month">A budget says when too much is spent, and stops calls if it is hard. One is set with:</${Nothing}>`}
    ${chosen ? html`<${History} name=${chosen} key=${chosen} />` : null}
    <${Section} title="What is to come">
      <p class="answer"><${Said} pieces=${data.forecast.sentence} /></p>
      ${data.forecast.notes.map((note) => html`<p class="note">${note}</p>`)}
      <div class="controls"><${Filters} names=${NAMES} /></div>
      ${data.forecast.bars ? html`<${Bars} bars=${data.forecast.bars} label="costs of the past days and those to come" classes=${["series-0", "series-coming"]} />` : null}
      <p class="aside">${data.forecast.method} ${data.forecast.method ? html`<button type="button" aria-expanded=${parameters.get("backtest") ? "true" : "false"} onClick=${() => change({ backtest: parameters.get("backtest") ? null : "1" })}>How such forecasts did</button>` : null}</p>
      ${parameters.get("backtest") ? html`<${Backtest} filters=${parameters.getAll("filter")} key=${parameters.getAll("filter").join("\n")} />` : null}
    </${Section}>`;
}

function Budget({ budget, isChosen }) {
  const share = `${Math.min(1, budget.share) * 100}%`;
  const held = `${Math.max(0, Math.min(1 - Math.min(1, budget.share), budget.reserved_share)) * 100}%`;
  return html`<li class=${`budget ${isChosen ? "is-chosen" : ""}`}>
    <div class="line"><h2><button type="button" aria-expanded=${isChosen ? "true" : "false"} onClick=${() => change({ budget: isChosen ? null : budget.name })} dir="auto">${budget.name}</button></h2>
      <span class="aside">${budget.period}, ${budget.kind}, <span dir="auto">${budget.counts}</span></span>
      <span class=${`figure ${budget.tone ? `tone-${budget.tone}` : ""}`}>${budget.share_text}</span></div>
    <div class="track" role="img" aria-label=${`${budget.share_text} spent${budget.elapsed_text ? `, ${budget.elapsed_text}` : ""}`}>
      <span class=${`fill ${budget.tone}`} style=${{ width: share }}></span><span class="held" style=${{ left: share, width: held }}></span>
      ${budget.elapsed === null ? null : html`<span class="now" style=${{ left: `${budget.elapsed * 100}%` }}></span>`}
    </div>
    <p class="line aside"><span><strong>${budget.spent}</strong></span><span>${budget.left}</span>${[budget.reserved, budget.estimated, budget.elapsed_text].filter(Boolean).map((each) => html`<span>${each}</span>`)}
      ${budget.runs_out ? html`<span class="tone-doubt">${budget.runs_out}</span>` : null}</p>
  </li>`;
}

/** Ask once for what is shown below; `null` while it is under way. */
function useAnswer(what, parameters) {
  const [answer, set] = useState({ data: null, error: null });
  useEffect(() => {
    const mine = new AbortController();
    ask(what, new URLSearchParams(parameters), { signal: mine.signal }).then(
      (data) => set({ data, error: null }),
      (error) => error.name !== "AbortError" && set({ data: null, error }));
    return () => mine.abort();
  }, []);
  return answer;
}

function History({ name }) {
  const { data, error } = useAnswer("budgets/history", [["budget", name]]);
  return html`<${Section} title=${`History of ${name}`}>
    ${error ? html`<p class="note">${error.message}</p>` : !data ? html`<p class="loading">Loading…</p>` : html`
      ${data.periods.rows ? html`<${Table} table=${data.periods} of="periods" />` : null}
      ${data.changes.rows ? html`<h3>Who changed it</h3><${Table} table=${data.changes} of="changes" />` : html`<p class="aside">No budget ${name} was ever set.</p>`}
      <p class="aside"><code>${data.command}</code></p>`}
  </${Section}>`;
}

function Backtest({ filters }) {
  const { data, error } = useAnswer("budgets/backtest", filters.map((filter) => ["filter", filter]));
  if (error) return html`<p class="note">${error.message}</p>`;
  if (!data) return html`<p class="loading">Forecasting the past…</p>`;
  return html`<p><${Said} pieces=${data.sentence} /></p>${data.table.rows ? html`<${Table} table=${data.table} of="backtest" />` : null}`;
}
