import type { View } from '../src/views/view.ts';
import type { Encoding } from '../src/views/view-options.ts';
import type { LocalNode } from './local-node.ts';
import { UnboundedSubscriber } from './unbounded-subscriber.ts';

/** A client of a local node, which receives what is published on the topic of its view. */
export abstract class TopicSubscriber extends UnboundedSubscriber {
  protected readonly node: LocalNode;
  #topic: { onPublished(topic: string, frame: string | Uint8Array): void } | undefined;

  constructor(node: LocalNode, user: string, encoding: Encoding) {
    super(encoding, node.work.queue(user));
    this.node = node;
  }

  onTopic(view: View): void {
    this.#topic = {
      onPublished: (topic, frame) => {
        if (topic === view.topic) this.receive(frame);
      },
    };
    this.node.sockets.add(this.#topic);
  }

  offTopic(): void {
    this.node.sockets.delete(this.#topic!);
  }
}
