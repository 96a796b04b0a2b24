import { builtPage, createDashboard } from '@tailrace/dashboard/app';
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';

/** The dashboard's server with the built page. */
export interface PageServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Serves the page, which reads the streams at `streamUrl` with this token. `controlUrl`: of the API of control. */
export async function startPageServer(streamUrl: string, demoToken: string, controlUrl = ''): Promise<PageServer> {
  const dashboard = createDashboard({
    config: { host: '127.0.0.1', port: 0, streamUrl, publicIngestUrl: '', controlUrl, demoToken },
    logger: silentLogger,
    metrics: createMetrics({ service: 'dashboard', node: 'test', processMetrics: false }),
    folder: builtPage,
  });
  const { port } = await dashboard.start();
  return { url: `http://127.0.0.1:${port}`, stop: () => dashboard.stop() };
}
