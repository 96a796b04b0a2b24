import { randomBytes } from 'node:crypto';
import type { Attack } from '../attack-definition.ts';
import { post } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';
import { fetchMetrics } from '../metrics-page.ts';

const pauseMs = 2;
/** Series that are new legitimately, such as the first of an outcome. */
const newSeriesMax = 60;

/** All values that a client may choose and a metric may use as a label. */
export const labelCardinality: Attack = {
  name: 'label-cardinality',
  words: 'random methods, paths, headers, tokens, channels, tags, units and device names',
  targets: ['standalone'],
  refusals: ['http 404 not_found'],
  forbidden: ['unbounded series'],
  async run(context) {
    const { ingestPort, streamPort, internalPort, dashboardPort } = context.addresses;
    const before = (await fetchMetrics(internalPort)).seriesCount;
    while (!context.isExpired()) {
      const random = randomBytes(8).toString('hex');
      const port = [ingestPort, streamPort, internalPort, dashboardPort ?? ingestPort][random.charCodeAt(0) % 4]!;
      const answer = await fetch(`http://127.0.0.1:${port}/${random}?${random}=${random}`, {
        method: ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'][random.charCodeAt(1) % 5]!,
        headers: { 'user-agent': random, [`x-${random}`]: random, traceparent: random, origin: `http://${random}` },
        signal: AbortSignal.timeout(5_000),
      }).catch(() => undefined);
      if (answer !== undefined) context.counts.response({ status: answer.status, body: await answer.text() });
      const reading = { tag: random, value: random, unit: random };
      await post(context, JSON.stringify({ device: `a.${random}`, id: random, readings: [reading] }));
      await post(context, '{}', { 'content-type': `x/${random}`, 'content-encoding': random });
      const stream = await AttackStream.open(context);
      stream?.send({ subscribe: { id: random, channel: `a.${random}`, tags: [random] } });
      stream?.terminate();
      await context.sleep(pauseMs);
    }
    const { seriesCount } = await fetchMetrics(internalPort);
    context.counts.most('new series', seriesCount - before);
    if (seriesCount - before > newSeriesMax) context.counts.add('unbounded series');
  },
};
