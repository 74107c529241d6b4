// The section about policies: tried, applied, taken back, and by whom. Changing one takes a token.
import { html, Said, Section, useCallback, useEffect, useState } from "/static/dom.js";
import { ask, order } from "/static/api.js";
import { Table } from "/static/table.js";

export function Policies({ parameters }) {
  const asked = new URLSearchParams([...parameters].filter(([name]) => ["since", "until", "tz"].includes(name))).toString();
  const [found, set] = useState({ data: null, error: null });
  const [chosen, choose] = useState(null);
  const load = useCallback(() => ask("findings/policies", asked).then((data) => set({ data, error: null }), (error) => set({ data: null, error })), [asked]);
  useEffect(() => { load(); }, [load]);
  const { data, error } = found;
  if (error) return html`<${Section} title="Policies"><p class="note" role="alert">${error.message}</p></${Section}>`;
  if (!data) return null;
  return html`<${Section} title="Policies" note="what is done before a call is made">
    <p><${Said} pieces=${data.sentence} /></p>
    <${Table} table=${data.table} of="policies" height=${0.4} open=${(row) => choose(data.names[row] === chosen ? null : data.names[row])} />
    ${chosen === null ? null : html`<${DryRun} key=${chosen} name=${chosen} asked=${asked} mayChange=${data.may_change} isOn=${data.is_on[data.names.indexOf(chosen)]} done=${load} />`}
    ${data.log.rows ? html`<h3>${data.log.label}</h3><${Table} table=${data.log} of="policy-log" height=${0.3} />` : null}
    <p class="aside"><code>${data.command}</code></p>
  </${Section}>`;
}

/** What one policy would have done, and the buttons that apply it and take it back. */
function DryRun({ name, asked, mayChange, isOn, done }) {
  const [found, set] = useState({ data: null, error: null });
  const [said, say] = useState("");
  const [why, write] = useState("");
  useEffect(() => {
    const mine = new AbortController();
    const question = new URLSearchParams(asked);
    question.set("name", name);
    ask("findings/policies/dry-run", question, { signal: mine.signal }).then((data) => set({ data, error: null }), (error) => error.name !== "AbortError" && set({ data: null, error }));
    return () => mine.abort();
  }, [name, asked]);
  const change = async (what) => {
    say("…");
    try {
      const question = new URLSearchParams(asked);
      question.set("name", name);
      if (why.trim()) question.set("why", why.trim());
      say((await order(`findings/policies/${what}`, question)).said);
      done();
    } catch (error) {
      say(error.message);
    }
  };
  const { data, error } = found;
  const what = isOn ? "undo" : "apply";
  return html`<div class="detail" role="region" aria-label="the selected policy">
    <p><strong dir="auto">${name}</strong></p>
    ${error ? html`<p class="note" role="alert">${error.message}</p>` : null}
    ${data ? html`<p><${Said} pieces=${data.sentence} /></p>
      ${data.notes.map((note) => html`<p class="note">Note: ${note}.</p>`)}
      <ul class="aside">${data.hosts.map(([host, does]) => html`<li>${host}: ${does}</li>`)}</ul>
      ${mayChange ? html`<div class="only-live actions"><label class="field"><span>why</span><input type="text" value=${why} maxlength="500" onInput=${(event) => write(event.target.value)} /></label>
          <button type="button" onClick=${() => change(what)}>${isOn ? "Undo" : "Apply"}</button></div>`
        : html`<p class="aside">This page only reads: set TOKEN_CALC_SERVE_TOKEN and serve again to change policies here, or</p>`}
      <p><code>${data.commands[what]}</code></p>` : null}
    <p role="status">${said}</p></div>`;
}
