import { BodyParser, type Format, type ParsedBody, type ParseOptions } from '../src/reports.ts';

/** Parses a whole body. Throws as `BodyParser.step` does. */
export function parseBody(body: Buffer, format: Format, options: ParseOptions): ParsedBody {
  const parser = new BodyParser(body, format, options);
  while (!parser.step());
  return parser.parsed;
}
