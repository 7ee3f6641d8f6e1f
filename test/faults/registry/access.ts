import { type Answer, type Exchange, failure, json } from "./exchange.ts";
import { PASSWORD, type RegistryRules, USER } from "./rules.ts";

export type Access = {
  /** The refusal; undefined when access is allowed. */
  refusal(exchange: Exchange): Answer | undefined;
  token(exchange: Exchange): Answer;
  /** Revokes all tokens. */
  expire(): void;
};

const BASIC = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString("base64")}`;

/** @see https://distribution.github.io/distribution/spec/auth/token/ */
export function access({ auth, tls }: RegistryRules): Access {
  const tokens = new Set<string>();
  let given = 0;
  return {
    refusal: (exchange) => {
      if (auth === "none") return undefined;
      const sent = exchange.request.headers.authorization ?? "";
      if (auth === "basic" && sent === BASIC) return undefined;
      if (auth === "bearer" && tokens.has(sent.replace(/^Bearer /, ""))) return undefined;
      return {
        ...failure(401, "UNAUTHORIZED"),
        headers: { "www-authenticate": challenge(exchange, auth, tls) },
      };
    },
    token: ({ request }) => {
      if (request.headers.authorization !== BASIC) return failure(401, "UNAUTHORIZED");
      given += 1;
      tokens.add(`t${given}`);
      return json(200, { token: `t${given}`, access_token: `t${given}`, expires_in: 300 });
    },
    expire: () => tokens.clear(),
  };
}

function challenge({ request, route }: Exchange, auth: "basic" | "bearer", tls: boolean): string {
  if (auth === "basic") return `Basic realm="here"`;
  const scope = "repo" in route ? `,scope="repository:${route.repo}:pull,push"` : "";
  return `Bearer realm="${tls ? "https" : "http"}://${request.headers.host ?? ""}/token",service="here"${scope}`;
}
