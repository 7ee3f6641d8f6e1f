type Example = readonly [command: string, what: string];

/** Shown by `--help` of each command, in the man page and in docs/commands.md. */
export const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  sync: [
    ["tagferry sync", "all mirrors of ./tagferry.yaml"],
    ["tagferry sync web-nginx -c team.yaml", "one mirror of another file"],
    ["tagferry sync -o json > report.json", "the report for a program"],
  ],
  plan: [
    ["tagferry plan", "what sync would do"],
    ["tagferry plan web-nginx --explain", "why each tag is kept or dropped"],
    ["tagferry plan -o markdown", "a comment for a pull request"],
    ["tagferry plan --exit-code", "exit with 5 when something would change, for CI"],
  ],
  status: [
    ["tagferry status", "the daemon on this machine"],
    ["tagferry status web-nginx", "one mirror with its tags and failures"],
    ["tagferry status --failing --watch", "what is wrong, until Ctrl-C"],
    ["tagferry status --url https://tagferry.corp.example --token-file token", "another machine"],
  ],
  copy: [
    ["tagferry copy docker.io/library/nginx:1.27 harbor.corp.example/mirror/nginx:1.27", ""],
    ["tagferry copy --platform linux/amd64,linux/arm64 quay.io/team/app:2 oci:/srv/images:2", ""],
    ["tagferry copy oci:/srv/images:2 registry.corp.example/team/app", "the tag is 2"],
  ],
  tags: [
    ["tagferry tags docker.io/library/nginx --names", "names only, one listing"],
    ["tagferry tags harbor.corp.example/mirror/nginx -o json", "with digests"],
  ],
  auth: [
    ["tagferry auth docker.io", "where credentials were looked for, and whether they work"],
    ["tagferry auth harbor.corp.example/mirror/nginx", "credentials of a path"],
  ],
  serve: [
    ["tagferry serve", "the daemon of ./tagferry.yaml"],
    ["tagferry serve --listen 127.0.0.1:9000 --workers 0", "another port, and no copies here"],
  ],
  worker: [
    ["tagferry worker", "copies for the daemon with the same file and Redis"],
    ["tagferry worker --listen 127.0.0.1:9001", "with metrics and health checks"],
  ],
  init: [
    ["tagferry init", "asks three questions"],
    [
      "tagferry init --source docker.io/library/nginx --target imagestream:web/nginx --tags '>=1.27'",
      "asks nothing",
    ],
  ],
  validate: [
    ["tagferry validate", "./tagferry.yaml"],
    ["tagferry validate team.yaml -o json", "problems for a program"],
  ],
  schema: [["tagferry schema > tagferry.schema.json", "for the YAML support of an editor"]],
  version: [["tagferry version -o json", ""]],
  completion: [
    ["source <(tagferry completion bash)", "in ~/.bashrc"],
    ["tagferry completion zsh > ~/.zfunc/_tagferry", "a directory of $fpath"],
    ["tagferry completion fish > ~/.config/fish/completions/tagferry.fish", ""],
  ],
  help: [["tagferry help sync", ""]],
};

/** The examples of a command as text below its help. Empty: there are none. */
export function examplesText(name: string): string {
  const examples = EXAMPLES[name] ?? [];
  if (examples.length === 0) return "";
  return `\nExamples:\n${examples.map(([command, what]) => `${what === "" ? "" : `  # ${what}\n`}  ${command}`).join("\n")}\n`;
}
