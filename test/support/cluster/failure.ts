import { IMAGE_GROUP, type Status, type StatusDetails } from "./objects.ts";

/** A refusal of the API server, with the body it sends. */
export class ApiFailure extends Error {
  override readonly name = "ApiFailure";
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }
}

export function failureBody({ code, reason, message, details }: ApiFailure): Status {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    ...(details ? { details } : {}),
    code,
  };
}

const qualified = (resource: string, group: string): string =>
  group === "" ? resource : `${resource}.${group}`;

export function notFound(resource: string, name: string, group = IMAGE_GROUP): ApiFailure {
  return new ApiFailure(404, "NotFound", `${qualified(resource, group)} "${name}" not found`, {
    name,
    ...(group === "" ? {} : { group }),
    kind: resource,
  });
}

export function alreadyExists(resource: string, name: string, group = IMAGE_GROUP): ApiFailure {
  return new ApiFailure(409, "AlreadyExists", `${qualified(resource, group)} "${name}" already exists`, {
    name,
    ...(group === "" ? {} : { group }),
    kind: resource,
  });
}

const MODIFIED =
  "the object has been modified; please apply your changes to the latest version and try again";

export function conflict(resource: string, name: string, why = MODIFIED, group = IMAGE_GROUP): ApiFailure {
  return new ApiFailure(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(resource, group)} "${name}": ${why}`,
    { name, ...(group === "" ? {} : { group }), kind: resource },
  );
}

export function badRequest(message: string): ApiFailure {
  return new ApiFailure(400, "BadRequest", message);
}

export function forbidden(resource: string, name: string, why: string, group = IMAGE_GROUP): ApiFailure {
  return new ApiFailure(
    403,
    "Forbidden",
    `${qualified(resource, group)}${name === "" ? "" : ` "${name}"`} is forbidden: ${why}`,
    { ...(name === "" ? {} : { name }), ...(group === "" ? {} : { group }), kind: resource },
  );
}

export function methodNotSupported(resource: string, verb: string, group = IMAGE_GROUP): ApiFailure {
  return new ApiFailure(
    405,
    "MethodNotAllowed",
    `${verb} is not supported on resources of kind "${qualified(resource, group)}"`,
    { group, kind: resource },
  );
}

export type FieldProblem = {
  readonly field: string;
  readonly reason:
    | "FieldValueInvalid"
    | "FieldValueRequired"
    | "FieldValueForbidden"
    | "FieldValueNotSupported"
    | "FieldValueDuplicate"
    | "FieldValueNotFound";
  readonly message: string;
};

/** 422 with one cause per problem. */
export function invalid(
  kind: string,
  name: string,
  problems: readonly FieldProblem[],
  group = IMAGE_GROUP,
): ApiFailure {
  const texts = problems.map(({ field, message }) => `${field}: ${message}`);
  const text = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  return new ApiFailure(422, "Invalid", `${qualified(kind, group)} "${name}" is invalid: ${text}`, {
    name,
    ...(group === "" ? {} : { group }),
    kind,
    causes: problems.map(({ field, reason, message }) => ({ reason, message, field })),
  });
}
