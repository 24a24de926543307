"""`completion`: what a shell needs to complete verbs, flags and environments. Its text says it all: a TAB starts no program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import VERBS, verb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    Flags = Mapping[str, Sequence[str]]  # of each verb


@verb("checkout", "everybody", flags={"shell": "bash, zsh or fish"})
def completion(root: Path, shell: str) -> None:
    """Print what completes verbs and flags in a shell: source <(./inv completion bash)."""
    from pipeline.console.text import say
    from pipeline.errors import UsageError
    from verbs import collect

    if shell not in _SHELLS:
        raise UsageError(f"there is no completion for {shell}", remedy=f"Give one of {', '.join(_SHELLS)}.")
    contexts = collect(root).to_contexts()
    say(
        _SHELLS[shell](
            {str(each.name): each.flag_names() for each in sorted(contexts, key=lambda each: str(each.name))}
        )
    )


def _bash(flags: Flags) -> str:
    cases = "\n".join(f"      {name}) words='{' '.join(flags[name])}' ;;" for name in flags)
    return f"""\
_inv() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb='' words='{" ".join(flags)}' each
  for each in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $each in {"|".join(flags)}) verb=$each ;; esac
  done
  case $before in
    -e|--env)
      words=local
      for each in Pulumi.*.yaml; do
        each=${{each#Pulumi.}}
        [ "$each" = '*.yaml' ] || words+=" ${{each%.yaml}}"
      done ;;
    completion) words='{" ".join(_SHELLS)}' ;;
    *) [[ $word == -* ]] && case $verb in
{cases}
      *) words='--help --list --version' ;;
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _inv inv"""


def _zsh(flags: Flags) -> str:
    cases = "\n".join(f"      {name}) compadd -- {' '.join(flags[name])} ;;" for name in flags)
    return f"""\
_inv() {{
  local verb='' each
  local -a stacks
  for each in ${{words[2,CURRENT-1]}}; do
    case $each in {"|".join(flags)}) verb=$each ;; esac
  done
  case $words[CURRENT-1] in
    -e|--env)
      stacks=(Pulumi.*.yaml(N))
      stacks=(${{stacks#Pulumi.}})
      compadd -- local ${{stacks%.yaml}}
      return ;;
    completion)
      compadd -- {" ".join(_SHELLS)}
      return ;;
  esac
  if [[ $words[CURRENT] == -* ]]; then
    case $verb in
{cases}
      *) compadd -- --help --list --version ;;
    esac
  else
    compadd -- {" ".join(flags)}
  fi
}}
compdef _inv inv"""


def _fish(flags: Flags) -> str:
    lines = ["complete -c inv -f", "complete -c inv -n __fish_use_subcommand -l help -l list -l version"]
    for name, names in flags.items():
        about = VERBS[name].help.replace("\\", "").replace("'", "")
        lines.append(f"complete -c inv -n __fish_use_subcommand -a {name} -d '{about}'")
        for flag in (each for each in names if each.startswith("--")):
            stacks = (
                ' -x -a \'local (string replace -rf "^Pulumi.(.+).yaml$" "\\$1" Pulumi.*.yaml)\''
                if flag == "--env"
                else ""
            )
            lines.append(f"complete -c inv -n '__fish_seen_subcommand_from {name}' -l {flag[2:]}{stacks}")
    lines.append(f"complete -c inv -n '__fish_seen_subcommand_from completion' -a '{' '.join(_SHELLS)}'")
    return "\n".join(lines)


_SHELLS: Mapping[str, Callable[[Flags], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
