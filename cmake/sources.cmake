# Reads sources.mk, whose only form is "VARIABLE += path", into lists of the same names.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS sources.mk pg_ark.control)
file(STRINGS sources.mk source_lines REGEX "^[^#]")

foreach(line IN LISTS source_lines)
    if(NOT line MATCHES "^([A-Z_]+) \\+= ([^ ]+)$")
        message(FATAL_ERROR "sources.mk: \"${line}\" is not of the form \"VARIABLE += path\"")
    endif()
    set(variable ${CMAKE_MATCH_1})
    set(source ${CMAKE_MATCH_2})
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
        message(FATAL_ERROR "${source} does not exist but is listed in sources.mk")
    endif()
    list(APPEND ${variable} ${source})
endforeach()

file(STRINGS pg_ark.control control_lines REGEX "^default_version")
string(REGEX REPLACE "^.*'(.*)'.*$" "\\1" PG_ARK_VERSION "${control_lines}")
