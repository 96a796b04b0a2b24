/** Returns the number of an argument. Exits with 1 and one sentence if it is no integer from `min` to `max`. */
export function integerArgument(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
  process.stderr.write(`${name}: expected an integer from ${min} to ${max}, got ${text}\n`);
  process.exit(1);
}
