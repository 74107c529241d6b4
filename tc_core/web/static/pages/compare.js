// Compare: two periods with the reasons that sum exactly, or two runs of a workflow.
import { html, Link, Nothing, Said, Section, useWidth } from "/static/dom.js";
import { Choice, Field, Filters } from "/static/controls.js";
import { change } from "/static/state.js";
import { Table } from "/static/table.js";

const PERIODS = ["yesterday", "today", "last-week", "this-week", "last-month", "this-month", "last-year", "this-year"];

export default function Compare({ data, parameters }) {
  return data.kind === "runs" ? html`<${Runs} data=${data} />` : html`<${Periods} data=${data} parameters=${parameters} />`;
}

function Periods({ data }) {
  return html`
    <p class="answer"><${Said} pieces=${data.sentence} /></p>
    ${data.notes.map((note) => html`<p class="note">${note}</p>`)}
    <div class="controls">
      <${Field} name="before" label="before" words=${PERIODS} placeholder="last-week" width=${14.5} />
      <${Field} name="after" label="after" words=${PERIODS} placeholder="this-week" width=${14.5} />
      <${Field} name="by" label="by" words=${data.names} placeholder="agent" />
      <${Choice} name="whole" label="where the later one is not over" choices=${[["", "as much of the earlier"], ["1", "all of the earlier"]]} />
      <${Filters} names=${data.names} />
    </div>
    <p class="aside"><${Link} page="compare" parameters=${{ run: "last" }}>Compare two runs instead</${Link}></p>
    ${data.is_empty ? html`<${Nothing} command=${data.suggestions.length ? null : "token-calc demo"}>${data.suggestions.length
      ? html`Neither period has calls. Compare ${data.suggestions.map((each, place) => html`${place ? ", or " : ""}<${Link} page="compare" parameters=${{ before: each.before, after: each.after }}>${each.name}</${Link}>`)}.`
      : "There is nothing to compare yet. Record a run to look at with:"}</${Nothing}>` : null}
    ${data.steps ? html`<${Section} title="Why"><${Steps} steps=${data.steps} /></${Section}>` : null}
    ${data.table.rows ? html`<${Section} title=${data.table.label}><${Table} table=${data.table} /></${Section}>` : null}
    ${data.origins ? html`<${Section} title=${data.origins.table.label}><${Table} table=${data.origins.table} of="origins" /></${Section}>` : null}`;
}

/** The way from one cost to the other, one step below the other: each begins where the last one ended. */
function Steps({ steps }) {
  const [box, width] = useWidth();
  const label = Math.min(width * 0.4, Math.max(...steps.map((step) => step.name.length)) * 7.7 + 12);
  const figure = 92;
  const most = Math.max(...steps.map((step) => Math.max(step.from, step.to)), 1);
  const x = (nanos) => (Math.max(0, nanos) / most) * Math.max(60, width - label - figure);
  const row = 34;
  const fits = Math.floor(label / 7.7);
  const short = (name) => (name.length > fits ? `${name.slice(0, fits - 1)}…` : name);
  return html`<div class="steps" ref=${box}>
    <svg width=${width} height=${steps.length * row} role="img" aria-label=${steps.map((step) => `${step.name} ${step.text}`).join(", ")}>
      ${steps.map((step, number) => {
        const [left, right] = [Math.min(step.from, step.to), Math.max(step.from, step.to)];
        const tone = step.kind === "whole" ? "step-whole" : step.to > step.from ? "step-more" : "step-less";
        const top = number * row;
        return html`<g><text class="axis" x="0" y=${top + 21}>${short(step.name)}<title>${step.name}</title></text>
          ${number ? html`<line class="mark" x1=${label + x(steps[number - 1].to)} x2=${label + x(steps[number - 1].to)} y1=${top - row + 24} y2=${top + 8} />` : null}
          <rect class=${tone} x=${label + x(left)} width=${Math.max(1, x(right) - x(left))} y=${top + 8} height="18" rx="2" />
          <text class="figure" x=${label + x(right) + 8} y=${top + 21}>${step.text}</text></g>`;
      })}</svg>
    <ul class="why">${steps.filter((step) => step.why && step.from !== step.to).map((step) => html`<li><strong>${step.name} ${step.text}</strong> ${step.why}</li>`)}</ul>
  </div>`;
}

function Runs({ data }) {
  const pick = (name, value) => html`<select aria-label=${name === "with" ? "earlier run" : "later run"} value=${value} onChange=${(event) => change({ run: data.run_b, with: data.run_a, [name]: event.target.value })}>
    ${data.runs.some((run) => run.id === value) ? null : html`<option value=${value} selected>${value.slice(-8)}</option>`}
    ${data.runs.map((run) => html`<option value=${run.id} selected=${run.id === value}>${run.text}</option>`)}</select>`;
  return html`
    <p class="answer"><${Said} pieces=${data.sentence} /></p>
    <div class="controls">
      <label class="field"><span>from</span>${pick("with", data.run_a)}</label>
      <label class="field"><span>to</span>${pick("run", data.run_b)}</label>
      <${Link} page="compare">Compare periods instead</${Link}>
    </div>
    ${data.table.rows ? html`<${Section} title=${data.table.label}><${Table} table=${data.table} /></${Section}>` : html`<${Nothing}>Both runs cost and did the same.</${Nothing}>`}
    ${data.origins ? html`<${Section} title=${data.origins.table.label}><${Table} table=${data.origins.table} of="origins" /></${Section}>` : null}`;
}
