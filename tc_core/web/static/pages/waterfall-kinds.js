// What each kind of origin is painted with, in all pictures of the page alike.
const SERIES = { user: 0, answer: 1, tool: 2, system: 3, passage: 4, tools: 5, format: 6 };

export const paint = (kind) => `series-${SERIES[kind] ?? "rest"}`;

/** The origins of a picture, each kind once. */
export function kindsIn(some) {
  const words = { answer: "answers", tool: "tool results", system: "system prompt", passage: "passages", tools: "tool schemas", format: "message format", unexplained: "unexplained", no_details: "no details", others: "others" };
  return [...new Set(some.map((each) => each.kind))].map((kind) => [words[kind] || kind, paint(kind)]);
}
