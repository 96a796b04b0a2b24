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
    .enum(['off', 'passive', 'active'])
    .default('off')
    .describe(
      'Whether Sparkplug B edge nodes may connect by MQTT, on topics below spBv1.0; active requests births after a gap. A device has the path <group>.<node>.<device>, which the token of the edge node has to cover.',
    ),
  mqttSparkplugPrefix: z
    .string()
    .refine((path) => path === '' || isDevicePath(path), 'a device path, as in plant1')
    .default('')
    .describe('Device path before the group of these edge nodes; empty: the group is the first segment.'),
};
