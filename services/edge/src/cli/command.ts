import { parseArgs } from 'node:util';
import { type Clock, systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { type OpenStream, tcpStreams } from '../modbus/byte-stream.ts';
import type { OpcuaEndpoint } from '../opcua/opcua-client.ts';
import type { OpcuaConnector } from '../opcua/opcua-port.ts';
import { opcuaEndpointSchema } from '../opcua/opcua-source.ts';
import { readSourcesFile, sourcesText } from '../sources-file.ts';
import { browse } from './browse.ts';
import { planText } from './plan.ts';
import { probeModbus } from './probe-modbus.ts';
import { probeOpcua } from './probe-opcua.ts';
import { trust } from './trust.ts';

export interface CommandResult {
  /** 1: the device or server failed. 2: an invalid file or command line. */
  readonly code: 0 | 1 | 2;
  /** For the standard output, or with a code other than 0 for the standard error. */
  readonly output: string;
  /** For people, beside the output. */
  readonly notes?: string;
}

/** What the commands reach. */
export interface CommandPorts {
  readonly connector: (endpoint: OpcuaEndpoint, pkiPath: string) => Promise<OpcuaConnector>;
  readonly streams: (host: string, port: number) => OpenStream;
  readonly clock: Clock;
}

const usage = `usage:
  tailrace-edge plan --sources FILE            prints the read requests and subscriptions of a sources file
  tailrace-edge --check-config --sources FILE  checks a sources file
  tailrace-edge browse opc.tcp://HOST:4840     lists the variables of an OPC UA server as a sources file
      [--root NODE] [--depth 10] [--max 50000] [--prefix plant1]
  tailrace-edge probe opc.tcp://HOST:4840 --node NODE
                                               shows one node
  tailrace-edge probe modbus://HOST:502 --unit 1 --table holding --address 3060 [--framing rtu]
                                               shows two registers as every type, in every order
  tailrace-edge trust [FINGERPRINT]            trusts the certificate of an OPC UA server, or lists those that are not
browse and probe of OPC UA, as in a sources file:
      [--security Basic256Sha256|None|…] [--mode SignAndEncrypt|Sign] [--user NAME --password-file FILE]
      [--pki FOLDER]                           certificates, also for trust; default data/edge/pki
`;

/** As the setting `pkiPath`. */
const pkiDefault = 'data/edge/pki';
const portDefault = 502;

/** The library takes a third of a second to load: only commands that need it do. */
const systemPorts: CommandPorts = {
  connector: async (endpoint, pkiPath) => {
    const { createOpcuaConnector } = await import('../opcua/opcua-client.ts');
    return createOpcuaConnector(endpoint, { pkiPath, logger: silentLogger });
  },
  streams: tcpStreams,
  clock: systemClock,
};

const optionTypes = {
  sources: { type: 'string' },
  'check-config': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  root: { type: 'string' },
  depth: { type: 'string' },
  max: { type: 'string' },
  prefix: { type: 'string' },
  node: { type: 'string' },
  unit: { type: 'string' },
  table: { type: 'string' },
  address: { type: 'string' },
  framing: { type: 'string' },
  security: { type: 'string' },
  mode: { type: 'string' },
  user: { type: 'string' },
  'password-file': { type: 'string' },
  pki: { type: 'string' },
} as const;

type Options = ReturnType<typeof parseArgs<{ options: typeof optionTypes }>>['values'];

/** Runs a command of the command line. Resolves with its output and exit code; never rejects. */
export async function runCommand(args: readonly string[], ports: CommandPorts = systemPorts): Promise<CommandResult> {
  let options: Options;
  let words: readonly string[];
  try {
    const parsed = parseArgs({ args: [...args], allowPositionals: true, options: optionTypes });
    options = parsed.values;
    words = parsed.positionals;
  } catch (thrown) {
    return { code: 2, output: `tailrace-edge: ${(thrown as Error).message}\n${usage}` };
  }
  if (options.help === true) return { code: 0, output: usage };
  try {
    return await run(words, options, ports);
  } catch (thrown) {
    const { code, message } = tailraceErrorFrom(thrown);
    return { code: code === 'unavailable' ? 1 : 2, output: `tailrace-edge: ${message}\n` };
  }
}

async function run(words: readonly string[], options: Options, ports: CommandPorts): Promise<CommandResult> {
  const [command, target, ...rest] = words;
  const isCheck = options['check-config'] === true;
  if (rest.length > 0 || (isCheck && command !== undefined)) return { code: 2, output: usage };
  const isOfFile = command === 'plan' && target === undefined;
  if ((isOfFile || (isCheck && command === undefined)) && options.sources !== undefined) {
    const sources = readSourcesFile(options.sources);
    return { code: 0, output: isCheck ? sourcesText(sources) : planText(sources) };
  }
  if (command === 'trust') return { code: 0, output: trust(options.pki ?? pkiDefault, target) };
  if (command === 'browse' && target !== undefined) {
    const endpoint = endpointFrom(target, options);
    const { file, notes } = await browse(endpoint, await connectorOf(endpoint, options, ports), options);
    return { code: 0, output: file, notes };
  }
  if (command === 'probe' && target !== undefined) {
    const output = target.startsWith('modbus://')
      ? await probeModbus(options, { openStream: streamsOf(target, ports), clock: ports.clock })
      : await probeNode(target, options, ports);
    return { code: 0, output };
  }
  return { code: 2, output: usage };
}

async function probeNode(target: string, options: Options, ports: CommandPorts): Promise<string> {
  const endpoint = endpointFrom(target, options);
  return probeOpcua(await connectorOf(endpoint, options, ports), options.node);
}

function connectorOf(endpoint: OpcuaEndpoint, options: Options, ports: CommandPorts): Promise<OpcuaConnector> {
  return ports.connector(endpoint, options.pki ?? pkiDefault);
}

function endpointFrom(
  endpoint: string,
  { security, mode, user, 'password-file': passwordFile }: Options,
): OpcuaEndpoint {
  const given = { endpoint, security, mode, user, passwordFile };
  const parsed = opcuaEndpointSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = String(issue?.path[0] ?? 'endpoint') as keyof typeof given;
  const message = issue?.code === 'invalid_value' ? `expected one of ${issue.values.join(', ')}` : issue?.message;
  throw new TailraceError('invalid_config', `${field}: ${message}, got ${shown(given[field])}`);
}

function streamsOf(target: string, ports: CommandPorts): OpenStream {
  const url = URL.canParse(target) ? new URL(target) : undefined;
  if (url === undefined || url.hostname === '' || (url.pathname !== '' && url.pathname !== '/')) {
    throw new TailraceError('invalid_config', `device: expected modbus://HOST:502, got ${shown(target)}`);
  }
  return ports.streams(url.hostname, url.port === '' ? portDefault : Number(url.port));
}
