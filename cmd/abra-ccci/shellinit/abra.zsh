# abra ccci … runs abra-ccci; every other abra command stays as it was.
# An alias or a function named abra that is there already is still used.
if (( ${+aliases[abra]} )); then
  __abra_ccci_text=${aliases[abra]}
  unalias abra
  functions[__abra_ccci_alias]="$__abra_ccci_text \"\$@\""
  unset __abra_ccci_text
fi
if (( ${+functions[abra]} )) && [[ ${functions[abra]} != *__abra_ccci_* ]]; then
  functions -c abra __abra_ccci_function
fi
function abra {
  if [[ ${1-} == ccci ]]; then
    shift
    command abra-ccci "$@"
  elif [[ ${1-} == __complete* && ${2-} == ccci && $# -gt 2 ]]; then
    # abra's own completion asks what can follow "abra ccci".
    command abra-ccci "$1" "${@:3}"
  elif [[ -z ${__abra_ccci_inner-} ]] && (( ${+functions[__abra_ccci_alias]} )); then
    local __abra_ccci_inner=1 # what the alias calls abra is not the alias
    __abra_ccci_alias "$@"
  elif (( ${+functions[__abra_ccci_function]} )); then
    __abra_ccci_function "$@"
  else
    command abra "$@"
  fi
}
