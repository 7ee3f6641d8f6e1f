/** A field of this name holds a secret, wherever it stands. */
const SECRET_KEY = /(?:authorization|passw(?:or)?d|token|secret|cookie|^auth)$/i;
const CENSORED = "***";

/** Too short to be told from ordinary text; blotting it out would make a riddle of every line. */
const SECRET_MIN_LENGTH = 4;
const HIDDEN_MIN_LENGTH = 6;
const HIDDEN_MAX = 200;

/** Those of this process: whoever it talks to may send back what it was sent. The one used last stands last. */
const hidden = new Set<string>();

/** From now on this text is written nowhere: not in a log, a report, a record or on the page. */
export function hideSecret(text: string): void {
  if (text.length < HIDDEN_MIN_LENGTH) return;
  hidden.delete(text);
  hidden.add(text);
  const [oldest] = hidden;
  if (hidden.size > HIDDEN_MAX && oldest !== undefined) hidden.delete(oldest);
}

/** A JSON-safe value without secrets: fields that are named like one, and what a text says of one. */
export function redact(value: unknown, secrets: readonly string[] = []): unknown {
  if (typeof value === "string") return withoutSecrets(value, secrets);
  if (Array.isArray(value)) return value.map((item) => redact(item, secrets));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      SECRET_KEY.test(key) && isText(item) ? CENSORED : redact(item, secrets),
    ]),
  );
}

/** A count of tokens is no secret; a header with several values is. */
function isText(value: unknown): boolean {
  return (
    typeof value === "string" || (Array.isArray(value) && value.every((item) => typeof item === "string"))
  );
}

/** Text without users in URLs, queries of signed addresses, credentials of headers and of JSON, and known `secrets`. */
function withoutSecrets(text: string, secrets: readonly string[]): string {
  const plain = [...secrets.filter(({ length }) => length >= SECRET_MIN_LENGTH), ...hidden]
    .toSorted((one, other) => other.length - one.length) // one may stand within another
    .reduce((known, secret) => known.replaceAll(secret, CENSORED), text);
  return (
    plain
      .replaceAll(/(\b[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/?#"]*@/gi, `$1${CENSORED}@`)
      .replaceAll(
        /([?&](?:X-Amz-|X-Goog-)?(?:[\w-]*(?:sig|signature|token|secret|password|credential)|_state|Policy|Key-Pair-Id|AWSAccessKeyId)=)[^&#\s"\\]+/gi,
        `$1${CENSORED}`,
      )
      .replaceAll(
        /("[\w-]*(?:authorization|password|token|secret)"\s*:\s*")(?:[^"\\]|\\.)*/gi,
        `$1${CENSORED}`,
      )
      // "basic authentication" is no secret
      .replaceAll(
        /\b([Bb]earer|BEARER|[Bb]asic|BASIC) (?![a-z]+(?:[\s.,;:"')]|$))[A-Za-z0-9+/=._~-]{8,}/g,
        `$1 ${CENSORED}`,
      )
  );
}
