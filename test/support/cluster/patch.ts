import { ApiFailure, badRequest } from "./failure.ts";

type Plain = Record<string, unknown>;

/** Lists of image streams that strategic merge patches by a key instead of replacing them. */
const MERGE_KEYS: Readonly<Record<string, string>> = { "spec.tags": "name", "status.tags": "tag" };

/** Applies a patch of the given Content-Type to a plain object. The object itself stays as it is. */
export function applyPatch(target: unknown, contentType: string, body: unknown): unknown {
  const type = (contentType.split(";")[0] ?? "").trim();
  switch (type) {
    case "application/json-patch+json":
      return jsonPatch(structuredClone(target), body);
    case "application/merge-patch+json":
      return mergePatch(target, body);
    case "application/strategic-merge-patch+json":
      return strategic(target, body, "");
    default:
      throw new ApiFailure(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json",
      );
  }
}

function isPlain(value: unknown): value is Plain {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @see https://www.rfc-editor.org/rfc/rfc7396 */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isPlain(patch)) return structuredClone(patch);
  const result: Plain = isPlain(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

function strategic(target: unknown, patch: unknown, path: string): unknown {
  const mergeKey = MERGE_KEYS[path];
  if (Array.isArray(patch) && mergeKey !== undefined) return mergeList(target, patch, path, mergeKey);
  if (!isPlain(patch)) return structuredClone(patch);
  if (patch["$patch"] === "replace") return without(patch, "$patch");
  const result: Plain = isPlain(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith("$")) continue;
    const inner = path === "" ? key : `${path}.${key}`;
    if (value === null || (isPlain(value) && value["$patch"] === "delete")) delete result[key];
    else result[key] = strategic(result[key], value, inner);
  }
  return result;
}

function mergeList(target: unknown, patch: unknown[], path: string, key: string): unknown[] {
  const result: Plain[] = Array.isArray(target) ? target.filter(isPlain) : [];
  if (patch.some((item) => isPlain(item) && item["$patch"] === "replace" && item[key] === undefined))
    return patch.filter((item) => isPlain(item) && item["$patch"] === undefined);
  for (const item of patch) {
    if (!isPlain(item) || typeof item[key] !== "string")
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    const at = result.findIndex((entry) => entry[key] === item[key]);
    if (item["$patch"] === "delete") {
      if (at !== -1) result.splice(at, 1);
    } else if (at === -1 || item["$patch"] === "replace") {
      result.splice(at === -1 ? result.length : at, 1, without(item, "$patch"));
    } else result[at] = strategic(result[at], item, `${path}[]`) as Plain;
  }
  return result;
}

function without(object: Plain, key: string): Plain {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
}

type Operation = { op?: unknown; path?: unknown; value?: unknown; from?: unknown };

/** @see https://www.rfc-editor.org/rfc/rfc6902 */
function jsonPatch(target: unknown, operations: unknown): unknown {
  if (!Array.isArray(operations)) throw badRequest("a JSON patch is a list of operations");
  const root = { document: target };
  for (const operation of operations as Operation[]) {
    const at = pointer(operation.path);
    switch (operation.op) {
      case "add":
        put(root, at, operation.value, "insert");
        break;
      case "replace":
        read(root, at);
        put(root, at, operation.value, "replace");
        break;
      case "remove":
        remove(root, at);
        break;
      case "test":
        if (JSON.stringify(read(root, at)) !== JSON.stringify(operation.value))
          throw refused(`testing value ${String(operation.path)} failed`);
        break;
      case "copy":
        put(root, at, structuredClone(read(root, pointer(operation.from))), "insert");
        break;
      case "move": {
        const from = pointer(operation.from);
        const value = read(root, from);
        remove(root, from);
        put(root, at, value, "insert");
        break;
      }
      default:
        throw badRequest(`unknown operation ${JSON.stringify(operation.op)}`);
    }
  }
  return root.document;
}

/** What a JSON patch that cannot be applied is answered with. */
function refused(why: string): ApiFailure {
  return new ApiFailure(
    422,
    "Invalid",
    `the server rejected our request due to an error in our request: ${why}`,
  );
}

function pointer(path: unknown): string[] {
  if (typeof path !== "string" || (path !== "" && !path.startsWith("/")))
    throw badRequest(`${JSON.stringify(path)} is no JSON pointer`);
  const keys = path.split("/").slice(1);
  return ["document", ...keys.map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"))];
}

function parentOf(root: unknown, path: readonly string[]): Plain | unknown[] {
  const parent = read(root, path.slice(0, -1));
  if (isPlain(parent) || Array.isArray(parent)) return parent;
  throw refused(`${path.slice(1).join("/")} does not exist`);
}

function read(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const key of path) {
    value = Array.isArray(value) ? value[Number(key)] : isPlain(value) ? value[key] : undefined;
    if (value === undefined) throw refused(`/${path.slice(1).join("/")} does not exist`);
  }
  return value;
}

function put(root: unknown, path: readonly string[], value: unknown, how: "insert" | "replace"): void {
  const parent = parentOf(root, path);
  const key = path.at(-1) ?? "";
  if (!Array.isArray(parent)) parent[key] = value;
  else if (how === "replace") parent[Number(key)] = value;
  else parent.splice(key === "-" ? parent.length : Number(key), 0, value);
}

function remove(root: unknown, path: readonly string[]): void {
  read(root, path);
  const parent = parentOf(root, path);
  const key = path.at(-1) ?? "";
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
}
