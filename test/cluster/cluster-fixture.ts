import type { ClusterImages } from './cluster-images.ts';
import type { ClusterPlace } from './cluster-place.ts';
import type { Kubectl } from './kubectl.ts';
import type { Release } from './release.ts';
import type { RemoteClients } from './remote-clients.ts';

/** Shared by all tests of a run, which use one installation one after the other. */
export interface ClusterFixture {
  readonly place: ClusterPlace;
  readonly kubectl: Kubectl;
  /** A namespace whose pods may see the processes of their node. */
  readonly host: Kubectl;
  readonly clients: RemoteClients;
  readonly images: ClusterImages;
  /** Each service in pods of its own, with Kafka and NATS. */
  readonly release: Release;
  /** Standalone. */
  readonly embedded: Release;
  /** Signs tokens. */
  readonly secret: string;
  /** Prints progress. */
  readonly step: (text: string) => void;
}

/** Port of a pod outside of Tailrace. */
export const strangerPort = 8888;

/** Label of every object of a run, with its namespace as the value. */
export const runLabel = 'cluster-test';
export const releaseLabel = 'app.kubernetes.io/instance=tailrace';
export const fanoutLabel = `${releaseLabel},app.kubernetes.io/component=fanout`;
export const fanout = 'statefulset/tailrace-fanout';

/** Deadline with a loaded machine of two cores; usually a pod is ready within seconds. */
export const rolloutMs = 150_000;
