// The shell: menu, search, copy, keys; asks for each page what its address says, and keeps the old view until the answer is there.
import { html, render, useCallback, useEffect, useRef, useState, Link } from "/static/dom.js";
import { ask, Refusal } from "/static/api.js";
import { change, current, go, onChange } from "/static/state.js";
import { Copy } from "/static/copy.js";
import { Help, keysAreOn } from "/static/help.js";
import { plural } from "/static/format.js";

const LOOK_EVERY = 5000;
const LOCAL = ["q", "row", "order"];

/** The parameters that the server is asked with: not what only this page is about. */
function asked(parameters, module) {
  const local = [...LOCAL, ...(module?.local || [])];
  const kept = new URLSearchParams(parameters);
  for (const name of [...kept.keys()]) if (local.includes(name) || /\.(order|row)$/.test(name)) kept.delete(name);
  return kept;
}

function useLocation() {
  const [where, set] = useState(current());
  useEffect(() => onChange(() => set(current())), []);
  return where;
}

function Shell({ shell }) {
  const { page: name, parameters } = useLocation();
  const page = shell.pages.find((each) => each.name === (name || shell.pages[0].name));
  const [module, setModule] = useState(null);
  const [view, setView] = useState({ data: null, error: null, of: null });
  const [busy, setBusy] = useState(false);
  const [helps, setHelps] = useState(false);
  const [calls, setCalls] = useState({ seen: shell.calls, now: shell.calls });
  const search = useRef(null);
  const wanted = useRef(null);

  const loaded = module && page && module.of === page.name ? module.module : null;
  const question = loaded ? asked(parameters, loaded).toString() : null;

  useEffect(() => {
    if (!page) return;
    import(`/static/pages/${page.name}.js`).then((found) => setModule({ of: page.name, module: found }),
      () => setView({ data: null, of: page.name, error: new Refusal(`The page ${page.title} could not be loaded: press r.`, 0) }));
  }, [page?.name]);

  const load = useCallback(async () => {
    if (!loaded) return;
    wanted.current?.abort();
    const mine = (wanted.current = new AbortController());
    setBusy(true);
    try {
      const [data, latest] = await Promise.all([ask(page.name, question, { signal: mine.signal }), ask("latest", "", { signal: mine.signal })]);
      setView({ data, error: null, of: page.name });
      setCalls({ seen: latest.calls, now: latest.calls });
    } catch (error) {
      if (error.name === "AbortError") return;
      setView({ data: null, error, of: page.name });
    }
    if (wanted.current === mine) setBusy(false);
  }, [loaded, page?.name, question]);
  useEffect(() => { load(); }, [load]);

  useEffect(() => {
    const timer = setInterval(() => {
      if (document.hidden) return;
      ask("latest").then((latest) => setCalls((known) => ({ ...known, now: latest.calls })), () => {});
    }, LOOK_EVERY);
    return () => clearInterval(timer);
  }, []);

  const data = view.of === page?.name ? view.data : null;
  const command = data?.command;
  useEffect(() => { document.title = `${page ? page.title : "Not found"} · Token Calculator`; }, [page?.title]);
  useEffect(() => {
    const key = (event) => {
      const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
      if (event.key === "Escape" && typing) { event.target.blur(); return; }
      if (typing || event.ctrlKey || event.metaKey || event.altKey || !keysAreOn() || document.querySelector("dialog[open]")) return;
      const number = Number(event.key);
      if (event.key === "/") search.current?.focus();
      else if (event.key === "?") setHelps(true);
      else if (event.key === "r") load();
      else if (event.key === "t") turnTheme();
      else if (event.key === "c") document.getElementById("copy-cli")?.click();
      else if (number >= 1 && number <= shell.pages.length) go(`/${shell.pages[number - 1].name}`);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [load]);

  const fresh = calls.now - calls.seen;
  return html`
    <a class="skip" href="#content">To the content</a>
    <header class="side">
      <p class="brand"><${Link} href="/">Token Calculator</${Link}></p>
      <nav aria-label="pages"><ul>${shell.pages.map((each) => html`<li><${Link} page=${each.name} aria-current=${each === page ? "page" : undefined}>${each.title}</${Link}></li>`)}</ul></nav>
      <p class="store" title=${shell.store}><span dir="ltr">${shell.store.split("/").at(-1)}</span> <span class="version">${shell.version}</span></p>
      <p class="side-buttons"><button type="button" onClick=${turnTheme} title="light or dark (t)">◐<span class="away"> light or dark</span></button>
        <button type="button" onClick=${() => setHelps(true)} title="keys (?)">?<span class="away"> help</span></button></p>
    </header>
    <main id="content" aria-busy=${busy ? "true" : "false"} tabindex="-1">
      ${page ? html`
        <div class="top">
          <h1>${page.title}</h1>
          <label class="search"><span class="away">search</span>
            <input type="search" ref=${search} placeholder="search  /" value=${parameters.get("q") || ""} onInput=${(event) => change({ q: event.target.value }, { replace: true })} /></label>
          <${Copy} page=${page} parameters=${question} command=${command} />
        </div>
        ${fresh > 0 ? html`<p class="fresh only-live" role="status">${plural(fresh, "new call")} since this was asked. <button type="button" onClick=${load}>Show (r)</button></p>` : null}
        ${view.of === page.name && view.error ? html`<${Failed} error=${view.error} again=${load} />` : null}
        ${loaded && data ? html`<${loaded.default} data=${data} parameters=${parameters} />` : null}
        ${!data && !(view.of === page.name && view.error) ? html`<p class="loading">Loading…</p>` : null}`
      : html`<h1>Not found</h1><p>There is no page “${name}”. There are: ${shell.pages.map((each, place) => html`${place ? ", " : ""}<${Link} page=${each.name}>${each.title}</${Link}>`)}.</p>`}
    </main>
    ${helps ? html`<${Help} close=${() => setHelps(false)} />` : null}`;
}

function Failed({ error, again }) {
  return html`<div class="failed" role="alert"><p>${error.message}</p>
    <p><button type="button" onClick=${again}>Ask again (r)</button> <button type="button" onClick=${() => go(location.pathname)}>Without filters</button></p></div>`;
}

function turnTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* for this page only */ }
}

const app = document.getElementById("app");
async function start() {
  try {
    const shell = await ask("shell");
    app.replaceChildren();
    render(html`<${Shell} shell=${shell} />`, app);
  } catch (error) {
    app.replaceChildren();
    render(html`<main class="alone"><h1>Token Calculator</h1><${Failed} error=${error} again=${start} /></main>`, app);
  }
}
start();
