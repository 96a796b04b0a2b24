import { commonSettings } from '@tailrace/platform/settings';
import { isDevicePath } from '@tailrace/protocol/path';
import { z } from 'zod';

export const serviceName = 'edge';

/** Settings of the edge gateway. */
export const configSchema = z
  .strictObject({
    ...commonSettings,
    edgePath: z
      .string()
      .refine((path) => path === '' || isDevicePath(path), 'a device path, as in plant1.edge1')
      .default('')
      .describe(
        'Path of the gateway as a device, such as plant1.edge1; required. Of two gateways with the same path, only the newer one is connected.',
      ),
    ingestUrl: z
      .url({ protocol: /^(https?|wss?|mqtts?)$/ })
      .default('http://localhost:8082')
      .describe(
        'URL of ingest, by which the gateway connects: http(s) or ws(s) is the WebSocket for devices; mqtts://host:8883, mqtt://host:1883, and wss://host/v1/mqtt are MQTT 5.',
      ),
    ingestCaFile: z
      .string()
      .max(4_096)
      .default('')
      .describe(
        'PEM file with the authorities of the certificate of ingest, in place of those of Node.js: of a private authority. Read again for each connection, as are the two below.',
      ),
    ingestCertFile: z
      .string()
      .max(4_096)
      .default('')
      .describe('PEM file with the client certificate of the gateway, for ingest with certificateRules; empty: none.'),
    ingestKeyFile: z.string().max(4_096).default('').describe('PEM file with its private key.'),
    token: z
      .string()
      .max(8_192)
      .default('')
      .meta({ secret: true })
      .describe(
        'Token with the right to publish the gateway and all devices of its sources; or in tokenFile. Not needed with a client certificate.',
      ),
    tokenFile: z
      .string()
      .max(4_096)
      .default('')
      .describe('File with the token, read again for each connection, so that it can be renewed without a restart.'),
    sourcesFile: z
      .string()
      .min(1)
      .max(4_096)
      .default('data/edge/sources.json')
      .describe('File with what the gateway reads and writes: sources, rules and commands.'),
    storePath: z
      .string()
      .min(1)
      .max(4_096)
      .default('data/edge/store')
      .describe('Folder of the reports that wait while ingest is not reachable. For one process at a time.'),
    pkiPath: z
      .string()
      .min(1)
      .max(4_096)
      .default('data/edge/pki')
      .describe("Folder with the gateway's certificate for OPC UA, and those of the servers that it trusts."),
    storeBytesMax: z
      .int()
      .min(1_048_576)
      .max(1_099_511_627_776)
      .default(1_073_741_824)
      .describe(
        'Reports on disk; beyond it storeDrops decides which are dropped. The file may have half as much in addition. The default is about a week of 100 readings a second.',
      ),
    memoryBytesMax: z
      .int()
      .min(1_048_576)
      .max(1_073_741_824)
      .default(33_554_432)
      .describe('Reports in memory; they go to the disk at half of it. It is the limit while the disk is full.'),
    storeDrops: z
      .enum(['oldest', 'newest'])
      .default('oldest')
      .describe('Which reports are dropped at a limit. Each loss is reported, at its place.'),
    batchMs: z
      .int()
      .min(10)
      .max(60_000)
      .default(200)
      .describe(
        'How long a reading waits for others of its device, to share a report. Ingest accepts 100 reports of a device a second.',
      ),
    catchUpReadingsPerSecondMax: z
      .int()
      .min(1_000)
      .max(1_000_000)
      .default(20_000)
      .meta({ unit: 'readings per second' })
      .describe(
        'Readings of the backlog a second, after the link is back. The rate starts lower, and halves while live readings are late.',
      ),
    commandsEnabled: z
      .boolean()
      .default(true)
      .describe(
        'Whether the gateway executes commands, and writes of rules without safety. Tags are read-only in any case without write in the sources file.',
      ),
    drainMs: z
      .int()
      .min(0)
      .max(60_000)
      .default(3_000)
      .describe('How long reports are still sent when the service stops. What is left goes to the disk.'),
  })
  .superRefine((config, context) => {
    const { edgePath, token, tokenFile, ingestUrl, ingestCaFile, ingestCertFile, ingestKeyFile } = config;
    const expect = (isValid: boolean, key: string, message: string) => {
      if (!isValid) context.addIssue({ code: 'custom', path: [key], message });
    };
    expect(edgePath !== '', 'edgePath', 'expected the path of the gateway, as in plant1.edge1');
    const isSecure = /^(https|wss|mqtts):/i.test(ingestUrl);
    const scheme = 'expected ingestUrl with https, wss or mqtts';
    expect(ingestCaFile === '' || isSecure, 'ingestCaFile', scheme);
    expect(ingestCertFile === '' || isSecure, 'ingestCertFile', scheme);
    const together = 'expected ingestCertFile and ingestKeyFile together';
    expect((ingestCertFile === '') === (ingestKeyFile === ''), 'ingestKeyFile', together);
    expect(token === '' || tokenFile === '', 'tokenFile', 'expected token or tokenFile, got both');
  });

export type EdgeConfig = z.output<typeof configSchema>;
