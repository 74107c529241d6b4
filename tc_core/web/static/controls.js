// What a question is changed with: each control is a parameter of the address, under the name of the command's option.
import { html, useState } from "/static/dom.js";
import { change, current } from "/static/state.js";

const PERIODS = ["today", "yesterday", "this-week", "last-week", "this-month", "last-month", "last-7-days", "last-30-days", "last-90-days", "this-year"];

/** A field for a word; `words` are offered. It asks when it is left, or at Enter. */
export function Field({ name, label, words = [], placeholder = "", width = 11 }) {
  const value = current().parameters.get(name) || "";
  const list = `words-${name}`;
  return html`<label class="field"><span>${label}</span>
    <input type="text" value=${value} list=${words.length ? list : undefined} placeholder=${placeholder} style=${{ width: `${width}rem` }}
           autocomplete="off" spellcheck="false" dir="auto" onChange=${(event) => change({ [name]: event.target.value.trim() })} />
    ${words.length ? html`<datalist id=${list}>${words.map((word) => html`<option value=${word}></option>`)}</datalist>` : null}
  </label>`;
}

/** A choice; `choices` are [value, label], the first one is what holds without it. */
export function Choice({ name, label, choices }) {
  const value = current().parameters.get(name) || "";
  return html`<label class="field"><span>${label}</span>
    <select value=${value} onChange=${(event) => change({ [name]: event.target.value })}>
      ${choices.map(([each, said]) => html`<option value=${each} selected=${each === value}>${said}</option>`)}
    </select></label>`;
}

/** From when on, and until when. */
export function Period() {
  return html`<${Field} name="since" label="since" words=${PERIODS} placeholder="ever" width=${8.5} />
    <${Field} name="until" label="until" words=${PERIODS} placeholder="now" width=${8.5} />`;
}

/** The filters as they are written behind --filter, each with a button that takes it out. */
export function Filters({ names = [] }) {
  const { parameters } = current();
  const filters = parameters.getAll("filter");
  const [written, write] = useState("");
  const add = (event) => {
    event.preventDefault();
    const said = written.trim();
    if (!said) return;
    change({ filter: [...new Set([...filters, said])] });
    write("");
  };
  return html`<form class="field" onSubmit=${add}>
    <label for="filter-new"><span>filter</span></label>
    <span class="filters">
      ${filters.map((filter) => html`<button type="button" class="chip" aria-label=${`take out the filter ${filter}`} onClick=${() => change({ filter: filters.filter((each) => each !== filter) })}><span dir="auto">${filter}</span> <span aria-hidden="true">×</span></button>`)}
      <input id="filter-new" type="text" value=${written} list="filter-names" placeholder="name=value" style=${{ width: "9rem" }} autocomplete="off"
             spellcheck="false" onInput=${(event) => write(event.target.value)} onChange=${add} />
      <datalist id="filter-names">${names.map((name) => html`<option value=${`${name}=`}></option>`)}</datalist>
    </span></form>`;
}

/** Add a filter, such as a click on a name does. */
export function filterBy(name, value) {
  const filters = current().parameters.getAll("filter");
  change({ filter: [...new Set([...filters, `${name}=${value}`])] });
}
