/** As far as a browser's window and a worker have it, and Node has not. */
interface Global {
  addEventListener?: (type: 'online', call: () => void) => void;
  removeEventListener?: (type: 'online', call: () => void) => void;
}

/** Calls when the browser says that the network is back. The answer ends it. */
export function onOnline(call: () => void): () => void {
  const { addEventListener, removeEventListener } = globalThis as Global;
  addEventListener?.call(globalThis, 'online', call);
  return () => removeEventListener?.call(globalThis, 'online', call);
}
