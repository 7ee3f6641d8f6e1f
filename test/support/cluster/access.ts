/** What a user may do. `*` stands for all. A rule on `imagestreams` does not cover `imagestreams/layers`. */
export type AccessRule = {
  readonly verbs: readonly string[];
  readonly resources: readonly string[];
  /** undefined: everywhere. */
  readonly namespaces?: readonly string[];
  /** `resourceNames`: only these objects. A request without a name (list, watch, create) is none of them. */
  readonly names?: readonly string[];
};

export type UserOptions = {
  readonly name: string;
  /** default: made from the name */
  readonly token?: string;
  readonly groups?: readonly string[];
  /** default: everything */
  readonly rules?: readonly AccessRule[];
};

export type ClusterUser = {
  readonly name: string;
  readonly token: string;
  readonly groups: readonly string[];
  readonly rules: readonly AccessRule[];
};

export type AccessRequest = {
  readonly verb: string;
  /** With its subresource: `imagestreams/layers`. */
  readonly resource: string;
  readonly namespace: string;
  /** undefined: the request names no object. */
  readonly name?: string | undefined;
};

const EVERYTHING: readonly AccessRule[] = [{ verbs: ["*"], resources: ["*"] }];

export function makeUser({ name, token, groups = [], rules = EVERYTHING }: UserOptions): ClusterUser {
  return {
    name,
    token: token ?? `sha256~${name.replaceAll(/[^a-z0-9]/gi, "-")}-token`,
    groups: [...groups, "system:authenticated"],
    rules,
  };
}

export function mayDo({ rules }: ClusterUser, { verb, resource, namespace, name }: AccessRequest): boolean {
  return rules.some(
    ({ verbs, resources, namespaces, names }) =>
      (names === undefined || (name !== undefined && names.includes(name))) &&
      (verbs.includes("*") || verbs.includes(verb)) &&
      (resources.includes("*") || resources.includes(resource)) &&
      (namespaces === undefined || namespaces.includes(namespace)),
  );
}

const IMAGE_TAGS = ["imagestreamtags", "imagetags"];

/** The rights the daemon documents for itself: pull, push, create and read streams, write tags, import. */
export function leastPrivilege(namespaces?: readonly string[]): AccessRule[] {
  const scope = namespaces === undefined ? {} : { namespaces };
  return [
    { resources: ["imagestreams/layers"], verbs: ["get", "update"], ...scope },
    {
      resources: ["imagestreams"],
      verbs: ["get", "list", "watch", "create", "patch", "update"],
      ...scope,
    },
    { resources: IMAGE_TAGS, verbs: ["get", "list", "create", "update", "patch"], ...scope },
    { resources: ["imagestreamimages"], verbs: ["get"], ...scope },
    { resources: ["imagestreamimports"], verbs: ["create"], ...scope },
    { resources: ["events"], verbs: ["create", "patch"], ...scope },
  ];
}

/** The token of an Authorization header: a bearer token, or the password of Basic (the user is not read). */
export function tokenOf(authorization: string | undefined): string | undefined {
  const [scheme = "", value = ""] = (authorization ?? "").split(" ");
  if (scheme.toLowerCase() === "bearer") return value;
  if (scheme.toLowerCase() !== "basic") return undefined;
  const text = Buffer.from(value, "base64").toString();
  return text.slice(text.indexOf(":") + 1);
}
