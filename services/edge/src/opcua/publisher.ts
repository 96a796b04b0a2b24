import { type Acknowledgement, type OpcuaChannel, opcuaStatus, type PublishReply } from './opcua-port.ts';

export interface PublisherOptions {
  readonly onReply: (reply: PublishReply) => void;
  /** The channel or the session cannot publish any more. */
  readonly onFailed: (status: string) => void;
}

/** Requests that wait at the server, for each subscription; one is added, so that one is always there. */
const requestsPerSubscription = 2;
const requestsMax = 30;
/** More would not fit into one request of a small server; the rest goes with the next. */
const acknowledgementsPerRequest = 100;
const acknowledgementsMax = 10_000;

/**
 * Keeps Publish requests waiting at the server, which answers each when it has something to report, and acknowledges
 * what came. It is of one channel.
 */
export class Publisher {
  readonly #channel: OpcuaChannel;
  readonly #options: PublisherOptions;
  readonly #acknowledgements: Acknowledgement[] = [];
  #inFlight = 0;
  #subscriptions = 0;
  #requestsMax = requestsMax;
  #isStopped = false;

  constructor(channel: OpcuaChannel, options: PublisherOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Publishes for so many subscriptions from now on. */
  run(subscriptions: number): void {
    this.#subscriptions = subscriptions;
    this.#fill();
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** The message is received: the server need not keep it. */
  acknowledge(acknowledgement: Acknowledgement): void {
    // Without a place for them the server keeps the messages until its own limit.
    if (this.#acknowledgements.length < acknowledgementsMax) this.#acknowledgements.push(acknowledgement);
  }

  #fill(): void {
    const wanted = Math.min(this.#requestsMax, this.#subscriptions * requestsPerSubscription + 1);
    while (!this.#isStopped && this.#subscriptions > 0 && this.#inFlight < wanted) void this.#publish();
  }

  async #publish(): Promise<void> {
    this.#inFlight++;
    let status: string | undefined;
    let reply: PublishReply | undefined;
    try {
      reply = await this.#channel.publish(this.#acknowledgements.splice(0, acknowledgementsPerRequest));
    } catch (error) {
      status = opcuaStatus(error);
    }
    this.#inFlight--;
    if (this.#isStopped) return;
    if (reply !== undefined) this.#options.onReply(reply);
    // A server with long keep-alives has nothing to report: the watchdog decides whether it is dead.
    if (status === undefined || status === 'BadTimeout' || status === 'timeout') this.#fill();
    else if (status === 'BadTooManyPublishRequests' && this.#inFlight > 0) {
      // The server has no place for more than those in flight.
      this.#requestsMax = Math.max(1, Math.min(this.#requestsMax, this.#inFlight));
    } else {
      // The others in flight fail too.
      this.stop();
      this.#options.onFailed(status);
    }
  }
}
