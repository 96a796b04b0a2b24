/** Data types of metrics (Sparkplug 3.0, 6.4.16), by number. */
export const dataTypes = {
  unknown: 0,
  int8: 1,
  int16: 2,
  int32: 3,
  int64: 4,
  uint8: 5,
  uint16: 6,
  uint32: 7,
  uint64: 8,
  float: 9,
  double: 10,
  boolean: 11,
  string: 12,
  dateTime: 13,
  text: 14,
  uuid: 15,
  dataSet: 16,
  bytes: 17,
  file: 18,
  template: 19,
  propertySet: 20,
  propertySetList: 21,
  int8Array: 22,
  int16Array: 23,
  int32Array: 24,
  int64Array: 25,
  uint8Array: 26,
  uint16Array: 27,
  uint32Array: 28,
  uint64Array: 29,
  floatArray: 30,
  doubleArray: 31,
  booleanArray: 32,
  stringArray: 33,
  dateTimeArray: 34,
} as const;

/** The names of the specification, by number. */
const names: readonly string[] = [
  ...['Unknown', 'Int8', 'Int16', 'Int32', 'Int64', 'UInt8', 'UInt16', 'UInt32', 'UInt64', 'Float', 'Double'],
  ...['Boolean', 'String', 'DateTime', 'Text', 'UUID', 'DataSet', 'Bytes', 'File', 'Template', 'PropertySet'],
  ...['PropertySetList', 'Int8Array', 'Int16Array', 'Int32Array', 'Int64Array', 'UInt8Array', 'UInt16Array'],
  ...['UInt32Array', 'UInt64Array', 'FloatArray', 'DoubleArray', 'BooleanArray', 'StringArray', 'DateTimeArray'],
];

/** Returns the name of a data type for messages; of an unknown one its number. */
export function dataTypeName(dataType: number): string {
  return names[dataType] ?? `data type ${dataType}`;
}

/** Bits of the integer types; 0 for other types. */
export function integerBits(dataType: number): number {
  if (dataType < dataTypes.int8 || dataType > dataTypes.uint64) return 0;
  return 8 << ((dataType - dataTypes.int8) & 3);
}

/** Returns whether an integer type has negative values. */
export function isSigned(dataType: number): boolean {
  return dataType <= dataTypes.int64;
}
