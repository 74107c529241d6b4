// Run: one run as a tree-table and a time line, the graph of who asked whom, and all that is known of what is selected.
import { html, Link, Said, Section, useCallback, useEffect, useMemo, useState } from "/static/dom.js";
import { ask } from "/static/api.js";
import { Field } from "/static/controls.js";
import { change } from "/static/state.js";
import { plural } from "/static/format.js";
import { Details } from "/static/pages/run-details.js";
import { Graph } from "/static/pages/run-graph.js";
import { Rows } from "/static/pages/run-rows.js";
import { Timeline } from "/static/pages/run-time.js";
import { Tree } from "/static/pages/run-tree.js";

/** What changes the view alone: the server is not asked for the run again. */
export const local = ["event", "turned", "zoom", "below", "around", "hops"];

const LOOK_EVERY = 2000;

export default function Run({ data: asked, parameters }) {
  const data = useLive(asked, parameters);
  const rows = useMemo(() => new Rows(data), [data]);
  const wanted = parameters.get("event");
  const selected = wanted ? rows.placeOf(wanted) : 0;
  const zoom = rows.placeOf(parameters.get("zoom"));
  const select = useCallback((place) => change({ event: place > 0 ? rows.id(place) : null }, { replace: true }), [rows]);
  return html`
    <p class="answer"><${Said} pieces=${data.sentence} /></p>
    ${data.path ? html`<p class="path">${data.path}</p>` : null}
    ${wanted && selected < 0 ? html`<p class="note">No event ${wanted} is in this run: the whole run is shown.</p>` : null}
    ${data.is_folded ? html`<p class="aside">${plural(rows.length, "event")}: folded to what lies right below the run. → unfolds.</p>` : null}
    <div class="controls"><${Field} name="run" label="run" placeholder="last" width=${20} />
      <${Link} page="waterfall" parameters=${{ run: data.run }}>Waterfall of this run</${Link}></div>
    <${Section} title="Time line"><${Timeline} rows=${rows} selected=${selected} select=${select} zoom=${zoom} isLive=${asked.open > 0} /></${Section}>
    <section class="part with-details" aria-label="events">
      <div class="events"><h2>Events</h2><${Tree} rows=${rows} selected=${selected} select=${select} /></div>
      <${Details} rows=${rows} run=${data.run} place=${selected} select=${select} />
    </section>
    <${Graph} run=${data.run} events=${rows.length} path=${data.path} />`;
}

/** While a run is open, what it adds is asked for; what is shown stays where it is. */
function useLive(asked, parameters) {
  const [newer, set] = useState({ of: null, data: null });
  const data = newer.of === asked ? newer.data : asked;
  const run = parameters.get("run") || "";
  useEffect(() => {
    if (!data.open) return undefined;
    let busy = false;
    const look = async () => {
      if (busy || document.hidden) return;
      busy = true;
      try {
        const question = new URLSearchParams({ run: data.run });
        const latest = await ask("run/latest", question);
        if (latest.events !== data.columns.count || latest.open !== data.open) {
          const found = await ask("run", run === "" || run === "last" ? question : parameters);
          set({ of: asked, data: found });
        }
      } catch { /* the shell says when nothing answers */ }
      busy = false;
    };
    const timer = setInterval(look, LOOK_EVERY);
    return () => clearInterval(timer);
  }, [data, asked, run]);
  return data;
}
