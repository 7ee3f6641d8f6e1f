/** A field with such a name contains a secret, at any depth. */
const SECRET_KEY = /(?:authorization|passw(?:or)?d|token|secret|cookie|^auth)$/i;
const CENSORED = "***";

/** Shorter secrets are not replaced: they occur in ordinary text, and the log would become unreadable. */
const SECRET_MIN_LENGTH = 4;
const HIDDEN_MIN_LENGTH = 6;
const HIDDEN_MAX = 200;

/** The secrets of this process. A server may send back what it received. The most recently used is last. */
const hidden = new Set<string>();

/** From now on, this text is removed from logs, reports, records and the page. */
export function hideSecret(text: string): void {
  if (text.length < HIDDEN_MIN_LENGTH) return;
  hidden.delete(text);
  hidden.add(text);
  const [oldest] = hidden;
  if (hidden.size > HIDDEN_MAX && oldest !== undefined) hidden.delete(oldest);
}

/** A JSON-safe value without secrets: removes fields with the name of a secret, and secrets within texts. */
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

/** Numbers are not secrets (a count of tokens); a list of texts is (a header with several values). */
function isText(value: unknown): boolean {
  return (
    typeof value === "string" || (Array.isArray(value) && value.every((item) => typeof item === "string"))
  );
}

/** Removes users in URLs, queries of signed URLs, credentials in headers and in JSON, and known `secrets`. */
function withoutSecrets(text: string, secrets: readonly string[]): string {
  const plain = [...secrets.filter(({ length }) => length >= SECRET_MIN_LENGTH), ...hidden]
    .toSorted((one, other) => other.length - one.length) // longest first: one secret may contain another
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
      // "basic authentication" is not a secret
      .replaceAll(
        /\b([Bb]earer|BEARER|[Bb]asic|BASIC) (?![a-z]+(?:[\s.,;:"')]|$))[A-Za-z0-9+/=._~-]{8,}/g,
        `$1 ${CENSORED}`,
      )
  );
}
