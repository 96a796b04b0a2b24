import type { ClusterImages } from './cluster-images.ts';
import type { ClusterPlace } from './cluster-place.ts';
import type { Kubectl } from './kubectl.ts';
import type { Release } from './release.ts';
import type { RemoteCrowd } from './remote-crowd.ts';

/** What all tests of a run share: they follow each other on one installation. */
export interface Stage {
  readonly place: ClusterPlace;
  readonly kubectl: Kubectl;
  /** A namespace whose pods may see the processes of their node. */
  readonly host: Kubectl;
  readonly crowd: RemoteCrowd;
  readonly images: ClusterImages;
  /** Kafka, NATS, a service each. */
  readonly release: Release;
  /** All in one pod. */
  readonly embedded: Release;
  /** That tokens are signed with. */
  readonly secret: string;
  /** Prints what goes on. */
  readonly step: (text: string) => void;
}

/** A pod that is nobody to Tailrace listens there. */
export const strangerPort = 8888;

/** On every object of a run, with its namespace: no other installation of the cluster has it. */
export const runLabel = 'cluster-test';
export const releaseLabel = 'app.kubernetes.io/instance=tailrace';
export const fanoutLabel = `${releaseLabel},app.kubernetes.io/component=fanout`;
export const fanout = 'statefulset/tailrace-fanout';

/** By the load of two cores; a pod is ready within seconds. */
export const rolloutMs = 150_000;
