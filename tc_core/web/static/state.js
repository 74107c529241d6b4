// The address is the state: a link opens the same view. `/PAGE?name=value&...`, with the names of the command's options.
const changed = new EventTarget();

/** The page and its parameters, as the address says them. */
export function current() {
  const page = decodeURIComponent(location.pathname.slice(1)).split("/")[0];
  return { page, parameters: new URLSearchParams(location.search) };
}

/** The address of a page; parameters are an object whose values may be lists, or URLSearchParams. */
export function address(page, parameters = {}) {
  const search = parameters instanceof URLSearchParams ? parameters : from(parameters);
  const text = search.toString();
  return `/${page}${text ? `?${text}` : ""}`;
}

/** Go to an address; with `replace` the way back skips where we were. */
export function go(to, { replace = false } = {}) {
  if (to === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  changed.dispatchEvent(new Event("change"));
}

/** Change some parameters of the address; null takes one out. */
export function change(changes, options) {
  const { page, parameters } = current();
  for (const [name, value] of Object.entries(changes)) {
    parameters.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") parameters.append(name, each);
    }
  }
  go(address(page, parameters), options);
}

/** What a click on a link does: inside the explorer it changes the address; with a modifier the browser decides. */
export function follow(event, to) {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(to);
  scrollTo(0, 0);
}

/** Be told of each change of the address. */
export function onChange(tell) {
  changed.addEventListener("change", tell);
  addEventListener("popstate", tell);
  return () => {
    changed.removeEventListener("change", tell);
    removeEventListener("popstate", tell);
  };
}

function from(parameters) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each !== null && each !== undefined && each !== "") search.append(name, each);
  }
  return search;
}
