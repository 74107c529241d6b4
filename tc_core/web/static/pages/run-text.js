// Figures of rows, written as the server writes them (`tc_core/model/written.py`): a text for each of 100,000 rows would weigh more than the figures.
import { count } from "/static/format.js";

export const NOTHING = "–";

/** Nano-dollars with so many decimals, rounded half to even: `$0.0412`. */
export function usd(nanos, decimals) {
  if (nanos < 0) return NOTHING;
  const step = 10 ** (9 - decimals);
  if (nanos > 0 && nanos * 2 < step) return `<$${(10 ** -decimals).toFixed(decimals)}`;
  let whole = Math.floor(nanos / step);
  const rest = nanos - whole * step;
  if (rest * 2 > step || (rest * 2 === step && whole % 2)) whole += 1;
  const digits = String(whole).padStart(decimals + 1, "0");
  return `$${count(digits.slice(0, digits.length - decimals))}.${digits.slice(digits.length - decimals)}`;
}

/** Microseconds as a duration: `620 ms`, `4.2 s`, `3 min 20 s`. */
export function seconds(us) {
  const ms = us / 1000;
  if (ms < 1000) return `${even(ms)} ms`;
  if (ms < 60_000) return `${(even(ms / 100) / 10).toFixed(1)} s`;
  const all = even(ms / 1000);
  return `${Math.floor(all / 60)} min ${all % 60} s`;
}

/** A share in whole percent. */
export const percent = (part, whole) => `${even((100 * part) / whole)} %`;

function even(number) {
  const whole = Math.floor(number);
  const rest = number - whole;
  return rest > 0.5 || (rest === 0.5 && whole % 2) ? whole + 1 : whole;
}
