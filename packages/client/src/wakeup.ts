/** Present in a browser's window and workers, not in Node.js. */
interface Global {
  addEventListener?: (type: 'online', call: () => void) => void;
  removeEventListener?: (type: 'online', call: () => void) => void;
}

/** Calls `call` when the browser is online again. Returns a function that removes the listener. */
export function onOnline(call: () => void): () => void {
  const { addEventListener, removeEventListener } = globalThis as Global;
  addEventListener?.call(globalThis, 'online', call);
  return () => removeEventListener?.call(globalThis, 'online', call);
}
