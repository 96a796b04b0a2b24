import type { RegisterEntry } from './modbus/modbus-unit.ts';
import { plantUnits } from './modbus/plant-units.ts';
import { nodeNameOf, type PlantNode, plantMachines, plantNamespace } from './opcua/plant-nodes.ts';

export interface PlantServers {
  readonly modbus: { readonly host: string; readonly port: number };
  /** Undefined: the gateway reads Modbus alone. */
  readonly opcua?: { readonly endpoint: string } | undefined;
}

const pollMs = 1_000;

/**
 * Returns the sources file of an edge gateway that reads the servers of the plant, executes its commands, and reports a
 * hot bearing of the pump. The gateway has to trust the certificate of the OPC UA server, `serverCertificateIn`.
 */
export function plantSources({ modbus, opcua }: PlantServers): object {
  const units = plantUnits.map(({ unit, device, entries }) => {
    return { unit, device, addressing: 'zero', pollMs, tags: entries.map(tagFrom) };
  });
  const nodes = plantMachines.flatMap(({ device, nodes }) => nodes.map((node) => nodeFrom(device, node)));
  const switched = [
    ...plantUnits.filter(({ entries }) => entries.some(isSwitch)),
    ...(opcua === undefined ? [] : plantMachines.filter(({ nodes }) => nodes.some(isSwitch))),
  ];
  return {
    sources: [
      { name: 'utility', modbus, units },
      ...(opcua === undefined ? [] : [{ name: 'air', opcua, tags: nodes }]),
    ],
    rules: [
      {
        when: { device: 'plant1.utility.pump1', tag: 'bearing_temperature', above: 80, hysteresis: 5, forMs: 5_000 },
        actions: [{ event: 'bearing_hot', severity: 'warning' }],
      },
    ],
    commands: switched.flatMap(({ device }) => [
      { device, name: 'start', set: { enabled: true } },
      { device, name: 'stop', set: { enabled: false } },
    ]),
  };
}

function isSwitch({ tag }: { readonly tag: string }): boolean {
  return tag === 'enabled';
}

function tagFrom({ isWritable = false, type, unit, ...entry }: RegisterEntry): object {
  return {
    ...entry,
    // A coil has one type.
    ...(type !== 'bit' && { type }),
    ...(unit !== undefined && { unit }),
    ...(isWritable && { write: type === 'bit' ? { values: [true, false] } : { min: 0, max: 10 } }),
  };
}

function nodeFrom(device: string, { tag, unit, write }: PlantNode): object {
  const node = `nsu=${plantNamespace};s=${nodeNameOf(device, tag)}`;
  return { device, tag, node, ...(unit !== undefined && { unit }), ...(write !== undefined && { write }) };
}
