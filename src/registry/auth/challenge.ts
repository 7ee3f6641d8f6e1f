/** One way to log in that a registry offers: `Bearer realm="…",service="…",scope="…"`. */
export type Challenge = {
  /** Lower case: `bearer`, `basic`, … */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
};

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/;
// Some registries send values that are no RFC 9110 token: NVIDIA's scope is unquoted and contains slashes and colons.
const BARE_VALUE = /[^\s,"]/;

/**
 * Reads WWW-Authenticate: several headers, several challenges in one header (Codeberg), quoted values with escapes,
 * commas and equals signs, unquoted values (OpenShift, NVIDIA), spaces around `=` and `,`. Invalid parts are skipped.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
 */
export function parseChallenges(headers: string | readonly string[] | undefined): readonly Challenge[] {
  const texts = typeof headers === "string" ? [headers] : (headers ?? []);
  return texts.flatMap((text) => readChallenges(text));
}

/** Chooses one challenge: Bearer first, then Basic. A Bearer challenge without a realm only reports an error. */
export function chooseChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  return (
    challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters["realm"] !== undefined) ??
    challenges.find(({ scheme }) => scheme === "basic")
  );
}

type Reading = { readonly text: string; at: number };

function readChallenges(text: string): Challenge[] {
  const reading: Reading = { text, at: 0 };
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  while (reading.at < text.length) {
    skip(reading, /[\s,]/);
    const word = take(reading, TOKEN);
    if (word === "") {
      reading.at += 1; // no word starts here: skip the character
      continue;
    }
    skip(reading, /\s/);
    const current = challenges.at(-1);
    if (text[reading.at] === "=" && current) {
      reading.at += 1;
      skip(reading, /\s/);
      current.parameters[word.toLowerCase()] ??= readValue(reading);
    } else {
      challenges.push({
        scheme: word.toLowerCase(),
        parameters: Object.create(null) as Record<string, string>,
      });
    }
  }
  return challenges;
}

function readValue(reading: Reading): string {
  if (reading.text[reading.at] !== '"') return take(reading, BARE_VALUE);
  let value = "";
  for (reading.at += 1; reading.at < reading.text.length; reading.at += 1) {
    const character = reading.text[reading.at];
    if (character === '"') {
      reading.at += 1;
      break;
    }
    if (character === "\\") reading.at += 1;
    value += reading.text[reading.at] ?? "";
  }
  return value;
}

function take(reading: Reading, characters: RegExp): string {
  const start = reading.at;
  skip(reading, characters);
  return reading.text.slice(start, reading.at);
}

function skip(reading: Reading, characters: RegExp): void {
  while (reading.at < reading.text.length && characters.test(reading.text[reading.at] ?? "")) reading.at += 1;
}
