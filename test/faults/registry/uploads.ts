import { digestOf } from "../content/content.ts";
import { type Answer, type Exchange, failure } from "./exchange.ts";
import type { Repository } from "./repository.ts";
import type { RegistryRules } from "./rules.ts";

/** A finished upload whose bytes do not match its digest. The client must never close one. */
export type WrongUpload = { readonly digest: string; readonly found: string; readonly length: number };

export type Uploads = {
  post(exchange: Exchange, repo: Repository, from: Repository | undefined, name: string): Promise<Answer>;
  patch(exchange: Exchange, name: string): Promise<Answer>;
  put(exchange: Exchange, repo: Repository, name: string): Promise<Answer>;
  status(id: string, name: string): Answer;
  cancel(id: string): Answer;
  /** Forgets a session, as a registry does that was restarted. */
  lose(id: string): void;
  readonly wrong: WrongUpload[];
};

type Session = { readonly chunks: Buffer[]; length: number; state: number; disturbed: boolean };

const WITHOUT_BODY = { "content-length": "0" } as const;

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs */
export function uploads(rules: RegistryRules): Uploads {
  const sessions = new Map<string, Session>();
  const wrong: WrongUpload[] = [];
  let opened = 0;

  const location = (exchange: Exchange, name: string, id: string): string => {
    const { state = 0 } = sessions.get(id) ?? {};
    const path = `/v2/${name}/blobs/uploads/${id}?_state=s${state}%3D%3D`;
    return rules.relativeLocations
      ? path
      : `${rules.tls ? "https" : "http"}://${exchange.request.headers.host ?? ""}${path}`;
  };
  const store = (repo: Repository, digest: string, bytes: Buffer, disturbed: boolean): Answer => {
    const found = digestOf(bytes);
    if (found !== digest) {
      if (!disturbed) wrong.push({ digest, found, length: bytes.length });
      return failure(400, "DIGEST_INVALID");
    }
    repo.blobs.set(digest, bytes);
    return {
      status: 201,
      headers: { location: `/v2/-/blobs/${digest}`, "docker-content-digest": digest, ...WITHOUT_BODY },
    };
  };
  const append = async (exchange: Exchange, session: Session): Promise<Answer | undefined> => {
    const range = exchange.request.headers["content-range"];
    if (range !== undefined && Number(range.split("-")[0]) !== session.length)
      return { status: 416, headers: { range: `0-${session.length - 1}`, ...WITHOUT_BODY } };
    const bytes = await exchange.body().catch((error: unknown) => {
      session.disturbed = true;
      throw error;
    });
    session.chunks.push(bytes);
    session.length += bytes.length;
    session.state += 1;
    return undefined;
  };

  return {
    wrong,
    post: async (exchange, repo, from, name) => {
      const { searchParams } = exchange.url;
      const mount = searchParams.get("mount");
      const held = mount === null ? undefined : from?.blob(mount);
      if (mount !== null && held !== undefined && rules.mounts) {
        repo.blobs.set(mount, held);
        return {
          status: 201,
          headers: {
            location: `/v2/${name}/blobs/${mount}`,
            "docker-content-digest": mount,
            ...WITHOUT_BODY,
          },
        };
      }
      const digest = searchParams.get("digest");
      const bytes = await exchange.body();
      if (digest !== null && rules.singlePost) return store(repo, digest, bytes, false);
      opened += 1;
      const id = `u${opened}`;
      sessions.set(id, { chunks: [], length: 0, state: 0, disturbed: false });
      return {
        status: 202,
        headers: {
          location: location(exchange, name, id),
          range: "0-0",
          "docker-upload-uuid": id,
          ...WITHOUT_BODY,
        },
      };
    },
    patch: async (exchange, name) => {
      const { id, session } = sessionOf(exchange);
      if (session === undefined) return failure(404, "BLOB_UPLOAD_UNKNOWN");
      const refused = await append(exchange, session);
      if (refused) return refused;
      return {
        status: 202,
        headers: {
          location: location(exchange, name, id),
          range: `0-${session.length - 1}`,
          ...WITHOUT_BODY,
        },
      };
    },
    put: async (exchange, repo, _name) => {
      const { id, session } = sessionOf(exchange);
      const digest = exchange.url.searchParams.get("digest");
      if (session === undefined) return failure(404, "BLOB_UPLOAD_UNKNOWN");
      if (digest === null) return failure(400, "DIGEST_INVALID");
      const refused = await append(exchange, session);
      if (refused) return refused;
      sessions.delete(id);
      return store(repo, digest, Buffer.concat(session.chunks), session.disturbed);
    },
    status: (id, name) => {
      const session = sessions.get(id);
      if (session === undefined) return failure(404, "BLOB_UPLOAD_UNKNOWN");
      const headers = { location: `/v2/${name}/blobs/uploads/${id}?_state=s${session.state}%3D%3D` };
      return { status: 204, headers: { ...headers, range: `0-${Math.max(0, session.length - 1)}` } };
    },
    cancel: (id) =>
      sessions.delete(id) ? { status: 204, headers: {} } : failure(404, "BLOB_UPLOAD_UNKNOWN"),
    lose: (id) => void sessions.delete(id),
  };

  /** The session of a request. Its `_state` must be the last one that was sent. */
  function sessionOf({ url, route }: Exchange): {
    readonly id: string;
    readonly session: Session | undefined;
  } {
    const id = "ref" in route ? route.ref : "";
    const session = sessions.get(id);
    const stale = session !== undefined && url.searchParams.get("_state") !== `s${session.state}==`;
    return { id, session: stale ? undefined : session };
  }
}
