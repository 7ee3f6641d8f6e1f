import type { CommandGrammar, Completes, FlagGrammar } from "./grammar.ts";

/** The completion script for zsh: a file `_tagferry` in a directory of $fpath. */
export function zshCompletion(commands: readonly CommandGrammar[]): string {
  return `#compdef tagferry
# zsh completion of tagferry: tagferry completion zsh > "\${fpath[1]}/_tagferry"
_tagferry_mirrors() {
  local -a config names
  local index=\${words[(I)(-c|--config)]}
  ((index)) && config=(-c "\${words[index + 1]}")
  names=(\${(f)"$(tagferry mirror-names $config 2>/dev/null)"})
  compadd -a names
}
_tagferry() {
  if ((CURRENT == 2)); then
    local -a commands
    commands=(
${commands.map(({ name, description }) => `      ${quoted(`${name}:${description}`)}`).join("\n")}
    )
    _describe command commands
    return
  fi
  local command=\${words[2]}
  shift words
  ((CURRENT--))
  case $command in
${commands.map(commandCase).join("\n")}
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _tagferry "$@"; else compdef _tagferry tagferry; fi
`;
}

function commandCase({ name, flags, argument }: CommandGrammar): string {
  const specs = [...flags.map(flagSpec), `'*:${labelOf(argument)}:${actionOf(argument)}'`];
  return `    ${name})\n      _arguments ${specs.join(" \\\n        ")} ;;`;
}

function flagSpec({ short, long, description, value }: FlagGrammar): string {
  const text = `[${description.replaceAll(/[[\]:\\]/g, " ")}]${value ? `:${labelOf(value)}:${actionOf(value)}` : ""}`;
  return short === undefined
    ? quoted(`${long}${text}`)
    : `'(${short} ${long})'{${short},${long}}${quoted(text)}`;
}

function labelOf({ kind }: Completes): string {
  const labels = { words: "value", files: "file", mirrors: "mirror", nothing: "value" } as const;
  return labels[kind];
}

function actionOf(completes: Completes): string {
  switch (completes.kind) {
    case "words":
      return `(${completes.words.join(" ")})`;
    case "files":
      return "_files";
    case "mirrors":
      return "_tagferry_mirrors";
    case "nothing":
      return " ";
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
