/** Returns a path quoted for a POSIX shell. */
function shellWord(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

/** Returns what standalone prints where its page is there some seconds before all of it is ready. */
export function earlyLine({ dashboard }: { readonly dashboard: string }): string {
  return `\nThe page is at ${dashboard}. Control starts its store, which takes a few seconds.\n`;
}

/** Returns the text that standalone prints once it is ready: the URLs, and three commands to try. */
export function greeting(
  urls: { dashboard: string; streams: string; ingest: string; control: string; internal: string },
  dataDir: string,
): string {
  return `
Tailrace is running. Data in ${dataDir}, kept over restarts. Ctrl-C stops it.

  dashboard   ${urls.dashboard}
  streams     ${urls.streams}/v1/stream
  ingest      ${urls.ingest}/v1/ingest
  control     ${urls.control}/v1/docs
  metrics     ${urls.internal}/metrics
  tokens      ${dataDir}/token, and of a second person, who confirms for the first: ${dataDir}/token.supervisor

${linesToTry(urls, `${dataDir}/token`)}
`;
}

/** Returns three commands to try. They use old options of curl only: `--json` needs 7.82. */
export function linesToTry(
  urls: { readonly dashboard: string; readonly streams: string; readonly ingest: string },
  tokenFile: string,
): string {
  const token = `$(cat ${shellWord(tokenFile)})`;
  return `Try it, from this folder:

  # publish a reading
  curl -w '\\n' -H "Authorization: Bearer ${token}" -H 'Content-Type: application/json' -d '{"device":"home.kitchen","time":'$(date +%s)'000,"readings":[{"tag":"temperature","value":21.5,"unit":"Cel"}]}' ${urls.ingest}/v1/ingest

  # watch a subtree over a WebSocket
  npx --no-install node -e 'new WebSocket("${urls.streams}/v1/stream?channel=home.%3E&token=" + process.argv[1]).onmessage = (e) => console.log(e.data)' "${token}"

  # watch this machine in a browser
  open ${urls.dashboard} || xdg-open ${urls.dashboard}`;
}
