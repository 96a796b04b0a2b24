import { join } from 'node:path';

/** A variable of a machine behind the OPC UA server. */
export interface PlantNode {
  readonly tag: string;
  readonly type: 'Boolean' | 'Double';
  /** UCUM. */
  readonly unit?: string;
  /** The values that may be written; without it the node is read-only. */
  readonly write?: { readonly min: number; readonly max: number } | { readonly values: readonly boolean[] };
}

/** A machine of the plant behind the OPC UA server: a folder with its variables. */
export interface PlantMachine {
  readonly device: string;
  readonly nodes: readonly PlantNode[];
}

/** URI of the namespace of all nodes. */
export const plantNamespace = 'urn:tailrace:plant';

const compressorNodes: readonly PlantNode[] = [
  { tag: 'tank_pressure', type: 'Double', unit: 'bar' },
  { tag: 'air_flow', type: 'Double', unit: 'm3/min' },
  { tag: 'outlet_temperature', type: 'Double', unit: 'Cel' },
  { tag: 'run_hours', type: 'Double', unit: 'h' },
  { tag: 'loaded', type: 'Boolean' },
  { tag: 'enabled', type: 'Boolean', write: { values: [true, false] } },
  { tag: 'pressure_setpoint', type: 'Double', unit: 'bar', write: { min: 0, max: 10 } },
];

/** The machines of the plant that have an OPC UA server. */
export const plantMachines: readonly PlantMachine[] = [
  { device: 'plant1.utility.compressor1', nodes: compressorNodes },
  { device: 'plant1.utility.compressor2', nodes: compressorNodes },
  {
    device: 'plant1.utility.oven1',
    nodes: [
      { tag: 'temperature', type: 'Double', unit: 'Cel' },
      { tag: 'temperature_setpoint', type: 'Double', unit: 'Cel', write: { min: 20, max: 260 } },
      { tag: 'heater', type: 'Double', unit: '%' },
      { tag: 'door_open', type: 'Boolean' },
    ],
  },
];

/** Returns the file with the certificate of the server, in its folder of certificates. */
export function serverCertificateIn(pkiPath: string): string {
  return join(pkiPath, 'server', 'own', 'certs', 'certificate.pem');
}

/** Returns the identifier of a node in its namespace, as `compressor1.tank_pressure`. */
export function nodeNameOf(device: string, tag: string): string {
  return `${machineOf(device)}.${tag}`;
}

/** Returns the last segment of a device path. */
export function machineOf(device: string): string {
  return device.slice(device.lastIndexOf('.') + 1);
}
