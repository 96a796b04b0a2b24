import { tailraceErrorFrom } from '@tailrace/protocol/error';
import * as opcua from 'node-opcua-client';
import { NumericRange } from 'node-opcua-numeric-range';
import type { ServerCertificates } from './certificates.ts';
import {
  type Acknowledgement,
  type BrowseReply,
  type ItemRequest,
  type NodeToRead,
  type NotificationMessage,
  type OpcuaChannel,
  type OpcuaDataValue,
  OpcuaError,
  type OpcuaVariant,
  type PublishReply,
  type StatusName,
  type SubscriptionReply,
  type SubscriptionRequest,
} from './opcua-port.ts';

interface Request {
  readonly requestHeader: { timeoutHint: number };
}

interface Response {
  readonly responseHeader: { readonly serviceResult: { readonly name: string } };
}

/** A request on the session and its channel, or none: see the comment at the top. */
interface DirectSession {
  _performMessageTransaction(request: Request, callback: (error: Error | null, response?: Response) => void): void;
}

/** The type of references to properties. */
const hasProperty = 'ns=0;i=46';
const closeMs = 2_000;
/** A server answers a Publish at the latest after its keep-alive time. */
const publishMs = 120_000;

export interface ClientChannelOptions {
  readonly client: opcua.OPCUAClient;
  readonly session: opcua.ClientSession;
  readonly certificates: ServerCertificates;
  readonly isReactivated: boolean;
  readonly timeoutMs: number;
}

/** A session on its channel. Each request is sent once, at once, or not at all. */
export class ClientChannel implements OpcuaChannel {
  readonly isReactivated: boolean;
  readonly session: opcua.ClientSession;
  readonly #client: opcua.OPCUAClient;
  readonly #certificates: ServerCertificates;
  readonly #timeoutMs: number;
  readonly #failCalls = new Set<(error: OpcuaError) => void>();
  #isLost = false;

  constructor({ client, session, certificates, isReactivated, timeoutMs }: ClientChannelOptions) {
    this.isReactivated = isReactivated;
    this.session = session;
    this.#client = client;
    this.#certificates = certificates;
    this.#timeoutMs = timeoutMs;
  }

  async read(nodes: readonly NodeToRead[]): Promise<readonly OpcuaDataValue[]> {
    const request = new opcua.ReadRequest({
      maxAge: 0,
      timestampsToReturn: opcua.TimestampsToReturn.Both,
      nodesToRead: nodes.map(({ node, attribute, index }) => ({
        nodeId: opcua.coerceNodeId(node),
        attributeId: attribute ?? opcua.AttributeIds.Value,
        ...rangeOf(index),
      })),
    });
    const { results } = await this.#call<opcua.ReadResponse>(request);
    return (results ?? []) as readonly OpcuaDataValue[];
  }

  async write({ node, index }: NodeToRead, value: OpcuaVariant): Promise<{ value: number; name: StatusName }> {
    const request = new opcua.WriteRequest({
      nodesToWrite: [
        {
          nodeId: opcua.coerceNodeId(node),
          attributeId: opcua.AttributeIds.Value,
          ...rangeOf(index),
          // Without status and times: many servers refuse to write those.
          value: { value: value as opcua.VariantOptions },
        },
      ],
    });
    const { results } = await this.#call<opcua.WriteResponse>(request);
    const [status] = results ?? [];
    if (status === undefined) throw new OpcuaError('failed', 'the server sent no result of the write');
    return { value: status.value, name: status.name };
  }

