import { createPublisher, type Publisher, type PublisherStats } from '@tailrace/client/publish';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { type ErrorCode, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import type { PlantLink } from './plant-link.ts';

export interface HttpLinkOptions {
  readonly url: string;
  readonly token: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random?: (() => number) | undefined;
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** Shortest time between two warnings of a kind, ms. */
export const warningEveryMs = 30_000;

/** Posts reports to ingest. What a device without its link reports is lost: it has no store. */
export class HttpLink implements PlantLink {
  readonly #options: HttpLinkOptions;
  readonly #publisher: Publisher;
  readonly #onRetry: LimitedWarning;
  readonly #onRefused: LimitedWarning;
  readonly #onLost = new Map<ErrorCode, LimitedWarning>();

  constructor(options: HttpLinkOptions) {
    const { url, token, clock, random, fetch } = options;
    this.#options = options;
    this.#onRetry = this.#limited('ingest does not accept readings; retrying');
    this.#onRefused = this.#limited('ingest refused readings');
    this.#publisher = createPublisher({
      url,
      token,
      clock,
      ...(random ? { random } : {}),
      ...(fetch ? { fetch } : {}),
      onRetry: (error, waitMs) => this.#onRetry.write(() => ({ error, waitMs })),
    });
  }

  async start(): Promise<void> {}

  publish(reports: readonly Report[], isLinked: (device: string) => boolean = () => true): void {
    const linked = reports.filter(({ device }) => isLinked(device));
    if (linked.length === 0) return;
    this.#publisher.publish(linked).then(
      ({ refused }) => {
        const [first] = refused;
        if (first === undefined) return;
        const { report, code, message } = first;
        this.#onRefused.write(() => ({ device: report.device, code, reason: message, count: refused.length }));
      },
      (thrown: unknown) => {
        const error = tailraceErrorFrom(thrown);
        if (error.code !== 'closed') this.#lost(error.code).write(() => ({ error, count: linked.length }));
      },
    );
  }

  drain(): Promise<void> {
    return this.#publisher.drain();
  }

  stop(): void {
    this.#publisher.close();
  }

  stats(): PublisherStats {
    return this.#publisher.stats();
  }

  #lost(code: ErrorCode): LimitedWarning {
    let warning = this.#onLost.get(code);
    if (warning === undefined) {
      warning = this.#limited('readings were lost');
      this.#onLost.set(code, warning);
    }
    return warning;
  }

  #limited(sentence: string): LimitedWarning {
    const { logger, clock } = this.#options;
    return new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  }
}
