# The module as CMake sees it: for clang-tidy, for compile_commands.json and for a build under the
# undefined-behaviour sanitizer. What is shipped is built by PGXS (Makefile), with the same flags.
find_program(PG_CONFIG pg_config REQUIRED)
execute_process(COMMAND ${PG_CONFIG} --includedir-server OUTPUT_VARIABLE pg_include
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${PG_CONFIG} --bindir OUTPUT_VARIABLE pg_bindir
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)

add_library(pg_ark_module MODULE ${SERVER_SOURCES})
set_target_properties(pg_ark_module PROPERTIES PREFIX "" OUTPUT_NAME pg_ark)
target_include_directories(pg_ark_module PRIVATE src)
target_include_directories(pg_ark_module SYSTEM PRIVATE ${pg_include})
target_compile_definitions(pg_ark_module PRIVATE _GNU_SOURCE PG_ARK_BINDIR="${pg_bindir}")
target_compile_options(pg_ark_module PRIVATE
    -fno-exceptions -fno-rtti -fvisibility=hidden -fno-threadsafe-statics
    -fno-strict-aliasing -fwrapv -Wno-unused-parameter -Wno-missing-field-initializers -Wno-register)