  async createSubscription(request: SubscriptionRequest): Promise<SubscriptionReply> {
    const reply = await this.#call<opcua.CreateSubscriptionResponse>(
      new opcua.CreateSubscriptionRequest({
        requestedPublishingInterval: request.publishMs,
        requestedMaxKeepAliveCount: request.keepAliveCount,
        requestedLifetimeCount: request.lifetimeCount,
        maxNotificationsPerPublish: request.valuesMax,
        publishingEnabled: true,
        priority: 0,
      }),
    );
    return {
      id: reply.subscriptionId,
      publishMs: reply.revisedPublishingInterval,
      keepAliveCount: reply.revisedMaxKeepAliveCount,
    };
  }

  async deleteSubscription(id: number): Promise<void> {
    await this.#call(new opcua.DeleteSubscriptionsRequest({ subscriptionIds: [id] }));
  }

  async createItems(subscriptionId: number, items: readonly ItemRequest[]): Promise<readonly StatusName[]> {
    const request = new opcua.CreateMonitoredItemsRequest({
      subscriptionId,
      timestampsToReturn: opcua.TimestampsToReturn.Both,
      itemsToCreate: items.map(({ handle, node, index, sampleMs, queue, deadband }) => ({
        itemToMonitor: {
          nodeId: opcua.coerceNodeId(node),
          attributeId: opcua.AttributeIds.Value,
          ...rangeOf(index),
        },
        monitoringMode: opcua.MonitoringMode.Reporting,
        requestedParameters: {
          clientHandle: handle,
          samplingInterval: sampleMs,
          queueSize: queue,
          discardOldest: true,
          ...(deadband === undefined ? {} : { filter: deadbandFilter(deadband) }),
        },
      })),
    });
    const { results } = await this.#call<opcua.CreateMonitoredItemsResponse>(request);
    return (results ?? []).map(({ statusCode }) => statusCode.name);
  }

  async publish(acknowledgements: readonly Acknowledgement[]): Promise<PublishReply> {
    const request = new opcua.PublishRequest({
      requestHeader: { timeoutHint: publishMs },
      subscriptionAcknowledgements: acknowledgements.map(({ subscription, sequenceNumber }) => ({
        subscriptionId: subscription,
        sequenceNumber,
      })),
    });
    const reply = await this.#call<opcua.PublishResponse>(request, publishMs);
    return { subscription: reply.subscriptionId, message: messageFrom(reply.notificationMessage) };
  }

  async republish(subscriptionId: number, retransmitSequenceNumber: number): Promise<NotificationMessage> {
    const request = new opcua.RepublishRequest({ subscriptionId, retransmitSequenceNumber });
    const reply = await this.#call<opcua.RepublishResponse>(request);
    return messageFrom(reply.notificationMessage);
  }

  async transfer(subscriptions: readonly number[]): Promise<readonly StatusName[]> {
    const request = new opcua.TransferSubscriptionsRequest({
      subscriptionIds: [...subscriptions],
      sendInitialValues: false,
    });
    const { results } = await this.#call<opcua.TransferSubscriptionsResponse>(request);
    return (results ?? []).map(({ statusCode }) => statusCode.name);
  }

  async browse(nodes: readonly string[], referencesMax: number): Promise<readonly BrowseReply[]> {
    const request = new opcua.BrowseRequest({
      requestedMaxReferencesPerNode: referencesMax,
      nodesToBrowse: nodes.map((node) => ({
        nodeId: opcua.coerceNodeId(node),
        browseDirection: opcua.BrowseDirection.Forward,
        referenceTypeId: opcua.coerceNodeId('i=33'),
        includeSubtypes: true,
        nodeClassMask: 0,
        resultMask:
          opcua.ResultMask.NodeClass |
          opcua.ResultMask.BrowseName |
          opcua.ResultMask.DisplayName |
          opcua.ResultMask.ReferenceType,
      })),
    });
    const { results } = await this.#call<opcua.BrowseResponse>(request);
    return (results ?? []).map(browseReplyFrom);
  }

  async browseNext(continuations: readonly Uint8Array[], isRelease: boolean): Promise<readonly BrowseReply[]> {
    const request = new opcua.BrowseNextRequest({
      continuationPoints: continuations.map((each) => Buffer.from(each)),
      releaseContinuationPoints: isRelease,
    });
    const { results } = await this.#call<opcua.BrowseNextResponse>(request);
    return (results ?? []).map(browseReplyFrom);
  }

  async close(): Promise<void> {
    if (!this.#isLost)
      await within(
        this.session.close(true).catch(() => {}),
        closeMs,
        undefined,
      );
    this.lost();
    await disconnect(this.#client);
    await this.#certificates.close();
  }

  drop(): void {
    this.lost();
    void disconnect(this.#client).then(() => this.#certificates.close());
  }

  /** Calls in flight fail: their answers cannot come. */
  lost(): void {
    this.#isLost = true;
    for (const fail of [...this.#failCalls]) fail(new OpcuaError('closed', 'the channel is lost'));
  }

  #call<T>(request: Request, timeoutMs = this.#timeoutMs): Promise<T> {
    if (this.#isLost) return Promise.reject(new OpcuaError('closed', 'the channel is lost'));
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        this.#failCalls.delete(fail);
      };
      const fail = (error: OpcuaError) => {
        settle();
        reject(error);
      };
      const { name } = request.constructor;
      const timer = setTimeout(
        () => fail(new OpcuaError('timeout', `${name}: no answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      this.#failCalls.add(fail);
      if (request.requestHeader.timeoutHint === 0) request.requestHeader.timeoutHint = timeoutMs;
      const session = this.session as unknown as DirectSession;
      session._performMessageTransaction(request, (error, response) => {
        if (error === null || error === undefined) {
          settle();
          resolve(response as T);
          return;
        }
        const status = response?.responseHeader.serviceResult.name ?? statusOf(error);
        fail(new OpcuaError(status, `${name}: ${messageOf(error)}`));
      });
    });
  }
}

function rangeOf(index: number | undefined): { indexRange?: NumericRange } {
  return index === undefined ? {} : { indexRange: new NumericRange(index) };
}

function deadbandFilter(deadbandValue: number): opcua.DataChangeFilter {
  return new opcua.DataChangeFilter({
    trigger: opcua.DataChangeTrigger.StatusValue,
    deadbandType: opcua.DeadbandType.Absolute,
    deadbandValue,
  });
}

function messageFrom({ sequenceNumber, notificationData }: opcua.NotificationMessage): NotificationMessage {
  const values: { handle: number; value: OpcuaDataValue }[] = [];
  let closed: string | undefined;
  for (const data of notificationData ?? []) {
    if (data instanceof opcua.DataChangeNotification) {
      for (const { clientHandle, value } of data.monitoredItems ?? []) {
        values.push({ handle: clientHandle, value: value as OpcuaDataValue });
      }
    } else if (data instanceof opcua.StatusChangeNotification) closed = data.status.name;
  }
  const isKeepAlive = (notificationData ?? []).length === 0;
  return closed === undefined
    ? { sequenceNumber, values, isKeepAlive }
    : { sequenceNumber, values, isKeepAlive, closed };
}

function browseReplyFrom({ statusCode, references, continuationPoint }: opcua.BrowseResult): BrowseReply {
  return {
    status: statusCode.name,
    references: (references ?? []).map(({ nodeId, browseName, displayName, nodeClass, referenceTypeId }) => ({
      node: nodeId.toString(),
      browseName: browseName.name ?? '',
      displayName: displayName.text ?? '',
      nodeClass,
      isProperty: referenceTypeId.toString() === hasProperty,
    })),
    continuation: continuationPoint?.length > 0 ? continuationPoint : undefined,
  };
}

/** Closes the channel. A session stays at the server. */
export async function disconnect(client: opcua.OPCUAClient): Promise<void> {
  await within(
    client.disconnect().catch(() => {}),
    closeMs,
    undefined,
  );
}

/** Resolves with `late` if the promise takes longer. */
export async function within<T, L>(promise: Promise<T>, ms: number, late: L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<L>((resolve) => {
        timer = setTimeout(() => resolve(late), ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : tailraceErrorFrom(error).message;
  return message.replace(/\s+/g, ' ').trim().slice(0, 500);
}

/** Returns the name of the status in an error of the library, which has it in its text. */
export function statusOf(error: unknown): string {
  const message = messageOf(error);
  const [name] = /\bBad[A-Z]\w+/.exec(message) ?? [];
  if (name !== undefined) return name;
  return /timed out|timeout/i.test(message) ? 'timeout' : 'closed';
}
