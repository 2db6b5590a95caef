# abra ccci … runs abra-ccci; every other abra command stays as it was.
# An alias or a function named abra that is there already is still used.
if [ -n "${BASH_ALIASES[abra]-}" ]; then
  __abra_ccci_text=${BASH_ALIASES[abra]}
  unalias abra
  eval "function __abra_ccci_alias { $__abra_ccci_text \"\$@\"; }" || alias abra="$__abra_ccci_text"
  unset __abra_ccci_text
fi
if __abra_ccci_text=$(declare -f abra) && [[ $__abra_ccci_text != *__abra_ccci_* ]]; then
  eval "function __abra_ccci_function ${__abra_ccci_text#abra ()}"
fi
unset __abra_ccci_text
function abra {
  if [ "${1-}" = ccci ]; then
    shift
    command abra-ccci "$@"
  elif [[ ${1-} == __complete* && ${2-} = ccci && $# -gt 2 ]]; then
    # abra's own completion asks what can follow "abra ccci".
    set -- "$1" "${@:3}"
    command abra-ccci "$@"
  elif [ -z "${__abra_ccci_inner-}" ] && declare -F __abra_ccci_alias >/dev/null; then
    local __abra_ccci_inner=1 # what the alias calls abra is not the alias
    __abra_ccci_alias "$@"
  elif declare -F __abra_ccci_function >/dev/null; then
    __abra_ccci_function "$@"
  else
    command abra "$@"
  fi
}
