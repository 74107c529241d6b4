// Money, shares and times are written by the server, as the command line writes them; this is for counts made here.

/** A count with thousands. */
export const count = (number) => Number(number).toLocaleString("en-US");

/** `1 call`, `2 calls`. */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
