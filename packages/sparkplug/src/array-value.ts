import { dataTypes } from './data-type.ts';
import { shortestFloat } from './shortest-float.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes of an element, and how to read it as JSON. Numbers are little-endian. */
interface Elements {
  readonly size: number;
  read(view: DataView, at: number): string;
}

const numberText = (value: number) => (Number.isFinite(value) ? String(value) : 'null');

const elementsOf: Readonly<Record<number, Elements>> = {
  [dataTypes.int8Array]: { size: 1, read: (view, at) => String(view.getInt8(at)) },
  [dataTypes.int16Array]: { size: 2, read: (view, at) => String(view.getInt16(at, true)) },
  [dataTypes.int32Array]: { size: 4, read: (view, at) => String(view.getInt32(at, true)) },
  [dataTypes.int64Array]: { size: 8, read: (view, at) => String(view.getBigInt64(at, true)) },
  [dataTypes.uint8Array]: { size: 1, read: (view, at) => String(view.getUint8(at)) },
  [dataTypes.uint16Array]: { size: 2, read: (view, at) => String(view.getUint16(at, true)) },
  [dataTypes.uint32Array]: { size: 4, read: (view, at) => String(view.getUint32(at, true)) },
  [dataTypes.uint64Array]: { size: 8, read: (view, at) => String(view.getBigUint64(at, true)) },
  [dataTypes.floatArray]: { size: 4, read: (view, at) => numberText(shortestFloat(view.getFloat32(at, true))) },
  [dataTypes.doubleArray]: { size: 8, read: (view, at) => numberText(view.getFloat64(at, true)) },
  [dataTypes.dateTimeArray]: { size: 8, read: (view, at) => String(view.getBigUint64(at, true)) },
};

/**
 * Returns an array as JSON, as in `[1,2]`; integers with all digits, NaN and infinities as null. Returns undefined for
 * bytes that are no whole elements.
 */
export function arrayText(bytes: Uint8Array, dataType: number): string | undefined {
  if (dataType === dataTypes.booleanArray) return booleansText(bytes);
  if (dataType === dataTypes.stringArray) return stringsText(bytes);
  const elements = elementsOf[dataType];
  if (elements === undefined || bytes.length % elements.size !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; at += elements.size) texts.push(elements.read(view, at));
  return `[${texts.join(',')}]`;
}

/** A count of 4 bytes, then one bit for each value, from the highest bit of a byte on. */
function booleansText(bytes: Uint8Array): string | undefined {
  if (bytes.length < 4) return undefined;
  const count = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  if (bytes.length !== 4 + Math.ceil(count / 8)) return undefined;
  const texts: string[] = [];
  for (let index = 0; index < count; index++)
    texts.push(((bytes[4 + (index >> 3)]! << (index & 7)) & 0x80) === 0 ? 'false' : 'true');
  return `[${texts.join(',')}]`;
}

/** Texts that end with NUL. Some senders leave out the last NUL. */
function stringsText(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return '[]';
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return undefined;
  }
  const texts = (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
  return JSON.stringify(texts);
}
