// What the page asks before anything else: who is looking and, when the overview comes first, its numbers. Both are on
// their way while the other modules are still being read.
import { ApiError, ask, query } from "./api.js";
import { filtersOf, here } from "./place.js";

async function learn() {
  try {
    const found = await ask("/api/ai_usage/whoami");
    if (found.role) return found;
  } catch (error) {
    // A service that cannot say who is looking may still show its numbers; one that refuses cannot.
    if (error.status !== 401) return null;
  }
  throw new ApiError(401, "nobody is signed in");
}

export function overviewPath(values) {
  return query("/api/ai_usage/dashboard", { days: Number(values.get("days")) || 7, ...filtersOf(values) });
}

export const whoever = learn();
const place = here();
const path = place.screen === "overview" ? overviewPath(place.values) : "";
let numbers = path ? whoever.then(() => ask(path)) : null;
// Whoever waits for them is told of a failure, until then it is nobody's; after a sign-in they are asked for again.
whoever.catch(() => {
  numbers = null;
});
numbers?.catch(() => undefined);

// The numbers of the overview, if they were asked for at the start and nobody took them yet.
export function early(wanted) {
  const found = wanted === path ? numbers : null;
  numbers = null;
  return found;
}
