import type { CommandGrammar, Completes, FlagGrammar } from "./grammar.ts";

/** The completion script for bash 3.2 and later. */
export function bashCompletion(commands: readonly CommandGrammar[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  return `# bash completion of tagferry: source <(tagferry completion bash)
_tagferry_mirrors() {
  local config="" index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in -c | --config) config=\${COMP_WORDS[index + 1]} ;; esac
  done
  tagferry mirror-names \${config:+-c "$config"} 2>/dev/null
}
_tagferry() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command=\${COMP_WORDS[1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "${names} --help --version" -- "$current"))
    return
  fi
  case "$command $previous" in
${commands.flatMap(valueCases).join("\n")}
  esac
  case $command in
${commands.map(commandCase).join("\n")}
  esac
}
complete -F _tagferry tagferry
`;
}

function valueCases({ name, flags }: CommandGrammar): string[] {
  return flags.flatMap((flag) =>
    flag.value === undefined ? [] : [`    ${patternOf(name, flag)}) ${reply(flag.value)}; return ;;`],
  );
}

function patternOf(command: string, { short, long }: FlagGrammar): string {
  return [short, long]
    .filter((one) => one !== undefined)
    .map((one) => `"${command} ${one}"`)
    .join(" | ");
}

function commandCase({ name, flags, argument }: CommandGrammar): string {
  const words = flags.map(({ long }) => long).join(" ");
  return `    ${name})
      if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "${words}" -- "$current")); else ${reply(argument)}; fi ;;`;
}

function reply(completes: Completes): string {
  switch (completes.kind) {
    case "words":
      return `COMPREPLY=($(compgen -W "${completes.words.join(" ")}" -- "$current"))`;
    case "files":
      return `COMPREPLY=($(compgen -f -- "$current"))`;
    case "mirrors":
      return `COMPREPLY=($(compgen -W "$(_tagferry_mirrors)" -- "$current"))`;
    case "nothing":
      return ":";
  }
}
