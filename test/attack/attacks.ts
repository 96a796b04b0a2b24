import type { Attack } from './attack-definition.ts';
import { alignedCuts } from './attacks/aligned-cuts.ts';
import { channelChurn } from './attacks/channel-churn.ts';
import { compressedFrames } from './attacks/compressed-frames.ts';
import { crossTenant } from './attacks/cross-tenant.ts';
import { dashboardHeads } from './attacks/dashboard-heads.ts';
import { declaredSizes } from './attacks/declared-sizes.ts';
import { deepJson } from './attacks/deep-json.ts';
import { deviceLists } from './attacks/device-lists.ts';
import { deviceNames } from './attacks/device-names.ts';
import { emptyFragments } from './attacks/empty-fragments.ts';
import { forgedPositions } from './attacks/forged-positions.ts';
import { forgedTokensAttack } from './attacks/forged-tokens.ts';
import { frameLengths } from './attacks/frame-lengths.ts';
import { gzipBombs } from './attacks/gzip-bombs.ts';
import { headsWithoutBodies } from './attacks/heads-without-bodies.ts';
import { idleSockets } from './attacks/idle-sockets.ts';
import { internalPort } from './attacks/internal-port.ts';
import { labelCardinality } from './attacks/label-cardinality.ts';
import { largeSnapshot } from './attacks/large-snapshot.ts';
import { largeState } from './attacks/large-state.ts';
import { mqttSessions } from './attacks/many-mqtt-sessions.ts';
import { mqttFlood } from './attacks/mqtt-flood.ts';
import { objectNames } from './attacks/object-names.ts';
import { positionTokens } from './attacks/position-tokens.ts';
import { protobufFuzz } from './attacks/protobuf-fuzz.ts';
import { replayEverything } from './attacks/replay-everything.ts';
import { sameChannel } from './attacks/same-channel.ts';
import { slowHeads } from './attacks/slow-heads.ts';
import { slowReaders } from './attacks/slow-readers.ts';
import { sparkplugBirths } from './attacks/sparkplug-births.ts';
import { tagsWithoutEnd } from './attacks/tags-without-end.ts';
import { tokenSpellings } from './attacks/token-spellings.ts';
import { tokensOfOneSubject } from './attacks/tokens-of-one-subject.ts';
import { twoLengths } from './attacks/two-lengths.ts';
import { unfinishedBodies } from './attacks/unfinished-bodies.ts';
import { unmaskedFrames } from './attacks/unmasked-frames.ts';
import { unreadSnapshots } from './attacks/unread-snapshots.ts';
import { viewsOfAChannel } from './attacks/views.ts';

/** All attacks, in the order in which they run. */
export const attacks: readonly Attack[] = [
  // Costs that grow with time.
  ...[tagsWithoutEnd, largeState, deviceNames, largeSnapshot],
  // Work that clients of the streams cause.
  ...[sameChannel, viewsOfAChannel, alignedCuts, replayEverything, forgedPositions, unreadSnapshots, channelChurn],
  deviceLists,
  // Resources that are held and not used.
  ...[headsWithoutBodies, unfinishedBodies, internalPort, dashboardHeads, idleSockets, slowHeads, slowReaders],
  // Devices by MQTT and Sparkplug.
  ...[mqttSessions, mqttFlood, sparkplugBirths],
  // More than a fair share, and data of others.
  ...[tokenSpellings, tokensOfOneSubject, forgedTokensAttack, crossTenant, positionTokens],
  // Data that no library sends.
  ...[unmaskedFrames, emptyFragments, frameLengths, compressedFrames, twoLengths],
  ...[gzipBombs, deepJson, objectNames, declaredSizes, protobufFuzz, labelCardinality],
];
