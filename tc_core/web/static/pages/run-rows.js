// A run as the server sends it: columns, in the order of the tree. Who hangs under whom follows from the depths.
import { NOTHING, percent, seconds, usd } from "/static/pages/run-text.js";
import { count } from "/static/format.js";

const DIGITS = 12;

export class Rows {
  constructor(data) {
    const columns = (this.columns = data.columns);
    this.length = columns.count;
    this.decimals = data.decimals;
    this.again = data.again;
    this.isFolded = data.is_folded;
    this.parent = new Int32Array(this.length).fill(-1);
    this.size = new Int32Array(this.length).fill(1);
    const above = [];
    for (let i = 0; i < this.length; i++) {
      const depth = columns.depth[i];
      this.parent[i] = depth ? above[depth - 1] : -1;
      above[depth] = i;
    }
    for (let i = this.length - 1; i > 0; i--) this.size[this.parent[i]] += this.size[i];
    this.untimed = new Set(columns.untimed);
    this.estimated = new Set(columns.estimated);
    this.facts = null;
  }

  /** The end of an event's id, by which the address names it. */
  id(place) { return this.columns.id.slice(place * DIGITS, (place + 1) * DIGITS); }

  /** The place of an id, -1 where it is not in this run. */
  placeOf(id) {
    if (!id || id.length !== DIGITS) return -1;
    let at = this.columns.id.indexOf(id);
    while (at >= 0 && at % DIGITS) at = this.columns.id.indexOf(id, at + 1);
    return at < 0 ? -1 : at / DIGITS;
  }

  name(place) { return this.columns.names[this.columns.name[place]]; }
  agent(place) { return this.columns.agents[this.columns.agent[place]]; }
  end(place) { return this.columns.ends[this.columns.end[place]]; }
  isCall(place) { const kind = this.name(place)[2]; return kind === "llm_call" || kind === "embedding"; }
  time(place) { return this.untimed.has(place) ? "" : seconds(this.columns.took[place]); }

  cost(place) {
    const { cost, calls, input } = this.columns;
    if (!calls[place] || (this.isCall(place) && input[place] < 0 && this.end(place)[0] === "error")) return ["", ""];
    if (cost[place] < 0) return ["unpriced", "doubt"];
    const doubts = this.estimated.has(place) && this.isCall(place);
    return [usd(cost[place], this.decimals), doubts ? "doubt" : cost[place] ? "" : "nothing"];
  }

  tokens(place, isShort) {
    const { input, output, cached } = this.columns;
    if (!this.isCall(place) || (input[place] < 0 && output[place] < 0)) return "";
    const share = !isShort && cached[place] > 0 && input[place] > 0 ? ` (${percent(cached[place], input[place])} cached)` : "";
    const said = (number) => (number < 0 ? NOTHING : count(number));
    return `${said(input[place])} in${share}  ${said(output[place])} out${this.estimated.has(place) ? "  estimated" : ""}`;
  }

  /** How an event ended, and how it stands to others: [text, tone] each. */
  notes(place) {
    this.facts ||= factsOf(this.columns);
    const [status, said] = this.end(place);
    const found = said ? [[said, status === "error" ? "over" : "doubt"]] : [];
    if (this.again[place]) found.push([this.again[place], ""]);
    for (const [word, older] of this.facts.get(place) || []) found.push([`${word} ${this.pointer(place, older)}`, "nothing"]);
    return found;
  }

  pointer(place, older) {
    if (older < 0) return "another run's event";
    if (this.parent[older] === this.parent[place] && older + this.size[older] === place) return "the event above";
    return `${this.name(older)[1]} (${this.id(older).slice(-8)})`;
  }

  /** The places right below one. */
  children(place) {
    const found = [];
    for (let child = place + 1; child < place + this.size[place]; child += this.size[child]) found.push(child);
    return found;
  }

  /** The places above one, the nearest first. */
  above(place) {
    const found = [];
    for (let at = this.parent[place]; at >= 0; at = this.parent[at]) found.push(at);
    return found;
  }

  /** The rows that are seen: `turned` are ids whose folding is not as it is at first; what holds the selected one is open. */
  shown(turned, selected) {
    const open = new Set(selected >= 0 ? this.above(selected) : []);
    const other = new Set([...turned].map((id) => this.placeOf(id)));
    const found = [];
    for (let i = 0; i < this.length; ) {
      found.push(i);
      i += this.size[i] > 1 && this.isShut(i, other, open) ? this.size[i] : 1;
    }
    return found;
  }

  isShut(place, turned, open) {
    if (open.has(place)) return false;
    return (this.isFolded && this.columns.depth[place] > 0) !== turned.has(place);
  }

  /** The rows whose name, agent or error has a text, and what they hang under: [rows, how many have it]. */
  having(text) {
    const wanted = text.trim().toLowerCase();
    const { names, agents, ends, name, agent, end } = this.columns;
    const has = (words) => words.map((word) => String(word ?? "").toLowerCase().includes(wanted));
    const [inName, inAgent, inEnd] = [has(names.map((each) => each.slice(0, 2).join(" "))), has(agents), has(ends.map((each) => each[1]))];
    const keep = new Uint8Array(this.length);
    let number = 0;
    for (let i = 0; i < this.length; i++) {
      if (!inName[name[i]] && !inAgent[agent[i]] && !inEnd[end[i]] && !this.id(i).endsWith(wanted)) continue;
      number += 1;
      for (let at = i; at >= 0 && !keep[at]; at = this.parent[at]) keep[at] = 1;
    }
    const found = [];
    for (let i = 0; i < this.length; i++) if (keep[i]) found.push(i);
    return [found, number];
  }
}

function factsOf(columns) {
  const found = new Map();
  const [newer, relation, older] = columns.facts;
  newer.forEach((place, number) => {
    if (!found.has(place)) found.set(place, []);
    found.get(place).push([columns.relations[relation[number]], older[number]]);
  });
  return found;
}
