/**
 * The devices of a run, in lines of equal size: `loadtest.r7.line2.d23`. They are numbered across lines. A client
 * watches a line; the few slow ones watch `loadtest.r7.>`.
 */
export class Plant {
  readonly root: string;
  readonly devices: number;
  readonly devicesPerLine: number;

  constructor(root: string, devices: number, devicesPerLine: number) {
    this.root = root;
    this.devices = devices;
    this.devicesPerLine = devicesPerLine;
  }

  get lines(): number {
    return Math.ceil(this.devices / this.devicesPerLine);
  }

  device(number: number): string {
    return `${this.root}.line${Math.floor(number / this.devicesPerLine)}.d${number}`;
  }

  /** What somebody who watches the line subscribes to. */
  line(number: number): Channel {
    const first = number * this.devicesPerLine;
    const count = Math.min(this.devicesPerLine, this.devices - first);
    return new Channel(this, count === 1 ? this.device(first) : `${this.root}.line${number}.>`, first, count);
  }

  /** What somebody who watches everything subscribes to. */
  everything(): Channel {
    return new Channel(this, `${this.root}.>`, 0, this.devices);
  }
}

const letterD = 100;

/** A subscription's channel with the devices that it covers. */
export class Channel {
  readonly pattern: string;
  readonly devices: number;
  readonly #plant: Plant;
  readonly #first: number;
  /** By device: the length of its path, once that was compared; 0 before. */
  readonly #lengths: number[];

  constructor(plant: Plant, pattern: string, first: number, devices: number) {
    this.pattern = pattern;
    this.devices = devices;
    this.#plant = plant;
    this.#first = first;
    this.#lengths = new Array<number>(devices).fill(0);
  }

  /**
   * Returns the number within the channel of the device whose path these bytes are; -1 if the channel does not cover
   * it. The first time a path is compared byte by byte. Later its number and length are enough: another path would not
   * continue the counter.
   */
  indexAt(bytes: ArrayLike<number>, start: number, end: number): number {
    let number = 0;
    let scale = 1;
    let at = end - 1;
    for (let byte = bytes[at]!; byte !== letterD; byte = bytes[at]!) {
      if (byte < 48 || byte > 57 || at <= start) return -1;
      number += (byte - 48) * scale;
      scale *= 10;
      at--;
    }
    const index = number - this.#first;
    if (index < 0 || index >= this.devices) return -1;
    const length = end - start;
    return this.#lengths[index] === length || this.#isPath(number, index, bytes, start, length) ? index : -1;
  }

  indexOf(path: string): number {
    const codes = Array.from(path, (letter) => letter.charCodeAt(0));
    return this.indexAt(codes, 0, codes.length);
  }

  #isPath(number: number, index: number, bytes: ArrayLike<number>, start: number, length: number): boolean {
    const path = this.#plant.device(number);
    if (path.length !== length) return false;
    for (let letter = 0; letter < length; letter++) {
      if (bytes[start + letter] !== path.charCodeAt(letter)) return false;
    }
    this.#lengths[index] = length;
    return true;
  }
}
