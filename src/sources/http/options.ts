import * as z from 'zod';

const size = z
  .strictObject({
    param: z.string().min(1).describe('parameter that asks for the page size'),
    value: z.int().min(1).describe('records a page to ask for'),
  })
  .optional()
  .describe('how to ask for a page size; without it the API decides');

const total = z
  .union([
    z.strictObject({ header: z.string().min(1).describe('response header, such as X-Total-Count or Content-Range') }),
    z.strictObject({ path: z.string().min(1).describe('path in the body, such as meta.total') }),
  ])
  .optional()
  .describe('where the API tells how many records the listing has; it plans the pages and proves the end');

const within = z
  .enum(['query', 'body'])
  .default('query')
  .describe('where pagination parameters go; in the body (POST) a parameter may be a path, such as variables.after');

const pagination = z.discriminatedUnion('style', [
  z.strictObject({ style: z.literal('none').describe('one request gives everything') }),
  z.strictObject({
    style: z.literal('page').describe('numbered pages'),
    param: z.string().min(1).default('page').describe('parameter that takes the page number'),
    first: z.int().min(0).default(1).describe('number of the first page'),
    in: within,
    size,
    total,
  }),
  z.strictObject({
    style: z.literal('offset').describe('pages by the number of records before them'),
    param: z.string().min(1).default('offset').describe('parameter that takes the offset'),
    in: within,
    size,
    total,
  }),
  z.strictObject({
    style: z.literal('cursor').describe('each body holds the token of the next page'),
    param: z.string().min(1).default('cursor').describe('parameter that takes the token'),
    path: z
      .string()
      .min(1)
      .describe('path of the token in the body; the end is where it is missing, null, false or ""'),
    in: within,
    size,
    total,
  }),
  z.strictObject({
    style: z.literal('link').describe('Link response header with rel="next" (RFC 8288)'),
    in: within,
    size,
    total,
  }),
  z.strictObject({
    style: z.literal('next').describe('each body holds the URL of the next page'),
    path: z.string().min(1).describe('path of the URL in the body; relative URLs are taken against the current one'),
    in: within,
    size,
    total,
  }),
]);

const auth = z
  .strictObject({
    bearer: z.string().min(1).optional().describe('token sent as Authorization: Bearer'),
    basic: z
      .strictObject({ user: z.string().describe('user name'), password: z.string().describe('password') })
      .optional()
      .describe('user and password sent as Authorization: Basic'),
    oauth2: z
      .strictObject({
        tokenUrl: z.url({ protocol: /^https?$/ }).describe('token endpoint'),
        clientId: z.string().min(1).describe('client id'),
        clientSecret: z.string().min(1).describe('client secret'),
        scope: z.string().optional().describe('scopes, separated by spaces'),
        audience: z.string().optional().describe('audience, for servers that want one'),
        credentials: z
          .enum(['header', 'body'])
          .default('header')
          .describe('how the client names itself to the token endpoint: Basic header, or client_id in the form'),
      })
      .optional()
      .describe('OAuth 2.0 client credentials: the token is fetched, kept, and renewed'),
  })
  .refine((kinds) => Object.values(kinds).filter((kind) => kind !== undefined).length === 1, {
    message: 'give exactly one of bearer, basic and oauth2',
  });

const retries = z
  .strictObject({
    attempts: z.int().min(1).default(5).describe('tries for each request, the first included'),
    firstPause: z
      .number()
      .positive()
      .default(0.25)
      .describe('seconds; a pause is random between 0 and firstPause x 2^(failures - 1)'),
    longestPause: z
      .number()
      .positive()
      .default(60)
      .describe('seconds; no pause is longer, and a Retry-After beyond it ends the load'),
  })
  .prefault({})
  .describe('network errors, 408, 429, 5xx and unreadable bodies are tried again');

/** Every option of the `http` source: its type, its default and its help. */
export const httpOptions = z
  .strictObject({
    url: z.url({ protocol: /^https?$/ }).describe('address of the listing, its own query included'),
    method: z.enum(['GET', 'POST']).default('GET').describe('how the listing is asked for'),
    body: z.json().optional().describe('sent as JSON with each POST'),
    headers: z.record(z.string(), z.string()).default({}).describe('sent with each request'),
    auth: auth.optional().describe('how requests are authorized'),
    items: z.string().min(1).default('$').describe('path of the list of records in the body; $ is the body itself'),
    pagination: pagination.prefault({ style: 'none' }).describe('how the listing is cut into pages'),
    parallel: z.int().min(1).max(256).default(4).describe('requests in flight at most; pages and offsets use it'),
    timeout: z.number().positive().default(30).describe('seconds for one try of a request, its body included'),
    retries,
    rateLimit: z.number().positive().optional().describe('requests a second at most, retries included'),
  })
  .describe('records of an HTTP API, all its pages');

export type HttpOptions = z.input<typeof httpOptions>;
/** The options with their defaults in place. */
export type HttpSettings = z.output<typeof httpOptions>;
export type Pagination = HttpSettings['pagination'];
