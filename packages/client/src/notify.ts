/** Calls a listener. Its exception does not affect the caller, but goes to the program's handler of uncaught errors. */
export function notify(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
