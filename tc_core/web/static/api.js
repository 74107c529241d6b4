// What pages ask the server. Every error is a sentence that says what to do.
export class Refusal extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** Ask `/api/WHAT` with the parameters of the address; return its JSON, or throw a Refusal. */
export async function ask(what, parameters = new URLSearchParams(), { signal } = {}) {
  const answer = await request(what, parameters, signal);
  return answer.json();
}

/** The same as text: `ask.text("costs.csv", ...)`. */
ask.text = async (what, parameters = new URLSearchParams()) => (await request(what, parameters)).text();

/** Have something changed: `POST /api/WHAT`. Another site's page cannot send this header, nor a form. */
export async function order(what, parameters = new URLSearchParams()) {
  const answer = await request(what, parameters, undefined, { method: "POST", headers: { Accept: "application/json", "X-Token-Calc": "change" } });
  return answer.json();
}

async function request(what, parameters, signal, how = { headers: { Accept: "application/json" } }) {
  const search = new URLSearchParams(parameters).toString();
  let answer;
  try {
    answer = await fetch(`/api/${what}${search ? `?${search}` : ""}`, { signal, ...how });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The explorer does not answer: start it again with token-calc serve, then press r.", 0);
  }
  if (answer.ok) return answer;
  const said = await answer.text();
  let sentence = said;
  try { sentence = JSON.parse(said).error; } catch { /* it is the sentence itself */ }
  throw new Refusal(sentence || `The explorer answered ${answer.status}.`, answer.status);
}
