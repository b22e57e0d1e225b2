// Keys have names that only the gateway knows; the ledger counts by id. Known once, used wherever a key is shown.
import { ask } from "./api.js";

let known = new Map();
let asked = false;

// Answers whether there is something new to show.
export async function learnKeyNames(who) {
  if (asked || !who || (who.role !== "admin" && who.role !== "open")) return false;
  asked = true;
  try {
    const found = await ask("/admin/keys");
    known = new Map(found.keys.map((key) => [key.id, key.name]));
    return known.size > 0;
  } catch {
    // Without the gateway the id itself is shown.
    return false;
  }
}

export function nameOf(by, one) {
  if (one.label) return one.label;
  return (by === "key" && known.get(one.name)) || one.name;
}
