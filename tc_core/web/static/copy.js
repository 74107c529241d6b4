// What one sees, to take along: as the command, as CSV, as JSON, or the page as one HTML file.
import { html, useEffect, useRef, useState } from "/static/dom.js";
import { ask } from "/static/api.js";

/** The buttons; `command` is the CLI's, `page` is as the shell knows it, `parameters` are those of the question. */
export function Copy({ page, parameters, command }) {
  const [said, say] = useState("");
  const [shown, show] = useState(null);
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => say(""), 2500);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async (what, text) => {
    try {
      const content = await text();
      try {
        await navigator.clipboard.writeText(content);
        say(`Copied ${what}.`);
      } catch {
        show(content); // no clipboard: on another machine's page, or refused
      }
    } catch (error) {
      say(error.message);
    }
  };
  return html`<div class="copy" role="group" aria-label="copy this view">
    <span class="said" role="status">${said}</span>
    ${command ? html`<button type="button" id="copy-cli" title=${command} onClick=${() => copy("the command", async () => command)}>CLI</button>` : null}
    ${page.csv ? html`<button type="button" title="copy as CSV" onClick=${() => copy("CSV", () => ask.text(`${page.name}.csv`, parameters))}>CSV</button>` : null}
    ${page.json ? html`<button type="button" title="copy as JSON" onClick=${() => copy("JSON", () => ask.text(`${page.name}.json`, parameters))}>JSON</button>` : null}
    <button type="button" title="save the page as one HTML file" onClick=${() => save(page.name).then(() => say("Saved.")).catch((error) => say(error.message))}>Save</button>
    ${shown === null ? null : html`<${Shown} text=${shown} close=${() => show(null)} />`}
  </div>`;
}

function Shown({ text, close }) {
  const dialog = useRef(null);
  useEffect(() => { dialog.current.showModal(); dialog.current.querySelector("textarea").select(); }, []);
  return html`<dialog ref=${dialog} onClose=${close} aria-label="text to copy"><p>This browser does not let a page copy: press Ctrl-C.</p>
    <textarea readonly rows="12" cols="80" aria-label="text to copy">${text}</textarea><form method="dialog"><button>Close</button></form></dialog>`;
}

/** Save the page as it stands as one HTML file that needs nothing else: styles inside, no script. */
async function save(name) {
  const styles = await (await fetch("/static/app.css")).text();
  const root = document.documentElement.cloneNode(true);
  for (const each of root.querySelectorAll("script, link, dialog, .copy, .only-live, noscript")) each.remove();
  const canvases = document.querySelectorAll("canvas");
  root.querySelectorAll("canvas").forEach((canvas, place) => {
    const image = document.createElement("img");
    image.src = canvases[place].toDataURL();
    image.alt = canvas.getAttribute("aria-label") || "";
    canvas.replaceWith(image);
  });
  for (const link of root.querySelectorAll("a[href^='/']")) link.removeAttribute("href");
  const style = document.createElement("style");
  style.textContent = styles;
  root.querySelector("head").append(style);
  const policy = document.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
  root.querySelector("head").prepend(policy);
  const file = new Blob([`<!doctype html>\n${root.outerHTML}`], { type: "text/html" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `token-calc-${name}.html`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
