import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { createAsking } from './asking.ts';
import type { Bus, BusSubscription } from './bus.ts';
import { guarded } from './guarded.ts';
import { assertPayload, busLimits } from './limits.ts';
import { closedError, createLink } from './link.ts';
import { createOutgoing, type Outgoing } from './outgoing.ts';
import { createServing } from './serving.ts';
import { assertSubject, assertSubjectPattern } from './subject.ts';
import type { Dial, Wire, WireMessage } from './wire.ts';

export interface WireBusOptions {
  /** Of this node, in answers. */
  name: string;
  dial: Dial;
  clock: Clock;
  random: () => number;
  logger: Logger;
  reconnectWait: { minMs: number; maxMs: number };
  pendingBytesMax: number;
  closeTimeoutMs: number;
}

// Beside the payload, in the server's protocol: `PUB <subject> <length>\r\n` and `\r\n`.
const framingBytes = 16;

// Servers of one subject share its requests.
const servingQueue = 'tailrace-serve';

/** Something that every new wire has to be told of. */
interface Entry {
  attach(wire: Wire): void;
  detach(): void;
  /** The server knows of it. */
  known(): void;
  /** It will never come about. */
  fail(error: TailraceError): void;
}

/** A Bus over whatever wire the link has up. See `Bus` for what each method promises. */
export function createWireBus(options: WireBusOptions): Bus {
  const { clock, logger, pendingBytesMax } = options;
  const asking = createAsking(clock);
  const serving = createServing(options.name, logger);
  const entries = new Set<Entry>();
  let outgoing: Outgoing | undefined;
  let payloadBytesMax: number = busLimits.payloadBytesMax;
  let dropped = 0;
  let connections = 0;
  let closing: Promise<void> | undefined;

  const link = createLink({
    ...options,
    wait: options.reconnectWait,
    async onUp(wire) {
      payloadBytesMax = wire.payloadBytesMax;
      if (payloadBytesMax < busLimits.payloadBytesMax) {
        const expected = busLimits.payloadBytesMax + busLimits.headerBytesMax;
        logger.error(
          { address: wire.address, expected, got: payloadBytesMax + busLimits.headerBytesMax },
          'the NATS server accepts smaller messages than the nodes may send to each other: raise its max_payload',
        );
      }
      outgoing = createOutgoing({ clock, flush: () => wire.flush() });
      asking.attach(wire);
      for (const entry of entries) entry.attach(wire);
      const told = [...entries];
      await wire.flush();
      for (const entry of told) entry.known();
    },
    onDown(wire, reason) {
      outgoing?.end(reason);
      outgoing = undefined;
      asking.fail(
        closing !== undefined
          ? closedError()
          : new TailraceError(
              'unavailable',
              `the connection to NATS at ${wire.address} was lost before the answer came`,
              { cause: reason },
            ),
      );
    },
    onState(up) {
      if (up) connections++;
    },
    onRefusedPublish(subject, error) {
      logger.error({ subject, error }, 'the NATS user may not publish to this subject');
      asking.refuse(subject, error);
    },
  });

  const present = () => (link.wire === undefined || outgoing === undefined ? undefined : { wire: link.wire, outgoing });

  function assertOpen(): void {
    if (closing !== undefined) throw closedError();
  }

  function wireOrUnavailable(): { wire: Wire; outgoing: Outgoing } {
    assertOpen();
    const here = present();
    if (here === undefined) throw new TailraceError('unavailable', 'the bus is not connected to NATS at present');
    if (here.outgoing.pendingBytes > pendingBytesMax) {
      throw new TailraceError(
        'unavailable',
        `${here.outgoing.pendingBytes} bytes wait for the network already: at most ${pendingBytesMax}`,
      );
    }
    return here;
  }

  function listen(
    subject: string,
    queue: string | undefined,
    onMessage: (message: WireMessage) => void,
  ): Promise<BusSubscription> {
    assertOpen();
    assertSubjectPattern(subject);
    if (entries.size >= busLimits.subscriptionsMax) {
      throw new TailraceError('limit_reached', `${entries.size} subscriptions are there already`);
    }
    let end: () => void = () => {};
    let stopped = false;
    return new Promise((resolve, reject) => {
      const entry: Entry = {
        attach(wire) {
          end = wire.subscribe(
            subject,
            queue,
            (message) => {
              if (!stopped) onMessage(message);
            },
            (error) => {
              logger.error({ subject, error }, 'the NATS user may not subscribe to this subject');
              entry.fail(
                new TailraceError('forbidden', `the NATS user may not subscribe to ${shown(subject)}`, {
                  cause: error,
                }),
              );
            },
          );
        },
        detach: () => end(),
        known: () => resolve(subscription),
        fail(error) {
          stopped = true;
          entries.delete(entry);
          reject(error);
        },
      };
      const subscription: BusSubscription = {
        async stop() {
          if (stopped) return;
          stopped = true;
          entries.delete(entry);
          entry.detach();
        },
      };
      entries.add(entry);
      const { wire } = link;
      if (wire === undefined) return; // `onUp` attaches it.
      entry.attach(wire);
      // A failing flush is a lost wire: the next one is told of the entry.
      wire.flush().then(entry.known, () => {});
    });
  }

  async function close(): Promise<void> {
    for (const entry of [...entries]) entry.fail(closedError());
    asking.fail(closedError());
    await link.close(options.closeTimeoutMs);
  }

  return {
    system: 'nats',
    start: () => link.start(),
    close: () => (closing ??= close()),
    publish(subject, payload) {
      assertOpen();
      assertSubject(subject);
      assertPayload(payload, payloadBytesMax, subject);
      const { wire } = link;
      const bytes = payload.length + subject.length + framingBytes;
      if (wire === undefined || outgoing === undefined || outgoing.pendingBytes + bytes > pendingBytesMax) {
        dropped++;
        return;
      }
      wire.publish(subject, payload);
      outgoing.add(bytes);
    },
    async subscribe(subject, onMessage) {
      return listen(subject, undefined, (message) =>
        guarded(logger, () => onMessage(message.data, message.subject), 'a subscriber to the bus failed'),
      );
    },
    async request(subject, payload, { deadlineMs }) {
      assertSubject(subject);
      const here = wireOrUnavailable();
      const answer = asking.ask(here.wire, subject, payload, deadlineMs);
      here.outgoing.add(payload.length + subject.length + framingBytes);
      return answer;
    },
    async serve(subject, onRequest) {
      return listen(subject, servingQueue, (message) => void serving.serve(message, onRequest, present));
    },
    stats: () => ({
      pendingBytes: outgoing?.pendingBytes ?? 0,
      pendingBytesMax,
      payloadBytesMax,
      dropped,
      connections,
      connected: link.wire !== undefined,
    }),
  };
}
