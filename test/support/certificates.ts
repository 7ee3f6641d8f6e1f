import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
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
  readonly directory: string;
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

/** A CA and what it signed, made once per process by openssl and gone with it. */
export function makeCertificates(): Promise<Certificates> {
  made ??= makeAuthority("Tagferry Test CA");
  return made;
}

/** A CA of its own, which nobody trusts. */
export async function makeAuthority(name: string): Promise<Certificates> {
  const directory = await mkdtemp(join(tmpdir(), "tagferry-certificates-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const openssl = (...args: string[]): Promise<unknown> => run("openssl", args, { cwd: directory });
  await openssl(
    ..."req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2".split(" "),
    "-subj",
    `/CN=${name}`,
  );
  const trustDirectory = join(directory, "trusted");
  await mkdir(trustDirectory);
  await copyFile(join(directory, "ca.crt"), join(trustDirectory, "ca.crt"));
  const issue = async (
    common: string,
    { hosts = ["localhost", "127.0.0.1", "::1"], expired = false }: IssueOptions = {},
  ): Promise<Certificate> => {
    const names = hosts.map((host) => (/^[\d.]+$|:/.test(host) ? `IP:${host}` : `DNS:${host}`));
    const use = "extendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature,keyEncipherment";
    await writeFile(join(directory, `${common}.ext`), `subjectAltName=${names.join(",")}\n${use}\n`);
    await openssl(
      ..."req -newkey rsa:2048 -nodes".split(" "),
      "-keyout",
      `${common}.key`,
      "-out",
      `${common}.csr`,
      "-subj",
      `/CN=${common}`,
    );
    await openssl(
      ..."x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial".split(" "),
      "-in",
      `${common}.csr`,
      "-out",
      `${common}.crt`,
      "-days",
      expired ? "-1" : "2",
      "-extfile",
      `${common}.ext`,
    );
    return readCertificate(directory, common);
  };
  return {
    directory,
    trustDirectory,
    ca: await readCertificate(directory, "ca"),
    // one after the other: they share the file with the serial number
    server: await issue("server"),
    client: await issue("client"),
    issue,
  };
}

async function readCertificate(directory: string, name: string): Promise<Certificate> {
  const certFile = join(directory, `${name}.crt`);
  const keyFile = join(directory, `${name}.key`);
  const [cert, key] = await Promise.all([readFile(certFile, "utf8"), readFile(keyFile, "utf8")]);
  return { cert, key, certFile, keyFile };
}
