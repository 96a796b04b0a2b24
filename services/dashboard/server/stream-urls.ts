/** Returns the URLs of the setting `streamUrl`: none where it is empty. */
export function streamUrlsFrom(text: string): string[] {
  return text
    .split(',')
    .map((url) => url.trim())
    .filter((url) => url !== '');
}
