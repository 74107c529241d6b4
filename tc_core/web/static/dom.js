// Preact and htm, and the small pieces that every page uses. All text goes in as text: nothing here makes markup of it.
import { html, render, useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback } from "/static/vendor/htm-preact.js";
import { address, follow } from "/static/state.js";

export { html, render, useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback };

/** A sentence as the server sends it: pieces of [text, tone]. */
export function Said({ pieces }) {
  return pieces.map(([said, tone]) => [said.replace(/ %/g, "\u00a0%"), tone]).map(([text, tone]) => (tone ? html`<span class=${`tone-${tone}`}>${text}</span>` : text));
}

/** A link inside the explorer: `page` and the parameters of its address, or a whole `href` from the server. */
export function Link({ page, parameters, href, class: style, children, ...more }) {
  const to = href || address(page, parameters);
  return html`<a href=${to} class=${style} onClick=${(event) => follow(event, to)} ...${more}>${children}</a>`;
}

/** A section with a heading. */
export function Section({ title, note, children }) {
  return html`<section class="part"><h2>${title}${note ? html` <small>${note}</small>` : null}</h2>${children}</section>`;
}

/** A line that says that there is nothing, and what to do. */
export function Nothing({ children, command }) {
  return html`<div class="nothing-here"><p>${children}</p>${command ? html`<p><code>${command}</code></p>` : null}</div>`;
}

/** A share of a whole as a bar; its figure stands beside it. */
export function Meter({ share, tone = "", label }) {
  const width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return html`<span class="meter" role="img" aria-label=${label}><span class=${`fill ${tone}`} style=${{ width }}></span></span>`;
}

/** Whether the page is narrow, such as on a telephone. */
export const useNarrow = () => useWithin(700);

/** Whether the page is at most so many pixels wide. */
export function useWithin(pixels) {
  const query = useMemo(() => matchMedia(`(max-width: ${pixels}px)`), [pixels]);
  const [is, set] = useState(query.matches);
  useEffect(() => {
    const change = () => set(query.matches);
    query.addEventListener("change", change);
    return () => query.removeEventListener("change", change);
  }, [query]);
  return is;
}

/** The width of an element in pixels, as it changes: [reference, width]. */
export function useWidth(initial = 800) {
  const reference = useRef(null);
  const [width, set] = useState(initial);
  useLayoutEffect(() => {
    const measure = () => reference.current && set(Math.round(reference.current.clientWidth) || initial);
    measure();
    const observer = new ResizeObserver(measure);
    if (reference.current) observer.observe(reference.current);
    return () => observer.disconnect();
  }, []);
  return [reference, width];
}
