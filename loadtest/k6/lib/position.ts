const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const version = 1;

/** How far a subscription has come: the last `seq` of each partition, to and from a position token (docs/PROTOCOL.md, "Positions"). */
export class Position {
  #epoch = '';
  readonly #lasts = new Map<number, number>();

  /** Of a server: everything later than this follows. What is known of the same epoch is only raised. Whether it is another epoch. */
  begin(token: string): boolean {
    const bytes = bytesOf(token);
    let at = 0;
    const varint = (): number => {
      for (let value = 0, scale = 1; ; scale *= 128) {
        const byte = bytes[at++];
        if (byte === undefined) throw new Error(`the position token ${token.slice(0, 80)} is cut off`);
        value += (byte & 127) * scale;
        if (byte < 128) return value;
      }
    };
    if (varint() !== version) throw new Error(`the position token ${token.slice(0, 80)} is of another version`);
    const length = varint();
    const epoch = String.fromCharCode(...bytes.slice(at, at + length));
    at += length;
    const isOther = epoch !== this.#epoch;
    if (isOther) this.#lasts.clear();
    this.#epoch = epoch;
    for (let partition = -1; at < bytes.length; ) {
      partition += 1 + varint();
      this.advance(partition, varint() - 1);
    }
    return isOther;
  }

  advance(partition: number, seq: number): void {
    const last = this.#lasts.get(partition);
    if (last === undefined || seq > last) this.#lasts.set(partition, seq);
  }

  /** Undefined before `begin`. */
  get token(): string | undefined {
    if (this.#epoch === '') return undefined;
    const bytes: number[] = [version, this.#epoch.length];
    for (let index = 0; index < this.#epoch.length; index++) bytes.push(this.#epoch.charCodeAt(index));
    const varint = (value: number) => {
      let rest = value;
      for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
      bytes.push(rest);
    };
    let before = -1;
    for (const [partition, last] of [...this.#lasts].sort(([a], [b]) => a - b)) {
      varint(partition - before - 1);
      varint(last + 1);
      before = partition;
    }
    return textOf(bytes);
  }
}

/** Base64url without padding (RFC 4648 section 5). */
function textOf(bytes: readonly number[]): string {
  let text = '';
  let [bits, held] = [0, 0];
  for (const byte of bytes) {
    bits = ((bits << 8) | byte) & 0xffff;
    for (held += 8; held >= 6; ) {
      held -= 6;
      text += alphabet[(bits >>> held) & 63];
    }
  }
  return held === 0 ? text : text + alphabet[(bits << (6 - held)) & 63];
}

function bytesOf(text: string): number[] {
  const bytes: number[] = [];
  let [bits, held] = [0, 0];
  for (const letter of text) {
    const six = alphabet.indexOf(letter);
    if (six < 0) throw new Error(`${text.slice(0, 80)} is no position token`);
    bits = ((bits << 6) | six) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes.push((bits >>> held) & 255);
    }
  }
  return bytes;
}
