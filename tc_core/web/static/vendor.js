// Loads libraries that are no modules, in order, under the one Trusted Types policy that the server allows.
const KNOWN = new Set(["d3-path", "d3-array", "d3-shape", "d3-sankey"]);
const policy = globalThis.trustedTypes?.createPolicy("vendor", {
  createScriptURL: (name) => {
    if (!KNOWN.has(name)) throw new TypeError(`${name} is not one of ours`);
    return `/static/vendor/${name}.js`;
  },
});
const loading = new Map();

/** Load scripts one after the other; return the global `d3` that they fill. */
export async function classic(...names) {
  for (const name of names) {
    if (!loading.has(name)) loading.set(name, load(name));
    await loading.get(name);
  }
  return globalThis.d3;
}

function load(name) {
  return new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = policy ? policy.createScriptURL(name) : `/static/vendor/${name}.js`;
    script.onload = done;
    script.onerror = () => fail(new Error(`${name} could not be loaded`));
    document.head.append(script);
  });
}
