import { TagferryError } from "../../errors/error.ts";
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
      sent = await authenticator.challenged(
        { wwwAuthenticate, scopes, sent, attempt, where: subject.where },
        { signal },
      );
      // The upload session still exists, but the stream is consumed: the caller must open it again.
      if (isStream(ask.body)) throw expired(ask, body);
    }
  };
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
