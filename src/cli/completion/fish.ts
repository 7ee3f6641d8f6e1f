import type { CommandGrammar, Completes, FlagGrammar } from "./grammar.ts";

/** The completion script for fish. */
export function fishCompletion(commands: readonly CommandGrammar[]): string {
  return `# fish completion of tagferry: tagferry completion fish > ~/.config/fish/completions/tagferry.fish
function __tagferry_mirrors
  set -l words (commandline -opc)
  set -l index (contains -i -- -c $words; or contains -i -- --config $words)
  if test -n "$index"
    tagferry mirror-names -c $words[(math $index + 1)] 2>/dev/null
  else
    tagferry mirror-names 2>/dev/null
  end
end
complete -c tagferry -f
${commands
  .map(
    ({ name, description }) =>
      `complete -c tagferry -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`,
  )
  .join("\n")}
${commands.flatMap(linesOf).join("\n")}
`;
}

function linesOf({ name, flags, argument }: CommandGrammar): string[] {
  const start = `complete -c tagferry -n '__fish_seen_subcommand_from ${name}'`;
  const own = optionsOf(argument);
  return [
    ...flags.map((flag) => `${start} ${flagOptions(flag)}`),
    ...(own === "" ? [] : [`${start} ${own}`]),
  ];
}

function flagOptions({ short, long, description, value }: FlagGrammar): string {
  return [
    ...(short === undefined ? [] : [`-s ${short.slice(1)}`]),
    `-l ${long.slice(2)}`,
    `-d ${quoted(description)}`,
    ...(value === undefined ? [] : [value.kind === "files" ? "-r -F" : `-x ${optionsOf(value)}`.trim()]),
  ].join(" ");
}

function optionsOf(completes: Completes): string {
  switch (completes.kind) {
    case "words":
      return `-a ${quoted(completes.words.join(" "))}`;
    case "files":
      return "-F";
    case "mirrors":
      return "-a '(__tagferry_mirrors)'";
    case "nothing":
      return "";
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
