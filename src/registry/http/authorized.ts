import { isTagferryError, TagferryError } from "../../errors/error.ts";
import { parseChallenges } from "../auth/challenge.ts";
import { drain, type OpenAnswer } from "./answer.ts";
import { errorOfResponse } from "./error.ts";
import type { PauseAfter429 } from "./pause.ts";
import { followRedirects } from "./redirect.ts";
import { type Ask, isStream, type RequesterOptions } from "./request.ts";
import type { Send, Sending } from "./send.ts";

export type Authorized = (sending: Omit<Sending, "url" | "authorization">) => Promise<OpenAnswer>;

/**
 * Sends with the known credentials, and up to three more times when the registry answers with 401. Follows redirects.
 *
 * @throws {TagferryError} AUTH_*, and the error of an answer that the request does not expect
 */
export function openAuthorized(options: RequesterOptions, send: Send, pause: PauseAfter429): Authorized {
  const { registryUrl, authenticator } = options;

  return async (sending) => {
    const { ask, limit: signal } = sending;
    const { scopes, subject } = ask;
    let sent = await authenticator.header(scopes, { signal });
    let redirectedAgain = false;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await followRedirects({ ...sending, url: ask.url, authorization: sent }, options, send);
      if (answer.url.origin !== registryUrl.origin) {
        // the signed URL has expired: the registry signs a new one, once
        if (![400, 401, 403].includes(answer.status) || redirectedAgain) return judged(answer, ask);
        redirectedAgain = true;
        await drain(answer);
        continue;
      }
      if (answer.status !== 401 && !(attempt === 1 && lacksScope(answer)))
        return judged(answer, ask).catch((error: unknown) => pause.heard(error));
      const wwwAuthenticate = answer.headers["www-authenticate"];
      const body = await drain(answer);
      const refused = errorOfResponse({ status: answer.status, headers: answer.headers, body }, subject);
      if (refused.code === "TARGET_PROJECT") throw refused;
      const before = sent;
      sent = await authenticator
        .challenged({ wwwAuthenticate, scopes, sent, attempt, where: subject.where }, { signal })
        .catch((error: unknown) => {
          throw before === undefined ? error : (missingRight(error, refused) ?? error);
        });
      // The upload session still exists, but the stream is consumed: the caller must open it again.
      if (isStream(ask.body)) throw expired(ask, body);
    }
  };
}

/** Harbor's words in a 401 to a valid login that lacks a right, for example a robot that may only pull. */
const MISSING_RIGHT = /unauthorized to access repository: ([^\s,"]{1,255}), action: (\w{1,20})/i;

/** Names the account, the project and the right, if the registry said which right is missing. */
function missingRight(error: unknown, { details: { found } }: TagferryError): TagferryError | undefined {
  const [, repository, right] = (typeof found === "string" ? MISSING_RIGHT.exec(found) : undefined) ?? [];
  if (!isTagferryError(error, "AUTH_DENIED") || repository === undefined) return undefined;
  const { where, account = "the account" } = error.details;
  const [project] = repository.split("/");
  return new TagferryError("DENIED", `${String(where)}: ${String(account)} may not ${right} ${repository}`, {
    ...error.details,
    status: 401,
    found,
    next: `Give ${String(account)} the right to ${right} repositories of the project ${project}.`,
  });
}

function expired({ subject: { where } }: Ask, found: string): TagferryError {
  return new TagferryError("UPLOAD", `${where}: the token expired while a blob was sent`, {
    where,
    status: 401,
    found,
  });
}

/** Some registries answer 403 when the token only lacks a scope, and name this scope. */
function lacksScope({ status, headers }: OpenAnswer): boolean {
  return (
    status === 403 &&
    parseChallenges(headers["www-authenticate"]).some(
      ({ parameters }) => parameters["error"] === "insufficient_scope" && parameters["scope"] !== undefined,
    )
  );
}

async function judged(answer: OpenAnswer, { expect, subject }: Ask): Promise<OpenAnswer> {
  if (expect.includes(answer.status)) return answer;
  const { status, headers } = answer;
  throw errorOfResponse({ status, headers, body: await drain(answer) }, subject);
}
