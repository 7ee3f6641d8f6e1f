import { TagferryError } from "../../errors/error.ts";
import { isPrivateHost } from "../transport/private-address.ts";

export type HopOptions = {
  readonly registryUrl: URL;
  readonly max: number;
  /** Asked only when a redirect leads to a private address. */
  readonly registryIsPrivate: () => Promise<boolean>;
};

/**
 * Where a redirect leads, when we may go there. Credentials are not this function's business: the requester sends none to
 * another origin.
 *
 * @throws {TagferryError} REDIRECT_REFUSED with the chain, without queries: those are signatures
 */
export async function nextHop(
  chain: readonly URL[],
  location: string | string[] | undefined,
  { registryUrl, max, registryIsPrivate }: HopOptions,
): Promise<URL> {
  const from = chain.at(-1);
  const text = Array.isArray(location) ? location[0] : location;
  const to = text === undefined || text === "" ? null : URL.parse(text, from?.href);
  const refuse = (why: string): TagferryError =>
    new TagferryError("REDIRECT_REFUSED", `${registryUrl.host} redirects where we do not follow: ${why}`, {
      where: registryUrl.host,
      found: [...chain, ...(to ? [to] : [])].map(shown).join(" → "),
      allowed: `at most ${max} redirects, encrypted when the registry is, to public hosts when it is public`,
    });
  if (text === undefined || text === "") throw refuse("there is no Location");
  if (!to) throw refuse("the Location is no address");
  if (to.protocol !== "https:" && to.protocol !== "http:") throw refuse(`${to.protocol} is not followed`);
  if (to.username !== "" || to.password !== "") throw refuse("the Location has a user");
  if (from?.protocol === "https:" && to.protocol === "http:") throw refuse("it is not encrypted");
  if (chain.some((hop) => hop.href === to.href)) throw refuse("it is a loop");
  if (chain.length > max) throw refuse("there are too many of them");
  if (to.origin !== registryUrl.origin && isPrivateHost(to.hostname) && !(await registryIsPrivate()))
    throw refuse("it leads to a private address");
  return to;
}

function shown({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}
