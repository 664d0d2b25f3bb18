# The module as CMake sees it: for clang-tidy, for compile_commands.json and for a build under the
# undefined-behaviour sanitizer. What is shipped is built by PGXS (Makefile), with the same flags.
find_program(PG_CONFIG pg_config REQUIRED)
execute_process(COMMAND ${PG_CONFIG} --includedir-server OUTPUT_VARIABLE pg_include
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${PG_CONFIG} --bindir OUTPUT_VARIABLE pg_bindir
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)

execute_process(COMMAND ${PG_CONFIG} --version OUTPUT_VARIABLE pg_version
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)

string(REGEX REPLACE "^PostgreSQL ([0-9]+).*$" "\\1" pg_major "${pg_version}")
if(NOT SUPPORTED_MAJORS)
    file(STRINGS Makefile supported_line REGEX "^SUPPORTED_MAJORS = ")
    string(REGEX REPLACE "^SUPPORTED_MAJORS = " "" SUPPORTED_MAJORS "${supported_line}")
endif()
string(REPLACE " " ";" supported_list "${SUPPORTED_MAJORS}")
if(NOT pg_major IN_LIST supported_list)
    message(FATAL_ERROR "${PG_CONFIG} belongs to PostgreSQL ${pg_major}, and this version of pg_ark supports "
                        "${SUPPORTED_MAJORS}. Name a supported one with -DPG_CONFIG=/path/to/pg_config")
endif()

add_library(pg_ark_module MODULE ${SERVER_SOURCES})
set_target_properties(pg_ark_module PROPERTIES PREFIX "" OUTPUT_NAME pg_ark)
target_include_directories(pg_ark_module PRIVATE src)
target_include_directories(pg_ark_module SYSTEM PRIVATE ${pg_include})
target_compile_definitions(pg_ark_module PRIVATE _GNU_SOURCE PG_ARK_BINDIR="${pg_bindir}")
target_compile_options(pg_ark_module PRIVATE
    -fno-exceptions -fno-rtti -fvisibility=hidden -fno-threadsafe-statics
    -fno-strict-aliasing -fwrapv -Wno-unused-parameter -Wno-missing-field-initializers -Wno-register)

# The engine has no header of PostgreSQL's: here the compiler compares what it knows with what they say.
add_library(ark_layout OBJECT ${VERSION_TEST_SOURCES})
target_include_directories(ark_layout PRIVATE src)
target_include_directories(ark_layout SYSTEM PRIVATE ${pg_include})
target_compile_definitions(ark_layout PRIVATE _GNU_SOURCE)
target_compile_options(ark_layout PRIVATE -Wno-unused-parameter -Wno-register)
