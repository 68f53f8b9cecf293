# SPDX-License-Identifier: MIT
# Takes the C++ out of README.md, so that it is compiled and, where it is a program, run.
#
# A ```cpp block with a main function is a program; a ```text block right after it is its output.
# A block that defines something (template, struct, using ...) is compiled as it stands.
# Any other block is the body of a function that is given `log`, an open annals::Log.

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/README.md")
set(readme_dir "${CMAKE_CURRENT_BINARY_DIR}/readme")
set(readme_rest "")
if(EXISTS "${PROJECT_SOURCE_DIR}/README.md")
    file(READ "${PROJECT_SOURCE_DIR}/README.md" readme_rest)
endif()
set(readme_number 0)

# Cuts the text after `opening` and up to the closing fence out of readme_rest.
macro(take_block opening block)
    string(FIND "${readme_rest}" "${opening}" begin)
    string(LENGTH "${opening}" length)
    math(EXPR begin "${begin} + ${length}")
    string(SUBSTRING "${readme_rest}" ${begin} -1 readme_rest)
    string(FIND "${readme_rest}" "```" end)
    string(SUBSTRING "${readme_rest}" 0 ${end} ${block})
    math(EXPR end "${end} + 3")
    string(SUBSTRING "${readme_rest}" ${end} -1 readme_rest)
endmacro()

while(readme_rest MATCHES "```cpp\n")
    take_block("```cpp\n" code)
    math(EXPR readme_number "${readme_number} + 1")
    set(name "readme_${readme_number}")
    set(source "${readme_dir}/${name}.cpp")

    if(code MATCHES "int main\\(")
        file(CONFIGURE OUTPUT "${source}" CONTENT "@code@" @ONLY)
        add_executable(${name} "${source}")
        set(expected -)
        if(readme_rest MATCHES "^\n+```text\n")
            take_block("```text\n" output)
            set(expected "${readme_dir}/${name}.txt")
            file(CONFIGURE OUTPUT "${expected}" CONTENT "@output@" @ONLY)
        endif()
        add_test(NAME readme.${readme_number}
            COMMAND "${run_in}" fresh "${readme_dir}/${name}.work" "${expected}"
                $<TARGET_FILE:${name}>)
    else()
        string(REGEX MATCHALL "#include[^\n]*\n" includes "${code}")
        string(JOIN "" includes ${includes})
        string(REGEX REPLACE "#include[^\n]*\n" "" code "${code}")
        if(NOT code MATCHES "^\n*(template|struct|class|using|namespace)")
            set(code "void ${name}([[maybe_unused]] annals::Log& log) {\n${code}}\n")
        endif()
        set(code "#include <annals/annals.hpp>\n#include <chrono>\n#include <string>\n${includes}
using namespace std::chrono_literals;\n${code}")
        file(CONFIGURE OUTPUT "${source}" CONTENT "@code@" @ONLY)
        add_library(${name} OBJECT "${source}")
    endif()
    use_compiled(${name})
    target_link_libraries(${name} PRIVATE fmt::fmt)
    target_compile_options(${name} PRIVATE -Wno-unused)
endwhile()
