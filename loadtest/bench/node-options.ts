/** What the processes of one bench agree on. */
export const tokenSecret = 'a key for the bench alone, on loopback';
/** As the node's `topicPrefix` makes it. */
export const telemetryTopic = 'bench.telemetry';

export const deviceName = (i: number): string => `plant${i % 10}.line${i % 100}.d${i}`;
