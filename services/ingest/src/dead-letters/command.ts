import { statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { loadConfig } from '@tailrace/platform/config';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { configSchema, type IngestConfig } from '../config.ts';
import { deadLetterJson, deadLetterPayload, deadLetterText, listDeadLetters } from './dead-letter-listing.ts';
import { deadLetterTopic } from './dead-letters.ts';

export interface CommandOptions {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly createLog: (config: IngestConfig) => EventLog;
  readonly write: (output: string | Uint8Array) => void;
  readonly writeError: (output: string) => void;
  readonly nowMs: number;
}

const usage = `usage: node services/ingest/src/dead-letters/main.ts [options]
  Prints the messages that could not be processed. The log is that of the settings of ingest, or of --log.
  --last N         the newest N (default 20)
  --since 90m      of this time: s, m, h or d
  --source NAME    of one bridge or device
  --reason REASON  of one reason, such as malformed_json
  --json           one JSON object a line
  --raw POSITION   writes the original bytes of one, unchanged
  --config FILE    file of settings, beside the environment
  --log FOLDER     an embedded log, whose service is stopped; needs no settings
`;
const lastMax = 10_000;
const msOf: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Runs the command. Resolves with its exit code: 0, 1 for a log that cannot be read, 2 for wrong arguments. */
export async function runDeadLetterCommand(options: CommandOptions): Promise<number> {
  const { write, writeError } = options;
  let parsed: ReturnType<typeof parsedArgs>;
  let config: IngestConfig;
  try {
    parsed = parsedArgs(options.args, options.nowMs);
    if (parsed === undefined) {
      write(usage);
      return 0;
    }
    const args = parsed.config === undefined ? [] : ['--config', parsed.config];
    config = loadConfig(configSchema, { env: environmentFor(parsed.log, options.env), args });
  } catch (thrown) {
    writeError(`dead letters: ${(thrown as Error).message}\n${usage}`);
    return 2;
  }
  const eventLog = options.createLog(config);
  const topic = deadLetterTopic(config.topicPrefix);
  try {
    await eventLog.start();
    const { raw, json, sinceMs, source, reason, last } = parsed;
    if (raw !== undefined) {
      write(await deadLetterPayload(eventLog, topic, raw));
      return 0;
    }
    const letters = await listDeadLetters(eventLog, { topic, sinceMs, source, reason, last }).catch(noneWithoutTopic);
    if (letters.length === 0 && !json) writeError(`no dead letters in ${topic}\n`);
    for (const letter of letters) write(`${json ? deadLetterJson(letter) : deadLetterText(letter)}\n`);
    return 0;
  } catch (thrown) {
    writeError(`dead letters: ${tailraceErrorFrom(thrown).message}\n`);
    return 1;
  } finally {
    await eventLog.close();
  }
}

/** The topic is made for the first dead letter. */
function noneWithoutTopic(error: unknown): readonly never[] {
  if (tailraceErrorFrom(error).code === 'not_found') return [];
  throw error;
}

/** Returns the settings of an embedded log. Throws if there is no folder: the log would make it. */
function environmentFor(folder: string | undefined, env: CommandOptions['env']): CommandOptions['env'] {
  if (folder === undefined) return env;
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new TailraceError('invalid_config', `--log: expected the folder of a log, as data/demo/log, got ${folder}`);
  }
  return {
    ...env,
    TAILRACE_EVENT_LOG: 'embedded',
    TAILRACE_DATA_PATH: folder,
    // Required by the settings; nothing is verified here.
    TAILRACE_TOKEN_SECRET: env['TAILRACE_TOKEN_SECRET'] || 'no token is verified by this command',
  };
}

/** Returns undefined for a request for help. Throws for wrong arguments. */
function parsedArgs(args: readonly string[], nowMs: number) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      last: { type: 'string', default: '20' },
      since: { type: 'string' },
      source: { type: 'string' },
      reason: { type: 'string' },
      raw: { type: 'string' },
      config: { type: 'string' },
      log: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const { source, reason, config, json, log } = values;
  return {
    ...{ source, reason, config, json, log },
    last: wholeFrom('--last', values.last, 1, lastMax),
    raw: values.raw === undefined ? undefined : wholeFrom('--raw', values.raw, 0, Number.MAX_SAFE_INTEGER),
    sinceMs: values.since === undefined ? undefined : nowMs - durationFrom(values.since),
  };
}

function wholeFrom(name: string, text: string, min: number, max: number): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new TailraceError('invalid_config', `${name}: expected a whole number from ${min} to ${max}, got ${text}`);
}

function durationFrom(text: string): number {
  const match = /^([0-9]{1,6})([smhd])$/.exec(text);
  if (match !== null) return Number(match[1]) * msOf[match[2]!]!;
  throw new TailraceError('invalid_config', `--since: expected a time such as 90m, 12h or 7d, got ${text}`);
}
