import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export type Certificate = {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
};

export type Certificates = {
  readonly ca: Certificate;
  /** Holds only the CA's certificate, as skopeo's --cert-dir wants it. */
  readonly trustDirectory: string;
  /** For localhost, 127.0.0.1 and ::1. */
  readonly server: Certificate;
  readonly client: Certificate;
  /** Another certificate of the same CA: for other hosts, or one that has expired. */
  issue(name: string, options?: IssueOptions): Promise<Certificate>;
};

export type IssueOptions = { readonly hosts?: readonly string[]; readonly expired?: boolean };

const run = promisify(execFile);

let made: Promise<Certificates> | undefined;

/** A CA and what it signed, by openssl. Made once a day: all test processes of the day share it. */
export function makeCertificates(): Promise<Certificates> {
  made ??= makeAuthority("tagferry-test-ca");
  return made;
}

/** Another CA that no client trusts. */
export async function makeAuthority(name: string): Promise<Certificates> {
  const day = new Date().toISOString().slice(0, 10);
  const root = join(tmpdir(), `tagferry-certificates-${userInfo().uid}`, day, name);
  await mkdir(root, { recursive: true, mode: 0o700 });
  const ca = await once(join(root, "ca"), async (directory) => {
    const options = "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2".split(" ");
    await run("openssl", [...options, "-subj", `/CN=${name}`], { cwd: directory });
    const trusted = join(directory, "trusted");
    await mkdir(trusted);
    await copyFile(join(directory, "ca.crt"), join(trusted, "ca.crt"));
  });
  const issue = (common: string, options: IssueOptions = {}): Promise<Certificate> => {
    const kind = [common, ...(options.hosts ?? []), ...(options.expired ? ["expired"] : [])].join("+");
    return once(join(root, kind), (directory) => sign(directory, common, { ca, ...options }));
  };
  const [server, client] = await Promise.all([issue("server"), issue("client")]);
  return { ca, trustDirectory: join(root, "ca", "trusted"), server, client, issue };
}

/** Creates the directory of a certificate atomically, whichever process is first. */
async function once(directory: string, make: (directory: string) => Promise<void>): Promise<Certificate> {
  const common = /([^/+]+)(?:\+[^/]*)?$/.exec(directory)?.[1] ?? "";
  const found = await readCertificate(directory, common).catch(() => undefined);
  if (found) return found;
  const temporary = await mkdtemp(`${directory}-`);
  await make(temporary);
  // another process was first: its certificate is equally good
  await rename(temporary, directory).catch(() => rm(temporary, { recursive: true, force: true }));
  return readCertificate(directory, common);
}

async function sign(
  directory: string,
  common: string,
  {
    ca,
    hosts = ["localhost", "127.0.0.1", "::1"],
    expired = false,
  }: IssueOptions & { readonly ca: Certificate },
): Promise<void> {
  const openssl = (...args: string[]): Promise<unknown> => run("openssl", args, { cwd: directory });
  const names = hosts.map((host) => (/^[\d.]+$|:/.test(host) ? `IP:${host}` : `DNS:${host}`));
  const use = "extendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature,keyEncipherment";
  await writeFile(join(directory, "extensions"), `subjectAltName=${names.join(",")}\n${use}\n`);
  const request = ["-newkey", "rsa:2048", "-nodes", "-keyout", `${common}.key`, "-out", "request"];
  await openssl("req", ...request, "-subj", `/CN=${common}`);
  const signer = [
    "-CA",
    ca.certFile,
    "-CAkey",
    ca.keyFile,
    "-set_serial",
    `0x${randomBytes(8).toString("hex")}`,
  ];
  const output = ["-out", `${common}.crt`, "-days", expired ? "-1" : "2", "-extfile", "extensions"];
  await openssl("x509", "-req", "-in", "request", ...signer, ...output);
}

async function readCertificate(directory: string, name: string): Promise<Certificate> {
  const certFile = join(directory, `${name}.crt`);
  const keyFile = join(directory, `${name}.key`);
  const [cert, key] = await Promise.all([readFile(certFile, "utf8"), readFile(keyFile, "utf8")]);
  return { cert, key, certFile, keyFile };
}
