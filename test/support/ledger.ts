import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";

export type RequestKind =
  | "ping"
  | "token"
  | "tags"
  | "manifest"
  | "blob"
  | "upload"
  | "referrers"
  | "cdn"
  | "other";

/** One request. It is recorded when it arrives and completed when its answer was sent. */
export type LedgerEntry = {
  /** Counts all entries of the process, so that entries of two servers can be sorted. */
  readonly sequence: number;
  /** `performance.now()` at arrival. */
  readonly at: number;
  /** At the end of the answer; undefined while it is under way. */
  endedAt?: number;
  /** host:port that was asked. */
  readonly host: string;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** As it was sent, without `?`. */
  readonly query: string;
  readonly kind: RequestKind;
  readonly repository?: string;
  /** Tag or digest; for an upload its session. */
  readonly reference?: string;
  /** 0 until (or when never) answered. */
  status: number;
  readonly authorization?: string;
  /** Bytes of the bodies that were really transferred, whatever the headers say. */
  requestBytes: number;
  responseBytes: number;
  readonly headers: IncomingHttpHeaders;
  responseHeaders?: OutgoingHttpHeaders;
  /** The upload session a POST opened. */
  session?: string;
  /** The client went away, or the server broke the connection, before the answer was complete. */
  broken: boolean;
};

export type RequestMatch = {
  readonly method?: string;
  /** A text is the whole path, without query; an expression is tried on path and query. */
  readonly path?: string | RegExp;
  readonly kind?: RequestKind;
  readonly repository?: string;
  readonly reference?: string;
  readonly host?: string;
  /** Whether it carries an Authorization header: so a fault can wait for the request after the challenge. */
  readonly authorized?: boolean;
};

export type LedgerFilter = RequestMatch & { readonly status?: number };

export type Ledger = {
  /** Every request, in the order of arrival. */
  readonly entries: readonly LedgerEntry[];
  find(filter: LedgerFilter): LedgerEntry[];
  count(filter?: LedgerFilter): number;
  clear(): void;
  /** Calls the listener with each request that was answered or broken. Returns a function that removes the listener. */
  onEntry(listener: (entry: LedgerEntry) => void): () => void;
};

/** The side of the servers that write it. */
export type OpenLedger = Ledger & {
  enter(entry: Omit<LedgerEntry, "sequence" | "at">): LedgerEntry;
  complete(entry: LedgerEntry): void;
};

let sequence = 0;

export function openLedger(): OpenLedger {
  const entries: LedgerEntry[] = [];
  const listeners = new Set<(entry: LedgerEntry) => void>();
  const find = (filter: LedgerFilter): LedgerEntry[] => entries.filter((entry) => fits(entry, filter));
  return {
    entries,
    find,
    count: (filter = {}) => find(filter).length,
    clear: () => {
      entries.length = 0;
    },
    onEntry: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    enter: (facts) => {
      sequence += 1;
      const entry = { sequence, at: performance.now(), ...facts };
      entries.push(entry);
      return entry;
    },
    complete: (entry) => {
      if (entry.endedAt !== undefined) return;
      entry.endedAt = performance.now();
      for (const listener of listeners) listener(entry);
    },
  };
}

export function fits(
  entry: LedgerEntry,
  { method, path, kind, repository, reference, host, authorized, status }: LedgerFilter,
): boolean {
  const address = entry.query === "" ? entry.path : `${entry.path}?${entry.query}`;
  return (
    (method === undefined || entry.method === method) &&
    (kind === undefined || entry.kind === kind) &&
    (repository === undefined || entry.repository === repository) &&
    (reference === undefined || entry.reference === reference) &&
    (host === undefined || entry.host === host) &&
    (authorized === undefined || (entry.authorization !== undefined) === authorized) &&
    (status === undefined || entry.status === status) &&
    (path === undefined || (typeof path === "string" ? entry.path === path : path.test(address)))
  );
}

/** How many requests were under way at once, at the most. */
export function peakRequests(ledger: Ledger, filter: LedgerFilter = {}): number {
  const turns = ledger
    .find(filter)
    .flatMap(({ at, endedAt }) => [
      { at, by: 1 },
      { at: endedAt ?? Number.POSITIVE_INFINITY, by: -1 },
    ])
    .toSorted((one, other) => one.at - other.at || one.by - other.by);
  let open = 0;
  let peak = 0;
  for (const { by } of turns) peak = Math.max(peak, (open += by));
  return peak;
}

/** One upload of a blob, from the request that opened it to the one that closed it. */
export type UploadSpan = {
  readonly repository: string;
  /** undefined when the digest was never sent. */
  readonly digest: string | undefined;
  readonly session: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly bytes: number;
  readonly how: "uploaded" | "mounted" | "cancelled" | "unfinished";
};

/** The uploads in a ledger, in the order in which they started. */
export function uploadSpans(ledger: Ledger): UploadSpan[] {
  const sessions = new Map<string, LedgerEntry[]>();
  for (const entry of ledger.entries) {
    if (entry.kind !== "upload") continue;
    const session = entry.reference ?? entry.session ?? `request ${entry.sequence}`;
    const requests = sessions.get(session);
    if (requests) requests.push(entry);
    else sessions.set(session, [entry]);
  }
  return [...sessions].map(([session, requests]) => spanOf(session, requests));
}

function spanOf(session: string, requests: readonly LedgerEntry[]): UploadSpan {
  const queries = requests.map(({ query }) => new URLSearchParams(query));
  const digest = queries.map((query) => query.get("digest") ?? query.get("mount")).find((value) => value);
  const created = requests.find(({ status }) => status === 201);
  const mounted = created?.method === "POST" && created.requestBytes === 0;
  const cancelled = requests.some(({ method, status }) => method === "DELETE" && status === 204);
  return {
    repository: requests[0]?.repository ?? "",
    digest: digest ?? undefined,
    session,
    startedAt: requests[0]?.at ?? 0,
    endedAt: Math.max(...requests.map(({ at, endedAt }) => endedAt ?? at)),
    bytes: requests.reduce((sum, { requestBytes }) => sum + requestBytes, 0),
    how: mounted ? "mounted" : created ? "uploaded" : cancelled ? "cancelled" : "unfinished",
  };
}

/** Pairs of uploads of one digest that sent bytes to this registry at the same time. There should be none. */
export function overlappingUploads(ledger: Ledger): [UploadSpan, UploadSpan][] {
  const spans = uploadSpans(ledger).filter(({ digest, bytes }) => digest !== undefined && bytes > 0);
  const last = new Map<string, UploadSpan>();
  const pairs: [UploadSpan, UploadSpan][] = [];
  for (const span of spans) {
    const earlier = last.get(span.digest ?? "");
    if (earlier && span.startedAt < earlier.endedAt) pairs.push([earlier, span]);
    if (!earlier || span.endedAt > earlier.endedAt) last.set(span.digest ?? "", span);
  }
  return pairs;
}
