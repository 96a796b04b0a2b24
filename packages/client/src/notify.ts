/** Calls a listener. What it throws stops nothing here, and goes to the program's handler of uncaught errors. */
export function notify(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
