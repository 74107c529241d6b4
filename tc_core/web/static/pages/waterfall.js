// Waterfall: where input tokens come from, what was sent again, what broke the cache, and what fills one context.
import { html, Link, Nothing, Said, Section, useEffect, useState } from "/static/dom.js";
import { ask } from "/static/api.js";
import { Choice, Field, Filters, Period } from "/static/controls.js";
import { Table } from "/static/table.js";
import { plural } from "/static/format.js";
import { Context } from "/static/pages/waterfall-context.js";
import { Flows } from "/static/pages/waterfall-flows.js";
import { Tiles } from "/static/pages/waterfall-tiles.js";

/** What changes the view alone. */
export const local = ["size", "context", "missing.order"];

const NAMES = ["agent", "model", "session", "workflow", "environment", "user_id"];
const ASKED = ["run", "event", "agent", "since", "until", "filter", "tz"];

export default function Waterfall({ data, parameters }) {
  const question = new URLSearchParams();
  for (const name of ASKED) for (const value of parameters.getAll(name)) question.append(name, value);
  const ofContext = new URLSearchParams(data.run ? { run: data.run } : {}); // without a run there is none to choose from
  const event = parameters.get("context") || parameters.get("event");
  if (data.run && event) ofContext.set("event", event);
  const by = parameters.get("size") === "cost" ? "cost" : "tokens";
  return html`
    <p class="answer"><${Said} pieces=${data.sentence} /></p>
    ${data.notes.map((note) => html`<p class="note">${note}</p>`)}
    <div class="controls">
      <${Field} name="run" label="run" placeholder=${data.run ? "last" : "all"} width=${12} />
      <${Field} name="agent" label="agent" placeholder="all" width=${9} />
      <${Period} /><${Filters} names=${NAMES} />
      <${Choice} name="single" label="rows" choices=${[["", "by origin"], ["yes", "each content"]]} />
      ${data.run ? html`<${Link} page="run" parameters=${{ run: data.run, event: parameters.get("event") }}>The run</${Link}>` : null}
    </div>
    ${data.is_empty ? html`<${Nothing} command="token-calc demo">There is nothing to show for this question. Record a run to look at with:</${Nothing}>` : html`
      <${Section} title="First sent, sent again, and at which price"><${Flows} flows=${data.flows} /></${Section}>
      <${Section} title="Origins"><div class="choice"><${Choice} name="size" label="as large as" choices=${[["", "tokens"], ["cost", "cost"]]} /></div>
        <${Tiles} tiles=${data.tiles} by=${by} /><${Table} table=${data.table} /></${Section}>
      <${Breaks} question=${question.toString()} />
      ${data.run ? html`<${Context} question=${ofContext.toString()} />` : html`<${Section} title="What fills one context"><p class="aside">Name one run above to see what fills a context of it.</p></${Section}>`}`}`;
}

function Breaks({ question }) {
  const [found, set] = useState(null);
  const [error, fail] = useState(null);
  useEffect(() => {
    const mine = new AbortController();
    set(null);
    ask("waterfall/breaks", question, { signal: mine.signal }).then((answer) => { set(answer); fail(null); },
      (problem) => { if (problem.name !== "AbortError") fail(problem); });
    return () => mine.abort();
  }, [question]);
  return html`<${Section} title="Cache breaks">
    ${error ? html`<div class="failed" role="alert"><p>${error.message}</p></div>` : !found ? html`<p class="loading">Looking…</p>`
      : found.table.rows ? html`<${Table} table=${found.table} of="breaks" />${found.advice.map((each) => html`<p class="aside">${each}</p>`)}${found.left_out ? html`<p class="aside">and ${plural(found.left_out, "more")}</p>` : null}`
      : html`<p class="aside">None: no call missed a cache that should have served it.</p>`}
  </${Section}>`;
}
