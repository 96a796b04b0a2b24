import type { Reading } from '@tailrace/protocol/report';
import type { HostFiles } from './files.ts';
import { numberReading } from './readings.ts';

/** A sensor of the kernel: Documentation/hwmon/sysfs-interface.rst and driver-api/thermal/sysfs-api.rst. */
export interface HostSensor {
  readonly name: string;
  readonly kind: 'temperature' | 'fan';
  readonly path: string;
}

const sensorsMax = 64;

/** Returns the sensors of this machine; most virtual machines have none. */
export async function findSensors(files: HostFiles): Promise<HostSensor[]> {
  const sensors: HostSensor[] = [];
  for (const chip of await files.list('/sys/class/hwmon')) {
    const folder = `/sys/class/hwmon/${chip}`;
    const chipName = (await files.read(`${folder}/name`))?.trim() || chip;
    for (const file of await files.list(folder)) {
      const found = /^(temp|fan)(\d+)_input$/.exec(file);
      if (found === null) continue;
      const label = (await files.read(`${folder}/${found[1]}${found[2]}_label`))?.trim() || `${found[1]}${found[2]}`;
      sensors.push({
        name: `${chipName}-${label}`,
        kind: found[1] === 'fan' ? 'fan' : 'temperature',
        path: `${folder}/${file}`,
      });
    }
  }
  for (const zone of await files.list('/sys/class/thermal')) {
    if (!zone.startsWith('thermal_zone')) continue;
    const folder = `/sys/class/thermal/${zone}`;
    const type = (await files.read(`${folder}/type`))?.trim() || zone;
    sensors.push({ name: type, kind: 'temperature', path: `${folder}/temp` });
  }
  return sensors.slice(0, sensorsMax);
}

/**
 * Parses the file of a sensor: m°C for a temperature, revolutions per minute for a fan. Returns no reading for other
 * text.
 */
export function sensorReadings(kind: HostSensor['kind'], text: string): Reading[] {
  if (!/^-?\d{1,9}\s*$/.test(text)) return [];
  const value = Number(text);
  if (kind === 'fan') return numberReading('speed', value, '/min', 0);
  const celsius = value / 1000;
  // An unconnected diode reads as an extreme value: reported with quality `bad`.
  const isPlausible = celsius > -60 && celsius < 200;
  return numberReading('temperature', celsius, 'Cel', 1).map((reading) =>
    isPlausible ? reading : { ...reading, quality: 'bad' },
  );
}
