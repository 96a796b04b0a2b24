import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Requester } from '../requester.ts';

/** The HTTP server of control. Routes have schemas by zod, from which the OpenAPI document is made. */
export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse<IncomingMessage>,
  FastifyBaseLogger,
  ZodTypeProvider
>;

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose verified token the request has. Not on routes whose `config` has `isPublic`. */
    requester: Requester;
  }
  interface FastifyContextConfig {
    /** Answered without a token: it reveals nothing of the installation. */
    readonly isPublic?: boolean;
  }
}
