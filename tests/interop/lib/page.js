// What CSP.js finds in a browser and not in node, for one test.
'use strict';

/** What a browser keeps for a tab (`sessionStorage`) or an origin (`localStorage`). */
function store(after, name) {
  const map = new Map();
  globalThis[name] = { getItem: (key) => map.get(key) ?? null, setItem: (key, value) => map.set(key, value), removeItem: (key) => map.delete(key) };
  after(() => { delete globalThis[name]; });
  return map;
}

/** The events of a page: `happens('online')`. */
function events(after) {
  const page = new EventTarget(), verbs = ['addEventListener', 'removeEventListener'];
  for (const verb of verbs) globalThis[verb] = page[verb].bind(page);
  after(() => verbs.forEach((verb) => delete globalThis[verb]));
  return (name) => page.dispatchEvent(new Event(name));
}

module.exports = { store, events };
