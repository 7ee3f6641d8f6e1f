import { TagferryError } from "../../errors/error.ts";
import { type AddressClass, classOfHost } from "../transport/private-address.ts";
import type { OpenAnswer } from "./answer.ts";
import type { RequesterOptions } from "./request.ts";
import type { Send, Sending } from "./send.ts";

const REDIRECTS_MAX = 10;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/**
 * Sends a request and follows its redirects. Only the registry's own origin gets the credentials.
 *
 * @throws {TagferryError} REDIRECT_REFUSED, and the errors of `send`
 */
export async function followRedirects(
  sending: Sending,
  { registryUrl, transport: { mayRedirectTo } }: Pick<RequesterOptions, "registryUrl" | "transport">,
  send: Send,
): Promise<OpenAnswer> {
  const { ask, authorization } = sending;
  const chain = [sending.url];
  for (;;) {
    const url = chain.at(-1) ?? sending.url;
    const isOwn = url.origin === registryUrl.origin;
    const answer = await send({ ...sending, url, authorization: isOwn ? authorization : undefined });
    const isReading = ask.method === "GET" || ask.method === "HEAD";
    if (!REDIRECTS.includes(answer.status) || !isReading || ask.manualRedirect === true) return answer;
    await answer[Symbol.asyncDispose]();
    const { location } = answer.headers;
    chain.push(await nextHop(chain, location, { registryUrl, max: REDIRECTS_MAX, mayRedirectTo }));
  }
}

export type HopOptions = {
  readonly registryUrl: URL;
  readonly max: number;
  /** Whether the registry may send us to an address of this class. */
  readonly mayRedirectTo: (to: AddressClass) => Promise<boolean>;
};

const PLACES: Readonly<Record<AddressClass, string>> = {
  public: "it leads to a public address",
  private: "it leads to a private address",
  loopback: "it leads to this machine",
  link: "it leads to a link-local address or a metadata service",
};

/**
 * The target of a redirect, if it is allowed. The caller sends no credentials to another origin.
 *
 * @throws {TagferryError} REDIRECT_REFUSED with the chain, without queries: those are signatures
 */
export async function nextHop(
  chain: readonly URL[],
  location: string | string[] | undefined,
  { registryUrl, max, mayRedirectTo }: HopOptions,
): Promise<URL> {
  const from = chain.at(-1);
  const text = Array.isArray(location) ? location[0] : location;
  const to = text === undefined || text === "" ? null : URL.parse(text, from?.href);
  const refuse = (why: string): TagferryError =>
    new TagferryError(
      "REDIRECT_REFUSED",
      `${registryUrl.host} sends a redirect that is not followed: ${why}`,
      {
        where: registryUrl.host,
        found: [...chain, ...(to ? [to] : [])].map(shown).join(" → "),
        allowed:
          `at most ${max} redirects, encrypted when the registry is, ` +
          "to public hosts, and elsewhere only when the registry is there, too",
      },
    );
  if (text === undefined || text === "") throw refuse("there is no Location");
  if (!to) throw refuse("the Location is not a valid address");
  if (to.protocol !== "https:" && to.protocol !== "http:") throw refuse(`${to.protocol} is not followed`);
  if (to.username !== "" || to.password !== "") throw refuse("the Location has a user");
  if (from?.protocol === "https:" && to.protocol === "http:") throw refuse("it is not encrypted");
  if (chain.some((hop) => hop.href === to.href)) throw refuse("it is a loop");
  if (chain.length > max) throw refuse("there are too many of them");
  const place = classOfHost(to.hostname);
  if (to.origin !== registryUrl.origin && !(await mayRedirectTo(place))) throw refuse(PLACES[place]);
  return to;
}

function shown({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}
