import type { ClientPlan } from './client.ts';
import { cellName, cellOf, deviceName } from './fleet.ts';

/** Every client watches one device; every tenth its cell as well, and every tenth two devices more. */
export function planOf(client: number, devices: number): ClientPlan {
  const device = client % devices;
  const one = (number: number) => ({ channel: deviceName(number), devices: [deviceName(number)] });
  const subscriptions = [one(device)];
  if (client % 10 === 0) subscriptions.push({ channel: `${cellName(device)}.>`, devices: cellOf(device, devices) });
  if (client % 10 === 5) subscriptions.push(one((device + 7) % devices), one((device + 11) % devices));
  return { name: `client ${client}`, subscriptions };
}
