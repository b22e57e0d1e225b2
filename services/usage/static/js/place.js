// Where the reader is: the screen and its filters, both in the address after the hash, so that a reload, a bookmark and
// the back button keep them. The token is never part of it.

export const FILTERS = ["model", "function", "user", "key", "anchor", "provider"];

export function here() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  return { screen: path || "overview", values: new URLSearchParams(search || "") };
}

export function linkTo(screen, values) {
  const pairs =
    values instanceof URLSearchParams
      ? values
      : new URLSearchParams(Object.entries(values || {}).filter(([, value]) => value));
  const text = pairs.toString();
  return `#/${screen}${text ? `?${text}` : ""}`;
}

// The same place with some values changed; null takes one away.
export function changed(patch, place = here()) {
  const values = new URLSearchParams(place.values);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null || value === "") values.delete(name);
    else values.set(name, value);
  }
  return linkTo(place.screen, values);
}

export function go(address) {
  location.hash = address;
}

export function filtersOf(values) {
  const found = {};
  for (const name of FILTERS) if (values.getAll(name).length) found[name] = values.getAll(name);
  return found;
}

export function without(name, value) {
  const { screen, values } = here();
  const kept = new URLSearchParams();
  for (const [one, item] of values) if (one !== name || item !== value) kept.append(one, item);
  return linkTo(screen, kept);
}
