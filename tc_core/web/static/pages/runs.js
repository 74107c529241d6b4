// Runs: what ran, how each compares with those before it of the same name, and what was found in it.
import { html, Nothing, Said, Section, useEffect, useMemo, useRef, useState } from "/static/dom.js";
import { ask } from "/static/api.js";
import { Spark } from "/static/bars.js";
import { Choice, Field, Filters, Period } from "/static/controls.js";
import { change } from "/static/state.js";
import { Table } from "/static/table.js";

const NAMES = ["agent", "model", "tool", "workflow", "session", "user", "environment", "task"];
const AT_ONCE = 10;

export default function Runs({ data, parameters }) {
  const findings = useFindings(data.ids, parameters);
  const order = { "": "the latest first", cost: "the dearest", tokens: "most tokens", time: "the longest", errors: "most errors" };
  const extra = useMemo(() => [
    { label: "trend", width: "max-content", cell: (row) => html`<${Spark} values=${data.before[row]} label=${`cost beside ${data.before[row].length - 1} earlier runs of this name`} />` },
    { label: "found in it", width: "minmax(9rem, 2fr)", cell: (row) => findings.cell(row) },
  ], [data, findings]);
  return html`
    <p class="answer"><${Said} pieces=${data.sentence} /></p>
    ${data.notes.map((note, place) => html`<p class="aside">${note} ${!place && !data.shows_all && note.includes("not shown") ? html`<button type="button" onClick=${() => change({ all: "1" })}>Show all</button>` : null}</p>`)}
    <div class="controls">
      <${Period} />
      <${Choice} name="sort" label="order" choices=${["", ...data.sorts].map((each) => [each, order[each] || each])} />
      <${Field} name="session" label="session" placeholder="any" width=${8} />
      <${Choice} name="all" label="single calls" choices=${[["", "left out"], ["1", "shown"]]} />
      <${Filters} names=${NAMES} />
    </div>
    ${data.is_empty ? html`<${Nothing} command="token-calc demo">There is nothing to show for this question. Record a run to look at with:</${Nothing}>` : null}
    ${data.table.rows ? html`<${Section} title="Runs"><${Table} table=${data.table} extra=${extra} seen=${findings.seen} height=${0.66} /></${Section}>` : null}
    ${data.has_more ? html`<p class="aside"><button type="button" onClick=${() => change({ limit: String(Math.min(10_000, data.limit * 5)) })}>Show more than ${data.limit}</button></p>` : null}`;
}

/** What was found in each run, asked for the rows in sight once they stand still, and never twice. */
function useFindings(ids, parameters) {
  const known = useRef(new Map());
  const waiting = useRef(new Set());
  const [, drawn] = useState(0);
  const alive = useRef(true);
  useEffect(() => () => { alive.current = false; }, []);
  return useMemo(() => {
    let timer = null;
    const kept = [...parameters].filter(([name]) => ["since", "until", "tz"].includes(name));
    const fetchThem = async () => {
      const wanted = [...waiting.current].slice(0, AT_ONCE);
      if (!wanted.length || !alive.current) return;
      for (const id of wanted) waiting.current.delete(id);
      try {
        const found = await ask("runs/findings", new URLSearchParams([...kept, ...wanted.map((id) => ["run", id])]));
        for (const [id, finding] of Object.entries(found)) known.current.set(id, finding);
      } catch (error) {
        for (const id of wanted) known.current.set(id, { text: error.message, tone: "doubt" });
      }
      if (!alive.current) return;
      drawn((count) => count + 1);
      fetchThem();
    };
    return {
      seen: (rows) => {
        clearTimeout(timer);
        waiting.current = new Set(rows.map((row) => ids[row]).filter((id) => !known.current.has(id)));
        timer = setTimeout(fetchThem, 120);
      },
      cell: (row) => {
        const finding = known.current.get(ids[row]);
        if (!finding) return html`<span class="tone-nothing" aria-label="being looked at">…</span>`;
        return html`<span class=${finding.tone ? `tone-${finding.tone}` : ""} title=${finding.text}>${finding.text || "–"}</span>`;
      },
    };
  }, [ids]);
}
