import { randomUUID } from "node:crypto";

import { type Answer, json, readAll, refusal, type RegistryRequest } from "./registry/wire.ts";

/** What a token allows: repository to actions. */
export type Grants = ReadonlyMap<string, ReadonlySet<string>>;

export type TokenServerOptions = {
  readonly username: string;
  readonly password: string;
  /** What is granted without credentials. */
  readonly anonymous?: "none" | "pull" | undefined;
  /** Filters the actions for a repository. Default: all actions, for known users. */
  readonly grant?:
    | ((repository: string, actions: readonly string[], user: string | undefined) => string[])
    | undefined;
  /** `expires_in` as it is written into the answer: a test may write nonsense. Null leaves it out. */
  readonly expiresIn?: unknown;
  readonly issuedAt?: string | undefined;
  /** Where the token stands in the answer. */
  readonly fields?: readonly ("token" | "access_token")[] | undefined;
  /** Understands OAuth2's POST; otherwise 405. */
  readonly post?: boolean | undefined;
};

/** Makes the token for what was granted: opaque text or a signed one. */
export type IssueToken = (grants: Grants, user: string | undefined) => string;

type Asked = { user: string | undefined; refused: boolean; scopes: string[]; offline: boolean };

/** GET with Basic, or POST with a form. @see https://distribution.github.io/distribution/spec/auth/token/ */
export function tokenEndpoint(
  options: TokenServerOptions,
  issue: IssueToken,
): (request: RegistryRequest) => Promise<Answer> {
  const refreshTokens = new Set<string>();
  return async (request) => {
    if (request.method === "POST" && options.post === false) return refusal(405, "UNSUPPORTED");
    const asked =
      request.method === "POST"
        ? await readForm(request, options, refreshTokens)
        : readQuery(request, options);
    if (asked.refused || (asked.user === undefined && options.anonymous !== "pull"))
      return json(
        401,
        { details: "incorrect username or password" },
        {
          "www-authenticate": 'Basic realm="token"',
        },
      );
    const grants = grantsFor(asked, options);
    const token = issue(grants, asked.user);
    const refreshToken = asked.offline ? `refresh-${randomUUID()}` : undefined;
    if (refreshToken) refreshTokens.add(refreshToken);
    const { fields = ["token"], expiresIn = 300, issuedAt } = options;
    return json(200, {
      ...Object.fromEntries(fields.map((field) => [field, token])),
      ...(expiresIn === null ? {} : { expires_in: expiresIn }),
      ...(issuedAt === undefined ? {} : { issued_at: issuedAt }),
      ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    });
  };
}

function readQuery({ headers, parameters }: RegistryRequest, options: TokenServerOptions): Asked {
  const user = basicUser(headers.authorization, options);
  return {
    user: user ?? undefined,
    refused: user === null,
    scopes: parameters.getAll("scope").flatMap((scope) => scope.split(" ")),
    offline: parameters.get("offline_token") === "true",
  };
}

async function readForm(
  { body }: RegistryRequest,
  { username, password }: TokenServerOptions,
  refreshTokens: ReadonlySet<string>,
): Promise<Asked> {
  const form = new URLSearchParams((await readAll(body)).toString("utf8"));
  const known =
    form.get("grant_type") === "refresh_token"
      ? refreshTokens.has(form.get("refresh_token") ?? "") || form.get("refresh_token") === password
      : form.get("username") === username && form.get("password") === password;
  return {
    user: username,
    refused: !known,
    scopes: (form.get("scope") ?? "").split(" ").filter((scope) => scope !== ""),
    offline: form.get("access_type") === "offline",
  };
}

/** The user of a Basic header; undefined without one, null when it is wrong. */
export function basicUser(
  authorization: string | undefined,
  { username, password }: { readonly username: string; readonly password: string },
): string | undefined | null {
  if (authorization === undefined) return undefined;
  const right = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  return authorization === right ? username : null;
}

function grantsFor({ user, scopes }: Asked, { anonymous, grant }: TokenServerOptions): Grants {
  const grants = new Map<string, Set<string>>();
  for (const scope of scopes) {
    const parts = /^repository(?:\([^)]*\))?:(.+):([^:]*)$/.exec(scope);
    if (!parts?.[1]) continue;
    const wanted = (parts[2] ?? "").split(",").filter((action) => action !== "");
    const known =
      user !== undefined ? wanted : wanted.filter((action) => anonymous === "pull" && action === "pull");
    const actions = grant ? grant(parts[1], known, user) : known;
    grants.set(parts[1], new Set([...(grants.get(parts[1]) ?? []), ...actions]));
  }
  return grants;
}
