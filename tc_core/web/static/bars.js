// Stacked bars over time, as an SVG: a few hundred rectangles, put together by the server.
import { html, useState, useWidth } from "/static/dom.js";

const HEIGHT = 220;
const BELOW = 24;

/** `bars` as the server sends them; `classes` may name the series' own colours; `open(bucket)` and `choose(series)` are what Enter or a click on them does. */
export function Bars({ bars, label, open, choose, classes = [] }) {
  const [box, width] = useWidth();
  const [at, setAt] = useState(null);
  const { buckets, series, ticks, total } = bars;
  const most = ticks.at(-1).value || 1;
  const left = Math.max(...ticks.map((tick) => tick.text.length)) * 7.2 + 10;
  const step = (width - left) / buckets.length;
  const y = (nanos) => 6 + (HEIGHT - 6) * (1 - nanos / most);
  const sums = buckets.map(() => 0);
  const every = Math.max(1, Math.ceil(buckets.length / Math.max(1, Math.floor((width - left) / 78))));
  const gap = Math.min(4, step * 0.2);

  const colour = (one, number) => classes[number] || `series-${one.is_rest ? "rest" : number}`;
  const key = (event) => {
    const from = at ?? (event.key === "ArrowLeft" ? buckets.length : -1);
    const steps = { ArrowRight: from + 1, ArrowLeft: from - 1, Home: 0, End: buckets.length - 1 };
    if (event.key in steps) setAt(Math.max(0, Math.min(buckets.length - 1, steps[event.key])));
    else if (event.key === "Enter" && at !== null && open) open(buckets[at]);
    else if (event.key === "Escape") setAt(null);
    else return;
    event.preventDefault();
  };
  const place = (event) => {
    const found = Math.floor((event.clientX - event.currentTarget.getBoundingClientRect().left - left) / step);
    return found >= 0 && found < buckets.length ? found : null;
  };
  const told = at === null ? `${buckets.length} ${bars.unit}s, ${short(buckets[0])} to ${short(buckets.at(-1))}` : `${buckets[at]}: ${total[at]}`;

  return html`
    <div class="bars" ref=${box}>
      <svg width=${width} height=${HEIGHT + BELOW} role="slider" tabindex="0" aria-label=${label} aria-valuemin="0"
           aria-valuemax=${buckets.length - 1} aria-valuenow=${at ?? 0} aria-valuetext=${told} onKeyDown=${key}
           onMouseMove=${(event) => setAt(place(event))} onMouseLeave=${() => setAt(null)}
           onClick=${(event) => { const found = place(event); if (found !== null && open) open(buckets[found]); }}
           class=${open ? "opens" : ""}>
        ${ticks.map((tick) => html`
          <line class="mark" x1=${left} x2=${width} y1=${y(tick.value)} y2=${y(tick.value)} />
          <text class="axis" x=${left - 8} y=${y(tick.value) + 4} text-anchor="end">${tick.text}</text>`)}
        ${at === null ? null : html`<rect class="band" x=${left + at * step} width=${step} y="0" height=${HEIGHT} />`}
        ${series.map((one, number) => html`<g class=${colour(one, number)}>
          ${one.value.map((nanos, bucket) => {
            if (!nanos) return null;
            const from = sums[bucket];
            sums[bucket] += nanos;
            return html`<rect x=${left + bucket * step + gap / 2} width=${Math.max(0.75, step - gap)} y=${y(from + nanos)} height=${Math.max(0.5, y(from) - y(from + nanos))} />`;
          })}</g>`)}
        ${buckets.map((bucket, number) => number % every ? null : html`<text class="axis" x=${left + (number + 0.5) * step} y=${HEIGHT + 18} text-anchor=${number + every >= buckets.length && buckets.length > 1 && step < 60 ? "end" : "middle"}>${short(bucket)}</text>`)}
      </svg>
      ${at === null ? null : html`
        <div class="tip" role="presentation" style=${tipAt(left + (at + 0.5) * step, width)}>
          <strong>${buckets[at]}</strong> ${total[at]}
          ${series.length > 1 ? html`<table><tbody>${series.map((one, number) => one.value[at] ? html`<tr><td><span class=${`dot ${colour(one, number)}`}></span>${one.name}</td><td class="number">${one.text[at]}</td></tr>` : null)}</tbody></table>` : null}
        </div>`}
      ${series.length > 1 || series[0]?.name ? html`<ul class="legend">${series.map((one, number) => html`<li>${choose && !one.is_rest
        ? html`<button type="button" onClick=${() => choose(one.name)} title=${`only ${one.name}`}><span class=${`dot ${colour(one, number)}`}></span><span dir="auto">${one.name}</span></button>`
        : html`<span><span class=${`dot ${colour(one, number)}`}></span><span dir="auto">${one.name}</span></span>`}</li>`)}</ul>` : null}
    </div>`;
}

const tipAt = (x, width) => (x > width / 2 ? { right: `${width - x + 12}px` } : { left: `${x + 12}px` });
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A bucket as short as an axis needs it: `12 Mar`, `14:00`, `W12`, `Mar 2026`. */
export function short(bucket) {
  if (bucket.includes("T")) return bucket.slice(11, 16) === "00:00" ? short(bucket.slice(0, 10)) : bucket.slice(11, 16);
  if (bucket.includes("W")) return bucket.slice(5);
  const [year, month, day] = bucket.split("-");
  return day ? `${Number(day)} ${MONTHS[month - 1]}` : `${MONTHS[month - 1]} ${year}`;
}

/** A few numbers as a line of small bars, the last one marked. */
export function Spark({ values, label }) {
  const most = Math.max(...values, 1);
  const width = 5;
  return html`<svg class="spark" width=${values.length * width} height="20" role="img" aria-label=${label}>
    ${values.map((value, number) => {
      const height = value ? Math.max(1, (18 * value) / most) : 0.5;
      return html`<rect class=${number === values.length - 1 ? "last" : ""} x=${number * width} width=${width - 1.5} y=${20 - height} height=${height} />`;
    })}</svg>`;
}
