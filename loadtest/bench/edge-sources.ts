/** What the edge bench reads: tags of both protocols, each once a second. */

export const modbusUnits = 60;
/** Adjacent registers, so that a read has as many as Modbus allows, 125. */
const tagsOfUnit = 250;
export const modbusTags = modbusUnits * tagsOfUnit;
export const opcuaTags = 5_000;
/** Of each unit: a register that can be written. */
export const setRegister = 1_000;

const write = { min: 0, max: 60_000 };
export const written = { modbus: 'plant1.m0', opcua: 'plant1.o0' } as const;

/** Returns the text of the sources file. */
export function sourcesText(modbusPort: number, opcuaPort: number): string {
  const units = Array.from({ length: modbusUnits }, (_, unit) => ({
    ...{ unit: unit + 1, device: `plant1.m${unit}`, addressing: 'zero', pollMs: 1_000 },
    tags: [
      ...Array.from({ length: tagsOfUnit }, (_, at) => ({ tag: `t${at}`, table: 'holding', address: at, type: 'u16' })),
      { tag: 'set', table: 'holding', address: setRegister, type: 'u16', write },
    ],
  }));
  // A server samples all items of one interval in one turn: 5,000 take node-opcua 80 ms, in which it answers no write.
  const tags = Array.from({ length: opcuaTags }, (_, at) => ({
    ...{ device: `plant1.o${at % 20}`, tag: `t${at}`, node: `ns=1;s=t${at}`, sampleMs: 905 + 10 * (at % 20) },
  }));
  return JSON.stringify({
    sources: [
      { name: 'modbus', modbus: { host: '127.0.0.1', port: modbusPort }, units },
      {
        name: 'opcua',
        opcua: { endpoint: `opc.tcp://127.0.0.1:${opcuaPort}`, security: 'None', publishMs: 200 },
        tags: [...tags, { device: written.opcua, tag: 'set', node: 'ns=1;s=set', sampleMs: 1_000, write }],
      },
    ],
  });
}
