// Costs: the answer, bars over time, the groups, and how far prices cover the calls.
import { html, Meter, Nothing, Said, Section } from "/static/dom.js";
import { Bars } from "/static/bars.js";
import { Choice, Field, Filters, filterBy, Period } from "/static/controls.js";
import { change } from "/static/state.js";
import { Table } from "/static/table.js";

const UNITS = [["", "as fits"], ["hour", "hour"], ["day", "day"], ["week", "week"], ["month", "month"]];

export default function Costs({ data, parameters }) {
  const by = (parameters.get("by") || "model").split(",")[0];
  return html`
    <p class="answer"><${Said} pieces=${data.sentence} /></p>
    ${data.notes.map((note) => html`<p class="note">${note}</p>`)}
    <div class="controls">
      <${Field} name="by" label="by" words=${data.names} placeholder="model" />
      <${Period} />
      <${Choice} name="unit" label="bars" choices=${UNITS} />
      <${Filters} names=${data.names} />
    </div>
    ${data.is_empty ? html`<${Nothing} command="token-calc demo">There is nothing to show for this question. Record a run to look at with:</${Nothing}>` : null}
    ${data.bars ? html`<${Section} title="Over time" note=${`by ${data.bars.unit}`}><${Bars} bars=${data.bars} label="costs over time"
        open=${narrower(data.bars.unit)} choose=${(name) => filterBy(by, name === "–" ? "" : name)} /></${Section}>` : null}
    ${data.table.rows ? html`<${Section} title=${data.table.label}><${Table} table=${data.table} /></${Section}>` : null}
    ${data.coverage ? html`<${Coverage} coverage=${data.coverage} />` : null}`;
}

/** What a click on a bar does: show that day or month alone. */
function narrower(unit) {
  if (unit === "day") return (bucket) => change({ since: bucket, until: bucket, unit: null });
  if (unit === "month") return (bucket) => change({ since: `${bucket}-01`, until: lastDay(bucket), unit: null });
  return undefined;
}

function lastDay(month) {
  const [year, number] = month.split("-").map(Number);
  return `${month}-${new Date(Date.UTC(year, number, 0)).getUTCDate()}`;
}

function Coverage({ coverage }) {
  return html`<${Section} title="How far the figures can be trusted">
    <dl class="coverage">${coverage.rows.map(([name, share, said]) => html`<div><dt>${name}</dt><dd><${Meter} share=${share} tone=${share < 1 ? "doubt" : ""} label=${`${name}: ${said}`} /> ${said}</dd></div>`)}</dl>
    ${coverage.missing ? html`<${Table} table=${coverage.missing} of="missing" /><p class="aside">${coverage.advice}</p>` : null}
  </${Section}>`;
}
