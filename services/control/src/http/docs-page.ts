import type { Api } from './api-type.ts';

const path = '/v1/docs';

/** Everything comes from this server: a plant has no way to the Internet. Scalar sets styles by script. */
const policy = [
  "default-src 'none'",
  "script-src 'self' 'unsafe-inline'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * Serves the page of the OpenAPI document at `GET /v1/docs`, with the script of Scalar from this server. The library
 * has it as one text of 5 MB.
 */
export async function registerDocsPage(api: Api): Promise<void> {
  const { default: scalar } = await import('@scalar/fastify-api-reference');
  await api.register(async (scope) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, isPublic: true };
    });
    scope.addHook('onRequest', async (_request, reply) => {
      reply.header('content-security-policy', policy);
    });
    await scope.register(scalar, {
      routePrefix: path,
      configuration: {
        url: '/v1/openapi.json',
        withDefaultFonts: false,
        telemetry: false,
        hideClientButton: true,
        showDeveloperTools: 'never',
        agent: { disabled: true },
        mcp: { disabled: true },
      },
    });
  });
}
