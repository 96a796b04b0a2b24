import { z } from 'zod';

const rate = (fallback: number, unit: string) => z.number().positive().max(1_000_000).default(fallback).meta({ unit });
const burst = (fallback: number, unit: string) => z.int().min(1).max(10_000_000).default(fallback).meta({ unit });

/** Part of `ingestSettings`: limits of devices with a session, and of their messages. */
export const deviceSettings = {
  deviceSessionsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .meta({ unit: 'sessions' })
    .describe(
      'WebSockets of devices at once; beyond it 503. Keep below the limit of open files, together with connectionsMax.',
    ),
  deviceSessionsPerIdentityMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(5_000)
    .meta({ unit: 'sessions' })
    .describe(
      'Sessions of one sender (iss, tenant and sub of its tokens); beyond it 1013. The default allows the devices of a site to share one token.',
    ),
  unauthenticatedDevicesMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1_000)
    .meta({ unit: 'connections' })
    .describe(
      'Connections of devices without a valid auth, of each protocol; beyond it the oldest is closed for a new one: WebSockets with 4408.',
    ),
  addressUnauthenticatedDevicesMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(64)
    .meta({ unit: 'connections' })
    .describe('The same for one address (of IPv6 a /64).'),
  deviceMessageBytesMax: z
    .int()
    .min(1_024)
    .max(4_194_304)
    .default(262_144)
    .describe(
      'A message of a device; beyond it 4413, and from four times as much on 1009. Of MQTT a packet; beyond it 0x95.',
    ),
  deviceWindowMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(64)
    .meta({ unit: 'messages' })
    .describe(
      'Messages and batches of one session that wait for the log, and 8 more for events; beyond it the session is not read, so that TCP stops the device. Enough for 6,000 messages a second at 10 ms. Of MQTT the Receive Maximum.',
    ),
  deviceWindowBytesMax: z
    .int()
    .min(1_024)
    .max(67_108_864)
    .default(524_288)
    .describe('The same in bytes. A single larger message is accepted alone.'),
  intakeUnsettledMax: z
    .int()
    .min(100)
    .max(10_000_000)
    .default(100_000)
    .meta({ unit: 'messages' })
    .describe('Messages of all sessions that wait for the log; beyond it sessions are not read.'),
  deviceMessagesPerSecond: rate(100, 'messages').describe(
    'Messages of one device a second, apart from events; beyond it they are refused with rate_limited, and ten times as many for 30 s with 4429.',
  ),
  deviceMessagesBurst: burst(500, 'messages').describe(
    'The same at once, after a pause. At least the messages of a batch, of which larger ones count as this many.',
  ),
  deviceEventsPerSecond: rate(20, 'events').describe(
    'Events of one device a second; beyond it they are refused with rate_limited. Apart from its other messages, so that an event passes when those are refused. Its sessions that open, and the presence that its gateway sends, count too: beyond it a session is refused for now (1013, CONNACK 0x88), and the gateway is not read.',
  ),
  deviceEventsBurst: burst(100, 'events').describe('The same at once, after a pause.'),
  tenantMessagesPerSecond: rate(20_000, 'messages').describe(
    'Messages of all devices of one tenant a second, in this process; beyond it they are refused with rate_limited.',
  ),
  tenantMessagesBurst: burst(40_000, 'messages').describe(
    'The same at once, after a pause. A tenth of it is for events alone.',
  ),
  deviceSocketBytesMax: z
    .int()
    .min(4_096)
    .max(67_108_864)
    .default(262_144)
    .describe('Answers that wait for one device, which does not read them; beyond it 4002.'),
  noncesMax: z
    .int()
    .min(100)
    .max(100_000_000)
    .default(200_000)
    .meta({ unit: 'nonces' })
    .describe(
      'Nonces of auth messages that are remembered for one to two minutes, some 16 bytes each; beyond it devices that authenticate by a nonce get 1013. One sender (iss, tenant and sub of its tokens) has half of it at most. None is forgotten early, because a recorded auth would be accepted again.',
    ),
  recentIdBytesMax: z
    .int()
    .min(65_536)
    .default(67_108_864)
    .describe(
      'Memory for the message IDs of devices that are in the log, about 1 KB for each device; beyond it the device whose session is longest ago is forgotten. A message that it sends again may then be in the log twice, and is still delivered once.',
    ),
};

/** The settings of devices with a session. */
export type DeviceSettings = z.output<z.ZodObject<typeof deviceSettings>>;
