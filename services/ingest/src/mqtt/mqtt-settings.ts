import { isDevicePath } from '@tailrace/protocol/path';
import { z } from 'zod';

/** Part of `ingestSettings`: MQTT of devices. Its window is `deviceWindowMax`, its packets `deviceMessageBytesMax`. */
export const mqttSettings = {
  mqttEnabled: z
    .boolean()
    .default(false)
    .describe('Whether devices may connect by MQTT 3.1.1 and 5: on mqttPort, mqttTlsPort and at /v1/mqtt of port.'),
  mqttPort: z.int().min(0).max(65_535).default(1883).describe('Port for MQTT without TLS; 0 takes a free one.'),
  mqttPlain: z
    .boolean()
    .default(true)
    .describe('Whether mqttPort is open. Tokens are readable on it: for private networks alone.'),
  mqttTlsPort: z
    .int()
    .min(0)
    .max(65_535)
    .default(8883)
    .describe('Port for MQTT with TLS, if tlsCertFile is set; 0 takes a free one.'),
  mqttConnectionsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .meta({ unit: 'connections' })
    .describe(
      'MQTT connections of authenticated devices at once; beyond it CONNACK 0x88. Keep below the limit of open files, together with connectionsMax and deviceSessionsMax.',
    ),
  mqttSparkplug: z
    .enum(['off', 'passive', 'active', 'primary'])
    .default('off')
    .describe(
      'Whether Sparkplug B edge nodes may connect by MQTT, on topics below spBv1.0; active requests births after a gap, primary sends the STATE of mqttSparkplugHostId as well. A device has the path <group>.<node>.<device>, which the token of the edge node has to cover.',
    ),
  mqttSparkplugHostId: z
    .string()
    .regex(/^[^/+#\p{Cc}]{0,128}$/u, 'expected at most 128 characters, and none of / + #')
    .default('')
    .describe(
      'ID of the primary host for which edge nodes wait, with mqttSparkplug primary; the same for all nodes of ingest.',
    ),
  mqttSparkplugPrefix: z
    .string()
    .refine((path) => path === '' || isDevicePath(path), 'a device path, as in plant1')
    .default('')
    .describe('Device path before the group of these edge nodes; empty: the group is the first segment.'),
};

type SparkplugSettings = { readonly mqttSparkplug: string; readonly mqttSparkplugHostId: string };

/** Adds the error of a primary host without an ID. */
export function mqttRules(settings: SparkplugSettings, context: Pick<z.core.$RefinementCtx, 'addIssue'>): void {
  if (settings.mqttSparkplug !== 'primary' || settings.mqttSparkplugHostId !== '') return;
  const message = 'expected one with mqttSparkplug primary: edge nodes wait for the host of this ID';
  context.addIssue({ code: 'custom', path: ['mqttSparkplugHostId'], message });
}
