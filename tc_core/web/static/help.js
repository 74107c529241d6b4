// What `?` shows, and the switch for those who do not want single keys to do anything.
import { html, useEffect, useRef, useState } from "/static/dom.js";

const KEYS = [
  ["/", "search in the tables of the page"],
  ["?", "this help"],
  ["1 … 7", "the pages, in the order of the menu"],
  ["c", "copy the command that shows the same"],
  ["r", "ask again"],
  ["t", "light or dark"],
  ["↑ ↓ Home End Page ↑ ↓", "the rows of a table, once it has the focus (Tab)"],
  ["← → Home End", "the bars of a chart; Enter opens one"],
  ["Enter", "opens the selected row"],
  ["Esc", "closes, and leaves a field"],
];

export const keysAreOn = () => { try { return localStorage.getItem("keys") !== "off"; } catch { return true; } };

export function Help({ close }) {
  const dialog = useRef(null);
  const [on, turn] = useState(keysAreOn());
  useEffect(() => { if (!dialog.current.open) dialog.current.showModal(); }, []);
  const toggle = (event) => {
    turn(event.target.checked);
    try { localStorage.setItem("keys", event.target.checked ? "on" : "off"); } catch { /* for this page only */ }
  };
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="help-title">
    <h2 id="help-title">Keys</h2>
    <table class="keys"><tbody>${KEYS.map(([key, what]) => html`<tr><th scope="row"><kbd>${key}</kbd></th><td>${what}</td></tr>`)}</tbody></table>
    <p><label><input type="checkbox" checked=${on} onChange=${toggle} /> single keys do this</label></p>
    <p class="aside">The address holds all that you see: a link opens the same view. Each page has its command, which CLI copies.</p>
    <form method="dialog"><button>Close</button></form>
  </dialog>`;
}
