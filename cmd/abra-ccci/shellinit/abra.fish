# abra ccci … runs abra-ccci; every other abra command stays as it was.
# A function or an alias (which is a function) named abra that is there
# already is still used.
if functions -q abra; and not functions abra | string match -q '*__abra_ccci_*'
    functions -e __abra_ccci_function
    functions -c abra __abra_ccci_function
end
function abra --description 'abra, with abra ccci'
    if test "$argv[1]" = ccci
        command abra-ccci $argv[2..-1]
    else if string match -q '__complete*' -- "$argv[1]"; and test "$argv[2]" = ccci; and test (count $argv) -gt 2
        # abra's own completion asks what can follow "abra ccci".
        command abra-ccci $argv[1] $argv[3..-1]
    else if functions -q __abra_ccci_function
        __abra_ccci_function $argv
    else
        command abra $argv
    end
end
